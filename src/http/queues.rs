//! `/queues` and `/topics`, except the claim, which is an operation on tickets.
use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::Value;

use super::answer::{self, etag, unless_known};
use super::extract::Call;
use super::params::page_parameters;
use super::wire::{self, WireInstant};
use crate::calendars::Name;
use crate::error::Result;
use crate::idempotency::Answer;
use crate::identity::Role;
use crate::queues::{self, Queue, TopicView};
use crate::sla::Priority;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;
use crate::tickets::workload::{self, QueueAgent};
use crate::tickets::{self, QueueSummary};

#[derive(Serialize)]
struct QueueOut {
    id: Uid,
    code: String,
    name: Name,
    is_default: bool,
}

impl From<Queue> for QueueOut {
    fn from(queue: Queue) -> Self {
        let name = Name {
            vi: queue.name_vi,
            en: queue.name_en,
        };
        QueueOut {
            id: queue.uid,
            code: queue.code,
            name,
            is_default: queue.is_default,
        }
    }
}

fn reference(queue: &Queue) -> Reference {
    Reference::new(&queue.code, &queue.name_vi, &queue.name_en)
}

#[derive(Serialize)]
struct TopicOut {
    id: Uid,
    code: String,
    name: Name,
    queue: Reference,
    co_queue: Option<Reference>,
    external_owner: Option<String>,
    default_priority: Priority,
    legal_basis: Option<String>,
    custom_fields: Value,
    version: i64,
}

impl From<TopicView> for TopicOut {
    fn from(view: TopicView) -> Self {
        let topic = view.topic;
        TopicOut {
            id: topic.uid,
            code: topic.code,
            name: Name {
                vi: topic.name_vi,
                en: topic.name_en,
            },
            queue: reference(&view.queue),
            co_queue: view.co_queue.as_ref().map(reference),
            external_owner: topic.external_owner,
            default_priority: Priority::of_rank(topic.default_priority),
            legal_basis: Some(topic.legal_basis).filter(|basis| !basis.is_empty()),
            custom_fields: topic.custom_fields.0,
            version: topic.version,
        }
    }
}

pub(super) fn topic_answer(topic: TopicView) -> Result<Answer> {
    let headers = vec![(ETAG.to_string(), etag(topic.topic.version))];
    answer::json(200, headers, &TopicOut::from(topic))
}

#[derive(Serialize)]
struct SummaryOut {
    queue: Reference,
    waiting: i64,
    assigned: i64,
    waiting_for_asker: i64,
    breached: i64,
    next_due_at: Option<WireInstant>,
}

impl SummaryOut {
    fn new(queue: &Queue, summary: &QueueSummary) -> Self {
        SummaryOut {
            queue: reference(queue),
            waiting: summary.waiting,
            assigned: summary.assigned,
            waiting_for_asker: summary.waiting_for_asker,
            breached: summary.breached,
            next_due_at: summary.next_due_at.map(Into::into),
        }
    }
}

#[derive(Serialize)]
struct QueueAgentOut {
    id: Uid,
    email: String,
    name: String,
    role: Role,
    active: bool,
    member: bool,
    assigned: i64,
    waiting_for_asker: i64,
    breached: i64,
}

impl From<QueueAgent> for QueueAgentOut {
    fn from(QueueAgent { person, workload }: QueueAgent) -> Self {
        QueueAgentOut {
            id: person.uid,
            email: person.email,
            name: person.name,
            role: person.role,
            active: person.active,
            member: person.member,
            assigned: workload.assigned,
            waiting_for_asker: workload.waiting_for_asker,
            breached: workload.breached,
        }
    }
}

pub async fn list_queues(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| queues::list_queues(conn, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(QueueOut::from))
}

pub async fn show_queue(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let queue = call
        .app
        .store
        .read(move |conn| queues::get_queue(conn, &id))
        .await?;
    answer::show(&call, &QueueOut::from(queue))
}

pub async fn summarise_queue(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let work = move |conn: &mut Db| {
        let queue = queues::get_queue(conn, &id)?;
        let summary = tickets::summarise_queue(conn, queue.id)?;
        Ok(SummaryOut::new(&queue, &summary))
    };
    Ok(HttpResponse::Ok().json(call.app.store.read_snapshot(work).await?))
}

pub async fn list_queue_agents(
    call: Call,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| {
        let queue = queues::get_queue(conn, &id)?;
        workload::list_queue_agents(conn, queue.id, cursor.as_deref(), limit)
    };
    let page = call.app.store.read_snapshot(work).await?;
    wire::list(&call, request.query_string(), page.map(QueueAgentOut::from))
}

pub async fn list_topics(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| queues::list_topics(conn, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(TopicOut::from))
}

pub async fn show_topic(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let work = move |conn: &mut Db| queues::get_topic_view(conn, &id);
    let answer = topic_answer(call.app.store.read(work).await?)?;
    answer::send(unless_known(answer, call.if_none_match.as_deref()))
}
