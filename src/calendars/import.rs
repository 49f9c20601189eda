//! What a file of holidays would do to a calendar. Readers (`ical`, `csv`) turn bytes into days; this compares the days with
//! the calendar and puts the difference as a [`CalendarChange`]. Pure: nothing is stored.
//!
//! A file speaks only of the days that it names, and of those only what it says: where the hours stay, a name or a legal
//! basis that the file leaves out is kept. With `replaced` years, days of these years that it does not name go.
//! Refuses: dates named twice with different content, intervals that the calendar's own check refuses, texts that are too
//! long, more than [`MAX_DAYS`] days.
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use serde::Serialize;

use super::change::CalendarChange;
use super::{csv, ical};
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::error::{Error, FieldCode, FieldError};
use crate::sla::calendar::{
    CalendarSpec, Certainty, ExceptionKind, ExceptionName, ExceptionSpec, IntervalSpec, PatternSpec,
    WeeklySpec,
};
use crate::text::{breaks_a_line, nfc};

/// Days that a file may name, and exceptions that a calendar may have, as the API has it for new calendars.
pub const MAX_DAYS: usize = 10_000;

/// Years that recurrences may be written out for at once.
pub const MAX_YEARS: i32 = 20;

/// Years that a file's recurrences are written out for.
pub type Years = RangeInclusive<i32>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    ICalendar,
    Csv,
}

/// A wrong place of a file; lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    pub line: u64,
    pub code: BrokenRule,
    pub message: String,
}

impl LineProblem {
    pub fn new(line: u64, code: impl Into<BrokenRule>, message: impl Into<String>) -> Self {
        LineProblem {
            line,
            code: code.into(),
            message: message.into(),
        }
    }
}

/// The problems as fields of the request: `/lines/7` is the seventh line of the file.
pub fn line_errors(problems: Vec<LineProblem>) -> Error {
    let errors = problems.into_iter().map(|problem| {
        let code = FieldCode::Domain {
            code: problem.code,
            text: format!("Line {}: {}.", problem.line, problem.message),
        };
        FieldError::pointer(format!("/lines/{}", problem.line), code)
    });
    Error::Invalid(errors.collect())
}

/// When a day is worked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hours {
    Off,
    /// As on a Monday of the pattern that is valid then: no act that we know gives make-up days other hours.
    LikeMonday,
    Given(Vec<(String, String)>),
}

/// What a file says of a day; what it leaves out is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    pub hours: Hours,
    pub kind: Option<ExceptionKind>,
    pub name_vi: Option<String>,
    pub name_en: Option<String>,
    pub legal_basis: Option<String>,
    pub certainty: Option<Certainty>,
    pub source: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedDay {
    pub line: u64,
    pub date: NaiveDate,
    /// `None`: a cancelled event, the date follows its weekday again.
    pub day: Option<Day>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Added,
    Changed,
    Removed,
}

/// A day that would be different.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DayEffect {
    pub date: String,
    pub effect: Effect,
    /// Line of the file; null for a day that goes because the file does not name it.
    pub line: Option<u64>,
    /// As it would be; null for a day that goes.
    pub exception: Option<ExceptionSpec>,
}

/// What would come of a file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ImportPlan {
    pub change: CalendarChange,
    pub added: usize,
    pub changed: usize,
    pub removed: usize,
    pub unchanged: usize,
    /// Those that would be different, by date.
    pub days: Vec<DayEffect>,
}

/// Read a file and compare it with the calendar.
pub fn plan_import(
    present: &CalendarSpec,
    bytes: &[u8],
    format: Format,
    years: &Years,
    replace: bool,
) -> Result<ImportPlan, Vec<LineProblem>> {
    let days = match format {
        Format::ICalendar => ical::read(bytes, years)?,
        Format::Csv => csv::read(bytes)?,
    };
    compare(present, days, replace.then_some(years))
}

fn compare(
    present: &CalendarSpec,
    days: Vec<ImportedDay>,
    replaced: Option<&Years>,
) -> Result<ImportPlan, Vec<LineProblem>> {
    let by_date = without_repetitions(days)?;
    let mut before: BTreeMap<&str, &ExceptionSpec> = BTreeMap::new();
    for exception in &present.exceptions {
        before.insert(&exception.date, exception);
    }
    let mut plan = ImportPlan::default();
    let mut problems = Vec::new();
    for (date, imported) in &by_date {
        let date = written(*date);
        let old = before.get(date.as_str()).copied();
        match &imported.day {
            None if old.is_some() => plan.remove(date, Some(imported.line)),
            None => plan.unchanged += 1,
            Some(day) => {
                let new = exception_of(imported.date, day, old, present);
                problems.extend(check(&new, imported.line));
                plan.set(new, old, imported.line);
            }
        }
    }
    for exception in &present.exceptions {
        let date = NaiveDate::parse_from_str(&exception.date, "%Y-%m-%d").ok();
        let goes = |date: &NaiveDate| {
            replaced.is_some_and(|years| years.contains(&date.year())) && !by_date.contains_key(date)
        };
        if date.as_ref().is_some_and(goes) {
            plan.remove(exception.date.clone(), None);
        }
    }
    plan.days.sort_by(|a, b| a.date.cmp(&b.date));
    if present.exceptions.len() + plan.added > MAX_DAYS + plan.removed {
        let message = format!("the calendar would have more than {MAX_DAYS} exceptions");
        problems.push(LineProblem::new(1, HouseRule::TooManyDays, message));
    }
    match problems.is_empty() {
        true => Ok(plan),
        false => Err(problems),
    }
}

fn written(date: NaiveDate) -> String {
    date.format("%Y-%m-%d").to_string()
}

/// A day may be named again (two calendars merged into a file), but not differently.
fn without_repetitions(days: Vec<ImportedDay>) -> Result<BTreeMap<NaiveDate, ImportedDay>, Vec<LineProblem>> {
    let mut by_date: BTreeMap<NaiveDate, ImportedDay> = BTreeMap::new();
    let mut problems = Vec::new();
    for day in days {
        match by_date.get(&day.date) {
            Some(first) if first.day != day.day => {
                let (date, other) = (written(day.date), first.line);
                let message = format!("{date} is something else than line {other} says");
                problems.push(LineProblem::new(day.line, HouseRule::ConflictingDay, message));
            }
            Some(_) => {}
            None => {
                by_date.insert(day.date, day);
            }
        }
    }
    match problems.is_empty() {
        true => Ok(by_date),
        false => Err(problems),
    }
}

/// The day as the calendar would have it. What the file leaves out stays as it was, unless the hours are others: then the
/// old name and legal basis were about something else.
fn exception_of(
    date: NaiveDate,
    day: &Day,
    old: Option<&ExceptionSpec>,
    present: &CalendarSpec,
) -> ExceptionSpec {
    let intervals = match &day.hours {
        Hours::Off => Vec::new(),
        Hours::LikeMonday => monday_hours(date, &present.patterns),
        Hours::Given(intervals) => intervals
            .iter()
            .map(|(open, close)| IntervalSpec::new(open, close))
            .collect(),
    };
    let kept = old.filter(|old| old.intervals == intervals);
    let kept_name = kept.and_then(|old| old.name.clone());
    let name = match (&day.name_vi, &day.name_en) {
        (None, None) => kept_name,
        (vi, en) => {
            let kept = kept_name.unwrap_or_default();
            Some(ExceptionName {
                vi: vi.clone().or(kept.vi),
                en: en.clone().or(kept.en),
            })
        }
    };
    ExceptionSpec {
        date: written(date),
        intervals,
        name,
        legal_basis: day.legal_basis.clone().or_else(|| kept?.legal_basis.clone()),
        kind: day.kind.or_else(|| kept?.kind),
        certainty: day.certainty.or_else(|| kept?.certainty),
        source: day.source.clone().or_else(|| kept?.source.clone()),
    }
}

fn monday_hours(date: NaiveDate, patterns: &[PatternSpec]) -> Vec<IntervalSpec> {
    // YYYY-MM-DD sorts as text.
    let date = written(date);
    patterns
        .iter()
        .filter(|pattern| pattern.valid_from <= date)
        .max_by(|a, b| a.valid_from.cmp(&b.valid_from))
        .map(|pattern| pattern.weekly.mon.clone())
        .unwrap_or_default()
}

/// The calendar's own check of one exception, with the lengths that the API allows its texts.
fn check(exception: &ExceptionSpec, line: u64) -> Vec<LineProblem> {
    let always = IntervalSpec::new("00:00", "24:00");
    let alone = CalendarSpec {
        time_zone: "UTC".into(),
        patterns: vec![PatternSpec {
            valid_from: "1900-01-01".into(),
            weekly: WeeklySpec {
                mon: vec![always],
                ..WeeklySpec::default()
            },
        }],
        exceptions: vec![exception.clone()],
    };
    let broken = alone.check().err().unwrap_or_default().into_iter();
    let mut problems: Vec<LineProblem> = broken
        .map(|problem| LineProblem::new(line, problem.code, problem.message))
        .collect();
    let name = exception.name.as_ref();
    let texts = [
        ("the Vietnamese name", name.and_then(|name| name.vi.as_ref()), 200),
        ("the English name", name.and_then(|name| name.en.as_ref()), 200),
        ("the legal basis", exception.legal_basis.as_ref(), 500),
        ("the source", exception.source.as_ref(), 500),
    ];
    for (what, text, max) in texts {
        let Some(text) = text else { continue };
        if text.chars().count() > max {
            let message = format!("{what} has more than {max} characters");
            problems.push(LineProblem::new(line, HouseRule::TextTooLong, message));
        }
        if text.chars().any(breaks_a_line) {
            let message = format!("{what} has control characters");
            problems.push(LineProblem::new(line, HouseRule::ControlCharacter, message));
        }
    }
    problems
}

impl ImportPlan {
    fn set(&mut self, new: ExceptionSpec, old: Option<&ExceptionSpec>, line: u64) {
        let effect = match old {
            Some(old) if *old == new => {
                self.unchanged += 1;
                return;
            }
            Some(_) => {
                self.changed += 1;
                Effect::Changed
            }
            None => {
                self.added += 1;
                Effect::Added
            }
        };
        self.days.push(DayEffect {
            date: new.date.clone(),
            effect,
            line: Some(line),
            exception: Some(new.clone()),
        });
        self.change.set_exceptions.push(new);
    }

    fn remove(&mut self, date: String, line: Option<u64>) {
        self.removed += 1;
        self.change.remove_exceptions.push(date.clone());
        self.days.push(DayEffect {
            date,
            effect: Effect::Removed,
            line,
            exception: None,
        });
    }
}

/// `08:00-12:00,13:30-17:30`, or `off`. The times themselves are checked with the calendar.
pub(super) fn parse_hours(text: &str) -> Option<Hours> {
    if text.eq_ignore_ascii_case("off") {
        return Some(Hours::Off);
    }
    let interval = |part: &str| {
        let (open, close) = part.trim().split_once('-')?;
        Some((open.trim().to_owned(), close.trim().to_owned()))
    };
    text.split(',')
        .map(interval)
        .collect::<Option<Vec<_>>>()
        .map(Hours::Given)
}

pub fn written_hours(intervals: &[IntervalSpec]) -> String {
    if intervals.is_empty() {
        return "off".into();
    }
    let parts = intervals
        .iter()
        .map(|IntervalSpec(open, close)| format!("{open}-{close}"));
    parts.collect::<Vec<_>>().join(",")
}

/// A kind as it is stored, by its name.
pub(super) fn parse_kind(text: &str) -> Option<ExceptionKind> {
    serde_json::from_value(serde_json::Value::String(text.to_ascii_lowercase())).ok()
}

pub(super) fn parse_certainty(text: &str) -> Option<Certainty> {
    serde_json::from_value(serde_json::Value::String(text.to_ascii_lowercase())).ok()
}

/// The name under which a kind or a certainty is stored.
pub(super) fn name_of(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

/// A text of one line in NFC; nothing where there is no letter in it.
pub(super) fn one_line(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(['\n', '\r', '\t']).map(str::trim).collect();
    let line = nfc(words.join(" ").trim());
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests;
