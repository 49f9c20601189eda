//! Agreements: an organisation's own targets from one date to another. They take the place of the policy's targets that
//! they name; the policy says everything else. Which one counts is decided by the date on which a question was filed.
pub(crate) mod db;

use std::collections::BTreeMap;

use chrono::NaiveDate;

pub use db::Agreement;

use crate::error::{Error, Result};
use crate::sla::{Amount, Priority, TargetKind};
use crate::store::Db;

/// By target and priority, as in a policy.
pub type Targets = BTreeMap<TargetKind, BTreeMap<Priority, Amount>>;

impl Agreement {
    pub fn is_valid_on(&self, date: NaiveDate) -> bool {
        self.valid_from <= date && self.valid_to.is_none_or(|last| date <= last)
    }

    pub fn targets(&self) -> Result<Targets> {
        serde_json::from_value(self.targets.0.clone())
            .map_err(|cause| Error::internal("a stored agreement cannot be read", cause))
    }
}

/// The agreement of an organisation that is valid on a date; periods of one organisation do not overlap.
pub fn find_valid(conn: &mut Db, organisation_id: i64, date: NaiveDate) -> Result<Option<Agreement>> {
    let agreements = db::list_of(conn, &[organisation_id])?;
    Ok(agreements
        .into_iter()
        .find(|agreement| agreement.is_valid_on(date)))
}
