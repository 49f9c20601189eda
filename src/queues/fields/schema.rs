//! The definitions as a JSON Schema (draft 2020-12), from which a client can build and check a form.
use serde_json::{Map, Value, json};

use super::{CustomField, FieldType, LONGEST_TEXT};
use crate::calendars::Name;
use crate::language::Language;

fn say(name: &Name, language: Language) -> &str {
    match language {
        Language::Vi => &name.vi,
        Language::En => &name.en,
    }
}

/// The schema of the object `custom_fields`, with titles in this language.
pub fn json_schema(fields: &[CustomField], language: Language) -> Value {
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.code.as_str())
        .collect();
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.code.clone(), property(field, language)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": fields.is_empty(),
    })
}

fn property(field: &CustomField, language: Language) -> Value {
    let mut schema = match field.r#type {
        FieldType::Text => json!({
            "type": "string",
            "minLength": u8::from(field.required),
            "maxLength": field.max_length.unwrap_or(LONGEST_TEXT),
        }),
        FieldType::Number => json!({ "type": "number" }),
        FieldType::Date => json!({ "type": "string", "format": "date" }),
        FieldType::Boolean => json!({ "type": "boolean" }),
        FieldType::Choice => {
            let choices = field
                .choices
                .iter()
                .map(|choice| json!({ "const": choice.code, "title": say(&choice.label, language) }));
            json!({ "type": "string", "oneOf": choices.collect::<Vec<_>>() })
        }
    };
    let mut set = |name: &str, value: Option<Value>| {
        if let (Some(members), Some(value)) = (schema.as_object_mut(), value) {
            members.insert(name.to_owned(), value);
        }
    };
    set("title", Some(json!(say(&field.label, language))));
    set(
        "description",
        field.help.as_ref().map(|help| json!(say(help, language))),
    );
    set("minimum", field.min.clone().map(Value::Number));
    set("maximum", field.max.clone().map(Value::Number));
    set("pattern", field.whole_pattern().map(Value::String));
    schema
}
