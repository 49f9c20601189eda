//! `/topics/{id}/custom-fields`: what a question on a topic is asked besides, and its JSON Schema.
use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::Number;
use validator::Validate;

use super::answer::{self, write_once};
use super::calendars::NameIn;
use super::extract::{Body, Call};
use super::queues::topic_answer;
use super::wire::{self, Line};
use crate::error::{Error, Resource, Result};
use crate::queues;
use crate::queues::fields::{self, Choice, CustomField, FieldType};
use crate::store::Db;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCustomFields {
    #[validate(nested)]
    custom_fields: Vec<CustomFieldIn>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
struct CustomFieldIn {
    code: Line,
    r#type: FieldType,
    #[serde(deserialize_with = "wire::object")]
    #[validate(nested)]
    label: NameIn,
    #[serde(default, deserialize_with = "wire::optional_object")]
    #[validate(nested)]
    help: Option<NameIn>,
    #[serde(default)]
    required: bool,
    min: Option<Number>,
    max: Option<Number>,
    #[validate(range(min = 1, max = 1000))]
    max_length: Option<u32>,
    #[validate(length(min = 1, max = 200))]
    pattern: Option<Line>,
    #[serde(default)]
    #[validate(nested)]
    choices: Vec<ChoiceIn>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
struct ChoiceIn {
    #[validate(length(min = 1, max = 50))]
    code: Line,
    #[serde(deserialize_with = "wire::object")]
    #[validate(nested)]
    label: NameIn,
}

impl ReplaceCustomFields {
    pub(super) fn into_fields(self) -> Vec<CustomField> {
        self.custom_fields.into_iter().map(Into::into).collect()
    }
}

impl From<CustomFieldIn> for CustomField {
    fn from(given: CustomFieldIn) -> Self {
        CustomField {
            code: given.code.0,
            r#type: given.r#type,
            label: given.label.into(),
            help: given.help.map(Into::into),
            required: given.required,
            min: given.min,
            max: given.max,
            max_length: given.max_length,
            pattern: given.pattern.map(|pattern| pattern.0),
            choices: given
                .choices
                .into_iter()
                .map(|choice| Choice {
                    code: choice.code.0,
                    label: choice.label.into(),
                })
                .collect(),
        }
    }
}

pub async fn replace_custom_fields(
    call: Call,
    id: web::Path<String>,
    body: Body<ReplaceCustomFields>,
) -> Result<HttpResponse> {
    let seen = call.required_versions()?;
    let fields = body.value.into_fields();
    write_once(&call, &body.bytes, move |tx| {
        topic_answer(fields::replace(tx, &id, &fields, seen.as_deref())?)
    })
    .await
}

pub async fn show_custom_fields_schema(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let find = move |conn: &mut Db| queues::find_topic(conn, &id)?.ok_or(Error::NotFound(Resource::Topic));
    let topic = call.app.store.read(find).await?;
    let language = call.language;
    // The words differ by language, so the tag does.
    let tag = format!("\"{}-{}\"", topic.version, language.as_str());
    if let Some(unchanged) = answer::unchanged(&tag, call.if_none_match.as_deref()) {
        return answer::send(unchanged);
    }
    let schema = fields::json_schema(&topic.fields()?, language);
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, tag))
        .insert_header(("Content-Language", language.as_str()))
        .content_type("application/schema+json")
        .body(schema.to_string()))
}
