//! Stored SLA policies, versioned: which one a question gets, and its versions. What a policy means is in `sla::policy`
//! and `sla::matching`.
pub mod change;
mod check;
pub(crate) mod db;
pub mod reach;

use chrono::{DateTime, Utc};

pub use db::{PolicyRecord, Usage, VersionRecord};

use crate::calendars::{Name, field_errors, get_calendar};
use crate::error::{Error, Resource, Result};
use crate::sla::PolicySpec;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};

/// A policy to be stored.
#[derive(Debug, Clone)]
pub struct NewPolicy {
    pub code: String,
    pub name: Name,
    pub calendar: String,
    pub spec: PolicySpec,
    pub is_default: bool,
}

/// Store a policy as its first version.
pub fn create_policy(conn: &mut Db, new: &NewPolicy, author: &str, now: DateTime<Utc>) -> Result<()> {
    new.spec.check().map_err(field_errors)?;
    let calendar = get_calendar(conn, &new.calendar)?;
    db::insert_policy(conn, new, calendar.id, author, "created", now)
}

/// By UUID or code, in the version that is in force.
pub fn get_policy(conn: &mut Db, id: &str) -> Result<PolicyRecord> {
    let found = match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_policy_by_uid(conn, Uid(uid))?,
        Err(_) => db::find_policy_by_code(conn, id)?,
    };
    found.ok_or(Error::NotFound(Resource::Policy))
}

/// A page of policies by code.
pub fn list_policies(conn: &mut Db, cursor: Option<&str>, limit: i64) -> Result<Page<PolicyRecord>> {
    let after = cursor
        .map(|cursor| decode_cursor::<String>("sla-policies", cursor))
        .transpose()?;
    let rows = db::list_policies(conn, after.as_deref(), limit + 1)?;
    Page::from_rows(rows, limit, "sla-policies", |policy| policy.code.clone())
}

/// A page of a policy's versions, the newest first, each with the tickets that have it.
pub fn list_versions(
    conn: &mut Db,
    id: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<(VersionRecord, Usage)>> {
    let policy = get_policy(conn, id)?;
    let binding = format!("sla-policy-versions {}", policy.code);
    let before = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list_versions(conn, policy.id, before, limit + 1)?;
    let page = Page::from_rows(rows, limit, &binding, |version| version.version)?;
    let ids: Vec<i64> = page.items.iter().map(|version| version.id).collect();
    let usage = db::count_tickets(conn, &ids)?;
    let used = |id: i64| usage.get(&id).copied().unwrap_or_default();
    Ok(page.map(|version| {
        let used_by = used(version.id);
        (version, used_by)
    }))
}

pub fn get_version(conn: &mut Db, id: &str, version: i64) -> Result<(VersionRecord, Usage)> {
    let policy = get_policy(conn, id)?;
    let found = db::find_version(conn, policy.id, version)?;
    let version = found.ok_or(Error::NotFound(Resource::PolicyVersion))?;
    let usage = db::count_tickets(conn, &[version.id])?;
    let used_by = usage.get(&version.id).copied().unwrap_or_default();
    Ok((version, used_by))
}
