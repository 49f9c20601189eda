//! From an event to the mails that tell people of it, as rows in the event's own transaction. A worker carries them out
//! (`workers`); a rolled-back request leaves none, a committed one loses none.
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::db::{self, DeliveryRow, DeliveryState};
use super::templates::{MailData, MailKind};
use crate::error::{Conflict, Error, Resource, Result};
use crate::identity::db::User;
use crate::language::Language;
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Json, Ts, Uid};
use crate::tx::Desk;

/// Who gets a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    pub address: String,
    pub name: String,
    pub language: Language,
}

impl From<&User> for Addressee {
    fn from(user: &User) -> Self {
        Addressee {
            address: user.email.clone(),
            name: user.name.clone(),
            language: user.language,
        }
    }
}

/// What a mail about a ticket shows, whoever gets it.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    pub ticket_id: i64,
    pub ticket_uid: Uid,
    pub number: &'a str,
    pub subject: &'a str,
    pub link_token: &'a str,
    pub organisation_vi: &'a str,
    pub organisation_en: &'a str,
}

/// A mail of one kind because of one event.
#[derive(Debug, Clone)]
pub struct Letter {
    pub kind: MailKind,
    pub event: Uid,
    pub due_at: Option<DateTime<Utc>>,
    /// The agent that the mail names.
    pub agent_name: Option<String>,
}

/// The letter to one addressee.
pub fn mail(
    desk: &Desk,
    about: &Subject<'_>,
    letter: &Letter,
    to: &Addressee,
    now: DateTime<Utc>,
) -> Result<DeliveryRow> {
    let organisation = match to.language {
        Language::Vi => about.organisation_vi,
        Language::En => about.organisation_en,
    };
    let data = MailData {
        ticket_number: about.number.to_owned(),
        subject: about.subject.to_owned(),
        organisation: organisation.to_owned(),
        due_at: letter.due_at,
        agent_name: letter.agent_name.clone(),
        link: desk.status_link(about.link_token),
        owner: desk.owner.clone(),
    };
    let payload =
        serde_json::to_value(&data).map_err(|cause| Error::internal("a mail cannot be written", cause))?;
    let uid = Uid::new();
    Ok(DeliveryRow {
        id: 0,
        uid,
        ticket_id: about.ticket_id,
        dedupe_key: format!("{}:{}:{}", letter.event, letter.kind.as_str(), to.address),
        channel: "email".into(),
        kind: letter.kind,
        recipient: to.address.clone(),
        recipient_name: to.name.clone(),
        language: to.language,
        payload: Json(payload),
        message_id: desk.message_id(uid),
        thread_id: desk.thread_id(about.ticket_uid),
        state: DeliveryState::Pending,
        attempts: 0,
        next_attempt_at: Some(Ts::from(now)),
        locked_until: None,
        last_error: None,
        created_at: Ts::from(now),
        sent_at: None,
    })
}

/// By UUID.
pub fn get_delivery(conn: &mut Db, id: &str) -> Result<db::DeliveryView> {
    let not_found = || Error::NotFound(Resource::Delivery);
    let uid = uuid::Uuid::parse_str(id).ok().ok_or_else(not_found)?;
    db::find_delivery(conn, Uid(uid))?.ok_or_else(not_found)
}

/// A page of deliveries, newest first.
pub fn list_deliveries(
    conn: &mut Db,
    state: Option<DeliveryState>,
    ticket_id: Option<i64>,
    cursor: Option<&str>,
    limit: i64,
) -> Result<Page<db::DeliveryView>> {
    let binding = format!("deliveries {state:?} {ticket_id:?}");
    let before = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?;
    let rows = db::list_deliveries(conn, state, ticket_id, before, limit + 1)?;
    Page::from_rows(rows, limit, &binding, |row| row.delivery.id)
}

/// Send a dead or waiting delivery again, now.
pub fn retry_delivery(conn: &mut Db, id: &str, now: DateTime<Utc>) -> Result<db::DeliveryView> {
    let found = get_delivery(conn, id)?;
    if found.delivery.recipient == ERASED_ADDRESS {
        return Err(Error::Conflict(Conflict::Anonymised));
    }
    if !db::requeue_delivery(conn, found.delivery.id, now)? {
        return Err(Error::Conflict(Conflict::DeliveryNotRetryable));
    }
    get_delivery(conn, id)
}

/// The address that stands in the place of one that was erased (RFC 2606, section 2).
pub const ERASED_ADDRESS: &str = "anonymised@example.invalid";

/// Nothing more goes to an asking person at this address about these tickets, which are theirs, and what was written to
/// them no longer names them. Another organisation may know the same address, and stays in contact with it. What a worker is sending at this moment may still arrive. Returns how many mails were withdrawn.
pub fn forget_asker(conn: &mut Db, address: &str, ticket_ids: &[i64]) -> Result<usize> {
    let mut to_erase: BTreeMap<i64, Uid> = BTreeMap::new();
    for ids in ticket_ids.chunks(500) {
        to_erase.extend(db::list_delivery_uids_to(conn, address, ids)?);
    }
    let mut withdrawn = 0;
    // Each row once: of a row that was changed before in the same transaction PostgreSQL locks the ticket anew, for its
    // foreign key, and whoever writes about the ticket may hold that while they wait for the asker.
    for (id, uid) in to_erase {
        match db::withdraw_delivery(conn, id, uid, ERASED_ADDRESS)? {
            true => withdrawn += 1,
            false => db::erase_recipient(conn, id, uid, ERASED_ADDRESS)?,
        }
    }
    Ok(withdrawn)
}
