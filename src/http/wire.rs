//! Types that several resources share on the wire: text that is normalised as it is read, instants with an offset,
//! lists.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use actix_web::HttpResponse;
use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use validator::{ValidateEmail, ValidateLength};

use super::extract::Call;
use crate::error::Result;
use crate::store::page::Page;
use crate::text::{breaks_a_line, is_no_text, makes_look_alikes, nfc, shows_nothing};

/// A structure from a JSON object. Derived code would take an array of its fields too, which the contract does not.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
            text.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> std::result::Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    deserializer.deserialize_map(Object(PhantomData))
}

/// The same where it may be absent.
pub fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<T>, D::Error> {
    struct Member<T>(T);

    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            object(deserializer).map(Member)
        }
    }

    Ok(Option::<Member<T>>::deserialize(deserializer)?.map(|member| member.0))
}

/// The members of an object by name. One that stands twice is refused: which of the two was meant?
#[derive(Debug, Clone)]
pub struct UniqueMembers<K, V>(pub BTreeMap<K, V>);

impl<'de, K, V> Deserialize<'de> for UniqueMembers<K, V>
where
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Members<K, V>(PhantomData<(K, V)>);

        impl<'de, K, V> Visitor<'de> for Members<K, V>
        where
            K: Deserialize<'de> + Ord,
            V: Deserialize<'de>,
        {
            type Value = BTreeMap<K, V>;

            fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
                text.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut given: A,
            ) -> std::result::Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                // Read as text first, because only then the path of a wrong value names it.
                while let Some(name) = given.next_key::<String>()? {
                    let refuse = |what| A::Error::custom(format_args!("{what} field `{name}`"));
                    let key: std::result::Result<K, serde::de::value::Error> =
                        K::deserialize(name.as_str().into_deserializer());
                    let Ok(key) = key else {
                        return Err(refuse("unknown"));
                    };
                    if members.contains_key(&key) {
                        return Err(refuse("duplicate"));
                    }
                    members.insert(key, given.next_value()?);
                }
                Ok(members)
            }
        }

        deserializer
            .deserialize_map(Members(PhantomData))
            .map(UniqueMembers)
    }
}

/// What shows nothing is no text.
fn seen(text: String) -> String {
    match shows_nothing(&text) {
        true => String::new(),
        false => text,
    }
}

/// One line of text: NFC, trimmed, no control characters and no noncharacters at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Line(pub String);

/// Text of several lines: NFC, trimmed, CRLF as LF, no control characters but tab and line feed, no noncharacters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Prose(pub String);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let text = nfc(text.trim());
        if text.chars().any(breaks_a_line) {
            Err(D::Error::custom("control_character"))
        } else {
            Ok(Line(seen(text)))
        }
    }
}

impl<'de> Deserialize<'de> for Prose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let text = nfc(text.replace("\r\n", "\n").trim());
        let forbidden = |letter: char| is_no_text(letter) && letter != '\n' && letter != '\t';
        if text.chars().any(forbidden) {
            Err(D::Error::custom("control_character"))
        } else {
            Ok(Prose(seen(text)))
        }
    }
}

impl ValidateLength<u64> for Line {
    fn length(&self) -> Option<u64> {
        u64::try_from(self.0.chars().count()).ok()
    }
}

impl ValidateLength<u64> for Prose {
    fn length(&self) -> Option<u64> {
        u64::try_from(self.0.chars().count()).ok()
    }
}

impl ValidateEmail for Line {
    fn as_email_string(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(&self.0))
    }

    /// UTS 46 leaves letters of no width out of a domain before it looks; they would stay in what is stored.
    fn validate_email(&self) -> bool {
        !self.0.chars().any(makes_look_alikes) && self.0.validate_email()
    }
}

/// The years that an instant or a date of a request may lie in: those of calendars. Text of such instants is of one
/// width, which databases that compare it rely on.
pub const YEARS: RangeInclusive<i32> = 1900..=2199;
pub const YEARS_IN_WORDS: &str = "in the years 1900 to 2199";

/// An instant: any offset on the way in, `Z` on the way out, microseconds at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireInstant(pub DateTime<Utc>);

impl<'de> Deserialize<'de> for WireInstant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = DateTime::parse_from_rfc3339(&text).ok();
        let at = parsed
            .ok_or_else(|| D::Error::custom("bad_instant"))?
            .with_timezone(&Utc);
        match YEARS.contains(&at.year()) {
            true => Ok(WireInstant(at)),
            false => Err(D::Error::custom("far_instant")),
        }
    }
}

impl Serialize for WireInstant {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl From<crate::store::Ts> for WireInstant {
    fn from(at: crate::store::Ts) -> Self {
        WireInstant(at.0)
    }
}

#[derive(Serialize)]
struct List<T, C> {
    items: Vec<T>,
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<C>,
}

/// A page with its `Link: rel="next"` (RFC 8288).
pub fn list<T: Serialize>(call: &Call, query: &str, page: Page<T>) -> Result<HttpResponse> {
    counted_list(call, query, page, None::<()>)
}

/// The same with how many there are in all, where that was asked.
pub fn counted_list<T: Serialize, C: Serialize>(
    call: &Call,
    query: &str,
    page: Page<T>,
    total: Option<C>,
) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = &page.next_cursor {
        let kept = query
            .split('&')
            .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let query: Vec<&str> = kept.collect();
        let separator = if query.is_empty() { "" } else { "&" };
        let link = format!(
            "<{}?{}{separator}cursor={cursor}>; rel=\"next\"",
            call.path,
            query.join("&")
        );
        response.insert_header(("Link", link));
    }
    Ok(response.json(List {
        items: page.items,
        next_cursor: page.next_cursor,
        total,
    }))
}
