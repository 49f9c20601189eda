//! The languages in which a person is addressed: Vietnamese, the default, and English.
//!
//! API names stay English in either; only text for people follows this choice. An unknown language is refused by
//! [`Language::parse`] and never guessed; a browser's wish list falls back to Vietnamese.

use std::fmt;
use std::str::FromStr;

use diesel::sql_types::Text;
use diesel::{AsExpression, FromSqlRow};
use serde::{Deserialize, Serialize};

use crate::text_column;

#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    AsExpression,
    FromSqlRow,
)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    #[default]
    Vi,
    En,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown language: only vi and en are spoken here")]
pub struct UnknownLanguage;

impl Language {
    /// The one of two texts that is in this language.
    pub fn choose<T>(self, vi: T, en: T) -> T {
        match self {
            Language::Vi => vi,
            Language::En => en,
        }
    }

    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.as_str() == text)
    }

    /// The best match of an `Accept-Language` header (RFC 9110, section 12.5.4): the highest quality wins, then the
    /// order in the header. `*` speaks for the languages that the header does not name. Malformed entries are
    /// skipped; without a match the answer is Vietnamese, unless the header refuses exactly that.
    pub fn from_accept_language(header: &str) -> Self {
        let wishes: Vec<(&str, u16)> = header.split(',').filter_map(parse_wish).collect();
        let wish_for = |language: Self| {
            let named = best(&wishes, |tag| {
                primary_subtag(tag).eq_ignore_ascii_case(language.as_str())
            });
            named.or_else(|| best(&wishes, |tag| tag == "*"))
        };
        match (wish_for(Self::Vi), wish_for(Self::En)) {
            (Some((0, _)), None) => Self::En,
            (Some(vi), Some(en)) if outranks(en, vi) => Self::En,
            (None, Some((quality, _))) if quality > 0 => Self::En,
            _ => Self::Vi,
        }
    }
}

text_column!(Language);

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(UnknownLanguage)
    }
}

/// Quality in thousandths and position in the header.
type Rank = (u16, usize);

fn outranks(challenger: Rank, holder: Rank) -> bool {
    challenger.0 > holder.0 || (challenger.0 == holder.0 && challenger.0 > 0 && challenger.1 < holder.1)
}

fn best(wishes: &[(&str, u16)], wanted: impl Fn(&str) -> bool) -> Option<Rank> {
    let matching = wishes.iter().enumerate().filter(|(_, (tag, _))| wanted(tag));
    matching
        .map(|(position, (_, quality))| (*quality, position))
        .reduce(|holder, challenger| {
            if outranks(challenger, holder) {
                challenger
            } else {
                holder
            }
        })
}

fn primary_subtag(tag: &str) -> &str {
    tag.split('-').next().unwrap_or(tag)
}

fn parse_wish(entry: &str) -> Option<(&str, u16)> {
    let mut parts = entry.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let quality = match parts.next() {
        None => 1000,
        Some(weight) => {
            let (name, value) = weight.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("q") {
                return None;
            }
            parse_quality(value.trim())?
        }
    };
    Some((tag, quality))
}

/// `0`, `0.8`, `1.000`: at most three decimals and at most one, kept in thousandths.
fn parse_quality(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits || !matches!(whole, "0" | "1") {
        return None;
    }
    let thousandths = format!("{whole}{decimals:0<3}").parse().ok()?;
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_language_is_vietnamese() {
        assert_eq!(Language::default(), Language::Vi);
        for header in ["", "fr", "fr-FR, de;q=0.9", ";;;", "q=1", "\u{0}", "*"] {
            assert_eq!(Language::from_accept_language(header), Language::Vi, "{header:?}");
        }
    }

    #[test]
    fn the_highest_quality_wins_then_the_order() {
        for (header, language) in [
            ("vi-VN,vi;q=0.9,en-US;q=0.8,en;q=0.7", Language::Vi),
            ("en-US,en;q=0.9,vi;q=0.8", Language::En),
            ("vi;q=0.3, en;q=0.31", Language::En),
            ("en, vi", Language::En),
            ("vi, en", Language::Vi),
            ("EN-gb", Language::En),
            ("en;q=0.5, *;q=0.1", Language::En),
            ("en;q=0.5, *", Language::Vi),
            ("fr, *;q=0.5, vi;q=0", Language::En),
            ("vi;q=0", Language::En),
            ("en;q=0", Language::Vi),
            ("en;q=1.5, vi;q=0.1", Language::Vi),
            ("en;q=nan, vi;q=0.1", Language::Vi),
            ("en ; q = 0.9 , vi ; q=0.8", Language::En),
            ("english, vi;q=0.1", Language::Vi),
        ] {
            assert_eq!(Language::from_accept_language(header), language, "{header:?}");
        }
    }

    #[test]
    fn the_stored_form_is_the_lower_case_code() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(language));
            assert_eq!(serde_json::to_value(language).unwrap(), language.as_str());
        }
        assert_eq!("VI".parse::<Language>(), Err(UnknownLanguage));
    }
}
