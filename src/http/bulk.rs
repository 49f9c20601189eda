//! `POST /tickets/bulk`: up to 1,000 requests to file or change tickets in one, each by itself or all or none.
//!
//! An item's `body` is read, checked, carried out and answered by what its own route uses. What is wrong around the
//! bodies refuses the whole request; what is wrong with one of them is that item's problem.
mod results;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, ResponseError};
use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use validator::{Validate, ValidationErrors};

use self::results::Telling;
use super::answer::send;
use super::aside;
use super::extract::{Body, BulkBody, Call, checked_key, versions_in};
use super::json::{Looks, parse_one_of_many};
use super::messages::NewMessage;
use super::operations::{
    AssignTicket, Nothing, OptionalReason, Reason, ResolveTicket, TransferTicket, WaitTicket, carry_out,
};
use super::routes::Route;
use super::ticket_changes::ChangeTicket;
use super::tickets::{FileTicketIn, filing};
use super::wire::{Line, object};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::idempotency::{self, Answer, Key};
use crate::store::Db;
use crate::tickets::acts::Act;
use crate::tickets::bulk::{self, Asker, Item, ToDo};

const MOST_ITEMS: u64 = 1000;

/// A request of which nothing was heard for so long is taken over by whoever repeats it. Too early does no harm: every
/// item has a key of its own.
const WORD_GOOD_FOR: TimeDelta = TimeDelta::seconds(15);
/// How often a request that runs says so.
const WORD_EVERY: Duration = Duration::from_secs(5);

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
    fn operation(self) -> &'static str {
        match self {
            Verb::File => "file_ticket",
            Verb::Change => "change_ticket",
            Verb::Message => "post_message",
            Verb::Note => "post_note",
            Verb::Claim => "claim_ticket",
            Verb::Assign => "assign_ticket",
            Verb::Release => "release_ticket",
            Verb::Transfer => "transfer_ticket",
            Verb::Wait => "wait_ticket",
            Verb::Resume => "resume_ticket",
            Verb::Resolve => "resolve_ticket",
            Verb::Close => "close_ticket",
            Verb::Reopen => "reopen_ticket",
            Verb::Cancel => "cancel_ticket",
        }
    }

    /// The item's own route: it says who may do this at all, and the same request has the same idempotency key there.
    fn route(self) -> Result<&'static Route> {
        let unknown = || Error::internal("an item of a bulk request has no route", self.operation());
        Route::of(self.operation()).ok_or_else(unknown)
    }

    /// What the body says, as the item's own route reads it; `None` for a question, which is no act on a ticket.
    fn act(self, body: &[u8], looks: &mut Looks) -> Result<Option<Act>> {
        let reason = |given: Reason| given.text();
        let may_have_reason = |given: OptionalReason| given.text();
        Ok(Some(match self {
            Verb::File => return Ok(None),
            Verb::Change => parse_one_of_many::<ChangeTicket>(body, looks)?.into(),
            Verb::Message => Act::Message(parse_one_of_many::<NewMessage>(body, looks)?.words()),
            Verb::Note => Act::Note(parse_one_of_many::<NewMessage>(body, looks)?.words()),
            Verb::Claim => parse_one_of_many::<Nothing>(body, looks).map(|Nothing {}| Act::Claim)?,
            Verb::Assign => parse_one_of_many::<AssignTicket>(body, looks)?.into(),
            Verb::Transfer => parse_one_of_many::<TransferTicket>(body, looks)?.into(),
            Verb::Wait => parse_one_of_many::<WaitTicket>(body, looks)?.into(),
            Verb::Resolve => parse_one_of_many::<ResolveTicket>(body, looks)?.into(),
            Verb::Release => Act::Release {
                reason: may_have_reason(parse_one_of_many(body, looks)?),
            },
            Verb::Resume => Act::Resume {
                reason: may_have_reason(parse_one_of_many(body, looks)?),
            },
            Verb::Close => Act::Close {
                reason: may_have_reason(parse_one_of_many(body, looks)?),
            },
            Verb::Reopen => Act::Reopen {
                reason: reason(parse_one_of_many(body, looks)?),
            },
            Verb::Cancel => Act::Cancel {
                reason: reason(parse_one_of_many(body, looks)?),
            },
        }))
    }
}

pub async fn bulk_tickets(
    call: Call,
    request: HttpRequest,
    body: BulkBody<BulkRequest>,
) -> Result<HttpResponse> {
    let BulkBody(body) = body;
    let (mode, telling, reader) = (body.value.mode, Telling::of(&call, &request), call.clone());
    let (whole, items) = aside::run(move || read(&reader, body)).await?;
    let answer = match mode {
        Mode::Each => each(call, whole, items, telling).await?,
        Mode::All => all(&call, whole, items, &telling).await?,
    };
    send(answer)
}

/// The key of the whole, and the items.
fn read(call: &Call, body: Body<BulkRequest>) -> Result<(Option<Key>, Vec<Result<Item>>)> {
    check(&body.value, call.idempotency_key.as_deref())?;
    let whole = call.key(&body.bytes);
    let items = prepare(call, body.value, whole.as_ref());
    Ok((whole, items))
}

/// What is around the bodies.
pub(super) fn check(request: &BulkRequest, key_of_all: Option<&str>) -> Result<()> {
    let mut errors = Vec::new();
    let mut keys: BTreeSet<&str> = key_of_all.into_iter().collect();
    let length = |code| FieldError::pointer("/items", code);
    match u64::try_from(request.items.len()) {
        Ok(0) => errors.push(length(FieldCode::TooShort { min: 1 })),
        Ok(1..=MOST_ITEMS) => {
            for (index, BulkItem(item)) in request.items.iter().enumerate() {
                let mut refuse = |member: &str, code| {
                    errors.push(FieldError::pointer(format!("/items/{index}/{member}"), code))
                };
                item.check(&mut refuse);
                // Of two requests with one key the second could only be told to come back, again and again.
                if item
                    .idempotency_key
                    .as_deref()
                    .is_some_and(|key| !keys.insert(key))
                {
                    refuse("idempotency_key", FieldCode::Duplicate);
                }
            }
        }
        _ => errors.push(length(FieldCode::TooLong { max: MOST_ITEMS })),
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
    let items = request.items.into_iter().enumerate();
    let mut looks = Looks::of_a_request();
    let prepared = items.map(|(index, BulkItem(item))| item.prepare(call, index, derived, &mut looks));
    prepared.collect()
}

impl ItemMembers {
    fn prepare(self, call: &Call, index: usize, whole: Option<&Key>, looks: &mut Looks) -> Result<Item> {
        let route = self.operation.route()?;
        route.access.permit(&call.principal)?;
        let ticket = self.ticket.map(|ticket| ticket.0);
        let sent = self.body.as_ref().map_or("", |body| body.get()).as_bytes();
        let path = route.path.replace("{id}", ticket.as_deref().unwrap_or_default());
        let key = |name: &str| {
            let owner = call.principal.owner()?;
            Some(Key::new(owner, name, route.method, &format!("{path}?"), sent))
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
        let Some(act) = self.operation.act(body, looks)? else {
            let question = parse_one_of_many::<FileTicketIn>(body, looks)?;
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

/// Every item by itself; as a task of its own, so that a client that goes away leaves nothing half done.
async fn each(call: Call, whole: Option<Key>, items: Vec<Result<Item>>, telling: Telling) -> Result<Answer> {
    let work = async move {
        match whole {
            None => telling.answer_aside(each_item(&call, items).await).await,
            Some(key) => each_once(&call, key, items, &telling).await,
        }
    };
    actix_web::rt::spawn(work)
        .await
        .map_err(|panicked| Error::internal("a bulk request panicked", panicked))?
}

async fn each_item(call: &Call, items: Vec<Result<Item>>) -> Vec<Result<Answer>> {
    bulk::each(&call.app.store, &call.app.intake, &asker(call), items).await
}

/// The key belongs to this request from its first item on. The answer of the whole is kept once nothing in it asks to be
/// tried again; until then a repetition goes through the items, of which those that are done give their first answers.
async fn each_once(call: &Call, key: Key, items: Vec<Result<Item>>, telling: &Telling) -> Result<Answer> {
    let (store, clock) = (&call.app.store, &call.app.clock);
    let (own, now) = (key.clone(), clock.now());
    let begun = store.write(move |conn| idempotency::begin(conn, &own, now, now + WORD_GOOD_FOR));
    if let Some(answer) = begun.await? {
        return Ok(answer);
    }
    let results = while_telling(call, &key, each_item(call, items)).await;
    let is_final = !results
        .iter()
        .any(|result| result.as_ref().is_err_and(is_passing));
    let answer = telling.answer_aside(results).await?;
    let (kept, now) = (Some(answer.clone()).filter(|_| is_final), clock.now());
    let finish = move |conn: &mut Db| idempotency::finish(conn, &key, kept.as_ref(), now);
    // What is done is done: that its account could not be kept is no reason to deny it.
    if let Err(error) = store.write(finish).await {
        tracing::warn!(error = %error.log_text(), "the answer of a bulk request was not kept");
    }
    Ok(answer)
}

/// Do it, and say again and again that it is being done.
async fn while_telling<T>(call: &Call, key: &Key, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(WORD_EVERY, &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                let (own, until) = (key.clone(), call.app.clock.now() + WORD_GOOD_FOR);
                let prolong = move |conn: &mut Db| idempotency::prolong(conn, &own, until);
                if let Err(error) = call.app.store.write(prolong).await {
                    tracing::warn!(error = %error.log_text(), "a bulk request could not say that it goes on");
                }
            }
        }
    }
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
    let ready = match all_ready(items) {
        Ok(ready) => ready,
        Err((index, error)) => return telling.undone(count, index, error).await,
    };
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
        (Err(_), Some((index, error))) if !is_ours(&error) => telling.undone(count, index, error).await,
        (Err(error), _) => Err(error),
    }
}

/// The items, or the first that could not be read.
fn all_ready(items: Vec<Result<Item>>) -> std::result::Result<Vec<Item>, (usize, Error)> {
    let placed = items.into_iter().enumerate();
    placed
        .map(|(index, item)| item.map_err(|error| (index, error)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::Access;
    use crate::identity::access::Action;

    #[test]
    fn every_item_asks_for_what_its_own_route_asks_for() {
        let (nothing, reason) = ("{}", r#"{"reason": "r"}"#);
        for (verb, body) in [
            (Verb::File, nothing),
            (Verb::Change, nothing),
            (Verb::Message, r#"{"body": "b"}"#),
            (Verb::Note, r#"{"body": "b"}"#),
            (Verb::Claim, nothing),
            (Verb::Assign, r#"{"assignee": "a"}"#),
            (Verb::Release, nothing),
            (Verb::Transfer, r#"{"queue": "q", "reason": "r"}"#),
            (Verb::Wait, r#"{"message": "m"}"#),
            (Verb::Resume, nothing),
            (Verb::Resolve, r#"{"outcome": "answered", "message": "m"}"#),
            (Verb::Close, nothing),
            (Verb::Reopen, reason),
            (Verb::Cancel, reason),
        ] {
            let route = verb.route().unwrap();
            assert!(route.path.starts_with("/api/v1/tickets"), "{verb:?}");
            assert_eq!(route.path.contains("{id}"), verb != Verb::File, "{verb:?}");
            let act = verb.act(body.as_bytes(), &mut Looks::of_a_request()).unwrap();
            let action = act.map_or(Action::FileTicket, |act| act.action());
            assert_eq!(route.access, Access::Needs(action), "{verb:?}");
        }
    }
}
