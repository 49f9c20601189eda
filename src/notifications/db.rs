//! Queries over the outbox.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::templates::MailKind;
use crate::error::Result;
use crate::language::Language;
use crate::store::schema::{deliveries, tickets};
use crate::store::{Db, Json, MultiBackend, Ts, Uid};
use crate::{in_batches, text_column, text_enum};

text_column!(MailKind);

text_enum! {
    /// Where a delivery is. `Pending` also while it is being carried.
    DeliveryState { Pending "pending", Sent "sent", Dead "dead" }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
pub struct DeliveryRow {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub ticket_id: i64,
    pub dedupe_key: String,
    pub channel: String,
    pub kind: MailKind,
    pub recipient: String,
    pub recipient_name: String,
    pub language: Language,
    pub payload: Json,
    pub message_id: String,
    pub thread_id: String,
    pub state: DeliveryState,
    pub attempts: i32,
    pub next_attempt_at: Option<Ts>,
    pub locked_until: Option<Ts>,
    pub last_error: Option<String>,
    pub created_at: Ts,
    pub sent_at: Option<Ts>,
}

/// A delivery with the ticket that it is about.
#[derive(Debug, Clone, Queryable)]
pub struct DeliveryView {
    pub delivery: DeliveryRow,
    pub ticket_uid: Uid,
    pub ticket_number: String,
}

/// Write deliveries; one that stands there already (same event, kind and recipient) is left as it is.
pub fn insert_deliveries(conn: &mut Db, rows: &[DeliveryRow]) -> Result<()> {
    in_batches!(conn, rows, c, batch => diesel::insert_into(deliveries::table)
        .values(batch)
        .on_conflict_do_nothing()
        .execute(c)?);
    Ok(())
}

/// Lease up to `limit` deliveries that are due, oldest first, so that no other worker carries them until `until`.
pub fn claim_deliveries(
    conn: &mut Db,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<DeliveryRow>> {
    let now = Ts::from(now);
    let due = deliveries::table
        .filter(deliveries::next_attempt_at.le(Some(now)))
        .filter(
            deliveries::locked_until
                .is_null()
                .or(deliveries::locked_until.lt(Some(now))),
        )
        .order((deliveries::next_attempt_at, deliveries::id))
        .limit(limit);
    let rows: Vec<DeliveryRow> = match conn {
        // Two replicas work on one outbox: each skips what the other is just leasing.
        Db::Pg(pg) => due
            .select(DeliveryRow::as_select())
            .for_update()
            .skip_locked()
            .load(pg)?,
        // SQLite's writer is alone in its transaction.
        Db::Lite(lite) => due.select(DeliveryRow::as_select()).load(lite)?,
    };
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    diesel::update(deliveries::table.filter(deliveries::id.eq_any(ids)))
        .set((
            deliveries::locked_until.eq(Some(Ts::from(until))),
            deliveries::attempts.eq(deliveries::attempts + 1),
        ))
        .execute(conn)?;
    Ok(rows
        .into_iter()
        .map(|row| DeliveryRow {
            attempts: row.attempts + 1,
            ..row
        })
        .collect())
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    Sent { at: DateTime<Utc> },
    Again { at: DateTime<Utc>, error: String },
    Dead { error: String },
}

/// Write down what became of attempt number `attempts`. A success always counts. A failure does not where another
/// worker has taken the delivery since (the lease ran out while we were sending): it would undo what that one did.
pub fn record_attempt(conn: &mut Db, id: i64, attempts: i32, attempt: &Attempt) -> Result<()> {
    let none = None::<Ts>;
    let row = deliveries::table.find(id);
    let still_ours = deliveries::table
        .find(id)
        .filter(deliveries::state.eq(DeliveryState::Pending))
        .filter(deliveries::attempts.eq(attempts));
    match attempt {
        Attempt::Sent { at } => diesel::update(row)
            .set((
                deliveries::state.eq(DeliveryState::Sent),
                deliveries::sent_at.eq(Some(Ts::from(*at))),
                deliveries::next_attempt_at.eq(none),
                deliveries::locked_until.eq(none),
                deliveries::last_error.eq(None::<String>),
            ))
            .execute(conn)?,
        Attempt::Again { at, error } => diesel::update(still_ours)
            .set((
                deliveries::next_attempt_at.eq(Some(Ts::from(*at))),
                deliveries::locked_until.eq(none),
                deliveries::last_error.eq(Some(error)),
            ))
            .execute(conn)?,
        Attempt::Dead { error } => diesel::update(still_ours)
            .set((
                deliveries::state.eq(DeliveryState::Dead),
                deliveries::next_attempt_at.eq(none),
                deliveries::locked_until.eq(none),
                deliveries::last_error.eq(Some(error)),
            ))
            .execute(conn)?,
    };
    Ok(())
}

/// Make a delivery due at once with fresh attempts. Not one that was sent or is being carried: `false`.
pub fn requeue_delivery(conn: &mut Db, id: i64, now: DateTime<Utc>) -> Result<bool> {
    let now = Ts::from(now);
    let changed = diesel::update(
        deliveries::table
            .find(id)
            .filter(deliveries::state.ne(DeliveryState::Sent))
            .filter(
                deliveries::locked_until
                    .is_null()
                    .or(deliveries::locked_until.lt(Some(now))),
            ),
    )
    .set((
        deliveries::state.eq(DeliveryState::Pending),
        deliveries::attempts.eq(0),
        deliveries::next_attempt_at.eq(Some(now)),
        deliveries::locked_until.eq(None::<Ts>),
    ))
    .execute(conn)?;
    Ok(changed == 1)
}

pub fn find_delivery(conn: &mut Db, uid: Uid) -> Result<Option<DeliveryView>> {
    Ok(deliveries::table
        .inner_join(tickets::table)
        .filter(deliveries::uid.eq(uid))
        .select((DeliveryRow::as_select(), tickets::uid, tickets::number))
        .first(conn)
        .optional()?)
}

/// Newest first.
pub fn list_deliveries(
    conn: &mut Db,
    state: Option<DeliveryState>,
    ticket_id: Option<i64>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<DeliveryView>> {
    let mut query = deliveries::table
        .inner_join(tickets::table)
        .order(deliveries::id.desc())
        .limit(limit)
        .select((DeliveryRow::as_select(), tickets::uid, tickets::number))
        .into_boxed::<MultiBackend>();
    if let Some(state) = state {
        query = query.filter(deliveries::state.eq(state));
    }
    if let Some(ticket_id) = ticket_id {
        query = query.filter(deliveries::ticket_id.eq(ticket_id));
    }
    if let Some(before) = before {
        query = query.filter(deliveries::id.lt(before));
    }
    Ok(query.load(conn)?)
}

/// How many deliveries are in each state, for the metrics and the demo.
pub fn count_by_state(conn: &mut Db) -> Result<Vec<(DeliveryState, i64)>> {
    Ok(deliveries::table
        .group_by(deliveries::state)
        .select((deliveries::state, diesel::dsl::count_star()))
        .load(conn)?)
}

/// Kinds that only people of the centre get.
const TO_THE_DESK: [MailKind; 4] = [
    MailKind::Assigned,
    MailKind::Warning,
    MailKind::Overdue,
    MailKind::RequesterWrote,
];

/// Give it up, and forget to whom it would have gone. `false` where it has left.
pub fn withdraw_delivery(conn: &mut Db, id: i64, uid: Uid, address: &str) -> Result<bool> {
    let waiting = deliveries::table
        .find(id)
        .filter(deliveries::state.eq_any([DeliveryState::Pending, DeliveryState::Dead]));
    let withdrawn = diesel::update(waiting)
        .set((
            deliveries::state.eq(DeliveryState::Dead),
            deliveries::next_attempt_at.eq(None::<Ts>),
            deliveries::locked_until.eq(None::<Ts>),
            deliveries::last_error.eq(Some("withdrawn: the asking person was made anonymous")),
            deliveries::recipient.eq(address),
            deliveries::recipient_name.eq(""),
            deliveries::dedupe_key.eq(format!("erased:{uid}")),
        ))
        .execute(conn)?;
    Ok(withdrawn > 0)
}

/// What was written to this address about these tickets.
pub fn list_delivery_uids_to(conn: &mut Db, address: &str, ticket_ids: &[i64]) -> Result<Vec<(i64, Uid)>> {
    Ok(deliveries::table
        .filter(deliveries::ticket_id.eq_any(ticket_ids.to_vec()))
        .filter(deliveries::recipient.eq(address))
        .filter(deliveries::kind.ne_all(TO_THE_DESK))
        .select((deliveries::id, deliveries::uid))
        .load(conn)?)
}

/// Forget to whom a delivery went, in the key against repetition too.
pub fn erase_recipient(conn: &mut Db, id: i64, uid: Uid, address: &str) -> Result<()> {
    diesel::update(deliveries::table.find(id))
        .set((
            deliveries::recipient.eq(address),
            deliveries::recipient_name.eq(""),
            deliveries::dedupe_key.eq(format!("erased:{uid}")),
        ))
        .execute(conn)?;
    Ok(())
}
