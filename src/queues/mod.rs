//! Queues of the expert groups, their members, and the topics that route to them. All data: the groups were
//! re-organised three times in two years.
pub(crate) mod db;

pub use db::{Queue, Summary, Topic};

use crate::error::{Error, Resource, Result};
use crate::store::{Db, Uid};

/// By UUID or code.
pub fn find_queue(conn: &mut Db, id: &str) -> Result<Option<Queue>> {
    match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_queue_by_uid(conn, Uid(uid)),
        Err(_) => db::find_queue_by_code(conn, id),
    }
}

pub fn get_queue(conn: &mut Db, id: &str) -> Result<Queue> {
    find_queue(conn, id)?.ok_or(Error::NotFound(Resource::Queue))
}

/// By UUID or code.
pub fn find_topic(conn: &mut Db, id: &str) -> Result<Option<Topic>> {
    match uuid::Uuid::parse_str(id) {
        Ok(uid) => db::find_topic_by_uid(conn, Uid(uid)),
        Err(_) => db::find_topic_by_code(conn, id),
    }
}

pub fn get_topic(conn: &mut Db, id: &str) -> Result<Topic> {
    find_topic(conn, id)?.ok_or(Error::NotFound(Resource::Topic))
}

/// Where a question goes: its topic's queue, else the default queue.
pub fn route(conn: &mut Db, topic: Option<&Topic>) -> Result<i64> {
    match topic {
        Some(topic) => Ok(topic.queue_id),
        None => db::find_default_queue(conn)?
            .map(|queue| queue.id)
            .ok_or_else(|| Error::internal("no default queue", "the reference data is not loaded")),
    }
}
