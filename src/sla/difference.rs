//! Where two calendars differ: from which local date to which their working hours are not the same. Names, sources and
//! the order of what is written make no difference.
use std::collections::BTreeSet;

use chrono::{Days, NaiveDate, NaiveTime, TimeDelta};

use super::Instant;
use super::calendar::{Calendar, Pattern};

/// The span of local dates outside of which two calendars have the same hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// None: from the beginning of time.
    pub first: Option<NaiveDate>,
    /// None: without end.
    pub last: Option<NaiveDate>,
}

/// Local dates begin at most so long before and after the UTC date.
const WIDEST_OFFSET: TimeDelta = TimeDelta::hours(15);

impl Difference {
    /// None where both calendars count every second alike.
    pub fn between(one: &Calendar, other: &Calendar) -> Option<Difference> {
        if one.time_zone() != other.time_zone() {
            return Some(Difference {
                first: None,
                last: None,
            });
        }
        let exceptions = one.exceptions().iter().chain(other.exceptions());
        let differing = exceptions
            .map(|exception| exception.date)
            .filter(|date| one.intervals_on(*date) != other.intervals_on(*date));
        let dates: Vec<NaiveDate> = differing.collect();
        let by_date = dates.iter().min().zip(dates.iter().max());
        let by_date = by_date.map(|(first, last)| (*first, Some(*last)));
        let spans = [by_date, patterns_differ(one, other)];
        let spans = || spans.iter().flatten();
        let first = spans().map(|(first, _)| *first).min()?;
        let open_ended = spans().any(|(_, last)| last.is_none());
        let last = spans().filter_map(|(_, last)| *last).max();
        Some(Difference {
            first: Some(first),
            last: last.filter(|_| !open_ended),
        })
    }

    /// Whether what is counted from `from` until `until` (None: without end) can differ. May say yes where it does not:
    /// the edges are taken a day wide, for night shifts and time zones.
    pub fn touches(&self, from: Instant, until: Option<Instant>) -> bool {
        let after_the_end = self.last.is_some_and(|last| {
            let end = last.checked_add_days(Days::new(2)).unwrap_or(NaiveDate::MAX);
            from > end.and_time(NaiveTime::MIN).and_utc() + WIDEST_OFFSET
        });
        let before_the_start = self
            .first
            .zip(until)
            .is_some_and(|(first, until)| until < first.and_time(NaiveTime::MIN).and_utc() - WIDEST_OFFSET);
        !after_the_end && !before_the_start
    }
}

/// From the first date on which another pattern is valid, to the last one if the patterns agree after it.
fn patterns_differ(one: &Calendar, other: &Calendar) -> Option<(NaiveDate, Option<NaiveDate>)> {
    let begins: BTreeSet<NaiveDate> = one
        .patterns
        .iter()
        .chain(&other.patterns)
        .map(|pattern| pattern.valid_from)
        .collect();
    let mut span: Option<(NaiveDate, Option<NaiveDate>)> = None;
    let mut differs_now = false;
    for date in begins {
        let weekly = |calendar| weekly_on(calendar, date).map(|pattern| &pattern.weekly);
        let differs = weekly(one) != weekly(other);
        if differs {
            span = Some((span.map_or(date, |(first, _)| first), None));
        } else if differs_now && let Some((first, _)) = span {
            span = Some((first, date.pred_opt()));
        }
        differs_now = differs;
    }
    span
}

fn weekly_on(calendar: &Calendar, date: NaiveDate) -> Option<&Pattern> {
    let valid = calendar
        .patterns
        .partition_point(|pattern| pattern.valid_from <= date);
    calendar.patterns.get(valid.checked_sub(1)?)
}
