//! Queries over logins that have begun and over who is linked to the provider.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::login::Pending;
use crate::error::Result;
use crate::identity::db::User;
use crate::store::schema::{oidc_logins, users};
use crate::store::{Db, Ts};

pub fn insert_login(conn: &mut Db, login: &Pending) -> Result<()> {
    diesel::insert_into(oidc_logins::table)
        .values((
            oidc_logins::state_hash.eq(&login.state_hash),
            oidc_logins::binding_hash.eq(&login.binding_hash),
            oidc_logins::nonce.eq(&login.nonce),
            oidc_logins::code_verifier.eq(&login.code_verifier),
            oidc_logins::return_to.eq(login.return_to.as_deref()),
            oidc_logins::expires_at.eq(Ts::from(login.expires_at)),
        ))
        .execute(conn)?;
    Ok(())
}

/// What is left of a login that came back.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = oidc_logins)]
pub struct Begun {
    pub nonce: String,
    pub code_verifier: String,
    pub return_to: Option<String>,
    pub expires_at: Ts,
}

/// Take a login away, so that of two who bring the same state one gets it. Another browser takes nothing away.
pub fn take_login(conn: &mut Db, state_hash: &str, binding_hash: &str) -> Result<Option<Begun>> {
    let named = oidc_logins::state_hash
        .eq(state_hash)
        .and(oidc_logins::binding_hash.eq(binding_hash));
    Ok(diesel::delete(oidc_logins::table.filter(named))
        .returning((
            oidc_logins::nonce,
            oidc_logins::code_verifier,
            oidc_logins::return_to,
            oidc_logins::expires_at,
        ))
        .get_result(conn)
        .optional()?)
}

pub fn delete_expired_logins(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    let expired = oidc_logins::table.filter(oidc_logins::expires_at.le(Ts::from(now)));
    Ok(diesel::delete(expired).execute(conn)?)
}

pub fn find_user(conn: &mut Db, issuer: &str, subject: &str) -> Result<Option<User>> {
    Ok(users::table
        .filter(users::oidc_issuer.eq(issuer).and(users::oidc_subject.eq(subject)))
        .select(User::as_select())
        .first(conn)
        .optional()?)
}

/// False where they are linked to another subject of this issuer already. A link to another issuer, which is not
/// configured any more, gives way.
pub fn link(conn: &mut Db, user_id: i64, issuer: &str, subject: &str, now: DateTime<Utc>) -> Result<bool> {
    let is_free = users::oidc_subject
        .is_null()
        .or(users::oidc_issuer.is_null())
        .or(users::oidc_issuer.ne(issuer));
    let linked = diesel::update(users::table.filter(users::id.eq(user_id)).filter(is_free))
        .set((
            users::oidc_issuer.eq(Some(issuer)),
            users::oidc_subject.eq(Some(subject)),
            users::updated_at.eq(Ts::from(now)),
            users::version.eq(users::version + 1),
        ))
        .execute(conn)?;
    Ok(linked == 1)
}

/// Whatever the person was linked to before.
pub fn relink(conn: &mut Db, user_id: i64, issuer: &str, subject: &str, now: DateTime<Utc>) -> Result<()> {
    diesel::update(users::table.find(user_id))
        .set((
            users::oidc_issuer.eq(Some(issuer)),
            users::oidc_subject.eq(Some(subject)),
            users::updated_at.eq(Ts::from(now)),
            users::version.eq(users::version + 1),
        ))
        .execute(conn)?;
    Ok(())
}
