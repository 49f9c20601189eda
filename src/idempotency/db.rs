//! Queries over idempotency records.
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool};
use sha2::{Digest, Sha256};

use super::{Answer, Key, Owner};
use crate::error::{Error, Result};
use crate::identity::ActorKind;
use crate::store::schema::idempotency_records as records;
use crate::store::{Db, Json, Ts};
use crate::{each_db, in_batches};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = records)]
pub struct Record {
    pub owner_kind: ActorKind,
    pub owner_id: i64,
    pub key: String,
    pub request_hash: String,
    pub status: i32,
    pub headers: Json,
    pub body: String,
    pub running_until: Option<Ts>,
}

#[derive(Insertable)]
#[diesel(table_name = records)]
struct NewRecord {
    owner_kind: ActorKind,
    owner_id: i64,
    key: String,
    request_hash: String,
    status: i32,
    headers: Json,
    body: String,
    created_at: Ts,
    running_until: Option<Ts>,
}

impl Record {
    pub fn owner(&self) -> Owner {
        Owner {
            kind: self.owner_kind,
            id: self.owner_id,
        }
    }

    pub fn answer(&self) -> Result<Answer> {
        let unreadable = |cause: String| Error::internal("a stored answer cannot be read", cause);
        let headers =
            serde_json::from_value(self.headers.0.clone()).map_err(|cause| unreadable(cause.to_string()))?;
        let status = u16::try_from(self.status).map_err(|cause| unreadable(cause.to_string()))?;
        Ok(Answer {
            status,
            headers,
            body: self.body.clone(),
            replayed: true,
        })
    }
}

/// PostgreSQL: an advisory lock on each key until the transaction ends, taken or refused at once; `Error::InProgress`
/// where another transaction holds one. SQLite: its writer is alone already.
pub fn lock_keys(conn: &mut Db, keys: &[Key]) -> Result<()> {
    let Db::Pg(pg) = conn else { return Ok(()) };
    if keys.is_empty() {
        return Ok(());
    }
    let locks = TryLocks(keys.iter().map(lock_number).collect());
    let taken: Vec<bool> = locks.load(pg)?;
    if taken.into_iter().all(|taken| taken) {
        Ok(())
    } else {
        Err(Error::InProgress)
    }
}

fn lock_number(key: &Key) -> i64 {
    let digest =
        Sha256::digest(format!("{}:{}:{}", key.owner.kind.as_str(), key.owner.id, key.key).as_bytes());
    let mut bytes = [0_u8; 8];
    bytes
        .iter_mut()
        .zip(digest.iter())
        .for_each(|(byte, hashed)| *byte = *hashed);
    i64::from_be_bytes(bytes)
}

/// All locks of a batch in one statement, one row each. Written out because Diesel does not prepare literal SQL.
struct TryLocks(Vec<i64>);

impl QueryId for TryLocks {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for TryLocks {
    type SqlType = Bool;
}

impl RunQueryDsl<PgConnection> for TryLocks {}

impl QueryFragment<Pg> for TryLocks {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT pg_try_advisory_xact_lock(key) FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.0)?;
        out.push_sql(") AS key");
        Ok(())
    }
}

fn owners<'a>(keys: impl Iterator<Item = &'a Key>) -> (Vec<ActorKind>, Vec<i64>) {
    keys.map(|key| (key.owner.kind, key.owner.id)).unzip()
}

pub fn list_records(conn: &mut Db, keys: &[Key], not_before: DateTime<Utc>) -> Result<Vec<Record>> {
    let (kinds, owners) = owners(keys.iter());
    let names: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
    // On the concrete connection PostgreSQL takes the keys as arrays, so that the statement is prepared once.
    Ok(each_db!(conn, c => records::table
        .filter(records::owner_kind.eq_any(kinds).and(records::owner_id.eq_any(owners)))
        .filter(records::key.eq_any(names))
        .filter(records::created_at.ge(Ts::from(not_before)))
        .select(Record::as_select())
        .load(c))?)
}

/// Store answers; a record that outlived its retention gives way.
pub fn insert_answers(conn: &mut Db, answers: &[(&Key, &Answer)], now: DateTime<Utc>) -> Result<()> {
    if answers.is_empty() {
        return Ok(());
    }
    let rows = answers
        .iter()
        .map(|(key, answer)| {
            let headers = serde_json::to_value(&answer.headers)
                .map_err(|cause| Error::internal("an answer cannot be stored", cause))?;
            Ok(NewRecord {
                owner_kind: key.owner.kind,
                owner_id: key.owner.id,
                key: key.key.clone(),
                request_hash: key.request_hash.clone(),
                status: i32::from(answer.status),
                headers: Json(headers),
                body: answer.body.clone(),
                created_at: Ts::from(now),
                running_until: None,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let keys: Vec<&Key> = answers.iter().map(|(key, _)| *key).collect();
    insert_rows(conn, &keys, &rows, now)
}

/// Say that the request with this key runs and has no answer yet.
pub fn insert_running(conn: &mut Db, key: &Key, now: DateTime<Utc>, until: DateTime<Utc>) -> Result<()> {
    let row = NewRecord {
        owner_kind: key.owner.kind,
        owner_id: key.owner.id,
        key: key.key.clone(),
        request_hash: key.request_hash.clone(),
        status: 0,
        headers: Json(serde_json::json!([])),
        body: String::new(),
        created_at: Ts::from(now),
        running_until: Some(Ts::from(until)),
    };
    insert_rows(conn, &[key], &[row], now)
}

fn insert_rows(conn: &mut Db, keys: &[&Key], rows: &[NewRecord], now: DateTime<Utc>) -> Result<()> {
    let outlived: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
    let (kinds, owners) = owners(keys.iter().copied());
    let limit = Ts::from(now - super::retention());
    each_db!(conn, c => diesel::delete(
        records::table
            .filter(records::owner_kind.eq_any(kinds).and(records::owner_id.eq_any(owners)))
            .filter(records::key.eq_any(outlived))
            .filter(records::created_at.lt(limit)),
    )
    .execute(c))?;
    in_batches!(conn, rows, c, batch => diesel::insert_into(records::table).values(batch).execute(c)?);
    Ok(())
}

/// Let a request that runs be taken over from then on; one that has its answer stays as it is.
pub fn set_running(conn: &mut Db, key: &Key, until: DateTime<Utc>) -> Result<()> {
    let of_key = records::owner_kind
        .eq(key.owner.kind)
        .and(records::owner_id.eq(key.owner.id))
        .and(records::key.eq(&key.key));
    diesel::update(
        records::table
            .filter(of_key)
            .filter(records::running_until.is_not_null()),
    )
    .set(records::running_until.eq(Some(Ts::from(until))))
    .execute(conn)?;
    Ok(())
}

/// Store the answer of a request that ran; whoever else has stored one was first.
pub fn set_answer(conn: &mut Db, key: &Key, answer: &Answer) -> Result<()> {
    let of_key = records::owner_kind
        .eq(key.owner.kind)
        .and(records::owner_id.eq(key.owner.id))
        .and(records::key.eq(&key.key));
    let headers = serde_json::to_value(&answer.headers)
        .map_err(|cause| Error::internal("an answer cannot be stored", cause))?;
    diesel::update(
        records::table
            .filter(of_key)
            .filter(records::running_until.is_not_null()),
    )
    .set((
        records::status.eq(i32::from(answer.status)),
        records::headers.eq(Json(headers)),
        records::body.eq(&answer.body),
        records::running_until.eq(None::<Ts>),
    ))
    .execute(conn)?;
    Ok(())
}

pub fn delete_older_than(conn: &mut Db, limit: DateTime<Utc>) -> Result<usize> {
    Ok(diesel::delete(records::table.filter(records::created_at.lt(Ts::from(limit)))).execute(conn)?)
}
