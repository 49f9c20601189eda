//! Custom fields: what a question on a topic is asked besides, as administrators define it.
//!
//! A topic with definitions takes these names and no others; one without takes what comes. Values are checked when a
//! question is filed and when its fields or its topic change, by the same function (`check`), so a changed definition
//! makes no ticket wrong that is there. Refuses definitions that no value could meet.
mod check;
mod pattern;
mod schema;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Number;

pub use check::check;
pub use schema::json_schema;

use super::{Topic, TopicView, db};
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::calendars::Name;
use crate::error::{Error, FieldCode, FieldError, Resource, Result};
use crate::store::Json;
use crate::tx::Tx;

/// As many as a topic may have.
pub const MOST_FIELDS: usize = 50;
const MOST_CHOICES: usize = 200;
/// Characters of a text that says no limit of its own.
pub const LONGEST_TEXT: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    Text,
    Number,
    Date,
    Choice,
    Boolean,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub code: String,
    pub label: Name,
}

/// One field, in the order of the form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    pub code: String,
    pub r#type: FieldType,
    pub label: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<Name>,
    pub required: bool,
    /// Of a number, as are `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// Of a text, as is `pattern`, which all of it must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
}

impl Topic {
    pub fn fields(&self) -> Result<Vec<CustomField>> {
        serde_json::from_value(self.custom_fields.0.clone())
            .map_err(|cause| Error::internal("stored custom fields cannot be read", cause))
    }
}

impl CustomField {
    /// The whole text must match. None also for what is no pattern, which no stored field has.
    fn whole_pattern(&self) -> Option<String> {
        pattern::whole(self.pattern.as_ref()?)
    }
}

/// Replace the fields of a topic, which the caller has seen in one of these versions.
pub fn replace(
    tx: &mut Tx<'_>,
    topic: &str,
    fields: &[CustomField],
    seen: Option<&[i64]>,
) -> Result<TopicView> {
    let found = super::find_topic(tx.conn, topic)?.ok_or(Error::NotFound(Resource::Topic))?;
    let present = db::lock_topic(tx.conn, found.id)?;
    if seen.is_some_and(|seen| !seen.contains(&present.version)) {
        return Err(Error::PreconditionFailed);
    }
    let errors = check_definitions(fields);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let fields = serde_json::to_value(fields)
        .map_err(|cause| Error::internal("custom fields cannot be written", cause))?;
    db::set_custom_fields(tx.conn, present.id, Json(fields), present.version + 1, tx.now)?;
    super::get_topic_view(tx.conn, topic)
}

pub(crate) fn check_definitions(fields: &[CustomField]) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if fields.len() > MOST_FIELDS {
        let max = u64::try_from(MOST_FIELDS).unwrap_or(u64::MAX);
        errors.push(FieldError::pointer("/custom_fields", FieldCode::TooLong { max }));
    }
    let mut codes = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let mut refuse = |member: &str, code| {
            errors.push(FieldError::pointer(
                format!("/custom_fields/{index}/{member}"),
                code,
            ));
        };
        if !is_code(&field.code) {
            let expected = "snake_case of 1 to 50 letters and digits";
            refuse("code", FieldCode::InvalidFormat { expected });
        } else if !codes.insert(&field.code) {
            refuse("code", FieldCode::Duplicate);
        }
        check_details(field, &mut refuse);
    }
    errors
}

fn is_code(code: &str) -> bool {
    code.len() <= 50
        && code.starts_with(|first: char| first.is_ascii_lowercase())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn domain(code: impl Into<BrokenRule>, text: &str) -> FieldCode {
    FieldCode::Domain {
        code: code.into(),
        text: text.to_owned(),
    }
}

fn check_details(field: &CustomField, refuse: &mut impl FnMut(&str, FieldCode)) {
    let is = |kind| field.r#type == kind;
    let foreign = [
        ("min", field.min.is_some() && !is(FieldType::Number)),
        ("max", field.max.is_some() && !is(FieldType::Number)),
        ("max_length", field.max_length.is_some() && !is(FieldType::Text)),
        ("pattern", field.pattern.is_some() && !is(FieldType::Text)),
        ("choices", !field.choices.is_empty() && !is(FieldType::Choice)),
    ];
    for (member, _) in foreign.into_iter().filter(|(_, is_foreign)| *is_foreign) {
        refuse(
            member,
            domain(HouseRule::NotForType, "Fields of this type do not have it."),
        );
    }
    if let (Some(min), Some(max)) = (number(field.min.as_ref()), number(field.max.as_ref()))
        && min > max
    {
        refuse("max", domain(HouseRule::BadRange, "It is less than `min`."));
    }
    let is_pattern = |whole: String| regex_lite::Regex::new(&whole).is_ok();
    if field.pattern.is_some() && !field.whole_pattern().is_some_and(is_pattern) {
        refuse("pattern", domain(HouseRule::BadPattern, pattern::IN_WORDS));
    }
    if is(FieldType::Choice) && field.choices.is_empty() {
        refuse(
            "choices",
            domain(HouseRule::NoChoices, "A choice needs something to choose from."),
        );
    }
    if field.choices.len() > MOST_CHOICES {
        let max = u64::try_from(MOST_CHOICES).unwrap_or(u64::MAX);
        refuse("choices", FieldCode::TooLong { max });
    }
    let mut codes = BTreeSet::new();
    for (at, choice) in field.choices.iter().enumerate() {
        if !codes.insert(&choice.code) {
            refuse(&format!("choices/{at}/code"), FieldCode::Duplicate);
        }
    }
}

fn number(given: Option<&Number>) -> Option<f64> {
    given.and_then(Number::as_f64)
}
