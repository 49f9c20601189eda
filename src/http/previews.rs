//! What previews of calendars and policies have in common: the version that was decided on, the page that is asked for, the
//! answer. Counted in a snapshot, not in a write transaction: it may take seconds, and questions are filed meanwhile.
use actix_web::HttpResponse;
use serde::Serialize;

use super::answer::{self, write_once};
use super::extract::Call;
use crate::error::{Error, FieldCode, Result};
use crate::store::page::{DEFAULT_LIMIT, MAX_LIMIT, decode_cursor, encode_cursor};
use crate::store::{Db, Uid};
use crate::tickets::clocks::Move;
use crate::tickets::recount::{MovedTicket, Preview, Proposal, Summary, preview};
use crate::tx::Desk;

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

/// Which page of the moved tickets; the cursor stands in the body here.
pub(super) struct PageIn {
    cursor: Option<String>,
    limit: i64,
}

impl PageIn {
    pub(super) fn new(cursor: Option<String>, limit: Option<i64>) -> PageIn {
        PageIn {
            cursor,
            limit: limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
        }
    }

    fn after(&self, question: &str) -> Result<Option<i64>> {
        let refused = |_| Error::invalid_pointer("/cursor", FieldCode::InvalidCursor);
        let cursor = self.cursor.as_deref();
        cursor
            .map(|cursor| decode_cursor(question, cursor).map_err(refused))
            .transpose()
    }
}

/// The versions that the caller decided on: in `If-Match`, in the body, or in both alike.
pub(super) fn expected_versions(call: &Call, base_version: Option<i64>) -> Result<Option<Vec<i64>>> {
    match (base_version, call.if_match.clone()) {
        (Some(base), Some(versions)) if !versions.contains(&base) => {
            Err(Error::invalid_pointer("/base_version", FieldCode::NotAllowed))
        }
        (Some(base), _) => Ok(Some(vec![base])),
        (None, versions) => Ok(versions),
    }
}

/// What a cursor belongs to: the version and the change that were asked about.
pub(super) fn question(asked: &impl Serialize) -> Result<String> {
    serde_json::to_string(asked).map_err(|cause| Error::internal("a change cannot be written", cause))
}

/// Answer with what a proposal would do. `propose` gives the version in force, the cursor's question, and the proposal.
pub(super) async fn answer(
    call: Call,
    body: &[u8],
    page: PageIn,
    propose: impl FnOnce(&mut Db, &Desk) -> Result<(i64, String, Proposal)> + Send + 'static,
) -> Result<HttpResponse> {
    let (now, desk) = (call.now, call.app.desk.clone());
    let work = move |conn: &mut Db| {
        let (base_version, question, proposal) = propose(conn, &desk)?;
        let after = page.after(&question)?;
        let told = preview(conn, &desk, &proposal, after, page.limit, now)?;
        answer::json(200, Vec::new(), &PreviewOut::new(base_version, &question, told)?)
    };
    let answer = call.app.store.read_snapshot(work).await?;
    match call.idempotency_key {
        Some(_) => write_once(&call, body, move |_| Ok(answer)).await,
        None => answer::send(answer),
    }
}
