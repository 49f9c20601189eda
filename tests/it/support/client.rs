//! An actor: an HTTP client with a token, whose every answer is held against `openapi.yaml`.
use giaidap::store::Json;
use serde_json::Value;

use super::contract::Contract;
use super::threads::PATIENCE;

#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: String,
    token: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
    /// The JSON of the body, or null.
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The version in the `ETag`, with a digest of what is shown behind it or without.
    #[track_caller]
    pub fn version(&self) -> i64 {
        let tag = self.header("etag").unwrap().trim_matches('"');
        tag.split('-').next().unwrap().parse().unwrap()
    }

    /// The answer with this status, or a failure that shows what came instead.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The problem's code, e.g. `wrong-transition`.
    #[track_caller]
    pub fn problem(&self) -> &str {
        let code = self.body["type"]
            .as_str()
            .and_then(|kind| kind.strip_prefix("urn:giaidap:problem:"));
        code.unwrap_or_else(|| panic!("not a problem: {} {}", self.status, self.text))
    }

    /// `pointer or parameter` with its code, for each wrong field.
    pub fn field_errors(&self) -> Vec<(String, String)> {
        let errors = self.body["errors"].as_array().cloned().unwrap_or_default();
        let place = |error: &Value| {
            error["pointer"]
                .as_str()
                .or(error["parameter"].as_str())
                .unwrap()
                .to_owned()
        };
        errors
            .iter()
            .map(|error| (place(error), error["code"].as_str().unwrap().to_owned()))
            .collect()
    }
}

impl Client {
    pub fn new(url: &str, token: Option<&str>) -> Client {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(2 * PATIENCE))
            .build()
            .into();
        Client {
            agent,
            url: url.to_owned(),
            token: token.map(str::to_owned),
            headers: Vec::new(),
        }
    }

    /// The same actor with one more header on every request.
    pub fn with(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    /// The same credential on another instance.
    pub fn on(&self, url: &str) -> Client {
        Client {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(
            "POST",
            path,
            Some("application/json"),
            Some(body.to_string().as_bytes()),
        )
    }

    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(
            "PATCH",
            path,
            Some("application/merge-patch+json"),
            Some(body.to_string().as_bytes()),
        )
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(
            "PUT",
            path,
            Some("application/json"),
            Some(body.to_string().as_bytes()),
        )
    }

    /// Ask as a browser does before it sends what it was told to.
    #[track_caller]
    pub fn preflight(&self, path: &str) -> Reply {
        self.send("OPTIONS", path, None, None)
    }

    /// POST without a body.
    #[track_caller]
    pub fn call(&self, path: &str) -> Reply {
        self.send("POST", path, None, None)
    }

    /// POST bytes as they are.
    #[track_caller]
    pub fn post_raw(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        self.send("POST", path, Some(content_type), Some(body))
    }

    /// POST to a server that may go away; `None` where it did before it had answered.
    #[track_caller]
    pub fn try_post(&self, path: &str, body: &Value) -> Option<Reply> {
        let body = body.to_string();
        self.try_send("POST", path, Some("application/json"), Some(body.as_bytes()))
            .ok()
    }

    /// GET from a server that may be away.
    #[track_caller]
    pub fn try_get(&self, path: &str) -> Option<Reply> {
        self.try_send("GET", path, None, None).ok()
    }

    /// The same with bytes as they are.
    #[track_caller]
    pub fn try_post_raw(&self, path: &str, content_type: &str, body: &[u8]) -> Option<Reply> {
        self.try_send("POST", path, Some(content_type), Some(body)).ok()
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, content_type: Option<&str>, body: Option<&[u8]>) -> Reply {
        self.try_send(method, path, content_type, body)
            .unwrap_or_else(|cause| panic!("{method} {path}: {cause}"))
    }

    #[track_caller]
    fn try_send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: Option<&[u8]>,
    ) -> Result<Reply, ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let sent = body.unwrap_or_default();
        let mut answer = match body {
            Some(body) => self.agent.run(request.body(body).unwrap())?,
            None => self.agent.run(request.body(()).unwrap())?,
        };
        let header = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), header(value)))
            .collect();
        let status = answer.status().as_u16();
        let bytes = answer.body_mut().read_to_vec()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).map_or(Value::Null, |Json(body)| body);
        let reply = Reply {
            status,
            headers,
            text,
            body,
        };
        hold_against_contract(method, path, &reply);
        hold_against_language(&reply);
        if (200..300).contains(&reply.status) {
            hold_request_against_contract(method, path, content_type, sent);
        }
        Ok(reply)
    }
}

/// Every answer that any test sees is declared: its status, media type and shape. Paths that are not in the file are
/// tests of the 404; the documentation's own pages and assets are no part of the API.
#[track_caller]
fn hold_against_contract(method: &str, path: &str, reply: &Reply) {
    assert!(
        reply.header("x-request-id").is_some(),
        "{method} {path} has no X-Request-Id"
    );
    let path = path.split('?').next().unwrap();
    // What browsers ask before they ask (Fetch, section 3.2.2) is between them and the server.
    let is_preflight = reply.header("access-control-allow-methods").is_some();
    if is_preflight || path == "/" || path == "/docs" || path.starts_with("/docs/") {
        return;
    }
    let contract = Contract::global();
    if matches!(reply.status, 404 | 414 | 429 | 431) && !contract.knows(path) {
        return;
    }
    if matches!(reply.status, 405 | 414 | 429 | 431) && !contract.has(method, path) {
        return;
    }
    let content_type = reply.header("content-type");
    let body = reply.text.as_bytes();
    let held = contract
        .check(method, path, reply.status, content_type, body)
        .and_then(|()| contract.check_headers(method, path, reply.status, &reply.headers));
    if let Err(breach) = held {
        panic!(
            "{method} {path} breaks the contract: {breach}\n{} {}",
            reply.status, reply.text
        );
    }
}

/// What a Vietnamese reader is told of a field is told in Vietnamese; codes, names and figures are of no language.
#[track_caller]
fn hold_against_language(reply: &Reply) {
    const ENGLISH: [&str; 23] = [
        "an",
        "the",
        "of",
        "to",
        "or",
        "and",
        "at",
        "not",
        "least",
        "most",
        "with",
        "than",
        "from",
        "string",
        "integer",
        "letter",
        "letters",
        "digits",
        "characters",
        "before",
        "after",
        "later",
        "years",
    ];
    if reply.header("content-language") != Some("vi") {
        return;
    }
    for error in reply.body["errors"].as_array().into_iter().flatten() {
        let detail = error["detail"].as_str().unwrap_or_default();
        // What is quoted is a name.
        let words: String = detail.split('`').step_by(2).collect();
        let foreign = words
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .find(|word| ENGLISH.contains(word));
        assert_eq!(foreign, None, "English in: {detail}");
    }
}

/// What the server accepts is what the file allows: a client that keeps to the file can do all that our tests do.
#[track_caller]
fn hold_request_against_contract(method: &str, path: &str, content_type: Option<&str>, body: &[u8]) {
    let contract = Contract::global();
    let path = path.split('?').next().unwrap();
    if !contract.has(method, path) {
        return;
    }
    if let Err(breach) = contract.check_request(method, path, content_type, body) {
        panic!("accepted what the contract does not allow: {breach}");
    }
}
