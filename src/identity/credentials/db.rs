//! Queries over the sessions and tokens of a person.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::identity::token::Kind;
use crate::store::schema::credentials;
use crate::store::types::TsUtc;
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

/// All of them that are known, ended ones too.
pub fn list_sessions(conn: &mut Db, user_id: i64) -> Result<Vec<i64>> {
    Ok(credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::kind.eq(Kind::Session))
        .select(credentials::id)
        .load(conn)?)
}

/// Those that neither somebody nor time has ended, but for one.
pub fn list_sessions_in_force(
    conn: &mut Db,
    user_id: i64,
    except: Option<i64>,
    now: DateTime<Utc>,
) -> Result<Vec<i64>> {
    Ok(credentials::table
        .filter(credentials::user_id.eq(Some(user_id)))
        .filter(credentials::kind.eq(Kind::Session))
        .filter(credentials::revoked_at.is_null())
        .filter(credentials::expires_at.gt(Some(Ts::from(now))))
        .filter(credentials::id.ne(except.unwrap_or(0)))
        .select(credentials::id)
        .load(conn)?)
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

/// Sessions that ended by themselves or were ended before this. Those with which a token was made stay: it ends with what
/// happens to them (`credentials_made_with` finds them).
pub fn delete_sessions_ended_before(conn: &mut Db, limit: DateTime<Utc>) -> Result<usize> {
    let deleted = diesel::sql_query(
        "DELETE FROM credentials WHERE kind = 'session' AND expires_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM credentials AS made WHERE made.made_with_id = credentials.id)",
    )
    .bind::<TsUtc, _>(Ts::from(limit))
    .execute(conn)?;
    Ok(deleted)
}
