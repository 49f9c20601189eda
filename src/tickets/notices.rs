//! Who is told of what: the mails of each event, and the worker's steps for warnings, breaches, status updates, closings.
//! A notice is written once, with its event, in the transaction that found it, whatever replicas run.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;

use super::clocks::{Adoption, Clocks, Notice, urgency};
use super::db::{self, TicketRow};
use super::history::{EventKind, record_at};
use super::lifecycle::State;
use super::{escalations, operations, status_updates};
use crate::directory;
use crate::error::{Error, Result};
use crate::identity::{self, Principal};
use crate::notifications::db::{DeliveryRow, insert_deliveries};
use crate::notifications::outbox::{Addressee, Letter, Subject, mail};
use crate::notifications::templates::MailKind;
use crate::sla::policy::TargetKind;
use crate::store::{Db, Store, Uid};
use crate::tx::{Desk, Tx};

/// Bring the ticket's clocks to the rules in force and up to now, with all that comes of it. Every operation begins with
/// it, so that none decides by rules that are no longer in force, wherever the workers have got to. Returns how much has
/// changed.
pub fn bring_up_to_date(tx: &mut Tx<'_>, ticket: &mut TicketRow, clocks: &mut Clocks) -> Result<usize> {
    let mut adoption = Adoption::default();
    let adopted = catch_up(tx, ticket, clocks, &mut adoption)?;
    let followed = follow_clocks(tx, ticket, clocks)?;
    adoption.write_sums(tx)?;
    Ok(adopted + followed)
}

/// Take the ticket through the versions that came since, one after the other: what came true before a version was made
/// counts by the rules of then, and the version counts from when it was made. So it makes no difference when somebody
/// came by.
pub(super) fn catch_up(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &mut Clocks,
    adoption: &mut Adoption,
) -> Result<usize> {
    let now = tx.now;
    let mut changed = 0;
    while let Some(step) = adoption.next_step(tx, ticket, &clocks.rows)? {
        tx.now = step.made_at.0.max(ticket.updated_at.0).min(now);
        if is_quiet(ticket, clocks, tx.now) {
            changed += adoption.take(tx, ticket, clocks, step)?;
            status_updates::follow(tx, ticket, clocks)?;
        } else {
            // This may change what comes next: an escalation can mean another policy.
            changed += follow_clocks(tx, ticket, clocks)?;
        }
        tx.now = now;
    }
    Ok(changed)
}

/// Nothing has come true by then that is not written down.
pub(super) fn is_quiet(ticket: &TicketRow, clocks: &Clocks, by: DateTime<Utc>) -> bool {
    let notice = clocks.next_notice_at();
    let status_update = ticket.status_update_at.map(|at| at.0);
    notice.into_iter().chain(status_update).all(|at| at > by)
}

/// What follows once the clocks are at the rules in force. Returns how much has changed.
pub(super) fn follow_clocks(tx: &mut Tx<'_>, ticket: &mut TicketRow, clocks: &mut Clocks) -> Result<usize> {
    // What new rules made true is true from now on; everything else was, since the ticket last changed.
    let since = ticket.updated_at.0;
    let noticed = settle(tx, ticket, clocks, since)?;
    let planned = ticket.status_update_at;
    status_updates::follow(tx, ticket, clocks)?;
    let replanned = usize::from(planned != ticket.status_update_at);
    ticket.urgency_at = urgency(&clocks.rows);
    Ok(noticed + replanned)
}

/// Write down what has come true of the ticket's clocks by now, in its order and with what each escalates, as a worker
/// would have found it that never slept: history, the ticket's own marks, and mails. Escalations take effect when they
/// came true, but not before `since`. Returns how much that is.
pub fn settle(
    tx: &mut Tx<'_>,
    ticket: &mut TicketRow,
    clocks: &mut Clocks,
    since: DateTime<Utc>,
) -> Result<usize> {
    let mut since = since;
    let mut told: Vec<Told> = Vec::new();
    // Ends: a clock has so many thresholds and one breach, and each escalates once.
    while let Some(at) = clocks.next_notice_at().filter(|at| *at <= tx.now) {
        let policy = Arc::clone(&clocks.policy);
        for notice in clocks.settle_at(tx, at)? {
            let event = record_notice(tx, ticket, &notice)?;
            ticket.breached |= notice.is_breach();
            let mut people = listeners(tx.conn, ticket, &notice)?;
            let mut then = Tx {
                conn: &mut *tx.conn,
                principal: &Principal::System,
                now: since.max(at),
                desk: tx.desk,
            };
            if let Some(named) = escalations::carry_out(&mut then, ticket, clocks, &policy, &notice)? {
                since = then.now;
                people.extend(named);
            }
            if notice.is_breach() && notice.target == TargetKind::Resolution {
                status_updates::begin(tx, ticket, clocks, notice.due_at, since)?;
            }
            told.push(Told {
                notice,
                event,
                people,
            });
        }
    }
    tell_desk(tx, ticket, &told)?;
    Ok(told.len())
}

/// A notice with those who are to hear of it.
struct Told {
    notice: Notice,
    event: Uid,
    people: Vec<Addressee>,
}

fn record_notice(tx: &mut Tx<'_>, ticket: &TicketRow, notice: &Notice) -> Result<Uid> {
    let kind = match notice.is_breach() {
        true => EventKind::ClockBreached,
        false => EventKind::ClockWarning,
    };
    let mut data = json!({ "target": notice.target, "cycle": notice.cycle, "due_at": notice.due_at });
    if let (false, Some(data)) = (notice.is_breach(), data.as_object_mut()) {
        data.insert("percent".into(), json!(notice.percent));
    }
    record_at(tx, ticket.id, kind, notice.at, data)
}

/// A warning goes to whoever handles the ticket, an overdue notice to the heads of the desk too.
fn listeners(conn: &mut Db, ticket: &TicketRow, notice: &Notice) -> Result<Vec<Addressee>> {
    let mut people = handlers(conn, ticket)?;
    if notice.is_breach() {
        people.extend(identity::db::list_heads(conn)?.iter().map(Addressee::from));
        if people.is_empty() {
            tracing::warn!(
                ticket = ticket.number,
                "a breach reaches nobody: the desk has no active people"
            );
        }
    }
    Ok(people)
}

/// One letter per clock: a warning that is found only after the next one or the breach would ask for what is too late.
/// The later notice says it all, also to those whom only an escalation of the earlier one named.
fn tell_desk(tx: &mut Tx<'_>, ticket: &TicketRow, told: &[Told]) -> Result<()> {
    let same_clock = |one: &Notice, other: &Notice| one.target == other.target && one.cycle == other.cycle;
    for (position, last) in told.iter().enumerate() {
        let of_clock = |other: &&Told| same_clock(&other.notice, &last.notice);
        if told.iter().skip(position + 1).any(|later| of_clock(&later)) {
            continue;
        }
        let mut people: Vec<Addressee> = Vec::new();
        for person in told.iter().filter(of_clock).flat_map(|one| &one.people) {
            if !people.iter().any(|known| known.address == person.address) {
                people.push(person.clone());
            }
        }
        let letter = Letter {
            kind: match last.notice.is_breach() {
                true => MailKind::Overdue,
                false => MailKind::Warning,
            },
            event: last.event,
            due_at: Some(last.notice.due_at),
            agent_name: None,
        };
        letter.to_people(tx, ticket, people)?;
    }
    Ok(())
}

/// The assignee, or the members of the queue where nobody has taken the ticket.
fn handlers(conn: &mut Db, ticket: &TicketRow) -> Result<Vec<Addressee>> {
    let users = match ticket.assignee_id {
        Some(id) => identity::db::find_active_user(conn, id)?.into_iter().collect(),
        None => identity::db::list_members(conn, ticket.queue_id)?,
    };
    Ok(users.iter().map(Addressee::from).collect())
}

impl Letter {
    /// To the asking person, if they gave an address.
    pub fn to_requester(self, tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<()> {
        let requester = match ticket.requester_id {
            Some(id) => directory::db::hold_requester(tx.conn, id)?,
            None => None,
        };
        let addressee = requester.and_then(|requester| {
            let (name, language) = (requester.name, requester.language);
            requester.email.map(|address| Addressee {
                address,
                name,
                language,
            })
        });
        let letters: Vec<_> = addressee
            .into_iter()
            .map(|person| (self.clone(), person))
            .collect();
        Letter::enqueue(tx, ticket, &letters)
    }

    /// To whoever handles the ticket, but not to the person who just acted.
    pub fn to_handlers(self, tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<()> {
        let mut people = handlers(tx.conn, ticket)?;
        if let Principal::Staff { staff, .. } = tx.principal {
            people.retain(|person| person.address != staff.email);
        }
        self.to_people(tx, ticket, people)
    }

    /// To people of the centre, each named where the letter names nobody else.
    fn to_people(&self, tx: &mut Tx<'_>, ticket: &TicketRow, people: Vec<Addressee>) -> Result<()> {
        let naming = |person: &Addressee| Letter {
            agent_name: self.agent_name.clone().or_else(|| Some(person.name.clone())),
            ..self.clone()
        };
        let named: Vec<_> = people
            .into_iter()
            .map(|person| (naming(&person), person))
            .collect();
        Letter::enqueue(tx, ticket, &named)
    }

    fn enqueue(tx: &mut Tx<'_>, ticket: &TicketRow, letters: &[(Letter, Addressee)]) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        let organisations = directory::db::list_organisations_by_id(tx.conn, &[ticket.organisation_id])?;
        let Some(organisation) = organisations.first() else {
            return Err(db::vanished(ticket.id));
        };
        let about = Subject {
            ticket_id: ticket.id,
            ticket_uid: ticket.uid,
            number: &ticket.number,
            subject: &ticket.subject,
            link_token: &ticket.link_token,
            organisation_vi: &organisation.name_vi,
            organisation_en: &organisation.name_en,
        };
        let rows = letters
            .iter()
            .map(|(letter, person)| mail(tx.desk, &about, letter, person, tx.now))
            .collect::<Result<Vec<DeliveryRow>>>()?;
        insert_deliveries(tx.conn, &rows)
    }
}

/// When the ticket's resolution is due, as far as a date can be given.
pub fn resolution_due(clocks: &Clocks) -> Option<DateTime<Utc>> {
    clocks
        .rows
        .iter()
        .rfind(|row| row.target == TargetKind::Resolution.as_str())
        .and_then(|row| row.due_at)
        .map(|due| due.0)
}

/// Candidates per question to the database.
const BATCH: i64 = 100;
/// A database that is not ready fails every ticket alike: after so many the pass ends. One alone may be a ticket whose
/// lock somebody else holds for long.
const MOST_UNAVAILABLE: usize = 3;
/// So many tickets do not fail each for its own reason; the list of those to skip stays short too.
const MOST_FAILED: usize = 500;

/// Worker's step: notice every warning and breach that has come true by `now`. Returns how many tickets were settled.
pub async fn notice_step(store: &Store, desk: &Arc<Desk>, now: DateTime<Utc>) -> Result<usize> {
    let candidates = db::list_tickets_with_notices;
    ticket_by_ticket("notices", store, desk, now, candidates, note_what_came_true).await
}

fn note_what_came_true(tx: &mut Tx<'_>, mut ticket: TicketRow) -> Result<()> {
    let mut clocks = Clocks::load(tx, &ticket)?;
    // What was noticed shows on the ticket, so its ETag changes.
    if bring_up_to_date(tx, &mut ticket, &mut clocks)? > 0 {
        ticket.version += 1;
        db::update_ticket(tx.conn, &ticket)?;
    }
    Ok(())
}

/// Worker's step: tell the askers of late questions how they stand, where that has come. Returns how many were told.
pub async fn status_update_step(store: &Store, desk: &Arc<Desk>, now: DateTime<Utc>) -> Result<usize> {
    let candidates = db::list_tickets_with_status_updates;
    ticket_by_ticket(
        "status_updates",
        store,
        desk,
        now,
        candidates,
        note_what_came_true,
    )
    .await
}

/// Worker's step: close every resolved ticket whose time has come. Returns how many were closed.
pub async fn close_step(store: &Store, desk: &Arc<Desk>, now: DateTime<Utc>) -> Result<usize> {
    let close: Work = |tx, mut ticket| match operations::closing_overdue(&ticket, tx.now) {
        Some(closes_at) => operations::close_by_itself(tx, &mut ticket, closes_at),
        // Not ours to mend, and it would come back for ever if it passed for done.
        None if ticket.closes_at.is_some() && ticket.state != State::Resolved => Err(Error::internal(
            "an unresolved ticket has a time to close",
            ticket.uid,
        )),
        // Somebody reopened or closed it before we got the lock.
        None => Ok(()),
    };
    ticket_by_ticket("closings", store, desk, now, db::list_tickets_to_close, close).await
}

/// Finds the tickets that are due by an instant, except those that failed.
type Candidates = fn(&mut Db, DateTime<Utc>, &[i64], i64) -> Result<Vec<i64>>;
/// Must leave a ticket that it is done with no longer due.
type Work = fn(&mut Tx<'_>, TicketRow) -> Result<()>;

/// A transaction per ticket: replicas hold one row lock at a time, and a ticket that fails is logged, counted and
/// skipped until the next pass, while the others go on.
async fn ticket_by_ticket(
    worker: &'static str,
    store: &Store,
    desk: &Arc<Desk>,
    now: DateTime<Utc>,
    candidates: Candidates,
    work: Work,
) -> Result<usize> {
    let mut done = 0;
    let mut unavailable = 0;
    let mut failed = Vec::new();
    loop {
        let except = failed.clone();
        let ids = store
            .read(move |conn| candidates(conn, now, &except, BATCH))
            .await?;
        if ids.is_empty() {
            return Ok(done);
        }
        for id in ids {
            let desk = Arc::clone(desk);
            let Err(error) = store.write(move |conn| work_on(conn, &desk, now, id, work)).await else {
                done += 1;
                continue;
            };
            metrics::counter!("giaidap_worker_failures_total", "worker" => worker).increment(1);
            tracing::error!(worker, ticket = id, error = %error.log_text(), "a ticket was skipped");
            unavailable += usize::from(matches!(error, Error::Unavailable { .. }));
            failed.push(id);
            if unavailable >= MOST_UNAVAILABLE || failed.len() >= MOST_FAILED {
                return Err(error);
            }
        }
    }
}

fn work_on(conn: &mut Db, desk: &Desk, now: DateTime<Utc>, id: i64, work: Work) -> Result<()> {
    // Whoever holds the lock does the work; waiting for it keeps the order of locks: ticket, then clocks.
    let Some(ticket) = db::lock_ticket(conn, id)? else {
        return Ok(());
    };
    let mut tx = Tx {
        conn,
        principal: &Principal::System,
        now,
        desk,
    };
    operations::not_before(&mut tx, &ticket);
    work(&mut tx, ticket)
}

/// When the next warning, breach, status update or closing falls, if any: how far a clock may be turned without passing one over.
pub fn find_next_notice_at(conn: &mut Db) -> Result<Option<DateTime<Utc>>> {
    Ok(db::find_next_notice_at(conn)?.map(|at| at.0))
}
