//! Logging in with a password and a second factor, and changing either. Whatever is wrong gives one and the same
//! refusal after the same work; an attempt is counted before it is looked at (`lockout`). Passwords are verified between
//! two transactions, and the second one finds the person as the first one did or refuses.
mod db;
mod second_factor;

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::access::Action;
use super::credentials::{self, Along};
use super::lockout::{self, Attempt};
use super::passwords::{self, Password, Verdict, Whose};
use super::security_log::{note, note_credential, note_refused};
use super::sessions::{OpenedSession, open_limited_session};
use super::{Principal, Scope, Staff, standing};
use crate::broken_rule::HouseRule;
use crate::config::SignIn;
use crate::error::{Conflict, Error, FieldCode, Result};
use crate::store::{Db, Store};

pub use db::Person;
pub(super) use db::clear_second_factor;
pub use second_factor::{Enrolment, begin, confirm, remove};

/// Who stands at the door.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub address: IpAddr,
    pub user_agent: Option<String>,
}

/// What a person says to be let in.
pub struct Login {
    pub email: String,
    pub password: Password,
    /// Of the authenticator program, or a recovery code.
    pub code: Option<String>,
}

pub struct LoggedIn {
    pub session: OpenedSession,
    pub person: Person,
    /// The session is good for nothing but setting one up.
    pub second_factor_required: bool,
}

enum Outcome {
    Opened(Box<LoggedIn>),
    CodeWanted,
}

/// Let a person in.
pub async fn log_in(
    store: &Store,
    settings: &SignIn,
    visitor: Visitor,
    login: Login,
    now: DateTime<Utc>,
) -> Result<LoggedIn> {
    let attempt = begin_attempt(store, &login.email, visitor.address, now).await?;
    let email = login.email.trim().to_lowercase();
    let known = store.read(move |conn| db::find_by_email(conn, &email)).await?;
    let stored = known
        .as_ref()
        .filter(|person| person.active)
        .and_then(|person| person.password_hash.as_deref());
    let verdict = verify(store, &attempt, &login.password, stored).await?;
    let uid = known.as_ref().map(|person| person.uid);
    let Some(person) = known.filter(|_| verdict.matches) else {
        note_refused("login_failed", uid);
        return Err(Error::LoginFailed);
    };
    let (settings, counted) = (settings.clone(), attempt.clone());
    let outcome = store
        .write(move |conn| {
            enter(
                conn,
                &settings,
                &visitor,
                (&person, verdict),
                login.code,
                &attempt,
                now,
            )
        })
        .await;
    match outcome {
        Ok(Outcome::Opened(entered)) => {
            note_credential("login_succeeded", entered.person.uid, entered.session.id);
            Ok(*entered)
        }
        Ok(Outcome::CodeWanted) => Err(Error::SecondFactorRequired),
        Err(error) => {
            match error {
                Error::LoginFailed => note_refused("login_failed", uid),
                Error::OutcomeUnknown { .. } => {}
                // The password was right, and what failed is ours: nobody has guessed.
                _ => store.write(move |conn| counted.take_back(conn)).await?,
            }
            Err(error)
        }
    }
}

async fn begin_attempt(store: &Store, email: &str, from: IpAddr, now: DateTime<Utc>) -> Result<Attempt> {
    let begun = Attempt::begin(store, email, from, now).await;
    if matches!(begun, Err(Error::TooManyAttempts { .. })) {
        note_refused("attempt_blocked", None);
    }
    begun
}

/// A server that is too busy to look has not found anybody wrong.
async fn verify(
    store: &Store,
    attempt: &Attempt,
    password: &Password,
    stored: Option<&str>,
) -> Result<Verdict> {
    let verdict = passwords::verify(password, stored).await;
    if verdict.is_err() {
        let attempt = attempt.clone();
        store.write(move |conn| attempt.take_back(conn)).await?;
    }
    verdict
}

fn enter(
    conn: &mut Db,
    settings: &SignIn,
    visitor: &Visitor,
    (seen, verdict): (&Person, Verdict),
    code: Option<String>,
    attempt: &Attempt,
    now: DateTime<Utc>,
) -> Result<Outcome> {
    let person = db::lock(conn, seen.id)?;
    if !person.active || person.password_hash != seen.password_hash {
        return Err(Error::LoginFailed);
    }
    if person.has_second_factor() {
        let Some(code) = code else {
            // Neither right nor wrong: if it forgave, whoever has the password could guess codes for ever.
            attempt.take_back(conn)?;
            return Ok(Outcome::CodeWanted);
        };
        if !second_factor::use_code(conn, &person, &code, now)? {
            return Err(Error::LoginFailed);
        }
    }
    if let Some(hash) = verdict.rehashed {
        db::rehash(conn, person.id, &hash)?;
    }
    let second_factor_required =
        settings.require_second_factor.contains(&person.role) && !person.has_second_factor();
    let session = open_limited_session(
        conn,
        person.id,
        (&visitor.address.to_string(), visitor.user_agent.as_deref()),
        second_factor_required.then_some(&[Scope::AccountWrite]),
        now,
        settings.session_life(),
    )?;
    attempt.forgive(conn)?;
    Ok(Outcome::Opened(Box::new(LoggedIn {
        session,
        person,
        second_factor_required,
    })))
}

/// A person who proved anew that it is them, for what a stolen session must not do. Counted until `done`.
#[derive(Clone)]
pub struct Proof {
    attempt: Attempt,
    person: Person,
}

impl Proof {
    /// How what it was for ended: only a wrong code stays counted, whatever else stood in the way does not. Earlier
    /// failures of the account stay: the second factor may have been left out here.
    pub async fn settle<T>(self, store: &Store, outcome: Result<T>) -> Result<T> {
        if !outcome.as_ref().is_err_and(is_wrong_secret) {
            store.write(move |conn| self.attempt.take_back(conn)).await?;
        }
        outcome
    }

    /// The password that was proved is still the one.
    fn check(&self, present: &Person, pointer: &str) -> Result<()> {
        match present.password_hash == self.person.password_hash {
            true => Ok(()),
            false => Err(wrong(pointer)),
        }
    }
}

/// Ask for the password again; a wrong one counts like a failed login.
pub async fn prove(
    store: &Store,
    staff: &Staff,
    from: IpAddr,
    (pointer, password): (&str, &Password),
    now: DateTime<Utc>,
) -> Result<Proof> {
    let id = staff.user_id;
    let person = store.read(move |conn| db::get(conn, id)).await?;
    if person.password_hash.is_none() {
        return Err(Error::Conflict(Conflict::NoPassword));
    }
    let attempt = begin_attempt(store, &person.email, from, now).await?;
    let verdict = verify(store, &attempt, password, person.password_hash.as_deref()).await?;
    if !verdict.matches {
        note_refused("password_refused", Some(person.uid));
        return Err(wrong(pointer));
    }
    Ok(Proof { attempt, person })
}

fn wrong(pointer: &str) -> Error {
    let text = "This is not right.".into();
    let code = HouseRule::WrongSecret.into();
    Error::invalid_pointer(pointer, FieldCode::Domain { code, text })
}

fn is_wrong_secret(error: &Error) -> bool {
    let is_wrong = |code: &FieldCode| matches!(code, FieldCode::Domain { code, .. } if *code == HouseRule::WrongSecret.into());
    matches!(error, Error::Invalid(fields) if fields.iter().any(|field| is_wrong(&field.code)))
}

/// The password becomes another one; every other session ends, and what was made with any.
pub async fn change_password(
    store: &Store,
    settings: &SignIn,
    (staff, from): (&Staff, IpAddr),
    (current, new): (Password, Password),
    now: DateTime<Utc>,
) -> Result<()> {
    let (email, name) = (&staff.email, &staff.name);
    check_new(settings, "/new", &new, Whose { email, name })?;
    let proof = prove(store, staff, from, ("/current", &current), now).await?;
    let outcome = replace_password(store, staff, &proof, &new, now).await;
    proof.settle(store, outcome).await
}

async fn replace_password(
    store: &Store,
    staff: &Staff,
    proof: &Proof,
    new: &Password,
    now: DateTime<Utc>,
) -> Result<()> {
    let hash = passwords::hash(new).await?;
    let (proof, by, presented) = (
        proof.clone(),
        Principal::Staff { staff: staff.clone() },
        staff.credential_id,
    );
    store
        .write(move |conn| {
            let person = db::lock(conn, proof.person.id)?;
            standing::admit(conn, &by, Action::ManageSelf)?;
            proof.check(&person, "/current")?;
            db::set_password(conn, person.id, &hash, now)?;
            credentials::end_sessions(conn, person.id, presented, Along::TokensOfAllSessions, now)?;
            note("password_changed", person.uid, Some(person.uid));
            Ok(())
        })
        .await
}

/// The hash of a password that may be this person's; refuses what may not.
pub async fn accept(settings: &SignIn, pointer: &str, new: &Password, whose: Whose<'_>) -> Result<String> {
    check_new(settings, pointer, new, whose)?;
    passwords::hash(new).await
}

/// Refuse what may not be this person's password.
pub fn check_new(settings: &SignIn, pointer: &str, new: &Password, whose: Whose<'_>) -> Result<()> {
    passwords::check(new, settings.password_min_length, whose)
        .map_err(|code| Error::invalid_pointer(pointer, code))
}

/// Give a person this password, whatever they had: by an administrator or on the machine. Their sessions end, the
/// tokens that were made with any, and what they got wrong before is forgotten.
pub fn set_password(
    conn: &mut Db,
    user_id: i64,
    hash: &str,
    by: Option<&Staff>,
    now: DateTime<Utc>,
) -> Result<()> {
    let person = db::lock(conn, user_id)?;
    db::set_password(conn, person.id, hash, now)?;
    credentials::end_sessions(conn, person.id, None, Along::TokensOfAllSessions, now)?;
    lockout::clear(conn, &person.email)?;
    note("password_set", person.uid, by.map(|staff| staff.uid));
    Ok(())
}

/// Whether the person has a confirmed second factor.
pub fn has_second_factor(conn: &mut Db, user_id: i64) -> Result<bool> {
    Ok(db::get(conn, user_id)?.has_second_factor())
}
