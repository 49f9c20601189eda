//! Files: sent first, then named in a question, a message or a note, each once and by its sender.
//!
//! Until it is used a file belongs to its sender alone; from then on it is its ticket's, and who may read that may have
//! it. One of a note is never shown to an organisation. The row is there before the bytes and goes after them
//! (`upload`, `sweep`; docs/decisions/0017), so a process may end at any moment. Names are only ever shown.
pub(crate) mod db;
pub mod sniff;
pub mod sweep;
pub mod upload;
pub mod vault;

use std::collections::{BTreeSet, HashMap};

use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

pub use db::{Attachment, AttachmentState};
pub use vault::Vault;

use crate::error::{Conflict, Error, FieldCode, FieldError, Resource, Result};
use crate::identity::Principal;
use crate::identity::access::{Action, authorise, permit};
use crate::store::page::{Page, decode_cursor};
use crate::store::{Db, Uid};
use crate::text::makes_look_alikes;
use crate::tickets;
use crate::tx::{Desk, Tx};

/// How many files go where.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub per_ticket: usize,
    pub per_message: usize,
}

/// As many characters of a name as are kept.
const NAME_LENGTH: usize = 200;

/// A name as it is shown: the last part of a path, NFC, without what breaks or turns a line, no longer than what is
/// kept, its ending saved. Never part of a key or a path of ours.
pub fn clean_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .chars()
        .filter(|letter| !makes_look_alikes(*letter))
        .nfc()
        .collect();
    let is_edge = |letter: char| letter == '.' || letter.is_whitespace();
    let name = name.trim_matches(is_edge);
    if name.is_empty() {
        return "file".into();
    }
    let length = name.chars().count();
    if length <= NAME_LENGTH {
        return name.to_owned();
    }
    let ending = match name.rsplit_once('.') {
        Some((_, ending)) if ending.chars().count() <= 10 => format!(".{ending}"),
        _ => String::new(),
    };
    let kept = NAME_LENGTH - ending.chars().count();
    let cut: String = name.chars().take(kept).chain(ending.chars()).collect();
    cut.trim_end_matches(is_edge).to_owned()
}

/// The ticket that a file belongs to, as the file shows it.
#[derive(Debug, Clone)]
pub struct OwnTicket {
    pub uid: Uid,
    pub number: String,
}

impl Attachment {
    /// What is said of a file changes once, when it is used.
    pub fn version(&self) -> i64 {
        if self.ticket_id.is_some() { 2 } else { 1 }
    }

    fn is_of(&self, principal: &Principal) -> bool {
        let owner = principal.owner();
        owner.is_some_and(|owner| (owner.kind, owner.id) == (self.owner_kind, self.owner_id))
    }
}

/// The attachment for whoever may read it; everybody else learns nothing, not even that it is there.
pub fn get(conn: &mut Db, desk: &Desk, principal: &Principal, id: &str) -> Result<Attachment> {
    let unknown = || Error::NotFound(Resource::Attachment);
    let uid = Uuid::parse_str(id).ok().ok_or_else(unknown)?;
    let found = db::find(conn, Uid(uid))?.filter(|found| found.state == AttachmentState::Stored);
    let found = found.ok_or_else(unknown)?;
    let Some(ticket_id) = found.ticket_id else {
        return if found.is_of(principal) {
            Ok(found)
        } else {
            Err(unknown())
        };
    };
    if found.internal && permit(principal, Action::ReadNotes).is_err() {
        return Err(unknown());
    }
    let target = tickets::find_target(conn, ticket_id)?.ok_or_else(unknown)?;
    match authorise(principal, Action::ReadTicket, target, desk.open_desk) {
        Ok(()) => Ok(found),
        Err(Error::NotFound(_)) => Err(unknown()),
        Err(refused) => Err(refused),
    }
}

/// The ticket that uses it.
pub fn ticket_of(conn: &mut Db, file: &Attachment) -> Result<Option<OwnTicket>> {
    let Some(id) = file.ticket_id else {
        return Ok(None);
    };
    let found = db::find_ticket_of(conn, id)?;
    Ok(found.map(|(uid, number)| OwnTicket { uid, number }))
}

/// The sender takes back what is not used yet, of a version that it has seen (`None`: of any). The bytes go with the
/// next sweep.
pub fn delete(tx: &mut Tx<'_>, id: &str, seen: Option<&[i64]>) -> Result<()> {
    let found = get(tx.conn, tx.desk, tx.principal, id)?;
    if seen.is_some_and(|seen| !seen.contains(&found.version())) {
        return Err(Error::PreconditionFailed);
    }
    if found.ticket_id.is_some() || !db::mark_removing(tx.conn, found.uid, tx.now)? {
        return Err(Error::Conflict(Conflict::AttachmentUsed));
    }
    Ok(())
}

/// A page of what a ticket and its messages have, for whoever may read the ticket; of its notes too for staff. With the
/// ticket, which is the same for each.
pub fn list(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    ticket: &str,
    cursor: Option<&str>,
    limit: i64,
) -> Result<(OwnTicket, Page<Attachment>)> {
    let ticket = tickets::operations::get_for_reading(conn, desk, principal, ticket, Action::ReadTicket)?;
    let with_internal = permit(principal, Action::ReadNotes).is_ok();
    let binding = format!("attachments {} {with_internal}", ticket.id);
    let after = cursor
        .map(|cursor| decode_cursor::<i64>(&binding, cursor))
        .transpose()?
        .unwrap_or(0);
    let rows = db::list_of_ticket(conn, ticket.id, with_internal, after, limit + 1)?;
    let page = Page::from_rows(rows, limit, &binding, |row| row.id)?;
    let (uid, number) = (ticket.uid, ticket.number);
    Ok((OwnTicket { uid, number }, page))
}

/// What waits to be used by the requests of one transaction. Locked, so that no other one takes any of it.
#[derive(Default)]
pub struct Waiting {
    rows: HashMap<Uid, Attachment>,
    taken: BTreeSet<i64>,
}

impl Waiting {
    pub fn lock(conn: &mut Db, ids: &[Uuid]) -> Result<Waiting> {
        let uids: Vec<Uid> = ids.iter().copied().map(Uid).collect();
        let rows = db::lock(conn, &uids)?;
        Ok(Waiting {
            rows: rows.into_iter().map(|row| (row.uid, row)).collect(),
            taken: BTreeSet::new(),
        })
    }

    /// Take these for one request of this principal, all or none; what is wrong is named by its place.
    pub fn take(
        &mut self,
        principal: &Principal,
        ids: &[Uuid],
        most: usize,
    ) -> std::result::Result<Vec<Attachment>, Vec<FieldError>> {
        if ids.len() > most {
            let max = u64::try_from(most).unwrap_or(u64::MAX);
            return Err(vec![FieldError::pointer(
                "/attachments",
                FieldCode::TooLong { max },
            )]);
        }
        let (mut found, mut errors, mut named) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (index, id) in ids.iter().enumerate() {
            let own = self.rows.get(&Uid(*id)).filter(|row| row.is_of(principal));
            let code = match own.filter(|row| row.state == AttachmentState::Stored) {
                None => Some(FieldCode::UnknownCode),
                Some(row) if row.ticket_id.is_some() || self.taken.contains(&row.id) => {
                    Some(FieldCode::Duplicate)
                }
                Some(row) if !named.insert(row.id) => Some(FieldCode::Duplicate),
                Some(row) => {
                    found.push(row.clone());
                    None
                }
            };
            errors.extend(code.map(|code| FieldError::pointer(format!("/attachments/{index}"), code)));
        }
        match errors.is_empty() {
            true => {
                self.taken.extend(named);
                Ok(found)
            }
            false => Err(errors),
        }
    }
}

/// Give these of the principal's to what it says on a ticket.
pub fn attach(
    tx: &mut Tx<'_>,
    ids: &[Uuid],
    ticket_id: i64,
    message_id: Option<i64>,
    internal: bool,
) -> Result<Vec<Attachment>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let limits = tx.desk.attachments;
    let most = match message_id {
        Some(_) => limits.per_message,
        None => limits.per_ticket,
    };
    let mut waiting = Waiting::lock(tx.conn, ids)?;
    let mut taken = waiting.take(tx.principal, ids, most).map_err(Error::Invalid)?;
    let present = usize::try_from(db::count_of_ticket(tx.conn, ticket_id)?).unwrap_or(usize::MAX);
    if present.saturating_add(taken.len()) > limits.per_ticket {
        return Err(Error::Conflict(Conflict::TooManyAttachments));
    }
    let keys: Vec<i64> = taken.iter().map(|row| row.id).collect();
    db::give_to(tx.conn, &keys, ticket_id, message_id, internal)?;
    for row in &mut taken {
        (row.ticket_id, row.message_id, row.internal) = (Some(ticket_id), message_id, internal);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_its_last_part_and_reads_as_what_it_is() {
        for (given, clean) in [
            ("Công văn.pdf", "Công văn.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\lan\\a.docx", "a.docx"),
            ("a\u{202E}fdp.exe", "afdp.exe"),
            ("a\r\nSet-Cookie: x.pdf", "aSet-Cookie: x.pdf"),
            ("\u{200B}.\u{200B}", "file"),
            ("", "file"),
            ("..", "file"),
        ] {
            assert_eq!(clean_name(given), clean, "{given:?}");
        }
        let long = clean_name(&format!("{}.docx", "ệ".repeat(500)));
        assert_eq!(long.chars().count(), NAME_LENGTH);
        assert!(long.ends_with(".docx"));
    }
}
