//! `/organisations`.
use std::collections::HashMap;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::agreements::WireDate;
use super::answer::{self, etag_of, unless_known, write_once};
use super::calendars::NameIn;
use super::extract::{Body, Call};
use super::params::Params;
use super::ticket_changes::given;
use super::wire::{self, Line};
use crate::calendars::Name;
use crate::directory::change::{self, NewOrganisation, OrganisationChange};
use crate::directory::{self, Organisation, OrganisationFilter};
use crate::error::{Error, FieldCode, Result};
use crate::idempotency::Answer;
use crate::store::page::Page;
use crate::store::{Db, Uid};
use crate::text_enum;
use crate::tickets::view::Reference;

text_enum! {
    /// What an organisation is: `directory::KINDS` on the wire.
    Kind { Ministry "ministry", Agency "agency", Province "province", Other "other" }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganisation {
    #[validate(length(min = 1, max = 40))]
    code: Line,
    kind: Kind,
    #[serde(deserialize_with = "wire::object")]
    #[validate(nested)]
    name: NameIn,
    #[validate(length(min = 1, max = 200))]
    short_name: Option<Line>,
    #[validate(length(min = 1, max = 40))]
    egov_code: Option<Line>,
    #[validate(length(min = 1, max = 40))]
    gso_code: Option<Line>,
    valid_from: Option<WireDate>,
    valid_to: Option<WireDate>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 100))]
    parent: Option<Option<Line>>,
    #[serde(default)]
    pilot: bool,
    #[serde(default)]
    #[validate(length(max = 500))]
    source: Line,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrganisation {
    #[serde(default, deserialize_with = "given")]
    kind: Option<Kind>,
    #[serde(default, deserialize_with = "wire::optional_object")]
    #[validate(nested)]
    name: Option<NameIn>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 200))]
    short_name: Option<Line>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 40))]
    egov_code: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 40))]
    gso_code: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    valid_from: Option<Option<WireDate>>,
    #[serde(default, deserialize_with = "given")]
    valid_to: Option<Option<WireDate>>,
    /// Only null: who succeeds is said by `succession`.
    #[serde(default, deserialize_with = "given")]
    successor: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 100))]
    parent: Option<Option<Line>>,
    #[serde(default, deserialize_with = "given")]
    pilot: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(max = 500))]
    source: Option<Line>,
}

fn text(line: Line) -> String {
    line.0
}

#[derive(Serialize)]
pub(super) struct OrganisationOut {
    id: Uid,
    code: String,
    kind: String,
    name: Name,
    short_name: String,
    egov_code: Option<String>,
    gso_code: Option<String>,
    valid_from: Option<NaiveDate>,
    valid_to: Option<NaiveDate>,
    successor: Option<Reference>,
    parent: Option<Reference>,
    pilot: bool,
    source: String,
}

pub(super) fn reference(organisation: &Organisation) -> Reference {
    Reference::new(&organisation.code, &organisation.name_vi, &organisation.name_en)
}

/// With successors and parents, which another query brings.
pub(super) fn show(conn: &mut Db, organisations: Vec<Organisation>) -> Result<Vec<OrganisationOut>> {
    let ids: Vec<i64> = organisations
        .iter()
        .flat_map(|organisation| [organisation.successor_id, organisation.parent_id])
        .flatten()
        .collect();
    let named: HashMap<i64, Reference> = directory::list_by_id(conn, &ids)?
        .into_iter()
        .map(|found| (found.id, reference(&found)))
        .collect();
    let link = |id: Option<i64>| id.and_then(|id| named.get(&id).cloned());
    let out = organisations.into_iter().map(|organisation| OrganisationOut {
        id: organisation.uid,
        code: organisation.code,
        kind: organisation.kind,
        name: Name {
            vi: organisation.name_vi,
            en: organisation.name_en,
        },
        short_name: organisation.short_name,
        egov_code: organisation.egov_code,
        gso_code: organisation.gso_code,
        valid_from: organisation.valid_from,
        valid_to: organisation.valid_to,
        successor: link(organisation.successor_id),
        parent: link(organisation.parent_id),
        pilot: organisation.pilot,
        source: organisation.source,
    });
    Ok(out.collect())
}

fn organisation_answer(conn: &mut Db, status: u16, organisation: Organisation) -> Result<Answer> {
    let (version, code) = (organisation.version, organisation.code.clone());
    let shown = show(conn, vec![organisation])?.pop();
    let mut headers = vec![(ETAG.to_string(), etag_of(version, &shown)?)];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/organisations/{code}")));
    }
    answer::json(status, headers, &shown)
}

pub async fn list_organisations(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["active_on", "kind", "parent", "q", "limit", "cursor"]);
    let is_kind = |text: &str| directory::KINDS.contains(&text).then(|| text.to_owned());
    let mut filter = OrganisationFilter {
        active_on: params.date("active_on"),
        kind: params.parsed("kind", "ministry, agency, province or other", is_kind),
        parent_id: None,
        q: params.words("q", 100),
    };
    let parent = params.bounded("parent", 100);
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let work = move |conn: &mut Db| {
        filter.parent_id = known_parent(conn, parent)?;
        let page = directory::list_organisations(conn, &filter, cursor.as_deref(), limit)?;
        Ok(Page {
            items: show(conn, page.items)?,
            next_cursor: page.next_cursor,
        })
    };
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page)
}

fn known_parent(conn: &mut Db, given: Option<String>) -> Result<Option<i64>> {
    let Some(given) = given else { return Ok(None) };
    let found = directory::find_organisation(conn, &given)?;
    let found = found.ok_or_else(|| Error::invalid_parameter("parent", FieldCode::UnknownCode))?;
    Ok(Some(found.id))
}

pub async fn show_organisation(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let known = call.if_none_match.clone();
    let work = move |conn: &mut Db| {
        let organisation = directory::get_organisation(conn, &id)?;
        let answer = organisation_answer(conn, 200, organisation)?;
        Ok(unless_known(answer, known.as_deref()))
    };
    answer::send(call.app.store.read_snapshot(work).await?)
}

pub async fn create_organisation(call: Call, body: Body<CreateOrganisation>) -> Result<HttpResponse> {
    let given = body.value;
    let new = NewOrganisation {
        code: given.code.0,
        kind: given.kind.as_str().to_owned(),
        name: given.name.into(),
        short_name: given.short_name.map(text),
        gso_code: given.gso_code.map(text),
        egov_code: given.egov_code.map(text),
        valid_from: given.valid_from.map(|date| date.0),
        valid_to: given.valid_to.map(|date| date.0),
        parent: given.parent.map(|parent| parent.map(text)),
        pilot: given.pilot,
        source: given.source.0,
    };
    write_once(&call, &body.bytes, move |tx| {
        let organisation = change::create(tx, &new)?;
        organisation_answer(tx.conn, 201, organisation)
    })
    .await
}

impl TryFrom<ChangeOrganisation> for OrganisationChange {
    type Error = Error;

    fn try_from(given: ChangeOrganisation) -> Result<Self> {
        if let Some(Some(_)) = given.successor {
            return Err(Error::invalid_pointer("/successor", FieldCode::NotAllowed));
        }
        let date = |date: Option<WireDate>| date.map(|date| date.0);
        Ok(OrganisationChange {
            kind: given.kind.map(|kind| kind.as_str().to_owned()),
            name: given.name.map(Name::from),
            short_name: given.short_name.map(text),
            gso_code: given.gso_code.map(|code| code.map(text)),
            egov_code: given.egov_code.map(|code| code.map(text)),
            valid_from: given.valid_from.map(date),
            valid_to: given.valid_to.map(date),
            parent: given.parent.map(|parent| parent.map(text)),
            no_successor: given.successor.is_some(),
            pilot: given.pilot,
            source: given.source.map(text),
        })
    }
}

pub async fn change_organisation(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeOrganisation>,
) -> Result<HttpResponse> {
    let seen = call.required_versions()?;
    let change = OrganisationChange::try_from(body.value)?;
    write_once(&call, &body.bytes, move |tx| {
        let organisation = change::change(tx, &id, &change, &seen)?;
        organisation_answer(tx.conn, 200, organisation)
    })
    .await
}
