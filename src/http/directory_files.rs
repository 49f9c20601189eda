//! The directory as a CSV file: `/organisations/export.csv` and `/organisations/import`.
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::answer::{self, compute_once, write_once};
use super::extract::{Call, Upload};
use super::params::Params;
use crate::directory::import::{self, ImportPlan};
use crate::error::{Error, Result};

#[derive(Serialize)]
struct ImportOut {
    applied: bool,
    #[serde(flatten)]
    plan: ImportPlan,
}

pub async fn export_organisations(call: Call) -> Result<HttpResponse> {
    let file = call.app.store.read_snapshot(import::export).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"organisations.csv\""))
        .body(file))
}

pub async fn import_organisations(call: Call, request: HttpRequest, upload: Upload) -> Result<HttpResponse> {
    let bytes = upload.bytes.clone();
    if !is_to_apply(&request, &upload)? {
        let now = call.now;
        return compute_once(&call, &upload.bytes, move |conn, desk| {
            let plan = import::plan(conn, desk, &bytes, now)?;
            let applied = false;
            Ok(ImportOut { applied, plan })
        })
        .await;
    }
    write_once(&call, &upload.bytes, move |tx| {
        let plan = import::import_organisations(tx.conn, tx.desk, &bytes, tx.now)?;
        answer::json(200, Vec::new(), &ImportOut { applied: true, plan })
    })
    .await
}

fn is_to_apply(request: &HttpRequest, upload: &Upload) -> Result<bool> {
    let mut params = Params::read(request, &["apply"]);
    let apply = params.flag("apply").unwrap_or(false);
    params.finish()?;
    match upload.media_type.as_deref() {
        Some("text/csv") => Ok(apply),
        _ => Err(Error::UnsupportedMediaType { expected: "text/csv" }),
    }
}
