//! Answers that may be stored and given again, and the transaction around everything that writes.
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, EntityTag, HeaderValue};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::extract::Call;
use crate::error::{Error, Result};
use crate::idempotency::{self, Answer, Key};
use crate::identity::access::Action;
use crate::identity::{Principal, standing};
use crate::store::Db;
use crate::tx::{Desk, Tx};

/// Length of the digest in a tag: enough that two things that somebody holds never have the same by chance.
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
    let Ok(own) = own.parse::<EntityTag>() else {
        return false;
    };
    match known.trim() {
        "*" => true,
        list => tags_in(list).is_some_and(|tags| tags.iter().any(|tag| tag.weak_eq(&own))),
    }
}

/// A list of tags (RFC 9110, section 8.8.3), in which a comma may stand inside a tag; `None` where it is written otherwise.
pub fn tags_in(list: &str) -> Option<Vec<EntityTag>> {
    let mut tags = Vec::new();
    let mut rest = list.trim();
    loop {
        let weak = rest.strip_prefix("W/");
        let (opaque, after) = weak.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
        if !opaque.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        tags.push(EntityTag::new(weak.is_some(), opaque.to_owned()));
        let after = after.trim_start();
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return after.is_empty().then_some(tags),
        }
    }
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

/// 304 to who has what this tag names already. For what is dear to make; everything else is made, and goes through
/// `unless_known`.
pub fn unchanged(tag: &str, known: Option<&str>) -> Option<Answer> {
    let known = known.filter(|known| matches_etag(known, tag));
    known.map(|_| Answer {
        headers: vec![(ETAG.to_string(), tag.to_owned())],
        ..empty(304)
    })
}

/// The answer, or 304 to who has what it shows already.
pub fn unless_known(answer: Answer, known: Option<&str>) -> Answer {
    let tag = answer.headers.iter().find(|(name, _)| *name == ETAG.as_str());
    tag.and_then(|(_, tag)| unchanged(tag, known)).unwrap_or(answer)
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

/// Who writes, when, and under which idempotency key.
struct Writing {
    desk: Arc<Desk>,
    principal: Arc<Principal>,
    /// What the route is for.
    action: Action,
    now: DateTime<Utc>,
    key: Option<Key>,
}

impl Writing {
    fn of(call: &Call, key: Option<Key>) -> Writing {
        Writing {
            desk: call.app.desk.clone(),
            principal: call.principal.clone(),
            action: call.action,
            now: call.now,
            key,
        }
    }

    /// What every request does in its transaction: ask whether the caller may still do this, and as what, then carry the
    /// operation out, or give the stored answer of its key.
    fn once(&self, conn: &mut Db, operation: impl FnOnce(&mut Tx<'_>) -> Result<Answer>) -> Result<Answer> {
        let principal = standing::admit(conn, &self.principal, self.action)?;
        idempotency::once(conn, self.key.as_ref(), self.now, |conn| {
            operation(&mut Tx {
                conn,
                principal: &principal,
                now: self.now,
                desk: &self.desk,
            })
        })
    }
}

/// Run an operation once in a transaction of its own, for a caller that still stands; where the key has an answer
/// already, give that one.
pub async fn run_once(
    call: &Call,
    key: Option<Key>,
    operation: impl FnOnce(&mut Tx<'_>) -> Result<Answer> + Send + 'static,
) -> Result<Answer> {
    let writing = Writing::of(call, key);
    let work = move |conn: &mut Db| writing.once(conn, operation);
    call.app.store.write(work).await
}

/// A POST, PUT or PATCH, whose body is a part of what its idempotency key belongs to.
pub async fn write_once(
    call: &Call,
    body: &[u8],
    operation: impl FnOnce(&mut Tx<'_>) -> Result<Answer> + Send + 'static,
) -> Result<HttpResponse> {
    send(run_once(call, call.key(body), operation).await?)
}

/// A DELETE. It needs no key: what is gone is gone.
pub async fn remove(
    call: &Call,
    operation: impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static,
) -> Result<HttpResponse> {
    let removing = |tx: &mut Tx<'_>| operation(tx).map(|()| empty(204));
    send(run_once(call, None, removing).await?)
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
    let writing = Writing::of(call, call.key(body));
    let work = move |conn: &mut Db| {
        let mut shown = None;
        let kept = writing.once(conn, |tx| {
            let revealing = operation(tx)?;
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

/// An answer with a secret in it may be kept by no cache (RFC 9111, section 5.2.2.5).
pub fn no_store(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
