//! `POST requests`, `GET requests`, `GET requests/{service_request_id}` and `GET tokens/{token}`.
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Duration, Utc};
use serde::Serialize;
use serde_json::json;

use super::caller::{Caller, respond};
use super::form::{self, Fields};
use super::format::{Format, Names};
use crate::app::App;
use crate::error::{Error, FieldCode, Result};
use crate::http::aside;
use crate::http::extract::Upload;
use crate::http::wire::WireInstant;
use crate::idempotency::{Answer, Key};
use crate::identity::Principal;
use crate::identity::access::Action;
use crate::language::Language;
use crate::queues;
use crate::store::Db;
use crate::tickets::filing::Filing;
use crate::tickets::lifecycle::State;
use crate::tickets::list::{self, TicketFilter, TicketQuestion};
use crate::tickets::operations::get_for_reading;
use crate::tickets::view::{self, TicketView};

static IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const REQUESTS: Names = Names {
    list: "service_requests",
    item: "request",
};

#[derive(Serialize)]
struct Filed {
    service_request_id: String,
    /// What happens next, in words.
    service_notice: String,
    account_id: Option<String>,
}

#[derive(Serialize)]
struct RequestOut {
    service_request_id: String,
    status: &'static str,
    status_notes: String,
    service_name: Option<String>,
    service_code: Option<String>,
    description: String,
    agency_responsible: String,
    service_notice: Option<String>,
    requested_datetime: WireInstant,
    updated_datetime: WireInstant,
    expected_datetime: Option<WireInstant>,
    address: Option<String>,
    address_id: Option<String>,
    zipcode: Option<String>,
    lat: Option<f64>,
    long: Option<f64>,
    media_url: Option<String>,
}

impl RequestOut {
    fn new(view: &TicketView, language: Language) -> RequestOut {
        let ticket = &view.ticket;
        RequestOut {
            service_request_id: ticket.number.clone(),
            status: if State::OPEN.contains(&ticket.state) {
                "open"
            } else {
                "closed"
            },
            status_notes: state_in_words(ticket.state, language).to_owned(),
            service_name: view
                .topic
                .as_ref()
                .map(|topic| language.choose(topic.name.vi.clone(), topic.name.en.clone())),
            service_code: view.topic.as_ref().map(|topic| topic.code.clone()),
            description: ticket.body.clone(),
            agency_responsible: language.choose(view.queue.name.vi.clone(), view.queue.name.en.clone()),
            service_notice: None,
            requested_datetime: ticket.filed_at.into(),
            updated_datetime: ticket.updated_at.into(),
            expected_datetime: expected(view).map(WireInstant),
            address: None,
            address_id: None,
            zipcode: None,
            lat: None,
            long: None,
            media_url: None,
        }
    }
}

/// When the answer is due: of the last resolution clock, while it has one.
fn expected(view: &TicketView) -> Option<DateTime<Utc>> {
    let resolution = view.clocks.iter().filter(|clock| clock.target == "resolution");
    let newest = resolution.max_by_key(|clock| clock.cycle)?;
    newest.due_at.map(|due| due.0)
}

const CLOSED: [State; 4] = [State::Resolved, State::Closed, State::Cancelled, State::Merged];

fn state_in_words(state: State, language: Language) -> &'static str {
    match state {
        State::Queued => language.choose("Đã tiếp nhận", "Received"),
        State::Assigned => language.choose("Đang xử lý", "In progress"),
        State::Waiting => language.choose("Chờ bổ sung thông tin", "Waiting for information from the asker"),
        State::Resolved => language.choose("Đã trả lời", "Answered"),
        State::Closed => language.choose("Đã kết thúc", "Closed"),
        State::Cancelled => language.choose("Đã hủy", "Cancelled"),
        State::Merged => language.choose("Đã gộp vào câu hỏi khác", "Merged into another question"),
    }
}

pub async fn file_open311_request(
    app: web::Data<App>,
    request: HttpRequest,
    ending: web::Path<String>,
    form: Result<Upload>,
) -> HttpResponse {
    respond(app, &request, &ending, async |caller, format| {
        let answer = file(caller, format, form).await?;
        let mut response = format.answer(StatusCode::CREATED, answer.body);
        if answer.replayed {
            let told = HeaderValue::from_static("true");
            response.headers_mut().insert(IDEMPOTENCY_REPLAYED.clone(), told);
        }
        Ok(response)
    })
    .await
}

async fn file(caller: &Caller, format: Format, form: Result<Upload>) -> Result<Answer> {
    let form = form?;
    if form.media_type.as_deref() != Some("application/x-www-form-urlencoded") {
        return Err(Error::UnsupportedMediaType {
            expected: "application/x-www-form-urlencoded",
        });
    }
    let given = aside::read(form.bytes.len(), move || Ok(Fields::read(&form.bytes))).await?;
    let principal = caller.admit(Some(&given), Action::FileTicket).await?;
    let told = |error| form::in_words_of(&given, error);
    let question = form::question(caller, &given).await.map_err(told)?;
    let key = idempotency_key(caller, &principal, &given)?;
    let (language, account) = (caller.language, given.find("account_id").map(str::to_owned));
    let answering = move |view: &TicketView| {
        let filed = Filed {
            service_request_id: view.ticket.number.clone(),
            service_notice: state_in_words(view.ticket.state, language).to_owned(),
            account_id: account.clone(),
        };
        Ok(Answer {
            status: StatusCode::CREATED.as_u16(),
            headers: Vec::new(),
            body: format.list(REQUESTS, &[filed])?,
            replayed: false,
        })
    };
    let filing = Filing {
        principal,
        question,
        key,
        filed_at: caller.now,
        answering: Arc::new(answering),
    };
    caller.app.intake.file(filing).await.map_err(told)
}

/// The same key with the same form is the same request; GeoReport itself knows no such thing. The credential is no part
/// of the question: a program that changed over to a new one repeats with that.
fn idempotency_key(caller: &Caller, principal: &Principal, form: &Fields) -> Result<Option<Key>> {
    let Some(given) = crate::http::extract::idempotency_key(caller.headers())? else {
        return Ok(None);
    };
    let owner = principal.owner().ok_or(Error::Unauthenticated)?;
    let pairs = form.pairs().iter();
    let asked: Vec<_> = pairs.filter(|(name, _)| name != "api_key").collect();
    let body = serde_urlencoded::to_string(asked)
        .map_err(|cause| Error::internal("a form cannot be written", cause))?;
    Ok(Some(Key::new(
        owner,
        &given,
        "POST",
        caller.path(),
        body.as_bytes(),
    )))
}

pub async fn show_open311_request(
    app: web::Data<App>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (id, ending) = path.into_inner();
    respond(app, &request, &ending, async |caller, format| {
        let found = find_requests(caller, vec![id]).await?;
        show(format, caller.language, &found)
    })
    .await
}

fn show(format: Format, language: Language, found: &[TicketView]) -> Result<HttpResponse> {
    let requests: Vec<RequestOut> = found.iter().map(|view| RequestOut::new(view, language)).collect();
    Ok(format.ok(format.list(REQUESTS, &requests)?))
}

/// By number or id, each once, in the order asked; what is foreign or unknown is an error, as it is for one.
async fn find_requests(caller: &Caller, ids: Vec<String>) -> Result<Vec<TicketView>> {
    let principal = caller.admit(None, Action::ReadTicket).await?;
    let (desk, now) = (caller.app.desk.clone(), caller.now);
    let work = move |conn: &mut Db| {
        let one = |id: &String| {
            get_for_reading(conn, &desk, &principal, id, Action::ReadTicket).map(|ticket| ticket.id)
        };
        let mut found = ids.iter().map(one).collect::<Result<Vec<_>>>()?;
        keep_first(&mut found);
        view::list_views(conn, &desk, &found, now)
    };
    caller.app.store.read_snapshot(work).await
}

pub async fn list_open311_requests(
    app: web::Data<App>,
    request: HttpRequest,
    ending: web::Path<String>,
) -> HttpResponse {
    respond(app, &request, &ending, async |caller, format| {
        let found = match caller.asked("service_request_id") {
            Some(ids) => find_requests(caller, split("service_request_id", ids, MOST_REQUESTS)?).await?,
            None => newest(caller).await?,
        };
        show(format, caller.language, &found)
    })
    .await
}

/// What stands between the commas, each once. One more than `most` is refused, not left out in silence.
fn split(name: &str, list: &str, most: usize) -> Result<Vec<String>> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
    let mut parts: Vec<String> = parts.map(str::to_owned).collect();
    keep_first(&mut parts);
    if parts.len() > most {
        let expected = format!("at most {most} of them");
        return Err(Error::invalid_parameter(name, FieldCode::OutOfRange { expected }));
    }
    Ok(parts)
}

/// Whatever stands there again goes.
fn keep_first<T: Clone + Eq + Hash>(items: &mut Vec<T>) {
    let mut seen = HashSet::new();
    items.retain(|item| seen.insert(item.clone()));
}

/// GeoReport v2: a span of 90 days or the first 1,000 requests, whichever is smaller.
const LONGEST_SPAN_DAYS: i64 = 90;
const MOST_REQUESTS: usize = 1000;
/// As many services as one list may name.
const MOST_SERVICES: usize = 200;

async fn newest(caller: &Caller) -> Result<Vec<TicketView>> {
    let principal = caller.admit(None, Action::ReadTicket).await?;
    let states = states(caller.asked("status"))?;
    let codes = match caller.asked("service_code") {
        Some(codes) => split("service_code", codes, MOST_SERVICES)?,
        None => Vec::new(),
    };
    let (from, to) = span(caller)?;
    let (desk, now) = (caller.app.desk.clone(), caller.now);
    let work = move |conn: &mut Db| {
        let filter = TicketFilter {
            states,
            topic_ids: queues::get_topic_ids(conn, &codes)?,
            filed_from: Some(from),
            filed_to: Some(to),
            ..TicketFilter::default()
        };
        let question = TicketQuestion {
            filter,
            limit: i64::try_from(MOST_REQUESTS).unwrap_or(i64::MAX),
            ..TicketQuestion::default()
        };
        let (page, _) = list::list_tickets(conn, &desk, &principal, &question, now)?;
        Ok(page.items)
    };
    caller.app.store.read_snapshot(work).await
}

fn states(asked: Option<&str>) -> Result<Vec<State>> {
    let Some(asked) = asked else { return Ok(Vec::new()) };
    let mut states = Vec::new();
    for status in split("status", asked, MOST_SERVICES)? {
        match status.as_str() {
            "open" => states.extend(State::OPEN),
            "closed" => states.extend(CLOSED),
            _ => return Err(Error::invalid_parameter("status", FieldCode::UnknownCode)),
        }
    }
    Ok(states)
}

/// From `start_date` to `end_date`, at most 90 days; where one is missing, that long before or after the other.
fn span(caller: &Caller) -> Result<(DateTime<Utc>, DateTime<Utc>)> {
    let longest = Duration::days(LONGEST_SPAN_DAYS);
    let from = instant(caller, "start_date")?;
    let to = instant(caller, "end_date")?;
    let to = to.unwrap_or_else(|| from.map_or(caller.now + Duration::seconds(1), |from| from + longest));
    let from = from.unwrap_or(to - longest);
    if to - from > longest || to < from {
        let expected = format!("start_date before end_date, at most {LONGEST_SPAN_DAYS} days apart");
        return Err(Error::invalid_parameter(
            "end_date",
            FieldCode::OutOfRange { expected },
        ));
    }
    Ok((from, to))
}

fn instant(caller: &Caller, name: &str) -> Result<Option<DateTime<Utc>>> {
    let Some(text) = caller.asked(name) else {
        return Ok(None);
    };
    let read: std::result::Result<WireInstant, _> = serde_json::from_value(json!(text));
    match read {
        Ok(at) => Ok(Some(at.0)),
        Err(_) => {
            let expected = "2019-11-22T16:30:00+07:00";
            Err(Error::invalid_parameter(
                name,
                FieldCode::InvalidFormat { expected },
            ))
        }
    }
}

#[derive(Serialize)]
struct TokenOut {
    service_request_id: String,
    token: String,
}

/// A request has its number at once, so no answer of ours carries a token; its id is taken for one.
pub async fn show_open311_token(
    app: web::Data<App>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (token, ending) = path.into_inner();
    respond(app, &request, &ending, async |caller, format| {
        let found = find_requests(caller, vec![token.clone()]).await?;
        let tokens: Vec<TokenOut> = found
            .into_iter()
            .map(|view| TokenOut {
                service_request_id: view.ticket.number,
                token: token.clone(),
            })
            .collect();
        Ok(format.ok(format.list(REQUESTS, &tokens)?))
    })
    .await
}
