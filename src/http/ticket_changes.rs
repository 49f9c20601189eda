//! `PATCH /tickets/{id}`: a JSON merge patch (RFC 7396) of what may be changed of a ticket.
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use validator::{Validate, ValidationError};

use super::custom_values;
use super::extract::{Body, Call};
use super::operations::operate;
use super::tickets::tags;
use super::wire::Line;
use crate::error::Result;
use crate::sla::Priority;
use crate::tickets::acts::Act;
use crate::tickets::edit::TicketChange;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeTicket {
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 300))]
    subject: Option<Line>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 100))]
    topic: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    priority: Option<Priority>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(max = 20), custom(function = tags_or_none))]
    tags: Option<Option<Vec<Line>>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(custom(function = fields_or_none))]
    custom_fields: Option<Option<Members>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 100))]
    external_ref: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 100))]
    organisation: Option<Line>,
}

/// What is there, null included where its type has that: absent is another thing.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Debug, Serialize)]
struct Members(Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        custom_values::members(deserializer).map(Members)
    }
}

fn tags_or_none(given: &[Line]) -> std::result::Result<(), ValidationError> {
    tags(given)
}

/// As in filing; null takes a member away.
fn fields_or_none(given: &Members) -> std::result::Result<(), ValidationError> {
    let mut kept = given.0.clone();
    kept.values_mut()
        .filter(|value| value.is_null())
        .for_each(|value| *value = Value::Bool(false));
    custom_values::check(&kept)
}

impl From<ChangeTicket> for TicketChange {
    fn from(given: ChangeTicket) -> Self {
        let text = |line: Line| line.0;
        TicketChange {
            subject: given.subject.map(text),
            topic: given.topic.map(|topic| topic.map(text)),
            priority: given.priority,
            tags: given
                .tags
                .map(|tags| tags.unwrap_or_default().into_iter().map(text).collect()),
            custom_fields: given.custom_fields.map(|fields| fields.map(|fields| fields.0)),
            external_ref: given.external_ref.map(|reference| reference.map(text)),
            organisation: given.organisation.map(text),
        }
    }
}

impl From<ChangeTicket> for Act {
    fn from(given: ChangeTicket) -> Self {
        Act::Change(Box::new(given.into()))
    }
}

pub async fn change_ticket(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeTicket>,
) -> Result<HttpResponse> {
    operate(call, id, &body.bytes, body.value.into()).await
}
