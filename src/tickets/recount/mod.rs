//! Bringing all open tickets to new versions of calendars and policies, and telling beforehand what that would do.
//!
//! Level-triggered: what is left to do is asked of the clocks and tickets themselves (which version do they name?), so
//! there is no list or cursor that a crash could lose, and who filed by the old version while the new one was being
//! committed is found too. Batches are short transactions between which others write; a locked ticket is left to whoever
//! holds it. Stopped clocks are never touched. What follows from a new verdict follows at once, as in every operation.
pub(crate) mod db;
mod preview;

use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use preview::{MovedTicket, Preview, Proposal, Summary, preview};

use super::clocks::{Adoption, Clocks, Histories, Move, histories_of};
use super::db::{ClockRow, TicketRow, list_clocks, update_ticket};
use super::notices::{catch_up, follow_clocks, is_quiet};
use super::operations::not_before;
use crate::error::{Error, Result};
use crate::identity::Principal;
use crate::store::{Db, Store, Ts};
use crate::tx::{Desk, Tx};

/// A new version that open clocks go over to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Calendar(i64),
    Policy(i64),
}

/// What a version did to clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub clocks: i64,
    pub moved_earlier: i64,
    pub moved_later: i64,
    pub verdicts_changed: i64,
}

impl Tally {
    pub fn add(&mut self, moved: &Move) {
        self.moved_earlier += i64::from(moved.seconds() < 0);
        self.moved_later += i64::from(moved.seconds() > 0);
        self.verdicts_changed += i64::from(moved.changes_verdict());
    }
}

/// Begin the account of a new version, in the transaction that makes it.
pub fn begin(tx: &mut Tx<'_>, version: Version) -> Result<()> {
    db::insert_recount(tx.conn, version, tx.now)
}

/// Tickets a transaction: short enough that a question filed meanwhile hardly waits.
const BATCH: i64 = 100;
/// Tickets a step, so that a shutdown need not wait for all.
const STEP: usize = 4_000;

/// Worker's step: bring some tickets to the rules in force. Returns how many were; 0 where nothing is left, or all that
/// is left is held by others or cannot be counted.
pub async fn recount_step(store: &Store, desk: &Arc<Desk>, now: DateTime<Utc>) -> Result<usize> {
    let mut done = 0;
    for version in store.read(list_outdated).await? {
        let mut after = 0;
        loop {
            let next = move |conn: &mut Db| list_tickets(conn, version, after, BATCH);
            let ids = store.read(next).await?;
            let Some(last) = ids.last() else { break };
            after = *last;
            done += recount_all(store, desk, now, ids).await?;
            if done >= STEP {
                return Ok(done);
            }
        }
    }
    if done == 0 && store.read(db::has_unfinished).await? {
        store.write(move |conn| db::finish_recounts(conn, now)).await?;
    }
    Ok(done)
}

fn list_outdated(conn: &mut Db) -> Result<Vec<Version>> {
    let calendars = db::list_outdated_calendar_versions(conn)?
        .into_iter()
        .map(Version::Calendar);
    let policies = db::list_outdated_policy_versions(conn)?
        .into_iter()
        .map(Version::Policy);
    Ok(calendars.chain(policies).collect())
}

/// The next tickets that have something of a version.
fn list_tickets(conn: &mut Db, version: Version, after: i64, limit: i64) -> Result<Vec<i64>> {
    match version {
        Version::Calendar(id) => db::list_tickets_by_calendar(conn, id, after, limit),
        Version::Policy(id) => db::list_tickets_by_policy(conn, id, after, limit),
    }
}

/// All in one transaction; where that fails for one of them, each in its own.
async fn recount_all(store: &Store, desk: &Arc<Desk>, now: DateTime<Utc>, ids: Vec<i64>) -> Result<usize> {
    let attempt = |ids: Vec<i64>| {
        let desk = Arc::clone(desk);
        store.write(move |conn| recount_tickets(conn, &desk, now, &ids))
    };
    let error = match attempt(ids.clone()).await {
        Ok(done) => return Ok(done),
        Err(error @ Error::Unavailable { .. }) => return Err(error),
        Err(error) => error,
    };
    tracing::warn!(error = %error.log_text(), "tickets are recounted one by one");
    let mut done = 0;
    for id in ids {
        match attempt(vec![id]).await {
            Ok(one) => done += one,
            Err(error @ Error::Unavailable { .. }) => return Err(error),
            Err(error) => {
                metrics::counter!("giaidap_worker_failures_total", "worker" => "recount").increment(1);
                tracing::error!(ticket = id, error = %error.log_text(), "a ticket could not be recounted");
            }
        }
    }
    Ok(done)
}

/// Bring these tickets to the rules in force, but for those that somebody else is changing now.
fn recount_tickets(conn: &mut Db, desk: &Desk, now: DateTime<Utc>, ids: &[i64]) -> Result<usize> {
    let tickets = db::lock_free_tickets(conn, ids)?;
    let mut tx = Tx {
        conn,
        principal: &Principal::System,
        now,
        desk,
    };
    let locked: Vec<i64> = tickets.iter().map(|ticket| ticket.id).collect();
    let mut rows = list_clocks(tx.conn, &locked)?;
    let mut adoption = Adoption::default();
    let to_count = adoption.clocks_to_count(&mut tx, &rows, now)?;
    let histories = histories_of(tx.conn, &to_count)?;
    let mut brought = Vec::with_capacity(tickets.len());
    for mut ticket in tickets {
        tx.now = now;
        not_before(&mut tx, &ticket);
        let own = rows.partition_point(|row| row.ticket_id <= ticket.id);
        let mut clocks = Clocks {
            rows: rows.drain(..own).collect::<Vec<ClockRow>>(),
            policy: desk.rules.policy(tx.conn, ticket.policy_version_id)?,
        };
        let changes = step_together(&mut tx, &mut ticket, &mut clocks, &mut adoption, &histories)?;
        brought.push((ticket, clocks, changes));
    }
    adoption.write_history(&mut tx)?;
    let mut only_marked = Vec::with_capacity(brought.len());
    for (mut ticket, mut clocks, changes) in brought {
        tx.now = now;
        not_before(&mut tx, &ticket);
        let later = catch_up(&mut tx, &mut ticket, &mut clocks, &mut adoption)?;
        if changes + later == 0 {
            continue;
        }
        let followed = follow_clocks(&mut tx, &mut ticket, &mut clocks)?;
        ticket.updated_at = Ts::from(tx.now);
        ticket.version += 1;
        match later + followed {
            0 => only_marked.push(ticket),
            // An escalation may have changed anything.
            _ => update_ticket(tx.conn, &ticket)?,
        }
    }
    db::update_marks(tx.conn, &only_marked)?;
    tx.now = now;
    // Last: the row of a version is the only one that two recounts may wait for each other at.
    adoption.write_sums(&mut tx)?;
    Ok(locked.len())
}

/// The step that most tickets take, to a new version of their calendar, done for all of a batch at once. Those for whom
/// something came true before it, or another step comes first, are left to `catch_up`.
fn step_together(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &mut Clocks,
    adoption: &mut Adoption,
    histories: &Histories,
) -> Result<usize> {
    let Some(step) = adoption.next_step(tx, ticket, &clocks.rows)? else {
        return Ok(0);
    };
    let made_at = step.made_at.0.max(ticket.updated_at.0).min(tx.now);
    if !matches!(step.version, Version::Calendar(_)) || !is_quiet(ticket, clocks, made_at) {
        return Ok(0);
    }
    tx.now = made_at;
    adoption.take_in_memory(tx, ticket, clocks, step, histories)
}
