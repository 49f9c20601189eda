//! What every request passes on its way in and out: request id, trace, language, size of its head, log line, metrics, the
//! rendering of problems, the headers that stand on every answer. A log line names who asked by their public id only.
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_LANGUAGE, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, ResponseError};
use tracing::Instrument;

use super::address::caller_address;
use super::problem::{self, Draft};
use super::rate::Standing;
use super::trace::Trace;
use crate::app::App;
use crate::error::{Error, Result};
use crate::identity::Principal;
use crate::language::Language;
use crate::telemetry::Answered;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request before anything else.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: String,
    pub language: Language,
    pub address: IpAddr,
    pub trace: Trace,
}

/// The language that the caller wants.
pub fn language_of(request: &HttpRequest) -> Language {
    let extensions = request.extensions();
    let context = extensions.get::<RequestContext>();
    context.map(|context| context.language).unwrap_or_default()
}

impl RequestContext {
    fn of(request: &HttpRequest) -> Self {
        let given = request
            .headers()
            .get(&X_REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        let request_id = match given {
            Some(id) if is_request_id(id) => id.to_owned(),
            _ => uuid::Uuid::now_v7().to_string(),
        };
        let wishes = request
            .headers()
            .get(ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        RequestContext {
            request_id,
            language: wishes.map(Language::from_accept_language).unwrap_or_default(),
            address: caller_address(request),
            trace: Trace::of(request.headers(), exports(request)),
        }
    }
}

/// A caller's id is taken over where it is short and harmless in a log line.
fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte))
}

/// Is the trace that begins here recorded?
fn exports(request: &HttpRequest) -> bool {
    let app = request.app_data::<Data<App>>();
    app.is_some_and(|app| app.telemetry.is_some())
}

pub async fn surround<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let context = RequestContext::of(request.request());
    request.extensions_mut().insert(context.clone());
    let trace = context.trace.trace_id_text();
    let span = tracing::info_span!("request", id = %context.request_id, trace, method = method_label(request.method().as_str()));
    let response = match check_head(request.request()) {
        Err(refused) => request.into_response(refused.error_response()),
        // No clone of the request may be held here: the router needs it to itself.
        Ok(()) => next
            .call(request)
            .instrument(span.clone())
            .await?
            .map_into_boxed_body(),
    };
    let _entered = span.enter();
    let mut response = finish(response, &context);
    mark(&mut response, &context);
    measure(&response, started, &context);
    Ok(response)
}

/// The connection layer lets a head of 128 KiB pass; what is in it would be hashed, compared and logged.
fn check_head(request: &HttpRequest) -> Result<()> {
    let Some(app) = request.app_data::<Data<App>>() else {
        return Ok(());
    };
    let limits = &app.config.limits;
    let address = request
        .uri()
        .path_and_query()
        .map_or(0, |address| address.as_str().len());
    if address > limits.max_address_bytes {
        let limit = limits.max_address_bytes;
        return Err(Error::AddressTooLong { limit });
    }
    let headers = request.headers().iter();
    let total: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if address + total > limits.max_head_bytes {
        let limit = limits.max_head_bytes;
        return Err(Error::HeadTooLarge { limit });
    }
    Ok(())
}

/// The headers of every answer.
fn mark(response: &mut ServiceResponse<BoxBody>, context: &RequestContext) {
    let standing = response.request().extensions().get::<Standing>().copied();
    let is_https = response
        .request()
        .app_data::<Data<App>>()
        .is_some_and(|app| app.config.public_url.starts_with("https://"));
    let headers = response.headers_mut();
    if let Some(standing) = standing {
        standing.tell(headers);
    }
    let given = [
        (X_REQUEST_ID.clone(), context.request_id.as_str()),
        (
            HeaderName::from_static("traceparent"),
            &context.trace.traceparent(),
        ),
    ];
    let state = context.trace.state.as_deref();
    let state = state.map(|state| (HeaderName::from_static("tracestate"), state));
    for (name, value) in given.into_iter().chain(state) {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    // What is said in words is said in the language that was asked for (RFC 9110, section 12.5.5).
    let tells = |name: HeaderName, what: &str| {
        let mut values = headers.get_all(name).filter_map(|value| value.to_str().ok());
        values.any(|value| value.to_ascii_lowercase().contains(what))
    };
    if headers.contains_key(CONTENT_LANGUAGE) && !tells(VARY, "accept-language") {
        headers.append(VARY, HeaderValue::from_static("Accept-Language"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // How a handler tells `Compress` to leave its bytes alone; on the wire it must not stand (RFC 9110, section 8.4.1).
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| coding == "identity")
    {
        headers.remove(CONTENT_ENCODING);
    }
    if is_https {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, a_year);
    }
}

/// Render a problem in the caller's language; what went wrong inside goes to the log, once, here.
fn finish(response: ServiceResponse<BoxBody>, context: &RequestContext) -> ServiceResponse<BoxBody> {
    let draft = response
        .response()
        .extensions()
        .get::<Draft>()
        .map(|draft| draft.0.clone());
    let error = match draft {
        Some(error) => error,
        None if response.status().is_client_error() || response.status().is_server_error() => {
            // A failure of the framework itself that reached no handler of ours.
            return match response.headers().get("content-type") {
                Some(_) => response,
                None => {
                    let error = framework_error(response.status());
                    let rebuilt = error.error_response();
                    let response = ServiceResponse::new(response.request().clone(), rebuilt);
                    finish(response, context)
                }
            };
        }
        None => return response,
    };
    match &error {
        Error::Internal { .. } => tracing::error!(error = %error.log_text(), "request failed"),
        Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::TransactionLost { .. } => {
            tracing::warn!(error = %error.log_text(), "request could not be served");
        }
        _ => {}
    }
    let body = problem::render(&error, context.language, &context.request_id);
    response.map_body(|head, _| {
        let language = HeaderValue::from_static(context.language.as_str());
        head.headers_mut().insert(CONTENT_LANGUAGE, language);
        BoxBody::new(body)
    })
}

fn framework_error(status: actix_web::http::StatusCode) -> Error {
    match status.as_u16() {
        404 => Error::NotFound(crate::error::Resource::Page),
        413 => Error::BodyTooLarge { limit: 0 },
        400..=499 => Error::Malformed {
            reason: status.canonical_reason().unwrap_or("bad request").to_owned(),
        },
        _ => Error::internal("the framework failed", status),
    }
}

fn measure(response: &ServiceResponse<BoxBody>, started: Instant, context: &RequestContext) {
    let elapsed = started.elapsed();
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".into());
    let method = method_label(response.request().method().as_str());
    let status = response.status().as_u16().to_string();
    let principal = response.request().extensions().get::<Arc<Principal>>().cloned();
    let kind = principal.as_ref().map(|principal| principal.kind().as_str());
    let uid = principal.as_ref().and_then(|principal| principal.uid());
    if let Some(app) = response.request().app_data::<Data<App>>()
        && let Some(telemetry) = &app.telemetry
    {
        telemetry.record(&Answered {
            trace_id: context.trace.trace_id,
            span_id: context.trace.span_id,
            parent_id: context.trace.parent_id,
            sampled: context.trace.sampled,
            state: context.trace.state.as_deref(),
            method,
            route: &route,
            status: response.status().as_u16(),
            request_id: &context.request_id,
            principal_kind: kind,
            ended_at: app.clock.now().into(),
            took: elapsed,
        });
    }
    tracing::info!(
        route,
        status,
        principal = kind,
        principal_id = uid.map(tracing::field::display),
        micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
    metrics::counter!("giaidap_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("giaidap_http_request_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());
}

/// Any word may be a method (RFC 9110, section 9.1), and each label is a time series that stays until the process ends:
/// callers without a token must not be able to invent them.
fn method_label(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_caller_invents_makes_no_time_series() {
        for known in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert_eq!(method_label(known), known);
        }
        for invented in ["BREW", "get", "TRACE", "CONNECT", "X1", ""] {
            assert_eq!(method_label(invented), "other");
        }
    }
}
