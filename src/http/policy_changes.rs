//! Changes of `/sla-policies` and their history.
use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::Validate;

use super::answer::write_once;
use super::calendars::NameIn;
use super::extract::{Body, Call};
use super::params::page_parameters;
use super::policies::policy_answer;
use super::previews::{self, PageIn};
use super::targets::{AmountIn, TargetsIn};
use super::wire::{self, Line, Prose, UniqueMembers, WireInstant};
use crate::calendars::Name;
use crate::error::{Error, FieldCode, FieldError, Resource, Result};
use crate::policies::change::{self, PolicyDraft};
use crate::policies::{self, Usage, VersionRecord};
use crate::sla::policy::{Escalation, Moment, Notified, StatusUpdate};
use crate::sla::{Conditions, HeldState, PolicySpec, ReopenRule, TargetKind};
use crate::store::Db;
use crate::tickets::recount::Proposal;

/// A policy as administrators write it; `code` is fixed once there is one.
#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct PolicyIn {
    #[validate(length(min = 1, max = 64))]
    code: Option<Line>,
    #[serde(deserialize_with = "wire::object")]
    #[validate(nested)]
    name: NameIn,
    #[validate(length(min = 1, max = 64))]
    calendar: Line,
    /// Demanded of everything but a preview.
    #[validate(length(min = 1, max = 1000))]
    reason: Option<Prose>,
    targets: TargetsIn,
    #[serde(default, deserialize_with = "wire::object")]
    conditions: ConditionsIn,
    precedence: u32,
    #[validate(length(max = 99))]
    warn_at_percent: Vec<u8>,
    pauses: UniqueMembers<HeldState, Vec<TargetKind>>,
    reopen: ReopenRule,
    close_after_business_days: u32,
    #[serde(default)]
    escalations: Vec<EscalationIn>,
    #[serde(default, deserialize_with = "wire::optional_object")]
    status_update: Option<StatusUpdateIn>,
    /// Only a new version has it.
    applies_to_open: Option<bool>,
    /// Only a preview has these three.
    base_version: Option<i64>,
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
    #[validate(range(min = 1, max = 200))]
    limit: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConditionsIn {
    organisation: Option<Vec<Line>>,
    kind: Option<Vec<Line>>,
    topic: Option<Vec<Line>>,
    queue: Option<Vec<Line>>,
    channel: Option<Vec<Line>>,
    tag: Option<Vec<Line>>,
    pilot: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EscalationIn {
    target: TargetKind,
    on: Moment,
    percent: Option<u8>,
    #[serde(default)]
    notify: Vec<Notified>,
    #[serde(default)]
    raise_priority: bool,
    transfer: Option<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusUpdateIn {
    every: AmountIn,
}

impl From<ConditionsIn> for Conditions {
    fn from(given: ConditionsIn) -> Self {
        let texts =
            |lines: Option<Vec<Line>>| lines.map(|lines| lines.into_iter().map(|line| line.0).collect());
        Conditions {
            organisation: texts(given.organisation),
            kind: texts(given.kind),
            topic: texts(given.topic),
            queue: texts(given.queue),
            channel: texts(given.channel),
            tag: texts(given.tag),
            pilot: given.pilot,
        }
    }
}

impl From<EscalationIn> for Escalation {
    fn from(given: EscalationIn) -> Self {
        Escalation {
            target: given.target,
            on: given.on,
            percent: given.percent,
            notify: given.notify.into_iter().collect(),
            raise_priority: given.raise_priority,
            transfer: given.transfer.map(|queue| queue.0),
        }
    }
}

impl PolicyIn {
    /// Lists that become sets: what stands in one twice is a slip of the pen.
    fn check_lists(&self) -> Result<()> {
        if self.escalations.len() > 50 {
            let max = 50;
            return Err(Error::invalid_pointer("/escalations", FieldCode::TooLong { max }));
        }
        let mut errors = Vec::new();
        let mut refuse = |pointer| errors.push(FieldError::pointer(pointer, FieldCode::Duplicate));
        for (state, targets) in &self.pauses.0 {
            let state = json!(state);
            for position in repeated(targets) {
                refuse(format!(
                    "/pauses/{}/{position}",
                    state.as_str().unwrap_or_default()
                ));
            }
        }
        for (index, step) in self.escalations.iter().enumerate() {
            for position in repeated(&step.notify) {
                refuse(format!("/escalations/{index}/notify/{position}"));
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Error::Invalid(errors)),
        }
    }

    /// What belongs to a policy that is to be stored, and what does not.
    fn check_stored(&self) -> Result<()> {
        let strange = [
            ("/base_version", self.base_version.is_some()),
            ("/cursor", self.cursor.is_some()),
            ("/limit", self.limit.is_some()),
        ];
        let strange = strange.into_iter().filter(|(_, is_given)| *is_given);
        let mut errors: Vec<FieldError> = strange
            .map(|(pointer, _)| FieldError::pointer(pointer, FieldCode::UnknownField))
            .collect();
        if self.reason.is_none() {
            errors.push(FieldError::pointer("/reason", FieldCode::Required));
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Error::Invalid(errors)),
        }
    }

    pub(super) fn into_draft(self) -> Result<PolicyDraft> {
        self.check_lists()?;
        let pauses = self.pauses.0.into_iter();
        Ok(PolicyDraft {
            name: Name {
                vi: self.name.vi.0,
                en: self.name.en.0,
            },
            calendar: self.calendar.0,
            reason: self.reason.map(|reason| reason.0).unwrap_or_default(),
            spec: PolicySpec {
                targets: self.targets.into(),
                conditions: self.conditions.into(),
                precedence: self.precedence,
                warn_at_percent: self.warn_at_percent,
                pauses: pauses
                    .map(|(state, targets)| (state, targets.into_iter().collect()))
                    .collect(),
                reopen: self.reopen,
                close_after_business_days: self.close_after_business_days,
                escalations: self.escalations.into_iter().map(Into::into).collect(),
                status_update: self.status_update.map(|update| StatusUpdate {
                    every: update.every.0,
                }),
            },
        })
    }
}

/// Positions of values that stand earlier in the list too.
fn repeated<T: Ord>(values: &[T]) -> impl Iterator<Item = usize> {
    let mut seen = BTreeSet::new();
    let placed = values.iter().enumerate();
    placed.filter_map(move |(position, value)| (!seen.insert(value)).then_some(position))
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RetirePolicy {
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

/// The stored definition is in the contract's own shape.
#[derive(Serialize)]
struct VersionOut {
    version: i64,
    calendar: Value,
    applies_to_open: bool,
    author: String,
    reason: String,
    created_at: WireInstant,
    definition: Value,
    used_by: UsageOut,
}

#[derive(Serialize)]
struct UsageOut {
    open_tickets: i64,
    tickets: i64,
}

impl From<(VersionRecord, Usage)> for VersionOut {
    fn from((record, usage): (VersionRecord, Usage)) -> Self {
        VersionOut {
            version: record.version,
            calendar: json!({ "code": record.calendar_code }),
            applies_to_open: record.applies_to_open,
            author: record.author,
            reason: record.reason,
            created_at: record.created_at.into(),
            definition: record.definition.0,
            used_by: UsageOut {
                open_tickets: usage.open,
                tickets: usage.all,
            },
        }
    }
}

pub async fn create_sla_policy(call: Call, body: Body<PolicyIn>) -> Result<HttpResponse> {
    let mut given = body.value;
    given.check_stored()?;
    if given.applies_to_open.is_some() {
        return Err(Error::invalid_pointer("/applies_to_open", FieldCode::NotAllowed));
    }
    let code = given.code.take();
    let code = code.ok_or_else(|| Error::invalid_pointer("/code", FieldCode::Required))?;
    let draft = given.into_draft()?;
    write_once(&call, &body.bytes, move |tx| {
        policy_answer(201, change::create(tx, &code.0, draft)?)
    })
    .await
}

pub async fn replace_sla_policy(
    call: Call,
    id: web::Path<String>,
    body: Body<PolicyIn>,
) -> Result<HttpResponse> {
    let seen = call.required_versions()?;
    let mut given = body.value;
    given.check_stored()?;
    let code = given.code.take().map(|code| code.0);
    let applies_to_open = given.applies_to_open.unwrap_or(false);
    let draft = given.into_draft()?;
    write_once(&call, &body.bytes, move |tx| {
        let record = change::replace(tx, &id, code.as_deref(), draft, applies_to_open, &seen)?;
        policy_answer(200, record)
    })
    .await
}

/// What a new version that is for open tickets too would do to them.
pub async fn preview_sla_policy(
    call: Call,
    id: web::Path<String>,
    body: Body<PolicyIn>,
) -> Result<HttpResponse> {
    let mut given = body.value;
    if given.applies_to_open == Some(false) {
        return Err(Error::invalid_pointer("/applies_to_open", FieldCode::NotAllowed));
    }
    let seen = previews::expected_versions(&call, given.base_version)?;
    let page = PageIn::new(given.cursor.take(), given.limit);
    let code = given.code.take().map(|code| code.0);
    let draft = given.into_draft()?;
    let now = call.now;
    previews::answer(call, &body.bytes, page, move |conn, desk| {
        let (present, proposed) = change::propose(conn, desk, &id, code.as_deref(), &draft, &seen, now)?;
        let version = present.version;
        let question = previews::question(&(&present.uid, version, proposed.calendar_id, &proposed.spec))?;
        Ok((version, question, Proposal::Policy { proposed }))
    })
    .await
}

pub async fn retire_sla_policy(
    call: Call,
    id: web::Path<String>,
    body: Body<RetirePolicy>,
) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    let reason = body.value.reason.0;
    write_once(&call, &body.bytes, move |tx| {
        policy_answer(200, change::retire(tx, &id, &reason, &seen)?)
    })
    .await
}

pub async fn list_sla_policy_versions(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| policies::list_versions(conn, &id, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(VersionOut::from))
}

pub async fn show_sla_policy_version(call: Call, path: web::Path<(String, String)>) -> Result<HttpResponse> {
    let (id, version) = path.into_inner();
    let version: Option<i64> = version.parse().ok();
    let version = version.ok_or(Error::NotFound(Resource::PolicyVersion))?;
    let work = move |conn: &mut Db| policies::get_version(conn, &id, version);
    let found = call.app.store.read(work).await?;
    Ok(HttpResponse::Ok().json(VersionOut::from(found)))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cmp::Ordering;

    use super::*;

    thread_local! {
        static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(PartialEq, Eq)]
    struct Counted(u8);

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARED.set(COMPARED.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    #[test]
    fn a_long_list_is_looked_through_once() {
        let given: Vec<Counted> = [0, 1, 2].into_iter().cycle().take(10_000).map(Counted).collect();
        let positions: Vec<usize> = repeated(&given).collect();
        assert_eq!((positions.len(), positions[0]), (9_997, 3));
        assert!(COMPARED.get() < 10 * given.len(), "{}", COMPARED.get());
    }
}
