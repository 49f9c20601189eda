//! Queries over failed logins.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::each_db;
use crate::error::Result;
use crate::store::schema::login_failures as failures;
use crate::store::{Db, Ts};

#[derive(Debug, Clone, Queryable)]
pub struct Failures {
    pub failures: i64,
    pub last_at: Ts,
    pub blocked_until: Option<Ts>,
}

/// What is known of a subject, with its row locked to the end of the transaction: writing a row as it is takes the lock
/// on PostgreSQL, whether it was there or not. On SQLite the writer is alone.
pub fn lock(conn: &mut Db, subject: &str, now: DateTime<Utc>) -> Result<Failures> {
    let row = (
        failures::subject.eq(subject),
        failures::failures.eq(0),
        failures::last_at.eq(Ts::from(now)),
    );
    each_db!(conn, c => diesel::insert_into(failures::table)
        .values(row)
        .on_conflict(failures::subject)
        .do_update()
        .set(failures::subject.eq(subject))
        .execute(c))?;
    Ok(failures::table
        .find(subject)
        .select((failures::failures, failures::last_at, failures::blocked_until))
        .first(conn)?)
}

pub fn set(
    conn: &mut Db,
    subject: &str,
    count: i64,
    now: DateTime<Utc>,
    blocked_until: Option<DateTime<Utc>>,
) -> Result<()> {
    diesel::update(failures::table.find(subject))
        .set((
            failures::failures.eq(count),
            failures::last_at.eq(Ts::from(now)),
            failures::blocked_until.eq(blocked_until.map(Ts::from)),
        ))
        .execute(conn)?;
    Ok(())
}

/// One failure less, and no wait: whoever was let in had none, and those who came meanwhile are counted.
pub fn take_back(conn: &mut Db, subject: &str) -> Result<()> {
    diesel::update(failures::table.find(subject).filter(failures::failures.gt(0)))
        .set((
            failures::failures.eq(failures::failures - 1),
            failures::blocked_until.eq(None::<Ts>),
        ))
        .execute(conn)?;
    Ok(())
}

pub fn clear(conn: &mut Db, subject: &str) -> Result<()> {
    diesel::delete(failures::table.find(subject)).execute(conn)?;
    Ok(())
}

pub fn delete_older_than(conn: &mut Db, limit: DateTime<Utc>) -> Result<usize> {
    Ok(diesel::delete(failures::table.filter(failures::last_at.lt(Ts::from(limit)))).execute(conn)?)
}
