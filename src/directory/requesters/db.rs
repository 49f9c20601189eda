//! Queries over requesters.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::{RequesterFilter, RequesterInput};
use crate::each_db;
use crate::error::{Result, is_unique_violation};
use crate::language::Language;
use crate::store::schema::{requesters, tickets};
use crate::store::{Db, MultiBackend, Ts, Uid};
use crate::text::{fold, like_pattern};
use crate::tickets::search::{Found, Mark, Needle};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = requesters)]
pub struct Requester {
    pub id: i64,
    pub uid: Uid,
    pub name: String,
    pub email: Option<String>,
    pub unit: Option<String>,
    pub phone: Option<String>,
    pub language: Language,
}

impl Requester {
    /// Whether nothing that is given here would change this person; what is left out changes nothing.
    pub fn says_the_same_as(&self, input: &RequesterInput) -> bool {
        let same = |given: &Option<String>, known| given.is_none() || given == known;
        self.name == input.name
            && same(&input.email, &self.email)
            && same(&input.unit, &self.unit)
            && same(&input.phone, &self.phone)
            && input.language.is_none_or(|given| given == self.language)
    }
}

/// A person as the directory keeps them.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = requesters)]
pub struct Person {
    pub id: i64,
    pub uid: Uid,
    pub organisation_id: i64,
    pub name: String,
    pub email: Option<String>,
    pub unit: Option<String>,
    pub phone: Option<String>,
    pub language: Language,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub anonymised_at: Option<Ts>,
    pub anonymise_reason: Option<String>,
    pub version: i64,
}

pub fn search_text(name: &str, unit: Option<&str>) -> String {
    fold(&format!("{name} {}", unit.unwrap_or_default()))
}

pub fn find_person(conn: &mut Db, uid: Uid) -> Result<Option<Person>> {
    Ok(requesters::table
        .filter(requesters::uid.eq(uid))
        .select(Person::as_select())
        .first(conn)
        .optional()?)
}

pub fn get_person(conn: &mut Db, id: i64) -> Result<Person> {
    Ok(requesters::table
        .find(id)
        .select(Person::as_select())
        .first(conn)?)
}

/// Lock a person's row for the rest of the transaction, to change who they are or to erase it: waits for whoever holds
/// them (`hold_requester` and its like), who is told afterwards what became of them. Who locks a ticket too locks it
/// first, and the rows of mails after the person. SQLite needs no lock: its writer is alone.
pub fn lock_person(conn: &mut Db, id: i64) -> Result<()> {
    if let Db::Pg(pg) = conn {
        requesters::table
            .find(id)
            .select(requesters::id)
            .for_update()
            .first::<i64>(pg)?;
    }
    Ok(())
}

/// In the order in which they came; `of`: only of these organisations.
pub fn list_people(
    conn: &mut Db,
    filter: &RequesterFilter,
    of: Option<&[i64]>,
    after: i64,
    limit: i64,
) -> Result<Vec<Person>> {
    let mut query = requesters::table
        .filter(requesters::id.gt(after))
        .order(requesters::id)
        .limit(limit)
        .select(Person::as_select())
        .into_boxed::<MultiBackend>();
    if let Some(of) = of {
        query = match of {
            [only] => query.filter(requesters::organisation_id.eq(*only)),
            several => query.filter(requesters::organisation_id.eq_any(several.to_vec())),
        };
    }
    if let Some(organisation_id) = filter.organisation_id {
        query = query.filter(requesters::organisation_id.eq(organisation_id));
    }
    if let Some(email) = &filter.email {
        query = query.filter(requesters::email.eq(email.clone()));
    }
    if let Some(q) = &filter.q {
        query = query.filter(requesters::search_text.like(like_pattern(q)).escape('\\'));
    }
    Ok(query.load(conn)?)
}

/// `false` where the organisation has another person with this address.
pub fn update_person(conn: &mut Db, row: &Person) -> Result<bool> {
    let changed = diesel::update(requesters::table.find(row.id))
        .set((
            requesters::name.eq(&row.name),
            requesters::email.eq(&row.email),
            requesters::unit.eq(&row.unit),
            requesters::phone.eq(&row.phone),
            requesters::language.eq(row.language),
            requesters::search_text.eq(search_text(&row.name, row.unit.as_deref())),
            requesters::anonymised_at.eq(row.anonymised_at),
            requesters::anonymise_reason.eq(&row.anonymise_reason),
            requesters::updated_at.eq(row.updated_at),
            requesters::version.eq(row.version),
        ))
        .execute(conn);
    match changed {
        Ok(_) => Ok(true),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// The tickets of a person; by their mark in the index of words, because the column has no index.
pub fn list_ticket_ids_of(conn: &mut Db, person_id: i64) -> Result<Vec<i64>> {
    let marked = Found::among_keys(conn, &[Needle::mark(Mark::Requester(person_id))]);
    Ok(tickets::table
        .filter(marked)
        .filter(tickets::requester_id.eq(person_id))
        .select(tickets::id)
        .load(conn)?)
}

/// A question for persons by which they are held until the transaction is over: they keep their address and stay who they
/// are, so that what is written of them names nobody who is erased. The lock is the one that a ticket's foreign key
/// takes of its asker later on, so those who hold do not wait for each other. On PostgreSQL a row that was being erased is asked
/// the question anew after the wait; SQLite needs no lock: its writer is alone.
macro_rules! hold {
    ($conn:expr, $load:ident $question:expr) => {
        match $conn {
            Db::Pg(pg) => $question.for_key_share().$load(pg),
            Db::Lite(lite) => $question.$load(lite),
        }
    };
}

pub fn hold_requester_by_email(
    conn: &mut Db,
    organisation_id: i64,
    email: &str,
) -> Result<Option<Requester>> {
    Ok(hold!(conn, first requesters::table
        .filter(requesters::organisation_id.eq(organisation_id))
        .filter(requesters::email.eq(email))
        .select(Requester::as_select()))
    .optional()?)
}

/// Those of these organisations who have one of these addresses, each with the organisation's key.
pub fn hold_requesters_by_email(
    conn: &mut Db,
    organisation_ids: &[i64],
    emails: &[&str],
) -> Result<Vec<(i64, Requester)>> {
    Ok(hold!(conn, load requesters::table
        .filter(requesters::organisation_id.eq_any(organisation_ids))
        .filter(requesters::email.eq_any(emails))
        .order(requesters::id)
        .select((requesters::organisation_id, Requester::as_select())))?)
}

pub fn hold_requester_by_name(
    conn: &mut Db,
    organisation_id: i64,
    name: &str,
    unit: Option<&str>,
) -> Result<Option<Requester>> {
    let candidates: Vec<Requester> = hold!(conn, load requesters::table
        .filter(requesters::organisation_id.eq(organisation_id))
        .filter(requesters::name.eq(name))
        .filter(requesters::email.is_null())
        .filter(requesters::anonymised_at.is_null())
        .order(requesters::id)
        .select(Requester::as_select()))?;
    Ok(candidates
        .into_iter()
        .find(|candidate| candidate.unit.as_deref() == unit))
}

/// `None` where the organisation has a person with this address.
pub fn insert_requester(
    conn: &mut Db,
    organisation_id: i64,
    input: &RequesterInput,
    now: DateTime<Utc>,
) -> Result<Option<Requester>> {
    let now = Ts::from(now);
    let row = (
        requesters::uid.eq(Uid::new()),
        requesters::organisation_id.eq(organisation_id),
        requesters::name.eq(&input.name),
        requesters::email.eq(&input.email),
        requesters::unit.eq(&input.unit),
        requesters::phone.eq(&input.phone),
        requesters::language.eq(input.language.unwrap_or_default()),
        requesters::created_at.eq(now),
        requesters::updated_at.eq(now),
        requesters::search_text.eq(search_text(&input.name, input.unit.as_deref())),
        requesters::version.eq(1),
    );
    Ok(each_db!(conn, c => diesel::insert_into(requesters::table)
        .values(row)
        .on_conflict_do_nothing()
        .returning(Requester::as_returning())
        .get_result(c)
        .optional())?)
}

/// Overwrite what is given and keep the rest. `None` where the person has been erased, who stays so.
pub fn update_requester(
    conn: &mut Db,
    known: &Requester,
    input: &RequesterInput,
    now: DateTime<Utc>,
) -> Result<Option<Requester>> {
    let unit = input.unit.as_deref().or(known.unit.as_deref());
    // Only what is given is set: what another transaction has just written stays.
    let present = requesters::table
        .find(known.id)
        .filter(requesters::anonymised_at.is_null());
    Ok(diesel::update(present)
        .set((
            requesters::name.eq(&input.name),
            input.unit.as_ref().map(|unit| requesters::unit.eq(unit)),
            input.phone.as_ref().map(|phone| requesters::phone.eq(phone)),
            input.language.map(|language| requesters::language.eq(language)),
            requesters::search_text.eq(search_text(&input.name, unit)),
            requesters::updated_at.eq(Ts::from(now)),
            requesters::version.eq(requesters::version + 1),
        ))
        .returning((
            requesters::id,
            requesters::uid,
            requesters::name,
            requesters::email,
            requesters::unit,
            requesters::phone,
            requesters::language,
        ))
        .get_result(conn)
        .optional()?)
}

/// `None` where the person has been erased.
pub fn hold_requester(conn: &mut Db, id: i64) -> Result<Option<Requester>> {
    Ok(hold!(conn, first requesters::table
        .find(id)
        .filter(requesters::anonymised_at.is_null())
        .select(Requester::as_select()))
    .optional()?)
}
