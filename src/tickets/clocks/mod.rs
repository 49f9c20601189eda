//! The clocks of a ticket, between the pure arithmetic of `sla` and their rows.
//!
//! A clock's row carries its open segment and the figures as of its last change; closed segments are rows of their own.
//! Every change rebuilds the history, asks `sla`, and writes the answer back, so rows never hold arithmetic of ours.
//! `breached_at` is the due instant itself, whoever noticed it and when.
mod adopt;
mod change;
mod rows;
mod settle;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use adopt::{Adoption, Histories, InForce, histories_of};
pub use change::{Cause, Move, keeps_up_with_terms, record_moves, recount, retargeted};
pub use rows::{Promise, is_past, no_working_time, rebuild, split_at_calendar};
pub use settle::Notice;

use self::rows::{close_segment, write_figures};
use super::db::{self, ClockRow, ClockState, SegmentRow, TicketRow};
use super::lifecycle::State;
use super::never;
use crate::agreements::Targets;
use crate::error::{Error, Result};
use crate::rules::{CalendarVersion, PolicyVersion};
use crate::sla::policy::{ReopenRule, TargetKind};
use crate::sla::{self, Priority};
use crate::store::Ts;
use crate::tx::Tx;

/// The clocks of one ticket with what is needed to move them.
pub struct Clocks {
    pub rows: Vec<ClockRow>,
    pub policy: Arc<PolicyVersion>,
}

/// Whom the time of a ticket is put down to: the agent, or the queue where nobody has taken it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub queue_id: i64,
    pub assignee_id: Option<i64>,
}

impl Holder {
    pub fn of(ticket: &TicketRow) -> Holder {
        Holder {
            queue_id: ticket.queue_id,
            assignee_id: ticket.assignee_id,
        }
    }

    /// The same queue, another agent or none.
    pub fn with_agent(self, assignee_id: Option<i64>) -> Holder {
        Holder { assignee_id, ..self }
    }
}

/// The terms of a ticket: its policy, and its organisation's agreement where there is one.
#[derive(Debug, Clone)]
pub struct Terms {
    pub policy: Arc<PolicyVersion>,
    pub agreement: Option<Arc<ValidAgreement>>,
}

/// An agreement with its targets at hand.
#[derive(Debug)]
pub struct ValidAgreement {
    pub id: i64,
    pub targets: Targets,
}

impl Terms {
    /// What is promised for a target at a priority; the agreement comes before the policy.
    pub fn promise(&self, target: TargetKind, priority: Priority) -> Option<Promise> {
        let agreed = self.agreement.as_ref().and_then(|agreement| {
            let amount = agreement.targets.get(&target)?.get(&priority)?;
            Some((*amount, Some(agreement.id)))
        });
        let (amount, agreement_id) =
            agreed.or_else(|| Some((self.policy.spec.target(target, priority)?, None)))?;
        Some(Promise {
            amount,
            policy_version_id: self.policy.id,
            agreement_id,
        })
    }
}

/// The clocks that a new ticket gets; `ticket_id` is set when it is known.
pub fn start_all(
    terms: &Terms,
    calendar: &CalendarVersion,
    priority: Priority,
    at: DateTime<Utc>,
) -> Result<Vec<ClockRow>> {
    let promised = [TargetKind::FirstResponse, TargetKind::Resolution]
        .into_iter()
        .filter_map(|target| Some((target, terms.promise(target, priority)?)));
    promised
        .map(|(target, promise)| {
            let beginning = Beginning {
                target,
                cycle: 1,
                promise,
                state: State::Queued,
                at,
                reason: "filed",
            };
            start(&terms.policy, calendar, &beginning)
        })
        .collect()
}

/// What a clock begins with.
struct Beginning<'a> {
    target: TargetKind,
    cycle: i32,
    promise: Promise,
    /// Of the ticket.
    state: State,
    at: DateTime<Utc>,
    reason: &'a str,
}

/// A clock from its first second, paused at once where the ticket's state pauses it.
fn start(policy: &PolicyVersion, calendar: &CalendarVersion, beginning: &Beginning<'_>) -> Result<ClockRow> {
    let Beginning {
        target,
        cycle,
        promise,
        state,
        at,
        reason,
    } = *beginning;
    let mut clock = sla::Clock::start(promise.amount, at);
    let mut row = ClockRow::begin(target, cycle, promise, calendar.id, at, reason)?;
    if pauses(policy, state, target) {
        clock.pause(at).map_err(impossible)?;
        row.segment_running = false;
    }
    let thresholds = &policy.spec.warn_at_percent;
    write_figures(&mut row, &clock, &calendar.timeline, thresholds, at)?;
    Ok(row)
}

pub(super) fn pauses(policy: &PolicyVersion, state: State, target: TargetKind) -> bool {
    state
        .held()
        .is_some_and(|held| policy.spec.pauses_in(held, target))
}

fn impossible(cause: sla::ClockError) -> Error {
    Error::internal("a clock cannot be changed", cause)
}

/// The earliest due of the clocks that run, else `never()`.
pub fn urgency(rows: &[ClockRow]) -> Ts {
    rows.iter()
        .filter(|row| row.is_open())
        .filter_map(|row| row.due_at)
        .min()
        .unwrap_or_else(never)
}

impl Clocks {
    pub fn load(tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<Clocks> {
        let rows = db::list_clocks(tx.conn, &[ticket.id])?;
        let policy = tx.desk.rules.policy(tx.conn, ticket.policy_version_id)?;
        Ok(Clocks { rows, policy })
    }

    /// Pause and resume what the policy pauses in the state that the ticket has now.
    pub fn follow_state(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, reason: &str) -> Result<()> {
        let policy = Arc::clone(&self.policy);
        let is_paused = |target| pauses(&policy, ticket.state, target);
        let strays = |row: &ClockRow| Ok(row.segment_running == is_paused(row.target_kind()?));
        self.change(tx, ticket, reason, strays, |target, clock, at| {
            match is_paused(target) {
                true => clock.pause(at),
                false => clock.resume(at),
            }
        })
    }

    /// The target is reached: the verdict falls and stands.
    pub fn stop(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        target: TargetKind,
        reason: &str,
    ) -> Result<()> {
        let wanted = |row: &ClockRow| Ok(row.target == target.as_str());
        self.change(tx, ticket, reason, wanted, |_, clock, at| clock.stop(at))
    }

    /// The ticket ended without reaching its targets: clocks that were in time get no verdict.
    pub fn abandon(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, reason: &str) -> Result<()> {
        let open: Vec<i64> = self
            .rows
            .iter()
            .filter(|row| row.is_open())
            .map(|row| row.id)
            .collect();
        self.change(tx, ticket, reason, |_| Ok(true), |_, clock, at| clock.stop(at))?;
        for row in self
            .rows
            .iter_mut()
            .filter(|row| open.contains(&row.id) && row.state == ClockState::Met)
        {
            row.state = ClockState::Stopped;
            row.met_at = None;
            db::update_clock(tx.conn, row)?;
        }
        Ok(())
    }

    /// Give the ticket to another queue or agent, or to none: the only place that changes its holder. The open segments
    /// close on the account of the holder until now and go on, running or paused as they were, on that of the next.
    pub fn hand_over(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        to: Holder,
        reason: &str,
    ) -> Result<()> {
        let from = Holder::of(ticket);
        if from == to {
            return Ok(());
        }
        let now = Ts::from(tx.now);
        for row in self.rows.iter_mut().filter(|row| row.is_open()) {
            close_segment(tx, row, from, now)?;
            row.segment_from = Some(now);
            row.segment_reason = reason.to_owned();
            db::update_clock(tx.conn, row)?;
        }
        ticket.queue_id = to.queue_id;
        ticket.assignee_id = to.assignee_id;
        Ok(())
    }

    /// A further resolution clock by the policy's reopen rule. The first one keeps its verdict.
    pub fn reopen(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, terms: &Terms, reason: &str) -> Result<()> {
        let target = TargetKind::Resolution;
        let of_target = |row: &&ClockRow| row.target == target.as_str();
        let Some(last) = self.rows.iter().rfind(of_target).cloned() else {
            return Ok(());
        };
        if last.is_open() {
            return Ok(());
        }
        let rules = &tx.desk.rules;
        let history = db::list_segments(tx.conn, last.id)?;
        let (old, counted_by) = rebuild(tx.conn, rules, &last, &history)?;
        let rule = self.policy.spec.reopen;
        let mut clock = old.reopen(rule, tx.now).map_err(impossible)?;
        let kept = Promise {
            amount: clock.amount,
            policy_version_id: last.policy_version_id,
            agreement_id: last.agreement_id,
        };
        let promise = match rule == ReopenRule::Continue && last.breached_at.is_some() {
            // Late is late, whatever the priority has become while the question was answered.
            true => kept,
            false => terms
                .promise(target, Priority::of_rank(ticket.priority))
                .unwrap_or(kept),
        };
        clock.amount = promise.amount;
        let calendar_id = match rule {
            ReopenRule::Continue => counted_by.calendar_id,
            ReopenRule::Restart | ReopenRule::NewCycle => self.policy.calendar_id,
        };
        let calendar = rules.calendar_as_of(tx.conn, calendar_id, tx.now)?;
        let mut row = ClockRow::begin(target, last.cycle + 1, promise, calendar.id, tx.now, reason)?;
        row.ticket_id = ticket.id;
        if rule == ReopenRule::Continue {
            row.started_at = last.started_at;
            row.warned_at = last.warned_at;
            row.warned_percent = last.warned_percent;
        }
        let thresholds = &self.policy.spec.warn_at_percent;
        write_figures(&mut row, &clock, &calendar.timeline, thresholds, tx.now)?;
        row.id = db::insert_clock(tx.conn, &row)?;
        if rule == ReopenRule::Continue {
            let carried: Vec<_> = history
                .into_iter()
                .map(|segment| SegmentRow {
                    clock_id: row.id,
                    carried: true,
                    ..segment
                })
                .collect();
            db::insert_segments(tx.conn, &carried)?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// Change the open clocks that are meant, as `sla` changes a clock.
    fn change(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        reason: &str,
        is_meant: impl Fn(&ClockRow) -> Result<bool>,
        apply: impl Fn(TargetKind, &mut sla::Clock, DateTime<Utc>) -> std::result::Result<(), sla::ClockError>,
    ) -> Result<()> {
        for row in self.rows.iter_mut().filter(|row| row.is_open()) {
            if !is_meant(row)? {
                continue;
            }
            let history = db::list_segments(tx.conn, row.id)?;
            let (mut clock, calendar) = rebuild(tx.conn, &tx.desk.rules, row, &history)?;
            let before = clock.clone();
            apply(row.target_kind()?, &mut clock, tx.now).map_err(impossible)?;
            if clock == before {
                continue;
            }
            close_segment(tx, row, Holder::of(ticket), Ts::from(tx.now))?;
            let open = clock.segments.last().filter(|segment| segment.to.is_none());
            row.segment_from = open.map(|segment| Ts::from(segment.from));
            row.segment_running = open.is_some_and(|segment| segment.running);
            row.segment_reason = reason.to_owned();
            row.stopped_at = clock.stopped_at.map(Ts::from);
            let thresholds = &self.policy.spec.warn_at_percent;
            write_figures(row, &clock, &calendar.timeline, thresholds, tx.now)?;
            db::update_clock(tx.conn, row)?;
        }
        Ok(())
    }
}
