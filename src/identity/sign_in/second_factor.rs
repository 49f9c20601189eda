//! Enrolling and removing the second factor. It counts from when a first code has shown that the telephone has it; the
//! ten recovery codes are shown then, once, and each works once.
use chrono::{DateTime, Utc};

use super::db::{self, Person};
use super::{Proof, wrong};
use crate::config::SignIn;
use crate::error::{Conflict, Error, Result};
use crate::identity::security_log::note;
use crate::identity::{token, totp};
use crate::store::Db;
use crate::tx::Tx;

const RECOVERY_CODES: usize = 10;

/// What the telephone needs, shown once.
pub struct Enrolment {
    pub secret: String,
    pub otpauth_url: String,
}

/// Begin to enrol; whatever was begun before counts no more.
pub fn begin(tx: &mut Tx<'_>, proof: &Proof) -> Result<Enrolment> {
    let person = db::lock(tx.conn, proof.person.id)?;
    proof.check(&person, "/password")?;
    if person.has_second_factor() {
        return Err(Error::Conflict(Conflict::SecondFactorOn));
    }
    let secret = totp::new_secret()?;
    db::set_secret(tx.conn, person.id, &secret)?;
    let issuer = tx.desk.owner.as_deref().unwrap_or("Giải Đáp");
    Ok(Enrolment {
        otpauth_url: totp::otpauth_url(&secret, issuer, &person.email),
        secret,
    })
}

/// Turn it on with a first code; gives the recovery codes.
pub fn confirm(tx: &mut Tx<'_>, code: &str) -> Result<Vec<String>> {
    let staff = tx.principal.staff().ok_or(Error::Forbidden)?;
    let person = db::lock(tx.conn, staff.user_id)?;
    let secret = match &person.totp_secret {
        Some(_) if person.has_second_factor() => return Err(Error::Conflict(Conflict::SecondFactorOn)),
        Some(secret) => secret,
        None => return Err(Error::Conflict(Conflict::SecondFactorOff)),
    };
    let step = totp::matching_step(secret, code.trim(), tx.now, None)?.ok_or_else(|| wrong("/code"))?;
    db::confirm_secret(tx.conn, person.id, step, tx.now)?;
    let codes = (0..RECOVERY_CODES)
        .map(|_| token::random_base32::<10>())
        .collect::<Result<Vec<_>>>()?;
    db::insert_recovery_codes(tx.conn, person.id, &codes)?;
    note("second_factor_on", person.uid, Some(person.uid));
    Ok(codes.iter().map(|code| in_groups(code)).collect())
}

/// Turn it off; a person whose role must have one asks an administrator, who lets them enrol another one.
pub fn remove(tx: &mut Tx<'_>, settings: &SignIn, proof: &Proof, code: &str) -> Result<()> {
    let person = db::lock(tx.conn, proof.person.id)?;
    proof.check(&person, "/password")?;
    if !person.has_second_factor() {
        return Err(Error::Conflict(Conflict::SecondFactorOff));
    }
    if settings.require_second_factor.contains(&person.role) {
        return Err(Error::Conflict(Conflict::SecondFactorDemanded));
    }
    if !use_code(tx.conn, &person, code, tx.now)? {
        return Err(wrong("/code"));
    }
    db::clear_second_factor(tx.conn, person.id, tx.now)?;
    note("second_factor_off", person.uid, Some(person.uid));
    Ok(())
}

/// Whether this is a code of now, or a recovery code, that was not used before; it is from now on.
pub fn use_code(conn: &mut Db, person: &Person, code: &str, now: DateTime<Utc>) -> Result<bool> {
    let code: String = code
        .chars()
        .filter(|letter| !letter.is_whitespace() && *letter != '-')
        .collect();
    if code.len() != 6 {
        return db::use_recovery_code(conn, person.id, &code.to_lowercase(), now);
    }
    let Some(secret) = &person.totp_secret else {
        return Ok(false);
    };
    match totp::matching_step(secret, &code, now, person.totp_last_step)? {
        Some(step) => db::use_step(conn, person.id, step),
        None => Ok(false),
    }
}

/// `abcd-efgh-ijkl-mnop`, to be copied from paper.
fn in_groups(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join("-")
}
