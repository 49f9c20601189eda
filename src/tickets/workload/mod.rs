//! Who works a queue, and how many of its open tickets each of them holds: what a supervisor looks at before assigning.
//!
//! Besides its active members whoever holds a ticket of it is told too, so that one that nobody works on any more, of
//! somebody who has left or changed the queue, is seen here.
mod db;

use std::collections::HashMap;

pub use db::AgentRow;

use super::lifecycle::State;
use crate::error::Result;
use crate::store::Db;
use crate::store::page::{Page, decode_cursor};

/// Open tickets of one queue in one person's hands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Workload {
    pub assigned: i64,
    pub waiting_for_asker: i64,
    pub breached: i64,
}

#[derive(Debug, Clone)]
pub struct QueueAgent {
    pub person: AgentRow,
    pub workload: Workload,
}

/// A page of those who work a queue, by address.
pub fn list_queue_agents(
    conn: &mut Db,
    queue_id: i64,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<QueueAgent>> {
    let binding = format!("agents of queue {queue_id}");
    let after = cursor
        .map(|cursor| decode_cursor::<String>(&binding, cursor))
        .transpose()?;
    let rows = db::list_agents(conn, queue_id, after.as_deref().unwrap_or_default(), limit + 1)?;
    let page = Page::from_rows(rows, limit, &binding, |person| person.email.clone())?;
    let ids: Vec<i64> = page.items.iter().map(|person| person.id).collect();
    let mut workloads: HashMap<i64, Workload> = HashMap::new();
    for (user_id, state, breached, count) in db::count_held(conn, queue_id, &ids)? {
        let workload = workloads.entry(user_id).or_default();
        match state {
            State::Assigned => workload.assigned += count,
            _ => workload.waiting_for_asker += count,
        }
        if breached {
            workload.breached += count;
        }
    }
    Ok(page.map(|person| QueueAgent {
        workload: workloads.get(&person.id).copied().unwrap_or_default(),
        person,
    }))
}
