//! The named operations that move a ticket. Each opens the ticket (lock, permission, lifecycle, clocks), changes it,
//! writes history and mails, and saves it once.
use chrono::{DateTime, Utc};
use serde_json::json;

use super::clocks::{Cause, Clocks, Holder, Terms, no_working_time, urgency};
use super::db::{self, TicketRow};
use super::history::{EventKind, record, record_at};
use super::lifecycle::{Operation, Outcome, State};
use super::messages::{respond, say};
use super::notices::{bring_up_to_date, resolution_due, settle};
use super::{status_updates, terms};
use crate::error::{Error, FieldCode, Resource, Result};
use crate::identity::access::{Action, Target, authorise, could};
use crate::identity::{self, Principal};
use crate::notifications::outbox::Letter;
use crate::notifications::templates::MailKind;
use crate::queues;
use crate::sla::policy::TargetKind;
use crate::store::{Db, Ts, Uid};
use crate::tx::{Desk, Tx};

/// A ticket locked for the rest of the transaction, its clocks brought up to now.
pub struct Opened {
    pub ticket: TicketRow,
    pub clocks: Clocks,
    /// How much was found to have come true since anybody last looked.
    pub came_true: usize,
}

/// Lock the ticket for an action that the principal may do to it.
pub fn open(tx: &mut Tx<'_>, id: &str, action: Action) -> Result<Opened> {
    let mut ticket = db::lock_ticket_named(tx.conn, id)?.ok_or(Error::NotFound(Resource::Ticket))?;
    tx.authorise(action, ticket.target())?;
    if ticket.anonymised_at.is_some() {
        // Nothing is left to talk about or to work on.
        return Err(Error::WrongTransition {
            operation: "change_ticket",
            state: ticket.state.as_str(),
            possible: Vec::new(),
        });
    }
    go_on_from(tx, &ticket)?;
    // A ticket whose time to close has come is closed, also where no worker has been by.
    if let Some(closes_at) = closing_overdue(&ticket, tx.now) {
        close_by_itself(tx, &mut ticket, closes_at)?;
    }
    let mut clocks = Clocks::load(tx, &ticket)?;
    let holder = Holder::of(&ticket);
    let came_true = bring_up_to_date(tx, &mut ticket, &mut clocks)?;
    if Holder::of(&ticket) != holder {
        // An escalation has given it to somebody else, who may not be the caller any more.
        tx.authorise(action, ticket.target())?;
    }
    Ok(Opened {
        ticket,
        clocks,
        came_true,
    })
}

/// A request takes its time before it waits for the lock: whoever was faster has written the ticket since. On a ticket
/// time never runs backwards, also where the clocks of two replicas differ.
pub(super) fn not_before(tx: &mut Tx<'_>, ticket: &TicketRow) {
    tx.now = tx.now.max(ticket.updated_at.0);
}

/// The same for what writes history now: a note stands there, and leaves the ticket as it is.
fn go_on_from(tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<()> {
    not_before(tx, ticket);
    let last = db::find_last_event_at(tx.conn, ticket.id)?;
    tx.now = last.map_or(tx.now, |last| last.0.max(tx.now));
    Ok(())
}

impl Opened {
    /// Into another state, with the clocks that pause or run there.
    fn enter(&mut self, tx: &mut Tx<'_>, state: State, reason: &str) -> Result<()> {
        self.ticket.state = state;
        self.clocks.follow_state(tx, &self.ticket, reason)
    }

    /// To another agent of the same queue, or to none.
    fn give_to(&mut self, tx: &mut Tx<'_>, agent: Option<i64>, reason: &str) -> Result<()> {
        let to = Holder::of(&self.ticket).with_agent(agent);
        self.clocks.hand_over(tx, &mut self.ticket, to, reason)
    }
}

fn open_for(tx: &mut Tx<'_>, id: &str, operation: Operation) -> Result<Opened> {
    let opened = open(tx, id, operation.action())?;
    opened.ticket.state.guard(operation)?;
    Ok(opened)
}

/// Something that policies look at has changed: where another one is for the ticket now, its clocks go on under that.
pub(super) fn follow_policies(tx: &mut Tx<'_>, opened: &mut Opened) -> Result<()> {
    let terms = terms::matched(tx, &opened.ticket)?;
    match terms.policy.id == opened.ticket.policy_version_id {
        true => Ok(()),
        false => retarget(tx, opened, &terms),
    }
}

/// The clocks go on towards the targets of these terms at the ticket's present priority.
pub(super) fn retarget(tx: &mut Tx<'_>, opened: &mut Opened, terms: &Terms) -> Result<()> {
    let cause = Cause::Ticket {
        policy: terms.policy.code.clone(),
        version: terms.policy.version,
    };
    opened.clocks.retarget(tx, &mut opened.ticket, terms, &cause)?;
    settle(tx, &mut opened.ticket, &mut opened.clocks, tx.now)?;
    Ok(())
}

/// Write the ticket back, once per operation.
pub fn save(tx: &mut Tx<'_>, opened: &mut Opened) -> Result<()> {
    status_updates::follow(tx, &mut opened.ticket, &opened.clocks)?;
    let ticket = &mut opened.ticket;
    ticket.urgency_at = urgency(&opened.clocks.rows);
    ticket.breached = opened.clocks.rows.iter().any(|clock| clock.breached_at.is_some());
    ticket.updated_at = Ts::from(tx.now);
    ticket.version += 1;
    db::update_ticket(tx.conn, ticket)
}

/// A ticket for a question about it, without a lock.
pub fn get_for_reading(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    id: &str,
    action: Action,
) -> Result<TicketRow> {
    let ticket = db::find_ticket(conn, id)?.ok_or(Error::NotFound(Resource::Ticket))?;
    authorise(principal, action, ticket.target(), desk.open_desk)?;
    Ok(ticket)
}

/// Refuse where the caller's `If-Match` names other versions than the ticket's.
pub fn require_version(tx: &mut Tx<'_>, id: &str, versions: Option<&[i64]>) -> Result<()> {
    let Some(versions) = versions else { return Ok(()) };
    // To see the ticket is enough here: what the caller may do to it, the operation decides.
    let seen = get_for_reading(tx.conn, tx.desk, tx.principal, id, Action::ReadSelf)?;
    let ticket = db::lock_ticket(tx.conn, seen.id)?.ok_or(Error::NotFound(Resource::Ticket))?;
    if versions.contains(&ticket.version) {
        Ok(())
    } else {
        Err(Error::PreconditionFailed)
    }
}

/// The caller takes a waiting question.
pub fn claim(tx: &mut Tx<'_>, id: &str) -> Result<i64> {
    let opened = open_for(tx, id, Operation::Claim)?;
    take(tx, opened)
}

/// The caller takes the most urgent question of a queue, if one waits. No two callers get the same.
pub fn claim_next(tx: &mut Tx<'_>, queue_id: &str) -> Result<Option<i64>> {
    let queue = queues::get_queue(tx.conn, queue_id)?;
    tx.authorise(Action::ClaimNext, Target::Queue { id: queue.id })?;
    while let Some(mut ticket) = db::lock_most_urgent(tx.conn, queue.id)? {
        go_on_from(tx, &ticket)?;
        let mut clocks = Clocks::load(tx, &ticket)?;
        let came_true = bring_up_to_date(tx, &mut ticket, &mut clocks)?;
        let mut opened = Opened {
            ticket,
            clocks,
            came_true,
        };
        if opened.ticket.queue_id == queue.id {
            return take(tx, opened).map(Some);
        }
        // An escalation that nobody had carried out yet has taken it to another queue.
        save(tx, &mut opened)?;
    }
    Ok(None)
}

fn take(tx: &mut Tx<'_>, mut opened: Opened) -> Result<i64> {
    let staff = tx.principal.staff().ok_or(Error::Forbidden)?;
    opened.give_to(tx, Some(staff.user_id), "claimed")?;
    opened.enter(tx, State::Assigned, "claimed")?;
    let data = json!({ "assignee": { "id": staff.uid, "name": staff.name } });
    record(tx, opened.ticket.id, EventKind::Claimed, data)?;
    save(tx, &mut opened)?;
    Ok(opened.ticket.id)
}

/// A supervisor gives the question to an agent, named by UUID or address. What waits for its asker goes on waiting.
pub fn assign(tx: &mut Tx<'_>, id: &str, assignee: &str) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Assign)?;
    let found = identity::find_person(tx.conn, assignee)?;
    let unknown = || Error::invalid_pointer("/assignee", FieldCode::UnknownCode);
    let user = found.filter(|user| user.active).ok_or_else(unknown)?;
    if !could(user.role, Action::Claim) {
        return Err(Error::invalid_pointer("/assignee", FieldCode::NotAllowed));
    }
    opened.give_to(tx, Some(user.id), "assigned")?;
    if opened.ticket.state != State::Waiting {
        opened.enter(tx, State::Assigned, "assigned")?;
    }
    let data = json!({ "assignee": { "id": user.uid, "name": user.name } });
    let event = record(tx, opened.ticket.id, EventKind::Assigned, data)?;
    save(tx, &mut opened)?;
    let due_at = resolution_due(&opened.clocks);
    Letter {
        kind: MailKind::Assigned,
        event,
        due_at,
        agent_name: None,
    }
    .to_handlers(tx, &opened.ticket)?;
    Ok(opened.ticket.id)
}

/// Back to the queue, for somebody else.
pub fn release(tx: &mut Tx<'_>, id: &str, reason: Option<&str>) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Release)?;
    opened.give_to(tx, None, "released")?;
    opened.enter(tx, State::Queued, "released")?;
    record(
        tx,
        opened.ticket.id,
        EventKind::Released,
        json!({ "reason": reason }),
    )?;
    save(tx, &mut opened)?;
    Ok(opened.ticket.id)
}

/// To another queue, where it waits to be taken. The clocks go on; from now on they run on the new queue's account, and
/// towards other targets where a policy is for that queue.
pub fn transfer(tx: &mut Tx<'_>, id: &str, queue: &str, reason: &str) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Transfer)?;
    let unknown = || Error::invalid_pointer("/queue", FieldCode::UnknownCode);
    let to = queues::find_queue(tx.conn, queue)?.ok_or_else(unknown)?;
    if to.id == opened.ticket.queue_id {
        return Err(Error::invalid_pointer("/queue", FieldCode::NotAllowed));
    }
    let from = queues::db::list_queues_by_id(tx.conn, &[opened.ticket.queue_id])?;
    let holder = Holder {
        queue_id: to.id,
        assignee_id: None,
    };
    opened
        .clocks
        .hand_over(tx, &mut opened.ticket, holder, "transferred")?;
    opened.enter(tx, State::Queued, "transferred")?;
    let from = from.first().map(|queue| queue.code.clone());
    record(
        tx,
        opened.ticket.id,
        EventKind::Transferred,
        json!({ "from": from, "to": to.code, "reason": reason }),
    )?;
    follow_policies(tx, &mut opened)?;
    save(tx, &mut opened)?;
    Ok(opened.ticket.id)
}

/// Ask the asker back; the clocks that the policy names pause until they reply.
pub fn wait(tx: &mut Tx<'_>, id: &str, message: &str) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Wait)?;
    let said = say(tx, &opened.ticket, false, message)?;
    respond(tx, &mut opened, "asked_back")?;
    opened.enter(tx, State::Waiting, "waiting")?;
    let event = record(
        tx,
        opened.ticket.id,
        EventKind::Waiting,
        json!({ "message_id": said.uid }),
    )?;
    save(tx, &mut opened)?;
    Letter {
        kind: MailKind::NeedInfo,
        event,
        due_at: None,
        agent_name: None,
    }
    .to_requester(tx, &opened.ticket)?;
    Ok(opened.ticket.id)
}

/// Go on without a reply of the asker.
pub fn resume(tx: &mut Tx<'_>, id: &str, reason: Option<&str>) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Resume)?;
    bring_back(tx, &mut opened, reason.unwrap_or("resumed"))?;
    save(tx, &mut opened)?;
    Ok(opened.ticket.id)
}

/// From waiting back to the agent, or to the queue where an escalation took it from them; the paused clocks run again.
pub(super) fn bring_back(tx: &mut Tx<'_>, opened: &mut Opened, reason: &str) -> Result<()> {
    let state = match opened.ticket.assignee_id {
        Some(_) => State::Assigned,
        None => State::Queued,
    };
    opened.enter(tx, state, "resumed")?;
    record(
        tx,
        opened.ticket.id,
        EventKind::Resumed,
        json!({ "reason": reason }),
    )?;
    Ok(())
}

/// What an answer says.
pub struct Resolution<'a> {
    pub outcome: Outcome,
    pub message: &'a str,
    pub referred_to: Option<&'a str>,
}

/// Answer, refer or raise the question: the verdict on its clocks falls now.
pub fn resolve(tx: &mut Tx<'_>, id: &str, resolution: &Resolution<'_>) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Resolve)?;
    match (resolution.outcome, resolution.referred_to) {
        (Outcome::Referred, None) => return Err(Error::invalid_pointer("/referred_to", FieldCode::Required)),
        (Outcome::Answered | Outcome::Raised, Some(_)) => {
            return Err(Error::invalid_pointer("/referred_to", FieldCode::NotAllowed));
        }
        _ => {}
    }
    let said = say(tx, &opened.ticket, false, resolution.message)?;
    respond(tx, &mut opened, "resolved")?;
    opened
        .clocks
        .stop(tx, &opened.ticket, TargetKind::Resolution, "resolved")?;
    let closes_at = closing_time(tx, &opened)?;
    let ticket = &mut opened.ticket;
    ticket.state = State::Resolved;
    ticket.outcome = Some(resolution.outcome);
    ticket.referred_to = resolution.referred_to.map(str::to_owned);
    ticket.resolved_at = Some(Ts::from(tx.now));
    ticket.closes_at = Some(Ts::from(closes_at));
    let data = json!({
        "outcome": resolution.outcome,
        "referred_to": resolution.referred_to,
        "message_id": said.uid,
        "closes_at": closes_at,
    });
    let event = record(tx, opened.ticket.id, EventKind::Resolved, data)?;
    save(tx, &mut opened)?;
    Letter {
        kind: MailKind::Answered,
        event,
        due_at: Some(closes_at),
        agent_name: None,
    }
    .to_requester(tx, &opened.ticket)?;
    Ok(opened.ticket.id)
}

/// When a ticket that is resolved now closes by itself: at the end of the policy's n-th business day after today.
fn closing_time(tx: &mut Tx<'_>, opened: &Opened) -> Result<DateTime<Utc>> {
    let policy = &opened.clocks.policy;
    let version = crate::calendars::db::get_current_version_id(tx.conn, policy.calendar_id)?;
    let timeline = tx.desk.rules.timeline(tx.conn, version)?;
    timeline
        .end_of_business_day_after(tx.now, policy.spec.close_after_business_days)
        .map_err(no_working_time)
}

/// The asker accepts the answer, or the centre closes the case.
pub fn close(tx: &mut Tx<'_>, id: &str, reason: Option<&str>) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Close)?;
    let event = record(
        tx,
        opened.ticket.id,
        EventKind::Closed,
        json!({ "by": "request", "reason": reason }),
    )?;
    mark_closed(tx, &mut opened.ticket, tx.now, event)?;
    save(tx, &mut opened)?;
    Ok(opened.ticket.id)
}

/// When a resolved ticket closed by itself, if that has come and nobody has noticed.
pub(super) fn closing_overdue(ticket: &TicketRow, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let closes_at = ticket.closes_at.map(|at| at.0)?;
    (ticket.state == State::Resolved && closes_at <= now).then_some(closes_at)
}

/// The asker did not object in time. True at `closes_at`, however late a worker comes by.
pub(super) fn close_by_itself(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    closes_at: DateTime<Utc>,
) -> Result<()> {
    let data = json!({ "by": "time", "reason": null });
    let event = record_at(tx, ticket.id, EventKind::Closed, closes_at, data)?;
    mark_closed(tx, ticket, closes_at, event)?;
    ticket.updated_at = Ts::from(tx.now);
    ticket.version += 1;
    db::update_ticket(tx.conn, ticket)
}

fn mark_closed(tx: &mut Tx<'_>, ticket: &mut TicketRow, at: DateTime<Utc>, event: Uid) -> Result<()> {
    ticket.state = State::Closed;
    ticket.closed_at = Some(Ts::from(at));
    ticket.closes_at = None;
    Letter {
        kind: MailKind::Closed,
        event,
        due_at: None,
        agent_name: None,
    }
    .to_requester(tx, ticket)
}

/// The answer did not settle the question.
pub fn reopen(tx: &mut Tx<'_>, id: &str, reason: &str) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Reopen)?;
    reopen_opened(tx, &mut opened, reason)?;
    save(tx, &mut opened)?;
    Ok(opened.ticket.id)
}

/// Back to its agent if still there, else to the queue; a further resolution clock by the policy's reopen rule.
pub(super) fn reopen_opened(tx: &mut Tx<'_>, opened: &mut Opened, reason: &str) -> Result<()> {
    let agent = match opened.ticket.assignee_id {
        Some(id) => identity::db::find_active_user(tx.conn, id)?,
        None => None,
    };
    opened.give_to(tx, agent.as_ref().map(|user| user.id), "reopened")?;
    let state = match agent {
        Some(_) => State::Assigned,
        None => State::Queued,
    };
    let terms = terms::present(tx, &opened.ticket)?;
    opened.clocks.reopen(tx, &opened.ticket, &terms, "reopened")?;
    opened.enter(tx, state, "reopened")?;
    if matches!(tx.principal, Principal::Client { .. }) {
        opened
            .clocks
            .start_next_response(tx, &opened.ticket, &terms, "reopened")?;
    }
    settle(tx, &mut opened.ticket, &mut opened.clocks, tx.now)?;
    let ticket = &mut opened.ticket;
    ticket.outcome = None;
    ticket.referred_to = None;
    ticket.resolved_at = None;
    ticket.closed_at = None;
    ticket.closes_at = None;
    let event = record(
        tx,
        opened.ticket.id,
        EventKind::Reopened,
        json!({ "reason": reason }),
    )?;
    let due_at = resolution_due(&opened.clocks);
    let letters = || Letter {
        kind: MailKind::Reopened,
        event,
        due_at,
        agent_name: agent.as_ref().map(|user| user.name.clone()),
    };
    letters().to_requester(tx, &opened.ticket)?;
    letters().to_handlers(tx, &opened.ticket)
}

/// Withdrawn by the asker, or out of scope. Clocks that were in time get no verdict.
pub fn cancel(tx: &mut Tx<'_>, id: &str, reason: &str) -> Result<i64> {
    let mut opened = open_for(tx, id, Operation::Cancel)?;
    opened.clocks.abandon(tx, &opened.ticket, "cancelled")?;
    opened.ticket.state = State::Cancelled;
    opened.ticket.closed_at = Some(Ts::from(tx.now));
    if matches!(tx.principal, Principal::Client { .. }) {
        let data = json!({ "by": "asker", "reason": reason });
        record(tx, opened.ticket.id, EventKind::Cancelled, data)?;
        save(tx, &mut opened)?;
        return Ok(opened.ticket.id);
    }
    // The asker is told, and reads the reason where they read answers.
    let said = say(tx, &opened.ticket, false, reason)?;
    let data = json!({ "by": "centre", "reason": reason, "message_id": said.uid });
    let event = record(tx, opened.ticket.id, EventKind::Cancelled, data)?;
    save(tx, &mut opened)?;
    Letter {
        kind: MailKind::Cancelled,
        event,
        due_at: None,
        agent_name: None,
    }
    .to_requester(tx, &opened.ticket)?;
    Ok(opened.ticket.id)
}
