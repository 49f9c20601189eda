//! Operational targets: how long a queue may hold a question, in business minutes by priority. What the groups of the
//! centre promise each other; the asker's deadlines are the policies'. The hours are those of the clock's own calendar.
//!
//! One target per queue, replaced whole. Refuses one that promises nothing at any priority.
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Queue, db};
use crate::calendars::field_errors;
use crate::error::{Error, Resource, Result};
use crate::sla::SpecRule;
use crate::sla::policy::{Amount, check_amount};
use crate::sla::{Priority, SpecProblem};
use crate::store::{Db, Json};
use crate::tx::Tx;

/// Business minutes by priority; one that is not named has no target.
pub type MinutesByPriority = BTreeMap<Priority, u32>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationalTarget {
    pub business_minutes: MinutesByPriority,
    pub author: String,
    pub updated_at: DateTime<Utc>,
    /// Grows by one with every change.
    pub version: i64,
}

impl OperationalTarget {
    /// How long the queue may hold a question of this priority.
    pub fn minutes(&self, priority: Priority) -> Option<u32> {
        self.business_minutes.get(&priority).copied()
    }
}

pub fn find(conn: &mut Db, queue_id: i64) -> Result<Option<OperationalTarget>> {
    let Some(row) = db::find_operational_target(conn, queue_id)? else {
        return Ok(None);
    };
    let business_minutes = serde_json::from_value(row.business_minutes.0)
        .map_err(|cause| Error::internal("a stored operational target cannot be read", cause))?;
    Ok(Some(OperationalTarget {
        business_minutes,
        author: row.author,
        updated_at: row.updated_at.0,
        version: row.version,
    }))
}

/// The queue by UUID or code, with its target.
pub fn get(conn: &mut Db, id: &str) -> Result<(Queue, OperationalTarget)> {
    let queue = super::get_queue(conn, id)?;
    let target = find(conn, queue.id)?.ok_or(Error::NotFound(Resource::OperationalTarget))?;
    Ok((queue, target))
}

/// On which target the caller decided. `None`: the caller did not say.
#[derive(Debug, Clone)]
pub enum Expected {
    Nothing,
    Any,
    Versions(Vec<i64>),
}

/// Set the target of a queue. Where there is one already the caller must have seen it.
pub fn replace(
    tx: &mut Tx<'_>,
    id: &str,
    minutes: &MinutesByPriority,
    expected: &Expected,
) -> Result<(Queue, OperationalTarget)> {
    check(minutes)?;
    let queue = super::get_queue(tx.conn, id)?;
    db::lock_queue(tx.conn, queue.id)?;
    let present = find(tx.conn, queue.id)?.map(|target| target.version);
    match (expected, present) {
        (Expected::Nothing, Some(_)) => return Err(Error::PreconditionRequired),
        (Expected::Any | Expected::Versions(_), None) => return Err(Error::PreconditionFailed),
        (Expected::Versions(seen), Some(version)) if !seen.contains(&version) => {
            return Err(Error::PreconditionFailed);
        }
        _ => {}
    }
    let minutes = serde_json::to_value(minutes)
        .map_err(|cause| Error::internal("an operational target cannot be written", cause))?;
    let (author, now) = (tx.principal.name(), tx.now);
    db::set_operational_target(tx.conn, queue.id, Json(minutes), author, present, now)?;
    let target = find(tx.conn, queue.id)?.ok_or(Error::NotFound(Resource::OperationalTarget))?;
    Ok((queue, target))
}

fn check(minutes: &MinutesByPriority) -> Result<()> {
    let mut problems = Vec::new();
    if minutes.is_empty() {
        let message = "name at least one priority";
        problems.push(SpecProblem::new("/business_minutes", SpecRule::NoTarget, message));
    }
    for (priority, minutes) in minutes {
        let pointer = format!("/business_minutes/{}", priority.as_str());
        problems.extend(check_amount(pointer, Amount::BusinessMinutes(*minutes)));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(field_errors(problems)),
    }
}
