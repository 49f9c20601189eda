//! `/queues/{id}/operational-target`.
use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::answer::{self, etag, unless_known, write_once};
use super::extract::{Body, Call};
use super::wire::{UniqueMembers, WireInstant};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::queues::Queue;
use crate::queues::targets::{self, Expected, MinutesByPriority, OperationalTarget};
use crate::sla::Priority;
use crate::store::Db;
use crate::tickets::view::Reference;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReplaceOperationalTarget {
    business_minutes: UniqueMembers<Priority, u32>,
}

#[derive(Serialize)]
struct OperationalTargetOut<'a> {
    queue: Reference,
    business_minutes: &'a MinutesByPriority,
    version: i64,
    author: &'a str,
    updated_at: WireInstant,
}

fn target_answer(queue: &Queue, target: &OperationalTarget) -> Result<Answer> {
    let out = OperationalTargetOut {
        queue: Reference::new(&queue.code, &queue.name_vi, &queue.name_en),
        business_minutes: &target.business_minutes,
        version: target.version,
        author: &target.author,
        updated_at: WireInstant(target.updated_at),
    };
    answer::json(200, vec![(ETAG.to_string(), etag(target.version))], &out)
}

pub async fn show_operational_target(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let work = move |conn: &mut Db| targets::get(conn, &id);
    let (queue, target) = call.app.store.read(work).await?;
    let answer = target_answer(&queue, &target)?;
    answer::send(unless_known(answer, call.if_none_match.as_deref()))
}

pub async fn replace_operational_target(
    call: Call,
    id: web::Path<String>,
    body: Body<ReplaceOperationalTarget>,
) -> Result<HttpResponse> {
    let minutes = body.value.business_minutes.0;
    let expected = match (call.has_if_match, call.if_match.clone()) {
        (false, _) => Expected::Nothing,
        (true, None) => Expected::Any,
        (true, Some(versions)) => Expected::Versions(versions),
    };
    write_once(&call, &body.bytes, move |tx| {
        let (queue, target) = targets::replace(tx, &id, &minutes, &expected)?;
        target_answer(&queue, &target)
    })
    .await
}
