//! Who is told of what: the mails of each event, and the worker's step that notices warnings, breaches and closings.
//! A notice is written once, with its event, in the transaction that found it, whatever replicas run.
use chrono::{DateTime, Utc};
use serde_json::json;

use super::clocks::{Clocks, Notice};
use super::db::{self, TicketRow};
use super::history::{EventKind, record_at};
use super::lifecycle::State;
use crate::directory;
use crate::error::Result;
use crate::identity::{self, Principal};
use crate::notifications::db::{DeliveryRow, insert_deliveries};
use crate::notifications::outbox::{Addressee, Subject, mail};
use crate::notifications::templates::MailKind;
use crate::sla::policy::TargetKind;
use crate::store::{Db, Uid};
use crate::tx::{Desk, Tx};

/// Bring the ticket's clocks up to now: history, the ticket's own marks, and mails for what has come true.
pub fn settle(tx: &mut Tx<'_>, ticket: &mut TicketRow, clocks: &mut Clocks) -> Result<()> {
    let notices = clocks.settle(tx)?;
    for notice in &notices {
        let kind = if notice.breach {
            EventKind::ClockBreached
        } else {
            EventKind::ClockWarning
        };
        let data = json!({ "target": notice.target, "cycle": notice.cycle, "due_at": notice.due_at });
        let event = record_at(tx, ticket.id, kind, notice.at, data)?;
        ticket.breached |= notice.breach;
        if !superseded(notice, &notices) {
            tell_desk(tx, ticket, event, notice)?;
        }
    }
    Ok(())
}

/// A warning that is found only after the breach would ask for what is too late; the overdue notice says it all.
fn superseded(notice: &Notice, all: &[Notice]) -> bool {
    let same = |other: &&Notice| other.breach && other.target == notice.target && other.cycle == notice.cycle;
    !notice.breach && all.iter().any(|other| same(&other))
}

/// A warning goes to whoever handles the ticket, an overdue notice to the supervisors too.
fn tell_desk(tx: &mut Tx<'_>, ticket: &TicketRow, event: Uid, notice: &Notice) -> Result<()> {
    let mut people = handlers(tx.conn, ticket)?;
    let kind = if notice.breach {
        people.extend(identity::db::list_heads(tx.conn)?.iter().map(Addressee::from));
        MailKind::Overdue
    } else {
        MailKind::Warning
    };
    let letters = Letters {
        kind,
        event,
        due_at: Some(notice.due_at),
        agent_name: None,
    };
    letters.enqueue(tx, ticket, people)
}

/// The assignee, or the members of the queue where nobody has taken the ticket.
fn handlers(conn: &mut Db, ticket: &TicketRow) -> Result<Vec<Addressee>> {
    let users = match ticket.assignee_id {
        Some(id) => identity::db::find_active_user(conn, id)?.into_iter().collect(),
        None => identity::db::list_members(conn, ticket.queue_id)?,
    };
    Ok(users.iter().map(Addressee::from).collect())
}

/// A mail of one kind because of one event.
pub struct Letters {
    pub kind: MailKind,
    pub event: Uid,
    pub due_at: Option<DateTime<Utc>>,
    /// Whom the mail names; absent: each addressee.
    pub agent_name: Option<String>,
}

impl Letters {
    /// To the asking person, if they gave an address.
    pub fn to_requester(self, tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<()> {
        let requester = match ticket.requester_id {
            Some(id) => directory::db::find_requester(tx.conn, id)?,
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
        self.enqueue(tx, ticket, addressee.into_iter().collect())
    }

    /// To whoever handles the ticket, but not to the person who just acted.
    pub fn to_handlers(self, tx: &mut Tx<'_>, ticket: &TicketRow) -> Result<()> {
        let mut people = handlers(tx.conn, ticket)?;
        if let Principal::Staff { staff, .. } = tx.principal {
            people.retain(|person| person.address != staff.email);
        }
        self.enqueue(tx, ticket, people)
    }

    fn enqueue(self, tx: &mut Tx<'_>, ticket: &TicketRow, people: Vec<Addressee>) -> Result<()> {
        if people.is_empty() {
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
        let rows = people
            .iter()
            .map(|person| {
                let agent_name = self.agent_name.clone().or_else(|| Some(person.name.clone()));
                mail(
                    tx.desk,
                    &about,
                    self.kind,
                    person,
                    self.event,
                    self.due_at,
                    agent_name,
                    tx.now,
                )
            })
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

/// Worker's step: notice what has come true on up to `limit` tickets, each in its own right. Returns how many.
pub fn notice_step(conn: &mut Db, desk: &Desk, now: DateTime<Utc>, limit: i64) -> Result<usize> {
    let ids = db::list_tickets_with_notices(conn, now, limit)?;
    for id in &ids {
        let mut tx = Tx {
            conn,
            principal: &Principal::System,
            now,
            desk,
        };
        // Whoever holds the lock settles the clocks; waiting for it keeps the order of locks: ticket, then clocks.
        let Some(mut ticket) = db::lock_ticket(tx.conn, *id)? else {
            continue;
        };
        let mut clocks = Clocks::load(&mut tx, &ticket)?;
        let breached = ticket.breached;
        settle(&mut tx, &mut ticket, &mut clocks)?;
        if ticket.breached != breached {
            ticket.version += 1;
            db::update_ticket(tx.conn, &ticket)?;
        }
    }
    Ok(ids.len())
}

/// Worker's step: close up to `limit` resolved tickets whose time has come. Returns how many.
pub fn close_step(conn: &mut Db, desk: &Desk, now: DateTime<Utc>, limit: i64) -> Result<usize> {
    let ids = db::list_tickets_to_close(conn, now, limit)?;
    for id in &ids {
        let mut tx = Tx {
            conn,
            principal: &Principal::System,
            now,
            desk,
        };
        let Some(mut ticket) = db::lock_ticket(tx.conn, *id)? else {
            continue;
        };
        // Somebody may have reopened or closed it while we waited for the lock.
        match ticket.closes_at {
            Some(closes_at) if ticket.state == State::Resolved && closes_at.0 <= now => {
                super::operations::close_by_itself(&mut tx, &mut ticket, closes_at.0)?;
            }
            _ => {}
        }
    }
    Ok(ids.len())
}
