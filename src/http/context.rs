//! What every request passes on its way in and out: request id, language, log line, metrics, the rendering of problems.
use std::net::IpAddr;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT_LANGUAGE, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest};
use tracing::Instrument;

use super::address::caller_address;
use super::problem::{self, Draft};
use crate::error::Error;
use crate::language::Language;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request before anything else.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: String,
    pub language: Language,
    pub address: IpAddr,
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

pub async fn surround<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let context = RequestContext::of(request.request());
    request.extensions_mut().insert(context.clone());
    let span = tracing::info_span!("request", id = %context.request_id, method = %request.method());
    // No clone of the request may be held here: the router needs it to itself.
    let response = next
        .call(request)
        .instrument(span.clone())
        .await?
        .map_into_boxed_body();
    let _entered = span.enter();
    let mut response = finish(response, &context);
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), id);
    }
    measure(&response, started);
    Ok(response)
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
                    let rebuilt = actix_web::ResponseError::error_response(&error);
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
        head.headers_mut()
            .insert(HeaderName::from_static("content-language"), language);
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

fn measure(response: &ServiceResponse<BoxBody>, started: Instant) {
    let elapsed = started.elapsed();
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".into());
    let method = method_label(response.request().method().as_str());
    let status = response.status().as_u16().to_string();
    tracing::info!(
        route,
        status,
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
