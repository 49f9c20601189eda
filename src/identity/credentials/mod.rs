//! A person's own sessions and tokens: what still opens something can be seen and ended. A token is never more than the
//! credential that it was made with: not in scopes, and where that is a token too, not in time, and it ends with it.
//!
//! Whatever opens something in a person's name is made and ended with the person's row locked: what is made while
//! everything is being ended either ends too or is refused.
mod db;

use chrono::{DateTime, Duration, Utc};

use super::access::Action;
use super::db::{insert_credential, lock_user, revoke_with_offspring};
use super::security_log::note_credential;
use super::token::{Kind, Secret};
use super::{Life, Scope, Staff, standing};
use crate::error::{Conflict, Error, FieldCode, FieldError, Resource, Result};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};
use crate::tx::Tx;

pub use db::OwnCredential;

/// How long a token lives unless its maker says otherwise, and at most.
const TOKEN_DAYS: i64 = 90;
const MOST_TOKEN_DAYS: i64 = 366;
/// How many tokens in force a person may have: enough for their programs, few enough that a loop is noticed.
pub const MAX_TOKENS: i64 = 50;
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
    lock_user(conn, staff.user_id)?;
    revoke_with_offspring(conn, session.id, now)?;
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
    lock_user(conn, staff.user_id)?;
    let id = db::find_in_force(conn, staff.user_id, kind, uid)?.ok_or(Error::NotFound(resource))?;
    let event = match kind {
        Kind::Session => "session_ended",
        Kind::Token | Kind::Key => "token_revoked",
    };
    for ended in revoke_with_offspring(conn, id, now)? {
        note_credential(event, staff.uid, ended.uid);
    }
    Ok(())
}

/// For the command line: end one of a person's, and what was made with it; gives how many ended.
pub(super) fn revoke(conn: &mut Db, user_id: i64, id: i64, now: DateTime<Utc>) -> Result<usize> {
    let user = lock_user(conn, user_id)?;
    let ended = revoke_with_offspring(conn, id, now)?;
    for credential in &ended {
        note_credential("token_revoked", user.uid, credential.uid);
    }
    Ok(ended.len())
}

/// End a person's sessions, but for one.
pub fn end_sessions(conn: &mut Db, user_id: i64, except: Option<i64>, now: DateTime<Utc>) -> Result<usize> {
    lock_user(conn, user_id)?;
    db::revoke_sessions(conn, user_id, except, now)
}

/// End all that opens anything in a person's name.
pub fn end_all(conn: &mut Db, user_id: i64, now: DateTime<Utc>) -> Result<usize> {
    lock_user(conn, user_id)?;
    db::revoke_all(conn, user_id, now)
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
pub fn make_token(tx: &mut Tx<'_>, request: &TokenRequest) -> Result<MadeToken> {
    let (principal, conn, now) = (tx.principal, &mut *tx.conn, tx.now);
    let staff = principal.staff().ok_or(Error::Forbidden)?;
    lock_user(conn, staff.user_id)?;
    // Anew, behind the lock: whoever ends all that somebody has open must not be outrun.
    standing::admit(conn, principal, Action::ManageSelf)?;
    // Where another party answers for the person, nothing would limit the token in time and role.
    let presented_id = staff.credential_id.ok_or(Error::Forbidden)?;
    let presented = db::find(conn, presented_id)?.ok_or(Error::Unauthenticated)?;
    let presented_token = Some(presented).filter(|presented| presented.kind == Kind::Token);
    let scopes = scopes_of(staff, request)?;
    let expires_at = end_of(presented_token.as_ref(), request, now)?;
    if db::count_tokens_in_force(conn, staff.user_id, now)? >= MAX_TOKENS {
        return Err(Error::Conflict(Conflict::TooManyTokens));
    }
    let secret = Secret::generate(Kind::Token)?;
    let stored = scopes.as_deref().map(Scope::write_all).unwrap_or_default();
    let life = Life {
        from: now,
        to: Some(expires_at),
    };
    let made_with = presented_token.map(|presented| presented.id);
    let id = insert_credential(
        conn,
        &secret,
        &request.name,
        staff.user_id,
        &stored,
        life,
        made_with,
    )?;
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

fn end_of(
    presented: Option<&OwnCredential>,
    request: &TokenRequest,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>> {
    let outer = presented.and_then(|token| token.expires_at).map(|at| at.0);
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
