//! Changing calendars: replace, change, and preview what a change would do.
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::answer::{self, write_once};
use super::calendars::{NameIn, calendar_answer};
use super::extract::{Body, Call};
use super::wire::{self, Line, Prose};
use crate::calendars::apply::{Application, apply_change, expect_version, propose};
use crate::calendars::{self, CalendarChange};
use crate::error::{Error, FieldCode, Result};
use crate::sla::calendar::{ExceptionSpec, PatternSpec};
use crate::store::page::{DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor};
use crate::store::{Db, Uid};
use crate::tickets::clocks::Move;
use crate::tickets::recount::{MovedTicket, Preview, Proposal, Summary, preview};

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCalendar {
    #[serde(default, deserialize_with = "wire::optional_object")]
    #[validate(nested)]
    name: Option<NameIn>,
    #[validate(length(min = 1, max = 64))]
    time_zone: Line,
    #[validate(length(min = 1, max = 200))]
    patterns: Vec<PatternSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    exceptions: Vec<ExceptionSpec>,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeCalendar {
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<Line>,
    #[validate(length(min = 1, max = 200))]
    patterns: Option<Vec<PatternSpec>>,
    #[validate(length(max = 10_000))]
    exceptions: Option<Vec<ExceptionSpec>>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    set_exceptions: Vec<ExceptionSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    remove_exceptions: Vec<String>,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct PreviewCalendar {
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<Line>,
    #[validate(length(min = 1, max = 200))]
    patterns: Option<Vec<PatternSpec>>,
    #[validate(length(max = 10_000))]
    exceptions: Option<Vec<ExceptionSpec>>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    set_exceptions: Vec<ExceptionSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    remove_exceptions: Vec<String>,
    base_version: Option<i64>,
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
    #[validate(range(min = 1, max = 200))]
    limit: Option<i64>,
}

#[derive(Serialize)]
struct PreviewOut {
    base_version: i64,
    summary: Option<Summary>,
    tickets: MovedTickets,
}

#[derive(Serialize)]
struct MovedTickets {
    items: Vec<MovedTicketOut>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct MovedTicketOut {
    id: Uid,
    number: String,
    clocks: Vec<Move>,
}

impl From<MovedTicket> for MovedTicketOut {
    fn from(ticket: MovedTicket) -> Self {
        MovedTicketOut {
            id: ticket.uid,
            number: ticket.number,
            clocks: ticket.clocks,
        }
    }
}

impl PreviewOut {
    /// `question` is what the cursor belongs to.
    fn new(base_version: i64, question: &str, preview: Preview) -> Result<PreviewOut> {
        let next_cursor = preview.next_after.map(|after| encode_cursor(question, &after));
        Ok(PreviewOut {
            base_version,
            summary: preview.summary,
            tickets: MovedTickets {
                items: preview.tickets.into_iter().map(MovedTicketOut::from).collect(),
                next_cursor: next_cursor.transpose()?,
            },
        })
    }
}

/// The cursor stands in the body here.
fn after_cursor(question: &str, cursor: Option<&str>) -> Result<Option<i64>> {
    let refused = |_| Error::invalid_pointer("/cursor", FieldCode::InvalidCursor);
    cursor
        .map(|cursor| decode_cursor(question, cursor).map_err(refused))
        .transpose()
}

pub async fn replace_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<ReplaceCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let change = CalendarChange {
        time_zone: Some(given.time_zone.0),
        patterns: Some(given.patterns),
        exceptions: Some(given.exceptions),
        ..CalendarChange::default()
    };
    let name = given.name.map(Into::into);
    apply(call, id.into_inner(), &body.bytes, change, name, given.reason).await
}

pub async fn change_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let change = CalendarChange {
        time_zone: given.time_zone.map(|zone| zone.0),
        patterns: given.patterns,
        exceptions: given.exceptions,
        set_exceptions: given.set_exceptions,
        remove_exceptions: given.remove_exceptions,
    };
    apply(call, id.into_inner(), &body.bytes, change, None, given.reason).await
}

async fn apply(
    call: Call,
    id: String,
    body: &[u8],
    mut change: CalendarChange,
    name: Option<calendars::Name>,
    reason: Prose,
) -> Result<HttpResponse> {
    let expected = call.required_versions()?;
    change.clean()?;
    let asked = Application {
        change,
        name,
        reason: reason.0,
        expected,
    };
    write_once(&call, body, move |tx| {
        calendar_answer(tx.now, apply_change(tx, &id, &asked)?)
    })
    .await
}

/// Counted in a snapshot, not in a write transaction: it may take seconds, and questions are filed meanwhile.
pub async fn preview_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<PreviewCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let expected = match (given.base_version, call.if_match.clone()) {
        (Some(base), Some(versions)) if !versions.contains(&base) => {
            return Err(Error::invalid_pointer("/base_version", FieldCode::NotAllowed));
        }
        (Some(base), _) => Some(vec![base]),
        (None, versions) => versions,
    };
    let mut change = CalendarChange {
        time_zone: given.time_zone.map(|zone| zone.0),
        patterns: given.patterns,
        exceptions: given.exceptions,
        set_exceptions: given.set_exceptions,
        remove_exceptions: given.remove_exceptions,
    };
    change.clean()?;
    let limit = given.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let (cursor, now, desk) = (given.cursor, call.now, call.app.desk.clone());
    let work = move |conn: &mut Db| {
        let record = calendars::get_calendar(conn, &id)?;
        expect_version(&record, expected.as_deref())?;
        let proposal = Proposal::Calendar {
            in_force: desk.rules.calendar(conn, record.version_id)?,
            proposed: propose(&record, &change, now)?,
        };
        let question = serde_json::to_string(&(&record.uid, record.version, &change))
            .map_err(|cause| Error::internal("a change cannot be written", cause))?;
        let after = after_cursor(&question, cursor.as_deref())?;
        let preview = preview(conn, &desk, &proposal, after, limit, now)?;
        let out = PreviewOut::new(record.version, &question, preview)?;
        answer::json(200, Vec::new(), &out)
    };
    let answer = call.app.store.read_snapshot(work).await?;
    match call.idempotency_key {
        Some(_) => write_once(&call, &body.bytes, move |_| Ok(answer)).await,
        None => answer::send(answer),
    }
}
