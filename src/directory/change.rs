//! Adding and changing organisations one by one. What a file says of many is in `import`, who takes over whose tickets in
//! `succession`.
//!
//! Refuses: a code that is taken, an end before the beginning, units that are part of themselves, and dates by which a
//! succession would have a gap or a successor that is not alive.
use chrono::{DateTime, NaiveDate, Utc};

use super::db::{self, Organisation, OrganisationRow};
use super::import::{row_of, search_text};
use super::lives::{self, leads_back};
use super::{CODE_IN_WORDS, canonical_code, find_organisation, is_code, succession};
use crate::agreements;
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::calendars::Name;
use crate::error::{Conflict, Error, FieldCode, FieldError, Result};
use crate::policies::db::lock_policies;
use crate::policies::reach;
use crate::store::{Db, Ts};
use crate::tx::{Desk, Tx};

/// An organisation to be added.
#[derive(Debug, Clone)]
pub struct NewOrganisation {
    pub code: String,
    pub kind: String,
    pub name: Name,
    pub short_name: Option<String>,
    pub gso_code: Option<String>,
    pub egov_code: Option<String>,
    pub valid_from: Option<NaiveDate>,
    pub valid_to: Option<NaiveDate>,
    /// UUID or code; none: as the code says; none inside: part of nothing.
    pub parent: Option<Option<String>>,
    pub pilot: bool,
    pub source: String,
}

/// What is to be different; what is left out stays, what is none inside goes.
#[derive(Debug, Clone, Default)]
pub struct OrganisationChange {
    pub kind: Option<String>,
    pub name: Option<Name>,
    pub short_name: Option<String>,
    pub gso_code: Option<Option<String>>,
    pub egov_code: Option<Option<String>>,
    pub valid_from: Option<Option<NaiveDate>>,
    pub valid_to: Option<Option<NaiveDate>>,
    pub parent: Option<Option<String>>,
    /// Take the succession back.
    pub no_successor: bool,
    pub pilot: Option<bool>,
    pub source: Option<String>,
}

pub(super) fn refuse(pointer: &str, code: impl Into<BrokenRule>, text: &str) -> Error {
    let (code, text) = (code.into(), text.to_owned());
    Error::invalid_pointer(pointer, FieldCode::Domain { code, text })
}

pub fn create(tx: &mut Tx<'_>, new: &NewOrganisation) -> Result<Organisation> {
    let code = canonical_code(&new.code);
    if !is_code(&code) {
        return Err(refuse("/code", HouseRule::BadCode, CODE_IN_WORDS));
    }
    db::lock_directory(tx.conn)?;
    let parent_id = match &new.parent {
        Some(given) => parent_id(tx.conn, given.as_deref())?,
        None => parent_by_code(tx.conn, &code)?,
    };
    let mut row = OrganisationRow {
        kind: new.kind.clone(),
        short_name: new.short_name.clone().unwrap_or_else(|| new.name.vi.clone()),
        name_vi: new.name.vi.clone(),
        name_en: new.name.en.clone(),
        gso_code: new.gso_code.clone(),
        egov_code: new.egov_code.as_deref().map(canonical_code),
        valid_from: new.valid_from,
        valid_to: new.valid_to,
        pilot: new.pilot,
        source: new.source.clone(),
        search_text: String::new(),
        updated_at: Ts::from(tx.now),
        code,
    };
    row.search_text = search_text(&row);
    check_dates(&row)?;
    if !db::insert_organisation(tx.conn, &row)? {
        return Err(Error::Conflict(Conflict::CodeTaken));
    }
    db::set_links(tx.conn, &row.code, None, parent_id)?;
    super::get_organisation(tx.conn, &row.code)
}

fn check_dates(row: &OrganisationRow) -> Result<()> {
    lives::check_dates(row.into()).map_err(|misfit| misfit.into_error("/valid_to"))
}

fn parent_id(conn: &mut Db, given: Option<&str>) -> Result<Option<i64>> {
    let Some(given) = given else { return Ok(None) };
    let parent = find_organisation(conn, given)?;
    let parent = parent.ok_or_else(|| Error::invalid_pointer("/parent", FieldCode::UnknownCode))?;
    Ok(Some(parent.id))
}

fn parent_by_code(conn: &mut Db, code: &str) -> Result<Option<i64>> {
    let parent = super::parent_code(code).map(|parent| db::find_organisation_by_code(conn, parent));
    Ok(parent.transpose()?.flatten().map(|parent| parent.id))
}

pub fn change(
    tx: &mut Tx<'_>,
    id: &str,
    change: &OrganisationChange,
    seen: &Option<Vec<i64>>,
) -> Result<Organisation> {
    // Whoever saves a calendar or a policy meanwhile must see what kind of organisation an agreement is with.
    lock_policies(tx.conn)?;
    db::lock_directory(tx.conn)?;
    let present = super::get_organisation(tx.conn, id)?;
    if seen.as_ref().is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    let row = changed_row(tx, &present, change);
    check_dates(&row)?;
    let parent_id = match &change.parent {
        Some(given) => parent_id(tx.conn, given.as_deref())?,
        None => present.parent_id,
    };
    let changed = Organisation {
        kind: row.kind.clone(),
        valid_from: row.valid_from,
        valid_to: row.valid_to,
        successor_id: present.successor_id.filter(|_| !change.no_successor),
        parent_id,
        pilot: row.pilot,
        ..present.clone()
    };
    check_parents(tx.conn, &changed)?;
    if (changed.valid_from, changed.valid_to) != (present.valid_from, present.valid_to) {
        succession::check_successions_of(tx.conn, &changed)?;
    }
    if (&changed.kind, changed.pilot) != (&present.kind, present.pilot) {
        check_agreements(tx, &changed)?;
    }
    db::update_organisation(tx.conn, &row)?;
    db::set_links(tx.conn, &row.code, changed.successor_id, changed.parent_id)?;
    if change.no_successor && present.successor_id.is_some() {
        succession::log_taken_back(present.uid);
    }
    super::get_organisation(tx.conn, &row.code)
}

fn changed_row(tx: &Tx<'_>, present: &Organisation, change: &OrganisationChange) -> OrganisationRow {
    let known = row_of(present);
    let (name_vi, name_en) = match &change.name {
        Some(name) => (name.vi.clone(), name.en.clone()),
        None => (known.name_vi.clone(), known.name_en.clone()),
    };
    let egov_code = change
        .egov_code
        .as_ref()
        .map(|code| code.as_deref().map(canonical_code));
    let mut row = OrganisationRow {
        kind: change.kind.clone().unwrap_or(known.kind),
        name_vi,
        name_en,
        short_name: change.short_name.clone().unwrap_or(known.short_name),
        gso_code: change.gso_code.clone().unwrap_or(known.gso_code),
        egov_code: egov_code.unwrap_or(known.egov_code),
        valid_from: change.valid_from.unwrap_or(known.valid_from),
        valid_to: change.valid_to.unwrap_or(known.valid_to),
        pilot: change.pilot.unwrap_or(known.pilot),
        source: change.source.clone().unwrap_or(known.source),
        updated_at: Ts::from(tx.now),
        ..known
    };
    row.search_text = search_text(&row);
    row
}

/// What an organisation is part of comes to an end.
fn check_parents(conn: &mut Db, organisation: &Organisation) -> Result<()> {
    let is_circle = leads_back(organisation.id, |id| match id == organisation.id {
        true => Ok(organisation.parent_id),
        false => Ok(super::list_by_id(conn, &[id])?
            .pop()
            .and_then(|parent| parent.parent_id)),
    })?;
    match is_circle {
        true => {
            let text = "the organisation would be a part of itself";
            Err(refuse("/parent", HouseRule::ParentCycle, text))
        }
        false => Ok(()),
    }
}

/// As another kind of organisation it may get other policies, whose calendars must have the time that its agreements
/// promise. What they do not have; callers hold the lock on policies.
pub(super) fn broken_agreements(
    conn: &mut Db,
    desk: &Desk,
    organisation: &Organisation,
    now: DateTime<Utc>,
) -> Result<Vec<FieldCode>> {
    let today = desk.date_of(now);
    let mut broken = Vec::new();
    for agreement in agreements::db::list_of(conn, &[organisation.id])? {
        if agreement.valid_to.is_some_and(|last| last < today) {
            continue;
        }
        let targets = agreement.targets()?;
        let found = reach::check_agreement(conn, desk, organisation, &targets, now)?;
        broken.extend(found.into_iter().map(|error| error.code));
    }
    Ok(broken)
}

fn check_agreements(tx: &mut Tx<'_>, organisation: &Organisation) -> Result<()> {
    let broken = broken_agreements(tx.conn, tx.desk, organisation, tx.now)?.into_iter();
    let errors: Vec<FieldError> = broken.map(|code| FieldError::pointer("/kind", code)).collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid(errors)),
    }
}
