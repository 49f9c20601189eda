//! A simulated ticket: the rules of `tickets::clocks` on clocks in memory. The tests hold each of its steps to a real one.
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::super::thresholds;
use super::{Change, Event, Scenario, Side, SimulatedClock};
use crate::agreements::Agreement;
use crate::broken_rule::HouseRule;
use crate::error::{Error, FieldCode, Result};
use crate::identity::Principal;
use crate::policies::may_be_of;
use crate::rules::{CalendarVersion, PolicyVersion, pick};
use crate::sla::policy::ReopenRule;
use crate::sla::{self, Clock, ClockError, Figures, Priority, TargetKind};
use crate::store::Db;
use crate::tickets::clocks::{Promise, Terms, no_working_time, pauses};
use crate::tickets::db::ClockState;
use crate::tickets::lifecycle::{Channel, Operation, State};
use crate::tickets::terms::{Asked, valid_agreement};
use crate::tx::Desk;
use crate::{agreements, calendars, queues};

/// A ticket in memory, as far as its clocks care.
pub(super) struct Ticket {
    pub(super) terms: Terms,
    pub(super) calendar: Arc<CalendarVersion>,
    pub(super) state: State,
    pub(super) priority: Priority,
    answered: bool,
    /// The asker had the last word.
    asker_waits: bool,
    pub(super) closes_at: Option<DateTime<Utc>>,
    pub(super) clocks: Vec<TicketClock>,
}

pub(super) struct TicketClock {
    target: TargetKind,
    cycle: i32,
    started_at: DateTime<Utc>,
    promise: Promise,
    clock: Clock,
    /// Stopped although its target was not reached: no verdict, unless it was late.
    withdrawn: bool,
}

impl TicketClock {
    fn is_open(&self) -> bool {
        self.clock.stopped_at.is_none()
    }
}

fn impossible(cause: ClockError) -> Error {
    Error::internal("a simulated clock cannot be changed", cause)
}

impl Ticket {
    /// As filing does it: the organisation, route, priority and terms of the question, and its first clocks.
    pub(super) fn file(
        conn: &mut Db,
        desk: &Desk,
        principal: &Principal,
        scenario: &Scenario,
    ) -> Result<(Ticket, String, Option<Agreement>)> {
        let organisation = super::organisation(conn, principal, scenario.organisation.as_deref())?;
        let unknown = |pointer: &str| Error::invalid_pointer(pointer, FieldCode::UnknownCode);
        let topic = match &scenario.topic {
            Some(code) => Some(queues::find_topic(conn, code)?.ok_or_else(|| unknown("/topic"))?),
            None => None,
        };
        let queues = queues::db::list_queues(conn)?;
        let queues = queues.into_iter().map(|queue| (queue.id, queue)).collect();
        let queue = queues::route(&queues, topic.as_ref())?;
        let by_topic = topic
            .as_ref()
            .map(|topic| Priority::of_rank(topic.default_priority));
        let channel = scenario.channel.unwrap_or(match principal {
            Principal::Client { .. } => Channel::Api,
            _ => Channel::Web,
        });
        let asked = Asked {
            organisation: &organisation,
            topic: topic.as_ref(),
            queue,
            channel: channel.as_str(),
            tags: &scenario.tags,
        };
        let policies = desk.rules.policies_in_force(conn)?;
        let sees_all = !matches!(principal, Principal::Client { .. });
        let policy = match &scenario.policy {
            Some(code) => (policies.iter())
                .find(|policy| policy.code == *code)
                .filter(|policy| sees_all || may_be_of(&policy.spec.conditions, &organisation))
                .ok_or_else(|| unknown("/policy"))?,
            None => pick(&policies, &asked.question())?,
        };
        let calendar = match &scenario.calendar {
            Some(code) => {
                let found = calendars::find_calendar(conn, code)?.ok_or_else(|| unknown("/calendar"))?;
                desk.rules.calendar(conn, found.version_id)?
            }
            None => desk.rules.calendar_in_force(conn, policy.calendar_id)?,
        };
        let agreements = agreements::db::list_of(conn, &[organisation.id])?;
        let agreement = valid_agreement(agreements.iter(), desk.date_of(scenario.filed_at))?;
        let named = agreement.as_ref().map(|valid| valid.id);
        let named = agreements
            .into_iter()
            .find(|agreement| Some(agreement.id) == named);
        let mut ticket = Ticket {
            terms: Terms {
                policy: Arc::clone(policy),
                agreement,
            },
            calendar,
            state: State::Queued,
            priority: scenario.priority.or(by_topic).unwrap_or(Priority::Normal),
            answered: false,
            asker_waits: false,
            closes_at: None,
            clocks: Vec::new(),
        };
        ticket.start_what_is_missing(scenario.filed_at)?;
        Ok((ticket, queue.code.clone(), named))
    }

    fn policy(&self) -> &PolicyVersion {
        &self.terms.policy
    }

    pub(super) fn apply(
        &mut self,
        conn: &mut Db,
        desk: &Desk,
        position: usize,
        change: Change,
    ) -> Result<()> {
        let Change { at, event, .. } = change;
        self.close_by_itself(at);
        self.guard(position, event)?;
        if self.state == State::Queued && matches!(event, Event::Wait | Event::Resolve) {
            self.enter(State::Assigned, at)?;
        }
        match event {
            Event::Claim | Event::Resume => self.enter(State::Assigned, at),
            Event::Release => self.enter(State::Queued, at),
            Event::Wait => {
                self.respond(at)?;
                self.enter(State::Waiting, at)
            }
            Event::Answer => self.respond(at),
            Event::Reply => self.reply(at),
            Event::Resolve => self.resolve(conn, desk, at),
            Event::Reopen => self.reopen(change.by.unwrap_or(Side::Asker), at),
            Event::Cancel => self.cancel(at),
            Event::Priority => self.reprioritise(change.priority.unwrap_or(self.priority), at),
        }
    }

    /// The lifecycle decides, as for a real ticket.
    fn guard(&self, position: usize, event: Event) -> Result<()> {
        let operation = match event {
            Event::Claim => Operation::Claim,
            Event::Release => Operation::Release,
            Event::Wait => Operation::Wait,
            Event::Resume => Operation::Resume,
            Event::Resolve => Operation::Resolve,
            Event::Reopen => Operation::Reopen,
            Event::Cancel => Operation::Cancel,
            Event::Reply | Event::Answer | Event::Priority => {
                let possible = self.state.is_open() || self.state == State::Resolved;
                return possible.then_some(()).ok_or_else(|| self.refusal(position));
            }
        };
        let claimed_first = matches!(operation, Operation::Wait | Operation::Resolve);
        let state = match self.state {
            State::Queued if claimed_first => State::Assigned,
            state => state,
        };
        state.guard(operation).map_err(|_refused| self.refusal(position))
    }

    fn refusal(&self, position: usize) -> Error {
        let code = FieldCode::Domain {
            code: HouseRule::ImpossibleChange.into(),
            text: format!(
                "Not possible here: by then the question is {}.",
                self.state.as_str()
            ),
        };
        Error::invalid_pointer(&format!("/changes/{position}"), code)
    }

    pub(super) fn close_by_itself(&mut self, now: DateTime<Utc>) {
        if self.state == State::Resolved && self.closes_at.is_some_and(|at| at <= now) {
            self.state = State::Closed;
            self.closes_at = None;
        }
    }

    fn enter(&mut self, state: State, at: DateTime<Utc>) -> Result<()> {
        self.state = state;
        for open in self.clocks.iter_mut().filter(|clock| clock.is_open()) {
            match pauses(&self.terms.policy, state, open.target) {
                true => open.clock.pause(at),
                false => open.clock.resume(at),
            }
            .map_err(impossible)?;
        }
        Ok(())
    }

    fn stop(&mut self, target: TargetKind, at: DateTime<Utc>) -> Result<()> {
        let meant = self.clocks.iter_mut().filter(|clock| clock.target == target);
        for open in meant.filter(|clock| clock.is_open()) {
            open.clock.stop(at).map_err(impossible)?;
        }
        Ok(())
    }

    fn respond(&mut self, at: DateTime<Utc>) -> Result<()> {
        self.answered = true;
        self.asker_waits = false;
        self.stop(TargetKind::FirstResponse, at)?;
        self.stop(TargetKind::NextResponse, at)
    }

    fn reply(&mut self, at: DateTime<Utc>) -> Result<()> {
        match self.state {
            State::Waiting => self.enter(State::Assigned, at)?,
            State::Resolved => self.reopen(Side::Asker, at)?,
            _ => {}
        }
        self.asker_waits = true;
        self.start_next_response(at)
    }

    fn resolve(&mut self, conn: &mut Db, desk: &Desk, at: DateTime<Utc>) -> Result<()> {
        self.respond(at)?;
        self.stop(TargetKind::Resolution, at)?;
        self.state = State::Resolved;
        let policy = self.policy();
        let calendar = desk.rules.calendar_in_force(conn, policy.calendar_id)?;
        let closes_at = calendar
            .timeline
            .end_of_business_day_after(at, policy.spec.close_after_business_days)
            .map_err(no_working_time)?;
        self.closes_at = Some(closes_at);
        Ok(())
    }

    fn cancel(&mut self, at: DateTime<Utc>) -> Result<()> {
        for open in self.clocks.iter_mut().filter(|clock| clock.is_open()) {
            open.clock.stop(at).map_err(impossible)?;
            open.withdrawn = true;
        }
        self.state = State::Cancelled;
        Ok(())
    }

    fn reopen(&mut self, by: Side, at: DateTime<Utc>) -> Result<()> {
        let target = TargetKind::Resolution;
        let rule = self.policy().spec.reopen;
        let last = self.clocks.iter().rfind(|clock| clock.target == target);
        if let Some(last) = last.filter(|last| !last.is_open()) {
            let mut clock = last.clock.reopen(rule, at).map_err(impossible)?;
            let promise = self.terms.promise(target, self.priority).unwrap_or(last.promise);
            clock.amount = promise.amount;
            let further = TicketClock {
                target,
                cycle: last.cycle + 1,
                started_at: match rule {
                    ReopenRule::Continue => last.started_at,
                    ReopenRule::Restart | ReopenRule::NewCycle => at,
                },
                promise,
                clock,
                withdrawn: false,
            };
            self.clocks.push(further);
        }
        self.closes_at = None;
        self.enter(State::Assigned, at)?;
        self.asker_waits = by == Side::Asker;
        match by {
            Side::Asker => self.start_next_response(at),
            Side::Centre => Ok(()),
        }
    }

    /// A clock that is late keeps its target, and one for which no other is promised.
    fn reprioritise(&mut self, priority: Priority, at: DateTime<Utc>) -> Result<()> {
        self.priority = priority;
        for open in self.clocks.iter_mut().filter(|clock| clock.is_open()) {
            let figures = open.clock.figures(&self.calendar.timeline, at);
            if figures.map_err(no_working_time)?.breached_at.is_some() {
                continue;
            }
            if let Some(promise) = self.terms.promise(open.target, priority) {
                open.promise = promise;
                open.clock.retarget(promise.amount).map_err(impossible)?;
            }
        }
        self.start_what_is_missing(at)
    }

    fn start_what_is_missing(&mut self, at: DateTime<Utc>) -> Result<()> {
        for target in [TargetKind::FirstResponse, TargetKind::Resolution] {
            let answered = target == TargetKind::FirstResponse && self.answered;
            let known = self.clocks.iter().any(|clock| clock.target == target);
            if !answered && !known && self.state.is_open() {
                self.start(target, 1, at)?;
            }
        }
        if self.asker_waits && self.state.is_open() {
            self.start_next_response(at)?;
        }
        Ok(())
    }

    fn start_next_response(&mut self, at: DateTime<Utc>) -> Result<()> {
        let target = TargetKind::NextResponse;
        let answers = [target, TargetKind::FirstResponse];
        let awaits = |clock: &TicketClock| clock.is_open() && answers.contains(&clock.target);
        if self.clocks.iter().any(awaits) {
            return Ok(());
        }
        let cycles = self.clocks.iter().filter(|clock| clock.target == target);
        let cycle = cycles.map(|clock| clock.cycle).max().unwrap_or(0) + 1;
        self.start(target, cycle, at)
    }

    fn start(&mut self, target: TargetKind, cycle: i32, at: DateTime<Utc>) -> Result<()> {
        let Some(promise) = self.terms.promise(target, self.priority) else {
            return Ok(());
        };
        let mut clock = Clock::start(promise.amount, at);
        if pauses(self.policy(), self.state, target) {
            clock.pause(at).map_err(impossible)?;
        }
        self.clocks.push(TicketClock {
            target,
            cycle,
            started_at: at,
            promise,
            clock,
            withdrawn: false,
        });
        Ok(())
    }

    pub(super) fn shown(&self, shown: &TicketClock, as_of: DateTime<Utc>) -> Result<SimulatedClock> {
        let figures = shown.clock.figures(&self.calendar.timeline, as_of);
        let Figures {
            state,
            due_at,
            consumed_business_seconds,
            paused_business_seconds,
            remaining_business_seconds,
            target_business_seconds,
            breached_at,
            met_at,
        } = figures.map_err(no_working_time)?;
        let state = match state {
            sla::ClockState::Running => ClockState::Running,
            sla::ClockState::Paused => ClockState::Paused,
            sla::ClockState::Met if shown.withdrawn => ClockState::Stopped,
            sla::ClockState::Met => ClockState::Met,
            sla::ClockState::Breached => ClockState::Breached,
        };
        Ok(SimulatedClock {
            target: shown.target,
            cycle: shown.cycle,
            state,
            amount: shown.promise.amount,
            agreed: shown.promise.agreement_id.is_some(),
            started_at: shown.started_at,
            due_at,
            warnings: thresholds(&shown.clock, &self.calendar, self.policy())?,
            breached_at,
            met_at: met_at.filter(|_| !shown.withdrawn),
            stopped_at: shown.clock.stopped_at,
            consumed_business_seconds,
            paused_business_seconds,
            remaining_business_seconds,
            target_business_seconds,
        })
    }
}
