//! New policies, new versions of them, and their retirement. All policies are locked while one changes, because what is
//! sound depends on the others: of two changes at once the second sees the first. Old versions are never touched; a
//! retirement is a last version with its author and reason, and the tickets of a retired policy keep it.
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::check::{Proposed, check};
use super::db::{self, NewVersion, PolicyRecord};
use super::{get_policy, reach};
use crate::calendars::{CalendarRecord, Name, is_code};
use crate::error::{Conflict, Error, FieldCode, Result};
use crate::rules::PolicyVersion;
use crate::sla::PolicySpec;
use crate::store::{Db, Json};
use crate::tickets::recount::{self, Version};
use crate::tx::{Desk, Tx};

/// What an administrator says of a policy.
#[derive(Debug, Clone)]
pub struct PolicyDraft {
    pub name: Name,
    /// UUID or code.
    pub calendar: String,
    pub spec: PolicySpec,
    pub reason: String,
}

/// Which versions the caller decided on; `None` where any will do.
pub type Seen = Option<Vec<i64>>;

pub fn create(tx: &mut Tx<'_>, code: &str, draft: PolicyDraft) -> Result<PolicyRecord> {
    if !is_code(code) {
        let expected =
            "at most 64 lower-case letters and digits, words joined by hyphens, beginning with a letter";
        return Err(Error::invalid_pointer(
            "/code",
            FieldCode::InvalidFormat { expected },
        ));
    }
    db::lock_policies(tx.conn)?;
    if db::find_policy_by_code(tx.conn, code)?.is_some() {
        return Err(Error::Conflict(Conflict::CodeTaken));
    }
    let (spec, calendar) = checked(tx.conn, tx.desk, code, false, &draft, tx.now)?;
    let id = db::insert_policy_row(tx.conn, code, &draft.name, false, tx.now)?;
    store_version(tx, id, 1, &spec, &calendar, (false, &draft.reason))?;
    get_policy(tx.conn, code)
}

/// A new version. With `applies_to_open` the open tickets of older versions go over to it, as they are met next and by
/// the worker that looks for them.
pub fn replace(
    tx: &mut Tx<'_>,
    id: &str,
    code: Option<&str>,
    draft: PolicyDraft,
    applies_to_open: bool,
    seen: &Seen,
) -> Result<PolicyRecord> {
    db::lock_policies(tx.conn)?;
    let present = get_changeable(tx.conn, id, seen)?;
    let (spec, calendar) = checked_change(tx.conn, tx.desk, &present, code, &draft, tx.now)?;
    db::update_name(tx.conn, present.id, &draft.name)?;
    let version = present.version + 1;
    let about = (applies_to_open, draft.reason.as_str());
    let version_id = store_version(tx, present.id, version, &spec, &calendar, about)?;
    if applies_to_open {
        recount::begin(tx, Version::Policy(version_id))?;
    }
    get_policy(tx.conn, &present.code)
}

/// The policy as it is and as it would be, for a preview.
pub fn propose(
    conn: &mut Db,
    desk: &Desk,
    id: &str,
    code: Option<&str>,
    draft: &PolicyDraft,
    seen: &Seen,
    now: DateTime<Utc>,
) -> Result<(PolicyRecord, Arc<PolicyVersion>)> {
    let present = get_changeable(conn, id, seen)?;
    let (spec, calendar) = checked_change(conn, desk, &present, code, draft, now)?;
    let proposed = PolicyVersion {
        // Never stored, so no ticket names it.
        id: 0,
        policy_id: present.id,
        code: present.code.clone(),
        version: present.version + 1,
        is_default: present.is_default,
        calendar_id: calendar.id,
        spec,
    };
    Ok((present, Arc::new(proposed)))
}

/// No new ticket gets the policy from now on.
pub fn retire(tx: &mut Tx<'_>, id: &str, reason: &str, seen: &Seen) -> Result<PolicyRecord> {
    db::lock_policies(tx.conn)?;
    let present = get_changeable(tx.conn, id, seen)?;
    if present.is_default {
        return Err(Error::Conflict(Conflict::DefaultPolicy));
    }
    let last = NewVersion {
        policy_id: present.id,
        version: present.version + 1,
        calendar_id: present.calendar_id,
        definition: present.definition.clone(),
        applies_to_open: false,
        author: tx.principal.name(),
        reason,
    };
    db::insert_version(tx.conn, &last, tx.now)?;
    db::set_retired(tx.conn, present.id, tx.now)?;
    get_policy(tx.conn, &present.code)
}

fn get_changeable(conn: &mut Db, id: &str, seen: &Seen) -> Result<PolicyRecord> {
    let present = get_policy(conn, id)?;
    if seen.as_ref().is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    match present.retired_at {
        Some(_) => Err(Error::Conflict(Conflict::PolicyRetired)),
        None => Ok(present),
    }
}

/// What a policy would be after a change; its code stays.
fn checked_change(
    conn: &mut Db,
    desk: &Desk,
    present: &PolicyRecord,
    code: Option<&str>,
    draft: &PolicyDraft,
    now: DateTime<Utc>,
) -> Result<(PolicySpec, CalendarRecord)> {
    if code.is_some_and(|code| code != present.code) {
        return Err(Error::invalid_pointer("/code", FieldCode::NotAllowed));
    }
    checked(conn, desk, &present.code, present.is_default, draft, now)
}

fn checked(
    conn: &mut Db,
    desk: &Desk,
    code: &str,
    is_default: bool,
    draft: &PolicyDraft,
    now: DateTime<Utc>,
) -> Result<(PolicySpec, CalendarRecord)> {
    let in_force = desk.rules.policies_in_force(conn)?;
    let others: Vec<_> = in_force
        .iter()
        .map(AsRef::as_ref)
        .filter(|other| other.code != code)
        .collect();
    let proposed = Proposed {
        code,
        is_default,
        calendar: &draft.calendar,
        spec: draft.spec.clone(),
    };
    let (spec, calendar) = check(conn, proposed, &others)?;
    let errors = reach::check_policy(conn, desk, &spec, calendar.version_id, now)?;
    match errors.is_empty() {
        true => Ok((spec, calendar)),
        false => Err(Error::Invalid(errors)),
    }
}

fn store_version(
    tx: &mut Tx<'_>,
    policy_id: i64,
    version: i64,
    spec: &PolicySpec,
    calendar: &CalendarRecord,
    (applies_to_open, reason): (bool, &str),
) -> Result<i64> {
    let definition =
        serde_json::to_value(spec).map_err(|cause| Error::internal("a policy cannot be written", cause))?;
    let new = NewVersion {
        policy_id,
        version,
        calendar_id: calendar.id,
        definition: Json(definition),
        applies_to_open,
        author: tx.principal.name(),
        reason,
    };
    db::insert_version(tx.conn, &new, tx.now)
}
