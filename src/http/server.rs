//! Serving: the listener, the routes with what surrounds them, the documentation's pages, and the way out. One shutdown
//! token for all; a worker that dies ends the process instead of leaving a desk that sends nothing.
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header::{CONTENT_SECURITY_POLICY, HeaderName, PERMISSIONS_POLICY, REFERRER_POLICY};
use actix_web::middleware::{Compress, Condition, DefaultHeaders, from_fn};
use actix_web::{App as WebApp, HttpResponse, HttpServer, web};
use tokio_util::sync::CancellationToken;
use utoipa_swagger_ui::{Config as DocsConfig, SwaggerUi};

use super::guard::limit;
use super::rate::Brakes;
use super::{context, routes, site};
use crate::app::App;
use crate::config::Config;
use crate::error::{Error, Resource};
use crate::telemetry::Telemetry;
use crate::workers::Workers;

/// How often the samples of histograms are counted into their buckets. Until then each is kept, and where nobody asks
/// for `/metrics` nothing else would ever count them.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// How often idle callers are forgotten, beside the sweeps that many requests bring about.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Take the address before anything else is opened, so that an occupied port changes nothing.
pub fn bind(config: &Config) -> anyhow::Result<TcpListener> {
    TcpListener::bind(config.listen)
        .map_err(|cause| anyhow::anyhow!("cannot listen on {}: {cause}", config.listen))
}

/// The HTTP server on a bound listener; runs when awaited.
pub fn server(app: web::Data<App>, listener: TcpListener) -> std::io::Result<Server> {
    site::metrics_handle();
    let limits = app.config.limits;
    let brakes = Arc::new(Brakes::new(&limits, &app.clock));
    actix_web::rt::spawn(sweep(Arc::downgrade(&brakes)));
    let brakes = web::Data::from(brakes);
    let waiting = app.config.waiting;
    let server = HttpServer::new(move || {
        let origins = app.config.network.cors_origins.as_slice();
        WebApp::new()
            .app_data(app.clone())
            .app_data(brakes.clone())
            .wrap(Condition::new(!origins.is_empty(), cors(origins)))
            .wrap(Compress::default())
            .wrap(from_fn(context::surround))
            .configure(routes::configure)
            .route("/", web::get().to(to_docs))
            .route("/docs", web::get().to(to_docs))
            .service(
                web::scope("/docs")
                    .wrap(docs_headers())
                    .wrap(from_fn(limit))
                    .service(docs()),
            )
            .default_service(web::route().to(no_such_page).wrap(from_fn(limit)))
    });
    Ok(server
        .workers(worker_threads())
        .client_request_timeout(limits.head_timeout())
        .keep_alive(limits.idle_timeout())
        .client_disconnect_timeout(waiting.linger())
        .max_connections(limits.connections_per_worker)
        .shutdown_timeout(waiting.shutdown_timeout_ms.div_ceil(1000))
        .disable_signals()
        .listen(listener)?
        .run())
}

fn worker_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// The contract, readable. Without a validator, which would be somebody else's server on the internet.
fn docs() -> SwaggerUi {
    let config = DocsConfig::from("/openapi.yaml").validator_url("none");
    SwaggerUi::new("/{_:.*}").config(config)
}

/// The page may hold a token that somebody typed: it takes scripts from here only, and nobody may frame it.
fn docs_headers() -> DefaultHeaders {
    let policy =
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";
    DefaultHeaders::new()
        .add((CONTENT_SECURITY_POLICY, policy))
        .add((REFERRER_POLICY, "no-referrer"))
        .add((PERMISSIONS_POLICY, site::NO_DEVICES))
}

/// Pages of these origins may call the API. Without cookies: a caller shows a token or is nobody.
fn cors(origins: &[String]) -> Cors {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let sent = [
        "authorization",
        "content-type",
        "accept-language",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "range",
        "if-range",
        "x-request-id",
        "traceparent",
        "tracestate",
    ];
    let read = [
        "etag",
        "content-disposition",
        "content-language",
        "content-range",
        "deprecation",
        "sunset",
        "link",
        "location",
        "retry-after",
        "idempotency-replayed",
        "www-authenticate",
        "x-request-id",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "ratelimit-policy",
        "traceparent",
    ];
    let cors = Cors::default()
        .allowed_methods(methods)
        .allowed_headers(sent.map(HeaderName::from_static))
        .expose_headers(read.map(HeaderName::from_static))
        .max_age(3600);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}

/// Forget idle callers while the server runs.
async fn sweep(brakes: std::sync::Weak<Brakes>) {
    let mut rounds = tokio::time::interval(SWEEP_EVERY);
    loop {
        rounds.tick().await;
        match brakes.upgrade() {
            Some(brakes) => brakes.forget_idle(),
            None => return,
        }
    }
}

async fn to_docs() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header(("Location", "/docs/"))
        .finish()
}

async fn no_such_page() -> Result<HttpResponse, Error> {
    Err(Error::NotFound(Resource::Page))
}

/// Serve with workers until `shutdown`, then finish what was accepted.
pub async fn serve(
    app: web::Data<App>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    site::metrics_handle();
    let mut workers = Workers::start(&app.hands(), &shutdown);
    let stopping = app.stopping.clone();
    let (served, patience) = (app.clone(), app.config.waiting.shutdown_timeout());
    let server = server(app, listener)?;
    let handle = server.handle();
    actix_web::rt::spawn(keep_metrics(shutdown.clone()));
    let serving = actix_web::rt::spawn(server);
    let outcome = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        dead = workers.watch() => dead,
    };
    stopping.cancel();
    shutdown.cancel();
    stop(&handle).await;
    serving.await??;
    // Mails that a slow server draws out are sent again after the restart; waiting longer helps nobody.
    let _ = tokio::time::timeout(patience, workers.watch()).await;
    if served.telemetry.is_some() {
        let finish = move || served.telemetry.as_ref().map(Telemetry::finish);
        let _ = tokio::task::spawn_blocking(finish).await;
    }
    outcome.map_err(Into::into)
}

async fn keep_metrics(shutdown: CancellationToken) {
    let mut rounds = tokio::time::interval(METRICS_UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = rounds.tick() => {}
        }
        if let Some(handle) = site::metrics_handle() {
            handle.run_upkeep();
        }
    }
}

async fn stop(handle: &ServerHandle) {
    tracing::info!("shutting down");
    handle.stop(true).await;
}

/// Cancelled by SIGINT or SIGTERM.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancelled = token.clone();
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}
