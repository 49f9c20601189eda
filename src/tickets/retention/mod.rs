//! Retention: what people wrote on tickets that ended long ago is taken away, what they count as stays.
//!
//! Texts, names, addresses, references, tags, custom fields and files go, from the index of words too; number, organisation,
//! topic, queue, times, clocks and their verdicts stay, so that every report says the same before and after. With a
//! person's last ticket goes who they are. A ticket in one transaction, found by looking; whichever replica comes second
//! finds nothing to do. Files go by their own sweep, bytes first. An anonymised ticket takes part in nothing any more
//! (`operations::open`).
mod db;

use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use serde_json::{Map, Value, json};

use super::db::{TicketRow, list_events, lock_ticket, update_ticket};
use super::history::{EventKind, record_at};
use super::lifecycle::State;
use super::search;
use crate::attachments;
use crate::directory::requesters;
use crate::error::Result;
use crate::identity::Principal;
use crate::identity::token::random_base32;
use crate::store::{Db, Json, Store, Ts};
use crate::tx::{Desk, Tx};

/// Tickets of one step; each has a transaction of its own.
const BATCH: i64 = 20;

/// What would be taken away now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preview {
    pub tickets: i64,
    pub oldest_closed_at: Option<DateTime<Utc>>,
}

pub fn preview(conn: &mut Db, days: u32, now: DateTime<Utc>) -> Result<Preview> {
    let (tickets, oldest) = db::count_ended(conn, limit(days, now))?;
    Ok(Preview {
        tickets,
        oldest_closed_at: oldest.map(|at| at.0),
    })
}

fn limit(days: u32, now: DateTime<Utc>) -> DateTime<Utc> {
    now - Duration::days(i64::from(days))
}

/// Worker's step: anonymise some of the tickets whose time is over. Without a setting nothing ever is.
pub async fn retention_step(store: &Store, desk: &Arc<Desk>, now: DateTime<Utc>) -> Result<usize> {
    let Some(days) = desk.ticket_days else {
        return Ok(0);
    };
    let ended = store
        .read(move |conn| db::list_ended(conn, limit(days, now), BATCH))
        .await?;
    let mut done = 0;
    for ticket_id in ended {
        let desk = Arc::clone(desk);
        let is_done = store
            .write(move |conn| {
                let mut tx = Tx {
                    conn,
                    principal: &Principal::System,
                    now,
                    desk: &desk,
                };
                anonymise(&mut tx, ticket_id, days)
            })
            .await?;
        done += usize::from(is_done);
    }
    Ok(done)
}

/// `false` where somebody was faster: another replica, or a person who reopened it.
fn anonymise(tx: &mut Tx<'_>, ticket_id: i64, days: u32) -> Result<bool> {
    let limit = Ts::from(limit(days, tx.now));
    let Some(mut ticket) = lock_ticket(tx.conn, ticket_id)? else {
        return Ok(false);
    };
    let has_ended = matches!(ticket.state, State::Closed | State::Cancelled | State::Merged);
    let is_due = ticket.closed_at.is_some_and(|closed_at| closed_at <= limit);
    if !has_ended || !is_due || ticket.anonymised_at.is_some() {
        return Ok(false);
    }
    // After the ticket and before its mails, as everybody locks who locks several of these.
    let asker = ticket.requester_id;
    if let Some(asker) = asker {
        requesters::db::lock_person(tx.conn, asker)?;
    }
    empty_events(tx.conn, ticket_id)?;
    db::empty_messages(tx.conn, ticket_id)?;
    db::empty_deliveries(tx.conn, ticket_id)?;
    attachments::db::mark_ticket_removing(tx.conn, ticket_id, tx.now)?;
    empty_ticket(&mut ticket, tx.now)?;
    update_ticket(tx.conn, &ticket)?;
    search::index(tx.conn, &ticket)?;
    if let Some(asker) = asker
        && !db::asks_still(tx.conn, asker)?
    {
        requesters::forget(tx, asker, &format!("retention: {days} days"))?;
    }
    let data = json!({ "after_days": days });
    record_at(tx, ticket_id, EventKind::Anonymised, tx.now, data)?;
    Ok(true)
}

fn empty_ticket(ticket: &mut TicketRow, now: DateTime<Utc>) -> Result<()> {
    ticket.subject.clear();
    ticket.body.clear();
    ticket.referred_to = None;
    ticket.external_ref = None;
    ticket.requester_id = None;
    ticket.tags = Json(json!([]));
    ticket.custom_fields = Json(json!({}));
    // Links in old mails lead nowhere from now on.
    ticket.link_token = random_base32::<20>()?;
    ticket.anonymised_at = Some(Ts::from(now));
    ticket.updated_at = Ts::from(now.max(ticket.updated_at.0));
    ticket.version += 1;
    Ok(())
}

/// Members of events that are codes, identities and figures; everything else may be somebody's words.
const KEPT: [&str; 35] = [
    "queue",
    "topic",
    "priority",
    "channel",
    "assignee",
    "from",
    "to",
    "message_id",
    "note_id",
    "attachment_id",
    "media_type",
    "bytes",
    "outcome",
    "closes_at",
    "by",
    "target",
    "cycle",
    "due_at",
    "percent",
    "because",
    "calendar",
    "policy",
    "version",
    "clocks",
    "changes",
    "step",
    "on",
    "notify",
    "unknown_queue",
    "number",
    "promised_for",
    "after_days",
    "at",
    "agreement",
    "count",
];
/// Changes whose values are codes.
const KEPT_CHANGES: [&str; 4] = ["topic", "priority", "organisation", "queue"];

fn empty_events(conn: &mut Db, ticket_id: i64) -> Result<()> {
    let mut after = 0;
    loop {
        let events = list_events(conn, ticket_id, true, after, 200)?;
        let Some(last) = events.last() else { return Ok(()) };
        after = last.id;
        for event in events {
            let emptied = without_words(event.data.0.clone());
            if emptied != event.data.0 {
                db::set_event_data(conn, event.id, Json(emptied))?;
            }
        }
    }
}

fn without_words(data: Value) -> Value {
    let Value::Object(members) = data else {
        return json!({});
    };
    let mut kept: Map<String, Value> = members
        .into_iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()))
        .collect();
    if let Some(Value::Object(changes)) = kept.get_mut("changes") {
        changes.retain(|name, _| KEPT_CHANGES.contains(&name.as_str()));
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_and_figures_stay_of_an_event() {
        let changed = json!({
            "reason": "Bà Lan gọi điện",
            "changes": {
                "subject": { "from": "a", "to": "b" },
                "priority": { "from": "low", "to": "high" },
                "custom_fields": { "from": {}, "to": { "dossier": "H-1" } },
            },
        });
        assert_eq!(
            without_words(changed),
            json!({ "changes": { "priority": { "from": "low", "to": "high" } } })
        );
        let filed = json!({ "queue": "technology", "topic": null, "priority": "normal", "channel": "api" });
        assert_eq!(without_words(filed.clone()), filed);
        assert_eq!(
            without_words(json!({ "referred_to": "Bộ X", "outcome": "referred" })),
            json!({ "outcome": "referred" })
        );
    }
}
