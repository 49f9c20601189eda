//! Escalations: what a policy has done when a clock warns or breaks.
//!
//! Each moment of a clock escalates once, whatever policy the ticket has by then and however often its due moves: the
//! history says what was done. Steps are taken in the policy's order, by the product itself, in the transaction that
//! noticed. What cannot be done (an unknown queue) is recorded and stops nothing else.
use serde::Serialize;
use serde_json::{Value, json};

use super::clocks::{Cause, Clocks, Holder, Notice};
use super::db::{self, TicketRow};
use super::history::{EventKind, record};
use super::lifecycle::State;
use super::terms;
use crate::error::Result;
use crate::identity::{self, Role};
use crate::notifications::outbox::Addressee;
use crate::queues;
use crate::rules::PolicyVersion;
use crate::sla::policy::{Escalation, Moment, Notified, Priority};
use crate::store::{Db, Ts};
use crate::tx::Tx;

/// The reason of what an escalation changed.
const ESCALATED: &str = "escalated";

/// From one code to another.
#[derive(Debug, Serialize)]
struct Change {
    from: Option<String>,
    to: String,
}

/// Take the policy's steps for this notice as of `tx.now`. Returns whom they name; `None` where there is nothing to take.
pub(super) fn carry_out(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &mut Clocks,
    policy: &PolicyVersion,
    notice: &Notice,
) -> Result<Option<Vec<Addressee>>> {
    let steps = || {
        let numbered = (1_u32..).zip(&policy.spec.escalations);
        numbered.filter(|(_, step)| is_meant(step, policy, notice))
    };
    if steps().next().is_none() || is_done(tx.conn, ticket, notice)? {
        return Ok(None);
    }
    let mut named = Vec::new();
    for (number, step) in steps() {
        let raised = match step.raise_priority {
            true => raise_priority(tx, ticket)?,
            false => None,
        };
        let (transferred, unknown_queue) = match &step.transfer {
            Some(code) => match queues::find_queue(tx.conn, code)? {
                Some(queue) => (transfer(tx, ticket, clocks, &queue)?, None),
                None => (None, Some(code)),
            },
            None => (None, None),
        };
        let data = json!({
            "target": notice.target,
            "cycle": notice.cycle,
            "on": notice.moment,
            "percent": notice.percent,
            "policy": policy.code,
            "version": policy.version,
            "step": number,
            "notify": step.notify,
            "priority": raised,
            "queue": transferred,
            "unknown_queue": unknown_queue,
        });
        record(tx, ticket.id, EventKind::Escalated, data)?;
        if raised.is_some() || transferred.is_some() {
            follow_terms(tx, ticket, clocks, raised.is_some(), transferred.is_some())?;
        }
        named.extend(people(tx.conn, ticket, step)?);
    }
    ticket.updated_at = ticket.updated_at.max(Ts::from(tx.now));
    Ok(Some(named))
}

/// A step that names no threshold is for the first one.
fn is_meant(step: &Escalation, policy: &PolicyVersion, notice: &Notice) -> bool {
    let percent = step
        .percent
        .or_else(|| policy.spec.warn_at_percent.first().copied());
    step.target == notice.target
        && step.on == notice.moment
        && (step.on == Moment::Breach || percent.is_some_and(|percent| i16::from(percent) == notice.percent))
}

fn is_done(conn: &mut Db, ticket: &TicketRow, notice: &Notice) -> Result<bool> {
    let moment = [
        ("target", json!(notice.target)),
        ("cycle", json!(notice.cycle)),
        ("on", json!(notice.moment)),
        ("percent", json!(notice.percent)),
    ];
    let says = |data: &Value| moment.iter().all(|(name, value)| data.get(name) == Some(value));
    let done = db::list_event_data(conn, ticket.id, EventKind::Escalated)?;
    Ok(done.iter().any(|data| says(&data.0)))
}

/// By one step; an urgent ticket stays urgent.
fn raise_priority(tx: &mut Tx<'_>, ticket: &mut TicketRow) -> Result<Option<Change>> {
    let from = Priority::of_rank(ticket.priority);
    let to = Priority::of_rank(ticket.priority + 1);
    if from == to {
        return Ok(None);
    }
    ticket.priority = to.rank();
    let change = Change {
        from: Some(from.as_str().to_owned()),
        to: to.as_str().to_owned(),
    };
    let data = json!({ "changes": { "priority": change }, "reason": ESCALATED });
    record(tx, ticket.id, EventKind::Changed, data)?;
    Ok(Some(change))
}

/// To be taken by somebody of another queue; what waits for its asker goes on waiting.
fn transfer(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &mut Clocks,
    queue: &queues::Queue,
) -> Result<Option<Change>> {
    if queue.id == ticket.queue_id {
        return Ok(None);
    }
    let from = queues::list_by_id(tx.conn, &[ticket.queue_id])?;
    let holder = Holder {
        queue_id: queue.id,
        assignee_id: None,
    };
    clocks.hand_over(tx, ticket, holder, ESCALATED)?;
    if ticket.state == State::Assigned {
        ticket.state = State::Queued;
        clocks.follow_state(tx, ticket, ESCALATED)?;
    }
    let change = Change {
        from: from.first().map(|queue| queue.code.clone()),
        to: queue.code.clone(),
    };
    let data = json!({ "from": change.from, "to": change.to, "reason": ESCALATED });
    record(tx, ticket.id, EventKind::Transferred, data)?;
    Ok(Some(change))
}

/// The clocks go on towards what is promised for the ticket as it is now. Only another queue may mean another policy.
fn follow_terms(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &mut Clocks,
    raised: bool,
    transferred: bool,
) -> Result<()> {
    let terms = match transferred {
        true => terms::matched(tx, ticket)?,
        false => terms::present(tx, ticket)?,
    };
    if !raised && terms.policy.id == ticket.policy_version_id {
        return Ok(());
    }
    let cause = Cause::Ticket {
        policy: terms.policy.code.clone(),
        version: terms.policy.version,
    };
    clocks.retarget(tx, ticket, &terms, &cause)?;
    Ok(())
}

/// Those whom the step names, of the ticket as the step has left it.
fn people(conn: &mut Db, ticket: &TicketRow, step: &Escalation) -> Result<Vec<Addressee>> {
    let mut people = Vec::new();
    for role in &step.notify {
        let users = match (role, ticket.assignee_id) {
            (Notified::Assignee, None) => Vec::new(),
            (Notified::Assignee, Some(id)) => identity::db::find_active_user(conn, id)?.into_iter().collect(),
            (Notified::QueueMembers, _) => identity::db::list_members(conn, ticket.queue_id)?,
            (Notified::Supervisors, _) => identity::db::list_active_by_role(conn, Role::Supervisor)?,
            (Notified::Admins, _) => identity::db::list_active_by_role(conn, Role::Admin)?,
        };
        people.extend(users.iter().map(Addressee::from));
    }
    Ok(people)
}
