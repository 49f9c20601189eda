//! `POST /sla-policies/match`.
use actix_web::HttpResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::Validate;

use super::answer::compute_once;
use super::extract::{Body, Call};
use super::tickets::tags;
use super::wire::{Line, WireInstant};
use crate::calendars::Name;
use crate::error::Result;
use crate::sla::Priority;
use crate::sla::matching::Condition;
use crate::sla::policy::Targets;
use crate::store::{Db, Uid};
use crate::tickets::lifecycle::Channel;
use crate::tickets::matching::{Considered, Described, Failing, Matched, match_question};
use crate::tickets::view::Reference;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct MatchIn {
    #[validate(length(min = 1, max = 100))]
    organisation: Option<Line>,
    #[validate(length(min = 1, max = 100))]
    topic: Option<Line>,
    #[validate(length(min = 1, max = 100))]
    queue: Option<Line>,
    channel: Option<Channel>,
    #[validate(length(max = 20), custom(function = tags))]
    #[serde(default)]
    tags: Vec<Line>,
    priority: Option<Priority>,
    filed_at: Option<WireInstant>,
}

#[derive(Serialize)]
struct MatchOut {
    policy: Value,
    calendar: Value,
    queue: Reference,
    agreement: Option<AgreementOut>,
    targets: Targets,
    considered: Vec<ConsideredOut>,
}

#[derive(Serialize)]
struct AgreementOut {
    id: Uid,
    name: Name,
}

#[derive(Serialize)]
struct ConsideredOut {
    code: String,
    version: i64,
    precedence: u32,
    is_default: bool,
    matches: bool,
    failing: Vec<FailingOut>,
}

#[derive(Serialize)]
struct FailingOut {
    condition: Condition,
    wanted: Value,
    given: Value,
}

impl From<Failing> for FailingOut {
    fn from(failing: Failing) -> Self {
        FailingOut {
            condition: failing.condition,
            wanted: failing.wanted,
            given: failing.given,
        }
    }
}

impl From<Considered> for ConsideredOut {
    fn from(considered: Considered) -> Self {
        ConsideredOut {
            code: considered.policy.code.clone(),
            version: considered.policy.version,
            precedence: considered.policy.spec.precedence,
            is_default: considered.policy.is_default,
            matches: considered.failing.is_empty(),
            failing: considered.failing.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Matched> for MatchOut {
    fn from(matched: Matched) -> Self {
        let queue = &matched.queue;
        MatchOut {
            policy: json!({ "code": matched.policy.code, "version": matched.policy.version }),
            calendar: json!({ "code": matched.calendar.code }),
            queue: Reference::new(&queue.code, &queue.name_vi, &queue.name_en),
            agreement: matched.agreement.map(|agreement| AgreementOut {
                id: agreement.uid,
                name: Name {
                    vi: agreement.name_vi,
                    en: agreement.name_en,
                },
            }),
            targets: matched.targets,
            considered: matched.considered.into_iter().map(Into::into).collect(),
        }
    }
}

pub async fn match_sla_policy(call: Call, body: Body<MatchIn>) -> Result<HttpResponse> {
    let given = body.value;
    let text = |line: Line| line.0;
    let described = Described {
        organisation: given.organisation.map(text),
        topic: given.topic.map(text),
        queue: given.queue.map(text),
        channel: given.channel,
        tags: given.tags.into_iter().map(text).collect(),
        priority: given.priority,
        filed_at: given.filed_at.map_or(call.now, |at| at.0),
    };
    let principal = call.principal.clone();
    compute_once(&call, &body.bytes, move |conn: &mut Db, desk| {
        match_question(conn, desk, &principal, &described).map(MatchOut::from)
    })
    .await
}
