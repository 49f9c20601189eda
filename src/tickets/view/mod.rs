//! A ticket with everything that an answer shows of it, for one ticket or a page of them.
mod db;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::db::{ClockRow, TicketRow, list_clocks, vanished};
use super::lifecycle::Operation;
use crate::attachments::{self, Attachment};
use crate::calendars::Name;
use crate::directory::Requester;
use crate::error::Result;
use crate::identity::Principal;
use crate::identity::access::{Action, Target, authorise};
use crate::sla::Priority;
use crate::store::{Db, Uid};
use crate::tx::Desk;

/// A code with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reference {
    pub code: String,
    pub name: Name,
}

impl Reference {
    pub fn new(code: &str, name_vi: &str, name_en: &str) -> Self {
        Reference {
            code: code.to_owned(),
            name: Name {
                vi: name_vi.to_owned(),
                en: name_en.to_owned(),
            },
        }
    }
}

#[derive(Debug, Clone)]
pub struct Assignee {
    pub uid: Uid,
    pub name: String,
}

#[derive(Debug, Clone)]
pub struct TicketView {
    pub ticket: TicketRow,
    pub queue: Reference,
    pub organisation: Reference,
    pub topic: Option<Reference>,
    pub requester: Option<Requester>,
    pub assignee: Option<Assignee>,
    pub clocks: Vec<ClockRow>,
    /// Business seconds left on each clock as of the time of asking, in the order of `clocks`.
    pub remaining: Vec<i64>,
    /// All that is on it and on what was said; answers show of these what their reader may see.
    pub attachments: Vec<Attachment>,
}

impl TicketView {
    pub fn priority(&self) -> Priority {
        Priority::of_rank(self.ticket.priority)
    }

    /// What the ticket's state allows this principal.
    pub fn possible_operations(&self, principal: &Principal, open_desk: bool) -> Vec<Operation> {
        if self.ticket.anonymised_at.is_some() {
            return Vec::new();
        }
        let target = self.ticket.target();
        self.ticket
            .state
            .possible_operations()
            .filter(|operation| authorise(principal, operation.action(), target, open_desk).is_ok())
            .collect()
    }
}

impl TicketRow {
    pub fn target(&self) -> Target {
        Target::Ticket {
            organisation_id: self.organisation_id,
            queue_id: self.queue_id,
            assignee_id: self.assignee_id,
        }
    }
}

impl Operation {
    /// The permission that the operation asks for.
    pub fn action(self) -> Action {
        match self {
            Operation::Claim => Action::Claim,
            Operation::Assign => Action::Assign,
            Operation::Release => Action::Release,
            Operation::Transfer => Action::Transfer,
            Operation::Wait => Action::Wait,
            Operation::Resume => Action::Resume,
            Operation::Resolve => Action::Resolve,
            Operation::Close => Action::Close,
            Operation::Reopen => Action::Reopen,
            Operation::Cancel => Action::Cancel,
        }
    }
}

/// The ticket with this inside key, as it is now.
pub fn get_view(conn: &mut Db, desk: &Desk, ticket_id: i64, now: DateTime<Utc>) -> Result<TicketView> {
    let row = db::get_row(conn, ticket_id)?;
    let mut views = complete(conn, desk, vec![row], now)?;
    views.pop().ok_or_else(|| vanished(ticket_id))
}

fn complete(
    conn: &mut Db,
    desk: &Desk,
    rows: Vec<db::JoinedRow>,
    now: DateTime<Utc>,
) -> Result<Vec<TicketView>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.ticket.id).collect();
    let mut clocks_of: HashMap<i64, Vec<ClockRow>> = HashMap::with_capacity(rows.len());
    for clock in list_clocks(conn, &ids)? {
        clocks_of.entry(clock.ticket_id).or_default().push(clock);
    }
    let mut files_of: HashMap<i64, Vec<Attachment>> = HashMap::new();
    for file in attachments::db::list_of_tickets(conn, &ids)? {
        files_of
            .entry(file.ticket_id.unwrap_or_default())
            .or_default()
            .push(file);
    }
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let clocks = clocks_of.remove(&row.ticket.id).unwrap_or_default();
        let remaining = remaining(conn, desk, &clocks, now)?;
        let reference = |(code, vi, en): (String, String, String)| Reference {
            code,
            name: Name { vi, en },
        };
        views.push(TicketView {
            queue: reference(row.queue),
            organisation: reference(row.organisation),
            topic: row.topic.map(reference),
            requester: row
                .requester
                .map(|(id, uid, name, email, unit, phone, language)| Requester {
                    id,
                    uid,
                    name,
                    email,
                    unit,
                    phone,
                    language,
                }),
            assignee: row.assignee.map(|(uid, name)| Assignee { uid, name }),
            attachments: files_of.remove(&row.ticket.id).unwrap_or_default(),
            ticket: row.ticket,
            clocks,
            remaining,
        });
    }
    Ok(views)
}

/// Business seconds left on each clock at `now`.
pub fn remaining(conn: &mut Db, desk: &Desk, clocks: &[ClockRow], now: DateTime<Utc>) -> Result<Vec<i64>> {
    clocks
        .iter()
        .map(|clock| {
            let timeline = desk.rules.timeline(conn, clock.calendar_version_id)?;
            Ok(clock.remaining_at(&timeline, now))
        })
        .collect()
}

/// The tickets with these inside keys, in the order of the keys.
pub fn list_views(conn: &mut Db, desk: &Desk, ids: &[i64], now: DateTime<Utc>) -> Result<Vec<TicketView>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let place: HashMap<i64, usize> = ids.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let mut rows = db::list_rows(conn, ids)?;
    rows.sort_by_key(|row| place.get(&row.ticket.id));
    complete(conn, desk, rows, now)
}
