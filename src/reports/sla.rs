//! The definitions of the SLA report as pure arithmetic: one verdict per ticket and target, and the figures of a group.
//!
//! Rows say how a ticket stands now. What happened after `as_of` is undone: a reopening takes its cycle away, a stop
//! after `as_of` leaves the clock open, and an open clock is breached once its due has passed, noticed or not.
use std::borrow::Borrow;

use chrono::{DateTime, Utc};

use super::{SlaFigures, TargetFigures};
use crate::tickets::db::ClockState;

type Instant = DateTime<Utc>;

/// One clock of a target: the first, or that of a reopening.
#[derive(Debug, Clone)]
pub struct Cycle {
    pub number: i32,
    pub state: ClockState,
    pub due_at: Option<Instant>,
    pub stopped_at: Option<Instant>,
    pub consumed_seconds: i64,
}

/// What the rows of a ticket say of it now; cycles in their order.
#[derive(Debug, Clone, Default)]
pub struct Case {
    pub first_response_at: Option<Instant>,
    /// Of the resolution that stands; none once reopened.
    pub resolved_at: Option<Instant>,
    pub first_response: Vec<Cycle>,
    pub resolution: Vec<Cycle>,
    /// Each further time that the asker waited for an answer; those that began by `as_of`.
    pub next_response: Vec<Cycle>,
    pub cancelled_at: Option<Instant>,
}

/// Resolutions and reopenings of a ticket after `as_of`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaterTurns {
    pub reopenings: usize,
    /// The first of them was a reopening, so the ticket stood resolved until then.
    pub was_resolved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Met,
    Breached,
    Open,
    Stopped,
}

/// The verdict of one target and the business seconds that its last clock took to the answer, if it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub verdict: Verdict,
    pub seconds: Option<i64>,
}

/// A ticket as the report counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdicts {
    pub answered: bool,
    pub first_response: Option<Judged>,
    pub resolution: Option<Judged>,
    pub next_response: Option<Judged>,
}

impl Verdicts {
    pub fn of(case: &Case, later: LaterTurns, as_of: Instant) -> Verdicts {
        let answered = later.was_resolved || case.resolved_at.is_some_and(|at| at <= as_of);
        let responded = case.first_response_at.is_some_and(|at| at <= as_of);
        let last_answer = case.next_response.last().and_then(|cycle| cycle.stopped_at);
        let answered_again = last_answer.is_some() && last_answer != case.cancelled_at;
        // Each reopening begins one further resolution clock (`tickets::clocks::reopen`).
        let begun = case.resolution.len().saturating_sub(later.reopenings);
        Verdicts {
            answered,
            first_response: judge(&case.first_response, responded, as_of),
            resolution: judge(case.resolution.get(..begun).unwrap_or_default(), answered, as_of),
            next_response: judge(&case.next_response, answered_again, as_of),
        }
    }
}

/// All cycles together: one breach is a breach of the target, whatever came before or after.
fn judge(cycles: &[Cycle], answered: bool, as_of: Instant) -> Option<Judged> {
    let last = cycles.last()?;
    let verdict = [Verdict::Breached, Verdict::Open, Verdict::Met]
        .into_iter()
        .find(|wanted| cycles.iter().any(|cycle| cycle.verdict(as_of) == *wanted))
        .unwrap_or(Verdict::Stopped);
    // A clock that a cancellation stopped took no time to an answer, even if it was late.
    let counts = answered && last.is_stopped(as_of);
    Some(Judged {
        verdict,
        seconds: counts.then_some(last.consumed_seconds),
    })
}

impl Cycle {
    fn is_stopped(&self, as_of: Instant) -> bool {
        self.stopped_at.is_some_and(|at| at <= as_of)
    }

    /// A pause moves a due only while it lies ahead: one that a pause moved after `as_of` had not passed by then, before
    /// the move or after it. Moves by other rules are undone before (`Later::undo_moves`).
    fn verdict(&self, as_of: Instant) -> Verdict {
        match self.state {
            ClockState::Met if self.is_stopped(as_of) => Verdict::Met,
            ClockState::Stopped if self.is_stopped(as_of) => Verdict::Stopped,
            // Late by a whole second, as `sla::clock` has it.
            _ if self.due_at.is_some_and(|due| due.timestamp() < as_of.timestamp()) => Verdict::Breached,
            _ => Verdict::Open,
        }
    }
}

/// The tickets of one group, counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    filed: u64,
    answered: u64,
    first_response: TargetTally,
    resolution: TargetTally,
    next_response: TargetTally,
}

#[derive(Debug, Clone, Default)]
struct TargetTally {
    met: u64,
    breached: u64,
    open: u64,
    stopped: u64,
    seconds: Vec<u64>,
}

impl Tally {
    pub fn add(&mut self, ticket: &Verdicts) {
        self.filed += 1;
        self.answered += u64::from(ticket.answered);
        self.first_response.add(ticket.first_response);
        self.resolution.add(ticket.resolution);
        self.next_response.add(ticket.next_response);
    }

    /// Both groups as one: counts and seconds, so that percentiles of the whole are not averages of percentiles.
    pub fn joined(mut self, other: impl Borrow<Tally>) -> Tally {
        let other = other.borrow();
        self.filed += other.filed;
        self.answered += other.answered;
        self.first_response.join(&other.first_response);
        self.resolution.join(&other.resolution);
        self.next_response.join(&other.next_response);
        self
    }

    pub fn figures(self) -> SlaFigures {
        SlaFigures {
            filed: self.filed,
            answered: self.answered,
            first_response: self.first_response.figures(),
            resolution: self.resolution.figures(),
            next_response: self.next_response.figures(),
        }
    }
}

impl TargetTally {
    fn add(&mut self, judged: Option<Judged>) {
        let Some(judged) = judged else { return };
        match judged.verdict {
            Verdict::Met => self.met += 1,
            Verdict::Breached => self.breached += 1,
            Verdict::Open => self.open += 1,
            Verdict::Stopped => self.stopped += 1,
        }
        let seconds = judged.seconds.and_then(|seconds| u64::try_from(seconds).ok());
        self.seconds.extend(seconds);
    }

    fn join(&mut self, other: &TargetTally) {
        self.met += other.met;
        self.breached += other.breached;
        self.open += other.open;
        self.stopped += other.stopped;
        self.seconds.extend_from_slice(&other.seconds);
    }

    fn figures(mut self) -> TargetFigures {
        self.seconds.sort_unstable();
        let count = u64::try_from(self.seconds.len()).unwrap_or(u64::MAX);
        TargetFigures {
            met: self.met,
            breached: self.breached,
            open: self.open,
            stopped: self.stopped,
            compliance: quotient(self.met, self.met + self.breached),
            p50_business_seconds: nearest_rank(&self.seconds, 50),
            p90_business_seconds: nearest_rank(&self.seconds, 90),
            mean_business_seconds: quotient(self.seconds.iter().sum(), count),
        }
    }
}

/// The smallest value that at least `percent` of the sorted values do not exceed. Always a value that occurred; an
/// interpolated one could not be traced to a ticket.
pub fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn quotient(numerator: u64, denominator: u64) -> Option<f64> {
    (denominator > 0).then(|| float(numerator) / float(denominator))
}

/// Exact below 2^53, which no sum of seconds here reaches.
fn float(number: u64) -> f64 {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).map_or(0.0, f64::from);
    half(number >> 32) * 4_294_967_296.0 + half(number)
}
