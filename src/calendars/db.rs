//! Queries over calendars with their versions.
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::{Name, NewCalendar};
use crate::error::{Conflict, Error, Result, is_unique_violation};
use crate::sla::CalendarSpec;
use crate::store::schema::{calendar_versions, calendars};
use crate::store::{Db, Json, Ts, Uid};

/// A calendar in its newest version, which is the one in force.
#[derive(Debug, Clone, Queryable)]
pub struct CalendarRecord {
    pub id: i64,
    pub uid: Uid,
    pub code: String,
    pub name_vi: String,
    pub name_en: String,
    pub is_default: bool,
    pub created_at: Ts,
    pub version_id: i64,
    pub version: i64,
    pub definition: Json,
}

type CalendarColumns = (
    calendars::id,
    calendars::uid,
    calendars::code,
    calendars::name_vi,
    calendars::name_en,
    calendars::is_default,
    calendars::created_at,
    calendar_versions::id,
    calendar_versions::version,
    calendar_versions::definition,
);
const CALENDAR_COLUMNS: CalendarColumns = (
    calendars::id,
    calendars::uid,
    calendars::code,
    calendars::name_vi,
    calendars::name_en,
    calendars::is_default,
    calendars::created_at,
    calendar_versions::id,
    calendar_versions::version,
    calendar_versions::definition,
);

/// Only the newest version of each calendar.
fn in_force() -> SqlLiteral<Bool> {
    sql("calendar_versions.version = \
         (SELECT max(v.version) FROM calendar_versions v WHERE v.calendar_id = calendars.id)")
}

#[diesel::dsl::auto_type]
fn versioned_calendars() -> _ {
    calendars::table.inner_join(calendar_versions::table)
}

pub fn find_calendar_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<CalendarRecord>> {
    Ok(versioned_calendars()
        .filter(in_force())
        .filter(calendars::uid.eq(uid))
        .select(CALENDAR_COLUMNS)
        .first(conn)
        .optional()?)
}

pub fn find_calendar_by_code(conn: &mut Db, code: &str) -> Result<Option<CalendarRecord>> {
    Ok(versioned_calendars()
        .filter(in_force())
        .filter(calendars::code.eq(code))
        .select(CALENDAR_COLUMNS)
        .first(conn)
        .optional()?)
}

pub fn list_calendars(conn: &mut Db, after: Option<&str>, limit: i64) -> Result<Vec<CalendarRecord>> {
    let after = after.unwrap_or_default().to_owned();
    Ok(versioned_calendars()
        .filter(in_force())
        .filter(calendars::code.gt(after))
        .order(calendars::code)
        .limit(limit)
        .select(CALENDAR_COLUMNS)
        .load(conn)?)
}

/// Id of the calendar's version in force.
pub fn get_current_version_id(conn: &mut Db, calendar_id: i64) -> Result<i64> {
    Ok(calendar_versions::table
        .filter(calendar_versions::calendar_id.eq(calendar_id))
        .order(calendar_versions::version.desc())
        .select(calendar_versions::id)
        .first(conn)?)
}

/// Id of the version that was in force at an instant; of the first one before there was any.
pub fn get_version_id_as_of(conn: &mut Db, calendar_id: i64, at: DateTime<Utc>) -> Result<i64> {
    let made = calendar_versions::table
        .filter(calendar_versions::calendar_id.eq(calendar_id))
        .select(calendar_versions::id);
    let then = made
        .filter(calendar_versions::created_at.le(Ts::from(at)))
        .order(calendar_versions::version.desc())
        .first(conn)
        .optional()?;
    match then {
        Some(id) => Ok(id),
        None => Ok(made.order(calendar_versions::version).first(conn)?),
    }
}

/// The version that followed this one, and when it was made.
pub fn find_next_version(conn: &mut Db, calendar_id: i64, version: i64) -> Result<Option<(i64, Ts)>> {
    Ok(calendar_versions::table
        .filter(calendar_versions::calendar_id.eq(calendar_id))
        .filter(calendar_versions::version.gt(version))
        .order(calendar_versions::version)
        .select((calendar_versions::id, calendar_versions::created_at))
        .first(conn)
        .optional()?)
}

pub fn get_default_calendar_version_id(conn: &mut Db) -> Result<i64> {
    Ok(calendar_versions::table
        .inner_join(calendars::table)
        .filter(calendars::is_default.eq(true))
        .order(calendar_versions::version.desc())
        .select(calendar_versions::id)
        .first(conn)?)
}

/// A version with the calendar that it belongs to.
#[derive(Debug, Clone, Queryable)]
pub struct CalendarVersionRow {
    pub calendar_id: i64,
    pub code: String,
    pub version: i64,
    pub definition: Json,
}

pub fn get_calendar_version(conn: &mut Db, version_id: i64) -> Result<CalendarVersionRow> {
    Ok(versioned_calendars()
        .filter(calendar_versions::id.eq(version_id))
        .select((
            calendars::id,
            calendars::code,
            calendar_versions::version,
            calendar_versions::definition,
        ))
        .first(conn)?)
}

pub fn insert_calendar(
    conn: &mut Db,
    new: &NewCalendar,
    author: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<CalendarRecord> {
    let definition = serde_json::to_value(&new.spec)
        .map_err(|cause| Error::internal("a calendar cannot be written", cause))?;
    let now = Ts::from(now);
    let uid = Uid::new();
    let id: i64 = diesel::insert_into(calendars::table)
        .values((
            calendars::uid.eq(uid),
            calendars::code.eq(&new.code),
            calendars::name_vi.eq(&new.name.vi),
            calendars::name_en.eq(&new.name.en),
            calendars::is_default.eq(new.is_default),
            calendars::created_at.eq(now),
        ))
        .returning(calendars::id)
        .get_result(conn)
        .map_err(code_taken)?;
    diesel::insert_into(calendar_versions::table)
        .values((
            calendar_versions::calendar_id.eq(id),
            calendar_versions::version.eq(1_i64),
            calendar_versions::definition.eq(Json(definition)),
            calendar_versions::author.eq(author),
            calendar_versions::reason.eq(reason),
            calendar_versions::created_at.eq(now),
        ))
        .execute(conn)?;
    find_calendar_by_uid(conn, uid)?.ok_or_else(|| Error::internal("a calendar vanished", id))
}

/// Let nobody else change the calendar until the end of the transaction. SQLite needs no lock: its writer is alone.
pub fn lock_calendar(conn: &mut Db, id: i64) -> Result<()> {
    if let Db::Pg(pg) = conn {
        calendars::table
            .find(id)
            .select(calendars::id)
            .for_no_key_update()
            .first::<i64>(pg)?;
    }
    Ok(())
}

pub fn rename_calendar(conn: &mut Db, id: i64, name: &Name) -> Result<()> {
    diesel::update(calendars::table.find(id))
        .set((calendars::name_vi.eq(&name.vi), calendars::name_en.eq(&name.en)))
        .execute(conn)?;
    Ok(())
}

/// Returns the version's id.
pub fn insert_version(
    conn: &mut Db,
    calendar_id: i64,
    version: i64,
    spec: &CalendarSpec,
    (author, reason): (&str, &str),
    now: DateTime<Utc>,
) -> Result<i64> {
    let definition =
        serde_json::to_value(spec).map_err(|cause| Error::internal("a calendar cannot be written", cause))?;
    Ok(diesel::insert_into(calendar_versions::table)
        .values((
            calendar_versions::calendar_id.eq(calendar_id),
            calendar_versions::version.eq(version),
            calendar_versions::definition.eq(Json(definition)),
            calendar_versions::author.eq(author),
            calendar_versions::reason.eq(reason),
            calendar_versions::created_at.eq(Ts::from(now)),
        ))
        .returning(calendar_versions::id)
        .get_result(conn)?)
}

/// Another process created the same code between the check and the insert.
pub fn code_taken(cause: diesel::result::Error) -> Error {
    if is_unique_violation(&cause) {
        Error::Conflict(Conflict::CodeTaken)
    } else {
        cause.into()
    }
}
