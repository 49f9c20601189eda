//! A clock's row: made, rebuilt as `sla` knows it, and written back with what `sla` says. No arithmetic of ours.
use chrono::{DateTime, Duration, Utc};

use super::Holder;
use crate::error::{Conflict, Error, Result};
use crate::rules::{CalendarVersion, Rules};
use crate::sla::policy::{Amount, TargetKind};
use crate::sla::{self, Before, NoWorkingTime, Segment, Timeline};
use crate::store::{Db, Json, Ts};
use crate::tickets::db::{self, ClockRow, ClockState, SegmentRow};
use crate::tx::Tx;

/// What a clock promises and on what that rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    pub amount: Amount,
    pub policy_version_id: i64,
    pub agreement_id: Option<i64>,
}

impl ClockRow {
    /// A clock that begins now, without its figures.
    pub(super) fn begin(
        target: TargetKind,
        cycle: i32,
        promise: Promise,
        calendar_version_id: i64,
        at: DateTime<Utc>,
        reason: &str,
    ) -> Result<ClockRow> {
        Ok(ClockRow {
            id: 0,
            ticket_id: 0,
            target: target.as_str().to_owned(),
            cycle,
            amount: written(promise.amount)?,
            calendar_version_id,
            policy_version_id: promise.policy_version_id,
            agreement_id: promise.agreement_id,
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
            warned_percent: 0,
            breached_at: None,
            met_at: None,
            stopped_at: None,
            next_notice_at: None,
        })
    }

    /// The same history with another promise.
    pub(super) fn promise(&mut self, promise: Promise) -> Result<()> {
        self.amount = written(promise.amount)?;
        self.policy_version_id = promise.policy_version_id;
        self.agreement_id = promise.agreement_id;
        Ok(())
    }

    pub fn target_kind(&self) -> Result<TargetKind> {
        TargetKind::parse(&self.target).ok_or_else(|| Error::internal("unknown target", &self.target))
    }

    pub fn amount(&self) -> Result<Amount> {
        serde_json::from_value(self.amount.0.clone())
            .map_err(|cause| Error::internal("a stored target cannot be read", cause))
    }

    pub fn is_open(&self) -> bool {
        self.stopped_at.is_none()
    }

    /// Business seconds that are left at `now`.
    pub fn remaining_at(&self, timeline: &Timeline, now: DateTime<Utc>) -> i64 {
        match self.due_at {
            Some(due) if self.is_open() => timeline.elapsed(now, due.0),
            _ => self.remaining_seconds,
        }
    }

    /// The state at `now`, also where nobody has noticed a breach yet.
    pub fn state_at(&self, now: DateTime<Utc>) -> ClockState {
        let unnoticed = self.is_open() && self.due_at.is_some_and(|due| is_past(due.0, now));
        if unnoticed {
            ClockState::Breached
        } else {
            self.state
        }
    }

    /// Write a breach that has come true by `now` into the row, once; returns the due that has passed.
    pub fn note_breach(&mut self, now: DateTime<Utc>) -> Option<Ts> {
        let due = self.due_at.filter(|due| is_past(due.0, now))?;
        if !self.is_open() || self.breached_at.is_some() {
            return None;
        }
        self.breached_at = Some(due);
        self.state = ClockState::Breached;
        self.remaining_seconds = 0;
        Some(due)
    }
}

fn written(amount: Amount) -> Result<Json> {
    serde_json::to_value(amount)
        .map(Json)
        .map_err(|cause| Error::internal("a target cannot be written", cause))
}

/// A clock is breached once it is later than its due by a whole second; the due itself is in time (see `sla::clock`).
pub fn is_past(due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    due.timestamp() < now.timestamp()
}

/// Write the open segment down as closed; one without any length says nothing.
pub(super) fn close_segment(tx: &mut Tx<'_>, row: &ClockRow, holder: Holder, to_at: Ts) -> Result<()> {
    db::insert_segments(tx.conn, closed_segment(row, holder, to_at).as_slice())
}

/// The same, not written yet.
pub(super) fn closed_segment(row: &ClockRow, holder: Holder, to_at: Ts) -> Option<SegmentRow> {
    let from_at = row.segment_from.filter(|from| *from < to_at)?;
    Some(SegmentRow {
        clock_id: row.id,
        from_at,
        to_at,
        running: row.segment_running,
        reason: row.segment_reason.clone(),
        queue_id: holder.queue_id,
        assignee_id: holder.assignee_id,
        calendar_version_id: row.calendar_version_id,
        carried: false,
    })
}

/// A clock as `sla` knows it, with the calendar version that its row names.
pub fn rebuild(
    conn: &mut Db,
    rules: &Rules,
    row: &ClockRow,
    history: &[SegmentRow],
) -> Result<(sla::Clock, std::sync::Arc<CalendarVersion>)> {
    let calendar = rules.calendar(conn, row.calendar_version_id)?;
    let clock = rebuild_by(conn, rules, row, history, &calendar)?;
    Ok((clock, calendar))
}

/// The same with another version of the calendar than the row names.
pub(super) fn rebuild_by(
    conn: &mut Db,
    rules: &Rules,
    row: &ClockRow,
    history: &[SegmentRow],
    calendar: &CalendarVersion,
) -> Result<sla::Clock> {
    let (earlier, own) = split_at_calendar(conn, rules, calendar, history)?;
    let before = carried_over(conn, rules, row, earlier)?;
    let mut segments: Vec<Segment> = own
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
    let clock = sla::Clock::from_segments(row.amount()?, segments, row.stopped_at.map(|at| at.0))
        .map_err(|cause| Error::internal("a stored clock is not valid", cause))?;
    Ok(clock.carrying(before))
}

/// The closed segments up to the last that another calendar counted, and those since. Versions of one calendar count
/// as one: a clock's whole time is counted by the version that its row names.
pub fn split_at_calendar<'a>(
    conn: &mut Db,
    rules: &Rules,
    calendar: &CalendarVersion,
    history: &'a [SegmentRow],
) -> Result<(&'a [SegmentRow], &'a [SegmentRow])> {
    let mut earlier = 0;
    for (position, segment) in history.iter().enumerate() {
        if segment.calendar_version_id != calendar.id
            && rules.calendar(conn, segment.calendar_version_id)?.calendar_id != calendar.calendar_id
        {
            earlier = position + 1;
        }
    }
    Ok(history.split_at_checked(earlier).unwrap_or((&[], history)))
}

fn carried_over(
    conn: &mut Db,
    rules: &Rules,
    row: &ClockRow,
    earlier: &[SegmentRow],
) -> Result<Option<Before>> {
    if earlier.is_empty() {
        return Ok(None);
    }
    let mut before = Before {
        started_at: row.started_at.0,
        consumed_business_seconds: 0,
        paused_business_seconds: 0,
    };
    for segment in earlier {
        let timeline = rules.timeline(conn, segment.calendar_version_id)?;
        let seconds = timeline.elapsed(segment.from_at.0, segment.to_at.0);
        match segment.running {
            true => before.consumed_business_seconds += seconds,
            false => before.paused_business_seconds += seconds,
        }
    }
    Ok(Some(before))
}

/// Write what the clock says as of `now` into its row. Warnings that were noticed but now lie ahead again, because the
/// due moved away, will be noticed again.
pub(super) fn write_figures(
    row: &mut ClockRow,
    clock: &sla::Clock,
    timeline: &Timeline,
    thresholds: &[u8],
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
    // A breach that nobody has noticed yet stays for `settle`, which also tells people.
    row.breached_at = match row.stopped_at {
        Some(_) => figures.breached_at.map(Ts::from),
        None => row.breached_at.and(figures.breached_at.map(Ts::from)),
    };
    let warnings = Warnings::of(clock, timeline, thresholds)?;
    if let Some((percent, at)) = warnings.last_before(row.warned_percent, now) {
        row.warned_percent = percent;
        row.warned_at = Some(at);
    } else {
        row.warned_percent = 0;
        row.warned_at = None;
    }
    row.warn_at = warnings.next_after(row.warned_percent);
    row.next_notice_at = next_notice(row);
    Ok(())
}

/// When each of a clock's thresholds is reached, ascending; only those that will be as things stand.
pub(super) struct Warnings(Vec<(i16, Ts)>);

impl Warnings {
    pub(super) fn of(clock: &sla::Clock, timeline: &Timeline, thresholds: &[u8]) -> Result<Warnings> {
        let mut instants = Vec::with_capacity(thresholds.len());
        for percent in thresholds {
            let at = clock.warn_at(timeline, *percent).map_err(no_working_time)?;
            instants.extend(at.map(|at| (i16::from(*percent), Ts::from(at))));
        }
        Ok(Warnings(instants))
    }

    fn last_before(&self, noticed: i16, now: DateTime<Utc>) -> Option<(i16, Ts)> {
        self.0
            .iter()
            .rfind(|(percent, at)| *percent <= noticed && at.0 <= now)
            .copied()
    }

    pub(super) fn next_after(&self, noticed: i16) -> Option<Ts> {
        self.0
            .iter()
            .find(|(percent, _)| *percent > noticed)
            .map(|(_, at)| *at)
    }

    /// Those that are not noticed and have come true.
    pub(super) fn come_true(&self, noticed: i16, now: DateTime<Utc>) -> Vec<(i16, Ts)> {
        self.0
            .iter()
            .filter(|(percent, at)| *percent > noticed && at.0 <= now)
            .copied()
            .collect()
    }
}

pub(super) fn next_notice(row: &ClockRow) -> Option<Ts> {
    if !row.is_open() || row.breached_at.is_some() {
        return None;
    }
    let breach = row.due_at.map(|due| Ts(due.0 + Duration::seconds(1)));
    // A paused clock has no due, but may have reached a threshold before it was paused.
    row.warn_at.into_iter().chain(breach).min()
}

pub fn no_working_time(_: NoWorkingTime) -> Error {
    Error::Conflict(Conflict::NoWorkingTime)
}
