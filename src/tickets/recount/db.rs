//! Queries for what new versions of calendars and policies leave to be done.
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::{Tally, Version};
use crate::each_db;
use crate::error::Result;
use crate::store::schema::{calendar_versions, clocks, recounts, sla_policy_versions, tickets};
use crate::store::{Db, Ts, Uid};
use crate::tickets::db::TicketRow;

/// Versions of calendars that are not in force any more, by which open clocks are counted still. One look at an index
/// for each old version: that of open clocks, which SQLite takes before that of all only where a ticket is asked for too.
pub fn list_outdated_calendar_versions(conn: &mut Db) -> Result<Vec<i64>> {
    Ok(calendar_versions::table
        .filter(sql::<Bool>(
            "calendar_versions.version < \
             (SELECT max(v.version) FROM calendar_versions v WHERE v.calendar_id = calendar_versions.calendar_id) \
             AND EXISTS (SELECT 1 FROM clocks c \
             WHERE c.calendar_version_id = calendar_versions.id AND c.stopped_at IS NULL AND c.ticket_id > 0)",
        ))
        .order(calendar_versions::id)
        .select(calendar_versions::id)
        .load(conn)?)
}

/// Versions of policies that open tickets have still, though a later one is for open tickets too.
pub fn list_outdated_policy_versions(conn: &mut Db) -> Result<Vec<i64>> {
    Ok(sla_policy_versions::table
        .filter(sql::<Bool>(
            "EXISTS (SELECT 1 FROM sla_policy_versions v WHERE v.policy_id = sla_policy_versions.policy_id \
             AND v.version > sla_policy_versions.version AND v.applies_to_open) \
             AND EXISTS (SELECT 1 FROM tickets t WHERE t.policy_version_id = sla_policy_versions.id \
             AND t.state IN ('queued', 'assigned', 'waiting'))",
        ))
        .order(sla_policy_versions::id)
        .select(sla_policy_versions::id)
        .load(conn)?)
}

/// Versions of a calendar that open clocks are counted by.
pub fn list_versions_in_use(conn: &mut Db, calendar_id: i64) -> Result<Vec<i64>> {
    Ok(calendar_versions::table
        .filter(calendar_versions::calendar_id.eq(calendar_id))
        .filter(sql::<Bool>(
            "EXISTS (SELECT 1 FROM clocks c \
             WHERE c.calendar_version_id = calendar_versions.id AND c.stopped_at IS NULL AND c.ticket_id > 0)",
        ))
        .select(calendar_versions::id)
        .load(conn)?)
}

/// Versions of a policy that open tickets have.
pub fn list_policy_versions_in_use(conn: &mut Db, policy_id: i64) -> Result<Vec<i64>> {
    Ok(sla_policy_versions::table
        .filter(sla_policy_versions::policy_id.eq(policy_id))
        .filter(sql::<Bool>(
            "EXISTS (SELECT 1 FROM tickets t WHERE t.policy_version_id = sla_policy_versions.id \
             AND t.state IN ('queued', 'assigned', 'waiting'))",
        ))
        .select(sla_policy_versions::id)
        .load(conn)?)
}

/// The next tickets, by id, with an open clock of one calendar version.
pub fn list_tickets_by_calendar(conn: &mut Db, version_id: i64, after: i64, limit: i64) -> Result<Vec<i64>> {
    Ok(clocks::table
        .filter(clocks::calendar_version_id.eq(version_id))
        .filter(clocks::stopped_at.is_null())
        .filter(clocks::ticket_id.gt(after))
        .order(clocks::ticket_id)
        .limit(limit)
        .select(clocks::ticket_id)
        .distinct()
        .load(conn)?)
}

/// The next open tickets, by id, of one policy version.
pub fn list_tickets_by_policy(conn: &mut Db, version_id: i64, after: i64, limit: i64) -> Result<Vec<i64>> {
    let open = sql::<Bool>("tickets.state IN ('queued', 'assigned', 'waiting')");
    Ok(tickets::table
        .filter(tickets::policy_version_id.eq(version_id).and(open))
        .filter(tickets::id.gt(after))
        .order(tickets::id)
        .limit(limit)
        .select(tickets::id)
        .load(conn)?)
}

/// Lock those of the tickets that nobody else has locked; whoever has brings them to the rules in force by itself.
pub fn lock_free_tickets(conn: &mut Db, ids: &[i64]) -> Result<Vec<TicketRow>> {
    Ok(match conn {
        Db::Pg(pg) => tickets::table
            .filter(tickets::id.eq_any(ids))
            .order(tickets::id)
            .select(TicketRow::as_select())
            .for_update()
            .skip_locked()
            .load(pg)?,
        // SQLite's writer is alone.
        Db::Lite(_) => list_tickets(conn, ids)?,
    })
}

pub fn list_tickets(conn: &mut Db, ids: &[i64]) -> Result<Vec<TicketRow>> {
    Ok(each_db!(conn, c => tickets::table
        .filter(tickets::id.eq_any(ids))
        .order(tickets::id)
        .select(TicketRow::as_select())
        .load(c))?)
}

/// The change means nothing to these clocks: they only name the version from now on.
pub fn name_calendar_version(conn: &mut Db, clock_ids: &[i64], version_id: i64) -> Result<()> {
    each_db!(conn, c => diesel::update(clocks::table.filter(clocks::id.eq_any(clock_ids)))
        .set(clocks::calendar_version_id.eq(version_id))
        .execute(c))?;
    Ok(())
}

pub fn insert_recount(conn: &mut Db, version: Version, now: DateTime<Utc>) -> Result<()> {
    let (calendar_version_id, policy_version_id) = match version {
        Version::Calendar(id) => (Some(id), None),
        Version::Policy(id) => (None, Some(id)),
    };
    diesel::insert_into(recounts::table)
        .values((
            recounts::uid.eq(Uid::new()),
            recounts::calendar_version_id.eq(calendar_version_id),
            recounts::policy_version_id.eq(policy_version_id),
            recounts::clocks.eq(0_i64),
            recounts::moved_earlier.eq(0_i64),
            recounts::moved_later.eq(0_i64),
            recounts::verdicts_changed.eq(0_i64),
            recounts::created_at.eq(Ts::from(now)),
            recounts::updated_at.eq(Ts::from(now)),
        ))
        .execute(conn)?;
    Ok(())
}

/// A first version has no row: nothing was counted by another one before it.
pub fn add_to_recount(conn: &mut Db, version: Version, tally: &Tally, now: DateTime<Utc>) -> Result<()> {
    let sums = (
        recounts::clocks.eq(recounts::clocks + tally.clocks),
        recounts::moved_earlier.eq(recounts::moved_earlier + tally.moved_earlier),
        recounts::moved_later.eq(recounts::moved_later + tally.moved_later),
        recounts::verdicts_changed.eq(recounts::verdicts_changed + tally.verdicts_changed),
        recounts::updated_at.eq(Ts::from(now)),
    );
    match version {
        Version::Calendar(id) => diesel::update(recounts::table)
            .filter(recounts::calendar_version_id.eq(Some(id)))
            .set(sums)
            .execute(conn)?,
        Version::Policy(id) => diesel::update(recounts::table)
            .filter(recounts::policy_version_id.eq(Some(id)))
            .set(sums)
            .execute(conn)?,
    };
    Ok(())
}

const CALENDAR_IS_DONE: &str = "calendar_version_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM clocks c \
     JOIN calendar_versions v ON v.id = c.calendar_version_id \
     JOIN calendar_versions own ON own.id = recounts.calendar_version_id AND own.calendar_id = v.calendar_id \
     WHERE c.stopped_at IS NULL AND c.ticket_id > 0 AND v.version < own.version)";
const POLICY_IS_DONE: &str = "policy_version_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tickets t \
     JOIN sla_policy_versions v ON v.id = t.policy_version_id \
     JOIN sla_policy_versions own ON own.id = recounts.policy_version_id AND own.policy_id = v.policy_id \
     WHERE t.state IN ('queued', 'assigned', 'waiting') AND v.version < own.version)";

pub fn has_unfinished(conn: &mut Db) -> Result<bool> {
    let unfinished = recounts::table.filter(recounts::finished_at.is_null());
    Ok(diesel::select(diesel::dsl::exists(unfinished)).get_result(conn)?)
}

/// Mark the recounts that have nothing left to do.
pub fn finish_recounts(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    let mut finished = 0;
    for is_done in [CALENDAR_IS_DONE, POLICY_IS_DONE] {
        finished += diesel::update(recounts::table)
            .filter(recounts::finished_at.is_null().and(sql::<Bool>(is_done)))
            .set(recounts::finished_at.eq(Some(Ts::from(now))))
            .execute(conn)?;
    }
    Ok(finished)
}

/// What the list of moved tickets says of each.
pub fn list_names(conn: &mut Db, ids: &[i64]) -> Result<Vec<(i64, Uid, String)>> {
    Ok(each_db!(conn, c => tickets::table
        .filter(tickets::id.eq_any(ids))
        .order(tickets::id)
        .select((tickets::id, tickets::uid, tickets::number))
        .load(c))?)
}
