//! Every refusal of `verify`, with keys made here; the whole against a real provider is in `tests/it/oidc`.
use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use super::*;
use crate::identity::oidc::keys::{ALGORITHMS, KeySet};

const ISSUER: &str = "https://login.example.vn";
const LOGIN: Purpose<'_> = Purpose::Login {
    client_id: "giaidap",
    nonce: "n-1",
};
const BEARER: Purpose<'_> = Purpose::Bearer {
    audience: "https://api.example.vn",
};

struct Keys {
    rsa: RsaKeyPair,
    other_rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

/// Made once: RSA takes its time.
fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        other_rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        ed25519: Ed25519KeyPair::generate().unwrap(),
    })
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

fn rsa_jwk(kid: &str, key: &RsaKeyPair) -> Value {
    let public = key.public_key();
    let part = |bytes: &[u8]| b64(bytes);
    json!({
        "kty": "RSA", "kid": kid, "use": "sig",
        "n": part(public.modulus().big_endian_without_leading_zero()),
        "e": part(public.exponent().big_endian_without_leading_zero()),
    })
}

/// What the provider publishes: three keys of three kinds.
fn published() -> KeySet {
    let keys = keys();
    let point = keys.p256.public_key().as_ref();
    let document = json!({ "keys": [
        rsa_jwk("rsa", &keys.rsa),
        { "kty": "EC", "kid": "ec", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..65]) },
        { "kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(keys.ed25519.public_key().as_ref()) },
    ] });
    KeySet::read(&document).unwrap()
}

fn sign(alg: &str, message: &str) -> Vec<u8> {
    let (keys, random) = (keys(), SystemRandom::new());
    let rsa = |key: &RsaKeyPair, padding| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &random, message.as_bytes(), &mut signature)
            .unwrap();
        signature
    };
    match alg {
        "RS256" => rsa(&keys.rsa, &RSA_PKCS1_SHA256),
        "PS256" => rsa(&keys.rsa, &RSA_PSS_SHA256),
        "stranger" => rsa(&keys.other_rsa, &RSA_PKCS1_SHA256),
        "ES256" => keys
            .p256
            .sign(&random, message.as_bytes())
            .unwrap()
            .as_ref()
            .to_vec(),
        "EdDSA" => keys.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
        _ => Vec::from("x"),
    }
}

fn token_with(header: &Value, claims: &Value, signed_by: &str) -> String {
    let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    format!("{message}.{}", b64(sign(signed_by, &message)))
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// Good claims of an ID token, with these changes; null takes one away.
fn id_claims(changes: Value) -> Value {
    let claims = json!({
        "iss": ISSUER, "sub": "lan", "aud": "giaidap", "nonce": "n-1",
        "iat": 1_699_999_990, "exp": 1_700_000_290,
    });
    changed(claims, changes)
}

fn access_claims(changes: Value) -> Value {
    let claims = json!({
        "iss": ISSUER, "sub": "lan", "aud": "https://api.example.vn", "client_id": "tool",
        "iat": 1_699_999_990, "exp": 1_700_000_290,
    });
    changed(claims, changes)
}

fn changed(mut claims: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            _ => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn check(token: &str, purpose: Purpose<'_>) -> Result<Value, Refusal> {
    let allowed: Vec<Algorithm> = ALGORITHMS.iter().map(|(_, algorithm)| *algorithm).collect();
    check_allowing(token, purpose, &allowed)
}

fn check_allowing(token: &str, purpose: Purpose<'_>, allowed: &[Algorithm]) -> Result<Value, Refusal> {
    let keys = published();
    let token = take_apart(token, allowed)?;
    let key = keys
        .find(token.kid.as_deref(), token.algorithm)
        .ok_or(Refusal::UnknownKey)?;
    verify(&token, key, ISSUER, purpose, now())
}

fn rs256() -> Value {
    json!({ "alg": "RS256", "kid": "rsa", "typ": "JWT" })
}

fn id_token(changes: Value) -> String {
    token_with(&rs256(), &id_claims(changes), "RS256")
}

#[test]
fn a_token_of_each_algorithm_holds() {
    for (alg, kid) in [
        ("RS256", "rsa"),
        ("PS256", "rsa"),
        ("ES256", "ec"),
        ("EdDSA", "ed"),
    ] {
        let header = json!({ "alg": alg, "kid": kid });
        let token = token_with(&header, &id_claims(json!({})), alg);
        assert_eq!(check(&token, LOGIN).unwrap()["sub"], "lan", "{alg}");
    }
    // Without a name where only one key fits.
    let nameless = token_with(&json!({ "alg": "ES256" }), &id_claims(json!({})), "ES256");
    assert!(check(&nameless, LOGIN).is_ok());
}

#[test]
fn an_algorithm_that_the_provider_does_not_list_is_refused() {
    let token = id_token(json!({}));
    assert_eq!(
        check_allowing(&token, LOGIN, &[Algorithm::ES256]).unwrap_err(),
        Refusal::Algorithm
    );
    for alg in [
        "none", "None", "", "HS256", "HS512", "RS512", "ES384", "rs256", "RS256 ",
    ] {
        let header = json!({ "alg": alg, "kid": "rsa" });
        let token = token_with(&header, &id_claims(json!({})), "RS256");
        assert_eq!(check(&token, LOGIN).unwrap_err(), Refusal::Algorithm, "{alg}");
    }
}

#[test]
fn an_unsigned_token_is_none() {
    let header = b64(json!({ "alg": "none" }).to_string());
    let claims = b64(id_claims(json!({})).to_string());
    assert_eq!(
        check(&format!("{header}.{claims}."), LOGIN).unwrap_err(),
        Refusal::Malformed
    );
    assert_eq!(
        check(&format!("{header}.{claims}.eA"), LOGIN).unwrap_err(),
        Refusal::Algorithm
    );
}

/// The classic confusion: the public key's bytes as the secret of an HMAC.
#[test]
fn a_public_key_is_never_a_shared_secret() {
    let public = keys().rsa.public_key().as_ref().to_vec();
    let message = format!(
        "{}.{}",
        b64(json!({ "alg": "HS256", "kid": "rsa" }).to_string()),
        b64(id_claims(json!({})).to_string())
    );
    let secret = jsonwebtoken::EncodingKey::from_secret(&public);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap();
    let refused = check(&format!("{message}.{signature}"), LOGIN).unwrap_err();
    assert_eq!(refused, Refusal::Algorithm);
}

#[test]
fn a_key_of_another_kind_or_another_owner_does_not_help() {
    for (header, signed_by, refusal) in [
        (
            json!({ "alg": "RS256", "kid": "ec" }),
            "RS256",
            Refusal::UnknownKey,
        ),
        (
            json!({ "alg": "ES256", "kid": "rsa" }),
            "ES256",
            Refusal::UnknownKey,
        ),
        (
            json!({ "alg": "RS256", "kid": "nobody" }),
            "RS256",
            Refusal::UnknownKey,
        ),
        (
            json!({ "alg": "RS256", "kid": "../../etc/passwd" }),
            "RS256",
            Refusal::UnknownKey,
        ),
        (
            json!({ "alg": "RS256", "kid": "rsa' OR 1=1" }),
            "RS256",
            Refusal::UnknownKey,
        ),
        (json!({ "alg": "RS256", "kid": 7 }), "RS256", Refusal::Header),
        (
            json!({ "alg": "RS256", "kid": "k".repeat(300) }),
            "RS256",
            Refusal::Header,
        ),
        (
            json!({ "alg": "RS256", "kid": "rsa" }),
            "stranger",
            Refusal::Signature,
        ),
        (
            json!({ "alg": "PS256", "kid": "rsa" }),
            "RS256",
            Refusal::Signature,
        ),
        (
            json!({ "alg": "EdDSA", "kid": "ed" }),
            "ES256",
            Refusal::Signature,
        ),
        (
            json!({ "alg": "RS256", "kid": "rsa" }),
            "nobody",
            Refusal::Signature,
        ),
    ] {
        let token = token_with(&header, &id_claims(json!({})), signed_by);
        assert_eq!(check(&token, LOGIN).unwrap_err(), refusal, "{header}");
    }
}

#[test]
fn a_token_that_brings_its_own_key_is_refused() {
    let own = rsa_jwk("rsa", &keys().other_rsa);
    for (name, value) in [
        ("jwk", own),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
    ] {
        let header = changed(rs256(), json!({ name: value }));
        for signed_by in ["stranger", "RS256"] {
            let token = token_with(&header, &id_claims(json!({})), signed_by);
            assert_eq!(check(&token, LOGIN).unwrap_err(), Refusal::Header, "{name}");
        }
    }
}

#[test]
fn what_is_changed_after_signing_is_refused() {
    let good = id_token(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let forged = b64(id_claims(json!({ "sub": "admin" })).to_string());
    let header = b64(json!({ "alg": "RS256", "kid": "rsa" }).to_string());
    let mut signature = BASE64URL_NOPAD.decode(parts[2].as_bytes()).unwrap();
    signature[9] ^= 1;
    for token in [
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{header}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], b64(signature)),
    ] {
        assert_eq!(check(&token, LOGIN).unwrap_err(), Refusal::Signature);
    }
    let broken = [
        "",
        "a.b",
        "a.b.c.d",
        "....",
        "a.b.c",
        "bearer",
        &format!("{good}="),
        &format!(" {good}"),
        &format!("{}.{}.{}", parts[0], "e30=", parts[2]),
        &"a".repeat(20_000),
        &format!("{}.a.b", b64("[]")),
        &format!("{}.a.b", b64("{\"alg\":")),
    ];
    for token in broken {
        assert_eq!(
            check(token, LOGIN).unwrap_err(),
            Refusal::Malformed,
            "{token:.40}"
        );
    }
}

#[test]
fn claims_that_do_not_hold_are_refused() {
    for (changes, refusal) in [
        (json!({ "iss": null }), Refusal::Issuer),
        (json!({ "iss": "https://login.example.vn/" }), Refusal::Issuer),
        (json!({ "iss": "https://evil.example" }), Refusal::Issuer),
        (json!({ "iss": [ISSUER] }), Refusal::Issuer),
        (json!({ "aud": null }), Refusal::Audience),
        (json!({ "aud": "another" }), Refusal::Audience),
        (json!({ "aud": [] }), Refusal::Audience),
        (json!({ "aud": ["another"], "azp": "giaidap" }), Refusal::Audience),
        (json!({ "aud": ["giaidap", "another"] }), Refusal::Audience),
        (
            json!({ "aud": ["giaidap", "another"], "azp": "another" }),
            Refusal::Audience,
        ),
        (json!({ "azp": "another" }), Refusal::Audience),
        (json!({ "exp": null }), Refusal::Expired),
        (json!({ "exp": "1700000290" }), Refusal::Expired),
        (json!({ "exp": 1_699_999_940 }), Refusal::Expired),
        (json!({ "exp": -1 }), Refusal::Expired),
        (json!({ "nbf": 1_700_000_061 }), Refusal::TooEarly),
        (json!({ "nbf": "soon" }), Refusal::TooEarly),
        (json!({ "iat": null }), Refusal::TooEarly),
        (json!({ "iat": 1_700_000_061 }), Refusal::TooEarly),
        (json!({ "nonce": null }), Refusal::Nonce),
        (json!({ "nonce": "n-2" }), Refusal::Nonce),
        (json!({ "nonce": "" }), Refusal::Nonce),
        (json!({ "sub": null }), Refusal::Subject),
        (json!({ "sub": "" }), Refusal::Subject),
        (json!({ "sub": "a\u{0}b" }), Refusal::Subject),
        (json!({ "sub": "s".repeat(256) }), Refusal::Subject),
        (json!({ "sub": 7 }), Refusal::Subject),
    ] {
        let refused = check(&id_token(changes.clone()), LOGIN).unwrap_err();
        assert_eq!(refused, refusal, "{changes}");
    }
}

#[test]
fn clocks_may_differ_by_a_minute() {
    for good in [
        json!({ "exp": 1_699_999_941 }),
        json!({ "exp": 1_700_000_000.5 }),
        json!({ "nbf": 1_700_000_060 }),
        json!({ "iat": 1_700_000_060 }),
        json!({ "aud": ["giaidap"] }),
        json!({ "aud": ["another", "giaidap"], "azp": "giaidap" }),
    ] {
        assert!(check(&id_token(good.clone()), LOGIN).is_ok(), "{good}");
    }
}

#[test]
fn an_access_token_is_for_our_audience_and_bound_to_nobody() {
    let at_jwt = json!({ "alg": "RS256", "kid": "rsa", "typ": "at+jwt" });
    let with = |changes: Value| token_with(&at_jwt, &access_claims(changes), "RS256");
    for good in [
        json!({}),
        json!({ "aud": ["x", "https://api.example.vn"] }),
        json!({ "iat": null }),
    ] {
        assert!(check(&with(good.clone()), BEARER).is_ok(), "{good}");
    }
    for (changes, refusal) in [
        (json!({ "aud": "giaidap" }), Refusal::Audience),
        (json!({ "aud": "https://api.example.vn/" }), Refusal::Audience),
        (json!({ "cnf": { "jkt": "x" } }), Refusal::Bound),
        (json!({ "sub": null }), Refusal::Subject),
        (json!({ "exp": null }), Refusal::Expired),
    ] {
        assert_eq!(
            check(&with(changes.clone()), BEARER).unwrap_err(),
            refusal,
            "{changes}"
        );
    }
}

#[test]
fn a_token_for_one_thing_does_not_pass_for_another() {
    // An ID token as a bearer token, and an access token as an ID token.
    assert_eq!(
        check(&id_token(json!({})), BEARER).unwrap_err(),
        Refusal::Audience
    );
    for (typ, purpose) in [
        ("at+jwt", LOGIN),
        ("logout+jwt", LOGIN),
        ("logout+jwt", BEARER),
        ("dpop+jwt", BEARER),
        ("token-introspection+jwt", BEARER),
    ] {
        let header = changed(rs256(), json!({ "typ": typ }));
        let claims = match purpose {
            Purpose::Login { .. } => id_claims(json!({})),
            Purpose::Bearer { .. } => access_claims(json!({})),
        };
        let token = token_with(&header, &claims, "RS256");
        assert_eq!(check(&token, purpose).unwrap_err(), Refusal::Type, "{typ}");
    }
}
