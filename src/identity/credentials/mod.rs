//! A person's own sessions and tokens: what still opens something can be seen and ended. A token is never more than the
//! credential that it was made with: not in scopes, not in role, and where that is a token too, not in time. It ends where
//! somebody ends that, and where it comes of a session, with the password (docs/decisions/0020).
//!
//! Whatever opens something in a person's name is made and ended with the person's row locked: what is made while
//! everything is being ended either ends too or is refused.
mod db;

use chrono::{DateTime, Duration, Utc};

use super::access::Action;
use super::db::{
    Ended, NewToken, end_credentials, end_with_offspring, insert_token, list_with_offspring, lock_user,
};
use super::security_log::note_credential;
use super::token::{Kind, Secret};
use super::{Life, Role, Scope, Staff, standing};
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

/// End the presented session. What was made with it stays: a token is for longer than a day.
pub fn log_out(conn: &mut Db, staff: &Staff, now: DateTime<Utc>) -> Result<()> {
    let presented = match staff.credential_id {
        Some(id) => db::find(conn, id)?,
        None => None,
    };
    let session = presented
        .filter(|presented| presented.kind == Kind::Session)
        .ok_or(Error::Conflict(Conflict::NotASession))?;
    lock_user(conn, staff.user_id)?;
    end_credentials(conn, &[session.id], now)?;
    note_credential("logout", staff.uid, session.uid);
    Ok(())
}

/// End one of the person's own, with what was made with it.
pub fn end(tx: &mut Tx<'_>, kind: Kind, id: &str) -> Result<()> {
    let (conn, staff) = (&mut *tx.conn, tx.principal.staff().ok_or(Error::Forbidden)?);
    let resource = match kind {
        Kind::Session => Resource::Session,
        Kind::Token | Kind::Key => Resource::Token,
    };
    let uid = uuid::Uuid::parse_str(id)
        .map(Uid)
        .map_err(|_not_an_id| Error::NotFound(resource))?;
    lock_user(conn, staff.user_id)?;
    let id = db::find_in_force(conn, staff.user_id, kind, uid)?.ok_or(Error::NotFound(resource))?;
    let ended = end_with_offspring(conn, &[id], tx.now)?;
    note_ended(staff.uid, &ended);
    Ok(())
}

/// End the person's own sessions but for the one that is presented, with the tokens that were made with them.
pub fn end_others(tx: &mut Tx<'_>) -> Result<()> {
    let staff = tx.principal.staff().ok_or(Error::Forbidden)?;
    let presented = staff.credential_id;
    end_sessions(tx.conn, staff.user_id, presented, Along::TheirTokens, tx.now)
}

/// For the command line: end one of a person's, and what was made with it; gives how many ended.
pub(super) fn revoke(conn: &mut Db, user_id: i64, id: i64, now: DateTime<Utc>) -> Result<usize> {
    let user = lock_user(conn, user_id)?;
    let ended = end_with_offspring(conn, &[id], now)?;
    note_ended(user.uid, &ended);
    Ok(ended.len())
}

fn note_ended(user: Uid, ended: &[Ended]) {
    for credential in ended {
        let event = match credential.kind {
            Kind::Session => "session_ended",
            Kind::Token | Kind::Key => "token_revoked",
        };
        note_credential(event, user, credential.uid);
    }
}

/// What ends together with a person's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Along {
    /// Nothing: a session ends because what it rests on is decided at the login, not because somebody mistrusts it.
    Nothing,
    /// The tokens that were made with those that end.
    TheirTokens,
    /// The tokens that were made with any session, one that ended long ago too: whoever had the old password could
    /// have opened it.
    TokensOfAllSessions,
}

/// End a person's sessions, but for what is presented.
pub fn end_sessions(
    conn: &mut Db,
    user_id: i64,
    presented: Option<i64>,
    along: Along,
    now: DateTime<Utc>,
) -> Result<()> {
    let user = lock_user(conn, user_id)?;
    let open = db::list_sessions_in_force(conn, user_id, presented, now)?;
    let mut ids = match along {
        Along::Nothing => open,
        Along::TheirTokens => list_with_offspring(conn, &open)?,
        Along::TokensOfAllSessions => {
            let all = db::list_sessions(conn, user_id)?;
            list_with_offspring(conn, &all)?
        }
    };
    ids.retain(|id| Some(*id) != presented);
    let ended = end_credentials(conn, &ids, now)?;
    note_ended(user.uid, &ended);
    Ok(())
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
    let principal = &*standing::admit(conn, principal, Action::ManageSelf)?;
    let staff = principal.staff().ok_or(Error::Forbidden)?;
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
    let new = NewToken {
        user_id: staff.user_id,
        name: &request.name,
        scopes: &scopes.as_deref().map(Scope::write_all).unwrap_or_default(),
        made_as: &roles_of(staff),
        made_with_id: Some(presented_id),
        life: Life {
            from: now,
            to: Some(expires_at),
        },
    };
    let id = insert_token(conn, &secret, &new)?;
    note_credential("token_made", staff.uid, id);
    Ok(MadeToken {
        id,
        secret,
        scopes,
        expires_at,
    })
}

/// The present role, and those that limit what the token is made with.
fn roles_of(staff: &Staff) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for role in staff.roles() {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
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
