//! The form of keys, tokens and sessions: `gdk_<lookup>_<secret>` (organisation's key), `gdt_…` (personal token) and
//! `gds_…` (session). The prefix lets secret scanners recognise them: `gd[kts]_[a-z2-7]{16}_[a-z2-7]{52}`. 80 bits of
//! lookup, 256 bits of secret, in lower-case base32.
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::text_enum;

text_enum! {
    /// What a credential is.
    Kind { Key "key", Token "token", Session "session" }
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Kind::Key => "gdk_",
            Kind::Token => "gdt_",
            Kind::Session => "gds_",
        }
    }
}

/// The public half without the prefix that it may have been copied with.
pub fn bare_lookup(text: &str) -> &str {
    let mut prefixes = Kind::ALL.iter().map(|kind| kind.prefix());
    prefixes
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
}

/// The public half with its prefix, as a person reads it at the beginning of the whole.
pub fn public_half(kind: Kind, lookup: &str) -> String {
    format!("{}{lookup}", kind.prefix())
}

/// A new credential; its text is shown once and never stored.
pub struct Secret {
    kind: Kind,
    lookup: String,
    text: String,
    hash: String,
}

impl Secret {
    pub fn generate(kind: Kind) -> Result<Secret> {
        let lookup = random_base32::<10>()?;
        let secret = random_base32::<32>()?;
        Ok(Secret {
            kind,
            text: format!("{}{lookup}_{secret}", kind.prefix()),
            hash: hash(&secret),
            lookup,
        })
    }

    /// The whole token, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn lookup(&self) -> &str {
        &self.lookup
    }

    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// A token as a caller sent it.
pub struct Presented<'a> {
    pub kind: Kind,
    pub lookup: &'a str,
    secret: &'a str,
}

impl<'a> Presented<'a> {
    /// `None` for anything that does not have the form, before the database is asked.
    pub fn parse(text: &'a str) -> Option<Self> {
        let kind = Kind::ALL
            .iter()
            .copied()
            .find(|kind| text.starts_with(kind.prefix()))?;
        let rest = text.strip_prefix(kind.prefix())?;
        let (lookup, secret) = rest.split_once('_')?;
        let is_base32 = |part: &str| part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
        (lookup.len() == 16 && secret.len() == 52 && is_base32(lookup) && is_base32(secret))
            .then_some(Presented { kind, lookup, secret })
    }

    pub fn matches(&self, stored_hash: &str) -> bool {
        hash(self.secret).as_bytes().ct_eq(stored_hash.as_bytes()).into()
    }
}

/// A random text of `N` bytes in lower-case base32, for tokens and links.
pub fn random_base32<const N: usize>() -> Result<String> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|cause| Error::internal("no random numbers", cause))?;
    Ok(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// Of what is random enough not to be guessed: keys, tokens, recovery codes; not of passwords.
pub fn hash(secret: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_only_its_own_hash() {
        let secret = Secret::generate(Kind::Key).unwrap();
        let other = Secret::generate(Kind::Key).unwrap();
        let presented = Presented::parse(secret.reveal()).unwrap();
        assert_eq!(presented.lookup, secret.lookup());
        assert!(presented.matches(secret.hash()));
        assert!(!presented.matches(other.hash()));
    }

    #[test]
    fn malformed_tokens_are_not_looked_up() {
        let good = Secret::generate(Kind::Token).unwrap().reveal().to_owned();
        let shouted = good.to_uppercase();
        let longer = format!("{good}a");
        for text in [
            "",
            "gdk_",
            "gdk__",
            "gdk_a_b",
            "x",
            "gdt_ñ_ñ",
            shouted.as_str(),
            longer.as_str(),
        ] {
            assert!(Presented::parse(text).is_none(), "{text}");
        }
    }
}
