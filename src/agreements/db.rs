//! Queries over agreements.
use chrono::{DateTime, NaiveDate, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::store::schema::{agreements, organisations, tickets};
use crate::store::{Db, Json, MultiBackend, Ts, Uid};

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = agreements, treat_none_as_default_value = false)]
pub struct Agreement {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub organisation_id: i64,
    pub name_vi: String,
    pub name_en: String,
    pub legal_basis: Option<String>,
    pub targets: Json,
    pub valid_from: NaiveDate,
    pub valid_to: Option<NaiveDate>,
    pub end_reason: Option<String>,
    pub ended_by: Option<String>,
    pub author: String,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub version: i64,
}

/// All agreements of these organisations.
pub fn list_of(conn: &mut Db, organisation_ids: &[i64]) -> Result<Vec<Agreement>> {
    Ok(agreements::table
        .filter(agreements::organisation_id.eq_any(organisation_ids.to_vec()))
        .order((agreements::organisation_id, agreements::valid_from))
        .select(Agreement::as_select())
        .load(conn)?)
}

/// All agreements of organisations that file now: none of them begins or ends until the transaction is over. The lock is
/// the one that a ticket's foreign key takes of its organisation later on, so those who file do not wait for each other.
pub fn hold_of(conn: &mut Db, organisation_ids: &[i64]) -> Result<Vec<Agreement>> {
    if let Db::Pg(pg) = conn {
        organisations::table
            .filter(organisations::id.eq_any(organisation_ids))
            .order(organisations::id)
            .select(organisations::id)
            .for_key_share()
            .load::<i64>(pg)?;
    }
    list_of(conn, organisation_ids)
}

/// Those that are valid on this date or a later one.
pub fn list_valid_from(conn: &mut Db, date: NaiveDate) -> Result<Vec<Agreement>> {
    Ok(agreements::table
        .filter(agreements::valid_to.is_null().or(agreements::valid_to.ge(date)))
        .order(agreements::id)
        .select(Agreement::as_select())
        .load(conn)?)
}

/// What a list of agreements is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct AgreementFilter {
    pub organisation_id: Option<i64>,
    pub active_on: Option<NaiveDate>,
}

/// In the order in which they were made.
pub fn list(conn: &mut Db, filter: &AgreementFilter, after: i64, limit: i64) -> Result<Vec<Agreement>> {
    let mut query = agreements::table
        .filter(agreements::id.gt(after))
        .order(agreements::id)
        .limit(limit)
        .select(Agreement::as_select())
        .into_boxed::<MultiBackend>();
    if let Some(organisation_id) = filter.organisation_id {
        query = query.filter(agreements::organisation_id.eq(organisation_id));
    }
    if let Some(date) = filter.active_on {
        query = query
            .filter(agreements::valid_from.le(date))
            .filter(agreements::valid_to.is_null().or(agreements::valid_to.ge(date)));
    }
    Ok(query.load(conn)?)
}

pub fn find_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<Agreement>> {
    Ok(agreements::table
        .filter(agreements::uid.eq(uid))
        .select(Agreement::as_select())
        .first(conn)
        .optional()?)
}

/// Lock an organisation's own row for the rest of the transaction, against those who file for it too: they have filed
/// before, or see afterwards what came of it. SQLite needs no lock: its writer is alone.
pub fn lock_organisation(conn: &mut Db, id: i64) -> Result<()> {
    if let Db::Pg(pg) = conn {
        organisations::table
            .find(id)
            .select(organisations::id)
            .for_update()
            .first::<i64>(pg)?;
    }
    Ok(())
}

pub fn insert(conn: &mut Db, row: &Agreement) -> Result<()> {
    diesel::insert_into(agreements::table).values(row).execute(conn)?;
    Ok(())
}

pub fn set_end(conn: &mut Db, row: &Agreement) -> Result<()> {
    diesel::update(agreements::table.find(row.id))
        .set((
            agreements::valid_to.eq(row.valid_to),
            agreements::end_reason.eq(&row.end_reason),
            agreements::ended_by.eq(&row.ended_by),
            agreements::updated_at.eq(row.updated_at),
            agreements::version.eq(row.version),
        ))
        .execute(conn)?;
    Ok(())
}

/// Whether an organisation has filed anything in `[from, to)`.
pub fn has_filed(
    conn: &mut Db,
    organisation_id: i64,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<bool> {
    let found: Option<i64> = tickets::table
        .filter(tickets::organisation_id.eq(organisation_id))
        .filter(tickets::filed_at.ge(Ts::from(from)))
        .filter(tickets::filed_at.lt(Ts::from(to)))
        .order((tickets::filed_at.desc(), tickets::id.desc()))
        .select(tickets::id)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}
