//! The checks of one token: its form, its signature, and what it claims (OpenID Connect Core 3.1.3.7, RFC 8725,
//! RFC 9068). Pure: keys and time are given. Everything that is not expected is refused; the reason is for the log,
//! never for the sender.
use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::Algorithm;
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::keys::{Key, algorithm_named};

/// A token that is longer is none.
const LONGEST_TOKEN: usize = 16 * 1024;
/// A name or subject that is longer is none of ours.
const LONGEST_NAME: usize = 255;
/// By how much clocks may differ.
const LEEWAY_SECONDS: i64 = 60;

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it is no signed token")]
    Malformed,
    #[error("its header brings its own key or an extension")]
    Header,
    #[error("it is a token of another type")]
    Type,
    #[error("its algorithm is not one that the provider signs with")]
    Algorithm,
    #[error("no published key has its name")]
    UnknownKey,
    #[error("its signature is not valid")]
    Signature,
    #[error("another issuer made it")]
    Issuer,
    #[error("it is for somebody else")]
    Audience,
    #[error("it has expired, or does not say when")]
    Expired,
    #[error("it is not valid yet, or made in the future")]
    TooEarly,
    #[error("it belongs to another login")]
    Nonce,
    #[error("it names nobody")]
    Subject,
    #[error("it is bound to a key of its sender")]
    Bound,
}

/// What a token must be for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose<'a> {
    /// An ID token that ends the login with this nonce.
    Login { client_id: &'a str, nonce: &'a str },
    /// An access token presented to us.
    Bearer { audience: &'a str },
}

/// A token taken apart, nothing of it believed yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    pub algorithm: Algorithm,
    pub kid: Option<String>,
    kind: Option<String>,
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// Has it the form of a signed token (RFC 7515, compact)? Asked before anything is decoded.
pub fn looks_like_jwt(text: &str) -> bool {
    let is_base64url = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= LONGEST_TOKEN && text.split('.').count() == 3 && text.split('.').all(is_base64url)
}

/// `allowed`: the algorithms that may be accepted.
pub fn take_apart<'a>(token: &'a str, allowed: &[Algorithm]) -> Result<Unverified<'a>, Refusal> {
    if !looks_like_jwt(token) {
        return Err(Refusal::Malformed);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Refusal::Malformed)?;
    let header = decode(header)?;
    // Keys come from the published set only; an extension that must be understood is not (RFC 7515, section 4.1.11).
    if ["crit", "jwk", "jku", "x5u", "x5c"]
        .iter()
        .any(|name| header.get(name).is_some())
    {
        return Err(Refusal::Header);
    }
    let algorithm = text(&header, "alg")
        .and_then(algorithm_named)
        .filter(|algorithm| allowed.contains(algorithm))
        .ok_or(Refusal::Algorithm)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= LONGEST_NAME => Some(kid.clone()),
        Some(_) => return Err(Refusal::Header),
    };
    let kind = match header.get("typ") {
        None => None,
        Some(Value::String(kind)) => Some(kind.to_ascii_lowercase()),
        Some(_) => return Err(Refusal::Type),
    };
    Ok(Unverified {
        algorithm,
        kid,
        kind,
        message,
        payload,
        signature,
    })
}

/// The claims of a token that holds in every respect.
pub fn verify(
    token: &Unverified<'_>,
    key: &Key,
    issuer: &str,
    purpose: Purpose<'_>,
    now: DateTime<Utc>,
) -> Result<Value, Refusal> {
    check_kind(token.kind.as_deref(), purpose)?;
    let holds = jsonwebtoken::crypto::verify(
        token.signature,
        token.message.as_bytes(),
        &key.decoding,
        token.algorithm,
    );
    if !holds.unwrap_or(false) {
        return Err(Refusal::Signature);
    }
    let claims = decode(token.payload)?;
    if text(&claims, "iss") != Some(issuer) {
        return Err(Refusal::Issuer);
    }
    check_audience(&claims, purpose)?;
    check_times(&claims, purpose, now.timestamp())?;
    if let Purpose::Login { nonce, .. } = purpose {
        let given = text(&claims, "nonce").ok_or(Refusal::Nonce)?;
        if !bool::from(given.as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(Refusal::Nonce);
        }
    }
    subject_of(&claims).ok_or(Refusal::Subject)?;
    Ok(claims)
}

/// The name under which the provider knows somebody.
pub fn subject_of(claims: &Value) -> Option<&str> {
    let is_name = |sub: &&str| (1..=LONGEST_NAME).contains(&sub.len()) && !sub.chars().any(char::is_control);
    text(claims, "sub").filter(is_name)
}

/// A token for one thing must not pass for another (RFC 8725, section 3.11).
fn check_kind(kind: Option<&str>, purpose: Purpose<'_>) -> Result<(), Refusal> {
    let fits = match (kind, purpose) {
        (None | Some("jwt"), _) => true,
        (Some("at+jwt" | "application/at+jwt"), Purpose::Bearer { .. }) => true,
        (Some(_), _) => false,
    };
    if fits { Ok(()) } else { Err(Refusal::Type) }
}

fn check_audience(claims: &Value, purpose: Purpose<'_>) -> Result<(), Refusal> {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    match purpose {
        Purpose::Login { client_id, .. } => {
            // Several audiences: only where we are the one that asked for it.
            let party = match claims.get("azp") {
                None => audiences.len() == 1,
                Some(party) => party.as_str() == Some(client_id),
            };
            if !(party && audiences.contains(&client_id)) {
                return Err(Refusal::Audience);
            }
        }
        Purpose::Bearer { audience } => {
            if !audiences.contains(&audience) {
                return Err(Refusal::Audience);
            }
            // RFC 7800: whoever presents it would have to prove that they hold a key.
            if claims.get("cnf").is_some() {
                return Err(Refusal::Bound);
            }
        }
    }
    Ok(())
}

fn check_times(claims: &Value, purpose: Purpose<'_>, now: i64) -> Result<(), Refusal> {
    let expires = seconds(claims, "exp", Refusal::Expired)?;
    if expires.is_none_or(|expires| now >= expires.saturating_add(LEEWAY_SECONDS)) {
        return Err(Refusal::Expired);
    }
    let from = seconds(claims, "nbf", Refusal::TooEarly)?;
    let made = seconds(claims, "iat", Refusal::TooEarly)?;
    if made.is_none() && matches!(purpose, Purpose::Login { .. }) {
        return Err(Refusal::TooEarly);
    }
    let is_future = |at: Option<i64>| at.is_some_and(|at| at > now.saturating_add(LEEWAY_SECONDS));
    if is_future(from) || is_future(made) {
        return Err(Refusal::TooEarly);
    }
    Ok(())
}

/// A NumericDate (RFC 7519, section 2), which may have a fraction.
fn seconds(claims: &Value, name: &str, unreadable: Refusal) -> Result<Option<i64>, Refusal> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let number = value.as_number().ok_or(unreadable)?.to_string();
    let whole = number.split('.').next().unwrap_or_default();
    whole.parse().map(Some).ok().ok_or(unreadable)
}

fn text<'a>(claims: &'a Value, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

fn decode(part: &str) -> Result<Value, Refusal> {
    let bytes = BASE64URL_NOPAD
        .decode(part.as_bytes())
        .ok()
        .ok_or(Refusal::Malformed)?;
    let value: Value = serde_json::from_slice(&bytes).ok().ok_or(Refusal::Malformed)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(Refusal::Malformed)
    }
}

#[cfg(test)]
mod tests;
