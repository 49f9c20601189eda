//! Tickets: filing, the operations that move them, messages and notes, history, and the clocks that run on them.
//!
//! Every operation locks its ticket first, brings its clocks up to date (`clocks::settle`), asks the lifecycle, then
//! writes rows, history, clocks and deliveries in the caller's transaction. So the result does not depend on whether a
//! worker has been by.
pub mod acts;
pub mod bulk;
pub mod clocks;
pub(crate) mod db;
pub mod edit;
mod escalations;
pub mod filing;
pub mod history;
pub mod intake;
pub mod lifecycle;
pub mod list;
pub mod matching;
pub mod messages;
pub mod notices;
pub mod operations;
pub mod recount;
pub mod retention;
pub mod search;
pub mod sla;
mod status_updates;
pub mod terms;
pub mod view;
pub mod workload;

use chrono::{DateTime, Utc};

pub use db::QueueSummary;
pub use lifecycle::{Channel, Operation, Outcome, State};
pub use view::TicketView;

use crate::error::Result;
use crate::identity::access::Target;
use crate::store::{Db, Ts};

/// The instant that stands for "no clock runs" in `tickets.urgency_at`, so that the column sorts without nulls
/// (9999-12-31T00:00:00Z).
pub fn never() -> Ts {
    Ts(DateTime::<Utc>::from_timestamp(253_402_214_400, 0).unwrap_or(DateTime::<Utc>::MAX_UTC))
}

/// What a tag is, for whoever writes one or asks for it.
pub const TAG_IN_WORDS: &str = "tags of 1 to 50 characters";

pub fn is_tag(text: &str) -> bool {
    (1..=50).contains(&text.chars().count())
}

/// A queue's figures at this moment.
pub fn summarise_queue(conn: &mut Db, queue_id: i64) -> Result<QueueSummary> {
    db::summarise_queue(conn, queue_id)
}

/// Whose the ticket with this inside key is, for a decision about it.
pub fn find_target(conn: &mut Db, ticket_id: i64) -> Result<Option<Target>> {
    Ok(db::find_ticket_by_id(conn, ticket_id)?.map(|ticket| ticket.target()))
}

/// Inside key of the ticket with this UUID or number.
pub fn find_ticket_id(conn: &mut Db, id: &str) -> Result<Option<i64>> {
    Ok(db::find_ticket(conn, id)?.map(|ticket| ticket.id))
}
