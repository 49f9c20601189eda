//! `/tickets/{id}/messages`, `/notes` and `/events`.
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use validator::Validate;

use super::answer;
use super::attachments::FileOut;
use super::extract::{Body, Call};
use super::operations::operate;
use super::params::page_parameters;
use super::wire::{self, Prose, WireInstant};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::identity::ActorKind;
use crate::store::{Db, Uid};
use crate::tickets::acts::{Act, Words};
use crate::tickets::db::EventRow;
use crate::tickets::history::EventKind;
use crate::tickets::messages::{self, Said};

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    #[validate(length(min = 1, max = 20_000))]
    body: Prose,
    #[validate(length(max = 20))]
    #[serde(default)]
    attachments: Vec<Uuid>,
}

#[derive(Serialize)]
struct Actor {
    kind: ActorKind,
    name: String,
}

#[derive(Serialize)]
struct MessageOut {
    id: Uid,
    author: Actor,
    body: String,
    attachments: Vec<FileOut>,
    created_at: WireInstant,
}

#[derive(Serialize)]
struct EventOut {
    id: Uid,
    kind: EventKind,
    at: WireInstant,
    actor: Actor,
    data: Value,
}

impl From<Said> for MessageOut {
    fn from(said: Said) -> Self {
        let row = said.message;
        MessageOut {
            id: row.uid,
            author: Actor {
                kind: row.author_kind,
                name: row.author_name,
            },
            body: row.body,
            attachments: said.attachments.iter().map(FileOut::from).collect(),
            created_at: row.created_at.into(),
        }
    }
}

impl From<EventRow> for EventOut {
    fn from(row: EventRow) -> Self {
        EventOut {
            id: row.uid,
            kind: row.kind,
            at: row.at.into(),
            actor: Actor {
                kind: row.actor_kind,
                name: row.actor_name,
            },
            data: row.data.0,
        }
    }
}

impl NewMessage {
    pub(super) fn words(self) -> Words {
        Words {
            text: self.body.0,
            files: self.attachments,
        }
    }
}

/// What was said, with its place.
pub(super) fn said_answer(id: &str, said: Said) -> Result<Answer> {
    let list = match said.message.internal {
        true => "notes",
        false => "messages",
    };
    let location = format!("/api/v1/tickets/{id}/{list}");
    answer::json(201, vec![("location".into(), location)], &MessageOut::from(said))
}

pub async fn post_message(call: Call, id: web::Path<String>, body: Body<NewMessage>) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, Act::Message(body.value.words())).await
}

pub async fn post_note(call: Call, id: web::Path<String>, body: Body<NewMessage>) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, Act::Note(body.value.words())).await
}

pub async fn list_messages(call: Call, id: web::Path<String>, request: HttpRequest) -> Result<HttpResponse> {
    list_said(call, id.into_inner(), &request, false).await
}

pub async fn list_notes(call: Call, id: web::Path<String>, request: HttpRequest) -> Result<HttpResponse> {
    list_said(call, id.into_inner(), &request, true).await
}

async fn list_said(call: Call, id: String, request: &HttpRequest, internal: bool) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(request)?;
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work = move |conn: &mut Db| {
        messages::list_messages(conn, &desk, &principal, &id, internal, cursor.as_deref(), limit)
    };
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(MessageOut::from))
}

pub async fn list_events(call: Call, id: web::Path<String>, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work =
        move |conn: &mut Db| messages::list_events(conn, &desk, &principal, &id, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(EventOut::from))
}
