//! Authentication and the coarse half of authorisation, in front of every route, before its body is read.
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use futures_util::FutureExt;

use super::address::caller_address;
use super::params::Params;
use super::rate::Brakes;
use super::routes::Access;
use crate::app::App;
use crate::error::{Error, Resource, Result};
use crate::identity::{self, Authenticated, Presentation, Principal, access, oidc};
use crate::store::Db;

/// Who looks at the parameters of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// The route takes none; a mistyped or misplaced one is named.
    Refused,
    LeftToTheHandler,
}

/// Let a request through to its handler, or answer it. A handler that panics answers 500 like any other failure.
pub async fn guard<B: MessageBody + 'static>(
    access: Access,
    query: Query,
    request: ServiceRequest,
    next: Next<B>,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Err(refused) = admit(access, query, &request).await {
        let response = refuse(&refused, request.headers().contains_key(AUTHORIZATION));
        return Ok(request.into_response(response));
    }
    let http_request = request.request().clone();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answered) => Ok(answered?.map_into_boxed_body()),
        Err(_) => {
            let error = Error::internal("a handler panicked", "see the panic message before this line");
            Ok(ServiceResponse::new(http_request, error.error_response()))
        }
    }
}

/// In front of what has no row in the route table: for everybody, and limited like what has one. Holds no clone of the
/// request, which a scope needs to itself.
pub async fn limit<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match brake(request.request(), None) {
        Err(refused) => Ok(request.into_response(refused.error_response())),
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

/// RFC 6750, section 3: only a caller that sent something is told that it is no valid token.
fn refuse(refused: &Error, sent_something: bool) -> HttpResponse {
    let mut response = refused.error_response();
    if sent_something && matches!(refused, Error::Unauthenticated) {
        let challenge = HeaderValue::from_static("Bearer realm=\"giaidap\", error=\"invalid_token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn admit(access: Access, query: Query, request: &ServiceRequest) -> Result<()> {
    match access {
        Access::Public if PROBES.contains(&request.path()) => {}
        Access::Public => brake(request.request(), None)?,
        // Where the key is, its handler knows.
        Access::NeedsKey(_) => {}
        Access::Needs(action) => {
            let bearer = bearer_in(request.headers());
            let principal = recognise(request.request(), bearer).await?;
            access::permit(&principal, action)?;
            request.request().extensions_mut().insert(action);
            if names_nul(request.request()) {
                return Err(Error::NotFound(Resource::Page));
            }
        }
    }
    if query == Query::Refused {
        Params::read(request.request(), &[]).finish()?;
    }
    // Nothing here unpacks what was compressed: a small body could become a huge one.
    let encoding = request.headers().get(CONTENT_ENCODING);
    let is_plain = encoding.is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if !is_plain && !request.method().is_safe() {
        return Err(Error::UnsupportedMediaType {
            expected: "sent without Content-Encoding",
        });
    }
    Ok(())
}

/// PostgreSQL takes no NUL in a text, so that nothing can have such an id.
pub fn names_nul(request: &HttpRequest) -> bool {
    let has_nul = |value: &str| value.contains('\0') || value.contains("%00");
    request.match_info().iter().any(|(_, value)| has_nul(value))
}

/// Asked by machines of the operator, again and again; an answer that says "too often" would take the server away.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The principal behind a token or key that came with this request, wherever it stood, if it may ask once more.
pub async fn recognise(request: &HttpRequest, bearer: Option<String>) -> Result<Arc<Principal>> {
    let outcome = match bearer {
        Some(bearer) => authenticate(request, bearer).await,
        None => Err(Error::Unauthenticated),
    };
    match outcome {
        Ok(authenticated) => {
            let principal = Arc::new(authenticated.principal);
            // Also where it is refused: the log names who asked.
            request.extensions_mut().insert(Arc::clone(&principal));
            brake(request, Some(&principal))?;
            Ok(principal)
        }
        Err(Error::Unauthenticated) => {
            brake(request, None)?;
            Err(Error::Unauthenticated)
        }
        Err(other) => Err(other),
    }
}

/// Count the request and refuse one too many. The answer tells where the caller stands.
fn brake(request: &HttpRequest, principal: Option<&Principal>) -> Result<()> {
    let Some(brakes) = request.app_data::<Data<Brakes>>() else {
        return Ok(());
    };
    let standing = match principal {
        Some(principal) => brakes.count(principal),
        None => brakes.count_stranger(caller_address(request)),
    };
    let Some(standing) = standing else {
        return Ok(());
    };
    request.extensions_mut().insert(standing);
    standing.verdict()
}

async fn authenticate(request: &HttpRequest, bearer: String) -> Result<Authenticated> {
    let app = request.app_data::<Data<App>>().cloned();
    let app = app.ok_or_else(|| Error::internal("a route without an application", request.path()))?;
    let now = app.clock.now();
    let here = Presentation {
        now,
        today: app.desk.date_of(now),
        from: caller_address(request),
        session_idle: app.config.sign_in.session_life().idle,
    };
    if let Some(provider) = app.oidc.as_ref().filter(|_| oidc::looks_like_jwt(&bearer)) {
        // Its calls, where it needs any, are made before the database is asked.
        let token = provider.bearer(&bearer, now).await?;
        let work = move |conn: &mut Db| oidc::principal(conn, token);
        return Ok(Authenticated {
            principal: app.store.read(work).await?,
            use_to_record: None,
        });
    }
    let found = app
        .store
        .read(move |conn| identity::authenticate(conn, &bearer, here))
        .await?;
    if let Some(credential_id) = found.use_to_record {
        // Beside the request: a use that is not written down must not fail or slow what it was used for.
        let store = app.store.clone();
        actix_web::rt::spawn(async move {
            if let Err(error) = store
                .write(move |conn| identity::record_use(conn, credential_id, now))
                .await
            {
                tracing::warn!(error = %error.log_text(), "the use of a credential was not recorded");
            }
        });
    }
    Ok(found)
}

/// The bearer token, where there is exactly one `Authorization` line. Where there are two, a proxy in between may have
/// checked the other one than we would, so neither counts.
pub fn bearer_in(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let only = lines.next().filter(|_| lines.next().is_none());
    only.and_then(bearer_of)
}

/// RFC 6750, section 2.1; the scheme is case-insensitive (RFC 9110, section 11.1).
fn bearer_of(value: &HeaderValue) -> Option<String> {
    let value = value.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}
