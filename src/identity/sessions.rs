//! Sessions: what a person who logged in presents from then on. A session ends by itself after its life, and earlier
//! where nobody used it for as long as the idle limit says; `last_used_at` has the precision of a minute, so that
//! idleness is judged up to a minute early.
use chrono::{DateTime, Duration, Utc};

use super::Scope;
use super::db::{self, NewSession};
use super::token::{Kind, Secret};
use crate::error::{Error, Result};
use crate::store::{Db, Uid};

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLife {
    /// However busy it is.
    pub absolute: Duration,
    /// Without use.
    pub idle: Duration,
}

/// A session that has just begun; its secret is shown once.
pub struct OpenedSession {
    pub id: Uid,
    pub secret: Secret,
    pub expires_at: DateTime<Utc>,
}

/// Begin a session of this person with all that their role may do. Whoever calls has made sure that it is them.
pub fn open_session(
    conn: &mut Db,
    user_id: i64,
    opened_from: &str,
    user_agent: Option<&str>,
    now: DateTime<Utc>,
    life: SessionLife,
) -> Result<OpenedSession> {
    open_limited_session(conn, user_id, (opened_from, user_agent), None, now, life)
}

/// The same, limited to these scopes.
pub(super) fn open_limited_session(
    conn: &mut Db,
    user_id: i64,
    (opened_from, user_agent): (&str, Option<&str>),
    scopes: Option<&[Scope]>,
    now: DateTime<Utc>,
    life: SessionLife,
) -> Result<OpenedSession> {
    if !db::lock_user(conn, user_id)?.active {
        return Err(Error::Unauthenticated);
    }
    let secret = Secret::generate(Kind::Session)?;
    let expires_at = now + life.absolute;
    let session = NewSession {
        user_id,
        scopes: &scopes.map(Scope::write_all).unwrap_or_default(),
        opened_from,
        user_agent: user_agent.map(shortened),
        opened_at: now,
        expires_at,
    };
    let id = db::insert_session(conn, &secret, &session)?;
    Ok(OpenedSession {
        id,
        secret,
        expires_at,
    })
}

/// What a program says of itself, as far as a person needs it to tell their sessions apart.
fn shortened(user_agent: &str) -> String {
    let plain = user_agent.chars().filter(|c| !c.is_control());
    plain.take(200).collect()
}

/// Whether nobody used it for so long that it has ended.
pub(super) fn is_idle(credential: &db::Credential, limit: Duration, now: DateTime<Utc>) -> bool {
    let used_at = credential.last_used_at.unwrap_or(credential.created_at);
    credential.kind == Kind::Session && now - used_at.0 >= limit
}
