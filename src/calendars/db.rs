//! Queries over calendars and policies with their versions.
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::{NewCalendar, NewPolicy};
use crate::error::{Conflict, Error, Result, is_unique_violation};
use crate::store::schema::{calendar_versions, calendars, sla_policies, sla_policy_versions};
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

/// A policy in its newest version.
#[derive(Debug, Clone, Queryable)]
pub struct PolicyRecord {
    pub uid: Uid,
    pub code: String,
    pub name_vi: String,
    pub name_en: String,
    pub is_default: bool,
    pub version: i64,
    pub calendar_code: String,
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

pub fn get_default_calendar_version_id(conn: &mut Db) -> Result<i64> {
    Ok(calendar_versions::table
        .inner_join(calendars::table)
        .filter(calendars::is_default.eq(true))
        .order(calendar_versions::version.desc())
        .select(calendar_versions::id)
        .first(conn)?)
}

pub fn get_calendar_definition(conn: &mut Db, version_id: i64) -> Result<serde_json::Value> {
    let definition: Json = calendar_versions::table
        .find(version_id)
        .select(calendar_versions::definition)
        .first(conn)?;
    Ok(definition.0)
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

/// Another process created the same code between the check and the insert.
fn code_taken(cause: diesel::result::Error) -> Error {
    if is_unique_violation(&cause) {
        Error::Conflict(Conflict::CodeTaken)
    } else {
        cause.into()
    }
}

type PolicyColumns = (
    sla_policies::uid,
    sla_policies::code,
    sla_policies::name_vi,
    sla_policies::name_en,
    sla_policies::is_default,
    sla_policy_versions::version,
    calendars::code,
    sla_policy_versions::definition,
);
const POLICY_COLUMNS: PolicyColumns = (
    sla_policies::uid,
    sla_policies::code,
    sla_policies::name_vi,
    sla_policies::name_en,
    sla_policies::is_default,
    sla_policy_versions::version,
    calendars::code,
    sla_policy_versions::definition,
);

/// Only the newest version of each policy.
fn policy_in_force() -> SqlLiteral<Bool> {
    sql("sla_policy_versions.version = \
         (SELECT max(v.version) FROM sla_policy_versions v WHERE v.policy_id = sla_policies.id)")
}

#[diesel::dsl::auto_type]
fn versioned_policies() -> _ {
    sla_policies::table.inner_join(sla_policy_versions::table.inner_join(calendars::table))
}

pub fn find_policy_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<PolicyRecord>> {
    Ok(versioned_policies()
        .filter(policy_in_force())
        .filter(sla_policies::uid.eq(uid))
        .select(POLICY_COLUMNS)
        .first(conn)
        .optional()?)
}

pub fn find_policy_by_code(conn: &mut Db, code: &str) -> Result<Option<PolicyRecord>> {
    Ok(versioned_policies()
        .filter(policy_in_force())
        .filter(sla_policies::code.eq(code))
        .select(POLICY_COLUMNS)
        .first(conn)
        .optional()?)
}

pub fn list_policies(conn: &mut Db, after: Option<&str>, limit: i64) -> Result<Vec<PolicyRecord>> {
    let after = after.unwrap_or_default().to_owned();
    Ok(versioned_policies()
        .filter(policy_in_force())
        .filter(sla_policies::code.gt(after))
        .order(sla_policies::code)
        .limit(limit)
        .select(POLICY_COLUMNS)
        .load(conn)?)
}

pub fn get_policy_definition(conn: &mut Db, version_id: i64) -> Result<(i64, serde_json::Value)> {
    let (calendar_id, definition): (i64, Json) = sla_policy_versions::table
        .find(version_id)
        .select((sla_policy_versions::calendar_id, sla_policy_versions::definition))
        .first(conn)?;
    Ok((calendar_id, definition.0))
}

pub fn get_default_policy_version_id(conn: &mut Db) -> Result<i64> {
    Ok(sla_policy_versions::table
        .inner_join(sla_policies::table)
        .filter(sla_policies::is_default.eq(true))
        .order(sla_policy_versions::version.desc())
        .select(sla_policy_versions::id)
        .first(conn)?)
}

pub fn insert_policy(
    conn: &mut Db,
    new: &NewPolicy,
    calendar_id: i64,
    author: &str,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let definition = serde_json::to_value(&new.spec)
        .map_err(|cause| Error::internal("a policy cannot be written", cause))?;
    let now = Ts::from(now);
    let id: i64 = diesel::insert_into(sla_policies::table)
        .values((
            sla_policies::uid.eq(Uid::new()),
            sla_policies::code.eq(&new.code),
            sla_policies::name_vi.eq(&new.name.vi),
            sla_policies::name_en.eq(&new.name.en),
            sla_policies::is_default.eq(new.is_default),
            sla_policies::created_at.eq(now),
        ))
        .returning(sla_policies::id)
        .get_result(conn)
        .map_err(code_taken)?;
    diesel::insert_into(sla_policy_versions::table)
        .values((
            sla_policy_versions::policy_id.eq(id),
            sla_policy_versions::version.eq(1_i64),
            sla_policy_versions::calendar_id.eq(calendar_id),
            sla_policy_versions::definition.eq(Json(definition)),
            sla_policy_versions::author.eq(author),
            sla_policy_versions::reason.eq(reason),
            sla_policy_versions::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}
