//! `/tickets/{id}/<operation>` and `/queues/{id}/next`: one handler per operation of the lifecycle.
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use validator::Validate;

use super::answer::{empty, write_once};
use super::extract::{Body, Call};
use super::tickets::ticket_answer;
use super::wire::{Line, Prose};
use crate::error::Result;
use crate::tickets::lifecycle::Outcome;
use crate::tickets::operations::{self, Resolution};
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

/// Run an operation on a ticket once, under `If-Match`, and answer with the ticket as it is then.
pub(super) async fn operate(
    call: Call,
    id: String,
    body: &[u8],
    operation: impl FnOnce(&mut Tx<'_>, &str) -> Result<i64> + Send + 'static,
) -> Result<HttpResponse> {
    let versions = call.if_match.clone();
    write_once(&call, body, move |tx| {
        operations::require_version(tx, &id, versions.as_deref())?;
        let ticket_id = operation(tx, &id)?;
        let view = view::get_view(tx.conn, tx.desk, ticket_id, tx.now)?;
        ticket_answer(200, &view, tx.desk, tx.principal, tx.now)
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
    operate(call, id.into_inner(), &body.bytes, operations::claim).await
}

pub async fn assign_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<AssignTicket>,
) -> Result<HttpResponse> {
    let assignee = body.value.assignee.0;
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::assign(tx, id, &assignee)
    })
    .await
}

pub async fn release_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<OptionalReason>,
) -> Result<HttpResponse> {
    let reason = body.value.reason.map(|reason| reason.0);
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::release(tx, id, reason.as_deref())
    })
    .await
}

pub async fn transfer_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<TransferTicket>,
) -> Result<HttpResponse> {
    let TransferTicket { queue, reason } = body.value;
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::transfer(tx, id, &queue.0, &reason.0)
    })
    .await
}

pub async fn wait_ticket(call: Call, id: web::Path<String>, body: Body<WaitTicket>) -> Result<HttpResponse> {
    let message = body.value.message.0;
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::wait(tx, id, &message)
    })
    .await
}

pub async fn resume_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<OptionalReason>,
) -> Result<HttpResponse> {
    let reason = body.value.reason.map(|reason| reason.0);
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::resume(tx, id, reason.as_deref())
    })
    .await
}

pub async fn resolve_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<ResolveTicket>,
) -> Result<HttpResponse> {
    let ResolveTicket {
        outcome,
        message,
        referred_to,
    } = body.value;
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        let referred_to = referred_to.as_ref().map(|agency| agency.0.as_str());
        operations::resolve(
            tx,
            id,
            &Resolution {
                outcome,
                message: &message.0,
                referred_to,
            },
        )
    })
    .await
}

pub async fn close_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<OptionalReason>,
) -> Result<HttpResponse> {
    let reason = body.value.reason.map(|reason| reason.0);
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::close(tx, id, reason.as_deref())
    })
    .await
}

pub async fn reopen_ticket(call: Call, id: web::Path<String>, body: Body<Reason>) -> Result<HttpResponse> {
    let reason = body.value.reason.0;
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::reopen(tx, id, &reason)
    })
    .await
}

pub async fn cancel_ticket(call: Call, id: web::Path<String>, body: Body<Reason>) -> Result<HttpResponse> {
    let reason = body.value.reason.0;
    operate(call, id.into_inner(), &body.bytes, move |tx, id| {
        operations::cancel(tx, id, &reason)
    })
    .await
}
