//! Changes of the rules under a running clock: other terms, another calendar, another version of the same.
//!
//! History stays: what was consumed is consumed, what was paused is paused. A clock whose breach was noticed keeps
//! target and verdict whatever its ticket becomes; only working time itself, corrected in its calendar, can take a
//! breach back. Stopped clocks are never touched.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::rows::{close_segment, is_past, rebuild, write_figures};
use super::{Beginning, Clocks, Holder, Promise, Terms, start};
use crate::error::Result;
use crate::rules::CalendarVersion;
use crate::sla::Priority;
use crate::sla::policy::TargetKind;
use crate::store::Ts;
use crate::tickets::db::{self, ClockRow, ClockState, TicketRow};
use crate::tickets::history::{EventKind, record, record_at};
use crate::tx::Tx;

/// What a change of the rules did to one clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    pub target: TargetKind,
    pub cycle: i32,
    pub due_from: Option<DateTime<Utc>>,
    pub due_to: Option<DateTime<Utc>>,
    /// Business seconds left: says by how much a paused clock, which has no due, has moved.
    pub remaining_from: i64,
    pub remaining_to: i64,
    pub breached_from: bool,
    pub breached_to: bool,
}

impl Move {
    /// Between two states of one clock as of `now`; none where nobody could tell the difference.
    pub fn between(before: &ClockRow, after: &ClockRow, now: DateTime<Utc>) -> Result<Option<Move>> {
        let late = |row: &ClockRow| row.state_at(now) == ClockState::Breached;
        let moved = Move {
            target: after.target_kind()?,
            cycle: after.cycle,
            due_from: before.due_at.map(|due| due.0),
            due_to: after.due_at.map(|due| due.0),
            remaining_from: before.remaining_seconds,
            remaining_to: after.remaining_seconds,
            breached_from: late(before),
            breached_to: late(after),
        };
        let paused = moved.due_from.is_none() && moved.due_to.is_none();
        let same = moved.due_from == moved.due_to
            && moved.breached_from == moved.breached_to
            && (!paused || moved.remaining_from == moved.remaining_to);
        Ok((!same).then_some(moved))
    }
}

/// Why a due moved, as the history says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Cause {
    /// A new version of the calendar.
    Calendar { calendar: String, version: i64 },
    /// A new version of the policy, for open tickets too.
    Policy { policy: String, version: i64 },
    /// The ticket itself was changed: priority, topic, organisation, tags or queue.
    Ticket { policy: String, version: i64 },
}

/// One event for all clocks of the ticket that moved; none where none did.
pub fn record_moves(tx: &mut Tx<'_>, ticket: &TicketRow, cause: &Cause, moves: &[Move]) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let mut data = json!(cause);
    if let Some(data) = data.as_object_mut() {
        data.insert("clocks".into(), json!(moves));
    }
    match cause {
        Cause::Ticket { .. } => record(tx, ticket.id, EventKind::DueMoved, data)?,
        // Whoever came by first did not cause it.
        Cause::Calendar { .. } | Cause::Policy { .. } => {
            record_at(tx, ticket.id, EventKind::DueMoved, tx.now, data)?
        }
    };
    Ok(())
}

/// Count an open clock by another version of its calendar.
pub(super) fn recount(
    tx: &mut Tx<'_>,
    row: &mut ClockRow,
    calendar: &CalendarVersion,
    thresholds: &[u8],
) -> Result<Option<Move>> {
    let before = row.clone();
    let history = db::list_segments(tx.conn, row.id)?;
    row.calendar_version_id = calendar.id;
    let (clock, calendar) = rebuild(tx.conn, &tx.desk.rules, row, &history)?;
    write_figures(row, &clock, &calendar.timeline, thresholds, tx.now)?;
    Move::between(&before, row, tx.now)
}

impl Clocks {
    /// Bring the open clocks to the rules in force, where a new version has come since: of their calendar, and of the
    /// ticket's policy if that version is for open tickets too. Every operation begins with it, so that none decides by
    /// rules that are no longer in force, wherever the worker that does this for all tickets has got to.
    pub fn adopt(&mut self, tx: &mut Tx<'_>, ticket: &mut TicketRow) -> Result<Vec<Move>> {
        let mut moves = self.adopt_calendars(tx, ticket)?;
        if !ticket.state.is_open() {
            return Ok(moves);
        }
        let newer = crate::policies::db::find_newer_for_open_tickets(tx.conn, ticket.policy_version_id)?;
        if let Some(version_id) = newer {
            let terms = Terms {
                policy: tx.desk.rules.policy(tx.conn, version_id)?,
                ..crate::tickets::terms::present(tx, ticket)?
            };
            let cause = Cause::Policy {
                policy: terms.policy.code.clone(),
                version: terms.policy.version,
            };
            moves.extend(self.retarget(tx, ticket, &terms, &cause)?);
        }
        Ok(moves)
    }

    fn adopt_calendars(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<Vec<Move>> {
        let mut moves = Vec::new();
        let mut cause = None;
        let mut in_force: Option<Arc<CalendarVersion>> = None;
        for row in self.rows.iter_mut().filter(|row| row.is_open()) {
            let rules = &tx.desk.rules;
            let present = rules.calendar(tx.conn, row.calendar_version_id)?;
            let newest = match in_force.take() {
                Some(known) if known.calendar_id == present.calendar_id => known,
                _ => rules.calendar_in_force(tx.conn, present.calendar_id)?,
            };
            if newest.id != present.id {
                let moved = recount(tx, row, &newest, &self.policy.spec.warn_at_percent)?;
                db::update_clock(tx.conn, row)?;
                moves.extend(moved);
                cause = Some(Cause::Calendar {
                    calendar: newest.code.clone(),
                    version: newest.version,
                });
            }
            in_force = Some(newest);
        }
        if let Some(cause) = cause {
            record_moves(tx, ticket, &cause, &moves)?;
        }
        Ok(moves)
    }

    /// Give the ticket other terms, or the same ones at another priority. Clocks that it had go on with their history
    /// towards the new target; one that is no longer promised stops without a verdict, a newly promised one starts now.
    pub fn retarget(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        terms: &Terms,
        cause: &Cause,
    ) -> Result<Vec<Move>> {
        let reason = "retargeted";
        let calendar = tx
            .desk
            .rules
            .calendar_in_force(tx.conn, terms.policy.calendar_id)?;
        ticket.policy_version_id = terms.policy.id;
        self.policy = Arc::clone(&terms.policy);
        let mut moves = Vec::new();
        for row in &mut self.rows {
            if !row.is_open() || row.breached_at.is_some() {
                continue;
            }
            let before = row.clone();
            retarget_row(tx, row, ticket, terms, &calendar, reason)?;
            moves.extend(Move::between(&before, row, tx.now)?);
        }
        self.start_what_is_missing(tx, ticket, terms, &calendar, reason)?;
        self.follow_state(tx, ticket, reason)?;
        record_moves(tx, ticket, cause, &moves)?;
        Ok(moves)
    }

    fn start_what_is_missing(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        terms: &Terms,
        calendar: &CalendarVersion,
        reason: &str,
    ) -> Result<()> {
        let priority = Priority::of_rank(ticket.priority);
        for target in [TargetKind::FirstResponse, TargetKind::Resolution] {
            let answered = target == TargetKind::FirstResponse && ticket.first_response_at.is_some();
            let known = self.rows.iter().any(|row| row.target == target.as_str());
            let Some(promise) = terms.promise(target, priority) else {
                continue;
            };
            if answered || known || !ticket.state.is_open() {
                continue;
            }
            self.start_another(tx, ticket, terms, calendar, (target, 1, promise), reason)?;
        }
        Ok(())
    }

    /// The asker wrote and waits for an answer: a further clock, unless one is running that the same answer stops.
    pub fn start_next_response(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        terms: &Terms,
        reason: &str,
    ) -> Result<()> {
        let target = TargetKind::NextResponse;
        let awaits_answer = self.rows.iter().any(|row| {
            row.is_open()
                && (row.target == target.as_str() || row.target == TargetKind::FirstResponse.as_str())
        });
        let Some(promise) = terms.promise(target, Priority::of_rank(ticket.priority)) else {
            return Ok(());
        };
        if awaits_answer {
            return Ok(());
        }
        let calendar = tx
            .desk
            .rules
            .calendar_in_force(tx.conn, terms.policy.calendar_id)?;
        let cycles = self
            .rows
            .iter()
            .filter(|row| row.target == target.as_str())
            .map(|row| row.cycle);
        let cycle = cycles.max().unwrap_or(0) + 1;
        self.start_another(tx, ticket, terms, &calendar, (target, cycle, promise), reason)
    }

    fn start_another(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        terms: &Terms,
        calendar: &CalendarVersion,
        (target, cycle, promise): (TargetKind, i32, Promise),
        reason: &str,
    ) -> Result<()> {
        let beginning = Beginning {
            target,
            cycle,
            promise,
            state: ticket.state,
            at: tx.now,
            reason,
        };
        let mut row = start(&terms.policy, calendar, &beginning)?;
        row.ticket_id = ticket.id;
        row.id = db::insert_clock(tx.conn, &row)?;
        self.rows.push(row);
        Ok(())
    }
}

fn retarget_row(
    tx: &mut Tx<'_>,
    row: &mut ClockRow,
    ticket: &TicketRow,
    terms: &Terms,
    calendar: &CalendarVersion,
    reason: &str,
) -> Result<()> {
    let target = row.target_kind()?;
    let Some(promise) = terms.promise(target, Priority::of_rank(ticket.priority)) else {
        return withdraw(tx, row, ticket, reason);
    };
    let now = Ts::from(tx.now);
    let present = tx.desk.rules.calendar(tx.conn, row.calendar_version_id)?;
    if present.calendar_id != calendar.calendar_id {
        // From here on other hours count; what was counted by the old ones stays as it was.
        close_segment(tx, row, Holder::of(ticket), now)?;
        row.segment_from = Some(now);
        row.segment_reason = reason.to_owned();
        row.calendar_version_id = calendar.id;
    }
    row.promise(promise)?;
    let history = db::list_segments(tx.conn, row.id)?;
    let (clock, calendar) = rebuild(tx.conn, &tx.desk.rules, row, &history)?;
    let thresholds = &terms.policy.spec.warn_at_percent;
    write_figures(row, &clock, &calendar.timeline, thresholds, tx.now)?;
    db::update_clock(tx.conn, row)
}

/// What is no longer promised gets no verdict, unless its due has passed.
fn withdraw(tx: &mut Tx<'_>, row: &mut ClockRow, ticket: &TicketRow, reason: &str) -> Result<()> {
    let history = db::list_segments(tx.conn, row.id)?;
    let (mut clock, calendar) = rebuild(tx.conn, &tx.desk.rules, row, &history)?;
    clock.stop(tx.now).map_err(super::impossible)?;
    close_segment(tx, row, Holder::of(ticket), Ts::from(tx.now))?;
    row.segment_from = None;
    row.segment_running = false;
    row.segment_reason = reason.to_owned();
    row.stopped_at = Some(Ts::from(tx.now));
    write_figures(row, &clock, &calendar.timeline, &[], tx.now)?;
    if row.due_at.is_none_or(|due| !is_past(due.0, tx.now)) {
        row.state = ClockState::Stopped;
        row.met_at = None;
    }
    db::update_clock(tx.conn, row)
}
