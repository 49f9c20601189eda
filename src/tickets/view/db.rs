//! Queries that join a ticket with what an answer shows of it.
use diesel::prelude::*;

use crate::each_db;
use crate::error::Result;
use crate::language::Language;
use crate::store::schema::{organisations, queues, requesters, tickets, topics, users};
use crate::store::{Db, Uid};
use crate::tickets::db::TicketRow;

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

/// In any order.
pub fn list_rows(conn: &mut Db, ids: &[i64]) -> Result<Vec<JoinedRow>> {
    // On the concrete connection PostgreSQL takes the ids as one array, so that the statement is prepared once.
    Ok(each_db!(conn, c => joined()
        .filter(tickets::id.eq_any(ids))
        .select(joined_columns!())
        .load(c))?)
}
