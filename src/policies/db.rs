//! Queries over SLA policies with their versions.
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::NewPolicy;
use crate::calendars::Name;
use crate::calendars::db::code_taken;
use crate::error::{Error, Result};
use crate::store::schema::{calendars, sla_policies, sla_policy_versions, tickets};
use crate::store::{Db, Json, Ts, Uid};
use crate::tickets::lifecycle::State;

/// A policy in its newest version.
#[derive(Debug, Clone, Queryable)]
pub struct PolicyRecord {
    pub id: i64,
    pub uid: Uid,
    pub code: String,
    pub name_vi: String,
    pub name_en: String,
    pub is_default: bool,
    pub retired_at: Option<Ts>,
    pub version: i64,
    pub calendar_id: i64,
    pub calendar_code: String,
    pub definition: Json,
}

type PolicyColumns = (
    sla_policies::id,
    sla_policies::uid,
    sla_policies::code,
    sla_policies::name_vi,
    sla_policies::name_en,
    sla_policies::is_default,
    sla_policies::retired_at,
    sla_policy_versions::version,
    calendars::id,
    calendars::code,
    sla_policy_versions::definition,
);
const POLICY_COLUMNS: PolicyColumns = (
    sla_policies::id,
    sla_policies::uid,
    sla_policies::code,
    sla_policies::name_vi,
    sla_policies::name_en,
    sla_policies::is_default,
    sla_policies::retired_at,
    sla_policy_versions::version,
    calendars::id,
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

/// A version with the policy that it belongs to.
#[derive(Debug, Clone, Queryable)]
pub struct PolicyVersionRow {
    pub policy_id: i64,
    pub code: String,
    pub version: i64,
    pub is_default: bool,
    pub calendar_id: i64,
    pub definition: Json,
}

pub fn get_policy_version(conn: &mut Db, version_id: i64) -> Result<PolicyVersionRow> {
    Ok(sla_policy_versions::table
        .inner_join(sla_policies::table)
        .filter(sla_policy_versions::id.eq(version_id))
        .select((
            sla_policies::id,
            sla_policies::code,
            sla_policy_versions::version,
            sla_policies::is_default,
            sla_policy_versions::calendar_id,
            sla_policy_versions::definition,
        ))
        .first(conn)?)
}

/// The versions in force of the policies that new tickets may get.
pub fn list_version_ids_in_force(conn: &mut Db) -> Result<Vec<i64>> {
    Ok(sla_policies::table
        .inner_join(sla_policy_versions::table)
        .filter(policy_in_force())
        .filter(sla_policies::retired_at.is_null())
        .select(sla_policy_versions::id)
        .load(conn)?)
}

/// The versions that count by a calendar and that open tickets have.
pub fn list_version_ids_of_open_tickets(conn: &mut Db, calendar_id: i64) -> Result<Vec<i64>> {
    Ok(tickets::table
        .inner_join(sla_policy_versions::table)
        .filter(tickets::state.eq_any(State::OPEN))
        .filter(sla_policy_versions::calendar_id.eq(calendar_id))
        .select(tickets::policy_version_id)
        .distinct()
        .load(conn)?)
}

/// The version of the same policy that open tickets of this one go over to next, and when it was made.
pub fn find_next_for_open_tickets(conn: &mut Db, version_id: i64) -> Result<Option<(i64, Ts)>> {
    let own = diesel::alias!(sla_policy_versions as own);
    Ok(sla_policy_versions::table
        .inner_join(
            own.on(own
                .field(sla_policy_versions::policy_id)
                .eq(sla_policy_versions::policy_id)),
        )
        .filter(own.field(sla_policy_versions::id).eq(version_id))
        .filter(sla_policy_versions::version.gt(own.field(sla_policy_versions::version)))
        .filter(sla_policy_versions::applies_to_open.eq(true))
        .order(sla_policy_versions::version)
        .select((sla_policy_versions::id, sla_policy_versions::created_at))
        .first(conn)
        .optional()?)
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
    let policy_id = insert_policy_row(conn, &new.code, &new.name, new.is_default, now)?;
    let first = NewVersion {
        policy_id,
        version: 1,
        calendar_id,
        definition: Json(definition),
        applies_to_open: false,
        author,
        reason,
    };
    insert_version(conn, &first, now)?;
    Ok(())
}

/// Lock all policies for the rest of the transaction, in one order. SQLite needs no lock: its writer is alone.
pub fn lock_policies(conn: &mut Db) -> Result<()> {
    if let Db::Pg(pg) = conn {
        sla_policies::table
            .order(sla_policies::id)
            .select(sla_policies::id)
            .for_update()
            .load::<i64>(pg)?;
    }
    Ok(())
}

pub fn insert_policy_row(
    conn: &mut Db,
    code: &str,
    name: &Name,
    is_default: bool,
    now: DateTime<Utc>,
) -> Result<i64> {
    diesel::insert_into(sla_policies::table)
        .values((
            sla_policies::uid.eq(Uid::new()),
            sla_policies::code.eq(code),
            sla_policies::name_vi.eq(&name.vi),
            sla_policies::name_en.eq(&name.en),
            sla_policies::is_default.eq(is_default),
            sla_policies::created_at.eq(Ts::from(now)),
        ))
        .returning(sla_policies::id)
        .get_result(conn)
        .map_err(code_taken)
}

pub fn update_name(conn: &mut Db, policy_id: i64, name: &Name) -> Result<()> {
    diesel::update(sla_policies::table.find(policy_id))
        .set((
            sla_policies::name_vi.eq(&name.vi),
            sla_policies::name_en.eq(&name.en),
        ))
        .execute(conn)?;
    Ok(())
}

pub fn set_retired(conn: &mut Db, policy_id: i64, now: DateTime<Utc>) -> Result<()> {
    diesel::update(sla_policies::table.find(policy_id))
        .set(sla_policies::retired_at.eq(Some(Ts::from(now))))
        .execute(conn)?;
    Ok(())
}

/// A version to be stored.
pub struct NewVersion<'a> {
    pub policy_id: i64,
    pub version: i64,
    pub calendar_id: i64,
    pub definition: Json,
    pub applies_to_open: bool,
    pub author: &'a str,
    pub reason: &'a str,
}

pub fn insert_version(conn: &mut Db, new: &NewVersion<'_>, now: DateTime<Utc>) -> Result<i64> {
    Ok(diesel::insert_into(sla_policy_versions::table)
        .values((
            sla_policy_versions::policy_id.eq(new.policy_id),
            sla_policy_versions::version.eq(new.version),
            sla_policy_versions::calendar_id.eq(new.calendar_id),
            sla_policy_versions::definition.eq(&new.definition),
            sla_policy_versions::applies_to_open.eq(new.applies_to_open),
            sla_policy_versions::author.eq(new.author),
            sla_policy_versions::reason.eq(new.reason),
            sla_policy_versions::created_at.eq(Ts::from(now)),
        ))
        .returning(sla_policy_versions::id)
        .get_result(conn)?)
}

/// A version with who made it and why.
#[derive(Debug, Clone, Queryable)]
pub struct VersionRecord {
    pub id: i64,
    pub version: i64,
    pub calendar_code: String,
    pub definition: Json,
    pub applies_to_open: bool,
    pub author: String,
    pub reason: String,
    pub created_at: Ts,
}

type VersionColumns = (
    sla_policy_versions::id,
    sla_policy_versions::version,
    calendars::code,
    sla_policy_versions::definition,
    sla_policy_versions::applies_to_open,
    sla_policy_versions::author,
    sla_policy_versions::reason,
    sla_policy_versions::created_at,
);
const VERSION_COLUMNS: VersionColumns = (
    sla_policy_versions::id,
    sla_policy_versions::version,
    calendars::code,
    sla_policy_versions::definition,
    sla_policy_versions::applies_to_open,
    sla_policy_versions::author,
    sla_policy_versions::reason,
    sla_policy_versions::created_at,
);

/// The versions of a policy before one, the newest first.
pub fn list_versions(
    conn: &mut Db,
    policy_id: i64,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<VersionRecord>> {
    Ok(sla_policy_versions::table
        .inner_join(calendars::table)
        .filter(sla_policy_versions::policy_id.eq(policy_id))
        .filter(sla_policy_versions::version.lt(before.unwrap_or(i64::MAX)))
        .order(sla_policy_versions::version.desc())
        .limit(limit)
        .select(VERSION_COLUMNS)
        .load(conn)?)
}

pub fn find_version(conn: &mut Db, policy_id: i64, version: i64) -> Result<Option<VersionRecord>> {
    Ok(sla_policy_versions::table
        .inner_join(calendars::table)
        .filter(sla_policy_versions::policy_id.eq(policy_id))
        .filter(sla_policy_versions::version.eq(version))
        .select(VERSION_COLUMNS)
        .first(conn)
        .optional()?)
}

/// How many tickets have a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub open: i64,
    pub all: i64,
}

/// By version. Reads all tickets once, as a report does: only those that are open have an index for it.
pub fn count_tickets(conn: &mut Db, version_ids: &[i64]) -> Result<HashMap<i64, Usage>> {
    let counts: Vec<(i64, State, i64)> = tickets::table
        .filter(tickets::policy_version_id.eq_any(version_ids.to_vec()))
        .group_by((tickets::policy_version_id, tickets::state))
        .select((
            tickets::policy_version_id,
            tickets::state,
            diesel::dsl::count_star(),
        ))
        .load(conn)?;
    let mut usage: HashMap<i64, Usage> = HashMap::new();
    for (version_id, state, count) in counts {
        let used = usage.entry(version_id).or_default();
        used.all += count;
        if state.is_open() {
            used.open += count;
        }
    }
    Ok(usage)
}
