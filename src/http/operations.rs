//! `/tickets/{id}/<operation>` and `/queues/{id}/next`: one handler per operation of the lifecycle.
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use validator::Validate;

use super::answer::{empty, write_once};
use super::extract::{Body, Call};
use super::messages::said_answer;
use super::tickets::ticket_answer;
use super::wire::{Line, Prose};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::tickets::acts::{Act, Done};
use crate::tickets::lifecycle::Outcome;
use crate::tickets::operations;
use crate::tickets::view;
use crate::tx::Tx;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct OptionalReason {
    #[validate(length(min = 1, max = 1000))]
    reason: Option<Prose>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct AssignTicket {
    #[validate(length(min = 1, max = 254))]
    assignee: Line,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct TransferTicket {
    #[validate(length(min = 1, max = 100))]
    queue: Line,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct WaitTicket {
    #[validate(length(min = 1, max = 20_000))]
    message: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ResolveTicket {
    outcome: Outcome,
    #[validate(length(min = 1, max = 20_000))]
    message: Prose,
    #[validate(length(min = 1, max = 200))]
    referred_to: Option<Line>,
}

impl From<AssignTicket> for Act {
    fn from(given: AssignTicket) -> Self {
        Act::Assign {
            assignee: given.assignee.0,
        }
    }
}

impl From<TransferTicket> for Act {
    fn from(given: TransferTicket) -> Self {
        Act::Transfer {
            queue: given.queue.0,
            reason: given.reason.0,
        }
    }
}

impl From<WaitTicket> for Act {
    fn from(given: WaitTicket) -> Self {
        Act::Wait {
            message: given.message.0,
        }
    }
}

impl From<ResolveTicket> for Act {
    fn from(given: ResolveTicket) -> Self {
        Act::Resolve {
            outcome: given.outcome,
            message: given.message.0,
            referred_to: given.referred_to.map(|agency| agency.0),
        }
    }
}

impl OptionalReason {
    pub(super) fn text(self) -> Option<String> {
        self.reason.map(|reason| reason.0)
    }
}

impl Reason {
    pub(super) fn text(self) -> String {
        self.reason.0
    }
}

/// Do this to the ticket, and answer with it as it is then, or with what was said.
pub(super) fn carry_out(tx: &mut Tx<'_>, id: &str, versions: Option<&[i64]>, act: &Act) -> Result<Answer> {
    operations::require_version(tx, id, versions)?;
    match act.carry_out(tx, id)? {
        Done::Ticket(ticket_id) => {
            let view = view::get_view(tx.conn, tx.desk, ticket_id, tx.now)?;
            ticket_answer(200, &view, tx.desk, tx.principal, tx.now)
        }
        Done::Said(said) => said_answer(id, said),
    }
}

/// Once, under `If-Match`.
pub(super) async fn operate(
    call: Call,
    id: web::Path<String>,
    body: &[u8],
    act: Act,
) -> Result<HttpResponse> {
    let versions = call.if_match.clone();
    write_once(&call, body, move |tx| {
        carry_out(tx, &id, versions.as_deref(), &act)
    })
    .await
}

pub async fn claim_next(call: Call, id: web::Path<String>, body: Body<Nothing>) -> Result<HttpResponse> {
    write_once(&call, &body.bytes, move |tx| {
        let Some(ticket_id) = operations::claim_next(tx, &id)? else {
            return Ok(empty(204));
        };
        let view = view::get_view(tx.conn, tx.desk, ticket_id, tx.now)?;
        ticket_answer(200, &view, tx.desk, tx.principal, tx.now)
    })
    .await
}

pub async fn claim_ticket(call: Call, id: web::Path<String>, body: Body<Nothing>) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, Act::Claim).await
}

pub async fn assign_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<AssignTicket>,
) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, body.value.into()).await
}

pub async fn release_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<OptionalReason>,
) -> Result<HttpResponse> {
    let reason = body.value.text();
    operate(call, id, &body.bytes, Act::Release { reason }).await
}

pub async fn transfer_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<TransferTicket>,
) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, body.value.into()).await
}

pub async fn wait_ticket(call: Call, id: web::Path<String>, body: Body<WaitTicket>) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, body.value.into()).await
}

pub async fn resume_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<OptionalReason>,
) -> Result<HttpResponse> {
    let reason = body.value.text();
    operate(call, id, &body.bytes, Act::Resume { reason }).await
}

pub async fn resolve_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<ResolveTicket>,
) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, body.value.into()).await
}

pub async fn close_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<OptionalReason>,
) -> Result<HttpResponse> {
    let reason = body.value.text();
    operate(call, id, &body.bytes, Act::Close { reason }).await
}

pub async fn reopen_ticket(call: Call, id: web::Path<String>, body: Body<Reason>) -> Result<HttpResponse> {
    let reason = body.value.text();
    operate(call, id, &body.bytes, Act::Reopen { reason }).await
}

pub async fn cancel_ticket(call: Call, id: web::Path<String>, body: Body<Reason>) -> Result<HttpResponse> {
    let reason = body.value.text();
    operate(call, id, &body.bytes, Act::Cancel { reason }).await
}
