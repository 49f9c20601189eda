//! A caller of the demo's own server, as any other program would be: bearer tokens, JSON, idempotency keys.
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

/// A request to the own server on loopback takes milliseconds; whoever waits longer waits for ever.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// `base` is the server's address without a path, `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Client {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            // A proxy of the environment has no business between the demo and its own server.
            .proxy(None)
            // A problem's body says more than its status.
            .http_status_as_error(false)
            .build()
            .into();
        Client {
            agent,
            base: format!("{base}/api/v1"),
        }
    }

    /// The answer's body, `Null` where there is none.
    pub async fn get(&self, token: &str, path: &str) -> anyhow::Result<Value> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.base));
        let token = format!("Bearer {token}");
        off_the_loop(format!("GET {path}"), move || {
            agent.get(&url).header("Authorization", &token).call()
        })
        .await
    }

    /// The answer's body, `Null` where there is none.
    pub async fn post(&self, token: &str, path: &str, key: &str, body: Value) -> anyhow::Result<Value> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.base));
        let (token, key) = (format!("Bearer {token}"), key.to_owned());
        off_the_loop(format!("POST {path}"), move || {
            agent
                .post(&url)
                .header("Authorization", &token)
                .header("Idempotency-Key", &key)
                .send_json(body)
        })
        .await
    }
}

/// Calls block, and the server answers from the same process.
async fn off_the_loop(
    what: String,
    call: impl FnOnce() -> Result<ureq::http::Response<ureq::Body>, ureq::Error> + Send + 'static,
) -> anyhow::Result<Value> {
    let asked = tokio::task::spawn_blocking(move || {
        let mut response = call()?;
        Ok::<_, ureq::Error>((response.status(), response.body_mut().read_to_string()?))
    });
    let (status, text) = asked.await?.with_context(|| what.clone())?;
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).with_context(|| format!("{what}: the answer is not JSON"))?
    };
    if !status.is_success() {
        bail!("{what}: {status}: {}", problem(&body));
    }
    Ok(body)
}

/// A problem's detail with the fields that it names.
fn problem(body: &Value) -> String {
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told = vec![said(part(body, "/detail"))];
    let fields = part(body, "/errors").as_array();
    for field in fields.into_iter().flatten() {
        let (pointer, detail) = (part(field, "/pointer"), part(field, "/detail"));
        told.push(format!("{} {}", said(pointer), said(detail)));
    }
    told.join("; ")
}

/// What stands in an answer at a JSON pointer, `Null` where nothing does.
pub fn part<'a>(answer: &'a Value, pointer: &str) -> &'a Value {
    answer.pointer(pointer).unwrap_or(&Value::Null)
}

/// A text that has to stand in an answer.
pub fn text(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = part(answer, pointer).as_str();
    let found = found.with_context(|| format!("the server's answer has no text at {pointer}"))?;
    Ok(found.to_owned())
}
