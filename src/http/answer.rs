//! Answers that may be stored and given again, and the transaction around every POST.
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::extract::Call;
use crate::error::{Error, Result};
use crate::idempotency::{self, Answer};
use crate::identity::standing;
use crate::store::Db;
use crate::tx::{Desk, Tx};

/// Of the digest in a tag.
pub const DIGEST_BYTES: usize = 8;

/// A JSON answer with these headers.
pub fn json(status: u16, headers: Vec<(String, String)>, body: &impl Serialize) -> Result<Answer> {
    let body =
        serde_json::to_string(body).map_err(|cause| Error::internal("an answer cannot be written", cause))?;
    Ok(Answer {
        status,
        headers,
        body,
        replayed: false,
    })
}

pub fn empty(status: u16) -> Answer {
    Answer {
        status,
        headers: Vec::new(),
        body: String::new(),
        replayed: false,
    }
}

/// The tag of a version (RFC 9110, section 8.8.3).
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// `If-None-Match` (RFC 9110, section 13.1.2): a list or `*`, compared weakly.
pub fn matches_etag(known: &str, own: &str) -> bool {
    known
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == own)
}

/// The tag of a thing that shows more than its own row, such as the name of another: its version, and a digest of what is
/// shown. `If-Match` compares the version only (`extract::versions_in`): nobody's change is refused because a name
/// beside it is another by now. `If-None-Match` compares all of it: nobody keeps what is not shown any more.
pub fn etag_of(version: i64, shown: &impl Serialize) -> Result<String> {
    let shown = serde_json::to_vec(shown).map_err(|cause| Error::internal("a tag cannot be made", cause))?;
    Ok(format!("\"{version}-{}\"", digest(&shown)))
}

fn digest(shown: &[u8]) -> String {
    HEXLOWER.encode(Sha256::digest(shown).get(..DIGEST_BYTES).unwrap_or_default())
}

/// The answer, or 304 to who has what it shows already.
pub fn unless_known(answer: Answer, known: Option<&str>) -> Answer {
    let tag = answer.headers.iter().find(|(name, _)| *name == ETAG.as_str());
    match tag {
        Some((_, tag)) if known.is_some_and(|known| matches_etag(known, tag)) => Answer {
            headers: vec![(ETAG.to_string(), tag.clone())],
            ..empty(304)
        },
        _ => answer,
    }
}

/// A small thing that has no version of its own, under a tag made of what it shows; 304 to who has that already.
pub fn show(call: &Call, body: &impl Serialize) -> Result<HttpResponse> {
    let mut answer = json(200, Vec::new(), body)?;
    let tag = format!("\"{}\"", digest(answer.body.as_bytes()));
    answer.headers.push((ETAG.to_string(), tag));
    send(unless_known(answer, call.if_none_match.as_deref()))
}

pub fn send(answer: Answer) -> Result<HttpResponse> {
    let status = StatusCode::from_u16(answer.status)
        .map_err(|cause| Error::internal("a stored answer has no valid status", cause))?;
    let mut response = HttpResponse::build(status);
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    if answer.replayed {
        response.insert_header(("Idempotency-Replayed", "true"));
    }
    if answer.body.is_empty() {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(answer.body))
}

/// Run a POST's operation once in a transaction of its own, or give the stored answer of its idempotency key.
pub async fn write_once(
    call: &Call,
    body: &[u8],
    operation: impl FnOnce(&mut Tx<'_>) -> Result<Answer> + Send + 'static,
) -> Result<HttpResponse> {
    let key = call.key(body);
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let action = call.action;
    let work = move |conn: &mut Db| {
        let principal = standing::admit(conn, &principal, action)?;
        idempotency::once(conn, key.as_ref(), now, |conn| {
            operation(&mut Tx {
                conn,
                principal: &principal,
                now,
                desk: &desk,
            })
        })
    };
    send(call.app.store.write(work).await?)
}

/// An answer that shows a secret, and the same without it, which is what may be stored.
pub struct Revealing {
    pub shown: Answer,
    pub kept: Answer,
}

/// As `write_once`, for what shows a secret: a repetition gets the first answer without it, so that no secret is ever
/// stored in clear, and a retried request never makes a second one.
pub async fn reveal_once(
    call: &Call,
    body: &[u8],
    operation: impl FnOnce(&mut Tx<'_>) -> Result<Revealing> + Send + 'static,
) -> Result<HttpResponse> {
    let key = call.key(body);
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let action = call.action;
    let work = move |conn: &mut Db| {
        let principal = standing::admit(conn, &principal, action)?;
        let mut shown = None;
        let kept = idempotency::once(conn, key.as_ref(), now, |conn| {
            let revealing = operation(&mut Tx {
                conn,
                principal: &principal,
                now,
                desk: &desk,
            })?;
            shown = Some(revealing.shown);
            Ok(revealing.kept)
        })?;
        Ok(shown.unwrap_or(kept))
    };
    send(call.app.store.write(work).await?).map(no_store)
}

/// A POST that only computes: without an idempotency key it needs no transaction, with one its answer is kept.
pub async fn compute_once<T: Serialize + Send + 'static>(
    call: &Call,
    body: &[u8],
    computation: impl FnOnce(&mut Db, &Desk) -> Result<T> + Send + 'static,
) -> Result<HttpResponse> {
    if call.idempotency_key.is_some() {
        return write_once(call, body, move |tx| {
            json(200, Vec::new(), &computation(tx.conn, tx.desk)?)
        })
        .await;
    }
    let desk = call.app.desk.clone();
    let answer = call
        .app
        .store
        .read(move |conn| json(200, Vec::new(), &computation(conn, &desk)?))
        .await?;
    send(answer)
}

/// Of an answer with a secret: no cache keeps it (RFC 9111, section 5.2.2.5).
pub fn no_store(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
