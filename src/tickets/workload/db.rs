//! Queries over who works a queue, and what they hold of it.
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use crate::error::Result;
use crate::identity::Role;
use crate::store::schema::{queue_members, tickets, users};
use crate::store::{Db, Uid};
use crate::tickets::lifecycle::State;

/// Open and in somebody's hands, in the words of the index `tickets_held`, so that either database finds it.
const IS_HELD: &str = "tickets.state IN ('assigned', 'waiting')";

#[derive(Debug, Clone, Queryable)]
pub struct AgentRow {
    pub id: i64,
    pub uid: Uid,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub active: bool,
    pub member: bool,
}

/// Active members of a queue, and whoever else holds an open ticket of it, in the order of their addresses.
pub fn list_agents(conn: &mut Db, queue_id: i64, after: &str, limit: i64) -> Result<Vec<AgentRow>> {
    let membership = queue_members::table.on(queue_members::user_id
        .eq(users::id)
        .and(queue_members::queue_id.eq(queue_id)));
    let member = queue_members::user_id.nullable().is_not_null();
    let holders = tickets::table
        .filter(tickets::queue_id.eq(queue_id).and(sql::<Bool>(IS_HELD)))
        .filter(tickets::assignee_id.is_not_null())
        .select(tickets::assignee_id.assume_not_null());
    Ok(users::table
        .left_join(membership)
        .filter(member.and(users::active.eq(true)).or(users::id.eq_any(holders)))
        .filter(users::email.gt(after))
        .order(users::email)
        .limit(limit)
        .select((
            users::id,
            users::uid,
            users::email,
            users::name,
            users::role,
            users::active,
            member,
        ))
        .load(conn)?)
}

/// How many open tickets of a queue these people hold, by person, state and whether a clock was breached.
pub fn count_held(conn: &mut Db, queue_id: i64, user_ids: &[i64]) -> Result<Vec<(i64, State, bool, i64)>> {
    let assignee = tickets::assignee_id.assume_not_null();
    Ok(tickets::table
        .filter(tickets::queue_id.eq(queue_id).and(sql::<Bool>(IS_HELD)))
        .filter(tickets::assignee_id.eq_any(user_ids.to_vec()))
        .group_by((tickets::assignee_id, tickets::state, tickets::breached))
        .select((
            assignee,
            tickets::state,
            tickets::breached,
            diesel::dsl::count_star(),
        ))
        .load(conn)?)
}
