//! Agreements: an organisation's own targets from one date to another. They take the place of the policy's targets that
//! they name; the policy says everything else. Which one counts is decided by the date on which a question was filed, as
//! the desk reads it.
//!
//! Invariants: periods of one organisation do not overlap; what counts for a question that was filed never changes
//! afterwards, so a period neither begins nor ends before questions that are there already.
pub mod change;
pub(crate) mod db;

use chrono::NaiveDate;

pub use db::{Agreement, AgreementFilter};

use crate::error::{Error, Resource, Result};
use crate::identity::Principal;
pub use crate::sla::policy::Targets;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};

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

/// A page of agreements; a program sees those of its own organisation only.
pub fn list(
    conn: &mut Db,
    principal: &Principal,
    mut filter: AgreementFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<Agreement>> {
    if let Principal::Client { client, .. } = principal {
        let own = client.organisation_id;
        if filter.organisation_id.is_some_and(|wanted| wanted != own) {
            return Page::from_rows(Vec::new(), limit, "", |agreement: &Agreement| agreement.id);
        }
        filter.organisation_id = Some(own);
    }
    let binding = format!("agreements {filter:?}");
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list(conn, &filter, after.unwrap_or(0), limit + 1)?;
    Page::from_rows(rows, limit, &binding, |agreement| agreement.id)
}

/// By UUID. What a program may not see does not exist.
pub fn get(conn: &mut Db, principal: &Principal, id: &str) -> Result<Agreement> {
    let found = match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_by_uid(conn, Uid(uid))?,
        Err(_) => None,
    };
    let is_visible = |agreement: &Agreement| match principal {
        Principal::Client { client, .. } => client.organisation_id == agreement.organisation_id,
        _ => true,
    };
    found
        .filter(is_visible)
        .ok_or(Error::NotFound(Resource::Agreement))
}
