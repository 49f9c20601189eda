//! Working time as a line: how many business seconds lie between two instants, when so many are used up, and the days
//! of the Civil Code. `elapsed` and `due` are two binary searches in a compiled window.
//!
//! Invariants (properties in tests/laws.rs): `elapsed` is additive; `elapsed(s, due(s, n)) == n`; `due` is monotone.
//! Every question has a bounded cost: a due lies at most ten years ahead, and an `elapsed` over any span compiles at
//! most the 300 years in which calendars may have dates, beyond which the weekly pattern repeats.
//!
//! Refuses: a due where the working time of ten years does not suffice ([`NoWorkingTime`]).
use std::sync::OnceLock;

use chrono::{DateTime, Days, Months, NaiveDate, Offset, TimeZone, Utc};

use super::Instant;
use super::calendar::Calendar;
use super::window::{self, COUNT, FIRST_SECOND, PERIODIC_FROM, WEEK, Window};

/// Ten calendar years are never shorter, so what is nearer needs no calendar arithmetic.
const SURELY_WITHIN_TEN_YEARS: i64 = 3_650 * 86_400;

/// The calendar does not have the working time asked for in the ten years after the instant. Never a made-up date.
#[derive(thiserror::Error, Clone, Copy, Debug, PartialEq, Eq)]
#[error("the calendar does not have the working time asked for in the ten years after {after}")]
pub struct NoWorkingTime {
    /// Where the counting began.
    pub after: Instant,
}

/// A calendar made ready for arithmetic. Share it: all methods take `&self` and read without a lock.
#[derive(Debug)]
pub struct Timeline {
    calendar: Calendar,
    windows: [OnceLock<Window>; COUNT],
}

impl Timeline {
    /// Compiles nothing yet.
    pub fn new(calendar: Calendar) -> Timeline {
        Timeline {
            calendar,
            windows: [const { OnceLock::new() }; COUNT],
        }
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Business seconds in `[from, to)`; 0 where `to <= from`.
    pub fn elapsed(&self, from: Instant, to: Instant) -> i64 {
        self.elapsed_seconds(from.timestamp(), to.timestamp())
    }

    /// The earliest instant t with `elapsed(start, t) >= business_seconds`; `start` itself for 0 or less. So a target
    /// used up exactly at closing time is due at the closing time.
    pub fn due(&self, start: Instant, business_seconds: i64) -> Result<Instant, NoWorkingTime> {
        let from = start.timestamp();
        if business_seconds <= 0 {
            return instant(from).ok_or(NoWorkingTime { after: start });
        }
        self.answer_within_ten_years(from, |window, second| {
            window.second_when_worked(window.worked_before(second).saturating_add(business_seconds))
        })
        .ok_or(NoWorkingTime { after: start })
    }

    /// [`Timeline::elapsed`] less the business seconds of the pauses. Pauses may overlap, touch or be out of order:
    /// their union counts. One that ends before it begins is empty.
    pub fn elapsed_without(&self, from: Instant, to: Instant, pauses: &[(Instant, Instant)]) -> i64 {
        let (from, to) = (from.timestamp(), to.timestamp());
        let paused: i64 = union(pauses)
            .into_iter()
            .map(|(begin, end)| self.elapsed_seconds(begin.max(from), end.min(to)))
            .sum();
        self.elapsed_seconds(from, to) - paused
    }

    /// The earliest instant t with `elapsed_without(start, t, pauses) >= business_seconds`. A pause that begins at or
    /// after it does not move it. The ten years count from the end of the last pause that does.
    pub fn due_with_pauses(
        &self,
        start: Instant,
        business_seconds: i64,
        pauses: &[(Instant, Instant)],
    ) -> Result<Instant, NoWorkingTime> {
        let mut running_from = start.timestamp();
        let mut remaining = business_seconds;
        if remaining > 0 {
            for (begin, end) in union(pauses) {
                let worked = self.elapsed_seconds(running_from, begin);
                if worked >= remaining {
                    break;
                }
                remaining -= worked;
                running_from = running_from.max(end);
            }
        }
        let running_from = instant(running_from).ok_or(NoWorkingTime { after: start })?;
        self.due(running_from, remaining)
    }

    /// Whether the local date has a working second of its own. A night shift counts for the date on which it opens.
    pub fn is_working_date(&self, date: NaiveDate) -> bool {
        self.last_closing_on(date).is_some()
    }

    /// Whether the second that begins at `at` is a business second.
    pub fn is_open(&self, at: Instant) -> bool {
        let second = at.timestamp();
        self.elapsed_seconds(second, second.saturating_add(1)) == 1
    }

    /// The earliest working instant that is not before `at` (`at` itself where it is open), within ten years.
    pub fn next_opening(&self, at: Instant) -> Option<Instant> {
        self.answer_within_ten_years(at.timestamp(), Window::working_second_from)
    }

    /// The local date at an instant.
    pub fn local_date(&self, at: Instant) -> NaiveDate {
        let utc = at.naive_utc();
        let offset = self.calendar.time_zone().offset_from_utc_datetime(&utc).fix();
        // At the ends of chrono's 262,000 years the local time has no date any more; the UTC date will do there.
        utc.checked_add_offset(offset).unwrap_or(utc).date()
    }

    /// The last closing time of the n-th working day after the local date of `start`, which is not counted (Civil Code
    /// 2015, art. 147). `start` itself for 0 days.
    pub fn end_of_business_day_after(&self, start: Instant, days: u32) -> Result<Instant, NoWorkingTime> {
        let none = NoWorkingTime { after: start };
        if days == 0 {
            return instant(start.timestamp()).ok_or(none);
        }
        let mut left = days;
        let first = self.local_date(start);
        let last = ten_years_after(first).ok_or(none)?;
        for date in first.iter_days().skip(1).take_while(|date| *date <= last) {
            if let Some(closing) = self.last_closing_on(date) {
                left -= 1;
                if left == 0 {
                    return in_ten_years(start.timestamp(), closing).ok_or(none);
                }
            }
        }
        Err(none)
    }

    /// The end (24:00 local) of the n-th day after the local date of `start`, which is not counted; where that is a
    /// day off, of the next working day (Civil Code 2015, art. 148). `start` itself for 0 days.
    pub fn end_of_calendar_day_after(&self, start: Instant, days: u32) -> Result<Instant, NoWorkingTime> {
        let none = NoWorkingTime { after: start };
        if days == 0 {
            return instant(start.timestamp()).ok_or(none);
        }
        let first = self.local_date(start);
        let last = ten_years_after(first).ok_or(none)?;
        let nominal = first.checked_add_days(Days::new(days.into())).ok_or(none)?;
        let mut dates = nominal.iter_days().take_while(|date| *date <= last);
        dates
            .find(|date| self.is_working_date(*date))
            .and_then(|date| window::end_of_date(self.calendar.time_zone(), date))
            .and_then(|end| in_ten_years(start.timestamp(), end))
            .ok_or(none)
    }

    /// The last closing time of the intervals that open on a local date; `None` on a day off.
    fn last_closing_on(&self, date: NaiveDate) -> Option<i64> {
        let zone = self.calendar.time_zone();
        let intervals = self.calendar.intervals_on(date).iter();
        intervals
            .filter_map(|interval| window::utc_seconds(zone, date, *interval))
            .map(|(_, close)| close)
            .max()
    }

    /// Asks the window of `second` for a later second at most ten years away.
    fn answer_within_ten_years(
        &self,
        second: i64,
        ask: impl Fn(&Window, i64) -> Option<i64>,
    ) -> Option<Instant> {
        // Each week of the periodic part is like its first: ask that one and move the answer.
        let weeks = if second < PERIODIC_FROM {
            0
        } else {
            (second - PERIODIC_FROM) / WEEK * WEEK
        };
        let asked = (second - weeks).max(FIRST_SECOND);
        let answer = ask(self.window(window::index_of(asked))?, asked)?;
        in_ten_years(second, answer.checked_add(weeks)?)
    }

    fn elapsed_seconds(&self, from: i64, to: i64) -> i64 {
        let from = from.max(FIRST_SECOND);
        if to <= from {
            return 0;
        }
        if to > PERIODIC_FROM {
            let dated = self.elapsed_seconds(from, PERIODIC_FROM);
            return dated + self.periodic_seconds(to) - self.periodic_seconds(from.max(PERIODIC_FROM));
        }
        let (mut from, mut worked) = (from, 0);
        while let Some(window) = self.window(window::index_of(from)) {
            let until = to.min(window.end());
            worked += window.worked_before(until) - window.worked_before(from);
            if until == to {
                break;
            }
            from = until;
        }
        worked
    }

    /// Business seconds from the beginning of the periodic part to `second`.
    fn periodic_seconds(&self, second: i64) -> i64 {
        let Some(window) = self.window(COUNT - 1) else {
            return 0;
        };
        let since = second - PERIODIC_FROM;
        let week = window.worked_before(PERIODIC_FROM + WEEK);
        since / WEEK * week + window.worked_before(PERIODIC_FROM + since % WEEK)
    }

    fn window(&self, index: usize) -> Option<&Window> {
        Some(
            self.windows
                .get(index)?
                .get_or_init(|| Window::compile(&self.calendar, index)),
        )
    }
}

/// The pauses as sorted, disjoint stretches.
fn union(pauses: &[(Instant, Instant)]) -> Vec<(i64, i64)> {
    let mut union: Vec<(i64, i64)> = pauses
        .iter()
        .map(|(a, b)| (a.timestamp(), b.timestamp()))
        .collect();
    union.retain(|(begin, end)| begin < end);
    union.sort_unstable();
    union.dedup_by(|next, joined| {
        let joins = next.0 <= joined.1;
        if joins {
            joined.1 = joined.1.max(next.1);
        }
        joins
    });
    union
}

pub(super) fn instant(second: i64) -> Option<Instant> {
    DateTime::<Utc>::from_timestamp(second, 0)
}

pub(super) fn ten_years_after(date: NaiveDate) -> Option<NaiveDate> {
    date.checked_add_months(Months::new(120))
}

fn in_ten_years(start: i64, found: i64) -> Option<Instant> {
    let answer = instant(found)?;
    if found - start > SURELY_WITHIN_TEN_YEARS {
        let last = instant(start)?.checked_add_months(Months::new(120))?;
        return (answer <= last).then_some(answer);
    }
    Some(answer)
}
