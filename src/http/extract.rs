//! What handlers take from a request: the caller (`Call`), a checked JSON body (`Body`); query parameters are in `params`.
//! Wrong input is refused here with the field's name, before any rule of the domain is asked.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use validator::Validate;

use super::answer::{self, DIGEST_BYTES};
use super::aside;
use super::context::language_of;
pub use super::json::parse_json;
use crate::app::App;
use crate::error::{Error, FieldCode, Result};
use crate::idempotency::Key;
use crate::identity::Principal;
use crate::identity::access::Action;
use crate::language::Language;

/// An authenticated request: who calls, when, and on which application.
#[derive(Clone)]
pub struct Call {
    pub app: web::Data<App>,
    pub principal: Arc<Principal>,
    /// What the route is for, which was permitted before its body came in.
    pub action: Action,
    pub now: DateTime<Utc>,
    pub language: Language,
    pub idempotency_key: Option<String>,
    /// The versions that the caller decided on; `None` where any will do.
    pub if_match: Option<Vec<i64>>,
    /// `If-Match` was sent, `*` too.
    pub has_if_match: bool,
    pub if_none_match: Option<String>,
    pub method: String,
    pub path: String,
    pub query: String,
}

impl Call {
    /// The idempotency key of this request with this body, if the caller sent one.
    pub fn key(&self, body: &[u8]) -> Option<Key> {
        let owner = self.principal.owner()?;
        let key = self.idempotency_key.as_deref()?;
        let target = format!("{}?{}", self.path, self.query);
        Some(Key::new(owner, key, &self.method, &target, body))
    }

    /// The versions that the caller decided on, of what nobody may replace without saying so (RFC 6585, section 3).
    pub fn required_versions(&self) -> Result<Option<Vec<i64>>> {
        match self.has_if_match {
            true => Ok(self.if_match.clone()),
            false => Err(Error::PreconditionRequired),
        }
    }
}

impl FromRequest for Call {
    type Error = Error;
    type Future = std::future::Ready<Result<Call>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(call(request))
    }
}

fn call(request: &HttpRequest) -> Result<Call> {
    let missing = |what| Error::internal("a route is not guarded", what);
    let app = request
        .app_data::<web::Data<App>>()
        .cloned()
        .ok_or_else(|| missing("no application"))?;
    let extensions = request.extensions();
    let principal = extensions
        .get::<Arc<Principal>>()
        .cloned()
        .ok_or_else(|| missing("no principal"))?;
    let action = extensions.get::<Action>().copied();
    let action = action.ok_or_else(|| missing("no action"))?;
    let now = app.clock.now();
    // Headers that say how to change something mean nothing where nothing is changed.
    let changes = !request.method().is_safe();
    Ok(Call {
        principal,
        action,
        now,
        language: language_of(request),
        idempotency_key: match changes {
            true => idempotency_key(request.headers())?,
            false => None,
        },
        if_match: match changes {
            true => if_match(request)?,
            false => None,
        },
        has_if_match: request.headers().contains_key(IF_MATCH),
        if_none_match: if_none_match(request.headers()),
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        app,
    })
}

/// What the caller has already. Several lines are one list (RFC 9110, section 5.3). What is no text is no tag of ours
/// either.
pub fn if_none_match(headers: &HeaderMap) -> Option<String> {
    let known = headers.get_all(IF_NONE_MATCH);
    let known: Vec<&str> = known.filter_map(|value| value.to_str().ok()).collect();
    Some(known.join(",")).filter(|known| !known.is_empty())
}

/// A header that stands there once at most: of two nobody knows which is meant.
fn header(headers: &HeaderMap, name: &str) -> Result<Option<String>> {
    let mut lines = headers.get_all(name);
    let Some(value) = lines.next() else {
        return Ok(None);
    };
    if lines.next().is_some() {
        return Err(Error::invalid_parameter(name, FieldCode::Duplicate));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.to_owned())),
        Err(_) => Err(Error::invalid_parameter(
            name,
            FieldCode::InvalidFormat { expected: "ASCII" },
        )),
    }
}

pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(key) = header(headers, "Idempotency-Key")? else {
        return Ok(None);
    };
    match checked_key(&key) {
        Ok(()) => Ok(Some(key)),
        Err(code) => Err(Error::invalid_parameter("Idempotency-Key", code)),
    }
}

/// Can this be an idempotency key?
pub fn checked_key(key: &str) -> std::result::Result<(), FieldCode> {
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(FieldCode::InvalidFormat {
        expected: "1-255 visible ASCII",
    })
}

fn if_match(request: &HttpRequest) -> Result<Option<Vec<i64>>> {
    let Some(text) = header(request.headers(), "If-Match")? else {
        return Ok(None);
    };
    versions_in(&text).map_err(|code| Error::invalid_parameter("If-Match", code))
}

/// The versions that `If-Match` names (RFC 9110, section 13.1.1), bare or with the digest of what was shown; `*` matches
/// whatever is there. A weak tag, and one that is not of our making, is well-formed and matches nothing.
pub fn versions_in(text: &str) -> std::result::Result<Option<Vec<i64>>, FieldCode> {
    if text.trim() == "*" {
        return Ok(None);
    }
    let tags = answer::tags_in(text).ok_or(FieldCode::InvalidFormat { expected: "\"7\"" })?;
    let strong = tags.iter().filter(|tag| !tag.weak);
    Ok(Some(strong.filter_map(|tag| version_of(tag.tag())).collect()))
}

/// The version in a tag of `answer::etag` or `answer::etag_of`.
fn version_of(opaque: &str) -> Option<i64> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|number: &i64| number.to_string() == text)
    };
    match opaque.split_once('-') {
        None => number(opaque),
        Some((version, digest)) if digest.len() == 2 * DIGEST_BYTES && digest.bytes().all(is_hex) => {
            number(version)
        }
        Some(_) => None,
    }
}

/// A JSON body, read whole, checked and validated; keeps the bytes for the idempotency record. An absent body is `{}`.
pub struct Body<T> {
    pub value: T,
    pub bytes: web::Bytes,
}

impl<T: DeserializeOwned + Validate + Send + 'static> FromRequest for Body<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Body<T>>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (limits, is_json, payload) = (BodyLimits::of(request), is_json(request), payload.take());
        Box::pin(async move { read_json(payload, is_json, limits).await })
    }
}

/// The body of a bulk request, which may be larger.
pub struct BulkBody<T>(pub Body<T>);

impl<T: DeserializeOwned + Validate + Send + 'static> FromRequest for BulkBody<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<BulkBody<T>>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>();
        let limits = BodyLimits {
            bytes: app.map_or(0, |app| app.config.bulk.max_bulk_bytes),
            ..BodyLimits::of(request)
        };
        let (is_json, payload) = (is_json(request), payload.take());
        Box::pin(async move { read_json(payload, is_json, limits).await.map(BulkBody) })
    }
}

fn is_json(request: &HttpRequest) -> bool {
    let label = request.headers().get(CONTENT_TYPE);
    label.and_then(|value| value.to_str().ok()).is_some_and(|value| {
        let mut parts = value.split(';');
        parts.next().is_some_and(is_json_type) && parts.all(is_utf8_label)
    })
}

async fn read_json<T: DeserializeOwned + Validate + Send + 'static>(
    payload: Payload,
    is_json: bool,
    limits: BodyLimits,
) -> Result<Body<T>> {
    let bytes = read_in_time(payload, limits).await?;
    if bytes.is_empty() {
        return Ok(Body {
            value: parse_json(b"{}")?,
            bytes,
        });
    }
    if !is_json {
        return Err(Error::UnsupportedMediaType {
            expected: "application/json",
        });
    }
    let sent = bytes.clone();
    let value = aside::read(sent.len(), move || parse_json(&sent)).await?;
    Ok(Body { value, bytes })
}

/// A file as the body, read whole.
pub struct Upload {
    /// Media type in lower case; `None` where it is missing or labelled as another encoding than UTF-8.
    pub media_type: Option<String>,
    pub bytes: web::Bytes,
}

impl FromRequest for Upload {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Upload>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limits = BodyLimits::of(request);
        let content_type = request.headers().get(CONTENT_TYPE);
        let media_type = content_type.and_then(|value| {
            let mut parts = value.to_str().ok()?.split(';');
            let media_type = parts.next()?.trim().to_ascii_lowercase();
            parts.all(is_utf8_label).then_some(media_type)
        });
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read_in_time(payload, limits).await?;
            Ok(Upload { media_type, bytes })
        })
    }
}

/// JSON on the wire is UTF-8 (RFC 8259, section 8.1); a label that says otherwise is not believed but refused.
fn is_utf8_label(parameter: &str) -> bool {
    match parameter.trim().split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    }
}

fn is_json_type(media_type: &str) -> bool {
    let media_type = media_type.trim().to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// How large a body may be, and how long it may take to arrive: slow senders do not hold connections for ever.
#[derive(Debug, Clone, Copy)]
struct BodyLimits {
    bytes: usize,
    patience: Duration,
    /// How large the caller says it is.
    announced: Option<u64>,
}

impl BodyLimits {
    fn of(request: &HttpRequest) -> BodyLimits {
        let app = request.app_data::<web::Data<App>>();
        BodyLimits {
            bytes: app.map_or(0, |app| app.config.max_body_bytes),
            patience: app.map_or(Duration::ZERO, |app| app.config.limits.body_timeout()),
            announced: announced_length(request.headers()),
        }
    }
}

/// `Content-Length`, where there is one.
pub fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What is read and thrown away beyond the limit, so that a client that still sends can read the refusal.
const DRAIN_BYTES: usize = 32 << 20;

async fn read_in_time(payload: Payload, limits: BodyLimits) -> Result<web::Bytes> {
    // Before any of it is asked for: the connection is closed behind the answer, and what comes meanwhile thrown away.
    if limits
        .announced
        .is_some_and(|length| !usize::try_from(length).is_ok_and(|length| length <= limits.bytes))
    {
        return Err(Error::BodyTooLarge { limit: limits.bytes });
    }
    let late = |_| Error::Malformed {
        reason: format!("the body took longer than {} ms", limits.patience.as_millis()),
    };
    tokio::time::timeout(limits.patience, read_whole(payload, limits.bytes))
        .await
        .map_err(late)?
}

async fn read_whole(mut payload: Payload, limit: usize) -> Result<web::Bytes> {
    let mut bytes = web::BytesMut::new();
    let mut total = 0_usize;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|cause| Error::Malformed {
            reason: cause.to_string(),
        })?;
        total = total.saturating_add(chunk.len());
        if total <= limit {
            bytes.extend_from_slice(&chunk);
        } else if total > limit.saturating_add(DRAIN_BYTES) {
            break;
        }
    }
    if total > limit {
        Err(Error::BodyTooLarge { limit })
    } else {
        Ok(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{self, ThreadId};

    use serde::{Deserialize, Deserializer, de::IgnoredAny};

    use super::*;

    /// Where it was read.
    #[derive(Validate)]
    struct Place {
        #[validate(skip)]
        thread: ThreadId,
    }

    impl<'de> Deserialize<'de> for Place {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            IgnoredAny::deserialize(deserializer)?;
            Ok(Place {
                thread: thread::current().id(),
            })
        }
    }

    #[actix_web::test]
    async fn a_large_body_is_not_read_where_other_requests_wait() {
        let own = thread::current().id();
        for (size, is_read_here) in [(10, true), (100_000, false)] {
            let body = format!(r#"{{"text": "{}"}}"#, "x".repeat(size));
            let limits = BodyLimits {
                bytes: 1 << 20,
                patience: Duration::from_secs(60),
                announced: None,
            };
            let payload = Payload::from(web::Bytes::from(body));
            let read = read_json::<Place>(payload, true, limits).await.unwrap();
            assert_eq!(read.value.thread == own, is_read_here, "{size}");
        }
    }
}
