//! `/sla-policies`.
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};

use super::extract::Call;
use super::messages::page_parameters;
use super::wire;
use crate::calendars::Name;
use crate::error::Result;
use crate::policies::{self, PolicyRecord};
use crate::store::{Db, Uid};

/// The stored definition is in the contract's own shape; the record adds the rest.
#[derive(Serialize)]
struct PolicyOut {
    id: Uid,
    code: String,
    name: Name,
    version: i64,
    calendar: Value,
    is_default: bool,
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
            definition: record.definition.0,
        }
    }
}

pub async fn list_sla_policies(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| policies::list_policies(conn, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(PolicyOut::from))
}

pub async fn show_sla_policy(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let record = call
        .app
        .store
        .read(move |conn| policies::get_policy(conn, &id))
        .await?;
    Ok(HttpResponse::Ok().json(PolicyOut::from(record)))
}
