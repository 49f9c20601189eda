//! `/requesters`.
use std::collections::HashMap;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::answer::{self, etag_of, unless_known, write_once};
use super::api_clients::known_organisation;
use super::directory::reference;
use super::extract::{Body, Call};
use super::params::Params;
use super::ticket_changes::given;
use super::wire::{self, Line, Prose, WireInstant};
use crate::directory::requesters::{self, Person, RequesterChange, RequesterFilter};
use crate::directory::{self, RequesterInput};
use crate::error::{Error, Result};
use crate::idempotency::Answer;
use crate::identity::Principal;
use crate::identity::access::{Action, permit};
use crate::language::Language;
use crate::store::page::Page;
use crate::store::{Db, Uid};
use crate::text::nfc;
use crate::tickets::view::Reference;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateRequester {
    #[validate(length(min = 1, max = 100))]
    organisation: Option<Line>,
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

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequester {
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 200))]
    name: Option<Line>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(max = 254), email)]
    email: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 200))]
    unit: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 50))]
    phone: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    language: Option<Language>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct AnonymiseRequester {
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Serialize)]
struct RequesterOut {
    id: Uid,
    organisation: Reference,
    name: String,
    email: Option<String>,
    unit: Option<String>,
    phone: Option<String>,
    language: Language,
    created_at: WireInstant,
    updated_at: WireInstant,
    anonymised_at: Option<WireInstant>,
    /// Not told to programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymise_reason: Option<String>,
}

impl RequesterOut {
    fn new(person: Person, organisation: Reference, principal: &Principal) -> Self {
        let may_know_why = permit(principal, Action::ReadErasures).is_ok();
        RequesterOut {
            id: person.uid,
            organisation,
            name: person.name,
            email: person.email,
            unit: person.unit,
            phone: person.phone,
            language: person.language,
            created_at: person.created_at.into(),
            updated_at: person.updated_at.into(),
            anonymised_at: person.anonymised_at.map(Into::into),
            anonymise_reason: person.anonymise_reason.filter(|_| may_know_why),
        }
    }
}

fn shown(conn: &mut Db, people: Vec<Person>, principal: &Principal) -> Result<Vec<RequesterOut>> {
    let ids: Vec<i64> = people.iter().map(|person| person.organisation_id).collect();
    let organisations: HashMap<i64, Reference> = directory::list_by_id(conn, &ids)?
        .into_iter()
        .map(|found| (found.id, reference(&found)))
        .collect();
    let out = people.into_iter().map(|person| {
        let own = organisations.get(&person.organisation_id).cloned();
        let own = own.ok_or_else(|| Error::internal("a person of no organisation", person.uid))?;
        Ok(RequesterOut::new(person, own, principal))
    });
    out.collect()
}

fn requester_answer(conn: &mut Db, status: u16, person: Person, principal: &Principal) -> Result<Answer> {
    let (version, uid) = (person.version, person.uid);
    let out = shown(conn, vec![person], principal)?.pop();
    let mut headers = vec![(ETAG.to_string(), etag_of(version, &out)?)];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/requesters/{uid}")));
    }
    answer::json(status, headers, &out)
}

fn text(line: Line) -> String {
    line.0
}

/// Addresses are compared in lower case, as filing writes them.
fn address(line: Line) -> String {
    line.0.to_lowercase()
}

/// Filters as they were asked, with an organisation that is not yet looked up.
struct AskedFilter {
    organisation: Option<String>,
    filter: RequesterFilter,
}

impl AskedFilter {
    fn read(params: &mut Params) -> AskedFilter {
        AskedFilter {
            organisation: params.bounded("organisation", 100),
            filter: RequesterFilter {
                organisation_id: None,
                q: params.words("q", 100),
                email: params
                    .bounded("email", 254)
                    .map(|email| nfc(&email).to_lowercase()),
            },
        }
    }

    fn look_up(self, conn: &mut Db) -> Result<RequesterFilter> {
        let organisation = self.organisation.map(|id| known_organisation(conn, &id));
        Ok(RequesterFilter {
            organisation_id: organisation.transpose()?.map(|found| found.id),
            ..self.filter
        })
    }
}

pub async fn list_requesters(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["organisation", "q", "email", "limit", "cursor"]);
    let asked = AskedFilter::read(&mut params);
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let principal = call.principal.clone();
    let work = move |conn: &mut Db| {
        let filter = asked.look_up(conn)?;
        let page = requesters::list(conn, &principal, &filter, cursor.as_deref(), limit)?;
        Ok(Page {
            items: shown(conn, page.items, &principal)?,
            next_cursor: page.next_cursor,
        })
    };
    let page = call.app.store.read_snapshot(work).await?;
    wire::list(&call, request.query_string(), page)
}

pub async fn show_requester(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let (principal, known) = (call.principal.clone(), call.if_none_match.clone());
    let work = move |conn: &mut Db| {
        let person = requesters::get(conn, &principal, &id)?;
        let answer = requester_answer(conn, 200, person, &principal)?;
        Ok(unless_known(answer, known.as_deref()))
    };
    answer::send(call.app.store.read_snapshot(work).await?)
}

pub async fn create_requester(call: Call, body: Body<CreateRequester>) -> Result<HttpResponse> {
    let given = body.value;
    let organisation = given.organisation.map(text);
    let input = RequesterInput {
        name: given.name.0,
        email: given.email.map(address),
        unit: given.unit.map(text),
        phone: given.phone.map(text),
        language: given.language,
    };
    write_once(&call, &body.bytes, move |tx| {
        let person = requesters::create(tx, organisation.as_deref(), &input)?;
        requester_answer(tx.conn, 201, person, tx.principal)
    })
    .await
}

pub async fn change_requester(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeRequester>,
) -> Result<HttpResponse> {
    let seen = call.required_versions()?;
    let given = body.value;
    let change = RequesterChange {
        name: given.name.map(text),
        email: given.email.map(|email| email.map(address)),
        unit: given.unit.map(|unit| unit.map(text)),
        phone: given.phone.map(|phone| phone.map(text)),
        language: given.language,
    };
    write_once(&call, &body.bytes, move |tx| {
        let person = requesters::change(tx, &id, &change, &seen)?;
        requester_answer(tx.conn, 200, person, tx.principal)
    })
    .await
}

#[derive(Serialize)]
struct AnonymisedOut {
    requester: Option<RequesterOut>,
    withdrawn_deliveries: usize,
}

pub async fn anonymise_requester(
    call: Call,
    id: web::Path<String>,
    body: Body<AnonymiseRequester>,
) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    let reason = body.value.reason.0;
    write_once(&call, &body.bytes, move |tx| {
        let (person, withdrawn_deliveries) = requesters::anonymise(tx, &id, &reason, &seen)?;
        let version = person.version;
        let out = AnonymisedOut {
            requester: shown(tx.conn, vec![person], tx.principal)?.pop(),
            withdrawn_deliveries,
        };
        let tag = etag_of(version, &out.requester)?;
        answer::json(200, vec![(ETAG.to_string(), tag)], &out)
    })
    .await
}
