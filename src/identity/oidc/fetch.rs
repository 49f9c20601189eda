//! Calls to the provider: bounded in time and size, no redirect followed, no proxy from the environment. Blocking inside,
//! run off the async threads; a transaction is never open around one.
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use ureq::http::{Response, Uri};

use crate::error::{Error, Result};

/// No document of a provider comes near it.
const LARGEST_DOCUMENT: u64 = 256 * 1024;
/// Logins whose calls run at the same time: a slow provider must not take the threads that the database needs.
const CALLS_AT_ONCE: usize = 8;

/// What the provider answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Null where it is no JSON.
    pub body: Value,
    /// What `Cache-Control` allows, in seconds.
    pub max_age: Option<i64>,
}

/// Proof of who calls.
#[derive(Debug, Clone)]
pub enum Authorization {
    None,
    /// A header of its own making.
    Header(String),
}

pub struct Caller {
    agent: ureq::Agent,
    gate: Semaphore,
    patience: Duration,
}

impl Caller {
    /// With how long one call may take, connection and body included, and how long it may wait for its turn.
    pub fn new(patience: Duration) -> Caller {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A redirect could lead the client's secret, or our trust, to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(patience))
            .proxy(None)
            .build()
            .into();
        Caller {
            agent,
            gate: Semaphore::new(CALLS_AT_ONCE),
            patience,
        }
    }

    pub async fn get(&self, url: &str, authorization: Authorization) -> Result<Answer> {
        let (agent, uri) = (self.agent.clone(), uri_of(url)?);
        self.run(move || {
            let mut request = agent.get(uri).header("Accept", "application/json");
            if let Authorization::Header(value) = authorization {
                request = request.header("Authorization", value);
            }
            read(request.call())
        })
        .await
    }

    pub async fn post_form(
        &self,
        url: &str,
        authorization: Authorization,
        form: Vec<(&'static str, String)>,
    ) -> Result<Answer> {
        let (agent, uri) = (self.agent.clone(), uri_of(url)?);
        self.run(move || {
            let mut request = agent.post(uri).header("Accept", "application/json");
            if let Authorization::Header(value) = authorization {
                request = request.header("Authorization", value);
            }
            read(request.send_form(form))
        })
        .await
    }

    async fn run(&self, call: impl FnOnce() -> Result<Answer> + Send + 'static) -> Result<Answer> {
        let permit = tokio::time::timeout(self.patience, self.gate.acquire())
            .await
            .map_err(|late| unavailable("too many calls are under way", late))?
            .map_err(|closed| unavailable("calls have ended", closed))?;
        let answer = tokio::task::spawn_blocking(call)
            .await
            .map_err(|panicked| Error::internal("a call to the identity provider panicked", panicked))?;
        drop(permit);
        answer
    }
}

pub fn unavailable(what: &str, cause: impl std::fmt::Display) -> Error {
    Error::unavailable("the identity provider", format!("{what}: {cause}"))
}

fn uri_of(url: &str) -> Result<Uri> {
    url.parse()
        .map_err(|cause| unavailable("an address of its own cannot be read", cause))
}

fn read(answer: std::result::Result<Response<ureq::Body>, ureq::Error>) -> Result<Answer> {
    let mut answer = answer.map_err(|cause| unavailable("does not answer", cause))?;
    let max_age = answer
        .headers()
        .get("cache-control")
        .and_then(|value| value.to_str().ok())
        .and_then(max_age_of);
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(LARGEST_DOCUMENT)
        .read_to_vec()
        .map_err(|cause| unavailable("does not finish its answer", cause))?;
    Ok(Answer {
        status: answer.status().as_u16(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        max_age,
    })
}

/// RFC 9111, section 5.2.2.
fn max_age_of(value: &str) -> Option<i64> {
    let mut directives = value.split(',').map(str::trim);
    directives.find_map(|directive| match directive.split_once('=') {
        Some((name, seconds)) if name.eq_ignore_ascii_case("max-age") => {
            seconds.trim_matches('"').parse().ok()
        }
        None if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") => {
            Some(0)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_a_document_may_be_kept_is_read() {
        for (value, seconds) in [
            ("public, max-age=300", Some(300)),
            ("Max-Age=\"60\"", Some(60)),
            ("no-store", Some(0)),
            ("private", None),
            ("max-age=soon", None),
        ] {
            assert_eq!(max_age_of(value), seconds, "{value}");
        }
    }
}
