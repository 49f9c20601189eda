//! `POST /tickets/bulk`: up to 1,000 requests to file or change tickets in one, each by itself or all or none.
//!
//! An item's `body` is read, checked, carried out and answered by what its own route uses. What is wrong around the
//! bodies refuses the whole request; what is wrong with one of them is that item's problem.
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use validator::{Validate, ValidationErrors};

use super::answer::{self, send};
use super::context::RequestContext;
use super::extract::{BulkBody, Call, checked_key, parse_json, versions_in};
use super::messages::NewMessage;
use super::operations::{
    AssignTicket, Nothing, OptionalReason, Reason, ResolveTicket, TransferTicket, WaitTicket, carry_out,
};
use super::problem;
use super::ticket_changes::ChangeTicket;
use super::tickets::{FileTicketIn, filing};
use super::wire::{Line, object};
use crate::error::{Error, FieldCode, FieldError, Place, Result};
use crate::idempotency::{self, Answer, Key};
use crate::identity::access::{Action, permit};
use crate::store::Db;
use crate::tickets::acts::Act;
use crate::tickets::bulk::{self, Asker, Item, ToDo};

const MOST_ITEMS: usize = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    All,
    Each,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    File,
    Change,
    Message,
    Note,
    Claim,
    Assign,
    Release,
    Transfer,
    Wait,
    Resume,
    Resolve,
    Close,
    Reopen,
    Cancel,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkRequest {
    mode: Mode,
    items: Vec<BulkItem>,
}

/// One request; the body as it was sent, for its key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemMembers {
    operation: Verb,
    ticket: Option<Line>,
    if_match: Option<String>,
    idempotency_key: Option<String>,
    body: Option<Box<RawValue>>,
}

#[derive(Debug)]
struct BulkItem(ItemMembers);

impl<'de> Deserialize<'de> for BulkItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        object(deserializer).map(BulkItem)
    }
}

impl Validate for BulkRequest {
    /// Lengths and pairs are checked by `check`, which names the item.
    fn validate(&self) -> std::result::Result<(), ValidationErrors> {
        Ok(())
    }
}

impl Verb {
    /// Method and path of the item's own route: the same request has the same idempotency key there.
    fn route(self, ticket: Option<&str>) -> (&'static str, String) {
        let ticket = ticket.unwrap_or_default();
        let on = |name: &str| format!("/api/v1/tickets/{ticket}/{name}?");
        match self {
            Verb::File => ("POST", "/api/v1/tickets?".to_owned()),
            Verb::Change => ("PATCH", format!("/api/v1/tickets/{ticket}?")),
            Verb::Message => ("POST", on("messages")),
            Verb::Note => ("POST", on("notes")),
            Verb::Claim => ("POST", on("claim")),
            Verb::Assign => ("POST", on("assign")),
            Verb::Release => ("POST", on("release")),
            Verb::Transfer => ("POST", on("transfer")),
            Verb::Wait => ("POST", on("wait")),
            Verb::Resume => ("POST", on("resume")),
            Verb::Resolve => ("POST", on("resolve")),
            Verb::Close => ("POST", on("close")),
            Verb::Reopen => ("POST", on("reopen")),
            Verb::Cancel => ("POST", on("cancel")),
        }
    }

    /// What the body says, as the item's own route reads it; `None` for a question, which is no act on a ticket.
    fn act(self, body: &[u8]) -> Result<Option<Act>> {
        let reason = |given: Reason| given.text();
        let may_have_reason = |given: OptionalReason| given.text();
        Ok(Some(match self {
            Verb::File => return Ok(None),
            Verb::Change => parse_json::<ChangeTicket>(body)?.into(),
            Verb::Message => Act::Message(parse_json::<NewMessage>(body)?.words()),
            Verb::Note => Act::Note(parse_json::<NewMessage>(body)?.words()),
            Verb::Claim => parse_json::<Nothing>(body).map(|Nothing {}| Act::Claim)?,
            Verb::Assign => parse_json::<AssignTicket>(body)?.into(),
            Verb::Transfer => parse_json::<TransferTicket>(body)?.into(),
            Verb::Wait => parse_json::<WaitTicket>(body)?.into(),
            Verb::Resolve => parse_json::<ResolveTicket>(body)?.into(),
            Verb::Release => Act::Release {
                reason: may_have_reason(parse_json(body)?),
            },
            Verb::Resume => Act::Resume {
                reason: may_have_reason(parse_json(body)?),
            },
            Verb::Close => Act::Close {
                reason: may_have_reason(parse_json(body)?),
            },
            Verb::Reopen => Act::Reopen {
                reason: reason(parse_json(body)?),
            },
            Verb::Cancel => Act::Cancel {
                reason: reason(parse_json(body)?),
            },
        }))
    }

    /// The permission without which its own route does not even read the body.
    fn action(self) -> Action {
        match self {
            Verb::File => Action::FileTicket,
            Verb::Change => Action::ChangeTicket,
            Verb::Message => Action::PostMessage,
            Verb::Note => Action::PostNote,
            Verb::Claim => Action::Claim,
            Verb::Assign => Action::Assign,
            Verb::Release => Action::Release,
            Verb::Transfer => Action::Transfer,
            Verb::Wait => Action::Wait,
            Verb::Resume => Action::Resume,
            Verb::Resolve => Action::Resolve,
            Verb::Close => Action::Close,
            Verb::Reopen => Action::Reopen,
            Verb::Cancel => Action::Cancel,
        }
    }
}

pub async fn bulk_tickets(
    call: Call,
    request: HttpRequest,
    body: BulkBody<BulkRequest>,
) -> Result<HttpResponse> {
    let BulkBody(body) = body;
    check(&body.value)?;
    let whole = call.key(&body.bytes);
    let telling = Telling::of(&call, &request);
    let mode = body.value.mode;
    let items = prepare(&call, body.value, whole.as_ref());
    let answer = match mode {
        Mode::Each => each(&call, whole, items, &telling).await?,
        Mode::All => all(&call, whole, items, &telling).await?,
    };
    send(answer)
}

/// What is around the bodies.
pub(super) fn check(request: &BulkRequest) -> Result<()> {
    let mut errors = Vec::new();
    let length = |code| FieldError::pointer("/items", code);
    match request.items.len() {
        0 => errors.push(length(FieldCode::TooShort { min: 1 })),
        given if given > MOST_ITEMS => errors.push(length(FieldCode::TooLong { max: 1000 })),
        _ => {
            for (index, BulkItem(item)) in request.items.iter().enumerate() {
                item.check(&mut |member, code| {
                    errors.push(FieldError::pointer(format!("/items/{index}/{member}"), code));
                });
            }
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid(errors)),
    }
}

impl ItemMembers {
    fn check(&self, refuse: &mut impl FnMut(&str, FieldCode)) {
        match (&self.ticket, self.operation) {
            (None, Verb::File) => {}
            (Some(_), Verb::File) => refuse("ticket", FieldCode::NotAllowed),
            (None, _) => refuse("ticket", FieldCode::Required),
            (Some(ticket), _) if ticket.0.is_empty() => refuse("ticket", FieldCode::TooShort { min: 1 }),
            (Some(ticket), _) if ticket.0.chars().count() > 100 => {
                refuse("ticket", FieldCode::TooLong { max: 100 });
            }
            _ => {}
        }
        match (&self.if_match, self.operation) {
            (Some(_), Verb::File) => refuse("if_match", FieldCode::NotAllowed),
            (Some(tags), _) => {
                if let Err(code) = versions_in(tags) {
                    refuse("if_match", code);
                }
            }
            (None, _) => {}
        }
        if let Some(Err(code)) = self.idempotency_key.as_deref().map(checked_key) {
            refuse("idempotency_key", code);
        }
    }
}

/// The items as their own routes would take them, each with its key: that which it has or, where the whole request has
/// one and the items are carried out one by one, one made of that and its place. So what is repeated after a lost
/// answer does nothing twice.
fn prepare(call: &Call, request: BulkRequest, whole: Option<&Key>) -> Vec<Result<Item>> {
    let derived = whole.filter(|_| request.mode == Mode::Each);
    let mut known: Vec<Key> = whole.into_iter().cloned().collect();
    let mut items = Vec::with_capacity(request.items.len());
    for (index, BulkItem(item)) in request.items.into_iter().enumerate() {
        let prepared = item.prepare(call, index, derived);
        let twin = prepared.as_ref().ok().and_then(Item::key).and_then(|key| {
            let twin = known.iter().find(|other| other.clashes_with(key));
            twin.map(|twin| twin.request_hash == key.request_hash)
        });
        known.extend(prepared.as_ref().ok().and_then(Item::key).cloned());
        items.push(match twin {
            None => prepared,
            Some(true) => Err(Error::InProgress),
            Some(false) => Err(Error::IdempotencyKeyReused),
        });
    }
    items
}

impl ItemMembers {
    fn prepare(self, call: &Call, index: usize, whole: Option<&Key>) -> Result<Item> {
        permit(&call.principal, self.operation.action())?;
        let ticket = self.ticket.map(|ticket| ticket.0);
        let sent = self.body.as_ref().map_or("", |body| body.get()).as_bytes();
        let (method, target) = self.operation.route(ticket.as_deref());
        let key = |name: &str| {
            let owner = call.principal.owner()?;
            Some(Key::new(owner, name, method, &target, sent))
        };
        let key = match (self.idempotency_key, whole) {
            (Some(own), _) => key(&own),
            // A space in it keeps it apart from all that people send.
            (None, Some(whole)) => {
                let of = HEXLOWER.encode(&Sha256::digest(whole.key.as_bytes()));
                key(&format!("bulk {of} {index}"))
            }
            (None, None) => None,
        };
        let body = if sent.is_empty() { b"{}" } else { sent };
        let Some(act) = self.operation.act(body)? else {
            let question = parse_json::<FileTicketIn>(body)?;
            return Ok(Item::File(Box::new(filing(call, question, key))));
        };
        let versions = match self.if_match.as_deref().map(versions_in) {
            Some(Ok(versions)) => versions,
            Some(Err(code)) => return Err(Error::invalid_parameter("if_match", code)),
            None => None,
        };
        Ok(Item::Act(ToDo {
            ticket: ticket.unwrap_or_default(),
            versions,
            act,
            key,
        }))
    }
}

fn asker(call: &Call) -> Asker {
    Asker {
        principal: call.principal.clone(),
        now: call.now,
        desk: call.app.desk.clone(),
        doing: carry_out,
    }
}

/// Every item by itself. The answer of the whole is kept once nothing in it asks to be tried again; until then a
/// repetition goes through the items, of which those that are done give their first answers.
async fn each(
    call: &Call,
    whole: Option<Key>,
    items: Vec<Result<Item>>,
    telling: &Telling,
) -> Result<Answer> {
    let (store, now) = (&call.app.store, call.now);
    if let Some(key) = whole.clone() {
        let known = store
            .read(move |conn| idempotency::lookup(conn, std::slice::from_ref(&key), now))
            .await?;
        if let Some((_, answer)) = known.into_iter().next() {
            return answer;
        }
    }
    let results = bulk::each(store, &call.app.intake, &asker(call), items).await;
    let is_final = !results
        .iter()
        .any(|result| result.as_ref().is_err_and(is_passing));
    let answer = telling.answer(results)?;
    let Some(key) = whole.filter(|_| is_final) else {
        return Ok(answer);
    };
    let kept = answer.clone();
    let keep = move |conn: &mut Db| idempotency::once(conn, Some(&key), now, |_| Ok(kept));
    // What is done is done: that its account could not be kept is no reason to deny it.
    Ok(store.write(keep).await.unwrap_or_else(|error| {
        tracing::warn!(error = %error.log_text(), "the answer of a bulk request was not kept");
        answer
    }))
}

/// May it go otherwise the next time, without any change?
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::InProgress) || is_ours(error)
}

/// A failure of the house, not of the request.
fn is_ours(error: &Error) -> bool {
    error.status_code().is_server_error()
}

/// All or none. What fails by itself is told item by item; where the house fails, the request fails.
async fn all(call: &Call, whole: Option<Key>, items: Vec<Result<Item>>, telling: &Telling) -> Result<Answer> {
    let count = items.len();
    let mut ready = Vec::with_capacity(count);
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Ok(item) => ready.push(item),
            Err(error) => return telling.undone(count, index, error),
        }
    }
    let failure: Arc<Mutex<Option<(usize, Error)>>> = Arc::default();
    let (failed, told, asker, now) = (Arc::clone(&failure), telling.clone(), asker(call), call.now);
    let work = move |conn: &mut Db| {
        idempotency::once(conn, whole.as_ref(), now, |conn| {
            let answers = bulk::all(conn, &asker, &ready).map_err(|(index, error)| {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some((index, error.clone()));
                error
            })?;
            told.answer(answers.into_iter().map(Ok).collect())
        })
    };
    let outcome = call.app.store.write(work).await;
    let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (outcome, failure) {
        (Ok(answer), _) => Ok(answer),
        (Err(_), Some((index, error))) if !is_ours(&error) => telling.undone(count, index, error),
        (Err(error), _) => Err(error),
    }
}

#[derive(Serialize)]
struct BulkOut {
    results: Vec<ResultOut>,
    succeeded: usize,
    failed: usize,
}

#[derive(Serialize)]
struct ResultOut {
    index: usize,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<RawValue>>,
}

/// Whom results are told, and in which language.
#[derive(Clone)]
struct Telling {
    language: crate::language::Language,
    request_id: String,
}

impl Telling {
    fn of(call: &Call, request: &HttpRequest) -> Telling {
        let extensions = request.extensions();
        let context = extensions.get::<RequestContext>();
        Telling {
            language: call.language,
            request_id: context
                .map(|context| context.request_id.clone())
                .unwrap_or_default(),
        }
    }

    fn answer(&self, results: Vec<Result<Answer>>) -> Result<Answer> {
        let failed = results.iter().filter(|result| result.is_err()).count();
        let succeeded = results.len() - failed;
        let results = results
            .into_iter()
            .enumerate()
            .map(|(index, result)| match result {
                Ok(answer) => done(index, answer),
                Err(error) => self.refused(index, error),
            })
            .collect::<Result<Vec<_>>>()?;
        let out = BulkOut {
            results,
            succeeded,
            failed,
        };
        answer::json(StatusCode::OK.as_u16(), Vec::new(), &out)
    }

    /// One failed, and so none was carried out.
    fn undone(&self, count: usize, index: usize, error: Error) -> Result<Answer> {
        let mut results: Vec<Result<Answer>> = (0..count).map(|_| Err(Error::RolledBack)).collect();
        if let Some(result) = results.get_mut(index) {
            *result = Err(error);
        }
        self.answer(results)
    }

    fn refused(&self, index: usize, error: Error) -> Result<ResultOut> {
        if is_ours(&error) {
            tracing::error!(error = %error.log_text(), index, "an item of a bulk request failed");
        }
        let error = placed(error, index);
        let problem = problem::render(&error, self.language, &self.request_id);
        Ok(ResultOut {
            index,
            status: error.status_code().as_u16(),
            etag: None,
            replayed: false,
            body: None,
            problem: Some(raw(problem)?),
        })
    }
}

fn done(index: usize, answer: Answer) -> Result<ResultOut> {
    let etag = answer.headers.iter().find(|(name, _)| name == "etag");
    Ok(ResultOut {
        index,
        status: answer.status,
        etag: etag.map(|(_, tag)| tag.clone()),
        replayed: answer.replayed,
        body: Some(raw(answer.body)?),
        problem: None,
    })
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|cause| Error::internal("an item's answer is no JSON", cause))
}

/// The fields of an item's error, where they stand in the whole request.
fn placed(error: Error, index: usize) -> Error {
    let Error::Invalid(fields) = error else {
        return error;
    };
    let placed = fields.into_iter().map(|field| {
        let pointer = match field.place {
            Place::Pointer(within) => format!("/items/{index}/body{within}"),
            Place::Parameter(name) => format!("/items/{index}/{name}"),
        };
        FieldError::pointer(pointer, field.code)
    });
    Error::Invalid(placed.collect())
}
