//! Queues of the expert groups, their members, and the topics that route to them. All data: the groups were
//! re-organised three times in two years.
pub(crate) mod db;
pub mod fields;
pub mod targets;

use std::collections::HashMap;

pub use db::{Queue, Topic};

use crate::error::{Error, Resource, Result};
use crate::store::page::{Page, decode_cursor};
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

/// The inside keys of all these topics, named by code or UUID.
pub fn get_topic_ids(conn: &mut Db, named: &[String]) -> Result<Vec<i64>> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let uid_of = |name: &str| uuid::Uuid::parse_str(name).ok().map(Uid);
    let uids: Vec<Uid> = named.iter().filter_map(|name| uid_of(name)).collect();
    let known = db::list_topic_keys(conn, named, &uids)?;
    let id_of = |name: &String| {
        let wanted = uid_of(name);
        let mut found = known
            .iter()
            .filter(|(_, uid, code)| wanted.map_or(code == name, |wanted| *uid == wanted));
        found
            .next()
            .map(|(id, ..)| *id)
            .ok_or(Error::NotFound(Resource::Topic))
    };
    named.iter().map(id_of).collect()
}

/// Where a question goes, of all queues by their keys: its topic's queue, else the default queue.
pub fn route<'q>(queues: &'q HashMap<i64, Queue>, topic: Option<&Topic>) -> Result<&'q Queue> {
    match topic {
        Some(topic) => queues
            .get(&topic.queue_id)
            .ok_or_else(|| Error::internal("a topic routes to an unknown queue", topic.queue_id)),
        None => queues
            .values()
            .find(|queue| queue.is_default)
            .ok_or_else(|| Error::internal("no default queue", "the reference data is not loaded")),
    }
}

/// A page of queues in the order of screens. There are few, so the page is cut here.
pub fn list_queues(conn: &mut Db, cursor: Option<&str>, limit: i64) -> Result<Page<Queue>> {
    let after = cursor
        .map(|cursor| decode_cursor::<(i32, i64)>("queues", cursor))
        .transpose()?;
    let mut rows = db::list_queues(conn)?;
    rows.retain(|queue| after.is_none_or(|after| (queue.position, queue.id) > after));
    rows.truncate(usize::try_from(limit + 1).unwrap_or(usize::MAX));
    Page::from_rows(rows, limit, "queues", |queue| (queue.position, queue.id))
}

/// A topic with the queues that it names.
pub struct TopicView {
    pub topic: Topic,
    pub queue: Queue,
    pub co_queue: Option<Queue>,
}

/// A page of topics by code.
pub fn list_topics(conn: &mut Db, cursor: Option<&str>, limit: i64) -> Result<Page<TopicView>> {
    let after = cursor
        .map(|cursor| decode_cursor::<String>("topics", cursor))
        .transpose()?;
    let rows = db::list_topics(conn, after.as_deref().unwrap_or_default(), limit + 1)?;
    let page = Page::from_rows(rows, limit, "topics", |topic| topic.code.clone())?;
    let items = with_queues(conn, page.items)?;
    Ok(Page {
        items,
        next_cursor: page.next_cursor,
    })
}

pub fn get_topic_view(conn: &mut Db, id: &str) -> Result<TopicView> {
    let topic = find_topic(conn, id)?.ok_or(Error::NotFound(Resource::Topic))?;
    with_queues(conn, vec![topic])?
        .pop()
        .ok_or(Error::NotFound(Resource::Topic))
}

fn with_queues(conn: &mut Db, topics: Vec<Topic>) -> Result<Vec<TopicView>> {
    let queues = db::list_queues(conn)?;
    let find = |id: i64| queues.iter().find(|queue| queue.id == id).cloned();
    topics
        .into_iter()
        .map(|topic| {
            let queue = find(topic.queue_id)
                .ok_or_else(|| Error::internal("a topic routes to an unknown queue", topic.queue_id))?;
            Ok(TopicView {
                queue,
                co_queue: topic.co_queue_id.and_then(find),
                topic,
            })
        })
        .collect()
}

pub fn list_by_id(conn: &mut Db, ids: &[i64]) -> Result<Vec<Queue>> {
    db::list_queues_by_id(conn, ids)
}
