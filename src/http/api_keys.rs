//! `/api-clients/{id}/keys` and `/me/key/rotate`. A secret stands in the first answer only; a repetition of the request
//! gets the same with `"secret": null`.
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::answer::{self, Revealing, reveal_once, write_once};
use super::extract::{Body, Call};
use super::params::page_parameters;
use super::wire::{self, Line, WireInstant};
use crate::error::Result;
use crate::identity::Scope;
use crate::identity::clients::Key;
use crate::identity::clients::keys::{self, KeyState, MAX_OVERLAP_HOURS, NewKey, Rotated, Rotation};
use crate::store::{Db, Uid};

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    #[validate(length(min = 1, max = 10))]
    scopes: Vec<Scope>,
    expires_at: Option<WireInstant>,
    #[validate(length(min = 1, max = 200))]
    name: Option<Line>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    #[validate(range(min = 0, max = MAX_OVERLAP_HOURS))]
    overlap_hours: Option<i64>,
    expires_at: Option<WireInstant>,
}

impl From<RotateKey> for Rotation {
    fn from(given: RotateKey) -> Self {
        Rotation {
            overlap: Duration::hours(given.overlap_hours.unwrap_or(24)),
            expires_at: given.expires_at.map(|at| at.0),
        }
    }
}

#[derive(Clone, Serialize)]
struct KeyOut {
    id: Uid,
    lookup: String,
    name: String,
    scopes: Vec<Scope>,
    state: KeyState,
    created_at: WireInstant,
    expires_at: Option<WireInstant>,
    revoked_at: Option<WireInstant>,
    last_used_at: Option<WireInstant>,
    /// The key whose place it took.
    replaces_id: Option<Uid>,
    /// Its program made it, with the key before it, and it ends with that.
    rotated_by_program: bool,
}

impl KeyOut {
    fn new(key: Key, replaces: Option<Uid>, now: DateTime<Utc>) -> Self {
        KeyOut {
            lookup: key.public_half(),
            scopes: key.scopes(),
            state: key.state(now),
            id: key.uid,
            name: key.name,
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Into::into),
            revoked_at: key.revoked_at.map(Into::into),
            last_used_at: key.last_used_at.map(Into::into),
            replaces_id: replaces,
            rotated_by_program: key.made_with_id.is_some(),
        }
    }
}

#[derive(Serialize)]
struct NewKeyOut {
    #[serde(flatten)]
    key: KeyOut,
    /// Only in the first answer.
    secret: Option<String>,
    /// The key whose place it takes, with its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<KeyOut>,
}

fn revealing(mut out: NewKeyOut) -> Result<Revealing> {
    let shown = answer::json(201, Vec::new(), &out)?;
    out.secret = None;
    let kept = answer::json(201, Vec::new(), &out)?;
    Ok(Revealing { shown, kept })
}

fn rotated_answer(rotated: Rotated, now: DateTime<Utc>) -> Result<Revealing> {
    revealing(NewKeyOut {
        key: KeyOut::new(rotated.key, Some(rotated.replaced.uid), now),
        secret: Some(rotated.secret.reveal().to_owned()),
        replaces: Some(KeyOut::new(rotated.replaced, rotated.before_that, now)),
    })
}

pub async fn create_api_key(
    call: Call,
    id: web::Path<String>,
    body: Body<CreateKey>,
) -> Result<HttpResponse> {
    let given = body.value;
    let new = NewKey {
        name: given.name.map(|name| name.0),
        scopes: given.scopes,
        expires_at: given.expires_at.map(|at| at.0),
    };
    reveal_once(&call, &body.bytes, move |tx| {
        let (key, secret) = keys::create(tx, &id, &new)?;
        revealing(NewKeyOut {
            key: KeyOut::new(key, None, tx.now),
            secret: Some(secret.reveal().to_owned()),
            replaces: None,
        })
    })
    .await
}

pub async fn rotate_api_key(
    call: Call,
    path: web::Path<(String, String)>,
    body: Body<RotateKey>,
) -> Result<HttpResponse> {
    let (id, key) = path.into_inner();
    let rotation = Rotation::from(body.value);
    reveal_once(&call, &body.bytes, move |tx| {
        rotated_answer(keys::rotate(tx, &id, &key, &rotation)?, tx.now)
    })
    .await
}

pub async fn rotate_own_key(call: Call, body: Body<RotateKey>) -> Result<HttpResponse> {
    let rotation = Rotation::from(body.value);
    reveal_once(&call, &body.bytes, move |tx| {
        rotated_answer(keys::rotate_own(tx, &rotation)?, tx.now)
    })
    .await
}

/// Without `If-Match`: nothing may stand between a leaked key and its end.
pub async fn revoke_api_key(call: Call, path: web::Path<(String, String)>) -> Result<HttpResponse> {
    let (id, key) = path.into_inner();
    write_once(&call, b"", move |tx| {
        keys::revoke(tx, &id, &key)?;
        Ok(answer::empty(204))
    })
    .await
}

pub async fn list_api_keys(call: Call, id: web::Path<String>, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let now = call.now;
    let work = move |conn: &mut Db| keys::list(conn, &id, cursor.as_deref(), limit);
    let page = call.app.store.read_snapshot(work).await?;
    wire::list(
        &call,
        request.query_string(),
        page.map(|row| KeyOut::new(row.key, row.replaces, now)),
    )
}
