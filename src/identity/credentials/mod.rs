//! A person's own sessions and tokens: what still opens something can be seen and ended. A token is never more than the
//! credential that it was made with: not in scopes, and where that is a token too, not in time.
mod db;

use chrono::{DateTime, Duration, Utc};

use super::db::insert_credential;
use super::security_log::note_credential;
use super::token::{Kind, Secret};
use super::{Life, Scope, Staff};
use crate::error::{Conflict, Error, FieldCode, FieldError, Resource, Result};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};

pub use db::OwnCredential;

/// How long a token lives unless its maker says otherwise, and at most.
const TOKEN_DAYS: i64 = 90;
const MOST_TOKEN_DAYS: i64 = 366;
/// Ended sessions are kept so long, for who asks what happened.
const SESSION_TRACE: Duration = Duration::days(30);

impl OwnCredential {
    /// What it is limited to; `None`: all that the role may.
    pub fn limited_to(&self) -> Option<Vec<Scope>> {
        (!self.scopes.is_empty()).then(|| Scope::read_all(&self.scopes))
    }
}

/// Those of a person that still open something: of one kind, or both.
pub fn list(
    conn: &mut Db,
    user_id: i64,
    kind: Option<Kind>,
    (now, idle): (DateTime<Utc>, Duration),
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<OwnCredential>> {
    let binding = format!("credentials {user_id} {kind:?}");
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let living = db::Living {
        kind,
        now,
        idle_since: now - idle,
    };
    let rows = db::list_living(conn, user_id, living, after.unwrap_or(0), limit + 1)?;
    Page::from_rows(rows, limit, &binding, |row| row.id)
}

/// End the presented session.
pub fn log_out(conn: &mut Db, staff: &Staff, now: DateTime<Utc>) -> Result<()> {
    let presented = match staff.credential_id {
        Some(id) => db::find(conn, id)?,
        None => None,
    };
    let session = presented
        .filter(|presented| presented.kind == Kind::Session)
        .ok_or(Error::Conflict(Conflict::NotASession))?;
    db::revoke(conn, staff.user_id, Kind::Session, session.uid, now)?;
    note_credential("logout", staff.uid, session.uid);
    Ok(())
}

/// End one of the person's own.
pub fn end(conn: &mut Db, staff: &Staff, kind: Kind, id: &str, now: DateTime<Utc>) -> Result<()> {
    let resource = match kind {
        Kind::Session => Resource::Session,
        Kind::Token | Kind::Key => Resource::Token,
    };
    let uid = uuid::Uuid::parse_str(id)
        .map(Uid)
        .map_err(|_not_an_id| Error::NotFound(resource))?;
    db::revoke(conn, staff.user_id, kind, uid, now)?.ok_or(Error::NotFound(resource))?;
    let event = match kind {
        Kind::Session => "session_ended",
        Kind::Token | Kind::Key => "token_revoked",
    };
    note_credential(event, staff.uid, uid);
    Ok(())
}

/// End a person's sessions, but for one.
pub fn end_sessions(conn: &mut Db, user_id: i64, except: Option<i64>, now: DateTime<Utc>) -> Result<usize> {
    db::revoke_all(conn, user_id, Some(Kind::Session), except, now)
}

/// End all that opens anything in a person's name.
pub fn end_all(conn: &mut Db, user_id: i64, now: DateTime<Utc>) -> Result<usize> {
    db::revoke_all(conn, user_id, None, None, now)
}

/// What a token is to be.
pub struct TokenRequest {
    pub name: String,
    pub scopes: Option<Vec<Scope>>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// A new token, with its secret.
pub struct MadeToken {
    pub id: Uid,
    pub secret: Secret,
    pub scopes: Option<Vec<Scope>>,
    pub expires_at: DateTime<Utc>,
}

/// Make a token of the person who asks.
pub fn make_token(
    conn: &mut Db,
    staff: &Staff,
    request: &TokenRequest,
    now: DateTime<Utc>,
) -> Result<MadeToken> {
    let scopes = scopes_of(staff, request)?;
    let expires_at = end_of(conn, staff, request, now)?;
    let secret = Secret::generate(Kind::Token)?;
    let stored = scopes.as_deref().map(Scope::write_all).unwrap_or_default();
    let life = Life {
        from: now,
        to: Some(expires_at),
    };
    let id = insert_credential(conn, &secret, &request.name, staff.user_id, &stored, life)?;
    note_credential("token_made", staff.uid, id);
    Ok(MadeToken {
        id,
        secret,
        scopes,
        expires_at,
    })
}

fn scopes_of(staff: &Staff, request: &TokenRequest) -> Result<Option<Vec<Scope>>> {
    let Some(asked) = &request.scopes else {
        return Ok(staff.scopes.clone());
    };
    let has = |scope: &Scope| staff.scopes.as_ref().is_none_or(|given| given.contains(scope));
    let beyond = asked.iter().enumerate().filter(|(_, scope)| !has(scope));
    let errors: Vec<FieldError> = beyond
        .map(|(position, _)| FieldError::pointer(format!("/scopes/{position}"), FieldCode::NotAllowed))
        .collect();
    match errors.is_empty() {
        true => Ok(Some(
            Scope::ALL
                .into_iter()
                .filter(|scope| asked.contains(scope))
                .collect(),
        )),
        false => Err(Error::Invalid(errors)),
    }
}

fn end_of(conn: &mut Db, staff: &Staff, request: &TokenRequest, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let presented = match staff.credential_id {
        Some(id) => db::find(conn, id)?,
        None => None,
    };
    let outer = presented
        .filter(|presented| presented.kind == Kind::Token)
        .and_then(|token| token.expires_at)
        .map(|at| at.0);
    let latest = now + Duration::days(MOST_TOKEN_DAYS);
    let latest = outer.map_or(latest, |outer| outer.min(latest));
    match request.expires_at {
        None => Ok(latest.min(now + Duration::days(TOKEN_DAYS))),
        Some(at) if now < at && at <= latest => Ok(at),
        Some(_) => Err(Error::invalid_pointer(
            "/expires_at",
            FieldCode::OutOfRange {
                expected: format!("after now, at the latest {}", latest.format("%Y-%m-%dT%H:%M:%SZ")),
            },
        )),
    }
}

/// Worker's step: forget sessions that ended long ago.
pub fn sweep_step(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    db::delete_sessions_ended_before(conn, now - SESSION_TRACE)
}
