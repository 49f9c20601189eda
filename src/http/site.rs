//! What is about the server and not about tickets: health, metrics, the contract, the public status page.
use std::collections::BTreeMap;
use std::sync::OnceLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, PERMISSIONS_POLICY, REFERRER_POLICY,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Serialize;

use super::context::language_of;
use crate::app::App;
use crate::calendars::{self, Certainties};
use crate::error::{Error, Result};
use crate::language::Language;
use crate::store::{Db, pending_migrations};
use crate::tickets::messages;

/// A page of ours needs nothing of the machine that shows it.
pub const NO_DEVICES: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";

/// The contract, as it was when this binary was built.
pub const OPENAPI: &str = include_str!("../../openapi.yaml");

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    checks: Vec<Check>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The process runs.
pub async fn health() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

/// The process can serve and will go on: no shutdown has begun, its database answers and has the schema of this binary.
pub async fn readiness(app: web::Data<App>) -> HttpResponse {
    let (checks, warnings) = examine(&app).await;
    let ready = checks.iter().all(|check| check.detail.is_none());
    let (mut response, status) = match ready {
        true => (HttpResponse::Ok(), "ready"),
        false => (HttpResponse::ServiceUnavailable(), "unavailable"),
    };
    if !ready {
        response.insert_header(("Retry-After", "2"));
    }
    response.json(Readiness {
        status,
        checks,
        warnings,
    })
}

async fn examine(app: &App) -> (Vec<Check>, Vec<String>) {
    let stopping = app
        .stopping
        .is_cancelled()
        .then(|| "the server is shutting down".into());
    let shutdown = check("shutdown", stopping);
    match ask_database(app).await {
        Ok((pending, certainties)) => {
            let missing =
                (!pending.is_empty()).then(|| format!("migrations pending: {}", pending.join(", ")));
            let checks = vec![shutdown, check("database", None), check("schema", missing)];
            (checks, certainties.iter().flat_map(uncertain).collect())
        }
        Err(error) => {
            tracing::warn!(error = %error.log_text(), "not ready");
            let failure = Some("the database does not answer".into());
            (vec![shutdown, check("database", failure)], Vec::new())
        }
    }
}

/// The migrations that it waits for; where there are none, what is not certain of the calendars.
async fn ask_database(app: &App) -> Result<(Vec<String>, BTreeMap<String, Certainties>)> {
    let (desk, now) = (app.desk.clone(), app.clock.now());
    let asked = move |conn: &mut Db| {
        let pending = pending_migrations(conn)?;
        let certainties = if pending.is_empty() {
            calendars::certainties(conn, &desk.rules, now, now + calendars::DECISION_HORIZON)?
        } else {
            BTreeMap::new()
        };
        Ok((pending, certainties))
    };
    app.store.read(asked).await
}

fn check(name: &'static str, failure: Option<String>) -> Check {
    Check {
        name,
        status: if failure.is_none() { "ok" } else { "failed" },
        detail: failure,
    }
}

/// Bounds of the histograms, all of which measure seconds: from a read of the cache to a request that was given up.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The recorder is one for the process; the first to ask installs it.
pub fn metrics_handle() -> Option<&'static PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .set_buckets(&SECONDS)
            .and_then(PrometheusBuilder::install_recorder)
            .ok()
    };
    HANDLE.get_or_init(install).as_ref()
}

pub async fn metrics() -> HttpResponse {
    let text = metrics_handle().map(PrometheusHandle::render).unwrap_or_default();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text)
}

pub async fn openapi_file() -> HttpResponse {
    HttpResponse::Ok().content_type("application/yaml").body(OPENAPI)
}

/// What is not certain of the days off of a calendar that is counted by.
fn uncertain((calendar, certainties): (&String, &Certainties)) -> Vec<String> {
    let years = certainties.undecided_years.iter().map(|year| {
        format!(
            "the calendar `{calendar}` knows no confirmed holiday in {year}: its holidays count as working days"
        )
    });
    let days = certainties.unconfirmed.iter().map(|date| {
        format!("the calendar `{calendar}` counts with {date} as if it were confirmed, which it is not")
    });
    years.chain(days).collect()
}

/// A ticket's public page. Its address is the permission, so it must not leak: no caching, no referrer.
pub async fn show_status_page(
    app: web::Data<App>,
    token: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let language = language_of(&request);
    let (desk, now) = (app.desk.clone(), app.clock.now());
    let work = move |conn: &mut Db| messages::status_page(conn, &desk, &token, now);
    // A person reads it, so that a dead link leads to a page too.
    match app.store.read_snapshot(work).await {
        Ok(page) => {
            let html = app.pages.render(&page, language)?;
            Ok(shown(HttpResponse::Ok(), language, html))
        }
        Err(Error::NotFound(_)) => {
            let html = app.pages.render_not_found(language)?;
            Ok(shown(HttpResponse::NotFound(), language, html))
        }
        Err(error) => Err(error),
    }
}

fn shown(mut response: HttpResponseBuilder, language: Language, html: String) -> HttpResponse {
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_LANGUAGE, language.as_str()))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((PERMISSIONS_POLICY, NO_DEVICES))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ));
    response.content_type("text/html; charset=utf-8").body(html)
}
