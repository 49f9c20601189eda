//! One-time codes by time (RFC 6238 over RFC 4226): HMAC-SHA-1, six digits, steps of 30 seconds, which is what the
//! authenticator programs of telephones all know. Pure: which steps were used up is the caller's to remember.
use chrono::{DateTime, Utc};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::token::random_base32;
use crate::error::{Error, Result};

const STEP_SECONDS: i64 = 30;
/// How far a telephone's clock may be off, in steps (RFC 6238, section 5.2).
const WINDOW: i64 = 1;

/// A new shared secret, in base32: 160 bits (RFC 4226, section 4, R6).
pub fn new_secret() -> Result<String> {
    Ok(random_base32::<20>()?.to_ascii_uppercase())
}

/// What an authenticator program reads from a QR code.
pub fn otpauth_url(secret: &str, issuer: &str, account: &str) -> String {
    let (issuer, account) = (escape(issuer), escape(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_SECONDS}"
    )
}

/// RFC 3986, section 2.1.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// The step whose code this is, if it is one of now and newer than `used`: a code works once.
pub fn matching_step(secret: &str, code: &str, now: DateTime<Utc>, used: Option<i64>) -> Result<Option<i64>> {
    let secret = BASE32_NOPAD
        .decode(secret.as_bytes())
        .map_err(|cause| Error::internal("a stored second factor cannot be read", cause))?;
    let present = now.timestamp().div_euclid(STEP_SECONDS);
    let mut found = None;
    for step in present - WINDOW..=present + WINDOW {
        let is_same: bool = code_of(&secret, step)?.as_bytes().ct_eq(code.as_bytes()).into();
        if is_same && used.is_none_or(|used| step > used) {
            found = found.or(Some(step));
        }
    }
    Ok(found)
}

/// The code of an authenticator program at this time, for who plays one: tests and the demo.
pub fn code_at(secret: &str, now: DateTime<Utc>) -> Result<String> {
    let secret = BASE32_NOPAD
        .decode(secret.as_bytes())
        .map_err(|cause| Error::internal("a second factor cannot be read", cause))?;
    code_of(&secret, now.timestamp().div_euclid(STEP_SECONDS))
}

fn code_of(secret: &[u8], step: i64) -> Result<String> {
    Ok(format!("{:06}", truncated(secret, step)? % 1_000_000))
}

/// RFC 4226, section 5.3.
fn truncated(secret: &[u8], step: i64) -> Result<u32> {
    let unusable = |cause: &dyn std::fmt::Display| Error::internal("a code cannot be computed", cause);
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).map_err(|cause| unusable(&cause))?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last().copied().unwrap_or_default() & 0x0f);
    let four = digest.get(offset..offset + 4).unwrap_or_default();
    let number = four
        .iter()
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    Ok(number & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, SHA-1; the code of six digits is the end of the one of eight.
    const VECTORS: [(i64, u32); 6] = [
        (59, 94_287_082),
        (1_111_111_109, 7_081_804),
        (1_111_111_111, 14_050_471),
        (1_234_567_890, 89_005_924),
        (2_000_000_000, 69_279_037),
        (20_000_000_000, 65_353_130),
    ];
    const SECRET: &[u8] = b"12345678901234567890";

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (seconds, eight_digits) in VECTORS {
            let number = truncated(SECRET, seconds / STEP_SECONDS).unwrap();
            assert_eq!(number % 100_000_000, eight_digits, "{seconds}");
            let code = code_at(&BASE32_NOPAD.encode(SECRET), at(seconds)).unwrap();
            assert_eq!(code, format!("{:06}", eight_digits % 1_000_000));
        }
    }

    #[test]
    fn a_code_is_taken_one_step_early_or_late_and_never_again() {
        let secret = new_secret().unwrap();
        assert_eq!(secret.len(), 32);
        let now = 1_574_415_000;
        let step = now / STEP_SECONDS;
        let code = code_at(&secret, at(now)).unwrap();
        let found = |seconds, used| matching_step(&secret, &code, at(seconds), used).unwrap();
        assert_eq!(found(now, None), Some(step));
        assert_eq!(found(now - 1, None), Some(step));
        assert_eq!(found(now + 59, None), Some(step));
        assert_eq!(found(now + 60, None), None);
        assert_eq!(found(now - 31, None), None);
        assert_eq!(found(now, Some(step - 1)), Some(step));
        assert_eq!(found(now, Some(step)), None);
        for wrong in ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦"] {
            assert_eq!(
                matching_step(&secret, wrong, at(now), None).unwrap(),
                None,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_name_cannot_add_to_the_address() {
        let url = otpauth_url("ABC", "Giải đáp", "a&secret=x@y.vn");
        assert!(
            url.starts_with("otpauth://totp/Gi%E1%BA%A3i%20%C4%91%C3%A1p:a%26secret%3Dx%40y.vn?secret=ABC&")
        );
    }
}
