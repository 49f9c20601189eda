//! A working calendar: a time zone, dated weekly patterns and dated exceptions; as it is written ([`CalendarSpec`], the
//! wire and stored shape) and as it is checked ([`Calendar`]).
//!
//! Invariants of a checked calendar: patterns and exceptions sorted and unique by date, intervals of a date sorted and
//! disjoint, the newest pattern works at some time. Before its oldest pattern a calendar has no hours (exceptions
//! apart): hours that nobody decided are not invented.
//!
//! Refuses: see the codes in [`CalendarSpec::check`].
use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

pub use super::intervals::LocalInterval;
use super::intervals::check_intervals;
use super::problem::{SpecProblem, SpecRule};

/// Years that a calendar's own dates may lie in. Dates asked of it may lie anywhere. The bound lets the timeline know
/// where nothing dated can follow any more (see window.rs).
pub const FIRST_YEAR: i32 = 1900;
pub const LAST_YEAR: i32 = 2199;

/// A calendar as written: `{"time_zone", "patterns", "exceptions"}`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CalendarSpec {
    /// IANA name, e.g. `Asia/Ho_Chi_Minh`.
    pub time_zone: String,
    /// In any order; each is valid from its date until the next one's.
    pub patterns: Vec<PatternSpec>,
    /// In any order, at most one a date.
    #[serde(default)]
    pub exceptions: Vec<ExceptionSpec>,
}

/// Weekly hours from a date on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PatternSpec {
    /// `YYYY-MM-DD`, the first local date with these hours.
    pub valid_from: String,
    pub weekly: WeeklySpec,
}

/// Intervals by weekday. A weekday that is not named has no work.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct WeeklySpec {
    pub mon: Vec<IntervalSpec>,
    pub tue: Vec<IntervalSpec>,
    pub wed: Vec<IntervalSpec>,
    pub thu: Vec<IntervalSpec>,
    pub fri: Vec<IntervalSpec>,
    pub sat: Vec<IntervalSpec>,
    pub sun: Vec<IntervalSpec>,
}

impl WeeklySpec {
    fn days(&self) -> [(&'static str, &[IntervalSpec]); 7] {
        [
            ("mon", &self.mon),
            ("tue", &self.tue),
            ("wed", &self.wed),
            ("thu", &self.thu),
            ("fri", &self.fri),
            ("sat", &self.sat),
            ("sun", &self.sun),
        ]
    }
}

/// `["08:00","12:00"]`: opening and closing time; a closing time before the opening one is on the next date.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct IntervalSpec(pub String, pub String);

impl IntervalSpec {
    pub fn new(open: impl Into<String>, close: impl Into<String>) -> Self {
        IntervalSpec(open.into(), close.into())
    }
}

/// One local date whose intervals replace the pattern's.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ExceptionSpec {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Empty is a day off.
    pub intervals: Vec<IntervalSpec>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ExceptionName>,
    /// The decision that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ExceptionKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certainty: Option<Certainty>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ExceptionName {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vi: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub en: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ExceptionKind {
    /// A holiday by law.
    Statutory,
    /// A weekday off because the holiday fell on a weekend.
    Compensatory,
    /// A weekday off that is worked on another date.
    Swap,
    /// The other date: a weekend day that is worked.
    MakeUp,
    Other,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    Confirmed,
    Projected,
    Uncertain,
}

impl CalendarSpec {
    /// Checks everything and collects all problems.
    ///
    /// Codes: `unknown_time_zone`, `bad_date`, `bad_time`, `empty_interval`, `overlapping_intervals`,
    /// `too_many_intervals`, `duplicate_date`, `duplicate_valid_from`, `no_pattern`, `no_working_time`.
    /// Patterns and exceptions out of order are fine.
    pub fn check(&self) -> Result<Calendar, Vec<SpecProblem>> {
        let mut problems = Vec::new();
        let time_zone = self.time_zone.parse::<Tz>().ok();
        if time_zone.is_none() {
            let message = "is not the name of an IANA time zone such as Asia/Ho_Chi_Minh";
            problems.push(SpecProblem::new("/time_zone", SpecRule::UnknownTimeZone, message));
        }
        let patterns = self.check_patterns(&mut problems);
        let exceptions = self.check_exceptions(&mut problems);
        match time_zone {
            Some(time_zone) if problems.is_empty() => Ok(Calendar {
                time_zone,
                patterns,
                exceptions,
            }),
            _ => Err(problems),
        }
    }

    fn check_patterns(&self, problems: &mut Vec<SpecProblem>) -> Vec<Pattern> {
        if self.patterns.is_empty() {
            let message = "a calendar needs at least one weekly pattern";
            problems.push(SpecProblem::new("/patterns", SpecRule::NoPattern, message));
        }
        let mut first_seen = BTreeMap::new();
        let mut newest: Option<(NaiveDate, usize)> = None;
        let mut patterns = Vec::with_capacity(self.patterns.len());
        for (position, spec) in self.patterns.iter().enumerate() {
            let pointer = format!("/patterns/{position}");
            let weekly = spec.weekly.days().map(|(day, intervals)| {
                check_intervals(intervals, &format!("{pointer}/weekly/{day}"), problems)
            });
            let Some(valid_from) = check_date(&spec.valid_from, &format!("{pointer}/valid_from"), problems)
            else {
                continue;
            };
            if let Some(other) = first_seen.insert(valid_from, position) {
                problems.push(SpecProblem::new(
                    format!("{pointer}/valid_from"),
                    SpecRule::DuplicateValidFrom,
                    format!("pattern {other} begins on the same date"),
                ));
            }
            if newest.is_none_or(|(date, _)| date <= valid_from) {
                newest = Some((valid_from, position));
            }
            patterns.push(Pattern { valid_from, weekly });
        }
        let newest = newest.and_then(|(_, position)| Some((position, self.patterns.get(position)?)));
        if let Some((position, spec)) = newest
            && spec
                .weekly
                .days()
                .iter()
                .all(|(_, intervals)| intervals.is_empty())
        {
            problems.push(SpecProblem::new(
                format!("/patterns/{position}/weekly"),
                SpecRule::NoWorkingTime,
                "the newest pattern has no working interval at all: no target could ever fall due",
            ));
        }
        patterns.sort_unstable_by_key(|pattern| pattern.valid_from);
        patterns
    }

    fn check_exceptions(&self, problems: &mut Vec<SpecProblem>) -> Vec<Exception> {
        let mut first_seen = BTreeMap::new();
        let mut exceptions = Vec::with_capacity(self.exceptions.len());
        for (position, spec) in self.exceptions.iter().enumerate() {
            let pointer = format!("/exceptions/{position}");
            let intervals = check_intervals(&spec.intervals, &format!("{pointer}/intervals"), problems);
            let Some(date) = check_date(&spec.date, &format!("{pointer}/date"), problems) else {
                continue;
            };
            if let Some(other) = first_seen.insert(date, position) {
                problems.push(SpecProblem::new(
                    format!("{pointer}/date"),
                    SpecRule::DuplicateDate,
                    format!("exception {other} is for the same date"),
                ));
            }
            exceptions.push(Exception {
                date,
                intervals,
                written: spec.clone(),
            });
        }
        exceptions.sort_unstable_by_key(|exception| exception.date);
        exceptions
    }
}

/// Exactly `YYYY-MM-DD`, wherever the house is told a date: chrono's parser alone would take signs, spaces and single
/// digits.
pub fn read_date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .filter(|date| date.format("%Y-%m-%d").to_string() == text)
}

fn check_date(text: &str, pointer: &str, problems: &mut Vec<SpecProblem>) -> Option<NaiveDate> {
    let date = read_date(text).filter(|date| (FIRST_YEAR..=LAST_YEAR).contains(&date.year()));
    if date.is_none() {
        let message = format!("a date is YYYY-MM-DD in the years {FIRST_YEAR} to {LAST_YEAR}");
        problems.push(SpecProblem::new(pointer, SpecRule::BadDate, message));
    }
    date
}

/// A calendar that keeps the rules above.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    time_zone: Tz,
    pub(super) patterns: Vec<Pattern>,
    exceptions: Vec<Exception>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    pub(super) valid_from: NaiveDate,
    /// From Monday to Sunday.
    pub(super) weekly: [Vec<LocalInterval>; 7],
}

/// A checked exception together with the words it was written with.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    pub date: NaiveDate,
    /// Sorted; empty is a day off.
    pub intervals: Vec<LocalInterval>,
    pub written: ExceptionSpec,
}

impl Calendar {
    pub fn time_zone(&self) -> Tz {
        self.time_zone
    }

    /// The dates from which each weekly pattern is valid, ascending.
    pub fn pattern_starts(&self) -> impl Iterator<Item = NaiveDate> {
        self.patterns.iter().map(|pattern| pattern.valid_from)
    }

    /// Sorted by date.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    pub fn exception_on(&self, date: NaiveDate) -> Option<&Exception> {
        let position = self
            .exceptions
            .binary_search_by_key(&date, |exception| exception.date)
            .ok()?;
        self.exceptions.get(position)
    }

    /// The wall-clock intervals that open on a local date, sorted: the exception's, else the valid pattern's.
    pub fn intervals_on(&self, date: NaiveDate) -> &[LocalInterval] {
        if let Some(exception) = self.exception_on(date) {
            return &exception.intervals;
        }
        self.regular_intervals_on(date).unwrap_or(&[])
    }

    /// The intervals of the weekly pattern, whatever an exception says; `None` before the oldest pattern.
    pub fn regular_intervals_on(&self, date: NaiveDate) -> Option<&[LocalInterval]> {
        let valid = self
            .patterns
            .partition_point(|pattern| pattern.valid_from <= date);
        valid
            .checked_sub(1)
            .and_then(|newest| self.patterns.get(newest))
            .and_then(|pattern| {
                let weekday = usize::try_from(date.weekday().num_days_from_monday()).ok()?;
                pattern.weekly.get(weekday)
            })
            .map(Vec::as_slice)
    }
}
