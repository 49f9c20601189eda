//! Queries that join a ticket with what an answer shows of it.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::{AssigneeFilter, Sort, TicketFilter};
use crate::error::Result;
use crate::identity::Principal;
use crate::language::Language;
use crate::store::schema::{organisations, queues, requesters, tickets, topics, users};
use crate::store::{Db, MultiBackend, Ts, Uid};
use crate::tickets::db::TicketRow;
use crate::tx::Desk;

pub type RequesterColumns = (
    i64,
    Uid,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Language,
);

#[derive(Queryable)]
pub struct JoinedRow {
    pub ticket: TicketRow,
    pub queue: (String, String, String),
    pub organisation: (String, String, String),
    pub topic: Option<(String, String, String)>,
    pub requester: Option<RequesterColumns>,
    pub assignee: Option<(Uid, String)>,
}

#[diesel::dsl::auto_type]
fn joined() -> _ {
    tickets::table
        .inner_join(queues::table)
        .inner_join(organisations::table)
        .left_join(topics::table)
        .left_join(requesters::table)
        .left_join(users::table)
}

macro_rules! joined_columns {
    () => {
        (
            TicketRow::as_select(),
            (queues::code, queues::name_vi, queues::name_en),
            (
                organisations::code,
                organisations::name_vi,
                organisations::name_en,
            ),
            (topics::code, topics::name_vi, topics::name_en).nullable(),
            (
                requesters::id,
                requesters::uid,
                requesters::name,
                requesters::email,
                requesters::unit,
                requesters::phone,
                requesters::language,
            )
                .nullable(),
            (users::uid, users::name).nullable(),
        )
    };
}

pub fn get_row(conn: &mut Db, ticket_id: i64) -> Result<JoinedRow> {
    Ok(joined()
        .filter(tickets::id.eq(ticket_id))
        .select(joined_columns!())
        .first(conn)?)
}

pub fn list_rows(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    filter: &TicketFilter,
    sort: Sort,
    after: Option<(DateTime<Utc>, i64)>,
    limit: i64,
) -> Result<Vec<JoinedRow>> {
    let mut query = joined()
        .select(joined_columns!())
        .limit(limit)
        .into_boxed::<MultiBackend>();
    match principal {
        Principal::Client { client, .. } => {
            query = match client.reach.as_slice() {
                // One value, so that the index's own order is the page's.
                [only] => query.filter(tickets::organisation_id.eq(*only)),
                several => query.filter(tickets::organisation_id.eq_any(several.to_vec())),
            };
        }
        Principal::Staff { staff, .. } if staff.role == crate::identity::Role::Agent && !desk.open_desk => {
            let mine = tickets::assignee_id
                .is_not_null()
                .and(tickets::assignee_id.assume_not_null().eq(staff.user_id));
            query = query.filter(tickets::queue_id.eq_any(staff.queues.clone()).or(mine));
        }
        Principal::Staff { .. } | Principal::System => {}
    }
    if !filter.states.is_empty() {
        query = query.filter(tickets::state.eq_any(filter.states.clone()));
    }
    if let Some(id) = filter.queue_id {
        query = query.filter(tickets::queue_id.eq(id));
    }
    if let Some(id) = filter.topic_id {
        query = query.filter(tickets::topic_id.eq(id));
    }
    if let Some(id) = filter.organisation_id {
        query = query.filter(tickets::organisation_id.eq(id));
    }
    match filter.assignee {
        Some(AssigneeFilter::Nobody) => query = query.filter(tickets::assignee_id.is_null()),
        Some(AssigneeFilter::User(id)) => query = query.filter(tickets::assignee_id.eq(id)),
        None => {}
    }
    if let Some(priority) = filter.priority {
        query = query.filter(tickets::priority.eq(priority.rank()));
    }
    if let Some(external_ref) = &filter.external_ref {
        query = query.filter(tickets::external_ref.eq(external_ref.clone()));
    }
    if let Some(breached) = filter.breached {
        query = query.filter(tickets::breached.eq(breached));
    }
    if let Some(from) = filter.filed_from {
        query = query.filter(tickets::filed_at.ge(Ts::from(from)));
    }
    if let Some(to) = filter.filed_to {
        query = query.filter(tickets::filed_at.lt(Ts::from(to)));
    }
    if let Some(before) = filter.due_before {
        query = query.filter(tickets::urgency_at.lt(Ts::from(before)));
    }
    // Keyset conditions are written out because Diesel has no portable row comparison; as a bound with an exception and
    // not as two alternatives, so that the index is entered at the cursor and not walked from its beginning.
    match sort {
        Sort::NewestFiled => {
            if let Some((at, id)) = after {
                let at = Ts::from(at);
                query = query
                    .filter(tickets::filed_at.le(at))
                    .filter(tickets::filed_at.lt(at).or(tickets::id.lt(id)));
            }
            query = query.order((tickets::filed_at.desc(), tickets::id.desc()));
        }
        Sort::OldestFiled => {
            if let Some((at, id)) = after {
                let at = Ts::from(at);
                query = query
                    .filter(tickets::filed_at.ge(at))
                    .filter(tickets::filed_at.gt(at).or(tickets::id.gt(id)));
            }
            query = query.order((tickets::filed_at, tickets::id));
        }
        Sort::SoonestDue => {
            if let Some((at, id)) = after {
                let at = Ts::from(at);
                query = query
                    .filter(tickets::urgency_at.ge(at))
                    .filter(tickets::urgency_at.gt(at).or(tickets::id.gt(id)));
            }
            query = query.order((tickets::urgency_at, tickets::id));
        }
        Sort::LatestUpdated => {
            if let Some((at, id)) = after {
                let at = Ts::from(at);
                query = query
                    .filter(tickets::updated_at.le(at))
                    .filter(tickets::updated_at.lt(at).or(tickets::id.lt(id)));
            }
            query = query.order((tickets::updated_at.desc(), tickets::id.desc()));
        }
    }
    Ok(query.load(conn)?)
}
