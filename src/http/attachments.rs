//! `/attachments` and `/tickets/{id}/attachments`: files in, files out.
//!
//! A file comes as `multipart/form-data` with one part, `file`, and is never whole in memory. What goes out may not be
//! taken for a page: its type is the one found in its bytes, it is always to be saved, and it runs nothing.
use std::ops::Range;

use actix_multipart::{Multipart, MultipartError};
use actix_web::body::SizedStream;
use actix_web::http::header::{CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::answer::{self, etag, matches_etag};
use super::extract::{Call, announced_length};
use super::params::page_parameters;
use super::wire::{self, WireInstant};
use crate::attachments::sniff::FileType;
use crate::attachments::upload::{self, Received, Reception};
use crate::attachments::{self, Attachment, sweep};
use crate::error::{Error, FieldCode, Result};
use crate::idempotency::{self, Answer};
use crate::identity::access::Action;
use crate::identity::standing;
use crate::store::page::Page;
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
    fn read(conn: &mut Db, file: &Attachment) -> Result<AttachmentOut> {
        let ticket = match file.ticket_id {
            Some(id) => attachments::db::find_ticket_of(conn, id)?,
            None => None,
        };
        Ok(AttachmentOut {
            file: file.into(),
            ticket: ticket.map(|(id, number)| TicketReference { id, number }),
            internal: file.internal,
        })
    }
}

/// The answer about a file changes once, when it is used.
fn version(file: &Attachment) -> i64 {
    if file.ticket_id.is_some() { 2 } else { 1 }
}

fn attachment_answer(conn: &mut Db, status: u16, file: &Attachment) -> Result<Answer> {
    let mut headers = vec![(ETAG.to_string(), etag(version(file)))];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/attachments/{}", file.uid)));
    }
    answer::json(status, headers, &AttachmentOut::read(conn, file)?)
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
    let is_form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = is_form.and_then(|value| value.split(';').next());
    if !is_form.is_some_and(|label| label.trim().eq_ignore_ascii_case("multipart/form-data")) {
        return Err(Error::UnsupportedMediaType {
            expected: "multipart/form-data",
        });
    }
    let most = call.app.config.attachments.max_bytes;
    if announced_length(&headers).is_some_and(|length| length > most.saturating_add(WRAPPING)) {
        let limit = usize::try_from(most).unwrap_or(usize::MAX);
        return Err(Error::BodyTooLarge { limit });
    }
    let received = take_part(&call, Multipart::new(&headers, body)).await?;
    // What was sent is its bytes and its name; the boundary between the parts differs each time.
    let key = call.key(format!("{}\n{}", received.sha256, received.name).as_bytes());
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let (known, action) = (received.clone(), call.action);
    let work = move |conn: &mut Db| {
        let principal = standing::admit(conn, &principal, action)?;
        idempotency::once(conn, key.as_ref(), now, |conn| {
            let mut tx = Tx {
                conn,
                principal: &principal,
                now,
                desk: &desk,
            };
            let file = finish(&mut tx, &known)?;
            attachment_answer(tx.conn, 201, &file)
        })
    };
    let outcome = call.app.store.write(work).await;
    let is_kept = match &outcome {
        Ok(answer) => !answer.replayed,
        // It may have been committed; what was not, the sweep finds.
        Err(Error::OutcomeUnknown { .. }) => true,
        Err(_) => false,
    };
    if !is_kept {
        sweep::discard(&call.app.store, &call.app.vault, received.uid, now).await;
    }
    answer::send(outcome?)
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
    let known = call.if_none_match.clone();
    let work = move |conn: &mut Db| {
        let file = attachments::get(conn, &desk, &principal, &id)?;
        if known.is_some_and(|known| matches_etag(&known, &etag(version(&file)))) {
            return Ok(Answer {
                headers: vec![(ETAG.to_string(), etag(version(&file)))],
                ..answer::empty(304)
            });
        }
        attachment_answer(conn, 200, &file)
    };
    answer::send(call.app.store.read(work).await?)
}

pub async fn delete_attachment(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let work = move |conn: &mut Db| {
        let mut tx = Tx {
            conn,
            principal: &principal,
            now,
            desk: &desk,
        };
        let file = attachments::get(tx.conn, tx.desk, tx.principal, &id)?;
        if seen.is_some_and(|seen| !seen.contains(&version(&file))) {
            return Err(Error::PreconditionFailed);
        }
        attachments::delete(&mut tx, &id)
    };
    call.app.store.write(work).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub async fn list_attachments(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work = move |conn: &mut Db| {
        let page = attachments::list(conn, &desk, &principal, &id, cursor.as_deref(), limit)?;
        let shown: Result<Vec<_>> = page
            .items
            .iter()
            .map(|file| AttachmentOut::read(conn, file))
            .collect();
        Ok(Page {
            items: shown?,
            next_cursor: page.next_cursor,
        })
    };
    let page = call.app.store.read_snapshot(work).await?;
    wire::list(&call, request.query_string(), page)
}

pub async fn download_attachment(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (desk, principal) = (call.app.desk.clone(), call.principal.clone());
    let work = move |conn: &mut Db| attachments::get(conn, &desk, &principal, &id);
    let file = call.app.store.read(work).await?;
    let tag = format!("\"{}\"", file.sha256);
    let size = u64::try_from(file.bytes).unwrap_or_default();
    if call
        .if_none_match
        .as_deref()
        .is_some_and(|known| matches_etag(known, &tag))
    {
        let mut unchanged = HttpResponse::NotModified();
        return Ok(unchanged.insert_header((ETAG, tag)).finish());
    }
    let (status, part) = match asked_part(request.headers(), &tag, size) {
        Part::Whole => (200, None),
        Part::Range(range) => (206, Some(range)),
        Part::Unsatisfiable => return Err(Error::RangeNotSatisfiable { size }),
    };
    let length = part.as_ref().map_or(size, |part| part.end - part.start);
    let content = call.app.vault.read(file.uid, size, part.clone()).await?;
    let mut response = download(status, &file, &tag);
    if let Some(part) = part {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        response.insert_header(("Content-Range", range));
    }
    let uid = file.uid;
    // Status and length are gone by then: all that can be done is to break off and say so here.
    let content = content.inspect_err(
        move |cause| tracing::error!(attachment = %uid, %cause, "a file could not be sent whole"),
    );
    Ok(response.body(SizedStream::new(length, content)))
}

fn download(status: u16, file: &Attachment, tag: &str) -> HttpResponseBuilder {
    let mut response = match status {
        206 => HttpResponse::PartialContent(),
        _ => HttpResponse::Ok(),
    };
    let media_type = FileType::of_media_type(&file.media_type).map(FileType::served_as);
    response
        .content_type(media_type.unwrap_or("application/octet-stream"))
        .insert_header(("Content-Disposition", disposition(&file.name)))
        .insert_header(("Content-Security-Policy", "sandbox; default-src 'none'"))
        .insert_header(("Cache-Control", "private"))
        .insert_header(("Accept-Ranges", "bytes"))
        // Compressed on the way it would be other bytes than those of the tag and the length. `context` takes it off.
        .insert_header(("Content-Encoding", "identity"))
        .insert_header((ETAG, tag.to_owned()));
    response
}

/// RFC 6266 with the name as RFC 8187 writes it; every byte that is no `attr-char` is encoded, so that no name can end
/// the header or its parameter. Before it, for programs that do not know that form (curl does not), the name in ASCII
/// (section 4.3 and appendix D).
fn disposition(name: &str) -> String {
    let mut encoded = String::with_capacity(3 * name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!(
        "attachment; filename=\"{}\"; filename*=UTF-8''{encoded}",
        plain_name(name)
    )
}

/// The name without marks; for what has no letter in ASCII, and what readers of such a name read differently, a line.
fn plain_name(name: &str) -> String {
    let letters = name.nfd().filter(|letter| !is_combining_mark(*letter));
    let plain = letters.map(|letter| match letter {
        'đ' => 'd',
        'Đ' => 'D',
        '"' | '\\' | '%' | '/' => '_',
        ' '..='~' => letter,
        _ => '_',
    });
    plain.collect()
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Range(Range<u64>),
    Unsatisfiable,
}

/// RFC 9110, section 14.2: one range of bytes. Several, and what cannot be read, are answered with the whole.
pub(super) fn asked_part(headers: &HeaderMap, tag: &str, size: u64) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // A range of another version is none of this one (section 13.1.5).
    let is_other = headers.contains_key(IF_RANGE) && text(IF_RANGE) != Some(tag);
    let Some(range) = text(RANGE).filter(|_| !is_other) else {
        return Part::Whole;
    };
    let bounds = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let (first, last) = match bounds {
        Some((first, last)) if !last.contains(',') => (first.trim(), last.trim()),
        _ => return Part::Whole,
    };
    let number = |text: &str| text.parse::<u64>().ok();
    let (start, end) = match (first, last) {
        ("", last) => match number(last) {
            Some(0) => return Part::Unsatisfiable,
            Some(length) => (size.saturating_sub(length), size),
            None => return Part::Whole,
        },
        (first, "") => match number(first) {
            Some(first) => (first, size),
            None => return Part::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(size)),
            _ => return Part::Whole,
        },
    };
    match start < size {
        true => Part::Range(start..end),
        false => Part::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_name_cannot_leave_its_parameter() {
        assert_eq!(
            disposition("Công văn \"1\".pdf"),
            "attachment; filename=\"Cong van _1_.pdf\"; filename*=UTF-8''C%C3%B4ng%20v%C4%83n%20%221%22.pdf"
        );
        assert_eq!(
            disposition("a;b\r\nX: y"),
            "attachment; filename=\"a;b__X: y\"; filename*=UTF-8''a%3Bb%0D%0AX%3A%20y"
        );
        assert_eq!(plain_name("Đường %41\\文.txt"), "Duong _41__.txt");
    }

    #[test]
    fn one_range_is_served_and_everything_else_is_the_whole() {
        for (range, part) in [
            ("bytes=0-9", Part::Range(0..10)),
            ("bytes=90-", Part::Range(90..100)),
            ("bytes=90-1000", Part::Range(90..100)),
            ("bytes=-10", Part::Range(90..100)),
            ("bytes=-1000", Part::Range(0..100)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=5-1", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=x-", Part::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_static(range));
            assert_eq!(asked_part(&headers, "\"t\"", 100), part, "{range}");
            headers.insert(IF_RANGE, HeaderValue::from_static("\"other\""));
            assert_eq!(asked_part(&headers, "\"t\"", 100), Part::Whole);
        }
    }
}
