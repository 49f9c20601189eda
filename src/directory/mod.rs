//! Organisations that ask and their persons. An organisation's own code is its only key: names and GSO codes were
//! reused when 63 provinces became 34. Closed organisations stay, with their dates and their successor.
pub(crate) mod db;
mod import;

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};

pub use db::{Organisation, Requester};
#[cfg(feature = "fuzzing")]
pub use import::is_readable;
pub use import::{ImportError, import_organisations};

use crate::error::{Error, Resource, Result};
use crate::language::Language;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};

/// What an organisation can be.
pub const KINDS: [&str; 4] = ["ministry", "agency", "province", "other"];

/// An agency code names its level-1 agency in two forms: `H57.14` (level 1 first, QĐ 20/2020/QĐ-TTg) and the older
/// `000.00.14.H57` (level 1 last, QCVN 102:2016/BTTTT). Gives the first form; anything else is returned as it is.
pub fn canonical_code(text: &str) -> String {
    let groups: Vec<&str> = text.trim().split('.').collect();
    let is_level_one = |group: &str| {
        let mut letters = group.chars();
        group.len() == 3
            && letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
            && letters.all(|digit| digit.is_ascii_digit())
    };
    match groups.as_slice() {
        [lower @ .., level_one] if lower.len() == 3 && is_level_one(level_one) => {
            let mut canonical = vec![*level_one];
            canonical.extend(
                lower
                    .iter()
                    .rev()
                    .filter(|group| group.chars().any(|digit| digit != '0')),
            );
            canonical.join(".")
        }
        _ => text.trim().to_owned(),
    }
}

/// By UUID or by code, in either form of the code.
pub fn find_organisation(conn: &mut Db, id: &str) -> Result<Option<Organisation>> {
    match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_organisation_by_uid(conn, Uid(uid)),
        Err(_) => db::find_organisation_by_code(conn, &canonical_code(id)),
    }
}

pub fn get_organisation(conn: &mut Db, id: &str) -> Result<Organisation> {
    find_organisation(conn, id)?.ok_or(Error::NotFound(Resource::Organisation))
}

pub fn list_by_id(conn: &mut Db, ids: &[i64]) -> Result<Vec<Organisation>> {
    db::list_organisations_by_id(conn, ids)
}

/// The organisations whose tickets the programs of this one see on a day: its own, those of whom it succeeded by then,
/// and where granted those of the units of all of these. Its own also after its end: the programs of an office run on
/// until somebody ends their keys (docs/decisions/0013).
pub fn reach_of(
    conn: &mut Db,
    organisation_id: i64,
    include_units: bool,
    today: NaiveDate,
) -> Result<Vec<i64>> {
    db::list_reach(conn, organisation_id, include_units, today)
}

/// Filters of the directory.
#[derive(Debug, Clone, Default)]
pub struct OrganisationFilter {
    pub active_on: Option<NaiveDate>,
    pub kind: Option<String>,
    pub q: Option<String>,
}

/// A page of organisations by code.
pub fn list_organisations(
    conn: &mut Db,
    filter: &OrganisationFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<Organisation>> {
    let binding = format!("organisations {filter:?}");
    let after = cursor
        .map(|cursor| decode_cursor::<String>(&binding, cursor))
        .transpose()?;
    let rows = db::list_organisations(conn, filter, after.as_deref(), limit + 1)?;
    Page::from_rows(rows, limit, &binding, |organisation| organisation.code.clone())
}

/// All organisations that the filter admits, by code.
pub fn list_all(conn: &mut Db, filter: &OrganisationFilter) -> Result<Vec<Organisation>> {
    db::list_organisations(conn, filter, None, i64::MAX)
}

/// A person as an organisation names them with a question. What it leaves out says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequesterInput {
    pub name: String,
    pub email: Option<String>,
    pub unit: Option<String>,
    pub phone: Option<String>,
    pub language: Option<Language>,
}

/// The person of this organisation: known by address, else by name and unit; added when new, kept up to date
/// with what is given.
pub fn remember_requester(
    conn: &mut Db,
    organisation_id: i64,
    input: &RequesterInput,
    now: DateTime<Utc>,
) -> Result<Requester> {
    let known = match &input.email {
        Some(email) => db::find_requester_by_email(conn, organisation_id, email)?,
        None => db::find_requester_by_name(conn, organisation_id, &input.name, input.unit.as_deref())?,
    };
    match known {
        Some(known) if known.says_the_same_as(input) => Ok(known),
        Some(known) => db::update_requester(conn, known.id, input, now),
        None => db::insert_requester(conn, organisation_id, input, now),
    }
}

/// Known persons by organisation and address, for all pairs of these.
pub fn list_requesters_by_email(
    conn: &mut Db,
    organisation_ids: &[i64],
    emails: &[&str],
) -> Result<HashMap<(i64, String), Requester>> {
    if emails.is_empty() {
        return Ok(HashMap::new());
    }
    let found = db::list_requesters_by_email(conn, organisation_ids, emails)?;
    Ok(found
        .into_iter()
        .filter_map(|(organisation_id, person)| {
            let address = person.email.clone()?;
            Some(((organisation_id, address), person))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_agency_code_name_the_same_agency() {
        for (given, canonical) in [
            ("H57", "H57"),
            ("H57.14", "H57.14"),
            ("000.00.00.H57", "H57"),
            ("000.00.14.H57", "H57.14"),
            ("000.12.14.H57", "H57.14.12"),
            (" G22 ", "G22"),
            ("H57-2025", "H57-2025"),
            ("rubbish", "rubbish"),
        ] {
            assert_eq!(canonical_code(given), canonical, "{given}");
        }
    }
}
