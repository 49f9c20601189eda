//! The clock of one target of one ticket, as a history of segments, and what it says as of a given time.
//!
//! Invariants: segments are sorted and disjoint, only the last may be open; the figures depend on the history alone,
//! never on when or how often they are asked for; a breach once true stays true. Stopping at the due itself is in time:
//! a clock is breached if and only if it ran (or was asked) strictly after its due, also when no business second lies
//! in between, so that everybody who compares with the due that was shown comes to the same verdict.
//!
//! Refuses: changes to a stopped clock, and events before the segment that they would end.
use serde::{Deserialize, Serialize};

use super::Instant;
use super::policy::{Amount, ReopenRule};
use super::timeline::{NoWorkingTime, Timeline};

/// A part of a clock's history, `[from, to)`; open while it lasts.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub from: Instant,
    pub to: Option<Instant>,
    pub running: bool,
}

/// What a clock used up by the hours of another calendar before its first segment, because its ticket went over to a
/// policy with other hours: what was consumed is consumed, what was paused is paused.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub started_at: Instant,
    pub consumed_business_seconds: i64,
    pub paused_business_seconds: i64,
}

/// The history of one target. Time before the first segment and between segments does not count.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    pub amount: Amount,
    /// Carried over from another calendar; days are counted from its start all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    pub segments: Vec<Segment>,
    /// When the target was reached: the answer, the resolution.
    pub stopped_at: Option<Instant>,
}

/// What happens to a started clock.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum ClockEvent {
    Pause,
    Resume,
    Stop,
}

#[derive(thiserror::Error, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockError {
    #[error("the clock was stopped at {stopped_at} and its verdict stands")]
    Stopped { stopped_at: Instant },
    #[error("the clock is not stopped")]
    NotStopped,
    #[error("{at} lies before {last}, where the clock's history has got to")]
    OutOfOrder { at: Instant, last: Instant },
    #[error("segments must be sorted and disjoint, only the last one open, and none open in a stopped clock")]
    BadSegments,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    Running,
    Paused,
    Met,
    Breached,
}

impl ClockState {
    pub fn as_str(self) -> &'static str {
        match self {
            ClockState::Running => "running",
            ClockState::Paused => "paused",
            ClockState::Met => "met",
            ClockState::Breached => "breached",
        }
    }
}

/// What a clock says as of one time.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub state: ClockState,
    /// `None` while the clock is paused before its due: it keeps its remaining seconds instead.
    pub due_at: Option<Instant>,
    /// Business seconds of the running segments, also those after the due.
    pub consumed_business_seconds: i64,
    /// Business seconds of the paused segments.
    pub paused_business_seconds: i64,
    /// What is left of the target; 0 from the due on.
    pub remaining_business_seconds: i64,
    pub target_business_seconds: i64,
    /// The due itself, however late anybody looked.
    pub breached_at: Option<Instant>,
    /// When a clock that was in time was stopped.
    pub met_at: Option<Instant>,
}

/// One line of the explanation of a clock's figures.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedSegment {
    pub from: Instant,
    /// The end, or the time asked for while the segment lasts.
    pub to: Instant,
    pub running: bool,
    pub business_seconds: i64,
}

impl Amount {
    /// When a target that starts at `start` and is never paused is due.
    pub fn due_from(self, timeline: &Timeline, start: Instant) -> Result<Instant, NoWorkingTime> {
        match self {
            Amount::BusinessMinutes(minutes) => timeline.due(start, i64::from(minutes) * 60),
            Amount::BusinessDays(days) => timeline.end_of_business_day_after(start, days),
            Amount::CalendarDays(days) => timeline.end_of_calendar_day_after(start, days),
        }
    }
}

impl Clock {
    pub fn start(amount: Amount, at: Instant) -> Clock {
        Clock {
            amount,
            before: None,
            segments: vec![Segment {
                from: at,
                to: None,
                running: true,
            }],
            stopped_at: None,
        }
    }

    /// A clock from its stored history.
    pub fn from_segments(
        amount: Amount,
        segments: Vec<Segment>,
        stopped_at: Option<Instant>,
    ) -> Result<Clock, ClockError> {
        let each_sound = segments
            .iter()
            .all(|segment| segment.to.is_none_or(|to| segment.from <= to));
        let disjoint = segments
            .iter()
            .zip(segments.iter().skip(1))
            .all(|(one, next)| one.to.is_some_and(|to| to <= next.from));
        let ends_at_stop = stopped_at.is_none_or(|stop| {
            segments
                .last()
                .and_then(|segment| segment.to)
                .is_some_and(|to| to <= stop)
        });
        if segments.is_empty() || !each_sound || !disjoint || !ends_at_stop {
            return Err(ClockError::BadSegments);
        }
        Ok(Clock {
            amount,
            before: None,
            segments,
            stopped_at,
        })
    }

    /// The same clock with what it used up by another calendar before its first segment.
    pub fn carrying(self, before: Option<Before>) -> Clock {
        Clock { before, ..self }
    }

    /// A clock from events that were recorded in any order. At the same instant a pause comes before a resumption and
    /// both come before the stop.
    pub fn replay(
        amount: Amount,
        started_at: Instant,
        events: &[(Instant, ClockEvent)],
    ) -> Result<Clock, ClockError> {
        let mut ordered = events.to_vec();
        ordered.sort_unstable();
        let mut clock = Clock::start(amount, started_at);
        for (at, event) in ordered {
            match event {
                ClockEvent::Pause => clock.pause(at)?,
                ClockEvent::Resume => clock.resume(at)?,
                ClockEvent::Stop => clock.stop(at)?,
            }
        }
        Ok(clock)
    }

    /// Does nothing to a clock that is paused.
    pub fn pause(&mut self, at: Instant) -> Result<(), ClockError> {
        self.switch(false, at)
    }

    /// Does nothing to a clock that runs.
    pub fn resume(&mut self, at: Instant) -> Result<(), ClockError> {
        self.switch(true, at)
    }

    /// The target is reached. A second stop changes nothing: the first one counts.
    pub fn stop(&mut self, at: Instant) -> Result<(), ClockError> {
        if self.stopped_at.is_some() {
            return Ok(());
        }
        self.close_last_segment(at)?;
        self.stopped_at = Some(at);
        Ok(())
    }

    /// Gives an open clock another target, because the priority or the policy changed. Its history stays: what was
    /// consumed is consumed, what was paused is paused.
    pub fn retarget(&mut self, amount: Amount) -> Result<(), ClockError> {
        self.refuse_if_stopped()?;
        self.amount = amount;
        Ok(())
    }

    /// The clock that goes on after a reopening. `self` with its verdict is left as it is, for the caller to keep.
    /// A clock that continues after its due is breached, for that due has passed.
    pub fn reopen(&self, rule: ReopenRule, at: Instant) -> Result<Clock, ClockError> {
        let stopped_at = self.stopped_at.ok_or(ClockError::NotStopped)?;
        if at < stopped_at {
            return Err(ClockError::OutOfOrder { at, last: stopped_at });
        }
        Ok(match rule {
            ReopenRule::Continue => {
                let mut clock = Clock {
                    stopped_at: None,
                    ..self.clone()
                };
                clock.segments.push(Segment {
                    from: at,
                    to: None,
                    running: true,
                });
                clock
            }
            ReopenRule::Restart | ReopenRule::NewCycle => Clock::start(self.amount, at),
        })
    }

    /// What the clock says as of `now`. Events after `now` are not known yet, so that a past figure can be asked again.
    pub fn figures(&self, timeline: &Timeline, now: Instant) -> Result<Figures, NoWorkingTime> {
        let Some(started_at) = self.started_at() else {
            return Ok(Figures::not_started());
        };
        let target = self.target_seconds(timeline, started_at)?;
        let due_at = self.instant_of(timeline, started_at, target, target, Some(now))?;
        let stopped_at = self.stopped_at.filter(|stop| *stop <= now);
        let judged_at = stopped_at.unwrap_or(now);
        let breached_at = due_at.filter(|due| due.timestamp() < judged_at.timestamp());
        let state = if breached_at.is_some() {
            ClockState::Breached
        } else if stopped_at.is_some() {
            ClockState::Met
        } else if self.runs_at(now) {
            ClockState::Running
        } else {
            ClockState::Paused
        };
        let (mut consumed, mut paused) = self.before.map_or((0, 0), |before| {
            (before.consumed_business_seconds, before.paused_business_seconds)
        });
        let mut left = target - self.used_before(timeline, started_at);
        for segment in self.known(Some(now)) {
            let worked = timeline.elapsed(segment.from, segment.to.unwrap_or(now));
            if segment.running {
                consumed += worked;
                left -= worked;
            } else {
                paused += worked
            }
        }
        let used_up = due_at.is_some_and(|due| due.timestamp() <= judged_at.timestamp());
        Ok(Figures {
            state,
            due_at,
            consumed_business_seconds: consumed,
            paused_business_seconds: paused,
            remaining_business_seconds: if used_up { 0 } else { left.max(0) },
            target_business_seconds: target,
            breached_at,
            met_at: stopped_at.filter(|_| state == ClockState::Met),
        })
    }

    /// The segments behind the figures: the running ones sum up to `consumed_business_seconds`, the paused ones to
    /// `paused_business_seconds`.
    pub fn explain(&self, timeline: &Timeline, now: Instant) -> Vec<ExplainedSegment> {
        self.known(Some(now))
            .map(|Segment { from, to, running }| {
                let to = to.unwrap_or(now);
                ExplainedSegment {
                    from,
                    to,
                    running,
                    business_seconds: timeline.elapsed(from, to),
                }
            })
            .collect()
    }

    /// When the clock has or will have used up `percent` of its target (rounded up to the second); `None` while it is
    /// paused before that, and where it was stopped before that.
    pub fn warn_at(&self, timeline: &Timeline, percent: u8) -> Result<Option<Instant>, NoWorkingTime> {
        let Some(started_at) = self.started_at() else {
            return Ok(None);
        };
        let target = self.target_seconds(timeline, started_at)?;
        let threshold = (target * i64::from(percent) + 99) / 100;
        let warn_at = match self.before.is_some() && threshold <= self.used_before(timeline, started_at) {
            true => Some(started_at),
            false => self.instant_of(timeline, started_at, threshold, target, None)?,
        };
        Ok(warn_at.filter(|warn| {
            self.stopped_at
                .is_none_or(|stop| warn.timestamp() < stop.timestamp())
        }))
    }

    fn started_at(&self) -> Option<Instant> {
        self.segments.first().map(|segment| segment.from)
    }

    /// A clock that was paused when it went over to other hours: that pause began before, when it was in time.
    fn pause_carried_over(&self) -> Option<Instant> {
        self.before?;
        let first = self.segments.first()?;
        (!first.running).then_some(first.from)
    }

    /// Where the days of a target in days are counted from.
    fn counted_from(&self, started_at: Instant) -> Instant {
        self.before.map_or(started_at, |before| before.started_at)
    }

    /// The whole target in business seconds of the present calendar.
    fn target_seconds(&self, timeline: &Timeline, started_at: Instant) -> Result<i64, NoWorkingTime> {
        if let Amount::BusinessMinutes(minutes) = self.amount {
            return Ok(i64::from(minutes) * 60);
        }
        let start = self.counted_from(started_at);
        Ok(timeline.elapsed(start, self.amount.due_from(timeline, start)?))
    }

    /// How much of the target was gone when the first segment began. Days are dates: what lies between them is
    /// counted by the present calendar; minutes are counted as they were consumed.
    fn used_before(&self, timeline: &Timeline, started_at: Instant) -> i64 {
        let Some(before) = self.before else { return 0 };
        match self.amount {
            Amount::BusinessMinutes(_) => before.consumed_business_seconds,
            Amount::BusinessDays(_) | Amount::CalendarDays(_) => {
                let passed = timeline.elapsed(before.started_at, started_at);
                (passed - before.paused_business_seconds).max(0)
            }
        }
    }

    /// When `wanted` of the target's seconds are used up, as of a time; `None` while the clock is paused before that.
    fn instant_of(
        &self,
        timeline: &Timeline,
        started_at: Instant,
        wanted: i64,
        target: i64,
        as_of: Option<Instant>,
    ) -> Result<Option<Instant>, NoWorkingTime> {
        if let (Amount::BusinessMinutes(_), Some(before)) = (self.amount, self.before) {
            let left = (wanted - before.consumed_business_seconds).max(0);
            let base = timeline.due(started_at, left)?;
            return self.due_after(timeline, started_at, base, as_of);
        }
        let start = self.counted_from(started_at);
        let paused = self.before.map_or(0, |before| before.paused_business_seconds);
        let base = match wanted == target && paused == 0 {
            // A target in days may end after closing time.
            true => self.amount.due_from(timeline, start)?,
            false => timeline.due(start, wanted + paused)?,
        };
        self.due_after(timeline, start, base, as_of)
    }

    fn refuse_if_stopped(&self) -> Result<(), ClockError> {
        match self.stopped_at {
            Some(stopped_at) => Err(ClockError::Stopped { stopped_at }),
            None => Ok(()),
        }
    }

    fn switch(&mut self, running: bool, at: Instant) -> Result<(), ClockError> {
        self.refuse_if_stopped()?;
        if self
            .segments
            .last()
            .is_some_and(|last| last.to.is_none() && last.running == running)
        {
            return Ok(());
        }
        self.close_last_segment(at)?;
        self.segments.push(Segment {
            from: at,
            to: None,
            running,
        });
        Ok(())
    }

    fn close_last_segment(&mut self, at: Instant) -> Result<(), ClockError> {
        if let Some(segment) = self.segments.last_mut() {
            let last = segment.to.unwrap_or(segment.from);
            if at < last {
                return Err(ClockError::OutOfOrder { at, last });
            }
            segment.to.get_or_insert(at);
        }
        Ok(())
    }

    /// The segments as they were known at a time: later ones did not exist, later ends were open.
    fn known(&self, as_of: Option<Instant>) -> impl Iterator<Item = Segment> + '_ {
        let begun = move |at: Instant| as_of.is_none_or(|now| at <= now);
        self.segments
            .iter()
            .take_while(move |segment| begun(segment.from))
            .map(move |segment| Segment {
                to: segment.to.filter(|to| begun(*to)),
                ..*segment
            })
    }

    fn runs_at(&self, now: Instant) -> bool {
        // Before its first segment a clock waits for its start and is not paused by anybody.
        self.known(Some(now))
            .last()
            .is_none_or(|segment| segment.running && segment.to.is_none())
    }

    /// Moves `base`, the instant at which a clock that is never paused has used up its target, by the pauses. A day
    /// target's base may lie after closing time, so it is moved only where a pause took business seconds, and never
    /// into a pause: there a clock has no due.
    fn due_after(
        &self,
        timeline: &Timeline,
        started_at: Instant,
        base: Instant,
        as_of: Option<Instant>,
    ) -> Result<Option<Instant>, NoWorkingTime> {
        let target = timeline.elapsed(started_at, base);
        let (mut due, mut paused) = (base, 0);
        let carried_pause = self.pause_carried_over();
        for (begin, end) in self.stretches_not_running(as_of) {
            if begin.timestamp() >= due.timestamp() && carried_pause != Some(begin) {
                break;
            }
            let Some(end) = end else { return Ok(None) };
            paused += timeline.elapsed(begin, end);
            if paused > 0 {
                due = timeline.due(end, target + paused - timeline.elapsed(started_at, end))?;
            } else if due < end {
                due = timeline.due(end, 0)?;
            }
        }
        Ok(Some(due))
    }

    /// Pauses and the gaps between segments, in order; the last one is open while it lasts.
    fn stretches_not_running(&self, as_of: Option<Instant>) -> Vec<(Instant, Option<Instant>)> {
        let mut stretches = Vec::new();
        let mut reached: Option<Instant> = None;
        for segment in self.known(as_of) {
            if let Some(gap) = reached.filter(|end| *end < segment.from) {
                stretches.push((gap, Some(segment.from)));
            }
            if !segment.running {
                stretches.push((segment.from, segment.to));
            }
            reached = segment.to;
        }
        let stopped = self
            .stopped_at
            .is_some_and(|stop| as_of.is_none_or(|now| stop <= now));
        if let Some(end) = reached
            && !stopped
        {
            stretches.push((end, None));
        }
        stretches
    }
}

impl Figures {
    /// A clock without a history promises nothing yet.
    fn not_started() -> Figures {
        Figures {
            state: ClockState::Paused,
            due_at: None,
            consumed_business_seconds: 0,
            paused_business_seconds: 0,
            remaining_business_seconds: 0,
            target_business_seconds: 0,
            breached_at: None,
            met_at: None,
        }
    }
}
