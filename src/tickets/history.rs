//! The history of a ticket: one fact per event, appended in the transaction that made it true, never changed.
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::db::{self, EventRow};
use crate::error::Result;
use crate::identity::Principal;
use crate::store::{Json, Ts, Uid};
use crate::text_enum;
use crate::tx::Tx;

text_enum! {
    /// What happened.
    EventKind {
        Filed "ticket_filed",
        Claimed "ticket_claimed",
        Assigned "ticket_assigned",
        Released "ticket_released",
        Transferred "ticket_transferred",
        Waiting "ticket_waiting",
        Resumed "ticket_resumed",
        Resolved "ticket_resolved",
        Closed "ticket_closed",
        Reopened "ticket_reopened",
        Cancelled "ticket_cancelled",
        MessagePosted "message_posted",
        NotePosted "note_posted",
        Attached "attachment_added",
        ClockWarning "clock_warning",
        ClockBreached "clock_breached",
        DueMoved "due_moved",
        Changed "ticket_changed",
        Escalated "ticket_escalated",
        StatusUpdated "status_updated",
        Anonymised "anonymised",
    }
}

impl EventKind {
    /// Not shown to the asking organisation.
    fn is_internal(self) -> bool {
        matches!(
            self,
            EventKind::NotePosted | EventKind::ClockWarning | EventKind::Escalated
        )
    }
}

/// An event of this ticket as a row; `at` is when it became true.
pub fn event(
    principal: &Principal,
    ticket_id: i64,
    kind: EventKind,
    at: DateTime<Utc>,
    data: Value,
) -> EventRow {
    EventRow {
        id: 0,
        uid: Uid::new(),
        ticket_id,
        kind,
        internal: kind.is_internal(),
        actor_kind: principal.kind(),
        actor_id: principal.actor_id(),
        actor_name: principal.name().to_owned(),
        data: Json(data),
        at: Ts::from(at),
    }
}

/// Append an event by the acting principal, now. Returns its identity, which deliveries name.
pub fn record(tx: &mut Tx<'_>, ticket_id: i64, kind: EventKind, data: Value) -> Result<Uid> {
    let row = event(tx.principal, ticket_id, kind, tx.now, data);
    db::insert_events(tx.conn, std::slice::from_ref(&row))?;
    Ok(row.uid)
}

/// Append an event by the product itself that became true at `at`, however late it is noticed.
pub fn record_at(
    tx: &mut Tx<'_>,
    ticket_id: i64,
    kind: EventKind,
    at: DateTime<Utc>,
    data: Value,
) -> Result<Uid> {
    let row = event(&Principal::System, ticket_id, kind, at, data);
    db::insert_events(tx.conn, std::slice::from_ref(&row))?;
    Ok(row.uid)
}
