//! Why a stretch of time counted as it did: local date by local date, the intervals that were counted and what lay
//! between them; and how a target in days came to its date.
//!
//! Invariants (properties in tests/explanations.rs): the pieces of a stretch are in order, disjoint and leave no second
//! out; those that count sum up to `elapsed`. A shift belongs to the date on which it opens, also after midnight; where
//! shifts of neighbouring dates overlap the earlier one counts.
//!
//! The cost grows with the dates of the stretch, not with the calendar.
use chrono::{Datelike, Days, NaiveDate, Weekday};

use super::calendar::{Exception, ExceptionKind};
use super::policy::Amount;
use super::timeline::{NoWorkingTime, Timeline, instant, ten_years_after};
use super::{Clock, Instant, window};

/// What a local date is in its calendar.
#[derive(serde::Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// With the weekly hours.
    WorkingDay,
    /// A day without weekly hours that an exception makes a working day.
    MakeUpDay,
    /// A working day on which an exception takes the place of the weekly hours.
    ChangedHours,
    /// An exception closes it.
    ClosedDay,
    /// Saturday or Sunday without weekly hours.
    Weekend,
    /// Another weekday without weekly hours.
    WeekdayWithoutHours,
    /// Before the calendar's oldest hours: nobody has decided any.
    NoHoursDecided,
}

/// Why a piece of time did not count.
#[derive(serde::Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    BeforeOpening,
    /// Between two intervals of the date, for instance over lunch.
    Break,
    AfterClosing,
    /// No interval opens on the date.
    DayOff,
}

/// `[from, to)`, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub from: Instant,
    pub to: Instant,
    /// `None` where it counted.
    pub skipped: Option<Skipped>,
}

impl Piece {
    pub fn seconds(&self) -> i64 {
        self.to.timestamp() - self.from.timestamp()
    }
}

/// A local date's part of a stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct DayAccount<'a> {
    pub date: NaiveDate,
    pub kind: DayKind,
    pub exception: Option<&'a Exception>,
    /// In order; never empty.
    pub pieces: Vec<Piece>,
}

impl DayAccount<'_> {
    /// The intervals of the date that counted.
    pub fn counted(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(|piece| piece.skipped.is_none())
    }

    pub fn business_seconds(&self) -> i64 {
        self.counted().map(Piece::seconds).sum()
    }
}

/// A date on the way of a target in days.
#[derive(Clone, Debug, PartialEq)]
pub struct DayStep<'a> {
    pub date: NaiveDate,
    pub kind: DayKind,
    pub exception: Option<&'a Exception>,
    /// Which of the target's days it is; `None` for one that is not counted.
    pub number: Option<u32>,
}

impl Clock {
    /// Where the days of a target in days are counted from; that day itself is not.
    pub fn days_counted_from(&self) -> Option<Instant> {
        let first = self.segments.first()?;
        Some(self.before.map_or(first.from, |before| before.started_at))
    }
}

impl Timeline {
    /// Every second of `[from, to)` with the reason why it counted or not. Fractions of a second are cut.
    pub fn account(&self, from: Instant, to: Instant) -> Vec<DayAccount<'_>> {
        let mut sweep = Sweep {
            reached: from.timestamp(),
            end: to.timestamp(),
            pieces: Vec::new(),
        };
        let zone = self.calendar().time_zone();
        let mut days = Vec::new();
        // A shift closes at most two dates after the one on which it opens; one more for the changes of wall clocks.
        let Some(mut date) = self.local_date(from).checked_sub_days(Days::new(3)) else {
            return days;
        };
        while sweep.reached < sweep.end {
            let Some(next) = date.succ_opt() else { break };
            let mut shifts: Vec<(i64, i64)> = (self.calendar().intervals_on(date).iter())
                .filter_map(|interval| window::utc_seconds(zone, date, *interval))
                .collect();
            shifts.sort_unstable();
            let mut before = Skipped::BeforeOpening;
            for (open, close) in &shifts {
                sweep.to(*open, Some(before));
                sweep.to(*close, None);
                before = Skipped::Break;
            }
            let rest = if shifts.is_empty() {
                Skipped::DayOff
            } else {
                Skipped::AfterClosing
            };
            let Some(end) = window::beginning_of_date(zone, next) else {
                break;
            };
            sweep.to(end, Some(rest));
            let pieces: Vec<Piece> = sweep.pieces.drain(..).collect();
            if !pieces.is_empty() {
                days.push(DayAccount {
                    date,
                    kind: self.kind_of(date),
                    exception: self.calendar().exception_on(date),
                    pieces,
                });
            }
            date = next;
        }
        days
    }

    /// The dates over which a target in days is counted (Civil Code 2015, articles 147 and 148), the day of the start
    /// left out; none for one in minutes.
    pub fn day_steps(&self, start: Instant, amount: Amount) -> Result<Vec<DayStep<'_>>, NoWorkingTime> {
        let (days, only_working) = match amount {
            Amount::BusinessMinutes(_) => return Ok(Vec::new()),
            Amount::BusinessDays(days) => (days, true),
            Amount::CalendarDays(days) => (days, false),
        };
        let none = NoWorkingTime { after: start };
        let first = self.local_date(start);
        let last = ten_years_after(first).ok_or(none)?;
        let (mut steps, mut counted) = (Vec::new(), 0);
        for date in first.iter_days().skip(1).take_while(|date| *date <= last) {
            if counted == days && (only_working || self.is_settled(&steps)) {
                return Ok(steps);
            }
            let counts = counted < days && (!only_working || self.is_working_date(date));
            counted += u32::from(counts);
            steps.push(DayStep {
                date,
                kind: self.kind_of(date),
                exception: self.calendar().exception_on(date),
                number: counts.then_some(counted),
            });
        }
        Err(none)
    }

    /// A term in calendar days does not end on a day off, but on the next working day.
    fn is_settled(&self, steps: &[DayStep<'_>]) -> bool {
        steps.last().is_none_or(|last| self.is_working_date(last.date))
    }

    fn kind_of(&self, date: NaiveDate) -> DayKind {
        let calendar = self.calendar();
        let regular = calendar.regular_intervals_on(date);
        let has_regular = regular.is_some_and(|intervals| !intervals.is_empty());
        match calendar.exception_on(date) {
            Some(exception) if exception.intervals.is_empty() => DayKind::ClosedDay,
            Some(exception) if exception.written.kind == Some(ExceptionKind::MakeUp) || !has_regular => {
                DayKind::MakeUpDay
            }
            Some(_) => DayKind::ChangedHours,
            None if has_regular => DayKind::WorkingDay,
            None if regular.is_none() => DayKind::NoHoursDecided,
            None if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) => DayKind::Weekend,
            None => DayKind::WeekdayWithoutHours,
        }
    }
}

/// Walks over a stretch and cuts it into pieces.
struct Sweep {
    reached: i64,
    end: i64,
    pieces: Vec<Piece>,
}

impl Sweep {
    fn to(&mut self, second: i64, skipped: Option<Skipped>) {
        let to = second.min(self.end);
        if to <= self.reached {
            return;
        }
        if let (Some(from), Some(until)) = (instant(self.reached), instant(to)) {
            self.pieces.push(Piece {
                from,
                to: until,
                skipped,
            });
        }
        self.reached = to;
    }
}
