//! Stored working calendars, versioned: a version is never changed, so what was computed with it can be computed again.
//! The arithmetic itself is in `sla`; compiled versions are kept in memory by `rules`.
pub mod apply;
pub mod change;
pub mod csv;
pub(crate) mod db;
pub mod ical;
pub mod import;
pub mod versions;

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

pub use change::CalendarChange;
pub use db::CalendarRecord;

use crate::error::{Conflict, Error, FieldCode, FieldError, Resource, Result};
use crate::rules::Rules;
use crate::sla::SpecProblem;
use crate::sla::calendar::CalendarSpec;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};

/// A name in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    pub vi: String,
    pub en: String,
}

/// A calendar to be stored.
#[derive(Debug, Clone)]
pub struct NewCalendar {
    pub code: String,
    pub name: Name,
    pub spec: CalendarSpec,
    pub is_default: bool,
}

/// Store a calendar as its first version. Refused whole where any part of it is wrong.
pub fn create_calendar(
    conn: &mut Db,
    new: &NewCalendar,
    author: &str,
    now: DateTime<Utc>,
) -> Result<CalendarRecord> {
    new.spec.check().map_err(field_errors)?;
    if !is_code(&new.code) {
        let expected =
            "at most 64 lower-case letters and digits, words joined by hyphens, beginning with a letter";
        return Err(Error::invalid_pointer(
            "/code",
            FieldCode::InvalidFormat { expected },
        ));
    }
    if db::find_calendar_by_code(conn, &new.code)?.is_some() {
        return Err(Error::Conflict(Conflict::CodeTaken));
    }
    let stored = NewCalendar {
        spec: change::in_order(new.spec.clone()),
        ..new.clone()
    };
    db::insert_calendar(conn, &stored, author, "created", now)
}

/// Words of a readable code; not a UUID, because whoever asks by it would be taken to mean an id.
pub fn is_code(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(is_word)
        && uuid::Uuid::parse_str(text).is_err()
}

/// The domain's own problems as fields of the request.
pub fn field_errors(problems: Vec<SpecProblem>) -> Error {
    let errors = problems
        .into_iter()
        .map(|problem| {
            FieldError::pointer(
                problem.pointer,
                FieldCode::Domain {
                    code: problem.code,
                    text: problem.message,
                },
            )
        })
        .collect();
    Error::Invalid(errors)
}

/// By UUID or code, in the version that is in force.
pub fn find_calendar(conn: &mut Db, id: &str) -> Result<Option<CalendarRecord>> {
    match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_calendar_by_uid(conn, Uid(uid)),
        Err(_) => db::find_calendar_by_code(conn, id),
    }
}

pub fn get_calendar(conn: &mut Db, id: &str) -> Result<CalendarRecord> {
    find_calendar(conn, id)?.ok_or(Error::NotFound(Resource::Calendar))
}

/// A page of calendars by code.
pub fn list_calendars(conn: &mut Db, cursor: Option<&str>, limit: i64) -> Result<Page<CalendarRecord>> {
    let after = cursor
        .map(|cursor| decode_cursor::<String>("calendars", cursor))
        .transpose()?;
    let rows = db::list_calendars(conn, after.as_deref(), limit + 1)?;
    Page::from_rows(rows, limit, "calendars", |calendar| calendar.code.clone())
}

/// How far ahead deadlines usually reach; a year that begins within it should be decided.
pub const DECISION_HORIZON: Duration = Duration::days(60);

/// The years of a span for which a calendar knows no exception at all. Days off are announced late; until they are stored
/// they count as working days. Years before its oldest exception are not undecided: nobody wrote them down.
fn years_without(decided: &BTreeSet<i32>, first: i32, last: i32) -> Vec<i32> {
    let first = decided.first().map_or(first, |oldest| first.max(*oldest));
    (first..=last).filter(|year| !decided.contains(year)).collect()
}

/// A year for which a calendar that is counted by knows no exception.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UndecidedYear {
    /// The calendar's code.
    pub calendar: String,
    pub year: i32,
}

/// The years from one instant to another that the default calendar does not know, or one by which a policy in force
/// counts; see [`CalendarRecord::undecided_years`].
pub fn undecided_years(
    conn: &mut Db,
    rules: &Rules,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<UndecidedYear>> {
    let default_id = db::get_default_calendar_version_id(conn)?;
    let mut calendars = vec![rules.calendar(conn, default_id)?];
    for policy in rules.policies_in_force(conn)? {
        if calendars
            .iter()
            .all(|known| known.calendar_id != policy.calendar_id)
        {
            calendars.push(rules.calendar_in_force(conn, policy.calendar_id)?);
        }
    }
    let mut found = Vec::new();
    for calendar in calendars {
        let exceptions = calendar.timeline.calendar().exceptions().iter();
        let decided = exceptions.map(|day| day.date.year()).collect();
        let year_of = |at| calendar.timeline.local_date(at).year();
        let years = years_without(&decided, year_of(from), year_of(to)).into_iter();
        found.extend(years.map(|year| UndecidedYear {
            calendar: calendar.code.clone(),
            year,
        }));
    }
    found.sort();
    Ok(found)
}

impl CalendarRecord {
    /// The years from `now` to the horizon without any exception. Read from the stored definition and not from the
    /// compiled rules, which must not see a version whose transaction may still fail.
    pub fn undecided_years(&self, now: DateTime<Utc>) -> Result<Vec<i32>> {
        let spec = versions::definition_of(self)?;
        let zone: chrono_tz::Tz = spec
            .time_zone
            .parse()
            .map_err(|cause| Error::internal("a stored calendar has no time zone", cause))?;
        let years = spec
            .exceptions
            .iter()
            .filter_map(|day| day.date.get(..4)?.parse().ok());
        let year_of = |at: DateTime<Utc>| at.with_timezone(&zone).year();
        Ok(years_without(
            &years.collect(),
            year_of(now),
            year_of(now + DECISION_HORIZON),
        ))
    }
}

/// When a date begins in the default calendar's time zone.
pub fn midnight(conn: &mut Db, rules: &Rules, date: NaiveDate) -> Result<DateTime<Utc>> {
    let version_id = db::get_default_calendar_version_id(conn)?;
    let zone = rules.timeline(conn, version_id)?.calendar().time_zone();
    let begin = date.and_time(NaiveTime::MIN);
    // Where the clock skips midnight the date begins at the end of the gap, at most a few hours later.
    let candidates = (0..=4).map(|quarters| begin + Duration::minutes(30 * quarters));
    let mut instants = candidates.filter_map(|local| zone.from_local_datetime(&local).earliest());
    let first = instants
        .next()
        .ok_or_else(|| Error::internal("a date without a beginning", date))?;
    Ok(first.with_timezone(&Utc))
}
