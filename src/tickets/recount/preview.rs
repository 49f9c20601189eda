//! What a proposed version would do, told without doing it: the same arithmetic as the recount, page by page in constant
//! memory.
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::db;
use crate::agreements::{self, Agreement};
use crate::error::Result;
use crate::rules::{CalendarVersion, PolicyVersion};
use crate::sla::Difference;
use crate::store::{Db, Uid};
use crate::tickets::clocks::{InForce, Move, Terms, histories_of, keeps_up_with_terms, recount, retargeted};
use crate::tickets::db::{ClockRow, SegmentRow, TicketRow, list_clocks};
use crate::tickets::terms::valid_agreement;
use crate::tx::Desk;

/// A version that does not exist yet.
pub enum Proposal {
    Calendar {
        in_force: Arc<CalendarVersion>,
        proposed: Arc<CalendarVersion>,
    },
    /// For open tickets too.
    Policy { proposed: Arc<PolicyVersion> },
}

/// What would come of it.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Over all tickets; only with the first page.
    pub summary: Option<Summary>,
    /// A page of the tickets that would move, by their inside keys.
    pub tickets: Vec<MovedTicket>,
    /// After which ticket the list goes on, if it does.
    pub next_after: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Open clocks that the version is for.
    pub open_clocks: i64,
    pub moved_earlier: i64,
    pub moved_later: i64,
    /// By how many seconds at most: of the day by the due; of working time where the clock is paused.
    pub earlier_by_at_most: i64,
    pub later_by_at_most: i64,
    /// Clocks that would be late at once, and late ones that would not be late any more.
    pub to_breached: i64,
    pub from_breached: i64,
}

impl Summary {
    fn add(&mut self, moved: &Move) {
        let seconds = moved.seconds();
        self.moved_earlier += i64::from(seconds < 0);
        self.moved_later += i64::from(seconds > 0);
        self.earlier_by_at_most = self.earlier_by_at_most.max(-seconds);
        self.later_by_at_most = self.later_by_at_most.max(seconds);
        self.to_breached += i64::from(moved.breached_to && !moved.breached_from);
        self.from_breached += i64::from(moved.breached_from && !moved.breached_to);
    }
}

/// A ticket with the clocks of it that would move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTicket {
    pub uid: Uid,
    pub number: String,
    pub clocks: Vec<Move>,
}

/// Tickets looked at in one question to the database.
const PAGE: i64 = 500;

/// What the proposal would do as of `now`: all of it, with the first so many tickets that move, or further ones after
/// that ticket.
pub fn preview(
    conn: &mut Db,
    desk: &Desk,
    proposal: &Proposal,
    after_ticket: Option<i64>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Preview> {
    let limit = usize::try_from(limit).unwrap_or(0);
    let mut after = after_ticket.unwrap_or(0);
    let mut trial = Trial::new(conn, desk, proposal, now)?;
    let mut moved: Vec<(i64, Vec<Move>)> = Vec::new();
    loop {
        let ids = trial.next_tickets(conn, after)?;
        let Some(last) = ids.last() else { break };
        after = *last;
        for (ticket_id, moves) in trial.look_at(conn, &ids)? {
            if moved.len() <= limit {
                moved.push((ticket_id, moves));
            }
        }
        if after_ticket.is_some() && moved.len() > limit {
            break;
        }
    }
    let more = moved.len() > limit;
    moved.truncate(limit);
    Ok(Preview {
        summary: after_ticket.is_none().then_some(trial.summary),
        next_after: moved.last().filter(|_| more).map(|(last, _)| *last),
        tickets: named(conn, moved)?,
    })
}

fn named(conn: &mut Db, moved: Vec<(i64, Vec<Move>)>) -> Result<Vec<MovedTicket>> {
    let ids: Vec<i64> = moved.iter().map(|(id, _)| *id).collect();
    let mut moved: HashMap<i64, Vec<Move>> = moved.into_iter().collect();
    let names = db::list_names(conn, &ids)?.into_iter();
    Ok(names
        .filter_map(|(ticket_id, uid, number)| {
            Some(MovedTicket {
                uid,
                number,
                clocks: moved.remove(&ticket_id)?,
            })
        })
        .collect())
}

/// A proposal being tried on one page of tickets after the other.
struct Trial<'a> {
    desk: &'a Desk,
    proposal: &'a Proposal,
    now: DateTime<Utc>,
    /// Versions whose tickets are to be looked at.
    versions: Vec<i64>,
    in_force: InForce,
    /// Where the proposed calendar differs from the one in force.
    difference: Option<Difference>,
    /// The hours of the proposed policy.
    hours: Option<Arc<CalendarVersion>>,
    summary: Summary,
}

impl<'a> Trial<'a> {
    fn new(conn: &mut Db, desk: &'a Desk, proposal: &'a Proposal, now: DateTime<Utc>) -> Result<Trial<'a>> {
        let (versions, difference, hours) = match proposal {
            Proposal::Calendar { in_force, proposed } => (
                db::list_versions_in_use(conn, in_force.calendar_id)?,
                Difference::between(in_force.timeline.calendar(), proposed.timeline.calendar()),
                None,
            ),
            Proposal::Policy { proposed } => (
                db::list_policy_versions_in_use(conn, proposed.policy_id)?,
                None,
                Some(desk.rules.calendar_in_force(conn, proposed.calendar_id)?),
            ),
        };
        Ok(Trial {
            desk,
            proposal,
            now,
            versions,
            in_force: InForce::default(),
            difference,
            hours,
            summary: Summary::default(),
        })
    }

    /// The next ids over all versions, ascending.
    fn next_tickets(&self, conn: &mut Db, after: i64) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        for version in &self.versions {
            ids.extend(match self.proposal {
                Proposal::Calendar { .. } => db::list_tickets_by_calendar(conn, *version, after, PAGE)?,
                Proposal::Policy { .. } => db::list_tickets_by_policy(conn, *version, after, PAGE)?,
            });
        }
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(usize::try_from(PAGE).unwrap_or(0));
        Ok(ids)
    }

    /// Those of these tickets that would move, with their moves.
    fn look_at(&mut self, conn: &mut Db, ids: &[i64]) -> Result<Vec<(i64, Vec<Move>)>> {
        let tickets = db::list_tickets(conn, ids)?;
        let rows: Vec<ClockRow> = list_clocks(conn, ids)?
            .into_iter()
            .filter(ClockRow::is_open)
            .collect();
        let agreements = self.agreements(conn, &tickets)?;
        let clock_ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let histories = histories_of(conn, &clock_ids)?;
        let mut found: Vec<(i64, Vec<Move>)> = Vec::new();
        let tickets: HashMap<i64, TicketRow> =
            tickets.into_iter().map(|ticket| (ticket.id, ticket)).collect();
        for mut row in rows {
            let (Some(ticket), Some(history)) = (tickets.get(&row.ticket_id), histories.get(&row.id)) else {
                continue;
            };
            let Some(moved) = self.try_on(conn, ticket, &mut row, history, &agreements)? else {
                continue;
            };
            self.summary.add(&moved);
            match found.last_mut() {
                Some((id, moves)) if *id == ticket.id => moves.push(moved),
                _ => found.push((ticket.id, vec![moved])),
            }
        }
        Ok(found)
    }

    fn agreements(&self, conn: &mut Db, tickets: &[TicketRow]) -> Result<Vec<Agreement>> {
        let Proposal::Policy { .. } = self.proposal else {
            return Ok(Vec::new());
        };
        let mut ids: Vec<i64> = tickets.iter().map(|ticket| ticket.organisation_id).collect();
        ids.sort_unstable();
        ids.dedup();
        agreements::db::list_of(conn, &ids)
    }

    /// What the proposal would do to one open clock.
    fn try_on(
        &mut self,
        conn: &mut Db,
        ticket: &TicketRow,
        row: &mut ClockRow,
        history: &[SegmentRow],
        agreements: &[Agreement],
    ) -> Result<Option<Move>> {
        let rules = &self.desk.rules;
        let now = self.now.max(ticket.updated_at.0);
        let policy = rules.policy(conn, ticket.policy_version_id)?;
        let thresholds = &policy.spec.warn_at_percent;
        let concerned = match self.proposal {
            Proposal::Policy { .. } => true,
            Proposal::Calendar { proposed, .. } => {
                rules.calendar(conn, row.calendar_version_id)?.calendar_id == proposed.calendar_id
            }
        };
        if !concerned {
            return Ok(None);
        }
        self.summary.open_clocks += 1;
        // As the clock is by the rules in force, whether or not the worker has been by.
        if let Some(newer) = self.in_force.newer_calendar(conn, rules, row)? {
            recount(conn, rules, row, history, &newer, thresholds, now)?;
        }
        // And late by them, if it is: the change counts from now on.
        row.note_breach(now);
        match self.proposal {
            Proposal::Calendar { proposed, .. } => {
                let until = row.due_at.map(|due| due.0.max(now));
                if !self
                    .difference
                    .is_some_and(|span| span.touches(row.started_at.0, until))
                {
                    return Ok(None);
                }
                recount(conn, rules, row, history, proposed, thresholds, now)
            }
            Proposal::Policy { proposed } => {
                let Some(hours) = self.hours.as_ref().filter(|_| keeps_up_with_terms(row, now)) else {
                    return Ok(None);
                };
                let own = agreements
                    .iter()
                    .filter(|agreement| agreement.organisation_id == ticket.organisation_id);
                let terms = Terms {
                    policy: Arc::clone(proposed),
                    agreement: valid_agreement(own, self.desk.date_of(ticket.filed_at.0))?,
                };
                let (after, _) = retargeted(conn, rules, row, history, ticket, &terms, hours, now)?;
                Move::between(row, &after, now)
            }
        }
    }
}
