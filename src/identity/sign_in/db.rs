//! Queries over what a person logs in with.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::identity::db::lock_user;
use crate::identity::{Role, token};
use crate::store::schema::{recovery_codes, users};
use crate::store::{Db, Ts, Uid};

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Person {
    pub id: i64,
    pub uid: Uid,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub active: bool,
    pub password_hash: Option<String>,
    pub totp_secret: Option<String>,
    pub totp_confirmed_at: Option<Ts>,
    pub totp_last_step: Option<i64>,
}

impl Person {
    pub fn has_second_factor(&self) -> bool {
        self.totp_confirmed_at.is_some()
    }
}

pub fn find_by_email(conn: &mut Db, email: &str) -> Result<Option<Person>> {
    Ok(users::table
        .filter(users::email.eq(email))
        .select(Person::as_select())
        .first(conn)
        .optional()?)
}

pub fn get(conn: &mut Db, id: i64) -> Result<Person> {
    Ok(users::table.find(id).select(Person::as_select()).first(conn)?)
}

/// The same with the row locked to the end of the transaction, against who changes it at the same time.
pub fn lock(conn: &mut Db, id: i64) -> Result<Person> {
    lock_user(conn, id)?;
    get(conn, id)
}

/// Of a changed password; `rehash` where it is the same one under other parameters, which is no change to see.
pub fn set_password(conn: &mut Db, id: i64, hash: &str, now: DateTime<Utc>) -> Result<()> {
    diesel::update(users::table.find(id))
        .set((
            users::password_hash.eq(Some(hash)),
            users::updated_at.eq(Ts::from(now)),
            users::version.eq(users::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}

pub fn rehash(conn: &mut Db, id: i64, hash: &str) -> Result<()> {
    diesel::update(users::table.find(id))
        .set(users::password_hash.eq(Some(hash)))
        .execute(conn)?;
    Ok(())
}

/// A second factor that does not count until it is confirmed.
pub fn set_secret(conn: &mut Db, id: i64, secret: &str) -> Result<()> {
    diesel::update(users::table.find(id))
        .set((
            users::totp_secret.eq(Some(secret)),
            users::totp_confirmed_at.eq(None::<Ts>),
            users::totp_last_step.eq(None::<i64>),
        ))
        .execute(conn)?;
    Ok(())
}

pub fn confirm_secret(conn: &mut Db, id: i64, step: i64, now: DateTime<Utc>) -> Result<()> {
    diesel::update(users::table.find(id))
        .set((
            users::totp_confirmed_at.eq(Some(Ts::from(now))),
            users::totp_last_step.eq(Some(step)),
            users::updated_at.eq(Ts::from(now)),
            users::version.eq(users::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}

/// The second factor and its recovery codes.
pub fn clear_second_factor(conn: &mut Db, id: i64, now: DateTime<Utc>) -> Result<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(id))).execute(conn)?;
    diesel::update(users::table.find(id))
        .set((
            users::totp_secret.eq(None::<String>),
            users::totp_confirmed_at.eq(None::<Ts>),
            users::totp_last_step.eq(None::<i64>),
            users::updated_at.eq(Ts::from(now)),
            users::version.eq(users::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}

/// `false` where this step or a later one was used already, also by a login at the same time.
pub fn use_step(conn: &mut Db, id: i64, step: i64) -> Result<bool> {
    let is_newer = users::totp_last_step
        .is_null()
        .or(users::totp_last_step.lt(Some(step)));
    let changed = diesel::update(users::table.find(id).filter(is_newer))
        .set(users::totp_last_step.eq(Some(step)))
        .execute(conn)?;
    Ok(changed == 1)
}

pub fn insert_recovery_codes(conn: &mut Db, id: i64, codes: &[String]) -> Result<()> {
    diesel::delete(recovery_codes::table.filter(recovery_codes::user_id.eq(id))).execute(conn)?;
    for code in codes {
        diesel::insert_into(recovery_codes::table)
            .values((
                recovery_codes::user_id.eq(id),
                recovery_codes::code_hash.eq(token::hash(code)),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// `false` where there is no such code or it was used already.
pub fn use_recovery_code(conn: &mut Db, id: i64, code: &str, now: DateTime<Utc>) -> Result<bool> {
    let unused = recovery_codes::table
        .filter(recovery_codes::user_id.eq(id))
        .filter(recovery_codes::code_hash.eq(token::hash(code)))
        .filter(recovery_codes::used_at.is_null());
    let changed = diesel::update(unused)
        .set(recovery_codes::used_at.eq(Some(Ts::from(now))))
        .execute(conn)?;
    Ok(changed == 1)
}
