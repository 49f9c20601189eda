//! Queries over queues and topics.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::sla::policy::Priority;
use crate::store::schema::{operational_targets, queues, topics};
use crate::store::{Db, Json, Ts, Uid};

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = queues)]
pub struct Queue {
    pub id: i64,
    pub uid: Uid,
    pub code: String,
    pub name_vi: String,
    pub name_en: String,
    pub position: i32,
    pub is_default: bool,
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = topics)]
pub struct Topic {
    pub id: i64,
    pub uid: Uid,
    pub code: String,
    pub name_vi: String,
    pub name_en: String,
    pub queue_id: i64,
    pub co_queue_id: Option<i64>,
    pub external_owner: Option<String>,
    pub default_priority: i16,
    pub keywords: String,
    pub legal_basis: String,
    pub custom_fields: Json,
    pub version: i64,
}

pub fn find_queue_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<Queue>> {
    Ok(queues::table
        .filter(queues::uid.eq(uid))
        .select(Queue::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_queue_by_code(conn: &mut Db, code: &str) -> Result<Option<Queue>> {
    Ok(queues::table
        .filter(queues::code.eq(code))
        .select(Queue::as_select())
        .first(conn)
        .optional()?)
}

pub fn list_queues(conn: &mut Db) -> Result<Vec<Queue>> {
    Ok(queues::table
        .order((queues::position, queues::id))
        .select(Queue::as_select())
        .load(conn)?)
}

pub fn list_queues_by_id(conn: &mut Db, ids: &[i64]) -> Result<Vec<Queue>> {
    Ok(queues::table
        .filter(queues::id.eq_any(ids.to_vec()))
        .order((queues::position, queues::id))
        .select(Queue::as_select())
        .load(conn)?)
}

pub fn find_topic_by_id(conn: &mut Db, id: i64) -> Result<Option<Topic>> {
    Ok(topics::table
        .find(id)
        .select(Topic::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_topic_by_uid(conn: &mut Db, uid: Uid) -> Result<Option<Topic>> {
    Ok(topics::table
        .filter(topics::uid.eq(uid))
        .select(Topic::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_topic_by_code(conn: &mut Db, code: &str) -> Result<Option<Topic>> {
    Ok(topics::table
        .filter(topics::code.eq(code))
        .select(Topic::as_select())
        .first(conn)
        .optional()?)
}

/// The inside keys of topics with these codes or UUIDs.
pub fn list_topic_keys(conn: &mut Db, codes: &[String], uids: &[Uid]) -> Result<Vec<(i64, Uid, String)>> {
    Ok(topics::table
        .filter(topics::code.eq_any(codes).or(topics::uid.eq_any(uids)))
        .select((topics::id, topics::uid, topics::code))
        .load(conn)?)
}

/// Lock a topic's own row for the rest of the transaction, not against those who only refer to it. SQLite needs no lock.
pub fn lock_topic(conn: &mut Db, id: i64) -> Result<Topic> {
    let topic = topics::table.find(id);
    Ok(match conn {
        Db::Pg(pg) => topic.select(Topic::as_select()).for_no_key_update().first(pg)?,
        Db::Lite(lite) => topic.select(Topic::as_select()).first(lite)?,
    })
}

pub fn set_custom_fields(
    conn: &mut Db,
    id: i64,
    fields: Json,
    version: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    diesel::update(topics::table.find(id))
        .set((
            topics::custom_fields.eq(fields),
            topics::version.eq(version),
            topics::updated_at.eq(Ts::from(now)),
        ))
        .execute(conn)?;
    Ok(())
}

pub fn list_topics(conn: &mut Db, after: &str, limit: i64) -> Result<Vec<Topic>> {
    Ok(topics::table
        .filter(topics::code.gt(after))
        .order(topics::code)
        .limit(limit)
        .select(Topic::as_select())
        .load(conn)?)
}

/// A queue as the shipped data has it.
pub struct NewQueue<'a> {
    pub code: &'a str,
    pub name_vi: &'a str,
    pub name_en: &'a str,
    pub position: i32,
    pub is_default: bool,
}

pub fn insert_queue(conn: &mut Db, new: &NewQueue<'_>, now: DateTime<Utc>) -> Result<()> {
    diesel::insert_into(queues::table)
        .values((
            queues::uid.eq(Uid::new()),
            queues::code.eq(new.code),
            queues::name_vi.eq(new.name_vi),
            queues::name_en.eq(new.name_en),
            queues::position.eq(new.position),
            queues::is_default.eq(new.is_default),
            queues::created_at.eq(Ts::from(now)),
        ))
        .execute(conn)?;
    Ok(())
}

/// A topic as the shipped data has it.
pub struct NewTopic<'a> {
    pub code: &'a str,
    pub name_vi: &'a str,
    pub name_en: &'a str,
    pub queue_id: i64,
    pub co_queue_id: Option<i64>,
    pub external_owner: Option<&'a str>,
    pub default_priority: Priority,
    pub keywords: &'a str,
    pub legal_basis: &'a str,
}

pub fn insert_topic(conn: &mut Db, new: &NewTopic<'_>, now: DateTime<Utc>) -> Result<()> {
    diesel::insert_into(topics::table)
        .values((
            topics::uid.eq(Uid::new()),
            topics::code.eq(new.code),
            topics::name_vi.eq(new.name_vi),
            topics::name_en.eq(new.name_en),
            topics::queue_id.eq(new.queue_id),
            topics::co_queue_id.eq(new.co_queue_id),
            topics::external_owner.eq(new.external_owner),
            topics::default_priority.eq(new.default_priority.rank()),
            topics::keywords.eq(new.keywords),
            topics::legal_basis.eq(new.legal_basis),
            topics::custom_fields.eq(Json(serde_json::json!([]))),
            topics::created_at.eq(Ts::from(now)),
            topics::updated_at.eq(Ts::from(now)),
            topics::version.eq(1),
        ))
        .execute(conn)?;
    Ok(())
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = operational_targets)]
pub struct OperationalTargetRow {
    pub business_minutes: Json,
    pub author: String,
    pub updated_at: Ts,
    pub version: i64,
}

pub fn find_operational_target(conn: &mut Db, queue_id: i64) -> Result<Option<OperationalTargetRow>> {
    Ok(operational_targets::table
        .find(queue_id)
        .select(OperationalTargetRow::as_select())
        .first(conn)
        .optional()?)
}

/// Lock a queue's own row for the rest of the transaction, not against those who only refer to it. SQLite needs no lock:
/// its writer is alone.
pub fn lock_queue(conn: &mut Db, id: i64) -> Result<()> {
    if let Db::Pg(pg) = conn {
        queues::table
            .find(id)
            .select(queues::id)
            .for_no_key_update()
            .first::<i64>(pg)?;
    }
    Ok(())
}

/// As the first version, or the one after `present`.
pub fn set_operational_target(
    conn: &mut Db,
    queue_id: i64,
    business_minutes: Json,
    author: &str,
    present: Option<i64>,
    now: DateTime<Utc>,
) -> Result<()> {
    let values = (
        operational_targets::business_minutes.eq(business_minutes),
        operational_targets::author.eq(author),
        operational_targets::updated_at.eq(Ts::from(now)),
        operational_targets::version.eq(present.unwrap_or(0) + 1),
    );
    match present {
        Some(_) => diesel::update(operational_targets::table.find(queue_id))
            .set(values)
            .execute(conn)?,
        None => diesel::insert_into(operational_targets::table)
            .values((operational_targets::queue_id.eq(queue_id), values))
            .execute(conn)?,
    };
    Ok(())
}
