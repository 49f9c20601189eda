//! Passwords: what a new one must be like, and argon2id, which makes guessing a stolen hash slow (OWASP Password Storage
//! Cheat Sheet: 19 MiB, two rounds, one lane). Each computation takes tens of milliseconds and 19 MiB, so that only a few
//! run at once, off the async threads and never inside a transaction. A password is compared in NFC and never shown.
use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::broken_rule::HouseRule;
use crate::error::{Error, FieldCode, Result};
use crate::text::nfc;

/// The longest that is taken: what is hashed must not be a way to keep the server busy.
pub const MAX_LENGTH: usize = 256;

const MEMORY_KIB: u32 = 19 * 1024;
const ROUNDS: u32 = 2;
const LANES: u32 = 1;

/// Computations at a time: with the memory of each, 76 MiB at most.
static SLOTS: Semaphore = Semaphore::const_new(4);
/// Those that wait for their turn, and those that have it; some seconds of work. Bounded by number and not by time, so that
/// a slow machine refuses nobody whom it can serve.
static WAITING: Semaphore = Semaphore::const_new(512);

/// Verified where there is no hash to verify, so that an unknown address takes as long as a known one. Of a random
/// password that nobody wrote down.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Z2lhaWRhcC1ub2JvZHk$m2tLxkkqTS6uyAdZ7yVhJ7cN4GdpDvXQ0uQ7yZ0cK1E";

/// Words that make a password easy to guess, alone or in a row; one a line.
const COMMON: &str = include_str!("../../data/common-passwords.txt");
/// What must be left of a password when the words that others guess are taken out.
const OWN_PART: usize = 5;

/// A password as somebody typed it.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    pub fn new(text: &str) -> Self {
        Password(nfc(text))
    }

    pub fn chars(&self) -> usize {
        self.0.chars().count()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What verifying found.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub matches: bool,
    /// Where it matches a hash of other parameters than today's: the same password with today's.
    pub rehashed: Option<String>,
}

/// The hash to be stored, as a PHC string.
pub async fn hash(password: &Password) -> Result<String> {
    let password = password.clone();
    compute(move || hash_now(&password)).await
}

/// Compare with what is stored; where nothing is, with nobody's, in the same time.
pub async fn verify(password: &Password, stored: Option<&str>) -> Result<Verdict> {
    let (password, known) = (password.clone(), stored.is_some());
    let stored = stored.unwrap_or(NOBODY).to_owned();
    compute(move || {
        let parsed = PasswordHash::new(&stored).map_err(failed)?;
        let matches = argon2()?.verify_password(password.0.as_bytes(), &parsed).is_ok() && known;
        let rehashed = match matches && !is_of_today(&stored) {
            true => Some(hash_now(&password)?),
            false => None,
        };
        Ok(Verdict { matches, rehashed })
    })
    .await
}

/// A text that stands for this password in the fingerprint of a request, which is stored: as hard to guess back as the
/// stored hash is.
pub async fn fingerprint(password: &Password, salt: &str) -> Result<String> {
    let (password, salt) = (password.clone(), Sha256::digest(salt.as_bytes()));
    compute(move || {
        let mut out = [0_u8; 32];
        argon2()?
            .hash_password_into(password.0.as_bytes(), &salt, &mut out)
            .map_err(failed)?;
        Ok(HEXLOWER.encode(&out))
    })
    .await
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, ROUNDS, LANES, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &Password) -> Result<String> {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(failed)?;
    let hash: PasswordHash = argon2()?
        .hash_password_with_salt(password.0.as_bytes(), &salt)
        .map_err(failed)?;
    Ok(hash.to_string())
}

fn is_of_today(stored: &str) -> bool {
    stored.starts_with(&format!("$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p={LANES}$"))
}

fn failed(cause: impl fmt::Display) -> Error {
    Error::internal("a password cannot be hashed", cause)
}

async fn compute<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    compute_among(&WAITING, work).await
}

async fn compute_among<T: Send + 'static>(
    waiting: &Semaphore,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let _waiting = waiting
        .try_acquire()
        .map_err(|many| Error::unavailable("too many passwords are being checked", many))?;
    let permit = SLOTS
        .acquire()
        .await
        .map_err(|closed| Error::unavailable("no passwords are checked any more", closed))?;
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    })
    .await
    .map_err(|panicked| Error::internal("a password task panicked", panicked))?
}

/// Whose password it is to be.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    pub email: &'a str,
    pub name: &'a str,
}

/// May this become the password of this person? Length, and not what others try first; no rule of digits and signs,
/// which only makes passwords that are written down (NIST SP 800-63B, section 3.1.1.2).
pub fn check(password: &Password, min_length: u32, whose: Whose<'_>) -> std::result::Result<(), FieldCode> {
    let min = u64::from(min_length);
    if u64::try_from(password.chars()).is_ok_and(|length| length < min) {
        return Err(FieldCode::TooShort { min });
    }
    if password.chars() > MAX_LENGTH {
        return Err(FieldCode::TooLong { max: 256 });
    }
    let own = own_words(whose);
    let plain = squash(&password.0);
    if is_guessable(&plain, own.iter().map(String::as_str)) && !is_guessable(&plain, std::iter::empty()) {
        return Err(FieldCode::Domain {
            code: HouseRule::OwnName.into(),
            text: "This is made of the person's own name or address.".into(),
        });
    }
    let common = COMMON.lines().filter(|line| !line.starts_with('#'));
    if is_guessable(&plain, own.iter().map(String::as_str).chain(common)) {
        return Err(FieldCode::Domain {
            code: HouseRule::CommonPassword.into(),
            text: "This is one of the passwords that others try first.".into(),
        });
    }
    Ok(())
}

/// The address, its parts and the parts of the name, longest first.
fn own_words(whose: Whose<'_>) -> Vec<String> {
    let separators = |letter: char| !letter.is_alphanumeric();
    let parts = whose.email.split(separators).chain(whose.name.split_whitespace());
    let wholes = [whose.email, whose.name];
    let mut words: Vec<String> = parts.chain(wholes).map(squash).collect();
    words.retain(|word| word.chars().count() >= 3);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
}

/// Lower case without marks, blanks and the signs that people put between words.
fn squash(text: &str) -> String {
    let letters = text.nfd().filter(|letter| !is_combining_mark(*letter));
    letters
        .flat_map(char::to_lowercase)
        .filter(|letter| !letter.is_whitespace() && !"._-@".contains(*letter))
        .map(|letter| if letter == 'đ' { 'd' } else { letter })
        .collect()
}

/// Whether too few different letters are left without these words.
fn is_guessable<'a>(plain: &str, words: impl Iterator<Item = &'a str>) -> bool {
    let rest = words.fold(plain.to_owned(), |rest, word| rest.replace(word, ""));
    let mut letters: Vec<char> = rest.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    letters.len() < OWN_PART
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: Whose<'_> = Whose {
        email: "lan.nguyen@giaidap.example.vn",
        name: "Nguyễn Thị Lan",
    };

    fn code(text: &str) -> Option<String> {
        check(&Password::new(text), 12, LAN).err().map(|code| match code {
            FieldCode::Domain { code, .. } => code.as_str().to_owned(),
            other => format!("{other:?}")
                .chars()
                .take_while(|c| c.is_alphanumeric())
                .collect(),
        })
    }

    #[test]
    fn what_others_try_first_is_refused() {
        for (text, expected) in [
            ("ngan-ha-7391", None),
            ("con mèo trèo cây cau", None),
            ("correct horse battery staple", None),
            ("ngắn", Some("TooShort")),
            ("lan.nguyen@giaidap.example.vn", Some("own_name")),
            ("Nguyễn Thị Lan", Some("own_name")),
            ("NguyenThiLan1", Some("own_name")),
            ("matkhau12345", Some("common_password")),
            ("MẬT KHẨU 123456", Some("common_password")),
            ("Password-2019", Some("common_password")),
            ("qwertyuiop123", Some("common_password")),
            ("aaaaaaaaaaaaaaa", Some("common_password")),
            ("121212121212", Some("common_password")),
            ("passwordpassword", Some("common_password")),
        ] {
            assert_eq!(code(text).as_deref(), expected, "{text}");
        }
        assert_eq!(code(&"dài".repeat(100)).as_deref(), Some("TooLong"));
        assert_eq!(code(&format!("a mèo {}", "x y z w ".repeat(31))).as_deref(), None);
    }

    #[test]
    fn a_password_matches_itself_in_either_normal_form_and_nothing_else() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let composed = Password::new("Tiếng Việt của tôi");
            let decomposed = Password("Tiếng Việt của tôi".nfd().collect());
            let stored = hash(&composed).await.unwrap();
            assert!(is_of_today(&stored), "{stored}");
            let again = Password::new(&decomposed.0);
            assert!(verify(&again, Some(&stored)).await.unwrap().matches);
            let other = Password::new("Tiếng Việt của tối");
            assert!(!verify(&other, Some(&stored)).await.unwrap().matches);
            assert!(!verify(&composed, None).await.unwrap().matches);
            // Of weaker parameters: it still matches, and comes back with today's.
            let weak = Argon2::new(
                Algorithm::Argon2id,
                Version::V0x13,
                Params::new(64, 1, 1, None).unwrap(),
            );
            let old: PasswordHash = weak
                .hash_password_with_salt(b"Old password!", b"saltsaltsaltsalt")
                .unwrap();
            let verdict = verify(&Password::new("Old password!"), Some(&old.to_string()))
                .await
                .unwrap();
            assert!(verdict.matches && is_of_today(&verdict.rehashed.unwrap()));
            let (one, two) = (
                fingerprint(&composed, "k").await.unwrap(),
                fingerprint(&other, "k").await.unwrap(),
            );
            assert_ne!(one, two);
            assert_eq!(one, fingerprint(&again, "k").await.unwrap());
        });
    }

    #[tokio::test]
    async fn whoever_comes_when_too_many_wait_is_told_to_come_back() {
        assert_eq!(compute_among(&Semaphore::new(1), || Ok(7)).await.unwrap(), 7);
        let refused = compute_among(&Semaphore::new(0), || Ok(7)).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    }

    #[test]
    fn nobodys_hash_costs_what_everybodys_costs() {
        assert!(is_of_today(NOBODY));
        PasswordHash::new(NOBODY).unwrap();
        assert_eq!(format!("{:?}", Password::new("secret")), "***");
    }
}
