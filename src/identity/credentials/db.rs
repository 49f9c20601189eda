//! Queries over the sessions and tokens of a person.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::identity::token::Kind;
use crate::store::schema::credentials;
use crate::store::{Db, MultiBackend, Ts, Uid};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = credentials)]
pub struct OwnCredential {
    pub id: i64,
    pub uid: Uid,
    pub kind: Kind,
    pub name: String,
    pub scopes: String,
    pub created_at: Ts,
    pub expires_at: Option<Ts>,
    pub last_used_at: Option<Ts>,
    pub opened_from: Option<String>,
    pub user_agent: Option<String>,
}

/// Which of them still open something.
#[derive(Debug, Clone, Copy)]
pub struct Living {
    pub kind: Option<Kind>,
    pub now: DateTime<Utc>,
    /// A session that was not used since has ended.
    pub idle_since: DateTime<Utc>,
}

pub fn list_living(
    conn: &mut Db,
    user_id: i64,
    living: Living,
    after: i64,
    limit: i64,
) -> Result<Vec<OwnCredential>> {
    let idle_since = Ts::from(living.idle_since);
    let in_use = credentials::kind
        .ne(Kind::Session)
        .or(credentials::last_used_at
            .is_null()
            .and(credentials::created_at.gt(idle_since)))
        .or(credentials::last_used_at.gt(Some(idle_since)));
    let mut query = credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::revoked_at.is_null())
        .filter(
            credentials::expires_at
                .is_null()
                .or(credentials::expires_at.gt(Some(Ts::from(living.now)))),
        )
        .filter(in_use)
        .filter(credentials::id.gt(after))
        .order(credentials::id)
        .limit(limit)
        .select(OwnCredential::as_select())
        .into_boxed::<MultiBackend>();
    if let Some(kind) = living.kind {
        query = query.filter(credentials::kind.eq(kind));
    }
    Ok(query.load(conn)?)
}

/// One of this person's that nobody has ended.
pub fn find_in_force(conn: &mut Db, user_id: i64, kind: Kind, uid: Uid) -> Result<Option<i64>> {
    Ok(credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::kind.eq(kind))
        .filter(credentials::uid.eq(uid))
        .filter(credentials::revoked_at.is_null())
        .select(credentials::id)
        .first(conn)
        .optional()?)
}

pub fn count_tokens_in_force(conn: &mut Db, user_id: i64, now: DateTime<Utc>) -> Result<i64> {
    let is_ahead = credentials::expires_at
        .is_null()
        .or(credentials::expires_at.gt(Some(Ts::from(now))));
    Ok(credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::kind.eq(Kind::Token))
        .filter(credentials::revoked_at.is_null())
        .filter(is_ahead)
        .count()
        .get_result(conn)?)
}

/// Sessions, but for one.
pub fn revoke_sessions(
    conn: &mut Db,
    user_id: i64,
    except: Option<i64>,
    now: DateTime<Utc>,
) -> Result<usize> {
    let sessions = credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::kind.eq(Kind::Session))
        .filter(credentials::revoked_at.is_null())
        .filter(credentials::id.ne(except.unwrap_or(0)));
    Ok(diesel::update(sessions)
        .set(credentials::revoked_at.eq(Some(Ts::from(now))))
        .execute(conn)?)
}

/// Sessions and tokens.
pub fn revoke_all(conn: &mut Db, user_id: i64, now: DateTime<Utc>) -> Result<usize> {
    let all = credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::revoked_at.is_null());
    Ok(diesel::update(all)
        .set(credentials::revoked_at.eq(Some(Ts::from(now))))
        .execute(conn)?)
}

pub fn find(conn: &mut Db, id: i64) -> Result<Option<OwnCredential>> {
    Ok(credentials::table
        .find(id)
        .select(OwnCredential::as_select())
        .first(conn)
        .optional()?)
}

/// Sessions that ended by themselves or were ended before this.
pub fn delete_sessions_ended_before(conn: &mut Db, limit: DateTime<Utc>) -> Result<usize> {
    let old = credentials::table
        .filter(credentials::kind.eq(Kind::Session))
        .filter(credentials::expires_at.lt(Some(Ts::from(limit))));
    Ok(diesel::delete(old).execute(conn)?)
}
