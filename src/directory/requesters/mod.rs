//! Persons of organisations who ask: no more than is needed to answer them (Law 91/2025/QH15). They come with the first
//! question that names them, or over the API. A program knows the persons of the organisations whose tickets it sees; of
//! others it cannot tell that they exist.
//!
//! Who a person is can be erased: the row stays for counting, and nothing that waits is sent to them any more.
pub(crate) mod db;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

pub use db::{Person, Requester};

use crate::directory::{self, Organisation};
use crate::error::{Conflict, Error, FieldCode, Resource, Result};
use crate::identity::Principal;
use crate::language::Language;
use crate::notifications;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Ts, Uid};
use crate::tx::Tx;

/// What is shown in the place of an erased name.
const NOBODY: &str = "Người hỏi đã được ẩn danh";

/// A person as an organisation names them with a question. What it leaves out says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequesterInput {
    pub name: String,
    pub email: Option<String>,
    pub unit: Option<String>,
    pub phone: Option<String>,
    pub language: Option<Language>,
}

/// How often a person is looked for who is being added or erased by others.
const ATTEMPTS: usize = 3;

/// The person of this organisation: known by address, else by name and unit; added when new, kept up to date
/// with what is given. They stay who they are until the transaction is over. Who has been erased is not known any more.
pub fn remember_requester(
    conn: &mut Db,
    organisation_id: i64,
    input: &RequesterInput,
    now: DateTime<Utc>,
) -> Result<Requester> {
    for _ in 0..ATTEMPTS {
        let known = match &input.email {
            Some(email) => db::hold_requester_by_email(conn, organisation_id, email)?,
            None => db::hold_requester_by_name(conn, organisation_id, &input.name, input.unit.as_deref())?,
        };
        let present = match known {
            Some(known) if known.says_the_same_as(input) => Some(known),
            Some(known) => db::update_requester(conn, &known, input, now)?,
            None => db::insert_requester(conn, organisation_id, input, now)?,
        };
        if let Some(present) = present {
            return Ok(present);
        }
    }
    Err(Error::unavailable(
        "a requester changed meanwhile",
        organisation_id,
    ))
}

/// Known persons by organisation and address, for all pairs of these; they stay who they are until the transaction is
/// over.
pub fn hold_requesters_by_email(
    conn: &mut Db,
    organisation_ids: &[i64],
    emails: &[&str],
) -> Result<HashMap<(i64, String), Requester>> {
    if emails.is_empty() {
        return Ok(HashMap::new());
    }
    let found = db::hold_requesters_by_email(conn, organisation_ids, emails)?;
    Ok(found
        .into_iter()
        .filter_map(|(organisation_id, person)| {
            let address = person.email.clone()?;
            Some(((organisation_id, address), person))
        })
        .collect())
}

/// What a list of persons is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct RequesterFilter {
    pub organisation_id: Option<i64>,
    /// Part of name or unit, folded.
    pub q: Option<String>,
    pub email: Option<String>,
}

/// What is to be different; what is left out stays, what is none inside goes.
#[derive(Debug, Clone, Default)]
pub struct RequesterChange {
    pub name: Option<String>,
    pub email: Option<Option<String>>,
    pub unit: Option<Option<String>>,
    pub phone: Option<Option<String>>,
    pub language: Option<Language>,
}

/// A page of persons in the order in which they came; a program's within its reach.
pub fn list(
    conn: &mut Db,
    principal: &Principal,
    filter: &RequesterFilter,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<Person>> {
    let reach = principal.client().map(|client| client.reach.as_slice());
    let binding = format!("requesters {filter:?} {reach:?}");
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list_people(conn, filter, reach, after.unwrap_or(0), limit + 1)?;
    Page::from_rows(rows, limit, &binding, |person| person.id)
}

/// By UUID. Whom a program may not know does not exist.
pub fn get(conn: &mut Db, principal: &Principal, id: &str) -> Result<Person> {
    let found = match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_person(conn, Uid(uid))?,
        Err(_) => None,
    };
    found
        .filter(|person| {
            principal
                .client()
                .is_none_or(|client| client.sees(person.organisation_id))
        })
        .ok_or(Error::NotFound(Resource::Requester))
}

/// The same, with its row locked for the rest of the transaction, in the version that the caller decided on.
fn locked(tx: &mut Tx<'_>, id: &str, seen: &Option<Vec<i64>>) -> Result<Person> {
    let found = get(tx.conn, tx.principal, id)?;
    db::lock_person(tx.conn, found.id)?;
    let present = db::get_person(tx.conn, found.id)?;
    if seen.as_ref().is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    if present.anonymised_at.is_some() {
        return Err(Error::Conflict(Conflict::Anonymised));
    }
    Ok(present)
}

/// Add a person. A program's are of its own organisation; staff say of which.
pub fn create(tx: &mut Tx<'_>, organisation: Option<&str>, input: &RequesterInput) -> Result<Person> {
    let organisation = organisation_for(tx, organisation)?;
    let added = db::insert_requester(tx.conn, organisation.id, input, tx.now)?.ok_or_else(address_taken)?;
    db::get_person(tx.conn, added.id)
}

fn organisation_for(tx: &mut Tx<'_>, given: Option<&str>) -> Result<Organisation> {
    let refuse = |code| Error::invalid_pointer("/organisation", code);
    match (tx.principal.client(), given) {
        (Some(_), Some(_)) => Err(refuse(FieldCode::NotAllowed)),
        (Some(client), None) => directory::list_by_id(tx.conn, &[client.organisation_id])?
            .pop()
            .ok_or_else(|| Error::internal("a key without its organisation", client.uid)),
        (None, None) => Err(refuse(FieldCode::Required)),
        (None, Some(id)) => {
            directory::find_organisation(tx.conn, id)?.ok_or_else(|| refuse(FieldCode::UnknownCode))
        }
    }
}

fn address_taken() -> Error {
    Error::invalid_pointer("/email", FieldCode::Duplicate)
}

pub fn change(
    tx: &mut Tx<'_>,
    id: &str,
    change: &RequesterChange,
    seen: &Option<Vec<i64>>,
) -> Result<Person> {
    let present = locked(tx, id, seen)?;
    let changed = Person {
        name: change.name.clone().unwrap_or_else(|| present.name.clone()),
        email: change.email.clone().unwrap_or_else(|| present.email.clone()),
        unit: change.unit.clone().unwrap_or_else(|| present.unit.clone()),
        phone: change.phone.clone().unwrap_or_else(|| present.phone.clone()),
        language: change.language.unwrap_or(present.language),
        updated_at: Ts::from(tx.now),
        version: present.version + 1,
        ..present
    };
    match db::update_person(tx.conn, &changed)? {
        true => Ok(changed),
        false => Err(address_taken()),
    }
}

/// Erase who a person is, for good, and withdraw the mails to them that have not left. Returns how many those are.
pub fn anonymise(
    tx: &mut Tx<'_>,
    id: &str,
    reason: &str,
    seen: &Option<Vec<i64>>,
) -> Result<(Person, usize)> {
    let present = locked(tx, id, seen)?;
    let withdrawn = match &present.email {
        Some(address) => {
            let tickets = db::list_ticket_ids_of(tx.conn, present.id)?;
            notifications::outbox::forget_asker(tx.conn, address, &tickets)?
        }
        None => 0,
    };
    Ok((erase(tx, present, reason)?, withdrawn))
}

/// Erase who a person is whose last ticket is emptied, and with it every mail to them. Their row is locked.
pub fn forget(tx: &mut Tx<'_>, requester_id: i64, reason: &str) -> Result<()> {
    let present = db::get_person(tx.conn, requester_id)?;
    if present.anonymised_at.is_none() {
        erase(tx, present, reason)?;
    }
    Ok(())
}

fn erase(tx: &mut Tx<'_>, present: Person, reason: &str) -> Result<Person> {
    let erased = Person {
        name: NOBODY.to_owned(),
        email: None,
        unit: None,
        phone: None,
        anonymised_at: Some(Ts::from(tx.now)),
        anonymise_reason: Some(reason.to_owned()),
        updated_at: Ts::from(tx.now),
        version: present.version + 1,
        ..present
    };
    db::update_person(tx.conn, &erased)?;
    tracing::info!(target: "security", event = "requester_anonymised", requester = %erased.uid, "requester");
    Ok(erased)
}
