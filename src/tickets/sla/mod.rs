//! What a ticket's clocks say, cycle by cycle: figures, instants, and on whose account the time went.
//!
//! Reads only. Every figure is asked of `sla` as of one instant, so that the figures, the segments and the explanation
//! of one answer agree to the second, whether or not a worker has been by.
//!
//! An organisation reads its clocks without who in the centre held its question and when it was handed on.
mod attribution;
mod db;
pub mod explanation;
pub mod simulation;
pub mod text;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use self::attribution::{HeldSeconds, OperationalUse};
use super::clocks::{Holder, histories_of, no_working_time, rebuild, split_at_calendar};
use super::db::{ClockRow, ClockState, SegmentRow, TicketRow, list_clocks};
use super::operations::get_for_reading;
use crate::agreements::Agreement;
use crate::calendars::Name;
use crate::error::Result;
use crate::identity::Principal;
use crate::identity::access::Action;
use crate::queues;
use crate::rules::{CalendarVersion, PolicyVersion};
use crate::sla::{self, Amount, Figures, Priority, TargetKind};
use crate::store::{Db, Uid};
use crate::tx::Desk;

/// A version of a calendar or a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    pub code: String,
    pub version: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgreementReference {
    pub id: Uid,
    pub name: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agent {
    pub id: Uid,
    pub name: String,
}

/// Who held the ticket; an organisation is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    pub queue: String,
    pub agent: Option<Agent>,
}

#[derive(Debug, Serialize)]
pub struct TicketSla {
    pub number: String,
    pub priority: Priority,
    pub as_of: DateTime<Utc>,
    pub clocks: Vec<ClockSla>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operational_targets: Option<Vec<OperationalUse>>,
}

/// One clock of one cycle.
#[derive(Debug, Serialize)]
pub struct ClockSla {
    pub target: TargetKind,
    pub cycle: i32,
    pub state: ClockState,
    pub amount: Amount,
    pub policy: Version,
    pub agreement: Option<AgreementReference>,
    pub calendar: Version,
    pub started_at: DateTime<Utc>,
    pub consumed_business_seconds: i64,
    pub paused_business_seconds: i64,
    pub remaining_business_seconds: i64,
    pub target_business_seconds: i64,
    pub due_at: Option<DateTime<Utc>>,
    /// The next warning that nobody has noticed.
    pub warn_at: Option<DateTime<Utc>>,
    pub warned_at: Option<DateTime<Utc>>,
    pub warned_percent: i16,
    pub thresholds: Vec<Threshold>,
    pub breached_at: Option<DateTime<Utc>>,
    pub met_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub segments: Vec<SegmentSla>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Vec<HeldSeconds>>,
}

/// When so much of the target is used up; `at` is unknown while the clock is paused before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Threshold {
    pub percent: u8,
    pub at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
pub struct SegmentSla {
    pub from: DateTime<Utc>,
    /// None while it lasts.
    pub to: Option<DateTime<Utc>>,
    pub running: bool,
    pub reason: String,
    #[serde(flatten)]
    pub held: Option<Held>,
    /// Whose hours count it.
    pub calendar: Version,
    pub business_seconds: i64,
    /// Taken over from the cycle before, whose time it is.
    pub carried: bool,
}

/// A stretch of a clock's history, with the calendar that counts it.
#[derive(Debug, Clone)]
struct Stretch {
    from: DateTime<Utc>,
    to: Option<DateTime<Utc>>,
    running: bool,
    reason: String,
    holder: Holder,
    carried: bool,
    calendar: Arc<CalendarVersion>,
}

/// A clock with all that its figures rest on.
struct Loaded {
    row: ClockRow,
    target: TargetKind,
    clock: sla::Clock,
    calendar: Arc<CalendarVersion>,
    policy: Arc<PolicyVersion>,
    stretches: Vec<Stretch>,
    figures: Figures,
}

/// A ticket's clocks as of one instant, for one reader.
struct LoadedTicket {
    ticket: TicketRow,
    now: DateTime<Utc>,
    for_staff: bool,
    clocks: Vec<Loaded>,
    queues: HashMap<i64, String>,
    agents: HashMap<i64, Agent>,
}

/// The clocks of a ticket that the principal may read.
pub fn ticket_sla(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    id: &str,
    now: DateTime<Utc>,
) -> Result<TicketSla> {
    let loaded = load(conn, desk, principal, id, now)?;
    let operational_targets = match loaded.for_staff {
        true => Some(loaded.operational_uses(conn)?),
        false => None,
    };
    let agreement_ids: BTreeSet<i64> = (loaded.clocks.iter())
        .filter_map(|clock| clock.row.agreement_id)
        .collect();
    let agreements = match agreement_ids.is_empty() {
        true => Vec::new(),
        false => db::list_agreements(conn, &agreement_ids.into_iter().collect::<Vec<_>>())?,
    };
    let clocks = loaded
        .clocks
        .iter()
        .map(|clock| loaded.clock_sla(clock, &agreements));
    Ok(TicketSla {
        number: loaded.ticket.number.clone(),
        priority: Priority::of_rank(loaded.ticket.priority),
        as_of: loaded.now,
        clocks: clocks.collect::<Result<_>>()?,
        operational_targets,
    })
}

fn load(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    id: &str,
    now: DateTime<Utc>,
) -> Result<LoadedTicket> {
    let ticket = get_for_reading(conn, desk, principal, id, Action::ReadTicket)?;
    // As operations do: on a ticket time never runs backwards, also where the clocks of two replicas differ.
    let now = now.max(ticket.updated_at.0);
    let for_staff = !matches!(principal, Principal::Client { .. });
    let rows = list_clocks(conn, &[ticket.id])?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut histories = histories_of(conn, &ids)?;
    let mut clocks = Vec::with_capacity(rows.len());
    for row in rows {
        let history = histories.remove(&row.id).unwrap_or_default();
        let mut loaded = load_clock(conn, desk, &ticket, row, &history, now)?;
        if !for_staff {
            loaded.stretches = without_handovers(loaded.stretches);
            loaded.stretches.iter_mut().for_each(Stretch::tell_the_asker);
        }
        clocks.push(loaded);
    }
    let mut loaded = LoadedTicket {
        ticket,
        now,
        for_staff,
        clocks,
        queues: HashMap::new(),
        agents: HashMap::new(),
    };
    if for_staff {
        loaded.name_holders(conn)?;
    }
    Ok(loaded)
}

fn load_clock(
    conn: &mut Db,
    desk: &Desk,
    ticket: &TicketRow,
    row: ClockRow,
    history: &[SegmentRow],
    now: DateTime<Utc>,
) -> Result<Loaded> {
    let (clock, calendar) = rebuild(conn, &desk.rules, &row, history)?;
    let (earlier, own) = split_at_calendar(conn, &desk.rules, &calendar, history)?;
    let mut stretches = Vec::with_capacity(history.len() + 1);
    for segment in earlier {
        let counted_by = desk.rules.calendar(conn, segment.calendar_version_id)?;
        stretches.push(Stretch::closed(segment, counted_by));
    }
    stretches.extend(
        own.iter()
            .map(|segment| Stretch::closed(segment, Arc::clone(&calendar))),
    );
    if let Some(from) = row.segment_from {
        stretches.push(Stretch {
            from: from.0,
            to: None,
            running: row.segment_running,
            reason: row.segment_reason.clone(),
            holder: Holder::of(ticket),
            carried: false,
            calendar: Arc::clone(&calendar),
        });
    }
    Ok(Loaded {
        target: row.target_kind()?,
        figures: clock.figures(&calendar.timeline, now).map_err(no_working_time)?,
        policy: desk.rules.policy(conn, row.policy_version_id)?,
        row,
        clock,
        calendar,
        stretches,
    })
}

/// The history as the asker reads it: what only went from hand to hand in the centre is one stretch.
fn without_handovers(stretches: Vec<Stretch>) -> Vec<Stretch> {
    let mut joined: Vec<Stretch> = Vec::with_capacity(stretches.len());
    for next in stretches {
        match joined.last_mut() {
            Some(last)
                if last.to == Some(next.from)
                    && (last.running, last.carried, last.calendar.id)
                        == (next.running, next.carried, next.calendar.id) =>
            {
                last.to = next.to;
            }
            _ => joined.push(next),
        }
    }
    joined
}

/// Reasons that are the asker's own doing, or that a ticket's history tells the asker too.
const PUBLIC_REASONS: [&str; 7] = [
    "filed",
    "claimed",
    "assigned",
    "waiting",
    "resumed",
    "requester_replied",
    "reopened",
];

impl Stretch {
    /// What the centre did inside is said by its effect alone.
    fn tell_the_asker(&mut self) {
        if !PUBLIC_REASONS.contains(&self.reason.as_str()) {
            let effect = if self.running { "processing" } else { "paused" };
            self.reason = effect.to_owned();
        }
    }

    fn closed(segment: &SegmentRow, calendar: Arc<CalendarVersion>) -> Stretch {
        Stretch {
            from: segment.from_at.0,
            to: Some(segment.to_at.0),
            running: segment.running,
            reason: segment.reason.clone(),
            holder: Holder {
                queue_id: segment.queue_id,
                assignee_id: segment.assignee_id,
            },
            carried: segment.carried,
            calendar,
        }
    }

    fn end(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.to.unwrap_or(now)
    }

    fn business_seconds(&self, now: DateTime<Utc>) -> i64 {
        self.calendar.timeline.elapsed(self.from, self.end(now))
    }
}

impl Version {
    fn of_calendar(calendar: &CalendarVersion) -> Version {
        Version {
            code: calendar.code.clone(),
            version: calendar.version,
        }
    }

    fn of_policy(policy: &PolicyVersion) -> Version {
        Version {
            code: policy.code.clone(),
            version: policy.version,
        }
    }
}

impl AgreementReference {
    fn of(agreement: &Agreement) -> AgreementReference {
        AgreementReference {
            id: agreement.uid,
            name: Name {
                vi: agreement.name_vi.clone(),
                en: agreement.name_en.clone(),
            },
        }
    }
}

impl LoadedTicket {
    fn name_holders(&mut self, conn: &mut Db) -> Result<()> {
        let holders: Vec<Holder> = self.all_stretches().map(|stretch| stretch.holder).collect();
        let queue_ids: BTreeSet<i64> = holders.iter().map(|holder| holder.queue_id).collect();
        let agent_ids: BTreeSet<i64> = holders.iter().filter_map(|holder| holder.assignee_id).collect();
        let queues = queues::list_by_id(conn, &queue_ids.into_iter().collect::<Vec<_>>())?;
        self.queues = queues.into_iter().map(|queue| (queue.id, queue.code)).collect();
        let people = db::list_people(conn, &agent_ids.into_iter().collect::<Vec<_>>())?;
        let named = people
            .into_iter()
            .map(|(id, uid, name)| (id, Agent { id: uid, name }));
        self.agents = named.collect();
        Ok(())
    }

    fn all_stretches(&self) -> impl Iterator<Item = &Stretch> {
        self.clocks.iter().flat_map(|clock| &clock.stretches)
    }

    fn held(&self, holder: Holder) -> Option<Held> {
        Some(Held {
            queue: self.queues.get(&holder.queue_id)?.clone(),
            agent: holder.assignee_id.and_then(|id| self.agents.get(&id).cloned()),
        })
    }

    fn clock_sla(&self, loaded: &Loaded, agreements: &[Agreement]) -> Result<ClockSla> {
        let Loaded { row, figures, .. } = loaded;
        let state = row.state_at(self.now);
        let agreement = (agreements.iter()).find(|agreement| Some(agreement.id) == row.agreement_id);
        let is_resolution = loaded.target == TargetKind::Resolution;
        Ok(ClockSla {
            target: loaded.target,
            cycle: row.cycle,
            state,
            amount: row.amount()?,
            policy: Version::of_policy(&loaded.policy),
            agreement: agreement.map(AgreementReference::of),
            calendar: Version::of_calendar(&loaded.calendar),
            started_at: row.started_at.0,
            consumed_business_seconds: figures.consumed_business_seconds,
            paused_business_seconds: figures.paused_business_seconds,
            remaining_business_seconds: figures.remaining_business_seconds,
            target_business_seconds: figures.target_business_seconds,
            due_at: row.due_at.map(|at| at.0),
            warn_at: row.warn_at.map(|at| at.0),
            warned_at: row.warned_at.map(|at| at.0),
            warned_percent: row.warned_percent,
            thresholds: thresholds(&loaded.clock, &loaded.calendar, &loaded.policy)?,
            breached_at: loaded.breached_at(state),
            met_at: row.met_at.map(|at| at.0),
            stopped_at: row.stopped_at.map(|at| at.0),
            segments: loaded
                .stretches
                .iter()
                .map(|stretch| self.segment(stretch))
                .collect(),
            held_by: (self.for_staff && is_resolution).then(|| self.held_by(loaded)),
        })
    }

    fn segment(&self, stretch: &Stretch) -> SegmentSla {
        SegmentSla {
            from: stretch.from,
            to: stretch.to,
            running: stretch.running,
            reason: stretch.reason.clone(),
            held: self.held(stretch.holder),
            calendar: Version::of_calendar(&stretch.calendar),
            business_seconds: stretch.business_seconds(self.now),
            carried: stretch.carried,
        }
    }
}

impl Loaded {
    /// The due itself, also where nobody has noticed yet that it has passed.
    fn breached_at(&self, state: ClockState) -> Option<DateTime<Utc>> {
        let late = state == ClockState::Breached;
        let at = self.row.breached_at.or(self.row.due_at).filter(|_| late);
        at.map(|at| at.0)
    }
}

/// When each warning threshold of the policy is reached.
fn thresholds(
    clock: &sla::Clock,
    calendar: &CalendarVersion,
    policy: &PolicyVersion,
) -> Result<Vec<Threshold>> {
    let percents = policy.spec.warn_at_percent.iter();
    percents
        .map(|percent| {
            let at = clock
                .warn_at(&calendar.timeline, *percent)
                .map_err(no_working_time)?;
            Ok(Threshold {
                percent: *percent,
                at,
            })
        })
        .collect()
}
