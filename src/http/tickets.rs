//! `/tickets`: filing, reading, listing.
use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;
use validator::{Validate, ValidationError};

use super::answer::{self, etag_of, unless_known};
use super::attachments::FileOut;
use super::custom_values;
use super::extract::{Body, Call};
use super::wire::{self, Line, Prose, WireInstant};
use crate::directory::RequesterInput;
use crate::error::Result;
use crate::idempotency::{Answer, Key};
use crate::identity::Principal;
use crate::identity::access::Action;
use crate::language::Language;
use crate::sla::Priority;
use crate::store::{Db, Uid};
use crate::tickets::filing::{FileTicket, Filing};
use crate::tickets::lifecycle::{Channel, Operation, Outcome, State};
use crate::tickets::view::{self, Reference, TicketView};
use crate::tickets::{db::ClockRow, db::ClockState, is_tag, operations};
use crate::tx::Desk;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct FileTicketIn {
    #[validate(length(min = 1, max = 300))]
    subject: Line,
    #[validate(length(min = 1, max = 20_000))]
    body: Prose,
    #[validate(length(min = 1, max = 100))]
    organisation: Option<Line>,
    #[validate(length(min = 1, max = 100))]
    topic: Option<Line>,
    priority: Option<Priority>,
    #[serde(default, deserialize_with = "wire::optional_object")]
    #[validate(nested)]
    requester: Option<RequesterIn>,
    #[validate(length(min = 1, max = 100))]
    external_ref: Option<Line>,
    #[validate(length(max = 20))]
    #[serde(default)]
    attachments: Vec<Uuid>,
    #[validate(length(max = 20), custom(function = tags))]
    #[serde(default)]
    tags: Vec<Line>,
    #[validate(custom(function = custom_values::check))]
    #[serde(default, deserialize_with = "custom_values::members")]
    custom_fields: Map<String, Value>,
    channel: Option<Channel>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RequesterIn {
    #[validate(length(min = 1, max = 200))]
    name: Line,
    #[validate(length(max = 254), email)]
    email: Option<Line>,
    #[validate(length(min = 1, max = 200))]
    unit: Option<Line>,
    #[validate(length(min = 1, max = 50))]
    phone: Option<Line>,
    language: Option<Language>,
}

pub(super) fn tags(tags: &[Line]) -> std::result::Result<(), ValidationError> {
    if !tags.iter().all(|tag| is_tag(&tag.0)) {
        return Err(ValidationError::new("tag_length"));
    }
    let distinct: BTreeSet<&Line> = tags.iter().collect();
    if distinct.len() == tags.len() {
        Ok(())
    } else {
        Err(ValidationError::new("duplicate"))
    }
}

impl From<FileTicketIn> for FileTicket {
    fn from(given: FileTicketIn) -> Self {
        let text = |line: Line| line.0;
        FileTicket {
            subject: given.subject.0,
            body: given.body.0,
            organisation: given.organisation.map(text),
            topic: given.topic.map(text),
            priority: given.priority,
            channel: given.channel,
            requester: given.requester.map(|person| RequesterInput {
                name: person.name.0,
                email: person.email.map(|email| email.0.to_lowercase()),
                unit: person.unit.map(text),
                phone: person.phone.map(text),
                language: person.language,
            }),
            external_ref: given.external_ref.map(text),
            attachments: given.attachments,
            tags: given.tags.into_iter().map(text).collect(),
            custom_fields: given.custom_fields,
        }
    }
}

#[derive(Serialize)]
struct RequesterOut<'a> {
    name: &'a str,
    email: Option<&'a str>,
    unit: Option<&'a str>,
    phone: Option<&'a str>,
    language: Language,
}

#[derive(Serialize)]
struct AssigneeOut<'a> {
    id: Uid,
    name: &'a str,
}

#[derive(Serialize)]
struct ClockOut<'a> {
    target: &'a str,
    cycle: i32,
    state: ClockState,
    started_at: WireInstant,
    due_at: Option<WireInstant>,
    remaining_business_seconds: i64,
    warned_at: Option<WireInstant>,
    breached_at: Option<WireInstant>,
    met_at: Option<WireInstant>,
}

#[derive(Serialize)]
pub struct TicketOut<'a> {
    id: Uid,
    number: &'a str,
    subject: &'a str,
    body: &'a str,
    state: State,
    outcome: Option<Outcome>,
    referred_to: Option<&'a str>,
    priority: Priority,
    channel: Channel,
    queue: &'a Reference,
    organisation: &'a Reference,
    requester: Option<RequesterOut<'a>>,
    topic: Option<&'a Reference>,
    assignee: Option<AssigneeOut<'a>>,
    external_ref: Option<&'a str>,
    tags: &'a Value,
    custom_fields: &'a Value,
    attachments: Vec<FileOut>,
    filed_at: WireInstant,
    updated_at: WireInstant,
    first_response_at: Option<WireInstant>,
    resolved_at: Option<WireInstant>,
    closed_at: Option<WireInstant>,
    closes_at: Option<WireInstant>,
    anonymised_at: Option<WireInstant>,
    status_link: String,
    possible_operations: Vec<Operation>,
    clocks: Vec<ClockOut<'a>>,
}

impl<'a> TicketOut<'a> {
    pub fn new(view: &'a TicketView, desk: &Desk, principal: &Principal, now: DateTime<Utc>) -> Self {
        let ticket = &view.ticket;
        TicketOut {
            id: ticket.uid,
            number: &ticket.number,
            subject: &ticket.subject,
            body: &ticket.body,
            state: ticket.state,
            outcome: ticket.outcome,
            referred_to: ticket.referred_to.as_deref(),
            priority: view.priority(),
            channel: ticket.channel,
            queue: &view.queue,
            organisation: &view.organisation,
            requester: view.requester.as_ref().map(|person| RequesterOut {
                name: &person.name,
                email: person.email.as_deref(),
                unit: person.unit.as_deref(),
                phone: person.phone.as_deref(),
                language: person.language,
            }),
            topic: view.topic.as_ref(),
            assignee: view.assignee.as_ref().map(|user| AssigneeOut {
                id: user.uid,
                name: &user.name,
            }),
            external_ref: ticket.external_ref.as_deref(),
            tags: &ticket.tags.0,
            custom_fields: &ticket.custom_fields.0,
            attachments: FileOut::of_ticket(&view.attachments),
            filed_at: ticket.filed_at.into(),
            updated_at: ticket.updated_at.into(),
            first_response_at: ticket.first_response_at.map(Into::into),
            resolved_at: ticket.resolved_at.map(Into::into),
            closed_at: ticket.closed_at.map(Into::into),
            closes_at: ticket.closes_at.map(Into::into),
            anonymised_at: ticket.anonymised_at.map(Into::into),
            status_link: desk.status_link(&ticket.link_token),
            possible_operations: view.possible_operations(principal, desk.open_desk),
            clocks: view
                .clocks
                .iter()
                .zip(&view.remaining)
                .map(|(clock, remaining)| ClockOut::new(clock, *remaining, now))
                .collect(),
        }
    }
}

impl<'a> ClockOut<'a> {
    fn new(clock: &'a ClockRow, remaining: i64, now: DateTime<Utc>) -> Self {
        let state = clock.state_at(now);
        let breached_at = if state == ClockState::Breached {
            clock.breached_at.or(clock.due_at)
        } else {
            None
        };
        ClockOut {
            target: &clock.target,
            cycle: clock.cycle,
            state,
            started_at: clock.started_at.into(),
            due_at: clock.due_at.map(Into::into),
            remaining_business_seconds: remaining,
            warned_at: clock.warned_at.map(Into::into),
            breached_at: breached_at.map(Into::into),
            met_at: clock.met_at.map(Into::into),
        }
    }
}

/// The ticket as an answer with its `ETag`; `Location` where it is new.
pub fn ticket_answer(
    status: u16,
    view: &TicketView,
    desk: &Desk,
    principal: &Principal,
    now: DateTime<Utc>,
) -> Result<Answer> {
    let mut out = TicketOut::new(view, desk, principal, now);
    let mut answer = answer::json(status, Vec::new(), &out)?;
    // What is left of a clock changes every second of working time without a change of the ticket, and follows from
    // `due_at` and the calendar: with it in the tag no poller would ever hear 304 while the desk is open.
    for clock in &mut out.clocks {
        clock.remaining_business_seconds = 0;
    }
    let tag = etag_of(view.ticket.version, &out)?;
    answer.headers.push((ETAG.to_string(), tag));
    if status == 201 {
        let location = format!("/api/v1/tickets/{}", view.ticket.uid);
        answer.headers.push(("location".into(), location));
    }
    Ok(answer)
}

/// A question of this caller, with the answer that it gets.
pub(super) fn filing(call: &Call, question: FileTicketIn, key: Option<Key>) -> Filing {
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let answering = move |view: &TicketView| ticket_answer(201, view, &desk, &principal, now);
    Filing {
        principal: call.principal.clone(),
        question: question.into(),
        key,
        filed_at: now,
        answering: Arc::new(answering),
    }
}

pub async fn file_ticket(call: Call, body: Body<FileTicketIn>) -> Result<HttpResponse> {
    let filing = filing(&call, body.value, call.key(&body.bytes));
    answer::send(call.app.intake.file(filing).await?)
}

pub async fn show_ticket(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let (desk, principal, now) = (call.app.desk.clone(), call.principal.clone(), call.now);
    let known = call.if_none_match.clone();
    let work = move |conn: &mut Db| {
        let ticket = operations::get_for_reading(conn, &desk, &principal, &id, Action::ReadTicket)?;
        let view = view::get_view(conn, &desk, ticket.id, now)?;
        let answer = ticket_answer(200, &view, &desk, &principal, now)?;
        Ok(unless_known(answer, known.as_deref()))
    };
    answer::send(call.app.store.read_snapshot(work).await?)
}
