//! The versions of a calendar, each with who made it, why, and what used it. A version is never changed and never goes: what
//! was computed with it can be read and computed again.
mod db;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::Queryable;
use serde::Serialize;

use super::{CalendarRecord, Name, get_calendar, ical};
use crate::error::{Error, Result};
use crate::language::Language;
use crate::sla::calendar::{CalendarSpec, ExceptionSpec};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Json, Ts};

#[derive(Debug, Clone, Queryable)]
pub struct VersionRecord {
    pub id: i64,
    pub version: i64,
    pub definition: Json,
    pub author: String,
    pub reason: String,
    pub created_at: Ts,
}

/// What names a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub open_clocks: i64,
    pub stopped_clocks: i64,
    pub segments: i64,
    /// Codes of policies that count by it; only of the version in force.
    pub policies: Vec<String>,
}

/// What a version did to the clocks that were open when it came into force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecountRow {
    pub clocks: i64,
    pub moved_earlier: i64,
    pub moved_later: i64,
    pub verdicts_changed: i64,
    /// `None` while clocks are left.
    pub finished_at: Option<DateTime<Utc>>,
}

/// A version, whole.
#[derive(Debug, Clone)]
pub struct VersionView {
    pub calendar: CalendarRecord,
    pub record: VersionRecord,
    pub used_by: Usage,
    pub recount: Option<RecountRow>,
}

/// A page of a calendar's versions, newest first, with the number of the one in force.
pub fn list_versions(
    conn: &mut Db,
    calendar: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Result<(Page<VersionRecord>, i64)> {
    let calendar = get_calendar(conn, calendar)?;
    let binding = format!("calendar-versions {}", calendar.id);
    let before = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list_versions(conn, calendar.id, before, limit + 1)?;
    let page = Page::from_rows(rows, limit, &binding, |version| version.version)?;
    Ok((page, calendar.version))
}

pub fn get_version(conn: &mut Db, calendar: &str, version: i64) -> Result<VersionView> {
    let calendar = get_calendar(conn, calendar)?;
    let record = db::get_version(conn, calendar.id, version)?;
    let in_force = record.version == calendar.version;
    let used_by = db::count_usage(conn, calendar.id, record.id, in_force)?;
    let recount = db::find_recount(conn, record.id)?;
    Ok(VersionView {
        calendar,
        record,
        used_by,
        recount,
    })
}

/// Exceptions of the version in force by date.
pub struct ExceptionQuestion {
    pub from: Option<NaiveDate>,
    /// Exclusive.
    pub to: Option<NaiveDate>,
    pub cursor: Option<String>,
    pub limit: i64,
}

pub fn list_exceptions(
    conn: &mut Db,
    calendar: &str,
    question: &ExceptionQuestion,
) -> Result<Page<ExceptionSpec>> {
    let calendar = get_calendar(conn, calendar)?;
    let (from, to) = (question.from, question.to);
    // A cursor goes on in the version in force: dates do not shift as positions would.
    let binding = format!("calendar-exceptions {} {from:?} {to:?}", calendar.id);
    let after = question.cursor.as_deref();
    let after = after
        .map(|cursor| decode_cursor::<String>(&binding, cursor))
        .transpose()?;
    // YYYY-MM-DD compares as text.
    let (from, to) = (from.map(|date| date.to_string()), to.map(|date| date.to_string()));
    let mut found = definition_of(&calendar)?.exceptions;
    found.retain(|exception| {
        let date = &exception.date;
        from.as_ref().is_none_or(|from| date >= from)
            && to.as_ref().is_none_or(|to| date < to)
            && after.as_ref().is_none_or(|after| date > after)
    });
    found.sort_by(|a, b| a.date.cmp(&b.date));
    found.truncate(usize::try_from(question.limit + 1).unwrap_or(usize::MAX));
    Page::from_rows(found, question.limit, &binding, |exception| {
        exception.date.clone()
    })
}

/// The calendar in force as an iCalendar file in this language.
pub fn export_ical(conn: &mut Db, calendar: &CalendarRecord, language: Language) -> Result<String> {
    let version = db::get_version(conn, calendar.id, calendar.version)?;
    let subject = ical::Subject {
        uid: calendar.uid.to_string(),
        name: Name {
            vi: calendar.name_vi.clone(),
            en: calendar.name_en.clone(),
        },
        version: version.version,
        created_at: version.created_at.0,
    };
    Ok(ical::write(&subject, &definition_of(calendar)?, language))
}

/// A stored calendar as it was written.
pub fn definition_of(calendar: &CalendarRecord) -> Result<CalendarSpec> {
    serde_json::from_value(calendar.definition.0.clone())
        .map_err(|cause| Error::internal("a stored calendar cannot be read", cause))
}
