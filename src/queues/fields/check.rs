//! The values of a question against the definitions of its topic. Values keep their types: `"9"` is no number.
use serde_json::{Map, Value};

use super::{CustomField, FieldType, LONGEST_TEXT, domain, number};
use crate::broken_rule::HouseRule;
use crate::error::{FieldCode, FieldError};
use crate::sla::calendar::read_date;

/// What is wrong with these values, each at `/custom_fields/<name>`. Without definitions nothing is.
pub fn check(fields: &[CustomField], values: &Map<String, Value>) -> Vec<FieldError> {
    if fields.is_empty() {
        return Vec::new();
    }
    let mut errors = Vec::new();
    for field in fields {
        let problem = match values.get(&field.code) {
            None => field.required.then_some(FieldCode::Required),
            Some(value) => check_value(field, value),
        };
        errors.extend(problem.map(|code| at(&field.code, code)));
    }
    let unknown = values
        .keys()
        .filter(|name| !fields.iter().any(|field| field.code == **name));
    errors.extend(unknown.map(|name| at(name, FieldCode::UnknownField)));
    errors
}

/// RFC 6901, section 3.
fn at(name: &str, code: FieldCode) -> FieldError {
    let token = name.replace('~', "~0").replace('/', "~1");
    FieldError::pointer(format!("/custom_fields/{token}"), code)
}

fn check_value(field: &CustomField, value: &Value) -> Option<FieldCode> {
    let wrong = |expected: &str| {
        Some(FieldCode::WrongType {
            expected: expected.to_owned(),
        })
    };
    match (field.r#type, value) {
        (FieldType::Text, Value::String(text)) => check_text(field, text),
        (FieldType::Text, _) => wrong("a string"),
        (FieldType::Number, Value::Number(given)) => check_number(field, given.as_f64()?),
        (FieldType::Number, _) => wrong("a number"),
        (FieldType::Date, Value::String(text)) => {
            let is_date = read_date(text).is_some();
            (!is_date).then_some(FieldCode::InvalidFormat {
                expected: "YYYY-MM-DD",
            })
        }
        (FieldType::Date, _) => wrong("a string, YYYY-MM-DD"),
        (FieldType::Choice, Value::String(code)) => {
            let is_there = field.choices.iter().any(|choice| choice.code == *code);
            (!is_there).then(|| domain(HouseRule::UnknownChoice, "It is none of the choices."))
        }
        (FieldType::Choice, _) => wrong("a string, the code of a choice"),
        (FieldType::Boolean, Value::Bool(_)) => None,
        (FieldType::Boolean, _) => wrong("true or false"),
    }
}

fn check_text(field: &CustomField, text: &str) -> Option<FieldCode> {
    if field.required && text.trim().is_empty() {
        return Some(FieldCode::Required);
    }
    let most = u64::from(field.max_length.unwrap_or(LONGEST_TEXT));
    if u64::try_from(text.chars().count()).unwrap_or(u64::MAX) > most {
        return Some(FieldCode::TooLong { max: most });
    }
    // Definitions that do not compile are refused; linear in the text, whatever the pattern.
    let pattern = regex_lite::Regex::new(&field.whole_pattern()?).ok()?;
    (!pattern.is_match(text)).then(|| {
        domain(
            HouseRule::PatternMismatch,
            "It does not have the form that is asked for.",
        )
    })
}

fn check_number(field: &CustomField, value: f64) -> Option<FieldCode> {
    let (min, max) = (number(field.min.as_ref()), number(field.max.as_ref()));
    let is_in = min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
    let show = |bound: Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    (!is_in).then(|| FieldCode::OutOfRange {
        expected: format!("{}..{}", show(min), show(max)),
    })
}
