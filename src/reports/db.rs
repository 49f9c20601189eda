//! The queries of the reports. Two of them take in what the period holds; they are read row by row.
use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::connection::DefaultLoadingMode;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use serde::Deserialize;

use super::sla::{Case, Cycle, LaterTurns};
use super::{GroupBy, SlaQuestion};
use crate::error::{Error, Result};
use crate::sla::policy::TargetKind;
use crate::store::schema::{clocks, organisations, queues, ticket_events, tickets, topics};
use crate::store::{Db, Json, Ts};
use crate::tickets::db::ClockState;
use crate::tickets::history::EventKind;
use crate::tickets::lifecycle::State;
use crate::tickets::view::Reference;

/// A ticket of the cohort as its rows have it now.
pub struct Ticket {
    pub id: i64,
    pub organisation_id: i64,
    pub queue_id: i64,
    pub topic_id: Option<i64>,
    pub filed_at: DateTime<Utc>,
    pub case: Case,
}

/// What happened to a ticket after `as_of`.
#[derive(Debug, Clone, Default)]
pub struct Later {
    pub resolution: LaterTurns,
    /// Code of the queue that held it at `as_of`, where it has moved since.
    pub queue_before: Option<String>,
    /// Dues at `as_of` of clocks that other rules have moved since.
    dues_before: Vec<DueBefore>,
    turned: bool,
}

/// What the history of a moved due says of the time before.
#[derive(Debug, Clone, Deserialize)]
struct DueBefore {
    target: TargetKind,
    cycle: i32,
    due_from: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Moved {
    clocks: Vec<DueBefore>,
}

#[derive(Queryable)]
struct CohortRow {
    id: i64,
    organisation_id: i64,
    queue_id: i64,
    topic_id: Option<i64>,
    filed_at: Ts,
    first_response_at: Option<Ts>,
    resolved_at: Option<Ts>,
    state: State,
    closed_at: Option<Ts>,
    clock: Option<ClockColumns>,
}

/// Target, cycle, state, start, due, stop, business seconds used.
type ClockColumns = (String, i32, ClockState, Ts, Option<Ts>, Option<Ts>, i64);

/// Hand over each ticket filed in the period and by `as_of`, once, with its clocks; one ticket in memory at a time.
pub fn each_ticket(conn: &mut Db, question: &SlaQuestion, mut visit: impl FnMut(&Ticket)) -> Result<()> {
    let query = tickets::table
        .left_join(clocks::table)
        .filter(tickets::filed_at.ge(Ts(question.from)))
        .filter(tickets::filed_at.lt(Ts(question.to)))
        .filter(tickets::filed_at.le(Ts(question.as_of)))
        // The order of the index `tickets_filed`; it keeps a ticket's rows together.
        .order((tickets::filed_at.desc(), tickets::id.desc()))
        .select((
            tickets::id,
            tickets::organisation_id,
            tickets::queue_id,
            tickets::topic_id,
            tickets::filed_at,
            tickets::first_response_at,
            tickets::resolved_at,
            tickets::state,
            tickets::closed_at,
            (
                clocks::target,
                clocks::cycle,
                clocks::state,
                clocks::started_at,
                clocks::due_at,
                clocks::stopped_at,
                clocks::consumed_seconds,
            )
                .nullable(),
        ));
    // By itself libpq takes the whole answer into memory; SQLite steps anyway.
    match conn {
        Db::Pg(pg) => regroup(
            query.load_iter::<CohortRow, PgRowByRowLoadingMode>(pg)?,
            question.as_of,
            &mut visit,
        ),
        Db::Lite(lite) => regroup(
            query.load_iter::<CohortRow, DefaultLoadingMode>(lite)?,
            question.as_of,
            &mut visit,
        ),
    }
}

fn regroup(
    rows: impl Iterator<Item = QueryResult<CohortRow>>,
    as_of: DateTime<Utc>,
    visit: &mut impl FnMut(&Ticket),
) -> Result<()> {
    let mut open: Option<Ticket> = None;
    for row in rows {
        let row = row?;
        if let Some(complete) = open.take_if(|ticket| ticket.id != row.id) {
            visit(&in_order(complete));
        }
        let clock = row.clock.clone();
        let ticket = open.get_or_insert_with(|| Ticket::from(row));
        if let Some((target, number, state, started_at, due_at, stopped_at, consumed_seconds)) = clock {
            let cycles = match TargetKind::parse(&target) {
                // Its cycles begin with messages, not with turns of the ticket that could be undone.
                Some(TargetKind::NextResponse) if started_at.0 <= as_of => &mut ticket.case.next_response,
                // A first one that began later was promised later.
                Some(TargetKind::FirstResponse) if started_at.0 <= as_of => &mut ticket.case.first_response,
                Some(TargetKind::Resolution) if number > 1 || started_at.0 <= as_of => {
                    &mut ticket.case.resolution
                }
                _ => continue,
            };
            cycles.push(Cycle {
                number,
                state,
                due_at: due_at.map(|at| at.0),
                stopped_at: stopped_at.map(|at| at.0),
                consumed_seconds,
            });
        }
    }
    if let Some(complete) = open {
        visit(&in_order(complete));
    }
    Ok(())
}

impl From<CohortRow> for Ticket {
    fn from(row: CohortRow) -> Ticket {
        Ticket {
            id: row.id,
            organisation_id: row.organisation_id,
            queue_id: row.queue_id,
            topic_id: row.topic_id,
            filed_at: row.filed_at.0,
            case: Case {
                first_response_at: row.first_response_at.map(|at| at.0),
                resolved_at: row.resolved_at.map(|at| at.0),
                cancelled_at: row
                    .closed_at
                    .filter(|_| row.state == State::Cancelled)
                    .map(|at| at.0),
                ..Case::default()
            },
        }
    }
}

/// The database promises no order of clocks within a ticket: sorting by them too would sort the whole answer.
fn in_order(mut ticket: Ticket) -> Ticket {
    ticket.case.first_response.sort_by_key(|cycle| cycle.number);
    ticket.case.resolution.sort_by_key(|cycle| cycle.number);
    ticket.case.next_response.sort_by_key(|cycle| cycle.number);
    ticket
}

/// The turns of the cohort's tickets after `as_of`; none where the report is about now. An index on the events' time was
/// measured at 100,000 tickets and left out: it saves a tenth of the report, and every resolution would write it.
pub fn list_later_turns(conn: &mut Db, question: &SlaQuestion) -> Result<HashMap<i64, Later>> {
    let query = ticket_events::table
        .inner_join(tickets::table)
        .filter(ticket_events::kind.eq_any([
            EventKind::Resolved,
            EventKind::Reopened,
            EventKind::Transferred,
            EventKind::DueMoved,
        ]))
        .filter(ticket_events::at.gt(Ts(question.as_of)))
        .filter(tickets::filed_at.ge(Ts(question.from)))
        .filter(tickets::filed_at.lt(Ts(question.to)))
        .filter(tickets::filed_at.le(Ts(question.as_of)))
        .order((ticket_events::ticket_id, ticket_events::id))
        .select((ticket_events::ticket_id, ticket_events::kind, ticket_events::data));
    type Turn = (i64, EventKind, Json);
    match conn {
        Db::Pg(pg) => note(query.load_iter::<Turn, PgRowByRowLoadingMode>(pg)?),
        Db::Lite(lite) => note(query.load_iter::<Turn, DefaultLoadingMode>(lite)?),
    }
}

fn note(turns: impl Iterator<Item = QueryResult<(i64, EventKind, Json)>>) -> Result<HashMap<i64, Later>> {
    let mut later: HashMap<i64, Later> = HashMap::new();
    for turn in turns {
        let (ticket_id, kind, data) = turn?;
        later.entry(ticket_id).or_default().add(kind, data)?;
    }
    Ok(later)
}

impl Later {
    /// Oldest first.
    pub fn add(&mut self, kind: EventKind, data: Json) -> Result<()> {
        match kind {
            EventKind::Resolved => self.turned = true,
            EventKind::Reopened => {
                self.resolution.was_resolved |= !self.turned;
                self.resolution.reopenings += 1;
                self.turned = true;
            }
            EventKind::Transferred if self.queue_before.is_none() => {
                let from = data.0.get("from").and_then(|from| from.as_str());
                self.queue_before = from.map(str::to_owned);
            }
            EventKind::DueMoved => {
                let moved: Moved = serde_json::from_value(data.0)
                    .map_err(|cause| Error::internal("a moved due cannot be read", cause))?;
                for earlier in moved.clocks {
                    let known =
                        |known: &DueBefore| (known.target, known.cycle) == (earlier.target, earlier.cycle);
                    if !self.dues_before.iter().any(known) {
                        self.dues_before.push(earlier);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The case with the dues that its clocks had at `as_of`.
    pub fn undo_moves<'a>(&self, case: &'a Case) -> Cow<'a, Case> {
        let mut case = Cow::Borrowed(case);
        for before in &self.dues_before {
            let case = case.to_mut();
            let cycles = match before.target {
                TargetKind::FirstResponse => &mut case.first_response,
                TargetKind::NextResponse => &mut case.next_response,
                TargetKind::Resolution => &mut case.resolution,
            };
            if let Some(cycle) = cycles.iter_mut().find(|cycle| cycle.number == before.cycle) {
                cycle.due_at = before.due_from;
            }
        }
        case
    }
}

/// Codes and names of what the report is grouped by; months name themselves.
pub fn list_groups(conn: &mut Db, group_by: GroupBy) -> Result<HashMap<i64, Reference>> {
    let rows: Vec<(i64, String, String, String)> = match group_by {
        GroupBy::Organisation => organisations::table
            .select((
                organisations::id,
                organisations::code,
                organisations::name_vi,
                organisations::name_en,
            ))
            .load(conn)?,
        GroupBy::Queue => queues::table
            .select((queues::id, queues::code, queues::name_vi, queues::name_en))
            .load(conn)?,
        GroupBy::Topic => topics::table
            .select((topics::id, topics::code, topics::name_vi, topics::name_en))
            .load(conn)?,
        GroupBy::Month => Vec::new(),
    };
    Ok(rows
        .into_iter()
        .map(|(id, code, vi, en)| (id, Reference::new(&code, &vi, &en)))
        .collect())
}
