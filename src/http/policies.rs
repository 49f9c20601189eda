//! `/sla-policies`.
use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{self, etag, unless_known};
use super::extract::Call;
use super::params::page_parameters;
use super::wire::{self, WireInstant};
use crate::calendars::Name;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::policies::{self, PolicyRecord};
use crate::store::{Db, Uid};

/// The stored definition is in the contract's own shape; the record adds the rest.
#[derive(Serialize)]
pub struct PolicyOut {
    id: Uid,
    code: String,
    name: Name,
    version: i64,
    calendar: Value,
    is_default: bool,
    retired_at: Option<WireInstant>,
    #[serde(flatten)]
    definition: Value,
}

impl From<PolicyRecord> for PolicyOut {
    fn from(record: PolicyRecord) -> Self {
        PolicyOut {
            id: record.uid,
            code: record.code,
            name: Name {
                vi: record.name_vi,
                en: record.name_en,
            },
            version: record.version,
            calendar: json!({ "code": record.calendar_code }),
            is_default: record.is_default,
            retired_at: record.retired_at.map(Into::into),
            definition: record.definition.0,
        }
    }
}

pub async fn list_sla_policies(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let principal = call.principal.clone();
    let work = move |conn: &mut Db| policies::list_policies(conn, &principal, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(PolicyOut::from))
}

pub async fn show_sla_policy(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let principal = call.principal.clone();
    let work = move |conn: &mut Db| policies::show_policy(conn, &principal, &id);
    let answer = policy_answer(200, call.app.store.read(work).await?)?;
    answer::send(unless_known(answer, call.if_none_match.as_deref()))
}

/// The policy with its ETag; `Location` where it is new.
pub(super) fn policy_answer(status: u16, record: PolicyRecord) -> Result<Answer> {
    let mut headers = vec![(ETAG.to_string(), etag(record.version))];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/sla-policies/{}", record.code)));
    }
    answer::json(status, headers, &PolicyOut::from(record))
}
