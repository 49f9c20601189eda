//! Queries over tickets, their clocks, history and messages.
use chrono::{DateTime, Utc};
use diesel::dsl::max;
use diesel::prelude::*;

use super::history::EventKind;
use super::lifecycle::{Channel, Outcome, State};
use crate::error::{Error, Result};
use crate::identity::ActorKind;
use crate::store::schema::{clock_segments, clocks, messages, ticket_events, ticket_numbers, tickets};
use crate::store::{Db, Json, MultiBackend, Ts, Uid};
use crate::{each_db, in_batches, text_enum};

text_enum! {
    /// A clock as it is stored and shown.
    ClockState { Running "running", Paused "paused", Met "met", Breached "breached", Stopped "stopped" }
}

#[derive(Debug, Clone, Queryable, Selectable, AsChangeset, Insertable)]
#[diesel(table_name = tickets, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct TicketRow {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub number: String,
    pub link_token: String,
    pub subject: String,
    pub body: String,
    pub state: State,
    pub outcome: Option<Outcome>,
    pub referred_to: Option<String>,
    pub priority: i16,
    pub channel: Channel,
    pub organisation_id: i64,
    pub requester_id: Option<i64>,
    pub queue_id: i64,
    pub topic_id: Option<i64>,
    pub assignee_id: Option<i64>,
    pub external_ref: Option<String>,
    pub tags: Json,
    pub custom_fields: Json,
    pub policy_version_id: i64,
    pub urgency_at: Ts,
    pub breached: bool,
    pub filed_at: Ts,
    pub updated_at: Ts,
    pub first_response_at: Option<Ts>,
    pub resolved_at: Option<Ts>,
    pub closed_at: Option<Ts>,
    pub closes_at: Option<Ts>,
    pub status_update_at: Option<Ts>,
    pub status_updates: i32,
    pub anonymised_at: Option<Ts>,
    pub version: i64,
}

impl TicketRow {
    pub fn tag_list(&self) -> Result<Vec<String>> {
        serde_json::from_value(self.tags.0.clone())
            .map_err(|cause| Error::internal("stored tags cannot be read", cause))
    }
}

#[derive(Debug, Clone, Queryable, Selectable, AsChangeset, Insertable)]
#[diesel(table_name = clocks, treat_none_as_null = true, treat_none_as_default_value = false)]
pub struct ClockRow {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub ticket_id: i64,
    pub target: String,
    pub cycle: i32,
    pub amount: Json,
    pub calendar_version_id: i64,
    pub policy_version_id: i64,
    pub agreement_id: Option<i64>,
    pub state: ClockState,
    pub started_at: Ts,
    pub segment_from: Option<Ts>,
    pub segment_running: bool,
    pub segment_reason: String,
    pub due_at: Option<Ts>,
    pub remaining_seconds: i64,
    pub consumed_seconds: i64,
    pub warn_at: Option<Ts>,
    pub warned_at: Option<Ts>,
    pub warned_percent: i16,
    pub breached_at: Option<Ts>,
    pub met_at: Option<Ts>,
    pub stopped_at: Option<Ts>,
    pub next_notice_at: Option<Ts>,
}

/// A closed part of a clock's history; the open one is in the clock's row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = clock_segments, treat_none_as_default_value = false)]
pub struct SegmentRow {
    pub clock_id: i64,
    pub from_at: Ts,
    pub to_at: Ts,
    pub running: bool,
    pub reason: String,
    pub queue_id: i64,
    pub assignee_id: Option<i64>,
    pub calendar_version_id: i64,
    /// A copy of what an earlier cycle says.
    pub carried: bool,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = ticket_events, treat_none_as_default_value = false)]
pub struct EventRow {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub ticket_id: i64,
    pub kind: EventKind,
    pub internal: bool,
    pub actor_kind: ActorKind,
    pub actor_id: Option<i64>,
    pub actor_name: String,
    pub data: Json,
    pub at: Ts,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = messages, treat_none_as_default_value = false)]
pub struct MessageRow {
    #[diesel(skip_insertion)]
    pub id: i64,
    pub uid: Uid,
    pub ticket_id: i64,
    pub internal: bool,
    pub author_kind: ActorKind,
    pub author_id: Option<i64>,
    pub author_name: String,
    pub body: String,
    pub created_at: Ts,
}

/// The next `count` numbers of a year, of which the first is returned. The row stays locked until the commit, so that
/// numbers have no gaps and no two replicas give the same one.
pub fn allocate_numbers(conn: &mut Db, year: i32, count: i64) -> Result<i64> {
    let new = (ticket_numbers::year.eq(year), ticket_numbers::last.eq(count));
    let last: i64 = each_db!(conn, c => diesel::insert_into(ticket_numbers::table)
        .values(new)
        .on_conflict(ticket_numbers::year)
        .do_update()
        .set(ticket_numbers::last.eq(ticket_numbers::last + count))
        .returning(ticket_numbers::last)
        .get_result(c))?;
    Ok(last - count + 1)
}

/// Insert all; returns (uid, id) pairs in any order (multi-row RETURNING promises none).
pub fn insert_tickets(conn: &mut Db, rows: &[TicketRow]) -> Result<Vec<(Uid, i64)>> {
    let mut inserted: Vec<(Uid, i64)> = Vec::with_capacity(rows.len());
    in_batches!(conn, rows, c, batch => inserted.extend(
        diesel::insert_into(tickets::table)
            .values(batch)
            .returning((tickets::uid, tickets::id))
            .get_results::<(Uid, i64)>(c)?
    ));
    Ok(inserted)
}

pub fn insert_clocks(conn: &mut Db, rows: &[ClockRow]) -> Result<()> {
    in_batches!(conn, rows, c, batch => diesel::insert_into(clocks::table).values(batch).execute(c)?);
    Ok(())
}

/// Insert one, and return its inside key.
pub fn insert_clock(conn: &mut Db, row: &ClockRow) -> Result<i64> {
    Ok(diesel::insert_into(clocks::table)
        .values(row)
        .returning(clocks::id)
        .get_result(conn)?)
}

pub fn insert_events(conn: &mut Db, rows: &[EventRow]) -> Result<()> {
    in_batches!(conn, rows, c, batch => diesel::insert_into(ticket_events::table).values(batch).execute(c)?);
    Ok(())
}

pub fn insert_segments(conn: &mut Db, rows: &[SegmentRow]) -> Result<()> {
    in_batches!(conn, rows, c, batch => diesel::insert_into(clock_segments::table).values(batch).execute(c)?);
    Ok(())
}

/// Insert one, and return its inside key.
pub fn insert_message(conn: &mut Db, row: &MessageRow) -> Result<i64> {
    Ok(diesel::insert_into(messages::table)
        .values(row)
        .returning(messages::id)
        .get_result(conn)?)
}

/// A queue's figures at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueSummary {
    pub waiting: i64,
    pub assigned: i64,
    pub waiting_for_asker: i64,
    pub breached: i64,
    pub next_due_at: Option<Ts>,
}

/// How many questions of a queue wait, are worked on, wait for their askers, and are late.
pub fn summarise_queue(conn: &mut Db, queue_id: i64) -> Result<QueueSummary> {
    let counts: Vec<(State, bool, i64)> = tickets::table
        .filter(
            tickets::queue_id
                .eq(queue_id)
                .and(tickets::state.eq_any(State::OPEN)),
        )
        .group_by((tickets::state, tickets::breached))
        .select((tickets::state, tickets::breached, diesel::dsl::count_star()))
        .load(conn)?;
    let next_due_at: Option<Ts> = tickets::table
        .filter(
            tickets::queue_id
                .eq(queue_id)
                .and(tickets::state.eq_any(State::OPEN)),
        )
        .filter(tickets::urgency_at.lt(super::never()))
        .select(diesel::dsl::min(tickets::urgency_at))
        .first(conn)?;
    let mut summary = QueueSummary {
        next_due_at,
        ..QueueSummary::default()
    };
    for (state, breached, count) in counts {
        match state {
            State::Queued => summary.waiting += count,
            State::Assigned => summary.assigned += count,
            _ => summary.waiting_for_asker += count,
        }
        if breached {
            summary.breached += count;
        }
    }
    Ok(summary)
}

/// By UUID or number, without a lock.
pub fn find_ticket(conn: &mut Db, id: &str) -> Result<Option<TicketRow>> {
    let query = tickets::table
        .select(TicketRow::as_select())
        .into_boxed::<MultiBackend>();
    let query = match uuid::Uuid::parse_str(id) {
        Ok(uid) => query.filter(tickets::uid.eq(Uid(uid))),
        Err(_) => query.filter(tickets::number.eq(id.to_owned())),
    };
    Ok(query.first(conn).optional()?)
}

pub fn find_ticket_by_id(conn: &mut Db, id: i64) -> Result<Option<TicketRow>> {
    Ok(tickets::table
        .find(id)
        .select(TicketRow::as_select())
        .first(conn)
        .optional()?)
}

pub fn find_ticket_by_link(conn: &mut Db, link_token: &str) -> Result<Option<TicketRow>> {
    Ok(tickets::table
        .filter(tickets::link_token.eq(link_token))
        .select(TicketRow::as_select())
        .first(conn)
        .optional()?)
}

/// Lock a ticket for the rest of the transaction. SQLite needs no lock: its writer is alone.
pub fn lock_ticket(conn: &mut Db, id: i64) -> Result<Option<TicketRow>> {
    let query = tickets::table.find(id);
    Ok(match conn {
        Db::Pg(pg) => query
            .select(TicketRow::as_select())
            .for_update()
            .first(pg)
            .optional()?,
        Db::Lite(lite) => query.select(TicketRow::as_select()).first(lite).optional()?,
    })
}

/// The same by UUID or number.
pub fn lock_ticket_named(conn: &mut Db, id: &str) -> Result<Option<TicketRow>> {
    let Db::Pg(pg) = conn else {
        return find_ticket(conn, id);
    };
    Ok(match uuid::Uuid::parse_str(id) {
        Ok(uid) => tickets::table
            .filter(tickets::uid.eq(Uid(uid)))
            .select(TicketRow::as_select())
            .for_update()
            .first(pg)
            .optional()?,
        Err(_) => tickets::table
            .filter(tickets::number.eq(id))
            .select(TicketRow::as_select())
            .for_update()
            .first(pg)
            .optional()?,
    })
}

/// Lock those of these tickets that there are, whoever may see them, in the order of their keys: two transactions that
/// lock several cannot wait for each other. SQLite needs no lock: its writer is alone.
pub fn lock_tickets_in_order(conn: &mut Db, ids: &[&str]) -> Result<()> {
    let Db::Pg(pg) = conn else { return Ok(()) };
    if ids.is_empty() {
        return Ok(());
    }
    let uids: Vec<Uid> = ids
        .iter()
        .filter_map(|id| uuid::Uuid::parse_str(id).ok())
        .map(Uid)
        .collect();
    let _: Vec<i64> = tickets::table
        .filter(tickets::uid.eq_any(uids).or(tickets::number.eq_any(ids)))
        .order(tickets::id)
        .select(tickets::id)
        .for_update()
        .load(pg)?;
    Ok(())
}

/// Lock and return the most urgent question that waits in a queue, if any.
pub fn lock_most_urgent(conn: &mut Db, queue_id: i64) -> Result<Option<TicketRow>> {
    let waiting = tickets::table
        .filter(
            tickets::queue_id
                .eq(queue_id)
                .and(tickets::state.eq(State::Queued)),
        )
        .order((tickets::urgency_at, tickets::priority.desc(), tickets::id))
        .limit(1);
    match conn {
        Db::Pg(pg) => {
            // Agents skip what a colleague is just taking. Where everything is locked, wait: the lock may be that of a
            // note, and the question still be free after it.
            let free = waiting
                .select(TicketRow::as_select())
                .for_update()
                .skip_locked()
                .first(pg)
                .optional()?;
            match free {
                Some(ticket) => Ok(Some(ticket)),
                None => Ok(waiting
                    .select(TicketRow::as_select())
                    .for_update()
                    .first(pg)
                    .optional()?),
            }
        }
        // SQLite's writer is alone.
        Db::Lite(lite) => Ok(waiting.select(TicketRow::as_select()).first(lite).optional()?),
    }
}

pub fn update_ticket(conn: &mut Db, row: &TicketRow) -> Result<()> {
    diesel::update(tickets::table.find(row.id))
        .set(row)
        .execute(conn)?;
    Ok(())
}

/// By the instants themselves: what came true long ago may have been written down last.
pub fn find_last_event_at(conn: &mut Db, ticket_id: i64) -> Result<Option<Ts>> {
    Ok(ticket_events::table
        .filter(ticket_events::ticket_id.eq(ticket_id))
        .select(max(ticket_events::at))
        .first(conn)?)
}

pub fn list_clocks(conn: &mut Db, ticket_ids: &[i64]) -> Result<Vec<ClockRow>> {
    // On the concrete connection PostgreSQL takes the ids as one array, so that the statement is prepared once.
    Ok(each_db!(conn, c => clocks::table
        .filter(clocks::ticket_id.eq_any(ticket_ids))
        .order((clocks::ticket_id, clocks::id))
        .select(ClockRow::as_select())
        .load(c))?)
}

pub fn update_clock(conn: &mut Db, row: &ClockRow) -> Result<()> {
    diesel::update(clocks::table.find(row.id))
        .set(row)
        .execute(conn)?;
    Ok(())
}

pub fn list_segments(conn: &mut Db, clock_id: i64) -> Result<Vec<SegmentRow>> {
    Ok(clock_segments::table
        .filter(clock_segments::clock_id.eq(clock_id))
        .order(clock_segments::id)
        .select(SegmentRow::as_select())
        .load(conn)?)
}

/// Closed segments of many clocks, of each in their order.
pub fn list_segments_of(conn: &mut Db, clock_ids: &[i64]) -> Result<Vec<SegmentRow>> {
    Ok(each_db!(conn, c => clock_segments::table
        .filter(clock_segments::clock_id.eq_any(clock_ids))
        .order((clock_segments::clock_id, clock_segments::id))
        .select(SegmentRow::as_select())
        .load(c))?)
}

/// Tickets with a warning or breach to be noticed by `now`, most overdue first.
pub fn list_tickets_with_notices(
    conn: &mut Db,
    now: DateTime<Utc>,
    except: &[i64],
    limit: i64,
) -> Result<Vec<i64>> {
    let mut ids: Vec<i64> = clocks::table
        .filter(clocks::next_notice_at.le(Some(Ts::from(now))))
        .filter(clocks::ticket_id.ne_all(except.to_vec()))
        .order(clocks::next_notice_at)
        .limit(limit)
        .select(clocks::ticket_id)
        .load(conn)?;
    ids.dedup();
    Ok(ids)
}

/// Late tickets whose askers are to be told by `now` how they stand.
pub fn list_tickets_with_status_updates(
    conn: &mut Db,
    now: DateTime<Utc>,
    except: &[i64],
    limit: i64,
) -> Result<Vec<i64>> {
    Ok(tickets::table
        .filter(tickets::status_update_at.le(Some(Ts::from(now))))
        .filter(tickets::id.ne_all(except.to_vec()))
        .order(tickets::status_update_at)
        .limit(limit)
        .select(tickets::id)
        .load(conn)?)
}

/// Resolved tickets whose time to close has come.
pub fn list_tickets_to_close(
    conn: &mut Db,
    now: DateTime<Utc>,
    except: &[i64],
    limit: i64,
) -> Result<Vec<i64>> {
    Ok(tickets::table
        .filter(tickets::closes_at.le(Some(Ts::from(now))))
        .filter(tickets::id.ne_all(except.to_vec()))
        .order(tickets::closes_at)
        .limit(limit)
        .select(tickets::id)
        .load(conn)?)
}

/// When the next warning, breach, status update or closing is to be noticed, if any.
pub fn find_next_notice_at(conn: &mut Db) -> Result<Option<Ts>> {
    use diesel::dsl::min;
    let notice: Option<Ts> = clocks::table
        .filter(clocks::next_notice_at.is_not_null())
        .select(min(clocks::next_notice_at))
        .first(conn)?;
    let closing: Option<Ts> = tickets::table
        .filter(tickets::closes_at.is_not_null())
        .select(min(tickets::closes_at))
        .first(conn)?;
    let update: Option<Ts> = tickets::table
        .filter(tickets::status_update_at.is_not_null())
        .select(min(tickets::status_update_at))
        .first(conn)?;
    Ok(notice.into_iter().chain(closing).chain(update).min())
}

pub fn list_events(
    conn: &mut Db,
    ticket_id: i64,
    with_internal: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<EventRow>> {
    let mut query = ticket_events::table
        .filter(
            ticket_events::ticket_id
                .eq(ticket_id)
                .and(ticket_events::id.gt(after)),
        )
        .order(ticket_events::id)
        .limit(limit)
        .select(EventRow::as_select())
        .into_boxed::<MultiBackend>();
    if !with_internal {
        query = query.filter(ticket_events::internal.eq(false));
    }
    Ok(query.load(conn)?)
}

/// Whether the asker had the last word: they wrote or reopened, and the centre has not spoken to them since.
pub fn asker_had_last_word(conn: &mut Db, ticket_id: i64) -> Result<bool> {
    let turns = [
        EventKind::MessagePosted,
        EventKind::Waiting,
        EventKind::Resolved,
        EventKind::Reopened,
    ];
    let last: Option<(EventKind, ActorKind)> = ticket_events::table
        .filter(
            ticket_events::ticket_id
                .eq(ticket_id)
                .and(ticket_events::kind.eq_any(turns)),
        )
        .order(ticket_events::id.desc())
        .select((ticket_events::kind, ticket_events::actor_kind))
        .first(conn)
        .optional()?;
    Ok(last.is_some_and(|(_, actor)| actor == ActorKind::Client))
}

/// What a ticket's events of one kind say, oldest first.
pub fn list_event_data(conn: &mut Db, ticket_id: i64, kind: EventKind) -> Result<Vec<Json>> {
    Ok(ticket_events::table
        .filter(
            ticket_events::ticket_id
                .eq(ticket_id)
                .and(ticket_events::kind.eq(kind)),
        )
        .order(ticket_events::id)
        .select(ticket_events::data)
        .load(conn)?)
}

pub fn list_messages(
    conn: &mut Db,
    ticket_id: i64,
    internal: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<MessageRow>> {
    Ok(messages::table
        .filter(
            messages::ticket_id
                .eq(ticket_id)
                .and(messages::internal.eq(internal))
                .and(messages::id.gt(after)),
        )
        .order(messages::id)
        .limit(limit)
        .select(MessageRow::as_select())
        .load(conn)?)
}

/// The newest of a ticket's public messages, oldest first.
pub fn list_latest_messages(conn: &mut Db, ticket_id: i64, limit: i64) -> Result<Vec<MessageRow>> {
    let mut rows: Vec<MessageRow> = messages::table
        .filter(
            messages::ticket_id
                .eq(ticket_id)
                .and(messages::internal.eq(false)),
        )
        .order(messages::id.desc())
        .limit(limit)
        .select(MessageRow::as_select())
        .load(conn)?;
    rows.reverse();
    Ok(rows)
}

/// An error for a ticket row that must exist.
pub fn vanished(id: i64) -> Error {
    Error::internal("a locked ticket vanished", id)
}
