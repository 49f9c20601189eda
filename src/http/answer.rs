//! Answers that may be stored and given again, and the transaction around every POST.
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;

use super::extract::Call;
use crate::error::{Error, Result};
use crate::idempotency::{self, Answer};
use crate::store::Db;
use crate::tx::{Desk, Tx};

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
    let work = move |conn: &mut Db| {
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

/// An answer that shows a secret, and what is kept of it for repetitions: the same without the secret.
pub struct Revealing {
    pub shown: Answer,
    pub kept: Answer,
}

/// As `write_once` where the answer shows a secret: the database never has it, a repetition gets null in its place.
pub async fn reveal_once(
    call: &Call,
    body: &[u8],
    operation: impl FnOnce(&mut Tx<'_>) -> Result<Revealing> + Send + 'static,
) -> Result<HttpResponse> {
    let key = call.key(body);
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let work = move |conn: &mut Db| {
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

/// Of an answer with a secret: no cache keeps it (RFC 9111, section 5.2.2.5).
pub fn no_store(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
