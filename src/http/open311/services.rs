//! `GET services`, `GET services/{service_code}` and the discovery document.
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::caller::respond;
use super::format::Names;
use crate::app::App;
use crate::error::Result;
use crate::language::Language;
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

fn service(view: TopicView, language: Language) -> ServiceOut {
    let topic = view.topic;
    ServiceOut {
        service_code: topic.code,
        service_name: language.choose(topic.name_vi, topic.name_en),
        description: topic.legal_basis,
        metadata: false,
        r#type: "realtime",
        keywords: topic.keywords.replace(';', ", "),
        group: language.choose(view.queue.name_vi, view.queue.name_en),
    }
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
            .collect();
        Ok(format.ok(format.list(SERVICES, &services)?))
    })
    .await
}

#[derive(Serialize)]
struct DefinitionOut {
    service_code: String,
    attributes: Vec<AttributeOut>,
}

#[derive(Serialize)]
struct AttributeOut {}

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
        let definition = DefinitionOut {
            service_code: found.await?.topic.code,
            attributes: Vec::new(),
        };
        Ok(format.ok(format.one("service_definition", &definition)?))
    })
    .await
}
