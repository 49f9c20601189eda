//! Queries over SLA policies with their versions.
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::NewPolicy;
use crate::calendars::db::code_taken;
use crate::error::{Error, Result};
use crate::store::schema::{calendars, sla_policies, sla_policy_versions};
use crate::store::{Db, Json, Ts, Uid};

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

/// The newest version of the same policy that open tickets go over to, if it is newer than this one.
pub fn find_newer_for_open_tickets(conn: &mut Db, version_id: i64) -> Result<Option<i64>> {
    let (policy_id, version): (i64, i64) = sla_policy_versions::table
        .find(version_id)
        .select((sla_policy_versions::policy_id, sla_policy_versions::version))
        .first(conn)?;
    Ok(sla_policy_versions::table
        .filter(sla_policy_versions::policy_id.eq(policy_id))
        .filter(sla_policy_versions::version.gt(version))
        .filter(sla_policy_versions::applies_to_open.eq(true))
        .order(sla_policy_versions::version.desc())
        .select(sla_policy_versions::id)
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
            sla_policy_versions::applies_to_open.eq(false),
            sla_policy_versions::author.eq(author),
            sla_policy_versions::reason.eq(reason),
            sla_policy_versions::created_at.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}
