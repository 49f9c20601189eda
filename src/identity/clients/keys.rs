//! Keys of programs: made, changed over with an overlap, ended. The secret is shown once and never stored.
//!
//! A key that its program made with another one (`rotate_own`) ends with that one: else who stole a key would keep what
//! they made of it. What administrators made stays.
//!
//! Rotation gives a new key with the scopes of the old one, which ends after the overlap. A program may rotate the key
//! that it presents by itself: its scopes never grow, nor does its life, so that a yearly key stays a yearly key.
//! Whoever rotates a key a second time lost the answer of the first: a key that came of that and was never used ends; a
//! program ends so only what it made itself, and rotates no key that an administrator has replaced.
use chrono::{DateTime, Duration, Utc};

use super::db::{self, Key, NewKeyRow, Program};
use super::{locked, note};
use crate::error::{Conflict, Error, FieldCode, Resource, Result};
use crate::identity::db::{end_credentials, end_with_offspring};
use crate::identity::token::{self, Secret};
use crate::identity::{Life, Principal, Scope};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Ts, Uid};
use crate::text_enum;
use crate::tx::Tx;

/// How many keys in force a program may have: enough for any change-over, few enough that a loop is noticed.
pub const MAX_KEYS: i64 = 20;
/// The longest overlap of a rotation.
pub const MAX_OVERLAP_HOURS: i64 = 720;
/// A key that ends within these days is `expiring`: there is a month to change over.
const EXPIRING_DAYS: i64 = 30;
/// The longest life of a key.
const MAX_LIFE_DAYS: i64 = 3660;

text_enum! {
    /// How a key stands.
    KeyState { Active "active", Expiring "expiring", Expired "expired", Revoked "revoked" }
}

impl Key {
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(at)) if at.0 <= now => KeyState::Expired,
            (None, Some(at)) if at.0 <= now + Duration::days(EXPIRING_DAYS) => KeyState::Expiring,
            (None, _) => KeyState::Active,
        }
    }

    fn is_alive(&self, now: DateTime<Utc>) -> bool {
        matches!(self.state(now), KeyState::Active | KeyState::Expiring)
    }

    /// The public half with its prefix, as it stands at the beginning of the key.
    pub fn public_half(&self) -> String {
        token::public_half(token::Kind::Key, &self.lookup)
    }

    pub fn scopes(&self) -> Vec<Scope> {
        Scope::read_all(&self.scopes)
    }

    /// How long a key that takes its place lives without another word: as long as this one was given for.
    fn same_life(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.life_seconds.map(|seconds| now + Duration::seconds(seconds))
    }
}

/// A key to be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Without one it is called like its program.
    pub name: Option<String>,
    pub scopes: Vec<Scope>,
    pub expires_at: Option<DateTime<Utc>>,
}

/// How a key is changed over.
#[derive(Debug, Clone, Copy)]
pub struct Rotation {
    pub overlap: Duration,
    /// When the new key ends; without one it lives as long as the old one was given for.
    pub expires_at: Option<DateTime<Utc>>,
}

/// How a key comes about; with the key that was there before.
#[derive(Debug, Clone, Copy)]
pub(in crate::identity) enum Origin {
    New,
    RotatedForIt(i64),
    RotatedByItself(i64),
}

impl Origin {
    fn replaces(self) -> Option<i64> {
        match self {
            Origin::New => None,
            Origin::RotatedForIt(id) | Origin::RotatedByItself(id) => Some(id),
        }
    }

    fn made_with(self) -> Option<i64> {
        match self {
            Origin::RotatedByItself(id) => Some(id),
            Origin::New | Origin::RotatedForIt(_) => None,
        }
    }
}

/// A new key with its secret, and the key whose place it takes.
pub struct Rotated {
    pub key: Key,
    pub secret: Secret,
    pub replaced: Key,
    /// The key whose place the replaced one took.
    pub before_that: Option<Uid>,
}

pub fn create(tx: &mut Tx<'_>, program: &str, new: &NewKey) -> Result<(Key, Secret)> {
    let program = locked(tx.conn, program)?;
    if new.scopes.iter().any(|scope| !Scope::OF_CLIENTS.contains(scope)) {
        return Err(Error::invalid_pointer("/scopes", FieldCode::NotAllowed));
    }
    check_end(new.expires_at, None, tx.now)?;
    check_number(tx.conn, program.id, tx.now)?;
    let name = new.name.as_ref().unwrap_or(&program.name);
    let life = Life {
        from: tx.now,
        to: new.expires_at,
    };
    let made = insert(
        tx.conn,
        program.id,
        name,
        &Scope::write_all(&new.scopes),
        life,
        Origin::New,
    )?;
    note(tx.principal, "key_created", program.uid, Some(&made.0.lookup));
    Ok(made)
}

pub fn rotate(tx: &mut Tx<'_>, program: &str, key: &str, rotation: &Rotation) -> Result<Rotated> {
    let program = locked(tx.conn, program)?;
    let old = find(tx.conn, &program, key)?;
    replace(tx.conn, tx.principal, &program, old, rotation, tx.now)
}

/// A program changes the key that it presents. Not one that an administrator has replaced: that one ends when they said,
/// and whoever holds it gets nothing that lives longer.
pub fn rotate_own(tx: &mut Tx<'_>, rotation: &Rotation) -> Result<Rotated> {
    let Principal::Client { client } = tx.principal else {
        return Err(Error::Forbidden);
    };
    db::lock_program(tx.conn, client.client_id)?;
    let program = db::get_program_by_id(tx.conn, client.client_id)?;
    let old = db::get_key_by_id(tx.conn, client.credential_id)?;
    if db::is_replaced_for_it(tx.conn, old.id)? {
        return Err(Error::Conflict(Conflict::KeyReplaced));
    }
    replace(tx.conn, tx.principal, &program, old, rotation, tx.now)
}

/// For the command line: a key named by its public half alone.
pub fn rotate_by_public_half(
    conn: &mut Db,
    public_half: &str,
    rotation: &Rotation,
    now: DateTime<Utc>,
) -> Result<Rotated> {
    let unknown = || Error::invalid_parameter("PUBLIC", FieldCode::UnknownCode);
    let found = db::find_key_by_lookup(conn, token::bare_lookup(public_half))?.ok_or_else(unknown)?;
    let program_id = found.client_id.ok_or_else(unknown)?;
    db::lock_program(conn, program_id)?;
    let program = db::get_program_by_id(conn, program_id)?;
    let old = db::get_key_by_id(conn, found.id)?;
    replace(conn, &Principal::System, &program, old, rotation, now)
}

fn replace(
    conn: &mut Db,
    by: &Principal,
    program: &Program,
    old: Key,
    rotation: &Rotation,
    now: DateTime<Utc>,
) -> Result<Rotated> {
    let by_itself = matches!(by, Principal::Client { .. });
    if !old.is_alive(now) {
        return Err(Error::Conflict(Conflict::KeyEnded));
    }
    let same_life = old.same_life(now);
    check_end(rotation.expires_at, same_life.filter(|_| by_itself), now)?;
    let unused = db::list_unused_replacements(conn, old.id, by_itself)?;
    end_chains(conn, by, program, &unused, now)?;
    check_number(conn, program.id, now)?;
    let life = Life {
        from: now,
        to: rotation.expires_at.or(same_life),
    };
    let origin = match by_itself {
        true => Origin::RotatedByItself(old.id),
        false => Origin::RotatedForIt(old.id),
    };
    let (key, secret) = insert(conn, program.id, &old.name, &old.scopes, life, origin)?;
    let end = now + rotation.overlap;
    let end = old.expires_at.map_or(end, |known| known.0.min(end));
    db::set_key_end(conn, old.id, end)?;
    let ends_at_once = end <= now;
    if ends_at_once {
        // By somebody's word, not by itself: what is just coming in with it is not written any more.
        end_credentials(conn, &[old.id], now)?;
    }
    note(by, "key_rotated", program.uid, Some(&old.lookup));
    let earlier: Vec<i64> = old.replaces_id.into_iter().collect();
    let before_that = db::uids_of_keys(conn, &earlier)?.into_values().next();
    let replaced = Key {
        expires_at: Some(Ts::from(end)),
        revoked_at: ends_at_once.then_some(Ts::from(now)),
        ..old
    };
    Ok(Rotated {
        key,
        secret,
        replaced,
        before_that,
    })
}

/// End a key at once, and those that its program made with it. One that has ended stays as it is: to say it again is no
/// mistake.
pub fn revoke(tx: &mut Tx<'_>, program: &str, key: &str) -> Result<()> {
    let program = locked(tx.conn, program)?;
    let key = find(tx.conn, &program, key)?;
    end_chains(tx.conn, tx.principal, &program, &[key.id], tx.now)?;
    Ok(())
}

/// The same for the command line; gives how many ended.
pub(in crate::identity) fn revoke_by_id(
    conn: &mut Db,
    program_id: i64,
    key_id: i64,
    now: DateTime<Utc>,
) -> Result<usize> {
    db::lock_program(conn, program_id)?;
    let program = db::get_program_by_id(conn, program_id)?;
    end_chains(conn, &Principal::System, &program, &[key_id], now)
}

fn end_chains(
    conn: &mut Db,
    by: &Principal,
    program: &Program,
    key_ids: &[i64],
    now: DateTime<Utc>,
) -> Result<usize> {
    let ended = end_with_offspring(conn, key_ids, now)?;
    for key in &ended {
        note(by, "key_revoked", program.uid, Some(&key.lookup));
    }
    Ok(ended.len())
}

/// A page of a program's keys, oldest first.
pub fn list(conn: &mut Db, program: &str, cursor: Option<&str>, limit: i64) -> Result<Page<Listed>> {
    let program = super::get(conn, program)?;
    let binding = format!("keys of {}", program.uid);
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list_keys(conn, program.id, after.unwrap_or(0), limit + 1)?;
    let before: Vec<i64> = rows.iter().filter_map(|key| key.replaces_id).collect();
    let names = db::uids_of_keys(conn, &before)?;
    let listed = rows.into_iter().map(|key| Listed {
        replaces: key.replaces_id.and_then(|id| names.get(&id).copied()),
        key,
    });
    Page::from_rows(listed.collect(), limit, &binding, |row| row.key.id)
}

/// A key with the public id of the one whose place it took.
pub struct Listed {
    pub key: Key,
    pub replaces: Option<Uid>,
}

/// A program's key by UUID or public half, with or without its prefix.
fn find(conn: &mut Db, program: &Program, key: &str) -> Result<Key> {
    let found = match uuid::Uuid::parse_str(key) {
        Ok(uid) => db::find_key_by_uid(conn, Uid(uid))?,
        Err(_) => db::find_key_by_lookup(conn, token::bare_lookup(key))?,
    };
    found
        .filter(|key| key.client_id == Some(program.id))
        .ok_or(Error::NotFound(Resource::Key))
}

/// A key's end lies ahead, and not further than is allowed.
fn check_end(end: Option<DateTime<Utc>>, latest: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<()> {
    let Some(end) = end else { return Ok(()) };
    let latest = latest.unwrap_or(now + Duration::days(MAX_LIFE_DAYS));
    if now < end && end <= latest {
        return Ok(());
    }
    let latest = latest.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let expected = format!("an instant to come, {latest} at the latest");
    Err(Error::invalid_pointer(
        "/expires_at",
        FieldCode::OutOfRange { expected },
    ))
}

fn check_number(conn: &mut Db, program_id: i64, now: DateTime<Utc>) -> Result<()> {
    match db::count_keys_in_force(conn, program_id, now)? >= MAX_KEYS {
        true => Err(Error::Conflict(Conflict::TooManyKeys)),
        false => Ok(()),
    }
}

/// A new key of a program. The caller has settled what it may do and how long.
pub(in crate::identity) fn insert(
    conn: &mut Db,
    program_id: i64,
    name: &str,
    scopes: &str,
    life: Life,
    origin: Origin,
) -> Result<(Key, Secret)> {
    let secret = Secret::generate(token::Kind::Key)?;
    let row = NewKeyRow {
        uid: Uid::new(),
        lookup: secret.lookup().to_owned(),
        secret_hash: secret.hash().to_owned(),
        kind: secret.kind(),
        name: name.to_owned(),
        client_id: program_id,
        scopes: scopes.to_owned(),
        created_at: Ts::from(life.from),
        expires_at: life.to.map(Ts::from),
        life_seconds: life.to.map(|to| (to - life.from).num_seconds()),
        replaces_id: origin.replaces(),
        made_with_id: origin.made_with(),
    };
    Ok((db::insert_key(conn, &row)?, secret))
}
