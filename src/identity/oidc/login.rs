//! The authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636, RFC 9700): the way out with what is kept of
//! it, and the way back up to what the provider says of the person. A login works once, within ten minutes, in the
//! browser in which it began, on whichever replica.
use chrono::{DateTime, Duration, Utc};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::fetch::{Answer, Authorization, unavailable};
use super::provider::{Metadata, Provider};
use super::roles::find_claim;
use super::verify::{Purpose, subject_of};
use super::{Identity, db};
use crate::error::{Result, SignOnRefusal};
use crate::identity::token::{hash, random_base32};
use crate::store::Db;

/// How long a person may take at the provider.
pub const LIFE: Duration = Duration::minutes(10);
const LONGEST_CODE: usize = 4096;

/// What is kept of a login until it comes back.
#[derive(Debug, Clone)]
pub struct Pending {
    pub state_hash: String,
    pub binding_hash: String,
    pub nonce: String,
    pub code_verifier: String,
    pub return_to: Option<String>,
    pub expires_at: DateTime<Utc>,
}

/// A login that begins: where the browser goes, what it keeps, what we keep.
pub struct Start {
    pub location: String,
    pub binding: String,
    pub pending: Pending,
}

/// What came back with the browser.
#[derive(Debug, Clone, Default)]
pub struct WayBack {
    pub state: Option<String>,
    pub code: Option<String>,
    pub error: Option<String>,
    pub issuer: Option<String>,
    /// The cookie.
    pub binding: Option<String>,
}

impl Provider {
    pub async fn start(&self, return_to: Option<String>, now: DateTime<Utc>) -> Result<Start> {
        let metadata = self.metadata(now).await?;
        let (state, binding) = (random_base32::<32>()?, random_base32::<32>()?);
        let (nonce, code_verifier) = (random_base32::<32>()?, random_base32::<32>()?);
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(code_verifier.as_bytes()));
        let scopes = self.settings.scopes.join(" ");
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", &scopes),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        Ok(Start {
            location: with_query(&metadata.authorization_endpoint, &parameters),
            pending: Pending {
                state_hash: hash(&state),
                binding_hash: hash(&binding),
                nonce,
                code_verifier,
                return_to,
                expires_at: now + LIFE,
            },
            binding,
        })
    }

    /// Who the provider says came back with this login. Its calls are made here, with no transaction open.
    pub async fn identify(
        &self,
        begun: &db::Begun,
        back: &WayBack,
        now: DateTime<Utc>,
    ) -> Result<std::result::Result<Identity, SignOnRefusal>> {
        let metadata = self.metadata(now).await?;
        let code = match self.code_of(&metadata, back) {
            Ok(code) => code,
            Err(Ended::Refused(refusal)) => return Ok(Err(refusal)),
            Err(Ended::Away(error)) => return Err(unavailable("cannot log people in now", error)),
        };
        let answer = self.exchange(&metadata, code, &begun.code_verifier).await?;
        let tokens = match answer.status {
            200 => answer.body,
            400..=499 => return Ok(Err(refused_by(text(&answer.body, "error").unwrap_or_default()))),
            status => return Err(unavailable("exchanges no code", status)),
        };
        let purpose = Purpose::Login {
            client_id: &self.settings.client_id,
            nonce: &begun.nonce,
        };
        let id_token = text(&tokens, "id_token").unwrap_or_default();
        let mut claims = match self.verify(id_token, purpose, now).await? {
            Ok(claims) => claims,
            Err(refusal) => {
                tracing::warn!(reason = %refusal, "an ID token was refused");
                return Ok(Err(SignOnRefusal::Unproven));
            }
        };
        if !self.add_user_info(&metadata, &tokens, &mut claims).await? {
            return Ok(Err(SignOnRefusal::Unproven));
        }
        Ok(Identity::read(&self.settings, &claims).ok_or(SignOnRefusal::Unproven))
    }

    fn code_of<'a>(&self, metadata: &Metadata, back: &'a WayBack) -> std::result::Result<&'a str, Ended> {
        // RFC 9207: the answer of another provider must not be taken for this one's.
        let named = back.issuer.as_deref();
        let is_foreign = match named {
            Some(issuer) => issuer != self.settings.issuer,
            None => metadata.authorization_response_iss_parameter_supported,
        };
        if is_foreign {
            return Err(Ended::Refused(SignOnRefusal::Unproven));
        }
        match (back.error.as_deref(), back.code.as_deref()) {
            (Some(error @ ("temporarily_unavailable" | "server_error")), _) => {
                Err(Ended::Away(known_error(error)))
            }
            (Some(error), _) => Err(Ended::Refused(refused_by(error))),
            (None, Some(code)) if (1..=LONGEST_CODE).contains(&code.len()) => Ok(code),
            (None, _) => Err(Ended::Refused(SignOnRefusal::Unproven)),
        }
    }

    /// RFC 6749, section 4.1.3.
    async fn exchange(&self, metadata: &Metadata, code: &str, verifier: &str) -> Result<Answer> {
        let mut form = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("code_verifier", verifier.to_owned()),
        ];
        let client_id = &self.settings.client_id;
        let authorization = match &self.settings.client_secret {
            None => {
                form.push(("client_id", client_id.clone()));
                Authorization::None
            }
            Some(secret) if asks_for_secret_in_form(metadata) => {
                form.push(("client_id", client_id.clone()));
                form.push(("client_secret", secret.reveal().to_owned()));
                Authorization::None
            }
            Some(secret) => {
                let login = format!(
                    "{}:{}",
                    percent_encoded(client_id),
                    percent_encoded(secret.reveal())
                );
                Authorization::Header(format!("Basic {}", BASE64.encode(login.as_bytes())))
            }
        };
        self.caller
            .post_form(&metadata.token_endpoint, authorization, form)
            .await
    }

    /// What an ID token leaves out, a provider gives at its UserInfo endpoint (OpenID Connect Core 5.3 and 5.4). False
    /// where that speaks of somebody else.
    async fn add_user_info(&self, metadata: &Metadata, tokens: &Value, claims: &mut Value) -> Result<bool> {
        let is_complete =
            claims.get("email").is_some() && find_claim(claims, &self.settings.role_claim).is_some();
        let (Some(address), Some(token)) = (&metadata.userinfo_endpoint, text(tokens, "access_token")) else {
            return Ok(true);
        };
        if is_complete {
            return Ok(true);
        }
        let bearer = Authorization::Header(format!("Bearer {token}"));
        let answer = self.caller.get(address, bearer).await?;
        let (200, Value::Object(more)) = (answer.status, &answer.body) else {
            return Err(unavailable("gives no user info", answer.status));
        };
        if subject_of(&answer.body) != subject_of(claims) {
            return Ok(false);
        }
        if let Value::Object(known) = claims {
            for (name, value) in more {
                known.entry(name).or_insert_with(|| value.clone());
            }
        }
        Ok(true)
    }
}

/// The end of a login at the provider.
enum Ended {
    Refused(SignOnRefusal),
    Away(&'static str),
}

/// Take the login that came back; each once. `Ok(None)`: unknown, over, or of another browser.
pub fn take(conn: &mut Db, back: &WayBack, now: DateTime<Utc>) -> Result<Option<db::Begun>> {
    let (Some(state), Some(binding)) = (&back.state, &back.binding) else {
        return Ok(None);
    };
    let begun = db::take_login(conn, &hash(state), &hash(binding))?;
    Ok(begun.filter(|begun| now < begun.expires_at.0))
}

/// Keep a login that begins.
pub fn keep(conn: &mut Db, pending: &Pending) -> Result<()> {
    db::insert_login(conn, pending)
}

/// Worker's step: forget logins that nobody ended.
pub fn sweep_step(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    db::delete_expired_logins(conn, now)
}

/// A path of this server, which cannot lead a browser to another (`//host`, `/\host`).
pub fn is_local_path(path: &str) -> bool {
    let mut letters = path.chars();
    letters.next() == Some('/')
        && !matches!(letters.next(), Some('/' | '\\'))
        && path.len() <= 1000
        && path.bytes().all(|byte| {
            byte.is_ascii_graphic() && byte != b'\\' && byte != b'"' && byte != b'<' && byte != b'>'
        })
}

fn refused_by(error: &str) -> SignOnRefusal {
    match error {
        "access_denied" => SignOnRefusal::Denied,
        other => SignOnRefusal::Provider(known_error(other)),
    }
}

/// Only errors that the standards name are passed on: anything else could be somebody's text in a link.
fn known_error(error: &str) -> &'static str {
    const KNOWN: [&str; 16] = [
        "login_required",
        "interaction_required",
        "account_selection_required",
        "consent_required",
        "invalid_request",
        "invalid_scope",
        "invalid_client",
        "invalid_grant",
        "invalid_target",
        "unauthorized_client",
        "unsupported_response_type",
        "unsupported_grant_type",
        "request_not_supported",
        "registration_not_supported",
        "temporarily_unavailable",
        "server_error",
    ];
    KNOWN.into_iter().find(|known| *known == error).unwrap_or("other")
}

/// `client_secret_basic` is the default (OpenID Connect Discovery 1.0, section 3).
fn asks_for_secret_in_form(metadata: &Metadata) -> bool {
    let methods = &metadata.token_endpoint_auth_methods_supported;
    let has = |method: &str| methods.iter().any(|known| known == method);
    has("client_secret_post") && !has("client_secret_basic")
}

fn with_query(address: &str, parameters: &[(&str, &str)]) -> String {
    let pairs = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encoded(value)))
        .collect::<Vec<_>>()
        .join("&");
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{pairs}")
}

/// Everything but unreserved letters (RFC 3986, section 2.3): good in a query and, as RFC 6749, section 2.3.1, wants user
/// and password of Basic, in a form.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_server_is_given_back() {
        for good in ["/", "/tickets/GD-2026-000001", "/a?b=c&d=%2F#e", "/a//b"] {
            assert!(is_local_path(good), "{good}");
        }
        let long = format!("/{}", "a".repeat(1000));
        for bad in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "https://evil.example",
            "javascript:x",
            "/a b",
            "/a\r\nSet-Cookie: x",
            "/ä",
            "/\"><script>",
            &long,
        ] {
            assert!(!is_local_path(bad), "{bad}");
        }
    }

    #[test]
    fn an_error_that_no_standard_names_is_not_repeated() {
        assert_eq!(refused_by("access_denied"), SignOnRefusal::Denied);
        assert_eq!(
            refused_by("login_required"),
            SignOnRefusal::Provider("login_required")
        );
        assert_eq!(refused_by("<b>call 0900 …</b>"), SignOnRefusal::Provider("other"));
    }

    #[test]
    fn what_goes_into_an_address_is_encoded() {
        let address = with_query(
            "https://a.example/auth?x=1",
            &[("scope", "openid a&b"), ("state", "ñ")],
        );
        assert_eq!(
            address,
            "https://a.example/auth?x=1&scope=openid%20a%26b&state=%C3%B1"
        );
    }
}
