//! Queries over organisations.
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;

use super::OrganisationFilter;
pub use super::requesters::db::hold_requester;
use crate::each_db;
use crate::error::{Result, is_unique_violation};
use crate::store::schema::{organisations, tickets};
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
    pub source: String,
    pub version: i64,
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
    if let Some(parent_id) = filter.parent_id {
        query = query.filter(organisations::parent_id.eq(parent_id));
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

/// `false` where the code is taken.
pub fn insert_organisation(conn: &mut Db, row: &OrganisationRow) -> Result<bool> {
    let new = (
        row,
        organisations::uid.eq(Uid::new()),
        organisations::created_at.eq(row.updated_at),
        organisations::version.eq(1),
    );
    match diesel::insert_into(organisations::table)
        .values(new)
        .execute(conn)
    {
        Ok(_) => Ok(true),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// Everything but the links, as the next version.
pub fn update_organisation(conn: &mut Db, row: &OrganisationRow) -> Result<()> {
    diesel::update(organisations::table.filter(organisations::code.eq(&row.code)))
        .set((row, organisations::version.eq(organisations::version + 1)))
        .execute(conn)?;
    Ok(())
}

/// Who succeeds it and what it is part of. Part of a change that `update_organisation` counts.
pub fn set_links(conn: &mut Db, code: &str, successor_id: Option<i64>, parent_id: Option<i64>) -> Result<()> {
    diesel::update(organisations::table.filter(organisations::code.eq(code)))
        .set((
            organisations::successor_id.eq(successor_id),
            organisations::parent_id.eq(parent_id),
        ))
        .execute(conn)?;
    Ok(())
}

/// Close an organisation and name who succeeds it.
pub fn set_succession(
    conn: &mut Db,
    id: i64,
    last_day: NaiveDate,
    successor_id: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    diesel::update(organisations::table.find(id))
        .set((
            organisations::valid_to.eq(Some(last_day)),
            organisations::successor_id.eq(Some(successor_id)),
            organisations::updated_at.eq(Ts::from(now)),
            organisations::version.eq(organisations::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}

/// One change of the directory at a time: of two that together make a circle the second sees the first. SQLite needs no
/// lock: its writer is alone.
pub fn lock_directory(conn: &mut Db) -> Result<()> {
    /// Two numbers, so that it is none of the idempotency keys' locks, which have one.
    const DIRECTORY_LOCK: &str = "SELECT pg_advisory_xact_lock(7701, 1)";
    if let Db::Pg(pg) = conn {
        diesel::sql_query(DIRECTORY_LOCK).execute(pg)?;
    }
    Ok(())
}

/// Those whom an organisation succeeds at once.
pub fn list_predecessors(conn: &mut Db, id: i64) -> Result<Vec<Organisation>> {
    Ok(organisations::table
        .filter(organisations::successor_id.eq(id))
        .order(organisations::code)
        .select(Organisation::as_select())
        .load(conn)?)
}

/// How many tickets these organisations have filed: open ones, and all.
pub fn count_tickets(conn: &mut Db, organisation_ids: &[i64]) -> Result<(i64, i64)> {
    let all = tickets::table.filter(tickets::organisation_id.eq_any(organisation_ids.to_vec()));
    let open = all
        .clone()
        .filter(tickets::state.eq_any(["queued", "assigned", "waiting"]))
        .count()
        .get_result(conn)?;
    Ok((open, all.count().get_result(conn)?))
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
