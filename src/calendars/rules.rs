//! Compiled calendar and policy versions, kept in memory by their ids. Versions never change, so an entry is never
//! stale; which version is in force is asked of the database each time.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::db;
use crate::error::{Error, Result};
use crate::sla::calendar::CalendarSpec;
use crate::sla::policy::PolicySpec;
use crate::sla::timeline::Timeline;
use crate::store::Db;

/// A policy version with the calendar whose hours it counts.
#[derive(Debug)]
pub struct PolicyVersion {
    pub id: i64,
    pub calendar_id: i64,
    pub spec: PolicySpec,
}

#[derive(Default)]
pub struct Rules {
    timelines: RwLock<HashMap<i64, Arc<Timeline>>>,
    policies: RwLock<HashMap<i64, Arc<PolicyVersion>>>,
}

impl Rules {
    /// The compiled calendar version.
    pub fn timeline(&self, conn: &mut Db, calendar_version_id: i64) -> Result<Arc<Timeline>> {
        kept(&self.timelines, calendar_version_id, || {
            let definition = db::get_calendar_definition(conn, calendar_version_id)?;
            let spec: CalendarSpec = serde_json::from_value(definition)
                .map_err(|cause| Error::internal("a stored calendar cannot be read", cause))?;
            let calendar = spec.check().map_err(|problems| {
                Error::internal("a stored calendar is not valid", format!("{problems:?}"))
            })?;
            Ok(Timeline::new(calendar))
        })
    }

    /// The policy version that a clock or ticket names.
    pub fn policy(&self, conn: &mut Db, policy_version_id: i64) -> Result<Arc<PolicyVersion>> {
        kept(&self.policies, policy_version_id, || {
            let (calendar_id, definition) = db::get_policy_definition(conn, policy_version_id)?;
            let spec = serde_json::from_value(definition)
                .map_err(|cause| Error::internal("a stored policy cannot be read", cause))?;
            Ok(PolicyVersion {
                id: policy_version_id,
                calendar_id,
                spec,
            })
        })
    }

    /// The policy that a new ticket gets, in the version in force.
    pub fn policy_in_force(&self, conn: &mut Db) -> Result<Arc<PolicyVersion>> {
        let id = db::get_default_policy_version_id(conn)?;
        self.policy(conn, id)
    }
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
