//! What the asker of a late question is told until it is answered: an apology with a new date, from the breach of the
//! resolution on and then once per period (Decision 574/QĐ-TTg of 2017: every 7 days).
//!
//! The periods are counted from the breach, so they keep their places however late a worker comes by and however long
//! the asker was waited for; while that is so, and when the ticket is answered, nobody is told anything.
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::clocks::{Clocks, no_working_time};
use super::db::{ClockRow, TicketRow};
use super::history::{EventKind, record_at};
use super::lifecycle::State;
use crate::error::{Error, Result};
use crate::notifications::outbox::Letter;
use crate::notifications::templates::MailKind;
use crate::sla::Timeline;
use crate::sla::policy::{Amount, TargetKind};
use crate::store::Ts;
use crate::tx::Tx;

/// The resolution's breach has just been noticed: the first one falls on it. Where it lies before `since` (the target
/// became shorter than what is used up, or the question came back) it falls on `since`, or, where the asker was told
/// before, on the next date that they know.
pub(super) fn begin(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &Clocks,
    due_at: DateTime<Utc>,
    since: DateTime<Utc>,
) -> Result<()> {
    let Some(mut schedule) = Schedule::of(tx, ticket, clocks, since)? else {
        return Ok(());
    };
    let first = match due_at >= since {
        true => due_at,
        false if ticket.status_updates == 0 => since,
        false => schedule.after(since)?,
    };
    ticket.status_update_at = Some(Ts::from(first));
    Ok(())
}

/// After anything has changed: carry out what has come by now and plan the next one, or none. Of several that come at
/// once each is recorded at its time, and the newest is sent.
pub(super) fn follow(tx: &mut Tx<'_>, ticket: &mut TicketRow, clocks: &Clocks) -> Result<()> {
    let Some(mut schedule) = Schedule::of(tx, ticket, clocks, tx.now)? else {
        ticket.status_update_at = None;
        return Ok(());
    };
    let planned = match ticket.status_update_at {
        Some(at) => at.0,
        None => schedule.after(tx.now)?,
    };
    let mut at = planned;
    let mut newest = None;
    while at <= tx.now {
        let Some(mut schedule) = Schedule::of(tx, ticket, clocks, at)? else {
            break;
        };
        let promised_for = schedule.after(at)?;
        ticket.status_updates += 1;
        let data = json!({ "promised_for": promised_for, "number": ticket.status_updates });
        let event = record_at(tx, ticket.id, EventKind::StatusUpdated, at, data)?;
        newest = Some((event, promised_for));
        at = promised_for;
    }
    ticket.status_update_at = Some(Ts::from(at));
    let Some((event, promised_for)) = newest else {
        return Ok(());
    };
    Letter {
        kind: MailKind::OverdueApology,
        event,
        due_at: Some(promised_for),
        agent_name: None,
    }
    .to_requester(tx, ticket)
}

/// The dates on which an asker is told: the breach, and one after each period from there.
struct Schedule {
    every: Amount,
    timeline: Arc<Timeline>,
    reached: DateTime<Utc>,
}

impl Schedule {
    /// The schedule of a ticket that is late and does not wait for its asker; every other ticket has none. It is counted
    /// by the hours that were in force at `as_of`, so that a late worker promises what a prompt one would have promised.
    fn of(
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        clocks: &Clocks,
        as_of: DateTime<Utc>,
    ) -> Result<Option<Schedule>> {
        let is_resolution = |row: &&ClockRow| row.target == TargetKind::Resolution.as_str();
        let breach = clocks
            .rows
            .iter()
            .rfind(is_resolution)
            .filter(|row| row.is_open() && row.segment_running)
            .and_then(|row| row.breached_at);
        let is_worked_on = ticket.state.is_open() && ticket.state != State::Waiting;
        let policy = &clocks.policy;
        let (Some(breach), Some(update), true) = (breach, policy.spec.status_update, is_worked_on) else {
            return Ok(None);
        };
        let calendar = tx.desk.rules.calendar_as_of(tx.conn, policy.calendar_id, as_of)?;
        Ok(Some(Schedule {
            every: update.every,
            timeline: Arc::clone(&calendar.timeline),
            reached: breach.0,
        }))
    }

    /// The first date after this instant. Ask in ascending order.
    fn after(&mut self, at: DateTime<Utc>) -> Result<DateTime<Utc>> {
        while self.reached <= at {
            let from = match self.every {
                Amount::BusinessMinutes(_) => self.reached,
                // A promise for the end of a day, 24:00, is of that day and not of the next.
                Amount::BusinessDays(_) | Amount::CalendarDays(_) => self.reached - TimeDelta::seconds(1),
            };
            let next = self
                .every
                .due_from(&self.timeline, from)
                .map_err(no_working_time)?;
            if next <= self.reached {
                return Err(Error::internal(
                    "status updates without any time between them",
                    at,
                ));
            }
            self.reached = next;
        }
        Ok(self.reached)
    }
}
