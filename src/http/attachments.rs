//! `/attachments` and `/tickets/{id}/attachments`: files in, and what is known of them; out they go in `downloads`.
//!
//! A file comes as `multipart/form-data` with one part, `file`, and is never whole in memory.
use actix_multipart::{Multipart, MultipartError};
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use serde::Serialize;

use super::answer::{self, etag, unless_known};
use super::extract::{Call, announced_length};
use super::params::page_parameters;
use super::wire::{self, WireInstant};
use crate::attachments::upload::{self, Received, Reception};
use crate::attachments::{self, Attachment, OwnTicket, sweep};
use crate::error::{Error, FieldCode, Result};
use crate::idempotency::Answer;
use crate::identity::access::Action;
use crate::store::{Db, Uid};
use crate::tickets::{messages, operations};
use crate::tx::Tx;

/// A file as tickets and messages show it.
#[derive(Serialize)]
pub struct FileOut {
    id: Uid,
    name: String,
    media_type: String,
    bytes: i64,
    sha256: String,
    created_at: WireInstant,
}

impl From<&Attachment> for FileOut {
    fn from(file: &Attachment) -> Self {
        FileOut {
            id: file.uid,
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            bytes: file.bytes,
            sha256: file.sha256.clone(),
            created_at: file.created_at.into(),
        }
    }
}

impl FileOut {
    /// The ticket's own files; those of messages and notes are shown with these.
    pub fn of_ticket(files: &[Attachment]) -> Vec<FileOut> {
        let own = files
            .iter()
            .filter(|file| file.message_id.is_none() && !file.internal);
        own.map(FileOut::from).collect()
    }
}

#[derive(Serialize)]
struct TicketReference {
    id: Uid,
    number: String,
}

#[derive(Serialize)]
struct AttachmentOut {
    #[serde(flatten)]
    file: FileOut,
    /// Null until it is used.
    ticket: Option<TicketReference>,
    internal: bool,
}

impl AttachmentOut {
    fn new(file: &Attachment, ticket: Option<&OwnTicket>) -> AttachmentOut {
        AttachmentOut {
            file: file.into(),
            ticket: ticket.map(|ticket| TicketReference {
                id: ticket.uid,
                number: ticket.number.clone(),
            }),
            internal: file.internal,
        }
    }
}

fn attachment_answer(conn: &mut Db, status: u16, file: &Attachment) -> Result<Answer> {
    let mut headers = vec![(ETAG.to_string(), etag(file.version()))];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/attachments/{}", file.uid)));
    }
    let ticket = attachments::ticket_of(conn, file)?;
    answer::json(status, headers, &AttachmentOut::new(file, ticket.as_ref()))
}

pub async fn upload_attachment(call: Call, request: HttpRequest, body: web::Payload) -> Result<HttpResponse> {
    let finish = |tx: &mut Tx<'_>, received: &Received| upload::make_known(tx.conn, received, tx.now);
    receive(call, request.headers().clone(), body, finish).await
}

pub async fn attach_file(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let id = id.into_inner();
    // Before the bytes are taken in: most refusals are known by then.
    let (desk, principal, wanted) = (call.app.desk.clone(), call.principal.clone(), id.clone());
    let ask = move |conn: &mut Db| {
        operations::get_for_reading(conn, &desk, &principal, &wanted, Action::PostMessage).map(drop)
    };
    call.app.store.read(ask).await?;
    let seen = call.if_match.clone();
    let finish = move |tx: &mut Tx<'_>, received: &Received| {
        operations::require_version(tx, &id, seen.as_deref())?;
        upload::make_known(tx.conn, received, tx.now)?;
        messages::attach_file(tx, &id, received.uid.0)
    };
    receive(call, request.headers().clone(), body, finish).await
}

/// What stands around a file in its form, at most: boundaries, the headers of the part, a long name.
const WRAPPING: u64 = 64 << 10;

/// As a task of its own: a request whose client goes away is dropped, and what it has begun must be taken away.
async fn receive(
    call: Call,
    headers: HeaderMap,
    body: web::Payload,
    finish: impl FnOnce(&mut Tx<'_>, &Received) -> Result<Attachment> + Send + 'static,
) -> Result<HttpResponse> {
    actix_web::rt::spawn(receive_whole(call, headers, body, finish))
        .await
        .map_err(|panicked| Error::internal("an upload panicked", panicked))?
}

async fn receive_whole(
    call: Call,
    headers: HeaderMap,
    body: web::Payload,
    finish: impl FnOnce(&mut Tx<'_>, &Received) -> Result<Attachment> + Send + 'static,
) -> Result<HttpResponse> {
    expect_form(&headers, call.app.config.attachments.max_bytes)?;
    let received = take_part(&call, Multipart::new(&headers, body)).await?;
    // What was sent is its bytes and its name; the boundary between the parts differs each time.
    let key = call.key(format!("{}\n{}", received.sha256, received.name).as_bytes());
    let known = received.clone();
    let keep = move |tx: &mut Tx<'_>| {
        let file = finish(tx, &known)?;
        attachment_answer(tx.conn, 201, &file)
    };
    let outcome = answer::run_once(&call, key, keep).await;
    let is_kept = match &outcome {
        Ok(answer) => !answer.replayed,
        // It may have been committed; what was not, the sweep finds.
        Err(Error::OutcomeUnknown { .. }) => true,
        Err(_) => false,
    };
    if !is_kept {
        sweep::discard(&call.app.store, &call.app.vault, received.uid, call.now).await;
    }
    answer::send(outcome?)
}

/// Refuse what is no form, and what says that it is larger than a file may be.
fn expect_form(headers: &HeaderMap, most: u64) -> Result<()> {
    let label = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let label = label.and_then(|value| value.split(';').next());
    if !label.is_some_and(|label| label.trim().eq_ignore_ascii_case("multipart/form-data")) {
        return Err(Error::UnsupportedMediaType {
            expected: "multipart/form-data",
        });
    }
    if announced_length(headers).is_some_and(|length| length > most.saturating_add(WRAPPING)) {
        let limit = usize::try_from(most).unwrap_or(usize::MAX);
        return Err(Error::BodyTooLarge { limit });
    }
    Ok(())
}

/// The only part of the form, which must be called `file`.
async fn take_part(call: &Call, mut form: Multipart) -> Result<Received> {
    let owner = call.principal.owner().ok_or(Error::Forbidden)?;
    let part = match form.next().await {
        Some(part) => part.map_err(unreadable)?,
        None => return Err(Error::invalid_pointer("/file", FieldCode::Required)),
    };
    let field = part.name().unwrap_or_default().to_owned();
    if field != "file" {
        return Err(Error::invalid_pointer(
            &format!("/{field}"),
            FieldCode::UnknownField,
        ));
    }
    let disposition = part.content_disposition();
    let name = disposition
        .and_then(|said| said.get_filename())
        .unwrap_or_default()
        .to_owned();
    let app = &call.app;
    let reception = Reception {
        store: &app.store,
        vault: &app.vault,
        settings: &app.config.attachments,
        owner,
        now: call.now,
    };
    // Fused: a part may not be asked again behind its end.
    let pieces = part.map(|piece| piece.map_err(unreadable)).fuse();
    let received = reception.receive(&name, pieces).await?;
    match form.next().await {
        None => Ok(received),
        Some(further) => {
            sweep::discard(&app.store, &app.vault, received.uid, call.now).await;
            Err(match further {
                Ok(_) => Error::invalid_pointer("/file", FieldCode::Duplicate),
                Err(cause) => unreadable(cause),
            })
        }
    }
}

fn unreadable(cause: MultipartError) -> Error {
    match cause {
        MultipartError::ContentTypeMissing
        | MultipartError::ContentTypeParse
        | MultipartError::ContentTypeIncompatible => Error::UnsupportedMediaType {
            expected: "multipart/form-data",
        },
        cause => Error::Malformed {
            reason: cause.to_string(),
        },
    }
}

pub async fn show_attachment(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work = move |conn: &mut Db| {
        let file = attachments::get(conn, &desk, &principal, &id)?;
        attachment_answer(conn, 200, &file)
    };
    let answer = call.app.store.read(work).await?;
    answer::send(unless_known(answer, call.if_none_match.as_deref()))
}

pub async fn delete_attachment(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    answer::remove(&call, move |tx| attachments::delete(tx, &id, seen.as_deref())).await
}

pub async fn list_attachments(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work = move |conn: &mut Db| attachments::list(conn, &desk, &principal, &id, cursor.as_deref(), limit);
    let (ticket, page) = call.app.store.read_snapshot(work).await?;
    let page = page.map(|file| AttachmentOut::new(&file, Some(&ticket)));
    wire::list(&call, request.query_string(), page)
}
