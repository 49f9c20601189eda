//! What a form or a query of the façade says, and the question that a form asks.
//!
//! Both are `application/x-www-form-urlencoded` in UTF-8; a name stands once. The question goes through the checks of the
//! API, whose errors are told by the names that stand in the form.
use std::collections::HashSet;

use chrono::DateTime;
use percent_encoding::percent_decode;
use serde_json::{Map, Value, json};

use super::caller::Caller;
use crate::error::{Error, FieldCode, FieldError, Place, Result};
use crate::http::aside;
use crate::http::extract::parse_json;
use crate::http::tickets::FileTicketIn;
use crate::language::Language;
use crate::queues::{self, fields::FieldType};
use crate::text::breaks_a_line;
use crate::tickets::filing::FileTicket;

/// As many errors as one answer tells of how a form is written.
const MOST_ERRORS: usize = 50;

/// Names with their values, as they came.
pub struct Fields {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Fields {
    pub fn read(text: &[u8]) -> Fields {
        let mut fields = Fields {
            pairs: Vec::new(),
            errors: Vec::new(),
        };
        let mut seen = HashSet::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=').map(decode);
            let (name, value) = (
                halves.next().unwrap_or_default(),
                halves.next().unwrap_or_default(),
            );
            match (String::from_utf8(name), String::from_utf8(value)) {
                (Ok(name), Ok(_)) if seen.contains(&name) => fields.refuse(&name, FieldCode::Duplicate),
                (Ok(name), Ok(value)) => {
                    seen.insert(name.clone());
                    fields.pairs.push((name, value));
                }
                (name, _) => {
                    let name =
                        name.unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned());
                    fields.refuse(&name, FieldCode::InvalidFormat { expected: "UTF-8" });
                }
            }
        }
        fields
    }

    fn refuse(&mut self, name: &str, code: FieldCode) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(FieldError::parameter(name, code));
        }
    }

    /// Is it written as it must be?
    pub fn check(&self) -> Result<()> {
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(Error::Invalid(self.errors.clone())),
        }
    }

    pub fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The value of a field; empty is absent, as programs that fill in a template send it.
    pub fn find(&self, name: &str) -> Option<&str> {
        let mut values = self.pairs.iter().filter(|(given, _)| given == name);
        values
            .next()
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }
}

/// A plus is a space (URL Standard, section 5.1).
fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

/// The form as a question of the API, so that the same checks apply.
pub async fn question(caller: &Caller, given: &Fields) -> Result<FileTicket> {
    let errors = misfits(given);
    let (Some(code), Some(description), true) = (
        given.find("service_code"),
        given.find("description"),
        errors.is_empty(),
    ) else {
        return Err(Error::Invalid(errors));
    };
    let text = [description, &place_of(given, caller.language)].concat();
    let mut body = json!({
        "subject": subject_of(description),
        "body": text,
        "topic": code,
    });
    if let Some(members) = body.as_object_mut() {
        if let Some(person) = requester(given) {
            members.insert("requester".into(), person);
        }
        if let Some(account) = given.find("account_id") {
            members.insert("external_ref".into(), json!(account));
        }
        let custom = attributes(caller, code.to_owned(), given).await?;
        if !custom.is_empty() {
            members.insert("custom_fields".into(), Value::Object(custom));
        }
    }
    let body = body.to_string();
    let size = body.len();
    let reading = move || parse_json::<FileTicketIn>(body.as_bytes());
    Ok(aside::read(size, reading).await?.into())
}

/// What no question can be made of.
pub fn misfits(given: &Fields) -> Vec<FieldError> {
    let required = ["service_code", "description"].into_iter();
    let missing = required.filter(|name| given.find(name).is_none());
    let missing = missing.map(|name| FieldError::parameter(name, FieldCode::Required));
    let names = given.pairs.iter().map(|(name, _)| name);
    let odd = names.filter(|name| name.starts_with("attribute") && attribute_of(name).is_none());
    let odd = odd.map(|name| FieldError::parameter(name, FieldCode::UnknownField));
    let coordinates = [("lat", "long", 90.0), ("long", "lat", 180.0)].into_iter();
    let misplaced = coordinates.filter_map(|(name, other, most)| {
        let code = match given.find(name) {
            None => given.find(other).map(|_| FieldCode::Required),
            Some(text) => (!is_within(text, most)).then(|| FieldCode::OutOfRange {
                expected: format!("a number from -{most} to {most} (WGS 84)"),
            }),
        };
        Some(FieldError::parameter(name, code?))
    });
    missing.chain(misplaced).chain(odd).take(MOST_ERRORS).collect()
}

fn is_within(text: &str, most: f64) -> bool {
    text.parse::<f64>()
        .is_ok_and(|number| (-most..=most).contains(&number))
}

/// A request has no subject: the first line of its description, shortened at a word.
fn subject_of(description: &str) -> String {
    const LONGEST: usize = 120;
    let line = description.lines().next().unwrap_or_default();
    // What a text may have and a line may not; what neither may, the check of the text finds.
    let line = line.replace(breaks_a_line, " ");
    let line = line.trim();
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    let cut: String = line.chars().take(LONGEST).collect();
    let whole_words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{whole_words} …")
}

/// Where it is and what it shows, as lines below the text: questions of offices have no place on a map.
fn place_of(given: &Fields, language: Language) -> String {
    let coordinates = match (given.find("lat"), given.find("long")) {
        (Some(lat), Some(long)) => Some(format!("{lat}, {long}")),
        _ => None,
    };
    let text = |name: &str| given.find(name).map(str::to_owned);
    let lines = [
        (language.choose("Địa chỉ", "Address"), text("address_string")),
        (language.choose("Mã địa chỉ", "Address id"), text("address_id")),
        (language.choose("Tọa độ", "Coordinates"), coordinates),
        (language.choose("Tệp phương tiện", "Media"), text("media_url")),
    ];
    let lines: Vec<String> = lines
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label}: {}", value?)))
        .collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("\n\n{}", lines.join("\n")),
    }
}

/// What a person is called by; the family name comes first.
const NAMES: [&str; 2] = ["last_name", "first_name"];

fn requester(given: &Fields) -> Option<Value> {
    let names: Vec<&str> = NAMES.into_iter().filter_map(|field| given.find(field)).collect();
    let email = given.find("email");
    let name = match names.is_empty() {
        false => names.join(" "),
        true => email?.to_owned(),
    };
    Some(json!({ "name": name, "email": email, "phone": given.find("phone") }))
}

/// The code in `attribute[code]`; `None` where it is written otherwise.
fn attribute_of(name: &str) -> Option<&str> {
    let code = name.strip_prefix("attribute[")?.strip_suffix(']')?;
    (!code.is_empty() && !code.contains(['[', ']'])).then_some(code)
}

/// `attribute[code]=value`: the topic's custom fields. A form knows only text, so that numbers and yes or no are read as
/// the definition wants them, and of an instant its day at the desk; what cannot be read so is left to the check.
async fn attributes(caller: &Caller, topic: String, given: &Fields) -> Result<Map<String, Value>> {
    let named: Vec<(String, &str)> = given
        .pairs
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .filter_map(|(name, value)| Some((attribute_of(name)?.to_owned(), value.trim())))
        .collect();
    if named.is_empty() {
        return Ok(Map::new());
    }
    let found = caller
        .app
        .store
        .read(move |conn| queues::find_topic(conn, &topic));
    let fields = found.await?.map_or(Ok(Vec::new()), |topic| topic.fields())?;
    let type_of = |code: &str| {
        fields
            .iter()
            .find(|field| field.code == code)
            .map(|field| field.r#type)
    };
    let day_of = |text: &str| {
        let at = DateTime::parse_from_rfc3339(text).ok()?;
        Some(json!(caller.app.desk.date_of(at.to_utc()).to_string()))
    };
    let typed = |code: &str, text: &str| match type_of(code) {
        Some(FieldType::Number) => serde_json::from_str(text).ok().map(Value::Number),
        Some(FieldType::Boolean) => text.parse().ok().map(Value::Bool),
        Some(FieldType::Date) => day_of(text),
        _ => None,
    };
    let values = named.into_iter().map(|(code, text)| {
        let value = typed(&code, text).unwrap_or_else(|| json!(text));
        (code, value)
    });
    Ok(values.collect())
}

/// An error of the API's checks, told by the names that stand in the form.
pub fn in_words_of(given: &Fields, error: Error) -> Error {
    let Error::Invalid(fields) = error else {
        return error;
    };
    let mut told: Vec<FieldError> = Vec::new();
    for field in fields {
        let name = match &field.place {
            Place::Pointer(pointer) => name_of(pointer, given),
            Place::Parameter(name) => name.clone(),
        };
        let field = FieldError::parameter(name, field.code);
        // The subject is of the description too.
        if !told.contains(&field) {
            told.push(field);
        }
    }
    Error::Invalid(told)
}

fn name_of(pointer: &str, given: &Fields) -> String {
    let below = |parent: &str| pointer.strip_prefix(parent);
    match pointer {
        "/topic" => "service_code".into(),
        "/subject" | "/body" => "description".into(),
        "/external_ref" => "account_id".into(),
        "/requester/name" => {
            let mut named = NAMES.into_iter().filter(|name| given.find(name).is_some());
            named.next().unwrap_or("email").into()
        }
        _ => match (below("/requester/"), below("/custom_fields/")) {
            (Some(member), _) => member.into(),
            // RFC 6901, section 4: in this order.
            (_, Some(code)) => format!("attribute[{}]", code.replace("~1", "/").replace("~0", "~")),
            _ => pointer
                .trim_start_matches('/')
                .replace("custom_fields", "attribute"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(fields: &Fields) -> Vec<(String, FieldCode)> {
        let place = |error: &FieldError| match &error.place {
            Place::Parameter(name) | Place::Pointer(name) => name.clone(),
        };
        fields
            .errors
            .iter()
            .map(|error| (place(error), error.code.clone()))
            .collect()
    }

    #[test]
    fn fields_are_utf_8_and_stand_once() {
        let fields = Fields::read("a=b+c%20d&&e&f=%C4%91%EF%BF%BD&g=1=2&h%5Bi%5D=%zz".as_bytes());
        assert_eq!(codes(&fields), []);
        assert_eq!(fields.find("a"), Some("b c d"));
        assert_eq!(fields.find("e"), None);
        assert_eq!(fields.find("f"), Some("đ\u{FFFD}"));
        assert_eq!(fields.find("g"), Some("1=2"));
        assert_eq!(fields.find("h[i]"), Some("%zz"));
        let odd = || FieldCode::InvalidFormat { expected: "UTF-8" };
        for text in [&b"a=%ff%fe"[..], b"a=\xff", b"a=%ED%A0%80", b"a=%C0%80", b"a=%C4"] {
            assert_eq!(codes(&Fields::read(text)), [("a".to_owned(), odd())]);
        }
        assert_eq!(codes(&Fields::read(b"%ff=1")), [("\u{FFFD}".to_owned(), odd())]);
        let twice = Fields::read(b"a=1&b=2&%61=3");
        assert_eq!(codes(&twice), [("a".to_owned(), FieldCode::Duplicate)]);
        assert_eq!(twice.find("a"), Some("1"));
        let flood = Fields::read("a&".repeat(1000).as_bytes());
        assert_eq!(flood.errors.len(), MOST_ERRORS);
    }

    #[test]
    fn the_checks_speak_of_the_fields_of_the_form() {
        let given = Fields::read(b"first_name=Lan&email=x");
        for (pointer, name) in [
            ("/topic", "service_code"),
            ("/subject", "description"),
            ("/body", "description"),
            ("/external_ref", "account_id"),
            ("/requester/name", "first_name"),
            ("/requester/email", "email"),
            ("/requester/phone", "phone"),
            ("/custom_fields/day", "attribute[day]"),
            ("/custom_fields/a~1b~01", "attribute[a/b~1]"),
            ("/custom_fields", "attribute"),
        ] {
            assert_eq!(name_of(pointer, &given), name);
        }
    }

    #[test]
    fn the_first_line_is_a_subject_whatever_a_text_may_hold() {
        assert_eq!(subject_of("a\tb\u{202E}c\nd"), "a b c");
        let long = subject_of(&"từ ".repeat(60));
        assert!(long.ends_with("từ …") && long.chars().count() <= 122, "{long}");
    }
}
