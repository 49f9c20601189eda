//! A certified OpenID provider as a process of its own on loopback (tests/oidc-provider), and a browser that logs in there.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use giaidap::config::{OidcOverrides, Overrides};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::Reply;
use super::{Client, TestApp};

pub const AUDIENCE: &str = "https://giaidap.example/api";
/// As the provider has it, with letters that must be encoded on their way.
const SECRET: &str = "a secret: with % and +";

/// The running provider; killed when dropped.
pub struct OpenIdProvider {
    pub issuer: String,
    child: Child,
}

impl OpenIdProvider {
    pub fn start() -> OpenIdProvider {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc-provider");
        assert!(
            folder.join("node_modules/oidc-provider").is_dir(),
            "the provider is not installed: npm ci --prefix tests/oidc-provider (bin/test does that)"
        );
        let mut child = Command::new("node")
            .arg(folder.join("server.mjs"))
            // Ends with this process, should it be killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Node.js is needed for the tests of logins");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = |line: String| line.strip_prefix("listening ").map(str::to_owned);
        let issuer = lines.find_map(|line| address(line.unwrap()));
        OpenIdProvider {
            issuer: issuer.expect("the provider starts"),
            child,
        }
    }

    /// Settings for this provider: two roles are mapped, only known persons come in.
    pub fn settings(&self) -> OidcOverrides {
        OidcOverrides {
            issuer: Some(self.issuer.clone()),
            client_id: Some("giaidap".into()),
            client_secret: Some(SECRET.to_owned().into()),
            role_map: Some(vec!["giaidap-admin=admin".into(), "giaidap-agent=agent".into()]),
            bearer_audience: Some(AUDIENCE.into()),
            ..OidcOverrides::default()
        }
    }

    /// What the provider says of a person from now on.
    pub fn account(&self, name: &str, claims: &Value) {
        let body = claims.to_string();
        let url = format!("{}/control/account?name={name}", self.issuer);
        agent().put(url).send(body.as_bytes()).unwrap();
    }

    /// A person with this role of the provider, whose address is `NAME@centre.example`.
    pub fn person(&self, name: &str, roles: &[&str]) {
        let claims = json!({
            "email": format!("{name}@centre.example"),
            "email_verified": true,
            "name": format!("{name} of the provider"),
            "roles": roles,
        });
        self.account(name, &claims);
    }

    pub fn control(&self, action: &str) -> Value {
        let url = format!("{}/control/{action}", self.issuer);
        agent().get(url).call().unwrap().body_mut().read_json().unwrap()
    }

    /// How often a document was asked for.
    pub fn hits(&self, path: &str) -> u64 {
        self.control("hits")[path].as_u64().unwrap_or(0)
    }

    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// An access token that a program got for this person, by the authorization code flow of its own.
    pub fn access_token(&self, person: &str, resource: &str, scope: &str) -> String {
        let verifier = "v".repeat(43);
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(verifier.as_bytes()));
        let redirect = "https%3A%2F%2Ftool.example%2Fcallback";
        let resource = resource.replace(':', "%3A").replace('/', "%2F");
        let url = format!(
            "{}/auth?client_id=tool&response_type=code&redirect_uri={redirect}&scope={}&resource={resource}\
             &code_challenge={challenge}&code_challenge_method=S256",
            self.issuer,
            scope.replace(' ', "%20").replace(':', "%3A"),
        );
        let back = Browser::default().log_in(&url, &format!("account={person}"));
        let code = parameter(&back, "code").unwrap_or_else(|| panic!("no code: {back}"));
        let form = format!(
            "grant_type=authorization_code&client_id=tool&code={code}&redirect_uri={redirect}\
             &code_verifier={verifier}&resource={resource}"
        );
        let mut answer = agent()
            .post(format!("{}/token", self.issuer))
            .content_type("application/x-www-form-urlencoded")
            .send(form.as_bytes())
            .unwrap();
        let tokens: Value = answer.body_mut().read_json().unwrap();
        tokens["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("{tokens}"))
            .to_owned()
    }
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// The value of a query parameter, as it stands there.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(given, _)| *given == name)
        .map(|(_, value)| value.to_owned())
}

/// What a person uses: keeps the provider's cookies, follows its redirects.
#[derive(Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
}

impl Browser {
    /// From the provider's authorization endpoint, through its login, to the address that it sends back to. `answer` is
    /// what the person does there: `account=NAME` or `deny=1`.
    pub fn log_in(&mut self, url: &str, answer: &str) -> String {
        let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let mut url = url.to_owned();
        for _ in 0..10 {
            if url.contains("/interaction/") {
                url = format!("{url}?{answer}");
            }
            let location = self.visit(&url);
            url = match location.starts_with('/') {
                true => format!("{origin}{location}"),
                false => location,
            };
            if !url.starts_with(&origin) {
                return url;
            }
        }
        panic!("the provider redirects for ever: {url}");
    }

    fn visit(&mut self, url: &str) -> String {
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = agent().get(url);
        if !pairs.is_empty() {
            request = request.header("Cookie", pairs.join("; "));
        }
        let mut answer = request.call().unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match value.is_empty() {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        match answer.headers().get("location") {
            Some(location) => location.to_str().unwrap().to_owned(),
            None => panic!(
                "{url}: {} {}",
                answer.status(),
                answer.body_mut().read_to_string().unwrap()
            ),
        }
    }
}

/// A login that has begun at the application.
pub struct Begun {
    pub location: String,
    /// Name and value of the cookie.
    pub cookie: String,
}

impl Begun {
    pub fn at(app: &TestApp, query: &str) -> Begun {
        let reply = app
            .anonymous()
            .get(&format!("/api/v1/auth/oidc/login{query}"))
            .expect(302);
        let cookie = reply.header("set-cookie").unwrap();
        Begun {
            location: reply.header("location").unwrap().to_owned(),
            cookie: cookie.split(';').next().unwrap().to_owned(),
        }
    }

    /// The person logs in at the provider; where it sends them, as a path of the application.
    pub fn way_back(&self, answer: &str) -> String {
        let back = Browser::default().log_in(&self.location, answer);
        let path = back.strip_prefix("https://giaidap.example");
        path.unwrap_or_else(|| panic!("sent elsewhere: {back}"))
            .to_owned()
    }

    pub fn come_back(&self, app: &TestApp, path: &str) -> Reply {
        app.anonymous().with("Cookie", &self.cookie).get(path)
    }
}

/// The whole login of a person.
pub fn log_in(app: &TestApp, person: &str) -> Reply {
    let begun = Begun::at(app, "");
    let path = begun.way_back(&format!("account={person}"));
    begun.come_back(app, &path)
}

/// The application with this provider, at the true time: the provider has no other.
pub fn app_with(oidc: OidcOverrides) -> TestApp {
    let app = TestApp::start_with(&Overrides {
        oidc,
        ..Overrides::default()
    });
    app.app.clock.set(giaidap::clock::Clock::system().now());
    app
}

/// A caller with this token.
pub fn bearer(app: &TestApp, token: &str) -> Client {
    Client::new(&app.url, Some(token))
}
