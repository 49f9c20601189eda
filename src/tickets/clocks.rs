//! The clocks of a ticket, between the pure arithmetic of `sla` and their rows.
//!
//! A clock's row carries its open segment and the figures as of its last change; closed segments are rows of their own.
//! Every change rebuilds the history, asks `sla`, and writes the answer back, so rows never hold arithmetic of ours.
//! `breached_at` is the due instant itself, whoever noticed it and when.
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};

use super::db::{self, ClockRow, ClockState, SegmentRow, TicketRow};
use super::never;
use crate::calendars::PolicyVersion;
use crate::error::{Conflict, Error, Result};
use crate::sla::policy::{Amount, ReopenRule, TargetKind};
use crate::sla::{self, NoWorkingTime, Priority, Segment, Timeline};
use crate::store::{Json, Ts};
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

/// A warning or breach that fell due and is now known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub target: TargetKind,
    pub cycle: i32,
    pub breach: bool,
    /// When it became true.
    pub at: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
}

/// The clocks that a new ticket gets; `ticket_id` is set when it is known.
pub fn start_all(
    policy: &PolicyVersion,
    timeline: &Timeline,
    calendar_version_id: i64,
    priority: Priority,
    at: DateTime<Utc>,
) -> Result<Vec<ClockRow>> {
    [TargetKind::FirstResponse, TargetKind::Resolution]
        .into_iter()
        .filter_map(|target| {
            policy
                .spec
                .target(target, priority)
                .map(|amount| (target, amount))
        })
        .map(|(target, amount)| {
            let clock = sla::Clock::start(amount, at);
            let mut row = new_row(target, 1, amount, calendar_version_id, policy.id, at, "filed")?;
            write_figures(&mut row, &clock, timeline, policy.spec.warn_at_percent, at)?;
            Ok(row)
        })
        .collect()
}

fn new_row(
    target: TargetKind,
    cycle: i32,
    amount: Amount,
    calendar_version_id: i64,
    policy_version_id: i64,
    at: DateTime<Utc>,
    reason: &str,
) -> Result<ClockRow> {
    let amount =
        serde_json::to_value(amount).map_err(|cause| Error::internal("a target cannot be written", cause))?;
    Ok(ClockRow {
        id: 0,
        ticket_id: 0,
        target: target.as_str().to_owned(),
        cycle,
        amount: Json(amount),
        calendar_version_id,
        policy_version_id,
        state: ClockState::Running,
        started_at: Ts::from(at),
        segment_from: Some(Ts::from(at)),
        segment_running: true,
        segment_reason: reason.to_owned(),
        due_at: None,
        remaining_seconds: 0,
        consumed_seconds: 0,
        warn_at: None,
        warned_at: None,
        breached_at: None,
        met_at: None,
        stopped_at: None,
        next_notice_at: None,
    })
}

/// The earliest due of the clocks that run, else `never()`.
pub fn urgency(rows: &[ClockRow]) -> Ts {
    rows.iter()
        .filter(|row| row.stopped_at.is_none())
        .filter_map(|row| row.due_at)
        .min()
        .unwrap_or_else(never)
}

impl ClockRow {
    pub fn target_kind(&self) -> Result<TargetKind> {
        TargetKind::parse(&self.target).ok_or_else(|| Error::internal("unknown target", &self.target))
    }

    /// Business seconds that are left at `now`.
    pub fn remaining_at(&self, timeline: &Timeline, now: DateTime<Utc>) -> i64 {
        match self.due_at {
            Some(due) if self.stopped_at.is_none() => timeline.elapsed(now, due.0),
            _ => self.remaining_seconds,
        }
    }

    /// The state at `now`, also where nobody has noticed a breach yet.
    pub fn state_at(&self, now: DateTime<Utc>) -> ClockState {
        let unnoticed = self.stopped_at.is_none() && self.due_at.is_some_and(|due| is_past(due.0, now));
        if unnoticed {
            ClockState::Breached
        } else {
            self.state
        }
    }
}

/// A clock is breached once it is later than its due by a whole second; the due itself is in time (see `sla::clock`).
fn is_past(due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    due.timestamp() < now.timestamp()
}

impl Clocks {
    pub fn load(tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<Clocks> {
        let rows = db::list_clocks(tx.conn, &[ticket.id])?;
        let policy = tx.desk.rules.policy(tx.conn, ticket.policy_version_id)?;
        Ok(Clocks { rows, policy })
    }

    /// Write down the warnings and breaches that have come true by now, each once. Returns those that are new.
    pub fn settle(&mut self, tx: &mut Tx<'_>) -> Result<Vec<Notice>> {
        let mut notices = Vec::new();
        for row in self
            .rows
            .iter_mut()
            .filter(|row| row.next_notice_at.is_some_and(|at| at.0 <= tx.now))
        {
            let target = row.target_kind()?;
            let due_at = row.due_at.map(|due| due.0);
            if let (Some(warn), Some(due), None) = (row.warn_at, due_at, row.warned_at)
                && warn.0 <= tx.now
            {
                row.warned_at = Some(warn);
                notices.push(Notice {
                    target,
                    cycle: row.cycle,
                    breach: false,
                    at: warn.0,
                    due_at: due,
                });
            }
            if let (Some(due), None) = (due_at, row.breached_at)
                && is_past(due, tx.now)
            {
                row.breached_at = Some(Ts::from(due));
                row.state = ClockState::Breached;
                row.remaining_seconds = 0;
                notices.push(Notice {
                    target,
                    cycle: row.cycle,
                    breach: true,
                    at: due,
                    due_at: due,
                });
            }
            row.next_notice_at = next_notice(row);
            db::update_clock(tx.conn, row)?;
        }
        // As a worker would have found them that never slept.
        notices.sort_by_key(|notice| notice.at);
        Ok(notices)
    }

    /// Pause the clocks that the policy pauses while a ticket waits for its asker.
    pub fn pause(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, reason: &str) -> Result<()> {
        let policy = Arc::clone(&self.policy);
        self.change(tx, ticket, reason, |target, clock, at| {
            match policy.spec.pauses.contains(&target) {
                true => clock.pause(at),
                false => Ok(()),
            }
        })
    }

    pub fn resume(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, reason: &str) -> Result<()> {
        self.change(tx, ticket, reason, |_, clock, at| clock.resume(at))
    }

    /// The target is reached: the verdict falls and stands.
    pub fn stop(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        target: TargetKind,
        reason: &str,
    ) -> Result<()> {
        self.change(tx, ticket, reason, |kind, clock, at| match kind == target {
            true => clock.stop(at),
            false => Ok(()),
        })
    }

    /// The ticket ended without reaching its targets: clocks that were in time get no verdict.
    pub fn abandon(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, reason: &str) -> Result<()> {
        let open: Vec<i64> = self
            .rows
            .iter()
            .filter(|row| row.stopped_at.is_none())
            .map(|row| row.id)
            .collect();
        self.change(tx, ticket, reason, |_, clock, at| clock.stop(at))?;
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
        for row in self.rows.iter_mut().filter(|row| row.stopped_at.is_none()) {
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
    pub fn reopen(&mut self, tx: &mut Tx<'_>, ticket: &TicketRow, reason: &str) -> Result<()> {
        let target = TargetKind::Resolution;
        let Some(last) = self
            .rows
            .iter()
            .rfind(|row| row.target == target.as_str())
            .cloned()
        else {
            return Ok(());
        };
        if last.stopped_at.is_none() {
            return Ok(());
        }
        let history = db::list_segments(tx.conn, last.id)?;
        let old = rebuild(&last, &history)?;
        let rule = self.policy.spec.reopen;
        let mut clock = old
            .reopen(rule, tx.now)
            .map_err(|cause| Error::internal("a clock cannot go on", cause))?;
        if let Some(amount) = self
            .policy
            .spec
            .target(target, Priority::of_rank(ticket.priority))
        {
            clock.amount = amount;
        }
        let calendar_version_id = match rule {
            ReopenRule::Continue => last.calendar_version_id,
            ReopenRule::Restart | ReopenRule::NewCycle => {
                crate::calendars::db::get_current_version_id(tx.conn, self.policy.calendar_id)?
            }
        };
        let timeline = tx.desk.rules.timeline(tx.conn, calendar_version_id)?;
        let (cycle, amount, policy_id) = (last.cycle + 1, clock.amount, self.policy.id);
        let mut row = new_row(
            target,
            cycle,
            amount,
            calendar_version_id,
            policy_id,
            tx.now,
            reason,
        )?;
        row.ticket_id = ticket.id;
        if rule == ReopenRule::Continue {
            row.started_at = last.started_at;
            row.warned_at = last.warned_at;
        }
        write_figures(
            &mut row,
            &clock,
            &timeline,
            self.policy.spec.warn_at_percent,
            tx.now,
        )?;
        db::insert_clocks(tx.conn, std::slice::from_ref(&row))?;
        self.rows = db::list_clocks(tx.conn, &[ticket.id])?;
        if rule == ReopenRule::Continue {
            let new_id = self.rows.iter().map(|row| row.id).max().unwrap_or_default();
            let carried: Vec<_> = history
                .into_iter()
                .map(|segment| SegmentRow {
                    clock_id: new_id,
                    carried: true,
                    ..segment
                })
                .collect();
            db::insert_segments(tx.conn, &carried)?;
        }
        Ok(())
    }

    fn change(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        reason: &str,
        apply: impl Fn(TargetKind, &mut sla::Clock, DateTime<Utc>) -> std::result::Result<(), sla::ClockError>,
    ) -> Result<()> {
        for row in self.rows.iter_mut().filter(|row| row.stopped_at.is_none()) {
            let history = db::list_segments(tx.conn, row.id)?;
            let mut clock = rebuild(row, &history)?;
            let before = clock.clone();
            apply(row.target_kind()?, &mut clock, tx.now)
                .map_err(|cause| Error::internal("a clock cannot be changed", cause))?;
            if clock == before {
                continue;
            }
            close_segment(tx, row, Holder::of(ticket), Ts::from(tx.now))?;
            let open = clock.segments.last().filter(|segment| segment.to.is_none());
            row.segment_from = open.map(|segment| Ts::from(segment.from));
            row.segment_running = open.is_some_and(|segment| segment.running);
            row.segment_reason = reason.to_owned();
            row.stopped_at = clock.stopped_at.map(Ts::from);
            let timeline = tx.desk.rules.timeline(tx.conn, row.calendar_version_id)?;
            write_figures(row, &clock, &timeline, self.policy.spec.warn_at_percent, tx.now)?;
            db::update_clock(tx.conn, row)?;
        }
        Ok(())
    }
}

/// Write the open segment down as closed; one without any length says nothing.
fn close_segment(tx: &mut Tx<'_>, row: &ClockRow, holder: Holder, to_at: Ts) -> Result<()> {
    let Some(from_at) = row.segment_from.filter(|from| *from < to_at) else {
        return Ok(());
    };
    let closed = SegmentRow {
        clock_id: row.id,
        from_at,
        to_at,
        running: row.segment_running,
        reason: row.segment_reason.clone(),
        queue_id: holder.queue_id,
        assignee_id: holder.assignee_id,
        calendar_version_id: row.calendar_version_id,
        carried: false,
    };
    db::insert_segments(tx.conn, &[closed])
}

/// The clock as `sla` knows it, from its row and closed segments.
pub fn rebuild(row: &ClockRow, history: &[SegmentRow]) -> Result<sla::Clock> {
    let amount: Amount = serde_json::from_value(row.amount.0.clone())
        .map_err(|cause| Error::internal("a stored target cannot be read", cause))?;
    let mut segments: Vec<Segment> = history
        .iter()
        .map(|closed| Segment {
            from: closed.from_at.0,
            to: Some(closed.to_at.0),
            running: closed.running,
        })
        .collect();
    if let Some(from) = row.segment_from {
        segments.push(Segment {
            from: from.0,
            to: None,
            running: row.segment_running,
        });
    }
    if segments.is_empty() {
        // It stopped in the instant in which it started.
        segments.push(Segment {
            from: row.started_at.0,
            to: Some(row.started_at.0),
            running: true,
        });
    }
    sla::Clock::from_segments(amount, segments, row.stopped_at.map(|at| at.0))
        .map_err(|cause| Error::internal("a stored clock is not valid", cause))
}

fn write_figures(
    row: &mut ClockRow,
    clock: &sla::Clock,
    timeline: &Timeline,
    warn_at_percent: u8,
    now: DateTime<Utc>,
) -> Result<()> {
    let figures = clock.figures(timeline, now).map_err(no_working_time)?;
    row.state = match figures.state {
        sla::ClockState::Running => ClockState::Running,
        sla::ClockState::Paused => ClockState::Paused,
        sla::ClockState::Met => ClockState::Met,
        sla::ClockState::Breached => ClockState::Breached,
    };
    row.due_at = figures.due_at.map(Ts::from);
    row.remaining_seconds = figures.remaining_business_seconds;
    row.consumed_seconds = figures.consumed_business_seconds;
    row.met_at = figures.met_at.map(Ts::from);
    row.warn_at = clock
        .warn_at(timeline, warn_at_percent)
        .map_err(no_working_time)?
        .map(Ts::from);
    // A breach that nobody has noticed yet stays for `settle`, which also tells people.
    if row.stopped_at.is_some() {
        row.breached_at = figures.breached_at.map(Ts::from);
    }
    row.next_notice_at = next_notice(row);
    Ok(())
}

fn next_notice(row: &ClockRow) -> Option<Ts> {
    if row.stopped_at.is_some() || row.breached_at.is_some() {
        return None;
    }
    let due = row.due_at?;
    let breach = Ts(due.0 + Duration::seconds(1));
    match (row.warned_at, row.warn_at) {
        (None, Some(warn)) => Some(warn.min(breach)),
        _ => Some(breach),
    }
}

pub fn no_working_time(_: NoWorkingTime) -> Error {
    Error::Conflict(Conflict::NoWorkingTime)
}
