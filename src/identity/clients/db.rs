//! Queries over programs and their keys.
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::each_db;
use crate::error::{Result, is_unique_violation};
use crate::identity::token::Kind;
use crate::store::schema::{clients, credentials};
use crate::store::{Db, Json, MultiBackend, Ts, Uid};
use crate::text::{fold, like_pattern};

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = clients, treat_none_as_default_value = false)]
pub struct Program {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub organisation_id: i64,
    pub name: String,
    pub search_text: String,
    pub networks: Json,
    pub include_units: bool,
    pub requests_per_minute: Option<i32>,
    pub active: bool,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub version: i64,
}

/// A key without its secret.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = credentials)]
pub struct Key {
    pub id: i64,
    pub uid: Uid,
    pub lookup: String,
    pub name: String,
    pub client_id: Option<i64>,
    pub scopes: String,
    pub created_at: Ts,
    pub expires_at: Option<Ts>,
    pub revoked_at: Option<Ts>,
    pub last_used_at: Option<Ts>,
    pub life_seconds: Option<i64>,
    pub replaces_id: Option<i64>,
    pub made_with_id: Option<i64>,
}

#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = credentials, treat_none_as_default_value = false)]
pub struct NewKeyRow {
    pub uid: Uid,
    pub lookup: String,
    pub secret_hash: String,
    pub kind: Kind,
    pub name: String,
    pub client_id: i64,
    pub scopes: String,
    pub created_at: Ts,
    pub expires_at: Option<Ts>,
    pub life_seconds: Option<i64>,
    pub replaces_id: Option<i64>,
    pub made_with_id: Option<i64>,
}

/// What a list of programs is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct ProgramFilter {
    pub organisation_id: Option<i64>,
    pub active: Option<bool>,
    /// Part of the name, folded.
    pub q: Option<String>,
}

/// `false` where the organisation has a program of this name.
pub fn insert_program(conn: &mut Db, row: &Program) -> Result<bool> {
    match diesel::insert_into(clients::table).values(row).execute(conn) {
        Ok(_) => Ok(true),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// `false` where the organisation has another program of this name.
pub fn update_program(conn: &mut Db, row: &Program) -> Result<bool> {
    let changed = diesel::update(clients::table.find(row.id))
        .set((
            clients::name.eq(&row.name),
            clients::search_text.eq(&row.search_text),
            clients::networks.eq(&row.networks),
            clients::include_units.eq(row.include_units),
            clients::requests_per_minute.eq(row.requests_per_minute),
            clients::active.eq(row.active),
            clients::updated_at.eq(row.updated_at),
            clients::version.eq(row.version),
        ))
        .execute(conn);
    match changed {
        Ok(_) => Ok(true),
        Err(cause) if is_unique_violation(&cause) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// The organisation's program of this name, added when new.
pub fn ensure_program(conn: &mut Db, organisation_id: i64, name: &str, now: DateTime<Utc>) -> Result<i64> {
    let row = Program {
        id: 0,
        uid: Uid::new(),
        organisation_id,
        name: name.to_owned(),
        search_text: fold(name),
        networks: Json(serde_json::json!([])),
        include_units: false,
        requests_per_minute: None,
        active: true,
        created_at: Ts::from(now),
        updated_at: Ts::from(now),
        version: 1,
    };
    each_db!(conn, c => diesel::insert_into(clients::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok(clients::table
        .filter(
            clients::organisation_id
                .eq(organisation_id)
                .and(clients::name.eq(name)),
        )
        .select(clients::id)
        .first(conn)?)
}

/// Lock a program's row for the rest of the transaction. SQLite needs no lock: its writer is alone.
pub fn lock_program(conn: &mut Db, id: i64) -> Result<()> {
    if let Db::Pg(pg) = conn {
        clients::table
            .find(id)
            .select(clients::id)
            .for_update()
            .first::<i64>(pg)?;
    }
    Ok(())
}

pub fn find_program(conn: &mut Db, uid: Uid) -> Result<Option<Program>> {
    Ok(clients::table
        .filter(clients::uid.eq(uid))
        .select(Program::as_select())
        .first(conn)
        .optional()?)
}

pub fn get_program_by_id(conn: &mut Db, id: i64) -> Result<Program> {
    Ok(clients::table.find(id).select(Program::as_select()).first(conn)?)
}

/// In the order in which they were made.
pub fn list_programs(conn: &mut Db, filter: &ProgramFilter, after: i64, limit: i64) -> Result<Vec<Program>> {
    let mut query = clients::table
        .filter(clients::id.gt(after))
        .order(clients::id)
        .limit(limit)
        .select(Program::as_select())
        .into_boxed::<MultiBackend>();
    if let Some(organisation_id) = filter.organisation_id {
        query = query.filter(clients::organisation_id.eq(organisation_id));
    }
    if let Some(active) = filter.active {
        query = query.filter(clients::active.eq(active));
    }
    if let Some(q) = &filter.q {
        query = query.filter(clients::search_text.like(like_pattern(q)).escape('\\'));
    }
    Ok(query.load(conn)?)
}

/// A program that can ask now, with its keys in force.
#[derive(Debug, Clone)]
pub struct Running {
    pub program: Program,
    pub keys: usize,
    pub last_used_at: Option<Ts>,
}

/// The active programs of an organisation that have a key in force.
pub fn list_running(conn: &mut Db, organisation_id: i64, now: DateTime<Utc>) -> Result<Vec<Running>> {
    let keys: Vec<(Program, Option<Ts>)> = credentials::table
        .inner_join(clients::table)
        .filter(clients::organisation_id.eq(organisation_id))
        .filter(clients::active.eq(true))
        .filter(credentials::revoked_at.is_null())
        .filter(
            credentials::expires_at
                .is_null()
                .or(credentials::expires_at.gt(Some(Ts::from(now)))),
        )
        .order(clients::id)
        .select((Program::as_select(), credentials::last_used_at))
        .load(conn)?;
    let mut positions: HashMap<i64, usize> = HashMap::new();
    let mut running: Vec<Running> = Vec::new();
    for (program, last_used_at) in keys {
        let position = *positions.entry(program.id).or_insert(running.len());
        match running.get_mut(position) {
            Some(known) => {
                known.keys += 1;
                known.last_used_at = known.last_used_at.max(last_used_at);
            }
            None => running.push(Running {
                program,
                keys: 1,
                last_used_at,
            }),
        }
    }
    Ok(running)
}

pub fn insert_key(conn: &mut Db, row: &NewKeyRow) -> Result<Key> {
    diesel::insert_into(credentials::table)
        .values(row)
        .execute(conn)?;
    Ok(credentials::table
        .filter(credentials::lookup.eq(&row.lookup))
        .select(Key::as_select())
        .first(conn)?)
}

pub fn find_key_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<Key>> {
    Ok(credentials::table
        .filter(credentials::uid.eq(uid))
        .select(Key::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_key_by_lookup(conn: &mut Db, lookup: &str) -> Result<Option<Key>> {
    Ok(credentials::table
        .filter(credentials::lookup.eq(lookup))
        .select(Key::as_select())
        .first(conn)
        .optional()?)
}

pub fn get_key_by_id(conn: &mut Db, id: i64) -> Result<Key> {
    Ok(credentials::table.find(id).select(Key::as_select()).first(conn)?)
}

/// Oldest first.
pub fn list_keys(conn: &mut Db, program_id: i64, after: i64, limit: i64) -> Result<Vec<Key>> {
    Ok(credentials::table
        .filter(credentials::client_id.eq(program_id))
        .filter(credentials::id.gt(after))
        .order(credentials::id)
        .limit(limit)
        .select(Key::as_select())
        .load(conn)?)
}

/// The public ids of these keys.
pub fn uids_of_keys(conn: &mut Db, ids: &[i64]) -> Result<HashMap<i64, Uid>> {
    let rows: Vec<(i64, Uid)> = each_db!(conn, c => credentials::table
        .filter(credentials::id.eq_any(ids))
        .select((credentials::id, credentials::uid))
        .load(c))?;
    Ok(rows.into_iter().collect())
}

pub fn count_keys_in_force(conn: &mut Db, program_id: i64, now: DateTime<Utc>) -> Result<i64> {
    Ok(credentials::table
        .filter(credentials::client_id.eq(program_id))
        .filter(credentials::revoked_at.is_null())
        .filter(
            credentials::expires_at
                .is_null()
                .or(credentials::expires_at.gt(Some(Ts::from(now)))),
        )
        .count()
        .get_result(conn)?)
}

pub fn set_key_end(conn: &mut Db, id: i64, end: DateTime<Utc>) -> Result<()> {
    diesel::update(credentials::table.find(id))
        .set(credentials::expires_at.eq(Some(Ts::from(end))))
        .execute(conn)?;
    Ok(())
}

/// The keys that took this one's place and that nobody has used; only those that its program made with it, or all.
pub fn list_unused_replacements(conn: &mut Db, id: i64, made_with_it: bool) -> Result<Vec<i64>> {
    let mut query = credentials::table
        .filter(credentials::replaces_id.eq(id))
        .filter(credentials::last_used_at.is_null())
        .filter(credentials::revoked_at.is_null())
        .select(credentials::id)
        .into_boxed::<MultiBackend>();
    if made_with_it {
        query = query.filter(credentials::made_with_id.eq(id));
    }
    Ok(query.load(conn)?)
}

/// Whether an administrator has made a key in the place of this one.
pub fn is_replaced_for_it(conn: &mut Db, id: i64) -> Result<bool> {
    let by_others = credentials::table
        .filter(credentials::replaces_id.eq(id))
        .filter(credentials::made_with_id.is_null());
    Ok(by_others.count().get_result::<i64>(conn)? > 0)
}
