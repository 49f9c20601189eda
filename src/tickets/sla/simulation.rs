//! What the clocks of a question would say: filed at some time, by some organisation, with these changes after it.
//!
//! The same terms, targets and `sla::Clock` as for real tickets, kept in memory; nothing is written. Rules count in the
//! versions that are in force when it is asked. A question that is answered or asked back about without having been
//! claimed counts as claimed in that instant.
//!
//! Refuses changes that the lifecycle of a ticket does not allow, by their place in the request.
mod ticket;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use self::ticket::Ticket;
use super::{AgreementReference, Threshold, Version};
use crate::directory;
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::identity::Principal;
use crate::sla::{Amount, Priority, TargetKind};
use crate::store::Db;
use crate::tickets::db::ClockState;
use crate::tickets::lifecycle::{Channel, State};
use crate::tx::Desk;

/// A question as it would be filed, and what would happen to it.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub filed_at: DateTime<Utc>,
    pub organisation: Option<String>,
    pub topic: Option<String>,
    pub priority: Option<Priority>,
    pub channel: Option<Channel>,
    pub tags: Vec<String>,
    /// Instead of the one that the question would get.
    pub policy: Option<String>,
    /// Instead of the policy's.
    pub calendar: Option<String>,
    pub changes: Vec<Change>,
    pub as_of: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub at: DateTime<Utc>,
    pub event: Event,
    pub priority: Option<Priority>,
    pub by: Option<Side>,
}

/// What can happen to a simulated question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Claim,
    Release,
    /// The centre asks back.
    Wait,
    /// The centre goes on without a reply.
    Resume,
    /// The asker writes.
    Reply,
    /// The centre writes, without resolving.
    Answer,
    Resolve,
    Reopen,
    Cancel,
    Priority,
}

/// Who reopens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Asker,
    Centre,
}

#[derive(Debug, Serialize)]
pub struct Simulated {
    pub filed_at: DateTime<Utc>,
    pub as_of: DateTime<Utc>,
    pub state: State,
    pub priority: Priority,
    pub queue: String,
    pub policy: Version,
    pub calendar: Version,
    pub agreement: Option<AgreementReference>,
    pub closes_at: Option<DateTime<Utc>>,
    pub clocks: Vec<SimulatedClock>,
}

#[derive(Debug, Serialize)]
pub struct SimulatedClock {
    pub target: TargetKind,
    pub cycle: i32,
    pub state: ClockState,
    pub amount: Amount,
    /// Whether the amount is the agreement's.
    pub agreed: bool,
    pub started_at: DateTime<Utc>,
    pub due_at: Option<DateTime<Utc>>,
    pub warnings: Vec<Threshold>,
    pub breached_at: Option<DateTime<Utc>>,
    pub met_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub consumed_business_seconds: i64,
    pub paused_business_seconds: i64,
    pub remaining_business_seconds: i64,
    pub target_business_seconds: i64,
}

/// What the clocks say as of the scenario's instant, or of its last change.
pub fn simulate(conn: &mut Db, desk: &Desk, principal: &Principal, scenario: &Scenario) -> Result<Simulated> {
    let changes = in_order(scenario)?;
    let latest = changes.last().map_or(scenario.filed_at, |(_, change)| change.at);
    let as_of = scenario.as_of.unwrap_or(latest);
    if as_of < latest {
        let expected = "not before the filing and the last change".into();
        return Err(Error::invalid_pointer(
            "/as_of",
            FieldCode::OutOfRange { expected },
        ));
    }
    let (mut ticket, queue, agreement) = Ticket::file(conn, desk, principal, scenario)?;
    for (position, change) in changes {
        ticket.apply(conn, desk, position, change)?;
    }
    ticket.close_by_itself(as_of);
    let clocks = ticket.clocks.iter().map(|clock| ticket.shown(clock, as_of));
    Ok(Simulated {
        filed_at: scenario.filed_at,
        as_of,
        state: ticket.state,
        priority: ticket.priority,
        queue,
        policy: Version::of_policy(&ticket.terms.policy),
        calendar: Version::of_calendar(&ticket.calendar),
        agreement: agreement.as_ref().map(AgreementReference::of),
        closes_at: ticket.closes_at,
        clocks: clocks.collect::<Result<_>>()?,
    })
}

/// By time, those of one instant as they stand, each with its place; its own fields checked.
fn in_order(scenario: &Scenario) -> Result<Vec<(usize, Change)>> {
    let mut errors = Vec::new();
    for (position, change) in scenario.changes.iter().enumerate() {
        let mut refuse = |member: &str, code: FieldCode| {
            errors.push(FieldError::pointer(format!("/changes/{position}/{member}"), code));
        };
        if change.at < scenario.filed_at {
            let expected = "not before the filing".into();
            refuse("at", FieldCode::OutOfRange { expected });
        }
        match (change.event == Event::Priority, change.priority) {
            (true, None) => refuse("priority", FieldCode::Required),
            (false, Some(_)) => refuse("priority", FieldCode::NotAllowed),
            _ => {}
        }
        if change.by.is_some() && change.event != Event::Reopen {
            refuse("by", FieldCode::NotAllowed);
        }
    }
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let mut changes: Vec<(usize, Change)> = scenario.changes.iter().copied().enumerate().collect();
    changes.sort_by_key(|(_, change)| change.at);
    Ok(changes)
}

/// An organisation asks about itself; staff say about whom.
fn organisation(
    conn: &mut Db,
    principal: &Principal,
    asked: Option<&str>,
) -> Result<directory::Organisation> {
    let refuse = |code| Error::invalid_pointer("/organisation", code);
    let found = match (principal, asked) {
        (Principal::Client { .. }, Some(_)) => return Err(refuse(FieldCode::NotAllowed)),
        (Principal::Client { client, .. }, None) => {
            directory::list_by_id(conn, &[client.organisation_id])?.pop()
        }
        (_, None) => return Err(refuse(FieldCode::Required)),
        (_, Some(code)) => directory::find_organisation(conn, code)?,
    };
    found.ok_or_else(|| refuse(FieldCode::UnknownCode))
}
