//! `/tickets/{id}/sla` with its explanation, and `/sla/simulate`.
use actix_web::http::header::{ACCEPT, CONTENT_LANGUAGE, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::answer::compute_once;
use super::extract::{Body, Call};
use super::params::Params;
use super::tickets::tags;
use super::wire::{Line, WireInstant};
use crate::error::Result;
use crate::sla::{Priority, TargetKind};
use crate::store::Db;
use crate::tickets::lifecycle::Channel;
use crate::tickets::sla::explanation::{self, Which};
use crate::tickets::sla::simulation::{self, Change, Event, Scenario, Side};
use crate::tickets::sla::ticket_sla;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SimulationIn {
    filed_at: WireInstant,
    #[validate(length(min = 1, max = 100))]
    organisation: Option<Line>,
    #[validate(length(min = 1, max = 100))]
    topic: Option<Line>,
    priority: Option<Priority>,
    channel: Option<Channel>,
    #[validate(length(max = 20), custom(function = tags))]
    #[serde(default)]
    tags: Vec<Line>,
    #[validate(length(min = 1, max = 64))]
    policy: Option<Line>,
    #[validate(length(min = 1, max = 64))]
    calendar: Option<Line>,
    #[validate(length(max = 200))]
    #[serde(default)]
    changes: Vec<ChangeIn>,
    as_of: Option<WireInstant>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeIn {
    at: WireInstant,
    event: Event,
    priority: Option<Priority>,
    by: Option<Side>,
}

impl From<SimulationIn> for Scenario {
    fn from(given: SimulationIn) -> Scenario {
        let text = |line: Line| line.0;
        let changes = given.changes.into_iter().map(|change| Change {
            at: change.at.0,
            event: change.event,
            priority: change.priority,
            by: change.by,
        });
        Scenario {
            filed_at: given.filed_at.0,
            organisation: given.organisation.map(text),
            topic: given.topic.map(text),
            priority: given.priority,
            channel: given.channel,
            tags: given.tags.into_iter().map(text).collect(),
            policy: given.policy.map(text),
            calendar: given.calendar.map(text),
            changes: changes.collect(),
            as_of: given.as_of.map(|at| at.0),
        }
    }
}

pub async fn show_ticket_sla(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let work = move |conn: &mut Db| ticket_sla(conn, &desk, &principal, &id, now);
    Ok(HttpResponse::Ok().json(call.app.store.read_snapshot(work).await?))
}

pub async fn explain_ticket_sla(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let which = which(&request)?;
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let work = move |conn: &mut Db| explanation::explain(conn, &desk, &principal, &id, which, now);
    let explanation = call.app.store.read_snapshot(work).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((VARY, "Accept, Accept-Language"));
    if !wants_text(&request) {
        return Ok(response.json(explanation));
    }
    Ok(response
        .content_type("text/plain; charset=utf-8")
        .insert_header((CONTENT_LANGUAGE, call.language.as_str()))
        .body(explanation.to_text(call.language)))
}

/// Which clocks are to be explained.
fn which(request: &HttpRequest) -> Result<Which> {
    let mut params = Params::read(request, &["target", "cycle"]);
    let expected = "first_response, next_response or resolution";
    let which = Which {
        target: params.parsed("target", expected, TargetKind::parse),
        cycle: params.parsed("cycle", "a number from 1", |text| {
            text.parse().ok().filter(|cycle| *cycle >= 1)
        }),
    };
    params.finish()?;
    Ok(which)
}

fn wants_text(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_text = |range: &str| range.trim().split(';').next() == Some("text/plain");
    accept.split(',').any(is_text)
}

pub async fn simulate_sla(call: Call, body: Body<SimulationIn>) -> Result<HttpResponse> {
    let scenario = Scenario::from(body.value);
    let principal = call.principal.clone();
    compute_once(&call, &body.bytes, move |conn, desk| {
        simulation::simulate(conn, desk, &principal, &scenario)
    })
    .await
}
