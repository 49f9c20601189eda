//! `/deliveries`: what was, will be or could not be sent.
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::answer::{self, write_once};
use super::extract::{Body, Call};
use super::operations::Nothing;
use super::params::Params;
use super::wire::{self, WireInstant};
use crate::error::{Error, FieldCode, Result};
use crate::language::Language;
use crate::notifications::db::{DeliveryState, DeliveryView};
use crate::notifications::outbox;
use crate::notifications::templates::MailKind;
use crate::store::{Db, Uid};
use crate::tickets;

#[derive(Serialize)]
struct TicketReference {
    id: Uid,
    number: String,
}

#[derive(Serialize)]
struct DeliveryOut {
    id: Uid,
    channel: String,
    kind: MailKind,
    recipient: String,
    language: Language,
    ticket: TicketReference,
    state: DeliveryState,
    attempts: i32,
    next_attempt_at: Option<WireInstant>,
    last_error: Option<String>,
    message_id: String,
    created_at: WireInstant,
    sent_at: Option<WireInstant>,
}

impl From<DeliveryView> for DeliveryOut {
    fn from(view: DeliveryView) -> Self {
        let row = view.delivery;
        DeliveryOut {
            id: row.uid,
            channel: row.channel,
            kind: row.kind,
            recipient: row.recipient,
            language: row.language,
            ticket: TicketReference {
                id: view.ticket_uid,
                number: view.ticket_number,
            },
            state: row.state,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at.map(Into::into),
            last_error: row.last_error,
            message_id: row.message_id,
            created_at: row.created_at.into(),
            sent_at: row.sent_at.map(Into::into),
        }
    }
}

pub async fn list_deliveries(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["state", "ticket", "limit", "cursor"]);
    let state = params.parsed("state", "pending, sent or dead", DeliveryState::parse);
    let ticket = params.text("ticket");
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let work = move |conn: &mut Db| {
        let ticket_id = match ticket {
            None => None,
            Some(id) => {
                let unknown = || Error::invalid_parameter("ticket", FieldCode::UnknownCode);
                Some(tickets::find_ticket_id(conn, &id)?.ok_or_else(unknown)?)
            }
        };
        outbox::list_deliveries(conn, state, ticket_id, cursor.as_deref(), limit)
    };
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(DeliveryOut::from))
}

pub async fn show_delivery(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let found = call
        .app
        .store
        .read(move |conn| outbox::get_delivery(conn, &id))
        .await?;
    answer::show(&call, &DeliveryOut::from(found))
}

pub async fn retry_delivery(call: Call, id: web::Path<String>, body: Body<Nothing>) -> Result<HttpResponse> {
    write_once(&call, &body.bytes, move |tx| {
        let retried = outbox::retry_delivery(tx.conn, &id, tx.now)?;
        answer::json(200, Vec::new(), &DeliveryOut::from(retried))
    })
    .await
}
