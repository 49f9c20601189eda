//! The values of custom fields on the wire, whatever their topic says of them: at most 50 members, names of 1 to 64
//! characters, strings of at most 1000, numbers, booleans. What the topic defines is checked in `queues::fields`.
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use validator::ValidationError;

use crate::error::FieldCode;
use crate::store::Json;
use crate::text::{is_no_text, nfc};

/// Names and texts in NFC. A name that stands twice is refused: which of the two was meant?
pub(super) fn members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Map<String, Value>;

        fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
            text.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Self::Value, A::Error> {
            let mut members = Map::new();
            while let Some((name, Json(value))) = given.next_entry::<String, Json>()? {
                let name = nfc(&name);
                if members.contains_key(&name) {
                    return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                }
                let value = match value {
                    Value::String(text) => Value::String(nfc(&text)),
                    // What asks for 0 finds it.
                    Value::Number(number) if number.as_f64() == Some(0.0) => Value::from(0),
                    other => other,
                };
                members.insert(name, value);
            }
            Ok(members)
        }
    }

    deserializer.deserialize_map(Members)
}

/// Parameter of a refusal: what is wrong with which member.
pub(super) const WRONG: &str = "wrong";

pub(super) fn check(fields: &Map<String, Value>) -> Result<(), ValidationError> {
    if fields.len() > 50 {
        return Err(ValidationError::new("too_many_members"));
    }
    let wrong: BTreeMap<&String, &str> = fields
        .iter()
        .filter_map(|(name, value)| Some((name, wrong_with(name, value)?)))
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    let mut refused = ValidationError::new("custom_fields");
    refused.add_param(WRONG.into(), &wrong);
    Err(refused)
}

fn wrong_with(name: &str, value: &Value) -> Option<&'static str> {
    if !(1..=64).contains(&name.chars().count()) {
        return Some("name");
    }
    match value {
        _ if name.chars().any(is_no_text) => Some("control_character"),
        Value::String(text) if text.chars().any(is_no_text) => Some("control_character"),
        Value::String(text) if text.chars().count() > 1000 => Some("too_long"),
        Value::String(_) | Value::Number(_) | Value::Bool(_) => None,
        Value::Null | Value::Array(_) | Value::Object(_) => Some("wrong_type"),
    }
}

pub(super) fn code_of(reason: &str) -> FieldCode {
    match reason {
        "control_character" => FieldCode::ControlCharacter,
        "too_long" => FieldCode::TooLong { max: 1000 },
        "wrong_type" => FieldCode::WrongType {
            expected: "a string, a number, true or false".into(),
        },
        _ => FieldCode::OutOfRange {
            expected: "a name of 1 to 64 characters".into(),
        },
    }
}
