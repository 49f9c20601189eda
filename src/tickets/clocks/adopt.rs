//! Bringing open clocks to the versions in force: of their calendar, and of their ticket's policy if that version is for
//! open tickets too. One ticket (every operation begins so) and many (the worker) go through the same code.
//!
//! What a new calendar cannot touch only gets its name. A breach is taken back by a corrected calendar alone. What was
//! done is added to the versions' rows of `recounts` last, in one order, so that no two transactions wait for each other.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::change::{Cause, moves_event, recount};
use super::{Clocks, Terms, urgency};
use crate::error::Result;
use crate::rules::{CalendarVersion, Rules};
use crate::sla::Difference;
use crate::store::{Db, Ts};
use crate::tickets::db::{self, ClockRow, EventRow, SegmentRow, TicketRow};
use crate::tickets::recount::{self, Tally, Version};
use crate::tx::Tx;

/// Closed segments of the clocks that are to be counted, by clock.
pub type Histories = HashMap<i64, Vec<SegmentRow>>;

pub fn histories_of(conn: &mut Db, clock_ids: &[i64]) -> Result<Histories> {
    // Also those that have none yet.
    let mut histories: Histories = clock_ids.iter().map(|id| (*id, Vec::new())).collect();
    if clock_ids.is_empty() {
        return Ok(histories);
    }
    for segment in db::list_segments_of(conn, clock_ids)? {
        histories.entry(segment.clock_id).or_default().push(segment);
    }
    Ok(histories)
}

/// The versions in force, each asked for once.
#[derive(Default)]
pub struct InForce {
    calendars: HashMap<i64, Arc<CalendarVersion>>,
    differences: HashMap<(i64, i64), Option<Difference>>,
}

impl InForce {
    /// The version of its calendar that an open clock is to be counted by, where it names another.
    pub fn newer_calendar(
        &mut self,
        conn: &mut Db,
        rules: &Rules,
        row: &ClockRow,
    ) -> Result<Option<Arc<CalendarVersion>>> {
        if !row.is_open() {
            return Ok(None);
        }
        let present = rules.calendar(conn, row.calendar_version_id)?;
        let newest = match self.calendars.get(&present.calendar_id) {
            Some(known) => Arc::clone(known),
            None => {
                let newest = rules.calendar_in_force(conn, present.calendar_id)?;
                self.calendars.insert(present.calendar_id, Arc::clone(&newest));
                newest
            }
        };
        Ok((newest.id != present.id).then_some(newest))
    }

    /// Whether another version of its calendar can mean anything to an open clock.
    pub fn touches(
        &mut self,
        conn: &mut Db,
        rules: &Rules,
        row: &ClockRow,
        newer: &CalendarVersion,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let older = rules.calendar(conn, row.calendar_version_id)?;
        let between = || Difference::between(older.timeline.calendar(), newer.timeline.calendar());
        let difference = *self
            .differences
            .entry((older.id, newer.id))
            .or_insert_with(between);
        // Nothing later than its due and the present has been counted. A paused clock may be due any time.
        let until = row.due_at.map(|due| due.0.max(now));
        Ok(difference.is_some_and(|difference| difference.touches(row.started_at.0, until)))
    }
}

/// The next version that a ticket goes over to. Versions are taken one after the other, each as of when it was made, so
/// that nobody can tell when somebody came by to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    pub made_at: Ts,
    pub version: Version,
}

/// By version, the one after it.
#[derive(Default)]
struct Steps {
    calendars: HashMap<i64, Option<Step>>,
    policies: HashMap<i64, Option<Step>>,
}

impl Steps {
    fn of_clock(&mut self, conn: &mut Db, rules: &Rules, row: &ClockRow) -> Result<Option<Step>> {
        let present = row.calendar_version_id;
        if let Some(known) = self.calendars.get(&present) {
            return Ok(*known);
        }
        let version = rules.calendar(conn, present)?;
        let next = crate::calendars::db::find_next_version(conn, version.calendar_id, version.version)?;
        let step = next.map(|(id, made_at)| Step {
            made_at,
            version: Version::Calendar(id),
        });
        self.calendars.insert(present, step);
        Ok(step)
    }

    fn of_ticket(&mut self, conn: &mut Db, ticket: &TicketRow) -> Result<Option<Step>> {
        let present = ticket.policy_version_id;
        if let Some(known) = self.policies.get(&present) {
            return Ok(*known);
        }
        let next = crate::policies::db::find_next_for_open_tickets(conn, present)?;
        let step = next.map(|(id, made_at)| Step {
            made_at,
            version: Version::Policy(id),
        });
        self.policies.insert(present, step);
        Ok(step)
    }
}

/// What bringing tickets to the rules in force changes, written down once for all of them.
#[derive(Default)]
pub struct Adoption {
    in_force: InForce,
    steps: Steps,
    /// Clocks that only get the name of a calendar version.
    renamed: BTreeMap<i64, Vec<i64>>,
    /// Clocks that were counted anew, as they are then.
    counted: Vec<ClockRow>,
    events: Vec<EventRow>,
    tallies: BTreeMap<Version, Tally>,
}

impl Adoption {
    /// The next version for the ticket, if there is one.
    pub fn next_step(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        rows: &[ClockRow],
    ) -> Result<Option<Step>> {
        let mut next = match ticket.state.is_open() {
            true => self.steps.of_ticket(tx.conn, ticket)?,
            false => None,
        };
        for row in rows.iter().filter(|row| row.is_open()) {
            let step = self.steps.of_clock(tx.conn, &tx.desk.rules, row)?;
            next = next.into_iter().chain(step).min();
        }
        Ok(next)
    }

    /// Ids of the clocks whose history is needed for their next step.
    pub fn clocks_to_count(
        &mut self,
        tx: &mut Tx<'_>,
        rows: &[ClockRow],
        now: DateTime<Utc>,
    ) -> Result<Vec<i64>> {
        let rules = &tx.desk.rules;
        let mut ids = Vec::new();
        for row in rows.iter().filter(|row| row.is_open()) {
            let Some(Step {
                version: Version::Calendar(id),
                ..
            }) = self.steps.of_clock(tx.conn, rules, row)?
            else {
                continue;
            };
            let next = rules.calendar(tx.conn, id)?;
            if self.in_force.touches(tx.conn, rules, row, &next, now)? {
                ids.push(row.id);
            }
        }
        Ok(ids)
    }

    /// Take one step with one locked ticket, as of `tx.now`, and write it down. Returns how much anybody can see of it;
    /// the ticket's row is then to be saved.
    pub fn take(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        clocks: &mut Clocks,
        step: Step,
    ) -> Result<usize> {
        let to_count = self.clocks_to_count(tx, &clocks.rows, tx.now)?;
        let histories = histories_of(tx.conn, &to_count)?;
        let changes = self.take_in_memory(tx, ticket, clocks, step, &histories)?;
        self.write_history(tx)?;
        Ok(changes)
    }

    /// The same, to be written down together with what is done to other tickets.
    pub fn take_in_memory(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        clocks: &mut Clocks,
        step: Step,
        histories: &Histories,
    ) -> Result<usize> {
        let changes = match step.version {
            Version::Calendar(id) => {
                let calendar = tx.desk.rules.calendar(tx.conn, id)?;
                self.bring_to_calendar(tx, ticket, clocks, &calendar, histories)?
            }
            Version::Policy(id) => 1 + self.bring_to_policy(tx, ticket, clocks, id)?,
        };
        if changes > 0 {
            mark(ticket, &clocks.rows, tx.now);
        }
        Ok(changes)
    }

    fn bring_to_calendar(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &TicketRow,
        clocks: &mut Clocks,
        calendar: &Arc<CalendarVersion>,
        histories: &Histories,
    ) -> Result<usize> {
        let rules = &tx.desk.rules;
        let thresholds = &clocks.policy.spec.warn_at_percent;
        let version = Version::Calendar(calendar.id);
        let (mut changes, mut moves) = (0, Vec::new());
        for row in clocks.rows.iter_mut().filter(|row| row.is_open()) {
            let step = self.steps.of_clock(tx.conn, rules, row)?;
            if step.is_none_or(|step| step.version != version) {
                continue;
            }
            let tally = self.tallies.entry(version).or_default();
            tally.clocks += 1;
            let Some(history) = histories.get(&row.id) else {
                row.calendar_version_id = calendar.id;
                self.renamed.entry(calendar.id).or_default().push(row.id);
                continue;
            };
            let before = row.clone();
            let moved = recount(tx.conn, rules, row, history, calendar, thresholds, tx.now)?;
            self.counted.push(row.clone());
            changes += usize::from(shows(&before, row));
            moved.iter().for_each(|moved| tally.add(moved));
            moves.extend(moved);
        }
        let cause = Cause::Calendar {
            calendar: calendar.code.clone(),
            version: calendar.version,
        };
        self.events.extend(moves_event(tx, ticket, &cause, &moves));
        Ok(changes)
    }

    fn bring_to_policy(
        &mut self,
        tx: &mut Tx<'_>,
        ticket: &mut TicketRow,
        clocks: &mut Clocks,
        version_id: i64,
    ) -> Result<usize> {
        let terms = Terms {
            policy: tx.desk.rules.policy(tx.conn, version_id)?,
            ..crate::tickets::terms::present(tx, ticket)?
        };
        let cause = Cause::Policy {
            policy: terms.policy.code.clone(),
            version: terms.policy.version,
        };
        let moves = clocks.go_over_to(tx, ticket, &terms)?;
        let tally = self.tallies.entry(Version::Policy(version_id)).or_default();
        let now_under = clocks
            .rows
            .iter()
            .filter(|row| row.is_open() && row.policy_version_id == version_id);
        tally.clocks += i64::try_from(now_under.count()).unwrap_or(i64::MAX);
        moves.iter().for_each(|moved| tally.add(moved));
        self.events.extend(moves_event(tx, ticket, &cause, &moves));
        Ok(moves.len())
    }

    /// Write down what moved and by which versions it is counted, before anything that follows from it.
    pub fn write_history(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        recount::db::update_counted(tx.conn, &std::mem::take(&mut self.counted))?;
        db::insert_events(tx.conn, &std::mem::take(&mut self.events))?;
        for (version_id, clock_ids) in std::mem::take(&mut self.renamed) {
            recount::db::name_calendar_version(tx.conn, &clock_ids, version_id)?;
        }
        Ok(())
    }

    /// Add what was done to the versions' accounts.
    pub fn write_sums(self, tx: &mut Tx<'_>) -> Result<()> {
        for (version, tally) in &self.tallies {
            recount::db::add_to_recount(tx.conn, *version, tally, tx.now)?;
        }
        Ok(())
    }
}

/// Whether somebody who reads the ticket sees a difference. What is left and consumed goes on all the time.
fn shows(before: &ClockRow, after: &ClockRow) -> bool {
    let seen = |row: &ClockRow| {
        (
            row.due_at,
            row.warn_at,
            row.warned_percent,
            row.state,
            row.breached_at,
        )
    };
    let paused = before.due_at.is_none() && after.due_at.is_none();
    seen(before) != seen(after) || (paused && before.remaining_seconds != after.remaining_seconds)
}

/// What the ticket's own row says of its clocks.
fn mark(ticket: &mut TicketRow, rows: &[ClockRow], now: DateTime<Utc>) {
    ticket.urgency_at = urgency(rows);
    ticket.breached = rows.iter().any(|clock| clock.breached_at.is_some());
    ticket.updated_at = Ts::from(now);
}
