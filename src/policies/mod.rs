//! Stored SLA policies, versioned: which one a question gets, and its versions. What a policy means is in `sla::policy`
//! and `sla::matching`.
pub mod change;
mod check;
pub(crate) mod db;
pub mod reach;

use chrono::{DateTime, Utc};

pub use db::{PolicyRecord, Usage, VersionRecord};

use crate::calendars::{Name, field_errors, get_calendar};
use crate::directory::{self, Organisation};
use crate::error::{Error, Resource, Result};
use crate::identity::Principal;
use crate::sla::{Conditions, PolicySpec};
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

impl PolicyRecord {
    /// As a program of this organisation may see it: a policy that may be its own, without what the centre does inside and
    /// without whom it is for beside. `None` for any other.
    fn told_to(mut self, organisation: &Organisation) -> Result<Option<PolicyRecord>> {
        let unreadable = |cause| Error::internal("a stored policy cannot be read", cause);
        let spec: PolicySpec = serde_json::from_value(self.definition.0.clone()).map_err(unreadable)?;
        if !may_be_of(&spec.conditions, organisation) {
            return Ok(None);
        }
        if let Some(definition) = self.definition.0.as_object_mut() {
            definition.remove("escalations");
            let named = definition
                .get_mut("conditions")
                .and_then(|conditions| conditions.get_mut("organisation"));
            if let Some(named) = named {
                *named = serde_json::json!([organisation.code]);
            }
        }
        Ok(Some(self))
    }
}

/// Whether questions of this organisation can get a policy with these conditions.
pub fn may_be_of(conditions: &Conditions, organisation: &Organisation) -> bool {
    conditions.may_hold_for(&organisation.code, &organisation.kind, organisation.pilot)
}

/// A program's own organisation; none for staff, who see everything.
fn viewer(conn: &mut Db, principal: &Principal) -> Result<Option<Organisation>> {
    let Principal::Client { client, .. } = principal else {
        return Ok(None);
    };
    let own = directory::list_by_id(conn, &[client.organisation_id])?.pop();
    own.ok_or_else(|| Error::internal("a program of no organisation", client.client_id))
        .map(Some)
}

/// A policy as this principal may see it.
pub fn show_policy(conn: &mut Db, principal: &Principal, id: &str) -> Result<PolicyRecord> {
    let record = get_policy(conn, id)?;
    match viewer(conn, principal)? {
        None => Ok(record),
        Some(own) => record.told_to(&own)?.ok_or(Error::NotFound(Resource::Policy)),
    }
}

/// By UUID or code, in the version that is in force.
pub fn get_policy(conn: &mut Db, id: &str) -> Result<PolicyRecord> {
    let found = match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_policy_by_uid(conn, Uid(uid))?,
        Err(_) => db::find_policy_by_code(conn, id)?,
    };
    found.ok_or(Error::NotFound(Resource::Policy))
}

/// A page of policies by code, those that this principal may see.
pub fn list_policies(
    conn: &mut Db,
    principal: &Principal,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<PolicyRecord>> {
    let after = cursor
        .map(|cursor| decode_cursor::<String>("sla-policies", cursor))
        .transpose()?;
    let rows = match viewer(conn, principal)? {
        None => db::list_policies(conn, after.as_deref(), limit + 1)?,
        // Few enough to look at all of them.
        Some(own) => {
            let all = db::list_policies(conn, after.as_deref(), i64::MAX)?.into_iter();
            let told = all.filter_map(|record| record.told_to(&own).transpose());
            told.take(usize::try_from(limit + 1).unwrap_or(usize::MAX))
                .collect::<Result<Vec<_>>>()?
        }
    };
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
