//! Keyset pages: a cursor is the sort key of the last row shown, bound to the question it belongs to.
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, FieldCode, FieldError, Result};

pub const DEFAULT_LIMIT: i64 = 50;
pub const MAX_LIMIT: i64 = 200;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Make a page of rows that were fetched with one more than `limit`; `key_of` gives a row's sort key.
    pub fn from_rows<K: Serialize>(
        mut rows: Vec<T>,
        limit: i64,
        binding: &str,
        key_of: impl Fn(&T) -> K,
    ) -> Result<Page<T>> {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = match rows.last() {
            Some(last) if more => Some(encode_cursor(binding, &key_of(last))?),
            _ => None,
        };
        Ok(Page {
            items: rows,
            next_cursor,
        })
    }

    pub fn try_map<U>(self, convert: impl FnMut(T) -> Result<U>) -> Result<Page<U>> {
        Ok(Page {
            items: self.items.into_iter().map(convert).collect::<Result<Vec<_>>>()?,
            next_cursor: self.next_cursor,
        })
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

/// `binding` names the question (list, filters, sort): a cursor of another question is refused, not misread.
pub fn encode_cursor(binding: &str, key: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(&(fingerprint(binding), key))
        .map_err(|cause| Error::internal("a cursor could not be written", cause))?;
    Ok(BASE64URL_NOPAD.encode(&json))
}

pub fn decode_cursor<K: DeserializeOwned>(binding: &str, cursor: &str) -> Result<K> {
    let invalid = || Error::Invalid(vec![FieldError::parameter("cursor", FieldCode::InvalidCursor)]);
    let json = BASE64URL_NOPAD
        .decode(cursor.as_bytes())
        .ok()
        .ok_or_else(invalid)?;
    let (bound_to, key): (String, Value) = serde_json::from_slice(&json).ok().ok_or_else(invalid)?;
    // Anybody can write a cursor. PostgreSQL takes no NUL in a text; an instant out of its range `Ts` refuses.
    if names_nul(&key) {
        return Err(invalid());
    }
    let key = serde_json::from_value(key).ok().ok_or_else(invalid)?;
    if bound_to == fingerprint(binding) {
        Ok(key)
    } else {
        Err(invalid())
    }
}

fn names_nul(key: &Value) -> bool {
    match key {
        Value::String(text) => text.contains('\0'),
        Value::Array(parts) => parts.iter().any(names_nul),
        Value::Object(members) => members.values().any(names_nul),
        _ => false,
    }
}

fn fingerprint(binding: &str) -> String {
    let digest = Sha256::digest(binding.as_bytes());
    data_encoding::HEXLOWER.encode(digest.get(..6).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Ts;

    #[test]
    fn a_cursor_of_another_question_is_refused() {
        let cursor = encode_cursor("tickets?state=queued", &(7_i64, "x")).unwrap();
        assert_eq!(
            decode_cursor::<(i64, String)>("tickets?state=queued", &cursor).unwrap(),
            (7, "x".to_owned())
        );
        assert!(decode_cursor::<(i64, String)>("tickets?state=closed", &cursor).is_err());
        assert!(decode_cursor::<(i64, String)>("tickets?state=queued", "rubbish!").is_err());
        assert!(decode_cursor::<(i64, String)>("tickets?state=queued", "").is_err());
    }

    #[test]
    fn a_cursor_of_what_no_database_takes_is_refused() {
        let nul = encode_cursor("q", &("a\0b", 1_i64)).unwrap();
        assert!(decode_cursor::<(String, i64)>("q", &nul).is_err());
        for (at, is_fine) in [
            ("2019-11-22T09:30:00Z", true),
            ("9999-12-31T23:59:59Z", true),
            ("-262000-01-01T00:00:00Z", false),
            ("+262000-01-01T00:00:00Z", false),
            ("-0001-01-01T00:00:00Z", false),
            ("+10000-01-01T00:00:00Z", false),
        ] {
            let cursor = encode_cursor("q", &at).unwrap();
            assert_eq!(decode_cursor::<Ts>("q", &cursor).is_ok(), is_fine, "{at}");
        }
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = Page::from_rows(vec![1, 2, 3], 3, "q", |n| *n).unwrap();
        assert_eq!((page.items.len(), page.next_cursor), (3, None));
        let page = Page::from_rows(vec![1, 2, 3, 4], 3, "q", |n| *n).unwrap();
        assert_eq!(page.items, [1, 2, 3]);
        assert_eq!(decode_cursor::<i32>("q", &page.next_cursor.unwrap()).unwrap(), 3);
    }
}
