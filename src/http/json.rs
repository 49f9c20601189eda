//! JSON bodies: read, checked for their form, validated. All that is wrong is said at once, as far as it can be seen: what
//! serde refuses first is taken out, or filled in where it is missing, and the rest is looked at again. How much may be
//! read again is counted for the whole request (`Looks`), however many bodies it is made of.
//!
//! What only the stored data know (codes, states) is asked later, of a body whose form is right.
use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::custom_values;
use super::wire::{YEARS_IN_WORDS, object};
use crate::error::{Error, FieldCode, FieldError, Place, Result};
use crate::tickets::TAG_IN_WORDS;

/// How often a body is looked at again; each look reads all of it.
const MOST_LOOKS: usize = 40;
/// A larger body is not looked at again: only its first structural error is said.
const MOST_BYTES_AGAIN: usize = 64 << 10;

/// A look costs this at least: of a body of a few bytes it is the looking that takes time, not the bytes.
const LEAST_BYTES_OF_A_LOOK: usize = 256;

/// What may still be read again for one request, in bytes.
pub struct Looks {
    bytes_left: usize,
}

impl Looks {
    pub fn of_a_request() -> Looks {
        Looks {
            bytes_left: MOST_LOOKS * MOST_BYTES_AGAIN,
        }
    }

    /// May so many bytes be read once more?
    fn spend(&mut self, bytes: usize) -> bool {
        let left = self.bytes_left.checked_sub(bytes.max(LEAST_BYTES_OF_A_LOOK));
        self.bytes_left = left.unwrap_or_default();
        left.is_some()
    }
}

/// Parse and validate the only body of a request; all that is wrong with the form, each with its pointer.
pub fn parse_json<T: DeserializeOwned + Validate>(bytes: &[u8]) -> Result<T> {
    parse_one_of_many(bytes, &mut Looks::of_a_request())
}

/// The same of one of several bodies. Once nothing may be read again, of a wrong one the first structural error is said.
pub fn parse_one_of_many<T: DeserializeOwned + Validate>(bytes: &[u8], looks: &mut Looks) -> Result<T> {
    if let Err(cause) = std::str::from_utf8(bytes) {
        return Err(Error::Malformed {
            reason: format!("not UTF-8 at byte {}", cause.valid_up_to()),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let value: T = object(tracked).map_err(|cause| {
        let pointer = pointer_of(&track.path());
        let first =
            misread_as_syntax(&pointer, &cause, bytes).unwrap_or_else(|| structural_error(&pointer, &cause));
        with_the_rest::<T>(first, bytes, looks)
    })?;
    deserializer.end().map_err(|cause| Error::Malformed {
        reason: cause.to_string(),
    })?;
    match validation_errors(&value) {
        fields if fields.is_empty() => Ok(value),
        fields => Err(Error::Invalid(fields)),
    }
}

fn validation_errors(value: &impl Validate) -> Vec<FieldError> {
    let mut fields = Vec::new();
    if let Err(errors) = value.validate() {
        collect_validation("", &errors, &mut fields);
    }
    fields
}

/// What else is wrong beside the first structural error.
fn with_the_rest<T: DeserializeOwned + Validate>(first: Error, bytes: &[u8], looks: &mut Looks) -> Error {
    let Error::Invalid(errors) = first else {
        return first;
    };
    let size = bytes.len();
    let mut reading = Reading {
        body: Value::Null,
        size,
        errors,
        guesses: HashMap::new(),
    };
    match size <= MOST_BYTES_AGAIN && reading.begin(bytes, looks) {
        true => Error::Invalid(reading.look_again::<T>(looks)),
        false => Error::Invalid(reading.errors),
    }
}

/// A body that is mended until it can be read, only to see what else is wrong with it.
struct Reading {
    body: Value,
    /// How long the body was as it was sent, in bytes.
    size: usize,
    errors: Vec<FieldError>,
    /// How many values were put in, by place.
    guesses: HashMap<String, usize>,
}

impl Reading {
    /// A number beyond all bounds is good JSON and no value: each is named, and 0 stands in its place. Whether the
    /// body can be read then.
    fn begin(&mut self, bytes: &[u8], looks: &mut Looks) -> bool {
        let mut bytes = Cow::Borrowed(bytes);
        for _ in 0..MOST_LOOKS {
            if !looks.spend(self.size) {
                return false;
            }
            let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
            let mut track = serde_path_to_error::Track::new();
            let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
            let cause = match Value::deserialize(tracked) {
                Ok(body) => {
                    self.body = body;
                    return true;
                }
                Err(cause) => cause,
            };
            let (true, Some(mended)) = (is_beyond_bounds(&cause), with_zero_for_the_first_beyond(&bytes))
            else {
                return false;
            };
            let at = pointer_of(&track.path());
            self.note(FieldError::pointer(at, beyond_bounds()));
            bytes = Cow::Owned(mended);
        }
        false
    }

    fn look_again<T: DeserializeOwned + Validate>(mut self, looks: &mut Looks) -> Vec<FieldError> {
        let mut next = self.errors.first().cloned();
        for _ in 0..MOST_LOOKS {
            let is_mended = next.take().is_some_and(|error| self.mend(&error));
            if !is_mended || !looks.spend(self.size) {
                break;
            }
            let mut track = serde_path_to_error::Track::new();
            let tracked = serde_path_to_error::Deserializer::new(&self.body, &mut track);
            let read: std::result::Result<T, serde_json::Error> = object(tracked);
            match read {
                Ok(value) => {
                    let found = validation_errors(&value);
                    found.into_iter().for_each(|error| self.note(error));
                    break;
                }
                Err(cause) => {
                    let Error::Invalid(found) = structural_error(&pointer_of(&track.path()), &cause) else {
                        break;
                    };
                    next = found.into_iter().next();
                    if let Some(error) = &next {
                        self.note(error.clone());
                    }
                }
            }
        }
        self.errors
    }

    /// Once only: what is wrong with a value that was put in, or with what was left by one that was taken out, is no
    /// fault of the caller's.
    fn note(&mut self, error: FieldError) {
        let known = self
            .errors
            .iter()
            .any(|known| overlap(pointer(known), pointer(&error)));
        if !known {
            self.errors.push(error);
        }
    }

    /// Whether the body was changed.
    fn mend(&mut self, error: &FieldError) -> bool {
        let at = pointer(error);
        let guessed = self.guesses.get(at).copied().unwrap_or(0);
        if guessed == 0 && self.body.pointer(at).is_some() {
            return self.take_out(at);
        }
        let guess = match (&error.code, guessed) {
            (FieldCode::OutOfRange { expected }, 1) => {
                expected.split([' ', ',']).next().map(|name| json!(name))
            }
            (_, tried) => guesses().into_iter().nth(tried),
        };
        guess.is_some_and(|guess| self.put(at, guess))
    }

    fn put(&mut self, at: &str, guess: Value) -> bool {
        *self.guesses.entry(at.to_owned()).or_default() += 1;
        let Some((parent, name)) = at.rsplit_once('/') else {
            return false;
        };
        let members = self.body.pointer_mut(parent).and_then(Value::as_object_mut);
        members
            .map(|members| members.insert(unescape(name), guess))
            .is_some()
    }

    /// The member goes; of an array that has a wrong element the whole, so that the places of the others stay true.
    fn take_out(&mut self, at: &str) -> bool {
        let mut at = at;
        while let Some((parent, name)) = at.rsplit_once('/') {
            if let Some(Value::Object(members)) = self.body.pointer_mut(parent) {
                return members.remove(&unescape(name)).is_some();
            }
            at = parent;
        }
        false
    }
}

/// What a missing member may be, the most frequent first. One of several names is said by the refusal of these.
fn guesses() -> [Value; 8] {
    [
        json!("x"),
        json!({}),
        json!([]),
        json!(1),
        json!(false),
        json!("2020-01-01"),
        json!("2020-01-01T00:00:00Z"),
        json!("00000000-0000-0000-0000-000000000000"),
    ]
}

fn pointer(error: &FieldError) -> &str {
    match &error.place {
        Place::Pointer(pointer) | Place::Parameter(pointer) => pointer,
    }
}

/// Is one of these places the other, or inside it?
fn overlap(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    long.strip_prefix(short)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// RFC 6901, section 4.
fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

fn pointer_of(path: &Path) -> String {
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", escape(key)),
        Segment::Enum { .. } | Segment::Unknown => pointer,
    })
}

/// RFC 6901, section 3.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// serde_json calls some wrong values of good JSON a syntax error: what is no string where one of several names is
/// expected, an array that is too long, a number beyond all bounds.
fn misread_as_syntax(pointer: &str, cause: &serde_json::Error, bytes: &[u8]) -> Option<Error> {
    let text = cause.to_string();
    let code = match text.split(" at line ").next()? {
        "expected value" => FieldCode::WrongType {
            expected: "a string".into(),
        },
        "trailing characters" => FieldCode::OutOfRange {
            expected: "fewer elements".into(),
        },
        _ if is_beyond_bounds(cause) => beyond_bounds(),
        _ => return None,
    };
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    is_json.then(|| Error::invalid_pointer(pointer, code))
}

fn is_beyond_bounds(cause: &serde_json::Error) -> bool {
    cause.to_string().starts_with("number out of range")
}

fn beyond_bounds() -> FieldCode {
    FieldCode::OutOfRange {
        expected: "a number of double precision".into(),
    }
}

fn with_zero_for_the_first_beyond(json: &[u8]) -> Option<Vec<u8>> {
    let (mut in_text, mut escaped, mut read) = (false, false, 0);
    while let Some(byte) = json.get(read) {
        let rest = json.get(read..)?;
        let is_of_number = |byte: &&u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let length = match in_text {
            true => 0,
            false => rest.iter().take_while(is_of_number).count(),
        };
        let number = std::str::from_utf8(rest.get(..length)?).ok()?;
        if number.parse::<f64>().is_ok_and(f64::is_infinite) {
            return Some([json.get(..read)?, b"0", rest.get(length..)?].concat());
        }
        in_text ^= *byte == b'"' && !escaped;
        escaped = in_text && *byte == b'\\' && !escaped;
        read += length.max(1);
    }
    None
}

/// serde names the types of Rust, which mean nothing to a caller.
fn in_words_of_json(expected: &str) -> &str {
    match expected {
        // serde_json says this of a name of several where it looks at a value that it has read already (`Reading`).
        "string or map" => "a string",
        "u8" | "u16" | "u32" | "u64" | "usize" => "an integer from 0",
        "i8" | "i16" | "i32" | "i64" | "isize" => "an integer",
        "f32" | "f64" => "a number",
        named => named,
    }
}

/// serde gives its reason as text; the words below are its own for each kind of failure (`serde::de::Error`).
fn structural_error(pointer: &str, cause: &serde_json::Error) -> Error {
    if !cause.is_data() {
        return Error::Malformed {
            reason: cause.to_string(),
        };
    }
    let text = cause.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let quoted = text.split('`').nth(1).unwrap_or_default();
    let below = |name: &str| match pointer.rsplit('/').next() {
        Some(last) if last == escape(name) => pointer.to_owned(),
        _ => format!("{pointer}/{}", escape(name)),
    };
    let expected = || in_words_of_json(text.split("expected ").nth(1).unwrap_or("another type")).to_owned();
    if text.starts_with("missing field") {
        return Error::invalid_pointer(&below(quoted), FieldCode::Required);
    }
    if text.starts_with("unknown field") {
        return Error::invalid_pointer(&below(quoted), FieldCode::UnknownField);
    }
    if text.starts_with("duplicate field") {
        return Error::invalid_pointer(&below(quoted), FieldCode::Duplicate);
    }
    let code = match text {
        "control_character" => FieldCode::ControlCharacter,
        "bad_instant" => FieldCode::InvalidFormat {
            expected: "RFC 3339 with offset, e.g. 2019-11-22T16:30:00+07:00",
        },
        "far_instant" => FieldCode::OutOfRange {
            expected: YEARS_IN_WORDS.into(),
        },
        _ if text.starts_with("unknown variant") => FieldCode::OutOfRange {
            expected: expected().trim_start_matches("one of ").replace('`', ""),
        },
        _ if text.starts_with("invalid type") => FieldCode::WrongType { expected: expected() },
        _ if text.starts_with("UUID parsing failed") => FieldCode::InvalidFormat { expected: "UUID" },
        _ => FieldCode::OutOfRange { expected: expected() },
    };
    Error::invalid_pointer(pointer, code)
}

fn collect_validation(pointer: &str, errors: &ValidationErrors, fields: &mut Vec<FieldError>) {
    for (name, kind) in errors.errors() {
        let at = format!("{pointer}/{}", escape(name));
        match kind {
            ValidationErrorsKind::Struct(inner) => collect_validation(&at, inner, fields),
            ValidationErrorsKind::List(items) => {
                for (index, inner) in items {
                    collect_validation(&format!("{at}/{index}"), inner, fields);
                }
            }
            ValidationErrorsKind::Field(problems) => {
                for problem in problems {
                    match wrong_members(problem) {
                        members if members.is_empty() => {
                            fields.push(FieldError::pointer(&at, validation_code(problem)));
                        }
                        members => fields.extend(members.into_iter().map(|(name, code)| {
                            FieldError::pointer(format!("{at}/{}", escape(&name)), code)
                        })),
                    }
                }
            }
        }
    }
}

/// Each custom field that is wrong, by its name: `custom_values::check` puts them into one refusal.
fn wrong_members(problem: &ValidationError) -> Vec<(String, FieldCode)> {
    let members = problem.params.get(custom_values::WRONG);
    let members = members.and_then(Value::as_object).into_iter().flatten();
    members
        .map(|(name, reason)| {
            let reason = reason.as_str().unwrap_or_default();
            (name.clone(), custom_values::code_of(reason))
        })
        .collect()
}

fn validation_code(problem: &ValidationError) -> FieldCode {
    let number = |name: &str| problem.params.get(name).and_then(Value::as_u64);
    let length = problem.params.get("value").map_or(0, |value| match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    });
    let is_below = |min: u64| u64::try_from(length).is_ok_and(|length| length < min);
    match (problem.code.as_ref(), number("min"), number("max")) {
        ("length", Some(min), _) if is_below(min) => FieldCode::TooShort { min },
        ("length", _, Some(max)) => FieldCode::TooLong { max },
        ("range", min, max) => {
            let show = |bound: Option<u64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
            FieldCode::OutOfRange {
                expected: format!("{}..{}", show(min), show(max)),
            }
        }
        ("email", ..) => FieldCode::InvalidFormat {
            expected: "name@example.vn",
        },
        ("duplicate", ..) => FieldCode::Duplicate,
        ("tag_length", ..) => FieldCode::OutOfRange {
            expected: TAG_IN_WORDS.into(),
        },
        ("too_many_members", ..) => FieldCode::OutOfRange {
            expected: "at most 50 members".into(),
        },
        _ => FieldCode::InvalidFormat {
            expected: "see the API description",
        },
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read for their form only")]
    struct Part {
        #[validate(length(min = 1))]
        name: String,
        size: u8,
    }

    #[derive(Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read for their form only")]
    struct Whole {
        #[validate(length(min = 1))]
        title: String,
        colour: Colour,
        #[validate(nested)]
        part: Part,
        #[serde(default)]
        tags: Vec<String>,
        is_old: bool,
    }

    fn wrong(body: &str) -> Vec<String> {
        let Err(Error::Invalid(errors)) = parse_json::<Whole>(body.as_bytes()) else {
            panic!("{body}");
        };
        let mut told: Vec<String> = errors
            .iter()
            .map(|error| {
                let code = format!("{:?}", error.code);
                let code = code.split([' ', '{']).next().unwrap_or_default();
                format!("{} {code}", pointer(error))
            })
            .collect();
        told.sort();
        told
    }

    #[test]
    fn all_that_is_wrong_with_the_form_is_said_at_once() {
        for (body, expected) in [
            (
                "{}",
                vec![
                    "/colour Required",
                    "/is_old Required",
                    "/part Required",
                    "/title Required",
                ],
            ),
            (
                r#"{"title": "", "foo": 1, "a/b": 2, "colour": "red", "is_old": 1, "part": {"name": ""}}"#,
                vec![
                    "/a~1b UnknownField",
                    "/foo UnknownField",
                    "/is_old WrongType",
                    "/part/name TooShort",
                    "/part/size Required",
                    "/title TooShort",
                ],
            ),
            (
                r#"{"title": 1, "colour": "blue", "tags": ["a", 1], "is_old": true, "part": []}"#,
                vec![
                    "/colour OutOfRange",
                    "/part OutOfRange",
                    "/tags/1 WrongType",
                    "/title WrongType",
                ],
            ),
            (
                r#"{"title": "a", "title": "", "colour": 1, "is_old": true, "part": {"name": "a", "size": -1}}"#,
                vec!["/colour WrongType", "/part/size OutOfRange", "/title Duplicate"],
            ),
            ("[]", vec![" WrongType"]),
        ] {
            assert_eq!(wrong(body), expected, "{body}");
        }
        let long = format!(r#"{{"foo": "{}", "bar": 1}}"#, "x".repeat(MOST_BYTES_AGAIN));
        assert_eq!(wrong(&long), ["/foo UnknownField"]);
    }

    thread_local! {
        static BYTES_READ: Cell<usize> = const { Cell::new(0) };
    }

    const LARGE: usize = 20_000;

    /// Counts each time that it is read, as so large a body.
    #[derive(Validate)]
    struct Counted {}

    impl<'de> Deserialize<'de> for Counted {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Nothing {}

            BYTES_READ.set(BYTES_READ.get() + LARGE);
            Nothing::deserialize(deserializer).map(|Nothing {}| Counted {})
        }
    }

    #[test]
    fn however_many_bodies_a_request_has_what_is_read_again_is_counted_once() {
        let members: Vec<String> = (0..45)
            .map(|number| format!(r#""member_{number}": "{}""#, "x".repeat(LARGE / 45)))
            .collect();
        let body = format!("{{{}}}", members.join(","));
        let mut looks = Looks::of_a_request();
        let mut told = Vec::new();
        for _ in 0..200 {
            match parse_one_of_many::<Counted>(body.as_bytes(), &mut looks) {
                Err(Error::Invalid(errors)) => told.push(errors.len()),
                other => panic!("{:?}", other.err()),
            }
        }
        let once_each = 200 * LARGE;
        assert!(BYTES_READ.get() <= once_each + MOST_LOOKS * MOST_BYTES_AGAIN);
        assert_eq!(told.first(), Some(&(MOST_LOOKS + 1)));
        assert_eq!(told.last(), Some(&1));
    }
}
