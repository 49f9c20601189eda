//! What the clock promises, as sentences; the laws over random calendars are in laws.rs.
mod calendars;
mod clocks;
mod days;
mod differences;
mod escalations;
mod explanations;
mod laws;
mod lines;
mod policies;
mod purity;
mod reference;
mod zones;

use super::calendar::{CalendarSpec, ExceptionSpec, IntervalSpec, PatternSpec, WeeklySpec};
use super::{Instant, Timeline};

const OFFICE: &[(&str, &str)] = &[("08:00", "12:00"), ("13:30", "17:30")];

fn at(rfc3339: &str) -> Instant {
    rfc3339
        .parse::<chrono::DateTime<chrono::FixedOffset>>()
        .unwrap()
        .to_utc()
}

/// Vietnamese wall time, `2019-11-22 16:30` or with seconds.
fn vn(local: &str) -> Instant {
    let seconds = if local.len() == 16 { ":00" } else { "" };
    at(&format!("{}{seconds}+07:00", local.replace(' ', "T")))
}

fn intervals(pairs: &[(&str, &str)]) -> Vec<IntervalSpec> {
    pairs
        .iter()
        .map(|(open, close)| IntervalSpec::new(*open, *close))
        .collect()
}

fn weekdays(pairs: &[(&str, &str)]) -> WeeklySpec {
    let day = intervals(pairs);
    WeeklySpec {
        mon: day.clone(),
        tue: day.clone(),
        wed: day.clone(),
        thu: day.clone(),
        fri: day,
        ..WeeklySpec::default()
    }
}

fn every_day(pairs: &[(&str, &str)]) -> WeeklySpec {
    WeeklySpec {
        sat: intervals(pairs),
        sun: intervals(pairs),
        ..weekdays(pairs)
    }
}

fn calendar(time_zone: &str, valid_from: &str, weekly: WeeklySpec) -> CalendarSpec {
    CalendarSpec {
        time_zone: time_zone.into(),
        patterns: vec![PatternSpec {
            valid_from: valid_from.into(),
            weekly,
        }],
        exceptions: Vec::new(),
    }
}

fn exception(date: &str, pairs: &[(&str, &str)]) -> ExceptionSpec {
    ExceptionSpec {
        date: date.into(),
        intervals: intervals(pairs),
        name: None,
        legal_basis: None,
        kind: None,
        certainty: None,
        source: None,
    }
}

/// Mon-Fri 08:00-12:00 and 13:30-17:30, with the days off and the make-up Saturday of 2019 (dates as decided then).
fn vietnam() -> CalendarSpec {
    let mut spec = calendar("Asia/Ho_Chi_Minh", "2019-01-01", weekdays(OFFICE));
    let off = [
        "01-01", "02-04", "02-05", "02-06", "02-07", "02-08", "04-15", "04-29", "04-30", "05-01", "09-02",
    ];
    spec.exceptions = off
        .iter()
        .map(|day| exception(&format!("2019-{day}"), &[]))
        .collect();
    spec.exceptions.push(exception("2019-05-04", OFFICE));
    spec
}

fn line(spec: &CalendarSpec) -> Timeline {
    Timeline::new(spec.check().unwrap())
}

const HOUR: i64 = 3_600;
