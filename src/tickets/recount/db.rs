//! Queries for what new versions of calendars and policies leave to be done.
//!
//! PostgreSQL writes the clocks of a batch back in one statement, and its tickets in another, because there every
//! statement is a way there and back; SQLite runs in the process and takes them one by one.
use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, SmallInt, Text, Timestamptz};

use super::{Tally, Version};
use crate::each_db;
use crate::error::Result;
use crate::store::schema::{calendar_versions, clocks, recounts, sla_policy_versions, tickets};
use crate::store::{Db, Ts, Uid};
use crate::tickets::db::{ClockRow, TicketRow, update_clock};

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

/// What counting by another calendar can change of open clocks.
pub fn update_counted(conn: &mut Db, rows: &[ClockRow]) -> Result<()> {
    let Db::Pg(pg) = conn else {
        return rows.iter().try_for_each(|row| update_clock(conn, row));
    };
    let instants = |of: fn(&ClockRow) -> Option<Ts>| -> Vec<Option<DateTime<Utc>>> {
        rows.iter().map(|row| of(row).map(|at| at.0)).collect()
    };
    let numbers = |of: fn(&ClockRow) -> i64| -> Vec<i64> { rows.iter().map(of).collect() };
    diesel::sql_query(
        "UPDATE clocks SET calendar_version_id = n.calendar_version_id, state = n.state, due_at = n.due_at, \
         remaining_seconds = n.remaining_seconds, consumed_seconds = n.consumed_seconds, warn_at = n.warn_at, \
         warned_at = n.warned_at, warned_percent = n.warned_percent, breached_at = n.breached_at, \
         next_notice_at = n.next_notice_at \
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS n (id, calendar_version_id, state, due_at, \
         remaining_seconds, consumed_seconds, warn_at, warned_at, warned_percent, breached_at, next_notice_at) \
         WHERE clocks.id = n.id",
    )
    .bind::<Array<BigInt>, _>(numbers(|row| row.id))
    .bind::<Array<BigInt>, _>(numbers(|row| row.calendar_version_id))
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.state.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(instants(|row| row.due_at))
    .bind::<Array<BigInt>, _>(numbers(|row| row.remaining_seconds))
    .bind::<Array<BigInt>, _>(numbers(|row| row.consumed_seconds))
    .bind::<Array<Nullable<Timestamptz>>, _>(instants(|row| row.warn_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(instants(|row| row.warned_at))
    .bind::<Array<SmallInt>, _>(rows.iter().map(|row| row.warned_percent).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(instants(|row| row.breached_at))
    .bind::<Array<Nullable<Timestamptz>>, _>(instants(|row| row.next_notice_at))
    .execute(pg)?;
    Ok(())
}

/// What the rules in force can change of tickets' own rows.
pub fn update_marks(conn: &mut Db, rows: &[TicketRow]) -> Result<()> {
    let pg = match conn {
        Db::Pg(pg) => pg,
        Db::Lite(lite) => {
            for row in rows {
                diesel::update(tickets::table.find(row.id))
                    .set((
                        tickets::policy_version_id.eq(row.policy_version_id),
                        tickets::urgency_at.eq(row.urgency_at),
                        tickets::breached.eq(row.breached),
                        tickets::status_update_at.eq(row.status_update_at),
                        tickets::updated_at.eq(row.updated_at),
                        tickets::version.eq(row.version),
                    ))
                    .execute(lite)?;
            }
            return Ok(());
        }
    };
    diesel::sql_query(
        "UPDATE tickets SET policy_version_id = n.policy_version_id, urgency_at = n.urgency_at, \
         breached = n.breached, status_update_at = n.status_update_at, updated_at = n.updated_at, \
         version = n.version \
         FROM unnest($1, $2, $3, $4, $5, $6, $7) AS n (id, policy_version_id, urgency_at, breached, \
         status_update_at, updated_at, version) WHERE tickets.id = n.id",
    )
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.id).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.policy_version_id).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.urgency_at.0).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(rows.iter().map(|row| row.breached).collect::<Vec<_>>())
    .bind::<Array<Nullable<Timestamptz>>, _>(
        rows.iter()
            .map(|row| row.status_update_at.map(|at| at.0))
            .collect::<Vec<_>>(),
    )
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.updated_at.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(rows.iter().map(|row| row.version).collect::<Vec<_>>())
    .execute(pg)?;
    Ok(())
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
