//! Stored working calendars, versioned: a version is never changed, so what was computed with it can be computed again.
//! The arithmetic itself is in `sla`; compiled versions are kept in memory by `rules`.
pub mod apply;
pub mod change;
pub mod csv;
pub(crate) mod db;
pub mod ical;
pub mod import;
pub mod versions;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

pub use change::CalendarChange;
pub use db::CalendarRecord;

use crate::error::{Conflict, Error, FieldCode, FieldError, Resource, Result};
use crate::rules::Rules;
use crate::sla::SpecProblem;
use crate::sla::calendar::{CalendarSpec, Certainty, ExceptionKind, ExceptionSpec};
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
                    code: problem.code.into(),
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

/// How far ahead deadlines usually reach; a year that begins within it should be decided, and its days confirmed.
pub const DECISION_HORIZON: Duration = Duration::days(60);

/// What a calendar says of the days off that are to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certainties {
    /// Years without any holiday by law that is confirmed. Days off are announced late; until they are stored they count
    /// as working days.
    pub undecided_years: Vec<i32>,
    /// Dates of exceptions that are counted with although they are not confirmed.
    pub unconfirmed: Vec<String>,
}

impl Certainties {
    /// Of the dates from the first to the last. Years before the oldest exception are not undecided: nobody wrote them down.
    fn of<'a>(
        exceptions: impl Iterator<Item = &'a ExceptionSpec>,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Self {
        let (mut oldest, mut decided) = (None, BTreeSet::new());
        let mut unconfirmed = BTreeSet::new();
        // YYYY-MM-DD compares as text.
        let (from, to) = (first.to_string(), last.to_string());
        for exception in exceptions {
            let year: Option<i32> = exception.date.get(..4).and_then(|year| year.parse().ok());
            let Some(year) = year else { continue };
            oldest = Some(oldest.map_or(year, |oldest: i32| oldest.min(year)));
            // Whoever says nothing of it stores it as it is.
            let is_certain = exception
                .certainty
                .is_none_or(|known| known == Certainty::Confirmed);
            if is_certain
                && exception.kind == Some(ExceptionKind::Statutory)
                && exception.intervals.is_empty()
            {
                decided.insert(year);
            }
            if !is_certain && (from.as_str()..=to.as_str()).contains(&exception.date.as_str()) {
                unconfirmed.insert(exception.date.clone());
            }
        }
        let begin = oldest.map_or(first.year(), |oldest| first.year().max(oldest));
        Certainties {
            undecided_years: (begin..=last.year())
                .filter(|year| !decided.contains(year))
                .collect(),
            unconfirmed: unconfirmed.into_iter().collect(),
        }
    }
}

/// The same of each calendar that is counted by, by its code: of the default one and those of policies in force.
pub fn certainties(
    conn: &mut Db,
    rules: &Rules,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<BTreeMap<String, Certainties>> {
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
    let told = calendars.into_iter().map(|calendar| {
        let exceptions = calendar.timeline.calendar().exceptions().iter();
        let date_of = |at| calendar.timeline.local_date(at);
        let certainties = Certainties::of(exceptions.map(|day| &day.written), date_of(from), date_of(to));
        (calendar.code.clone(), certainties)
    });
    Ok(told.collect())
}

impl CalendarRecord {
    /// From `now` to the horizon. Read from the stored definition and not from the compiled rules, which must not see a
    /// version whose transaction may still fail.
    pub fn certainties(&self, now: DateTime<Utc>) -> Result<Certainties> {
        let spec = versions::definition_of(self)?;
        let zone: chrono_tz::Tz = spec
            .time_zone
            .parse()
            .map_err(|cause| Error::internal("a stored calendar has no time zone", cause))?;
        let date_of = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
        let (first, last) = (date_of(now), date_of(now + DECISION_HORIZON));
        Ok(Certainties::of(spec.exceptions.iter(), first, last))
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
