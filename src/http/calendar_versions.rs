//! `/calendars/{id}/versions` and `/calendars/{id}/exceptions`: what a calendar was and what it says of which days.
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::Value;

use super::extract::Call;
use super::params::Params;
use super::params::page_parameters;
use super::wire::{self, WireInstant};
use crate::calendars::versions::{self, ExceptionQuestion, RecountRow, Usage, VersionRecord, VersionView};
use crate::error::{Error, Resource, Result};
use crate::store::Db;

#[derive(Serialize)]
struct VersionOut {
    version: i64,
    author: String,
    reason: String,
    created_at: WireInstant,
    in_force: bool,
}

impl VersionOut {
    fn new(record: &VersionRecord, in_force: i64) -> VersionOut {
        VersionOut {
            version: record.version,
            author: record.author.clone(),
            reason: record.reason.clone(),
            created_at: record.created_at.into(),
            in_force: record.version == in_force,
        }
    }
}

/// A version with its definition, which is in the contract's own shape.
#[derive(Serialize)]
struct WholeVersionOut {
    calendar: String,
    #[serde(flatten)]
    version: VersionOut,
    #[serde(flatten)]
    definition: Value,
    used_by: Usage,
    recount: Option<RecountOut>,
}

#[derive(Serialize)]
struct RecountOut {
    clocks: i64,
    moved_earlier: i64,
    moved_later: i64,
    verdicts_changed: i64,
    finished_at: Option<WireInstant>,
}

impl From<RecountRow> for RecountOut {
    fn from(row: RecountRow) -> Self {
        RecountOut {
            clocks: row.clocks,
            moved_earlier: row.moved_earlier,
            moved_later: row.moved_later,
            verdicts_changed: row.verdicts_changed,
            finished_at: row.finished_at.map(WireInstant),
        }
    }
}

impl From<VersionView> for WholeVersionOut {
    fn from(view: VersionView) -> Self {
        WholeVersionOut {
            calendar: view.calendar.code,
            version: VersionOut::new(&view.record, view.calendar.version),
            definition: view.record.definition.0,
            used_by: view.used_by,
            recount: view.recount.map(RecountOut::from),
        }
    }
}

pub async fn list_calendar_versions(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| versions::list_versions(conn, &id, cursor.as_deref(), limit);
    let (page, in_force) = call.app.store.read_snapshot(work).await?;
    let page = page.map(|record| VersionOut::new(&record, in_force));
    wire::list(&call, request.query_string(), page)
}

pub async fn show_calendar_version(call: Call, path: web::Path<(String, String)>) -> Result<HttpResponse> {
    let (id, version) = path.into_inner();
    // What is no number names no version.
    let version: i64 = version
        .parse()
        .ok()
        .ok_or(Error::NotFound(Resource::CalendarVersion))?;
    let work = move |conn: &mut Db| versions::get_version(conn, &id, version);
    let view = call.app.store.read_snapshot(work).await?;
    Ok(HttpResponse::Ok().json(WholeVersionOut::from(view)))
}

pub async fn list_calendar_exceptions(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["from", "to", "limit", "cursor"]);
    let question = ExceptionQuestion {
        from: params.date("from"),
        to: params.date("to"),
        cursor: params.cursor(),
        limit: params.limit(),
    };
    params.finish()?;
    let work = move |conn: &mut Db| versions::list_exceptions(conn, &id, &question);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page)
}
