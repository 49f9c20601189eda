//! What is said on a ticket: public messages of the asker and the centre, and notes that never leave the centre.
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::clocks::Clocks;
use super::db::{self, EventRow, MessageRow, TicketRow};
use super::history::{EventKind, record};
use super::lifecycle::{Operation, State};
use super::notices::resolution_due;
use super::operations::{self, Opened};
use super::{search, terms};
use crate::attachments::{self, Attachment};
use crate::error::{Error, Result};
use crate::identity::access::{Action, permit};
use crate::identity::{ActorKind, Principal};
use crate::notifications::outbox::Letter;
use crate::notifications::templates::MailKind;
use crate::sla::policy::TargetKind;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Ts, Uid};
use crate::tx::{Desk, Tx};

/// The reason of what a message of the asker did.
const REQUESTER_REPLIED: &str = "requester_replied";

/// A message or a note with its files.
#[derive(Debug, Clone)]
pub struct Said {
    pub message: MessageRow,
    pub attachments: Vec<Attachment>,
}

/// A public message. The centre's first one stops the first-response clock; the asker's brings a waiting ticket back
/// to its agent and reopens a resolved one.
pub fn post_message(tx: &mut Tx<'_>, id: &str, body: &str, files: &[Uuid]) -> Result<Said> {
    let mut opened = operations::open(tx, id, Action::PostMessage)?;
    guard_talk(opened.ticket.state, "post_message")?;
    let message = say(tx, &opened.ticket, false, body)?;
    let ticket_id = opened.ticket.id;
    let attachments = attachments::attach(tx, files, ticket_id, Some(message.id), false)?;
    let event = record(
        tx,
        ticket_id,
        EventKind::MessagePosted,
        json!({ "message_id": message.uid }),
    )?;
    if tx.principal.kind() == ActorKind::Staff {
        respond(tx, &mut opened, "message")?;
        Letter {
            kind: MailKind::Message,
            event,
            due_at: None,
            agent_name: None,
        }
        .to_requester(tx, &opened.ticket)?;
    } else {
        match opened.ticket.state {
            State::Waiting => operations::bring_back(tx, &mut opened, REQUESTER_REPLIED)?,
            State::Resolved => operations::reopen_opened(tx, &mut opened, REQUESTER_REPLIED)?,
            _ => {}
        }
        let terms = terms::present(tx, &opened.ticket)?;
        opened
            .clocks
            .start_next_response(tx, &opened.ticket, &terms, REQUESTER_REPLIED)?;
        Letter {
            kind: MailKind::RequesterWrote,
            event,
            due_at: resolution_due(&opened.clocks),
            agent_name: None,
        }
        .to_handlers(tx, &opened.ticket)?;
    }
    operations::save(tx, &mut opened)?;
    Ok(Said { message, attachments })
}

/// Talk ends where the ticket does.
fn guard_talk(state: State, operation: &'static str) -> Result<()> {
    if state.is_open() || state == State::Resolved {
        return Ok(());
    }
    Err(Error::WrongTransition {
        operation,
        state: state.as_str(),
        possible: state.possible_operations().map(Operation::as_str).collect(),
    })
}

/// A file put straight onto the ticket, by either side; both see it.
pub fn attach_file(tx: &mut Tx<'_>, id: &str, file: Uuid) -> Result<Attachment> {
    let mut opened = operations::open(tx, id, Action::PostMessage)?;
    guard_talk(opened.ticket.state, "attach_file")?;
    let ticket_id = opened.ticket.id;
    let mut attached = attachments::attach(tx, &[file], ticket_id, None, false)?;
    let attachment = attached
        .pop()
        .ok_or_else(|| Error::internal("a file was not attached", file))?;
    let data = json!({
        "attachment_id": attachment.uid,
        "media_type": attachment.media_type,
        "bytes": attachment.bytes,
    });
    record(tx, ticket_id, EventKind::Attached, data)?;
    operations::save(tx, &mut opened)?;
    Ok(attachment)
}

/// An internal note; possible in every state. The ticket stays as it is.
pub fn post_note(tx: &mut Tx<'_>, id: &str, body: &str, files: &[Uuid]) -> Result<Said> {
    let mut opened = operations::open(tx, id, Action::PostNote)?;
    let note = say(tx, &opened.ticket, true, body)?;
    let attachments = attachments::attach(tx, files, opened.ticket.id, Some(note.id), true)?;
    record(
        tx,
        opened.ticket.id,
        EventKind::NotePosted,
        json!({ "note_id": note.uid }),
    )?;
    // Neither its version nor when it was changed: an organisation would learn of what it may not read, and a change that
    // it has decided on would be refused.
    if opened.came_true > 0 {
        operations::save(tx, &mut opened)?;
    }
    Ok(Said {
        message: note,
        attachments,
    })
}

pub(super) fn say(tx: &mut Tx<'_>, ticket: &TicketRow, internal: bool, body: &str) -> Result<MessageRow> {
    let mut row = MessageRow {
        id: 0,
        uid: Uid::new(),
        ticket_id: ticket.id,
        internal,
        author_kind: tx.principal.kind(),
        author_id: tx.principal.actor_id(),
        author_name: tx.principal.name().to_owned(),
        body: body.to_owned(),
        created_at: Ts::from(tx.now),
    };
    row.id = db::insert_message(tx.conn, &row)?;
    if !internal {
        search::index(tx.conn, ticket)?;
    }
    Ok(row)
}

/// The centre has spoken: the clocks of its answer stop for good, until the asker writes again.
pub(super) fn respond(tx: &mut Tx<'_>, opened: &mut Opened, reason: &str) -> Result<()> {
    if opened.ticket.first_response_at.is_none() {
        opened.ticket.first_response_at = Some(Ts::from(tx.now));
    }
    for target in [TargetKind::FirstResponse, TargetKind::NextResponse] {
        opened.clocks.stop(tx, &opened.ticket, target, reason)?;
    }
    Ok(())
}

/// A page of a ticket's public messages or of its notes, oldest first.
pub fn list_messages(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    id: &str,
    internal: bool,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<Said>> {
    let action = if internal {
        Action::ReadNotes
    } else {
        Action::ReadTicket
    };
    let ticket = operations::get_for_reading(conn, desk, principal, id, action)?;
    let binding = format!("messages {} {internal}", ticket.id);
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?
        .unwrap_or(0);
    let rows = db::list_messages(conn, ticket.id, internal, after, limit + 1)?;
    let page = Page::from_rows(rows, limit, &binding, |row| row.id)?;
    let mut files: HashMap<Option<i64>, Vec<Attachment>> = HashMap::new();
    for file in attachments::db::list_of_tickets(conn, &[ticket.id])? {
        files.entry(file.message_id).or_default().push(file);
    }
    Ok(page.map(|message| Said {
        attachments: files.remove(&Some(message.id)).unwrap_or_default(),
        message,
    }))
}

/// A page of a ticket's history, oldest first; an organisation sees neither internal events nor why the centre moved
/// the ticket about.
pub fn list_events(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    id: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<EventRow>> {
    let ticket = operations::get_for_reading(conn, desk, principal, id, Action::ReadTicket)?;
    let with_internal = permit(principal, Action::ReadNotes).is_ok();
    let binding = format!("events {} {with_internal}", ticket.id);
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?
        .unwrap_or(0);
    let mut rows = db::list_events(conn, ticket.id, with_internal, after, limit + 1)?;
    if !with_internal {
        rows.iter_mut().for_each(leave_out_internal_reason);
    }
    Page::from_rows(rows, limit, &binding, |row| row.id)
}

/// As many messages as the public page shows.
const PAGE_MESSAGES: i64 = 200;

/// Staff give these reasons to colleagues ("on leave from tomorrow").
fn leave_out_internal_reason(event: &mut EventRow) {
    let among_colleagues = matches!(
        event.kind,
        EventKind::Released | EventKind::Transferred | EventKind::Resumed | EventKind::Changed
    );
    if let (true, Some(data)) = (among_colleagues, event.data.0.as_object_mut())
        && data
            .get("reason")
            .is_some_and(|reason| reason != REQUESTER_REPLIED)
    {
        data.remove("reason");
    }
}

/// A ticket's public page: what was asked and answered, for whoever holds its link.
pub struct StatusPage {
    pub ticket: TicketRow,
    /// The newest public ones, oldest first.
    pub messages: Vec<MessageRow>,
    pub has_earlier_messages: bool,
    pub due_at: Option<DateTime<Utc>>,
}

/// `NotFound` for an unknown link. Holding the link is the permission.
pub fn status_page(conn: &mut Db, desk: &Desk, link_token: &str, now: DateTime<Utc>) -> Result<StatusPage> {
    let unknown = || Error::NotFound(crate::error::Resource::Page);
    if !link_token.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown());
    }
    let ticket = db::find_ticket_by_link(conn, link_token)?.ok_or_else(unknown)?;
    let mut messages = db::list_latest_messages(conn, ticket.id, PAGE_MESSAGES + 1)?;
    let has_earlier_messages = i64::try_from(messages.len()).is_ok_and(|count| count > PAGE_MESSAGES);
    if has_earlier_messages {
        messages.remove(0);
    }
    let mut tx = Tx {
        conn,
        principal: &Principal::System,
        now,
        desk,
    };
    let clocks = Clocks::load(&mut tx, &ticket)?;
    let due_at = if ticket.state.is_open() {
        resolution_due(&clocks)
    } else {
        None
    };
    Ok(StatusPage {
        ticket,
        messages,
        has_earlier_messages,
        due_at,
    })
}
