//! Compiled calendar and policy versions, kept in memory by their ids. Versions never change, so an entry is never
//! stale; which versions are in force is asked of the database each time.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};

use crate::calendars::db as calendars;
use crate::error::{Error, Result};
use crate::policies::db as policies;
use crate::sla::calendar::CalendarSpec;
use crate::sla::{PolicySpec, Question, Timeline};
use crate::store::Db;

/// A calendar version, compiled.
#[derive(Debug)]
pub struct CalendarVersion {
    pub id: i64,
    pub calendar_id: i64,
    pub code: String,
    pub version: i64,
    pub timeline: Arc<Timeline>,
}

/// A policy version with the calendar whose hours it counts.
#[derive(Debug)]
pub struct PolicyVersion {
    pub id: i64,
    pub policy_id: i64,
    pub code: String,
    pub version: i64,
    pub is_default: bool,
    pub calendar_id: i64,
    pub spec: PolicySpec,
}

#[derive(Default)]
pub struct Rules {
    calendars: RwLock<HashMap<i64, Arc<CalendarVersion>>>,
    policies: RwLock<HashMap<i64, Arc<PolicyVersion>>>,
}

impl Rules {
    pub fn calendar(&self, conn: &mut Db, calendar_version_id: i64) -> Result<Arc<CalendarVersion>> {
        kept(&self.calendars, calendar_version_id, || {
            let row = calendars::get_calendar_version(conn, calendar_version_id)?;
            let spec: CalendarSpec = serde_json::from_value(row.definition.0)
                .map_err(|cause| Error::internal("a stored calendar cannot be read", cause))?;
            let calendar = spec.check().map_err(|problems| {
                Error::internal("a stored calendar is not valid", format!("{problems:?}"))
            })?;
            Ok(CalendarVersion {
                id: calendar_version_id,
                calendar_id: row.calendar_id,
                code: row.code,
                version: row.version,
                timeline: Arc::new(Timeline::new(calendar)),
            })
        })
    }

    /// The hours of a calendar version.
    pub fn timeline(&self, conn: &mut Db, calendar_version_id: i64) -> Result<Arc<Timeline>> {
        Ok(Arc::clone(&self.calendar(conn, calendar_version_id)?.timeline))
    }

    /// The calendar in the version that is in force.
    pub fn calendar_in_force(&self, conn: &mut Db, calendar_id: i64) -> Result<Arc<CalendarVersion>> {
        let version_id = calendars::get_current_version_id(conn, calendar_id)?;
        self.calendar(conn, version_id)
    }

    /// The calendar in the version that was in force at an instant, for what is done late as of then.
    pub fn calendar_as_of(
        &self,
        conn: &mut Db,
        calendar_id: i64,
        at: DateTime<Utc>,
    ) -> Result<Arc<CalendarVersion>> {
        let version_id = calendars::get_version_id_as_of(conn, calendar_id, at)?;
        self.calendar(conn, version_id)
    }

    /// The policy version that a clock or ticket names.
    pub fn policy(&self, conn: &mut Db, policy_version_id: i64) -> Result<Arc<PolicyVersion>> {
        kept(&self.policies, policy_version_id, || {
            let row = policies::get_policy_version(conn, policy_version_id)?;
            let spec = serde_json::from_value(row.definition.0)
                .map_err(|cause| Error::internal("a stored policy cannot be read", cause))?;
            Ok(PolicyVersion {
                id: policy_version_id,
                policy_id: row.policy_id,
                code: row.code,
                version: row.version,
                is_default: row.is_default,
                calendar_id: row.calendar_id,
                spec,
            })
        })
    }

    /// The policies that new tickets may get, in the order in which they are asked: by precedence, the default one last.
    pub fn policies_in_force(&self, conn: &mut Db) -> Result<Vec<Arc<PolicyVersion>>> {
        let mut policies = policies::list_version_ids_in_force(conn)?
            .into_iter()
            .map(|id| self.policy(conn, id))
            .collect::<Result<Vec<_>>>()?;
        policies.sort_by(|a, b| {
            let order = |policy: &PolicyVersion| (policy.is_default, policy.spec.precedence);
            order(a).cmp(&order(b)).then_with(|| a.code.cmp(&b.code))
        });
        Ok(policies)
    }
}

/// The policy that a question gets: the first whose conditions hold, else the default one, which is last.
pub fn pick<'a>(
    policies: &'a [Arc<PolicyVersion>],
    question: &Question<'_>,
) -> Result<&'a Arc<PolicyVersion>> {
    policies
        .iter()
        .find(|policy| policy.spec.conditions.hold_for(question))
        .or_else(|| policies.iter().find(|policy| policy.is_default))
        .ok_or_else(|| Error::internal("there is no default policy", question.queue))
}

fn kept<T>(
    cache: &RwLock<HashMap<i64, Arc<T>>>,
    id: i64,
    make: impl FnOnce() -> Result<T>,
) -> Result<Arc<T>> {
    // A poisoned lock only means that another thread panicked between two whole inserts.
    if let Some(known) = cache.read().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Ok(Arc::clone(known));
    }
    let made = Arc::new(make()?);
    let mut entries = cache.write().unwrap_or_else(PoisonError::into_inner);
    Ok(Arc::clone(entries.entry(id).or_insert(made)))
}
