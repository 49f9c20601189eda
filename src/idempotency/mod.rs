//! First answers of POSTs that carried an `Idempotency-Key`, stored in the operation's own transaction and given again
//! byte for byte for 24 hours. Only successful answers are kept: a refused request changed nothing and may be mended.
//!
//! A concurrent twin on PostgreSQL finds the key's advisory lock taken and is told to come back (`Error::InProgress`);
//! on SQLite the single writer runs it after the first, where it finds the answer. A request of several transactions
//! stores first that it runs, and for how long at most without another word of its runner (`begin`).
mod db;

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::identity::ActorKind;
use crate::store::Db;

pub use db::{insert_answers, lock_keys};

/// How long an answer is kept.
pub fn retention() -> Duration {
    Duration::hours(24)
}

/// Who repeats a request: a person or a program, with whichever of its credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    pub kind: ActorKind,
    pub id: i64,
}

/// The key of one request of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub owner: Owner,
    pub key: String,
    pub request_hash: String,
}

impl Key {
    /// `target` is the path with its query: another query is another request.
    pub fn new(owner: Owner, key: &str, method: &str, target: &str, body: &[u8]) -> Key {
        let mut hash = Sha256::new();
        for part in [method.as_bytes(), target.as_bytes(), body] {
            hash.update(part);
            hash.update([0]);
        }
        Key {
            owner,
            key: key.to_owned(),
            request_hash: HEXLOWER.encode(&hash.finalize()),
        }
    }

    /// Two that are the same in this stand for one request, or for two that must not have the same key.
    pub fn of_owner(&self) -> (Owner, &str) {
        (self.owner, &self.key)
    }
}

/// An answer as it is sent and, with a key, stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// JSON, or empty.
    pub body: String,
    pub replayed: bool,
}

/// Give the stored answer, or run `work` and store what it answers, all in the caller's transaction.
pub fn once(
    conn: &mut Db,
    key: Option<&Key>,
    now: DateTime<Utc>,
    work: impl FnOnce(&mut Db) -> Result<Answer>,
) -> Result<Answer> {
    let Some(key) = key else { return work(conn) };
    lock_keys(conn, std::slice::from_ref(key))?;
    if let Some(known) = lookup(conn, std::slice::from_ref(key), now)?.pop() {
        return known.1;
    }
    let answer = work(conn)?;
    insert_answers(conn, &[(key, &answer)], now)?;
    Ok(answer)
}

/// Begin a request of several transactions: `None` where it is to be carried out, by this caller until then. Whoever
/// repeats it meanwhile is told to come back, and takes it over where the runner is gone: each step must be safe to
/// repeat by a key of its own.
pub fn begin(conn: &mut Db, key: &Key, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<Option<Answer>> {
    lock_keys(conn, std::slice::from_ref(key))?;
    let known = db::list_records(conn, std::slice::from_ref(key), now - retention())?;
    let known = known
        .into_iter()
        .find(|record| record.owner() == key.owner && record.key == key.key);
    let Some(record) = known else {
        db::insert_running(conn, key, now, until)?;
        return Ok(None);
    };
    if record.request_hash != key.request_hash {
        return Err(Error::IdempotencyKeyReused);
    }
    match record.running_until {
        None => record.answer().map(Some),
        Some(running_until) if running_until.0 > now => Err(Error::InProgress),
        Some(_) => {
            db::set_running(conn, key, until)?;
            Ok(None)
        }
    }
}

/// The runner lives: nobody takes the request over before then.
pub fn prolong(conn: &mut Db, key: &Key, until: DateTime<Utc>) -> Result<()> {
    db::set_running(conn, key, until)
}

/// End what `begin` began: with its answer, or without one, and then whoever repeats it goes on at once.
pub fn finish(conn: &mut Db, key: &Key, answer: Option<&Answer>, now: DateTime<Utc>) -> Result<()> {
    match answer {
        Some(answer) => db::set_answer(conn, key, answer),
        None => db::set_running(conn, key, now),
    }
}

/// The stored answers of these keys, each with the key's position; an answer to another request is an error.
pub fn lookup(conn: &mut Db, keys: &[Key], now: DateTime<Utc>) -> Result<Vec<(usize, Result<Answer>)>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let records = db::list_records(conn, keys, now - retention())?;
    let by_key = records
        .iter()
        .map(|record| ((record.owner(), record.key.as_str()), record));
    let by_key: HashMap<_, _> = by_key.collect();
    let mut found = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        if let Some(record) = by_key.get(&key.of_owner()) {
            let answer = match (record.request_hash == key.request_hash, record.running_until) {
                (false, _) => Err(Error::IdempotencyKeyReused),
                (true, Some(_)) => Err(Error::InProgress),
                (true, None) => record.answer(),
            };
            found.push((position, answer));
        }
    }
    Ok(found)
}

/// Worker's step: forget answers that are older than the retention.
pub fn sweep_step(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    db::delete_older_than(conn, now - retention())
}
