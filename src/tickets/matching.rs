//! Which policy a question would get, and why the others did not: what filing does, without filing.
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::clocks::Terms;
use super::lifecycle::Channel;
use super::terms::{Asked, valid_agreement};
use crate::agreements::{self, Agreement};
use crate::directory::{self, Organisation};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::identity::Principal;
use crate::policies::may_be_of;
use crate::queues::{self, Queue, Topic};
use crate::rules::{CalendarVersion, PolicyVersion, pick};
use crate::sla::matching::Condition;
use crate::sla::policy::Targets;
use crate::sla::{Priority, TargetKind};
use crate::store::Db;
use crate::tx::Desk;

/// A question as far as rules look at it.
#[derive(Debug, Clone)]
pub struct Described {
    /// Staff say whose question it would be; a program may only ask for its own organisation.
    pub organisation: Option<String>,
    pub topic: Option<String>,
    /// Where it is left out, the queue that filing would choose.
    pub queue: Option<String>,
    pub channel: Option<Channel>,
    pub tags: Vec<String>,
    /// Where it is left out, the answer tells the targets of every priority.
    pub priority: Option<Priority>,
    pub filed_at: DateTime<Utc>,
}

/// What a question would get.
pub struct Matched {
    pub policy: Arc<PolicyVersion>,
    pub calendar: Arc<CalendarVersion>,
    pub queue: Queue,
    pub agreement: Option<Agreement>,
    pub targets: Targets,
    /// The policies in force in the order in which they are asked; for a program those that may be its own.
    pub considered: Vec<Considered>,
}

pub struct Considered {
    pub policy: Arc<PolicyVersion>,
    pub failing: Vec<Failing>,
}

/// A condition that the question does not fulfil.
pub struct Failing {
    pub condition: Condition,
    pub wanted: serde_json::Value,
    pub given: serde_json::Value,
}

pub fn match_question(
    conn: &mut Db,
    desk: &Desk,
    principal: &Principal,
    described: &Described,
) -> Result<Matched> {
    let (organisation, topic, queue) = look_up(conn, principal, described)?;
    let channel = described.channel.unwrap_or(match principal {
        Principal::Client { .. } => Channel::Api,
        _ => Channel::Web,
    });
    let asked = Asked {
        organisation: &organisation,
        topic: topic.as_ref(),
        queue: &queue,
        channel: channel.as_str(),
        tags: &described.tags,
    };
    let policies = desk.rules.policies_in_force(conn)?;
    let policy = Arc::clone(pick(&policies, &asked.question())?);
    let calendar = desk.rules.calendar_in_force(conn, policy.calendar_id)?;
    let date = desk.date_of(described.filed_at);
    let agreement = agreements::find_valid(conn, organisation.id, date)?;
    let terms = Terms {
        policy: Arc::clone(&policy),
        agreement: valid_agreement(agreement.iter(), date)?,
    };
    let sees_all = !matches!(principal, Principal::Client { .. });
    let considered = policies
        .iter()
        .filter(|policy| sees_all || may_be_of(&policy.spec.conditions, &organisation))
        .map(|policy| consider(policy, &asked))
        .collect::<Result<_>>()?;
    Ok(Matched {
        targets: promised(&terms, described.priority),
        policy,
        calendar,
        agreement,
        considered,
        queue,
    })
}

fn look_up(
    conn: &mut Db,
    principal: &Principal,
    described: &Described,
) -> Result<(Organisation, Option<Topic>, Queue)> {
    let mut errors = Vec::new();
    let mut refuse = |pointer: &str, code| errors.push(FieldError::pointer(pointer, code));
    let organisation = match (principal, &described.organisation) {
        (Principal::Client { .. }, Some(_)) => {
            refuse("/organisation", FieldCode::NotAllowed);
            None
        }
        (Principal::Client { client, .. }, None) => {
            directory::list_by_id(conn, &[client.organisation_id])?.pop()
        }
        (_, None) => {
            refuse("/organisation", FieldCode::Required);
            None
        }
        (_, Some(code)) => {
            let found = directory::find_organisation(conn, code)?;
            if found.is_none() {
                refuse("/organisation", FieldCode::UnknownCode);
            }
            found
        }
    };
    let topic = match &described.topic {
        Some(code) => queues::find_topic(conn, code)?,
        None => None,
    };
    if described.topic.is_some() && topic.is_none() {
        refuse("/topic", FieldCode::UnknownCode);
    }
    let queue = match &described.queue {
        Some(code) => queues::find_queue(conn, code)?,
        None => {
            let all = queues::db::list_queues(conn)?;
            let by_id = all.into_iter().map(|queue| (queue.id, queue)).collect();
            Some(queues::route(&by_id, topic.as_ref())?.clone())
        }
    };
    if queue.is_none() {
        refuse("/queue", FieldCode::UnknownCode);
    }
    match (organisation, queue) {
        (Some(organisation), Some(queue)) if errors.is_empty() => Ok((organisation, topic, queue)),
        _ => Err(Error::Invalid(errors)),
    }
}

fn promised(terms: &Terms, priority: Option<Priority>) -> Targets {
    let mut targets = Targets::new();
    for target in TargetKind::ALL {
        for asked in Priority::ALL {
            let is_meant = priority.is_none_or(|priority| priority == asked);
            if let Some(promise) = terms.promise(target, asked).filter(|_| is_meant) {
                targets.entry(target).or_default().insert(asked, promise.amount);
            }
        }
    }
    targets
}

fn consider(policy: &Arc<PolicyVersion>, asked: &Asked<'_>) -> Result<Considered> {
    let question = asked.question();
    let conditions = serde_json::to_value(&policy.spec.conditions)
        .map_err(|cause| Error::internal("conditions cannot be written", cause))?;
    let failing = policy.spec.conditions.failing(&question).into_iter();
    let failing = failing.map(|condition| {
        let (name, given) = match condition {
            Condition::Organisation => ("organisation", question.organisation.into()),
            Condition::Kind => ("kind", question.kind.into()),
            Condition::Topic => ("topic", question.topic.into()),
            Condition::Queue => ("queue", question.queue.into()),
            Condition::Channel => ("channel", question.channel.into()),
            Condition::Tag => ("tag", question.tags.into()),
            Condition::Pilot => ("pilot", question.pilot.into()),
        };
        Failing {
            condition,
            wanted: conditions.get(name).cloned().unwrap_or_default(),
            given,
        }
    });
    Ok(Considered {
        policy: Arc::clone(policy),
        failing: failing.collect(),
    })
}
