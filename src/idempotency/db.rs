//! Queries over idempotency records.
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::{Answer, Key};
use crate::each_db;
use crate::error::{Error, Result};
use crate::store::schema::idempotency_records as records;
use crate::store::{Db, Json, Ts};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = records)]
pub struct Record {
    pub credential_id: i64,
    pub key: String,
    pub request_hash: String,
    pub status: i32,
    pub headers: Json,
    pub body: String,
}

#[derive(Insertable)]
#[diesel(table_name = records)]
struct NewRecord<'a> {
    credential_id: i64,
    key: &'a str,
    request_hash: &'a str,
    status: i32,
    headers: Json,
    body: &'a str,
    created_at: Ts,
}

impl Record {
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

/// PostgreSQL: an advisory lock on the key until the transaction ends, taken or refused at once. SQLite: its writer is
/// alone already.
pub fn lock_key(conn: &mut Db, key: &Key) -> Result<()> {
    let Db::Pg(pg) = conn else { return Ok(()) };
    let digest = Sha256::digest(format!("{}:{}", key.credential_id, key.key).as_bytes());
    let mut bytes = [0_u8; 8];
    bytes
        .iter_mut()
        .zip(digest.iter())
        .for_each(|(byte, hashed)| *byte = *hashed);
    let locked: bool = diesel::select(
        diesel::dsl::sql::<diesel::sql_types::Bool>("pg_try_advisory_xact_lock(")
            .bind::<diesel::sql_types::BigInt, _>(i64::from_be_bytes(bytes))
            .sql(")"),
    )
    .get_result(pg)?;
    if locked { Ok(()) } else { Err(Error::InProgress) }
}

pub fn list_records(conn: &mut Db, keys: &[Key], not_before: DateTime<Utc>) -> Result<Vec<Record>> {
    let credentials: Vec<i64> = keys.iter().map(|key| key.credential_id).collect();
    let names: Vec<String> = keys.iter().map(|key| key.key.clone()).collect();
    Ok(records::table
        .filter(
            records::credential_id
                .eq_any(credentials)
                .and(records::key.eq_any(names)),
        )
        .filter(records::created_at.ge(Ts::from(not_before)))
        .select(Record::as_select())
        .load(conn)?)
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
                credential_id: key.credential_id,
                key: &key.key,
                request_hash: &key.request_hash,
                status: i32::from(answer.status),
                headers: Json(headers),
                body: &answer.body,
                created_at: Ts::from(now),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let outlived: Vec<String> = answers.iter().map(|(key, _)| key.key.clone()).collect();
    let credentials: Vec<i64> = answers.iter().map(|(key, _)| key.credential_id).collect();
    diesel::delete(
        records::table
            .filter(
                records::credential_id
                    .eq_any(credentials)
                    .and(records::key.eq_any(outlived)),
            )
            .filter(records::created_at.lt(Ts::from(now - super::retention()))),
    )
    .execute(conn)?;
    each_db!(conn, c => diesel::insert_into(records::table).values(&rows).execute(c))?;
    Ok(())
}

pub fn delete_older_than(conn: &mut Db, limit: DateTime<Utc>) -> Result<usize> {
    Ok(diesel::delete(records::table.filter(records::created_at.lt(Ts::from(limit)))).execute(conn)?)
}
