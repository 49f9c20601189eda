//! `GET services` and `GET services/{service_code}`.
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::caller::respond;
use super::format::{Format, Names};
use crate::app::App;
use crate::calendars::Name;
use crate::error::Result;
use crate::language::Language;
use crate::queues::fields::{Choice, CustomField, FieldType};
use crate::queues::{self, TopicView};
use crate::store::Db;
use crate::store::page::MAX_LIMIT;

#[derive(Serialize)]
struct ServiceOut {
    service_code: String,
    service_name: String,
    description: String,
    /// Whether the definition says more: which further fields a request has.
    metadata: bool,
    r#type: &'static str,
    keywords: String,
    group: String,
}

const SERVICES: Names = Names {
    list: "services",
    item: "service",
};

fn service(view: TopicView, language: Language) -> Result<ServiceOut> {
    let topic = view.topic;
    Ok(ServiceOut {
        metadata: !topic.fields()?.is_empty(),
        service_code: topic.code,
        service_name: language.choose(topic.name_vi, topic.name_en),
        description: topic.legal_basis,
        r#type: "realtime",
        keywords: topic
            .keywords
            .split(';')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(", "),
        group: language.choose(view.queue.name_vi, view.queue.name_en),
    })
}

fn all_topics(conn: &mut Db) -> Result<Vec<TopicView>> {
    let (mut topics, mut cursor) = (Vec::new(), None);
    loop {
        let page = queues::list_topics(conn, cursor.as_deref(), MAX_LIMIT)?;
        topics.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(topics);
        }
    }
}

pub async fn list_open311_services(
    app: web::Data<App>,
    request: HttpRequest,
    ending: web::Path<String>,
) -> HttpResponse {
    respond(app, &request, &ending, async |caller, format| {
        let topics = caller.app.store.read(all_topics).await?;
        let services: Vec<ServiceOut> = topics
            .into_iter()
            .map(|view| service(view, caller.language))
            .collect::<Result<_>>()?;
        Ok(format.ok(format.list(SERVICES, &services)?))
    })
    .await
}

/// In JSON lists are arrays; in XML each has an element of its own with one for every item.
#[derive(Serialize)]
struct Definition<Attributes> {
    service_code: String,
    attributes: Attributes,
}

#[derive(Serialize)]
struct XmlAttributes {
    attribute: Vec<Attribute<XmlValues>>,
}

#[derive(Serialize)]
struct XmlValues {
    value: Vec<ValueOut>,
}

#[derive(Serialize)]
struct Attribute<Values> {
    /// False where it only shows a text; ours all take a value.
    variable: bool,
    code: String,
    datatype: &'static str,
    required: bool,
    datatype_description: Option<String>,
    order: usize,
    description: String,
    values: Values,
}

#[derive(Serialize)]
struct ValueOut {
    key: String,
    name: String,
}

fn attribute(field: CustomField, order: usize, language: Language) -> Attribute<Vec<ValueOut>> {
    let say = |name: Name| language.choose(name.vi, name.en);
    let yes_or_no = || {
        let value = |key: &str, vi: &str, en: &str| ValueOut {
            key: key.to_owned(),
            name: language.choose(vi, en).to_owned(),
        };
        vec![value("true", "Có", "Yes"), value("false", "Không", "No")]
    };
    let (datatype, values) = match field.r#type {
        FieldType::Text => ("string", Vec::new()),
        FieldType::Number => ("number", Vec::new()),
        FieldType::Date => ("datetime", Vec::new()),
        FieldType::Boolean => ("singlevaluelist", yes_or_no()),
        FieldType::Choice => {
            let value = |choice: Choice| ValueOut {
                key: choice.code,
                name: say(choice.label),
            };
            ("singlevaluelist", field.choices.into_iter().map(value).collect())
        }
    };
    Attribute {
        variable: true,
        code: field.code,
        datatype,
        required: field.required,
        datatype_description: field.help.map(say),
        order,
        description: say(field.label),
        values,
    }
}

fn definition(
    format: Format,
    service_code: String,
    attributes: Vec<Attribute<Vec<ValueOut>>>,
) -> Result<String> {
    const ROOT: &str = "service_definition";
    if format == Format::Json {
        return format.one(
            ROOT,
            &Definition {
                service_code,
                attributes,
            },
        );
    }
    let in_xml = |given: Attribute<Vec<ValueOut>>| Attribute {
        variable: given.variable,
        code: given.code,
        datatype: given.datatype,
        required: given.required,
        datatype_description: given.datatype_description,
        order: given.order,
        description: given.description,
        values: XmlValues { value: given.values },
    };
    let attributes = XmlAttributes {
        attribute: attributes.into_iter().map(in_xml).collect(),
    };
    format.one(
        ROOT,
        &Definition {
            service_code,
            attributes,
        },
    )
}

pub async fn show_open311_service(
    app: web::Data<App>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (code, ending) = path.into_inner();
    respond(app, &request, &ending, async |caller, format| {
        let found = caller
            .app
            .store
            .read(move |conn| queues::get_topic_view(conn, &code));
        let topic = found.await?.topic;
        let fields = topic.fields()?.into_iter().zip(1..);
        let attributes = fields.map(|(field, order)| attribute(field, order, caller.language));
        Ok(format.ok(definition(format, topic.code, attributes.collect())?))
    })
    .await
}
