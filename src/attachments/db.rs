//! Queries over attachments.
use chrono::{DateTime, Utc};
use diesel::prelude::*;

use crate::error::Result;
use crate::identity::ActorKind;
use crate::store::schema::{attachments, tickets};
use crate::store::{Db, MultiBackend, Ts, Uid};
use crate::{each_db, text_enum};

text_enum! {
    /// `uploading` → `stored` → `removing` → gone; from `uploading` also straight to `removing`.
    AttachmentState { Uploading "uploading", Stored "stored", Removing "removing" }
}

#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = attachments)]
pub struct Attachment {
    pub id: i64,
    pub uid: Uid,
    pub state: AttachmentState,
    pub owner_kind: ActorKind,
    pub owner_id: i64,
    pub ticket_id: Option<i64>,
    pub message_id: Option<i64>,
    pub internal: bool,
    pub name: String,
    pub media_type: String,
    pub bytes: i64,
    pub sha256: String,
    pub created_at: Ts,
}

/// What is known of a file before its bytes have arrived.
#[derive(Insertable)]
#[diesel(table_name = attachments)]
pub struct NewAttachment<'a> {
    pub uid: Uid,
    pub state: AttachmentState,
    pub owner_kind: ActorKind,
    pub owner_id: i64,
    pub internal: bool,
    pub name: &'a str,
    pub media_type: &'a str,
    pub bytes: i64,
    pub sha256: &'a str,
    pub created_at: Ts,
    pub updated_at: Ts,
}

pub fn insert(conn: &mut Db, new: &NewAttachment<'_>) -> Result<()> {
    diesel::insert_into(attachments::table)
        .values(new)
        .execute(conn)?;
    Ok(())
}

pub fn find(conn: &mut Db, uid: Uid) -> Result<Option<Attachment>> {
    Ok(attachments::table
        .filter(attachments::uid.eq(uid))
        .select(Attachment::as_select())
        .first(conn)
        .optional()?)
}

/// Lock these for the rest of the transaction, in one order for all. SQLite's writer is alone.
pub fn lock(conn: &mut Db, uids: &[Uid]) -> Result<Vec<Attachment>> {
    if uids.is_empty() {
        return Ok(Vec::new());
    }
    let named = attachments::table
        .filter(attachments::uid.eq_any(uids.to_vec()))
        .order(attachments::id);
    Ok(match conn {
        Db::Pg(pg) => named.select(Attachment::as_select()).for_update().load(pg)?,
        Db::Lite(lite) => named.select(Attachment::as_select()).load(lite)?,
    })
}

/// The bytes are there: how many, and their digest. `false` where the row is gone or waits for nothing any more.
pub fn mark_stored(conn: &mut Db, uid: Uid, bytes: i64, sha256: &str, now: DateTime<Utc>) -> Result<bool> {
    let changed = diesel::update(
        attachments::table
            .filter(attachments::uid.eq(uid))
            .filter(attachments::state.eq(AttachmentState::Uploading)),
    )
    .set((
        attachments::state.eq(AttachmentState::Stored),
        attachments::bytes.eq(bytes),
        attachments::sha256.eq(sha256),
        attachments::updated_at.eq(Ts::from(now)),
    ))
    .execute(conn)?;
    Ok(changed > 0)
}

/// Whose they are from now on.
pub fn give_to(
    conn: &mut Db,
    ids: &[i64],
    ticket_id: i64,
    message_id: Option<i64>,
    internal: bool,
) -> Result<()> {
    diesel::update(attachments::table.filter(attachments::id.eq_any(ids.to_vec())))
        .set((
            attachments::ticket_id.eq(Some(ticket_id)),
            attachments::message_id.eq(message_id),
            attachments::internal.eq(internal),
        ))
        .execute(conn)?;
    Ok(())
}

pub fn count_of_ticket(conn: &mut Db, ticket_id: i64) -> Result<i64> {
    Ok(attachments::table
        .filter(attachments::ticket_id.eq(Some(ticket_id)))
        .filter(attachments::state.eq(AttachmentState::Stored))
        .count()
        .get_result(conn)?)
}

/// Those of a ticket's own and of what was said on it, oldest first.
pub fn list_of_ticket(
    conn: &mut Db,
    ticket_id: i64,
    with_internal: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<Attachment>> {
    let mut query = attachments::table
        .filter(attachments::ticket_id.eq(Some(ticket_id)))
        .filter(attachments::state.eq(AttachmentState::Stored))
        .filter(attachments::id.gt(after))
        .order(attachments::id)
        .limit(limit)
        .select(Attachment::as_select())
        .into_boxed::<MultiBackend>();
    if !with_internal {
        query = query.filter(attachments::internal.eq(false));
    }
    Ok(query.load(conn)?)
}

/// All that these tickets and what was said on them have, oldest first.
pub fn list_of_tickets(conn: &mut Db, ticket_ids: &[i64]) -> Result<Vec<Attachment>> {
    // On the concrete connection PostgreSQL takes the ids as one array, so that the statement is prepared once.
    let ids: Vec<Option<i64>> = ticket_ids.iter().copied().map(Some).collect();
    Ok(each_db!(conn, c => attachments::table
        .filter(attachments::ticket_id.eq_any(ids))
        .filter(attachments::state.eq(AttachmentState::Stored))
        .order(attachments::id)
        .select(Attachment::as_select())
        .load(c))?)
}

/// What an answer shows of a used attachment besides itself: UUID and number of its ticket.
pub fn find_ticket_of(conn: &mut Db, ticket_id: i64) -> Result<Option<(Uid, String)>> {
    Ok(tickets::table
        .find(ticket_id)
        .select((tickets::uid, tickets::number))
        .first(conn)
        .optional()?)
}

/// To be removed, bytes first. Only of what nobody has used.
pub fn mark_removing(conn: &mut Db, uid: Uid, now: DateTime<Utc>) -> Result<bool> {
    let changed = diesel::update(
        attachments::table
            .filter(attachments::uid.eq(uid))
            .filter(attachments::ticket_id.is_null()),
    )
    .set((
        attachments::state.eq(AttachmentState::Removing),
        attachments::updated_at.eq(Ts::from(now)),
    ))
    .execute(conn)?;
    Ok(changed > 0)
}

/// All of a ticket, used or not by its messages; their names go at once.
pub fn mark_ticket_removing(conn: &mut Db, ticket_id: i64, now: DateTime<Utc>) -> Result<usize> {
    Ok(
        diesel::update(attachments::table.filter(attachments::ticket_id.eq(Some(ticket_id))))
            .set((
                attachments::state.eq(AttachmentState::Removing),
                attachments::name.eq(""),
                attachments::updated_at.eq(Ts::from(now)),
            ))
            .execute(conn)?,
    )
}

/// Uploads that never finished and files that nobody used, by when they began.
pub fn mark_abandoned(
    conn: &mut Db,
    unfinished_before: DateTime<Utc>,
    unused_before: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<usize> {
    let abandoned = |state, before: DateTime<Utc>| {
        attachments::table
            .filter(attachments::ticket_id.is_null())
            .filter(attachments::state.eq(state))
            .filter(attachments::created_at.lt(Ts::from(before)))
    };
    let values = (
        attachments::state.eq(AttachmentState::Removing),
        attachments::updated_at.eq(Ts::from(now)),
    );
    let unfinished = diesel::update(abandoned(AttachmentState::Uploading, unfinished_before))
        .set(values)
        .execute(conn)?;
    let unused = diesel::update(abandoned(AttachmentState::Stored, unused_before))
        .set(values)
        .execute(conn)?;
    Ok(unfinished + unused)
}

/// What waits to be removed, what failed longest ago first.
pub fn list_removing(conn: &mut Db, limit: i64) -> Result<Vec<Uid>> {
    Ok(attachments::table
        .filter(attachments::state.eq(AttachmentState::Removing))
        .order(attachments::updated_at)
        .limit(limit)
        .select(attachments::uid)
        .load(conn)?)
}

/// Behind the others, so that one that cannot be removed does not hold up the rest.
pub fn postpone(conn: &mut Db, uid: Uid, now: DateTime<Utc>) -> Result<()> {
    diesel::update(attachments::table.filter(attachments::uid.eq(uid)))
        .set(attachments::updated_at.eq(Ts::from(now)))
        .execute(conn)?;
    Ok(())
}

/// The bytes are gone.
pub fn delete_removed(conn: &mut Db, uid: Uid) -> Result<usize> {
    Ok(diesel::delete(
        attachments::table
            .filter(attachments::uid.eq(uid))
            .filter(attachments::state.eq(AttachmentState::Removing)),
    )
    .execute(conn)?)
}
