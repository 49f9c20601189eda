//! Compiled working time: the intervals of a stretch of twenty years as a sorted array with a prefix sum of seconds.
//!
//! Windows begin every eight years, so two instants at most twelve years apart always share one, and so do a start and
//! its due. Each is compiled when it is first asked for, then read without a lock (a read-write lock around one growing
//! array would make all threads write the same cache line). Nothing is compiled beyond [`PERIODIC_FROM`]: there the
//! calendar repeats every week, see timeline.rs.
use chrono::{DateTime, Days, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::calendar::{Calendar, LocalInterval};

const DAY: i64 = 86_400;
pub(super) const WEEK: i64 = 7 * DAY;

/// 1899-12-30T00:00:00Z: no working second lies before it, because calendars begin in 1900 (UTC+14 at the most).
pub(super) const FIRST_SECOND: i64 = -2_209_161_600;
const STRIDE: i64 = 2_922 * DAY;
const LENGTH: i64 = 7_305 * DAY;
const STRIDES: i64 = 38;
/// Windows in all; the last one begins at [`PERIODIC_FROM`].
pub(super) const COUNT: usize = 39;

/// 2204-01-02: calendars end in 2199 and the time zone database writes no change after 2099
/// (`no_time_zone_changes_after_the_periodic_part_begins` holds us to it), so each week is like the one before.
pub(super) const PERIODIC_FROM: i64 = FIRST_SECOND + STRIDES * STRIDE;

/// `[open, close)` in UTC seconds, and the business seconds of the window before it.
#[derive(Clone, Copy, Debug)]
struct Span {
    open: i64,
    close: i64,
    before: i64,
}

#[derive(Debug)]
pub(super) struct Window {
    start: i64,
    end: i64,
    spans: Vec<Span>,
    by_open: Coarse,
    by_before: Coarse,
}

/// A coarse index over sorted keys: where to begin and end the binary search. It stays in the first-level cache, which
/// the 250 KB of a window's intervals do not.
#[derive(Debug)]
struct Coarse {
    width: i64,
    /// By bucket: how many keys are less than `bucket * width`.
    below: Vec<usize>,
}

const BUCKETS: i64 = 1_024;

impl Coarse {
    /// `keys` are sorted and lie in `0..=greatest`.
    fn new(keys: impl Iterator<Item = i64>, greatest: i64) -> Coarse {
        let width = greatest / BUCKETS + 1;
        let mut below = Vec::new();
        let mut count = 0;
        for key in keys {
            while i64::try_from(below.len()).is_ok_and(|bucket| bucket * width <= key) {
                below.push(count);
            }
            count += 1;
        }
        below.push(count);
        Coarse { width, below }
    }

    /// The positions between which keys around `key` lie; all keys before them are less, all after them greater.
    fn range(&self, key: i64) -> Option<(usize, usize)> {
        let bucket = usize::try_from(key / self.width).ok()?;
        let last = self.below.last().copied()?;
        let low = self.below.get(bucket).copied().unwrap_or(last);
        Some((low, self.below.get(bucket + 1).copied().unwrap_or(last)))
    }
}

/// The window in which `second` lies with at least twelve years to follow.
pub(super) fn index_of(second: i64) -> usize {
    usize::try_from((second - FIRST_SECOND).div_euclid(STRIDE))
        .unwrap_or(0)
        .min(COUNT - 1)
}

impl Window {
    pub(super) fn compile(calendar: &Calendar, index: usize) -> Window {
        let start = FIRST_SECOND + i64::try_from(index).unwrap_or(0) * STRIDE;
        let end = start + LENGTH;
        let (Some(first), Some(last)) = (date_of(start), date_of(end)) else {
            return Window::new(start, end, Vec::new());
        };
        // A night shift in UTC-12 closes up to 60 hours after its date begins in UTC; hence the three days.
        let mut date = first - Days::new(3);
        let mut spans: Vec<Span> = Vec::new();
        while date <= last + Days::new(1) {
            for interval in calendar.intervals_on(date) {
                if let Some((open, close)) = utc_seconds(calendar.time_zone(), date, *interval) {
                    spans.push(Span {
                        open: open.max(start),
                        close: close.min(end),
                        before: 0,
                    });
                }
            }
            date = date + Days::new(1);
        }
        spans.retain(|span| span.open < span.close);
        spans.sort_unstable_by_key(|span| span.open);
        // Shifts of neighbouring dates may overlap, and intervals that touch are one.
        spans.dedup_by(|next, joined| {
            let joins = next.open <= joined.close;
            if joins {
                joined.close = joined.close.max(next.close);
            }
            joins
        });
        let mut before = 0;
        for span in &mut spans {
            span.before = before;
            before += span.close - span.open;
        }
        spans.shrink_to_fit();
        Window::new(start, end, spans)
    }

    fn new(start: i64, end: i64, spans: Vec<Span>) -> Window {
        let by_open = Coarse::new(spans.iter().map(|span| span.open - start), end - start);
        let worked = spans.last().map_or(0, |span| span.before);
        let by_before = Coarse::new(spans.iter().map(|span| span.before), worked);
        Window {
            start,
            end,
            spans,
            by_open,
            by_before,
        }
    }

    /// How many spans fulfil a condition that only the first ones fulfil, the last of them in `range`.
    fn count(&self, range: Option<(usize, usize)>, condition: impl Fn(&Span) -> bool) -> Option<usize> {
        let (low, high) = range?;
        Some(low + self.spans.get(low..high)?.partition_point(condition))
    }

    /// First second after the window.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// Business seconds from the window's start to `second`.
    pub(super) fn worked_before(&self, second: i64) -> i64 {
        let opened = self.count(self.by_open.range(second - self.start), |span| {
            span.open <= second
        });
        match opened.and_then(|opened| self.spans.get(opened.checked_sub(1)?)) {
            Some(span) => span.before + (second.min(span.close) - span.open),
            None => 0,
        }
    }

    /// The earliest second t with `worked_before(t) >= worked`, for `worked > 0`.
    pub(super) fn second_when_worked(&self, worked: i64) -> Option<i64> {
        let begun = self.count(self.by_before.range(worked), |span| span.before < worked)?;
        let span = self.spans.get(begun.checked_sub(1)?)?;
        let into_span = worked - span.before;
        (into_span <= span.close - span.open).then(|| span.open + into_span)
    }

    /// The earliest working second that is not before `second`.
    pub(super) fn working_second_from(&self, second: i64) -> Option<i64> {
        let closed = self.spans.partition_point(|span| span.close <= second);
        self.spans.get(closed).map(|span| span.open.max(second))
    }
}

fn date_of(second: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp(second, 0).map(|instant| instant.date_naive())
}

/// An interval of a local date in UTC seconds; `None` where a DST gap swallows it.
pub(super) fn utc_seconds(zone: Tz, date: NaiveDate, interval: LocalInterval) -> Option<(i64, i64)> {
    let open = opening_second(zone, local_time(date, interval.open_seconds)?);
    let close = closing_second(zone, local_time(date, interval.close_seconds)?);
    (open < close).then_some((open, close))
}

/// The first second of a local date. Where the wall clock jumps over its midnight, that of the jump.
pub(super) fn beginning_of_date(zone: Tz, date: NaiveDate) -> Option<i64> {
    Some(opening_second(zone, local_time(date, 0)?))
}

/// The second at which a local date ends: 24:00 is a closing time like any other.
pub(super) fn end_of_date(zone: Tz, date: NaiveDate) -> Option<i64> {
    Some(closing_second(zone, local_time(date, super::intervals::DAY)?))
}

fn local_time(date: NaiveDate, seconds: u32) -> Option<NaiveDateTime> {
    date.and_hms_opt(0, 0, 0)?
        .checked_add_signed(TimeDelta::seconds(seconds.into()))
}

/// In a DST overlap an opening time is the earlier instant.
fn opening_second(zone: Tz, local: NaiveDateTime) -> i64 {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(instant) => instant.timestamp(),
        MappedLocalTime::Ambiguous(one, other) => one.timestamp().min(other.timestamp()),
        MappedLocalTime::None => second_of_change(zone, local),
    }
}

/// In a DST overlap a closing time is the later instant.
fn closing_second(zone: Tz, local: NaiveDateTime) -> i64 {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(instant) => instant.timestamp(),
        MappedLocalTime::Ambiguous(one, other) => one.timestamp().max(other.timestamp()),
        MappedLocalTime::None => second_of_change(zone, local),
    }
}

/// The UTC second at which the wall clock jumps over `local`. chrono-tz does not publish its transitions, so it is
/// searched for: at `low` the wall clock is still before `local`, at `high` already after it.
fn second_of_change(zone: Tz, local: NaiveDateTime) -> i64 {
    let wanted = local.and_utc().timestamp();
    let wall_clock = |second: i64| {
        let instant = DateTime::from_timestamp(second, 0)
            .unwrap_or_default()
            .naive_utc();
        second + i64::from(zone.offset_from_utc_datetime(&instant).fix().local_minus_utc())
    };
    let (mut low, mut high) = (wanted - 2 * DAY, wanted + 2 * DAY);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if wall_clock(middle) < wanted {
            low = middle
        } else {
            high = middle
        }
    }
    high
}
