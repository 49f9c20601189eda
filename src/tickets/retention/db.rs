//! Queries of retention.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::notifications::db::DeliveryState;
use crate::store::schema::{deliveries, messages, ticket_events, tickets};
use crate::store::{Db, Json, Ts};
use crate::tickets::search::{Found, Mark, Needle};

/// Tickets that ended by then and still say what was said, the oldest first.
pub fn list_ended(conn: &mut Db, limit: DateTime<Utc>, count: i64) -> Result<Vec<i64>> {
    Ok(tickets::table
        .filter(tickets::anonymised_at.is_null())
        .filter(tickets::closed_at.le(Some(Ts::from(limit))))
        .order(tickets::closed_at)
        .limit(count)
        .select(tickets::id)
        .load(conn)?)
}

/// How many, and since when the oldest is closed.
pub fn count_ended(conn: &mut Db, limit: DateTime<Utc>) -> Result<(i64, Option<Ts>)> {
    let ended = tickets::table
        .filter(tickets::anonymised_at.is_null())
        .filter(tickets::closed_at.le(Some(Ts::from(limit))));
    let count = ended.count().get_result(conn)?;
    let oldest = ended.select(diesel::dsl::min(tickets::closed_at)).first(conn)?;
    Ok((count, oldest))
}

/// Is a ticket left that this person asked? By their mark in the index of words, because the column has no index.
pub fn asks_still(conn: &mut Db, requester_id: i64) -> Result<bool> {
    let marked = Found::among_keys(conn, &[Needle::mark(Mark::Requester(requester_id))]);
    let one: Option<i64> = tickets::table
        .filter(marked)
        .filter(tickets::requester_id.eq(requester_id))
        .select(tickets::id)
        .first(conn)
        .optional()?;
    Ok(one.is_some())
}

pub fn set_event_data(conn: &mut Db, event_id: i64, data: Json) -> Result<()> {
    diesel::update(ticket_events::table.find(event_id))
        .set(ticket_events::data.eq(data))
        .execute(conn)?;
    Ok(())
}

/// Who wrote when stays.
pub fn empty_messages(conn: &mut Db, ticket_id: i64) -> Result<()> {
    diesel::update(messages::table.filter(messages::ticket_id.eq(ticket_id)))
        .set(messages::body.eq(""))
        .execute(conn)?;
    Ok(())
}

/// Kinds, times and fates stay; what was not sent by now never is. The key that keeps a notice from being written twice
/// names an address, so the row's own identity takes its place.
pub fn empty_deliveries(conn: &mut Db, ticket_id: i64) -> Result<()> {
    let of_ticket = || deliveries::table.filter(deliveries::ticket_id.eq(ticket_id));
    let rows: Vec<(i64, String)> = of_ticket()
        .select((deliveries::id, deliveries::message_id))
        .load(conn)?;
    for (id, message_id) in rows {
        diesel::update(deliveries::table.find(id))
            .set((
                deliveries::dedupe_key.eq(message_id),
                deliveries::recipient.eq(""),
                deliveries::recipient_name.eq(""),
                deliveries::payload.eq(Json(serde_json::json!({}))),
                deliveries::last_error.eq(None::<String>),
            ))
            .execute(conn)?;
    }
    diesel::update(of_ticket().filter(deliveries::state.eq(DeliveryState::Pending)))
        .set((
            deliveries::state.eq(DeliveryState::Dead),
            deliveries::next_attempt_at.eq(None::<Ts>),
            deliveries::locked_until.eq(None::<Ts>),
        ))
        .execute(conn)?;
    Ok(())
}
