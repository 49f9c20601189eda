//! Queries over organisations and requesters.
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;

use super::{OrganisationFilter, RequesterInput};
use crate::each_db;
use crate::error::Result;
use crate::language::Language;
use crate::store::schema::{organisations, requesters};
use crate::store::{Db, MultiBackend, Ts, Uid};
use crate::text::like_pattern;

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = organisations)]
pub struct Organisation {
    pub id: i64,
    pub uid: Uid,
    pub code: String,
    pub kind: String,
    pub name_vi: String,
    pub name_en: String,
    pub short_name: String,
    pub gso_code: Option<String>,
    pub egov_code: Option<String>,
    pub valid_from: Option<NaiveDate>,
    pub valid_to: Option<NaiveDate>,
    pub successor_id: Option<i64>,
    pub parent_id: Option<i64>,
    pub pilot: bool,
    pub version: i64,
}

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

pub fn find_organisation_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<Organisation>> {
    Ok(organisations::table
        .filter(organisations::uid.eq(uid))
        .select(Organisation::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_organisation_by_code(conn: &mut Db, code: &str) -> Result<Option<Organisation>> {
    Ok(organisations::table
        .filter(organisations::code.eq(code))
        .select(Organisation::as_select())
        .first(conn)
        .optional()?)
}

pub fn list_organisations_by_id(conn: &mut Db, ids: &[i64]) -> Result<Vec<Organisation>> {
    // On the concrete connection PostgreSQL takes the ids as one array, so that the statement is prepared once.
    Ok(each_db!(conn, c => organisations::table
        .filter(organisations::id.eq_any(ids))
        .select(Organisation::as_select())
        .load(c))?)
}

pub fn list_organisations(
    conn: &mut Db,
    filter: &OrganisationFilter,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Organisation>> {
    let mut query = organisations::table
        .select(Organisation::as_select())
        .order(organisations::code)
        .limit(limit)
        .into_boxed::<MultiBackend>();
    if let Some(date) = filter.active_on {
        query = query
            .filter(
                organisations::valid_from
                    .is_null()
                    .or(organisations::valid_from.le(Some(date))),
            )
            .filter(
                organisations::valid_to
                    .is_null()
                    .or(organisations::valid_to.ge(Some(date))),
            );
    }
    if let Some(kind) = &filter.kind {
        query = query.filter(organisations::kind.eq(kind.clone()));
    }
    if let Some(q) = &filter.q {
        query = query.filter(organisations::search_text.like(like_pattern(q)).escape('\\'));
    }
    if let Some(after) = after {
        query = query.filter(organisations::code.gt(after.to_owned()));
    }
    Ok(query.load(conn)?)
}

#[derive(Debug, Clone, Insertable, AsChangeset)]
#[diesel(table_name = organisations, treat_none_as_null = true)]
pub struct OrganisationRow {
    pub code: String,
    pub kind: String,
    pub name_vi: String,
    pub name_en: String,
    pub short_name: String,
    pub gso_code: Option<String>,
    pub egov_code: Option<String>,
    pub valid_from: Option<NaiveDate>,
    pub valid_to: Option<NaiveDate>,
    pub pilot: bool,
    pub source: String,
    pub search_text: String,
    pub updated_at: Ts,
}

/// Add or replace by code.
pub fn upsert_organisation(conn: &mut Db, row: &OrganisationRow) -> Result<()> {
    let new = (
        row,
        organisations::uid.eq(Uid::new()),
        organisations::created_at.eq(row.updated_at),
        organisations::version.eq(1),
    );
    each_db!(conn, c => diesel::insert_into(organisations::table)
        .values(new)
        .on_conflict(organisations::code)
        .do_update()
        .set((row, organisations::version.eq(organisations::version + 1)))
        .execute(c))?;
    Ok(())
}

pub fn set_successor(conn: &mut Db, code: &str, successor_id: Option<i64>) -> Result<()> {
    diesel::update(organisations::table.filter(organisations::code.eq(code)))
        .set(organisations::successor_id.eq(successor_id))
        .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Reached {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    id: i64,
}

/// The organisation, whoever it succeeded by then, and with `include_units` what is part of them. What has a successor
/// belongs to that from the day after its last.
pub fn list_reach(conn: &mut Db, id: i64, include_units: bool, today: NaiveDate) -> Result<Vec<i64>> {
    let reached: Vec<Reached> = diesel::sql_query(
        "WITH RECURSIVE reach(id) AS ( \
           SELECT id FROM organisations WHERE id = $1 \
           UNION \
           SELECT organisations.id FROM organisations JOIN reach ON \
             (organisations.successor_id = reach.id AND organisations.valid_to < $2) \
             OR ($3 AND organisations.parent_id = reach.id AND (organisations.successor_id IS NULL \
                 OR organisations.valid_to IS NULL OR organisations.valid_to >= $2)) \
         ) SELECT id FROM reach ORDER BY id",
    )
    .bind::<diesel::sql_types::BigInt, _>(id)
    .bind::<diesel::sql_types::Date, _>(today)
    .bind::<diesel::sql_types::Bool, _>(include_units)
    .load(conn)?;
    Ok(reached.into_iter().map(|row| row.id).collect())
}

pub fn find_requester_by_email(
    conn: &mut Db,
    organisation_id: i64,
    email: &str,
) -> Result<Option<Requester>> {
    Ok(requesters::table
        .filter(
            requesters::organisation_id
                .eq(organisation_id)
                .and(requesters::email.eq(email)),
        )
        .select(Requester::as_select())
        .first(conn)
        .optional()?)
}

/// Those of these organisations who have one of these addresses, each with the organisation's key.
pub fn list_requesters_by_email(
    conn: &mut Db,
    organisation_ids: &[i64],
    emails: &[&str],
) -> Result<Vec<(i64, Requester)>> {
    Ok(each_db!(conn, c => requesters::table
        .filter(requesters::organisation_id.eq_any(organisation_ids))
        .filter(requesters::email.eq_any(emails))
        .select((requesters::organisation_id, Requester::as_select()))
        .load(c))?)
}

pub fn find_requester_by_name(
    conn: &mut Db,
    organisation_id: i64,
    name: &str,
    unit: Option<&str>,
) -> Result<Option<Requester>> {
    let candidates: Vec<Requester> = requesters::table
        .filter(
            requesters::organisation_id
                .eq(organisation_id)
                .and(requesters::name.eq(name)),
        )
        .filter(requesters::email.is_null())
        .order(requesters::id)
        .select(Requester::as_select())
        .load(conn)?;
    Ok(candidates
        .into_iter()
        .find(|candidate| candidate.unit.as_deref() == unit))
}

/// Insert, or, where another transaction added the same address first, take that row.
pub fn insert_requester(
    conn: &mut Db,
    organisation_id: i64,
    input: &RequesterInput,
    now: DateTime<Utc>,
) -> Result<Requester> {
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
    );
    let inserted: Option<Requester> = each_db!(conn, c => diesel::insert_into(requesters::table)
        .values(row)
        .on_conflict_do_nothing()
        .returning(Requester::as_returning())
        .get_result(c)
        .optional())?;
    match (inserted, &input.email) {
        (Some(requester), _) => Ok(requester),
        (None, Some(email)) => find_requester_by_email(conn, organisation_id, email)?
            .ok_or_else(|| crate::error::Error::unavailable("a requester changed meanwhile", email.len())),
        (None, None) => Err(crate::error::Error::internal(
            "a requester was not inserted",
            "no conflict is possible",
        )),
    }
}

/// Overwrite what is given and keep the rest.
pub fn update_requester(
    conn: &mut Db,
    id: i64,
    input: &RequesterInput,
    now: DateTime<Utc>,
) -> Result<Requester> {
    // Only what is given is set: what another transaction has just written stays.
    Ok(diesel::update(requesters::table.find(id))
        .set((
            requesters::name.eq(&input.name),
            input.unit.as_ref().map(|unit| requesters::unit.eq(unit)),
            input.phone.as_ref().map(|phone| requesters::phone.eq(phone)),
            input.language.map(|language| requesters::language.eq(language)),
            requesters::updated_at.eq(Ts::from(now)),
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
        .get_result(conn)?)
}

pub fn find_requester(conn: &mut Db, id: i64) -> Result<Option<Requester>> {
    Ok(requesters::table
        .find(id)
        .select(Requester::as_select())
        .first(conn)
        .optional()?)
}
