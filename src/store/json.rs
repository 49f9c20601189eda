//! JSON documents, read as what they say. `serde_json::Value` is not used for reading what came from outside: a member
//! that is called like its private mark for raw JSON (feature `raw_value`, which any dependency may switch on) would be
//! taken for that mark, and its text for a document, or for an error that makes the row unreadable.
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::Json;

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Document).map(Json)
    }
}

struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = Value;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some((name, Json(value))) = members.next_entry()? {
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_what_it_says() {
        let text = r#"{"a":[null,true,-1,18446744073709551615,1.5,"x"],"b":{},"c":{"$serde_json::private::RawValue":"[1]"}}"#;
        let Json(read) = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(
            read["a"],
            json!([null, true, -1, 18_446_744_073_709_551_615_u64, 1.5, "x"])
        );
    }

    #[test]
    fn every_double_comes_back_as_it_went() {
        for number in [
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            0.1,
            993_453.629_073_407_7,
        ] {
            for text in [number.to_string(), format!("{number:e}")] {
                let Json(read) = serde_json::from_str(&text).unwrap();
                assert_eq!(read.as_f64(), Some(number), "{text}");
            }
        }
    }
}
