//! The provider's published keys (RFC 7517). Only public keys of the kinds that we verify with are taken; what is
//! symmetric, of another curve, for encryption or not understood is passed over.
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// Far more than any provider publishes.
const MOST_KEYS: usize = 64;

/// The signatures that may be accepted at all, where the provider says that it makes them. Nothing symmetric is among
/// them, so that a public key can never be used as a shared secret (RFC 8725, section 2.1).
pub const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("RS256", Algorithm::RS256),
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    Ed25519,
}

impl Kind {
    fn of(algorithm: Algorithm) -> Option<Kind> {
        match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => Some(Kind::Rsa),
            Algorithm::ES256 => Some(Kind::P256),
            Algorithm::EdDSA => Some(Kind::Ed25519),
            _ => None,
        }
    }
}

/// As published.
#[derive(Debug, Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// One key, and what its owner says that it is for.
pub struct Key {
    kid: Option<String>,
    kind: Kind,
    algorithm: Option<Algorithm>,
    pub decoding: DecodingKey,
}

impl Key {
    fn read(value: &Value) -> Option<Key> {
        let jwk = Jwk::deserialize(value).ok()?;
        let verifies = jwk.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.purpose.is_some_and(|purpose| purpose != "sig") || !verifies {
            return None;
        }
        let algorithm = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(algorithm_named(name)?),
        };
        let (kind, decoding) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", None) => {
                let decoding = DecodingKey::from_rsa_components(&jwk.n?, &jwk.e?);
                (Kind::Rsa, decoding.ok()?)
            }
            ("EC", Some("P-256")) => {
                let decoding = DecodingKey::from_ec_components(&jwk.x?, &jwk.y?);
                (Kind::P256, decoding.ok()?)
            }
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(&jwk.x?).ok()?),
            _ => return None,
        };
        Some(Key {
            kid: jwk.kid,
            kind,
            algorithm,
            decoding,
        })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        Kind::of(algorithm) == Some(self.kind) && self.algorithm.is_none_or(|own| own == algorithm)
    }
}

/// The algorithm of this name; RFC 9864 gives Ed25519 a second one.
pub fn algorithm_named(name: &str) -> Option<Algorithm> {
    let name = match name {
        "Ed25519" => "EdDSA",
        other => other,
    };
    let found = ALGORITHMS.iter().find(|(known, _)| *known == name);
    found.map(|(_, algorithm)| *algorithm)
}

/// The keys of one published document.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// `None` where it is no set of keys.
    pub fn read(document: &Value) -> Option<KeySet> {
        let published = document.get("keys")?.as_array()?;
        let keys = published.iter().take(MOST_KEYS).filter_map(Key::read).collect();
        Some(KeySet { keys })
    }

    /// The key that a token names. One that names none is only understood where a single key fits: guessing would let
    /// the sender choose.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
        match kid {
            Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)),
            None => {
                let only = fitting.next();
                only.filter(|_| fitting.next().is_none())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rsa(extra: Value) -> Value {
        let mut key = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "one" });
        for (name, value) in extra.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn set(keys: &[Value]) -> KeySet {
        KeySet::read(&json!({ "keys": keys })).unwrap()
    }

    #[test]
    fn keys_that_are_not_for_signatures_of_ours_are_passed_over() {
        let keys = set(&[
            json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "one" }),
            json!({ "kty": "EC", "crv": "secp256k1", "x": "AQAB", "y": "AQAB", "kid": "one" }),
            json!({ "kty": "RSA", "kid": "one" }),
            json!({ "kid": "one" }),
            json!("one"),
            rsa(json!({ "use": "enc" })),
            rsa(json!({ "alg": "RSA-OAEP" })),
            rsa(json!({ "alg": "HS256" })),
            rsa(json!({ "key_ops": ["encrypt"] })),
        ]);
        assert!(keys.keys.is_empty());
        for broken in [json!(null), json!({}), json!({ "keys": "x" })] {
            assert!(KeySet::read(&broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_name_and_only_for_its_own_algorithm() {
        let keys = set(&[rsa(json!({})), rsa(json!({ "kid": "two", "alg": "PS256" }))]);
        assert!(keys.find(Some("one"), Algorithm::RS256).is_some());
        assert!(keys.find(Some("two"), Algorithm::RS256).is_none());
        assert!(keys.find(Some("two"), Algorithm::PS256).is_some());
        assert!(keys.find(Some("one"), Algorithm::ES256).is_none());
        assert!(keys.find(Some("three"), Algorithm::RS256).is_none());
        assert!(keys.find(None, Algorithm::PS256).is_none(), "two fit");
        assert!(keys.find(None, Algorithm::RS256).is_some(), "one fits");
    }
}
