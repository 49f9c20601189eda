//! Queries over the accounts of the centre's people.
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::AccountFilter;
use crate::each_db;
use crate::error::Result;
use crate::identity::Role;
use crate::language::Language;
use crate::store::schema::{queue_members, users};
use crate::store::{Db, MultiBackend, Ts, Uid};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Account {
    pub id: i64,
    pub uid: Uid,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub language: Language,
    pub active: bool,
    #[diesel(select_expression = users::password_hash.is_not_null())]
    pub has_password: bool,
    #[diesel(select_expression = users::totp_confirmed_at.is_not_null())]
    pub has_second_factor: bool,
    pub created_at: Ts,
    pub updated_at: Ts,
    pub version: i64,
}

pub fn get(conn: &mut Db, id: i64) -> Result<Account> {
    Ok(users::table.find(id).select(Account::as_select()).first(conn)?)
}

/// The active administrators, locked to the end of the transaction in the order of their keys, so that of two who take
/// the role from each other at once the second finds the first one gone.
pub fn lock_administrators(conn: &mut Db) -> Result<Vec<i64>> {
    let active = users::role.eq(Role::Admin).and(users::active.eq(true));
    match conn {
        Db::Pg(pg) => Ok(users::table
            .filter(active)
            .order(users::id)
            .select(users::id)
            .for_update()
            .load(pg)?),
        Db::Lite(lite) => Ok(users::table
            .filter(active)
            .order(users::id)
            .select(users::id)
            .load(lite)?),
    }
}

pub fn list(
    conn: &mut Db,
    filter: &AccountFilter,
    queue_id: Option<i64>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Account>> {
    let mut query = users::table
        .order(users::email)
        .limit(limit)
        .select(Account::as_select())
        .into_boxed::<MultiBackend>();
    if let Some(role) = filter.role {
        query = query.filter(users::role.eq(role));
    }
    if let Some(active) = filter.active {
        query = query.filter(users::active.eq(active));
    }
    if let Some(queue_id) = queue_id {
        let members = queue_members::table
            .filter(queue_members::queue_id.eq(queue_id))
            .select(queue_members::user_id);
        query = query.filter(users::id.eq_any(members));
    }
    if let Some(after) = after {
        query = query.filter(users::email.gt(after.to_owned()));
    }
    Ok(query.load(conn)?)
}

pub fn update(conn: &mut Db, account: &Account, now: DateTime<Utc>) -> Result<()> {
    diesel::update(users::table.find(account.id))
        .set((
            users::name.eq(&account.name),
            users::role.eq(account.role),
            users::language.eq(account.language),
            users::active.eq(account.active),
            users::updated_at.eq(Ts::from(now)),
            users::version.eq(users::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}

/// The queues of these people.
pub fn queues_of(conn: &mut Db, user_ids: &[i64]) -> Result<HashMap<i64, Vec<i64>>> {
    let rows: Vec<(i64, i64)> = each_db!(conn, c => queue_members::table
        .filter(queue_members::user_id.eq_any(user_ids))
        .order((queue_members::user_id, queue_members::queue_id))
        .select((queue_members::user_id, queue_members::queue_id))
        .load(c))?;
    let mut queues: HashMap<i64, Vec<i64>> = HashMap::new();
    for (user_id, queue_id) in rows {
        queues.entry(user_id).or_default().push(queue_id);
    }
    Ok(queues)
}

pub fn delete_memberships(conn: &mut Db, user_id: i64) -> Result<()> {
    diesel::delete(queue_members::table.filter(queue_members::user_id.eq(user_id))).execute(conn)?;
    Ok(())
}
