//! `/me/sessions`, `/me/tokens`, and what administrators see of them.
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::answer::{self, Revealing, reveal_once};
use super::extract::{Body, Call};
use super::params::Params;
use super::wire::{self, Line, WireInstant};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::identity::credentials::{self, MadeToken, OwnCredential, TokenRequest};
use crate::identity::token::Kind;
use crate::identity::{Scope, accounts};
use crate::store::{Db, Uid};

#[derive(Serialize)]
struct SessionOut {
    id: Uid,
    kind: Kind,
    /// The one that was presented with this request.
    current: bool,
    /// Of a token.
    name: Option<String>,
    scopes: Option<Vec<Scope>>,
    created_at: WireInstant,
    expires_at: Option<WireInstant>,
    last_used_at: Option<WireInstant>,
    opened_from: Option<String>,
    user_agent: Option<String>,
}

impl SessionOut {
    fn new(row: OwnCredential, presented: Option<i64>) -> Self {
        SessionOut {
            id: row.uid,
            kind: row.kind,
            current: presented == Some(row.id),
            scopes: row.limited_to(),
            name: (row.kind == Kind::Token).then_some(row.name),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.map(Into::into),
            last_used_at: row.last_used_at.map(Into::into),
            opened_from: row.opened_from,
            user_agent: row.user_agent,
        }
    }
}

/// A page of what a person has open; `of` finds the person.
async fn list(
    call: Call,
    request: HttpRequest,
    kind: Option<Kind>,
    of: impl FnOnce(&mut Db) -> Result<i64> + Send + 'static,
) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["limit", "cursor"]);
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let times = (call.now, call.app.config.sign_in.session_life().idle);
    let presented = call.staff()?.credential_id;
    let work = move |conn: &mut Db| {
        let user_id = of(conn)?;
        credentials::list(conn, user_id, kind, times, cursor.as_deref(), limit)
    };
    let page = call.app.store.read(work).await?;
    let page = page.map(|row| SessionOut::new(row, presented));
    wire::list(&call, request.query_string(), page)
}

pub async fn list_own_sessions(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let id = call.staff()?.user_id;
    list(call, request, Some(Kind::Session), move |_| Ok(id)).await
}

pub async fn list_own_tokens(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let id = call.staff()?.user_id;
    list(call, request, Some(Kind::Token), move |_| Ok(id)).await
}

pub async fn list_user_sessions(
    call: Call,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse> {
    let of = move |conn: &mut Db| accounts::get(conn, &id).map(|account| account.id);
    list(call, request, None, of).await
}

pub async fn end_own_session(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    answer::remove(&call, move |tx| credentials::end(tx, Kind::Session, &id)).await
}

pub async fn revoke_own_token(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    answer::remove(&call, move |tx| credentials::end(tx, Kind::Token, &id)).await
}

pub async fn end_other_sessions(call: Call) -> Result<HttpResponse> {
    answer::remove(&call, credentials::end_others).await
}

pub async fn end_user_sessions(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    answer::remove(&call, move |tx| accounts::end_credentials(tx, &id)).await
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    #[validate(length(min = 1, max = 200))]
    name: Line,
    /// An empty list would be a token without limits.
    #[validate(length(min = 1, max = 20))]
    scopes: Option<Vec<Scope>>,
    expires_at: Option<WireInstant>,
}

impl From<CreateToken> for TokenRequest {
    fn from(given: CreateToken) -> Self {
        TokenRequest {
            name: given.name.0,
            scopes: given.scopes,
            expires_at: given.expires_at.map(|at| at.0),
        }
    }
}

fn made_answer(made: &MadeToken, name: &str, token: Option<&str>, now: DateTime<Utc>) -> Result<Answer> {
    let shown = json!({
        "id": made.id,
        "name": name,
        "scopes": made.scopes,
        "created_at": WireInstant(now),
        "expires_at": WireInstant(made.expires_at),
        "token": token,
    });
    answer::json(201, Vec::new(), &shown)
}

pub async fn create_own_token(call: Call, body: Body<CreateToken>) -> Result<HttpResponse> {
    let request = TokenRequest::from(body.value);
    reveal_once(&call, &body.bytes, move |tx| {
        let made = credentials::make_token(tx, &request)?;
        Ok(Revealing {
            shown: made_answer(&made, &request.name, Some(made.secret.reveal()), tx.now)?,
            kept: made_answer(&made, &request.name, None, tx.now)?,
        })
    })
    .await
}
