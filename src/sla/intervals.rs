//! Working intervals of one local date: parsing `["08:00","12:00"]` and refusing what cannot be meant.
use super::calendar::IntervalSpec;
use super::problem::{SpecProblem, SpecRule};

pub(super) const DAY: u32 = 86_400;

/// Intervals that one date may have. Real ones have two or three; the bound keeps a compiled calendar small.
pub(super) const MAX_INTERVALS: usize = 24;

/// `[open, close)` in wall-clock seconds since the midnight that opens the date. A night shift closes after
/// [`DAY`]: it belongs to the date on which it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalInterval {
    /// Seconds since the date's midnight, below 86 400.
    pub open_seconds: u32,
    /// Seconds since the date's midnight, above `open_seconds` and below twice 86 400.
    pub close_seconds: u32,
}

/// The intervals of one date, sorted. Problems go to `problems`; the intervals that are sound are returned anyway, so
/// that the check can go on and find the rest.
pub(super) fn check_intervals(
    specs: &[IntervalSpec],
    pointer: &str,
    problems: &mut Vec<SpecProblem>,
) -> Vec<LocalInterval> {
    if specs.len() > MAX_INTERVALS {
        problems.push(SpecProblem::new(
            pointer,
            SpecRule::TooManyIntervals,
            format!(
                "a date may have at most {MAX_INTERVALS} intervals, this one has {}",
                specs.len()
            ),
        ));
        return Vec::new();
    }
    let mut sound: Vec<(LocalInterval, usize)> = Vec::with_capacity(specs.len());
    for (position, spec) in specs.iter().enumerate() {
        if let Some(interval) = check_interval(spec, &format!("{pointer}/{position}"), problems) {
            sound.push((interval, position));
        }
    }
    sound.sort_unstable();
    let mut reached: Option<(u32, usize)> = None;
    for (interval, position) in &sound {
        if let Some((close, other)) = reached
            && interval.open_seconds < close
        {
            // Report the one that stands later in the document, whatever its time: it is the one just added.
            let (named, against) = ((*position).max(other), (*position).min(other));
            problems.push(SpecProblem::new(
                format!("{pointer}/{named}"),
                SpecRule::OverlappingIntervals,
                format!("overlaps with interval {against} of the same date"),
            ));
        }
        if reached.is_none_or(|(close, _)| interval.close_seconds > close) {
            reached = Some((interval.close_seconds, *position));
        }
    }
    sound.into_iter().map(|(interval, _)| interval).collect()
}

fn check_interval(
    IntervalSpec(open, close): &IntervalSpec,
    pointer: &str,
    problems: &mut Vec<SpecProblem>,
) -> Option<LocalInterval> {
    let mut time = |text: &str, side: u8, last: u32| {
        let seconds = parse_time(text).filter(|seconds| *seconds <= last);
        if seconds.is_none() {
            let rule = if side == 0 {
                "an opening time is HH:MM or HH:MM:SS from 00:00 to 23:59:59"
            } else {
                "a closing time is HH:MM or HH:MM:SS from 00:00 to 24:00"
            };
            problems.push(SpecProblem::new(
                format!("{pointer}/{side}"),
                SpecRule::BadTime,
                rule,
            ));
        }
        seconds
    };
    let (open_seconds, close_seconds) = (time(open, 0, DAY - 1), time(close, 1, DAY));
    let (open_seconds, close_seconds) = (open_seconds?, close_seconds?);
    if open_seconds == close_seconds {
        problems.push(SpecProblem::new(
            pointer,
            SpecRule::EmptyInterval,
            "opens and closes at the same time; a whole day is 00:00 to 24:00, no work is an empty list",
        ));
        return None;
    }
    let close_seconds = if close_seconds < open_seconds {
        close_seconds + DAY
    } else {
        close_seconds
    };
    Some(LocalInterval {
        open_seconds,
        close_seconds,
    })
}

/// `HH:MM` or `HH:MM:SS`, two ASCII digits each, up to and including 24:00. Stricter than chrono's parser, which takes
/// `8:5`, signs and a leap second: a typing error should not become somebody's closing time.
fn parse_time(text: &str) -> Option<u32> {
    let mut parts = text.split(':');
    let (hours, minutes) = (two_digits(parts.next()?)?, two_digits(parts.next()?)?);
    let seconds = match parts.next() {
        Some(part) => two_digits(part)?,
        None => 0,
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    (parts.next().is_none() && minutes < 60 && seconds < 60 && total <= DAY).then_some(total)
}

fn two_digits(text: &str) -> Option<u32> {
    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}
