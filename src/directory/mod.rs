//! Organisations that ask and their persons. An organisation's own code is its only key: names and GSO codes were
//! reused when 63 provinces became 34. Closed organisations stay, with their dates and their successor.
pub mod change;
pub(crate) mod db;
mod file;
pub mod import;
mod lives;
mod merged;
pub mod requesters;
pub mod succession;

use chrono::NaiveDate;

pub use db::Organisation;
#[cfg(any(test, feature = "fuzzing"))]
pub use file::is_readable;
pub use import::{ImportError, import_organisations};
pub use requesters::{Requester, RequesterInput, hold_requesters_by_email, remember_requester};

use crate::error::{Error, Resource, Result};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};

/// What an organisation can be.
pub const KINDS: [&str; 4] = ["ministry", "agency", "province", "other"];

/// An agency code names its level-1 agency in two forms: `H57.14` (level 1 first, QĐ 20/2020/QĐ-TTg) and the older
/// `000.00.14.H57` (level 1 last, QCVN 102:2016/BTTTT), both in capitals. Gives the first form; anything else stays as it
/// is but for its capitals, so that no two codes differ in these alone.
pub fn canonical_code(text: &str) -> String {
    let code = text.trim().to_ascii_uppercase();
    let groups: Vec<&str> = code.split('.').collect();
    match groups.as_slice() {
        // What begins with a level 1 has the first form already.
        [lower @ .., level_one]
            if lower.len() == 3
                && is_level_one(level_one)
                && !lower.first().is_some_and(|group| is_level_one(group)) =>
        {
            let mut canonical = vec![*level_one];
            canonical.extend(
                lower
                    .iter()
                    .rev()
                    .filter(|group| group.chars().any(|digit| digit != '0')),
            );
            canonical.join(".")
        }
        _ => code,
    }
}

/// `H57`: a letter and two digits.
fn is_level_one(group: &str) -> bool {
    let mut letters = group.chars();
    group.len() == 3
        && letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
        && letters.all(|digit| digit.is_ascii_digit())
}

/// The code of what an agency is part of, as its own canonical code says: `H57` for `H57.14`.
pub fn parent_code(code: &str) -> Option<&str> {
    let (parent, _) = code.rsplit_once('.')?;
    let level_one = code.split('.').next()?;
    is_level_one(level_one).then_some(parent)
}

/// Routes where the address of an organisation would be.
const BESIDE_ORGANISATIONS: [&str; 2] = ["import", "export.csv"];

pub const CODE_IN_WORDS: &str = "1 to 40 letters, digits and `-`, in groups between single dots that begin and end \
    with a letter or digit; no UUID, not `import` nor `export.csv`";

/// What may be a code. It is a segment of an address, so nothing that a client folds away (RFC 3986, section 5.2.4) or
/// that leads elsewhere: a UUID, the names of the routes beside the organisations.
pub fn is_code(text: &str) -> bool {
    let is_bounded = |group: &str| {
        let ends = [group.bytes().next(), group.bytes().next_back()];
        ends.iter()
            .all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    text.len() <= 40
        && text
            .split('.')
            .all(|group| is_bounded(group) && group.bytes().all(is_plain))
        && uuid::Uuid::parse_str(text).is_err()
        && !BESIDE_ORGANISATIONS
            .iter()
            .any(|route| text.eq_ignore_ascii_case(route))
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
    /// The units of this organisation.
    pub parent_id: Option<i64>,
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
            ("H57.14.12.H05", "H57.14.12.H05"),
            ("h57.14", "H57.14"),
            ("000.00.14.h57", "H57.14"),
            ("rubbish", "RUBBISH"),
        ] {
            assert_eq!(canonical_code(given), canonical, "{given}");
        }
    }

    #[test]
    fn a_code_is_a_segment_of_an_address_and_leads_to_its_organisation_only() {
        for code in ["H57", "H57-2025.1", "000.00.14.H57", "X", "IMPORTS"] {
            assert!(is_code(code), "{code}");
        }
        for refused in [
            "",
            ".",
            "..",
            "...",
            ".H57",
            "H57.",
            "H57..1",
            "-",
            "H57.-",
            "H 57",
            "Đ1",
            "import",
            "IMPORT",
            "EXPORT.CSV",
            "0191a2b4-0000-7000-8000-000000000000",
            "0191a2b4000070008000000000000000",
            "H5700000000000000000000000000000000000000",
        ] {
            assert!(!is_code(refused), "{refused}");
        }
    }

    #[test]
    fn a_code_names_what_it_is_part_of() {
        for (code, parent) in [
            ("H57", None),
            ("H57.14", Some("H57")),
            ("H57.14.12", Some("H57.14")),
            ("H57-2025.1", None),
            ("X.1", None),
        ] {
            assert_eq!(parent_code(code), parent, "{code}");
        }
    }
}
