//! Changes of the rules under a running clock: other terms, another calendar, another version of the same.
//!
//! History stays: what was consumed is consumed, what was paused is paused. A clock whose breach was noticed keeps
//! target and verdict whatever its ticket becomes; only working time itself, corrected in its calendar, can take a
//! breach back. Stopped clocks are never touched.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::rows::{closed_segment, rebuild, rebuild_by, write_figures};
use super::{Beginning, Clocks, Holder, Promise, Terms, pauses, start};
use crate::error::Result;
use crate::identity::Principal;
use crate::rules::{CalendarVersion, Rules};
use crate::sla::Priority;
use crate::sla::policy::TargetKind;
use crate::store::{Db, Ts};
use crate::tickets::db::{self, ClockRow, ClockState, EventRow, SegmentRow, TicketRow};
use crate::tickets::history::{EventKind, event};
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

    /// By how many seconds, later or (below 0) earlier: of the day by the due; of working time by what remains, where
    /// the clock has no due. 0 where only the verdict is another.
    pub fn seconds(&self) -> i64 {
        match (self.due_from, self.due_to) {
            (Some(from), Some(to)) => (to - from).num_seconds(),
            _ => self.remaining_to - self.remaining_from,
        }
    }

    pub fn changes_verdict(&self) -> bool {
        self.breached_from != self.breached_to
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
    let event = moves_event(tx, ticket, cause, moves);
    db::insert_events(tx.conn, event.as_slice())
}

/// The same, not written yet.
pub(super) fn moves_event(
    tx: &Tx<'_>,
    ticket: &TicketRow,
    cause: &Cause,
    moves: &[Move],
) -> Option<EventRow> {
    if moves.is_empty() {
        return None;
    }
    let mut data = json!(cause);
    if let Some(data) = data.as_object_mut() {
        data.insert("clocks".into(), json!(moves));
    }
    let by = match cause {
        Cause::Ticket { .. } => tx.principal,
        // Whoever came by first did not cause it.
        Cause::Calendar { .. } | Cause::Policy { .. } => &Principal::System,
    };
    Some(event(by, ticket.id, EventKind::DueMoved, tx.now, data))
}

/// Count an open clock by another version of its calendar, in memory.
pub fn recount(
    conn: &mut Db,
    rules: &Rules,
    row: &mut ClockRow,
    history: &[SegmentRow],
    calendar: &Arc<CalendarVersion>,
    thresholds: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Move>> {
    let before = row.clone();
    let clock = rebuild_by(conn, rules, row, history, calendar)?;
    row.calendar_version_id = calendar.id;
    write_figures(row, &clock, &calendar.timeline, thresholds, now)?;
    Move::between(&before, row, now)
}

impl Clocks {
    /// Give the ticket other terms, or the same ones at another priority. Clocks that it had go on with their history
    /// towards the new target, or the old one where no other is promised; a newly promised one starts now, that of the
    /// next response too where the asker is waiting for one.
    pub fn retarget(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        terms: &Terms,
        cause: &Cause,
    ) -> Result<Vec<Move>> {
        let moves = self.go_over_to(tx, ticket, terms)?;
        record_moves(tx, ticket, cause, &moves)?;
        Ok(moves)
    }

    /// The same without its event.
    pub(super) fn go_over_to(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        terms: &Terms,
    ) -> Result<Vec<Move>> {
        let calendar = tx
            .desk
            .rules
            .calendar_as_of(tx.conn, terms.policy.calendar_id, tx.now)?;
        ticket.policy_version_id = terms.policy.id;
        self.policy = Arc::clone(&terms.policy);
        let mut moves = Vec::new();
        for row in &mut self.rows {
            if !keeps_up_with_terms(row, tx.now) {
                continue;
            }
            let history = db::list_segments(tx.conn, row.id)?;
            let rules = &tx.desk.rules;
            let (after, closed) =
                retargeted(tx.conn, rules, row, &history, ticket, terms, &calendar, tx.now)?;
            db::insert_segments(tx.conn, closed.as_slice())?;
            db::update_clock(tx.conn, &after)?;
            moves.extend(Move::between(row, &after, tx.now)?);
            *row = after;
        }
        self.start_what_is_missing(tx, ticket, terms, &calendar, RETARGETED)?;
        self.follow_state(tx, ticket, RETARGETED)?;
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
        let next = TargetKind::NextResponse;
        // Asked only where it matters: most policies promise none, or the clock runs already.
        if ticket.state.is_open()
            && terms.promise(next, priority).is_some()
            && !self.rows.iter().any(|row| row.is_open() && is_response(row))
            && db::asker_had_last_word(tx.conn, ticket.id)?
        {
            self.start_next_response(tx, ticket, terms, reason)?;
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
        let awaits_answer = self.rows.iter().any(|row| row.is_open() && is_response(row));
        let Some(promise) = terms.promise(target, Priority::of_rank(ticket.priority)) else {
            return Ok(());
        };
        if awaits_answer {
            return Ok(());
        }
        let calendar = tx
            .desk
            .rules
            .calendar_as_of(tx.conn, terms.policy.calendar_id, tx.now)?;
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

const RETARGETED: &str = "retargeted";

/// Whether the centre's next answer stops it.
fn is_response(row: &ClockRow) -> bool {
    let targets = [TargetKind::FirstResponse, TargetKind::NextResponse];
    targets.iter().any(|target| row.target == target.as_str())
}

/// Whether other terms mean anything to a clock: an open one whose due has not passed, noticed or not.
pub fn keeps_up_with_terms(row: &ClockRow, now: DateTime<Utc>) -> bool {
    row.is_open() && row.breached_at.is_none() && row.state_at(now) != ClockState::Breached
}

/// An open clock under other terms, with the segment that closes where other hours count from now on; in memory.
#[expect(
    clippy::too_many_arguments,
    reason = "what a clock under other terms depends on"
)]
pub fn retargeted(
    conn: &mut Db,
    rules: &Rules,
    row: &ClockRow,
    history: &[SegmentRow],
    ticket: &TicketRow,
    terms: &Terms,
    calendar: &CalendarVersion,
    now: DateTime<Utc>,
) -> Result<(ClockRow, Option<SegmentRow>)> {
    let target = row.target_kind()?;
    let Some(promise) = terms.promise(target, Priority::of_rank(ticket.priority)) else {
        // What was promised stays promised where nothing else is: taking a target away takes no due away.
        return Ok((row.clone(), None));
    };
    let mut row = row.clone();
    let present = rules.calendar(conn, row.calendar_version_id)?;
    let mut closed = None;
    if present.calendar_id != calendar.calendar_id {
        // From here on other hours count; what was counted by the old ones stays as it was.
        closed = closed_segment(&row, Holder::of(ticket), Ts::from(now));
        row.segment_from = Some(Ts::from(now));
        row.segment_reason = RETARGETED.to_owned();
        row.calendar_version_id = calendar.id;
    }
    row.promise(promise)?;
    let runs = !pauses(&terms.policy, ticket.state, target);
    if row.segment_running != runs {
        // What pauses a clock is the policy's to say, too.
        closed = closed.or_else(|| closed_segment(&row, Holder::of(ticket), Ts::from(now)));
        row.segment_from = Some(Ts::from(now));
        row.segment_running = runs;
        row.segment_reason = RETARGETED.to_owned();
    }
    let history: Vec<SegmentRow> = history.iter().chain(&closed).cloned().collect();
    let (clock, calendar) = rebuild(conn, rules, &row, &history)?;
    let thresholds = &terms.policy.spec.warn_at_percent;
    write_figures(&mut row, &clock, &calendar.timeline, thresholds, now)?;
    Ok((row, closed))
}
