//! `/api-clients`.
use std::collections::HashMap;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};
use validator::Validate;

use super::answer::{self, etag_of, unless_known, write_once};
use super::extract::{Body, Call};
use super::params::Params;
use super::ticket_changes::given;
use super::wire::{self, Line, WireInstant};
use crate::directory::{self, Organisation};
use crate::error::{Error, FieldCode, Result};
use crate::idempotency::Answer;
use crate::identity::clients::{self, NewProgram, Program, ProgramChange, ProgramFilter};
use crate::store::page::Page;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;

/// A prefix or one address, with the bits behind the prefix dropped.
#[derive(Debug, Clone, Copy, Serialize)]
struct Network(IpNet);

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let network = clients::parse_network(text.trim()).map(Network);
        network.ok_or_else(|| {
            serde::de::Error::custom("expected a network such as 10.1.0.0/16 or 2001:db8::/32")
        })
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateApiClient {
    #[validate(length(min = 1, max = 100))]
    organisation: Line,
    #[validate(length(min = 1, max = 200))]
    name: Line,
    #[serde(default)]
    #[validate(length(max = clients::MAX_NETWORKS))]
    networks: Vec<Network>,
    #[serde(default)]
    include_units: bool,
    #[validate(range(min = 1, max = 100_000))]
    requests_per_minute: Option<i32>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeApiClient {
    #[serde(default, deserialize_with = "given")]
    #[validate(length(min = 1, max = 200))]
    name: Option<Line>,
    #[serde(default, deserialize_with = "given")]
    #[validate(length(max = clients::MAX_NETWORKS))]
    networks: Option<Vec<Network>>,
    #[serde(default, deserialize_with = "given")]
    include_units: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[validate(range(min = 1, max = 100_000))]
    requests_per_minute: Option<Option<i32>>,
    #[serde(default, deserialize_with = "given")]
    active: Option<bool>,
}

#[derive(Serialize)]
struct ApiClientOut {
    id: Uid,
    organisation: Reference,
    name: String,
    networks: Vec<IpNet>,
    include_units: bool,
    requests_per_minute: Option<i32>,
    active: bool,
    created_at: WireInstant,
    updated_at: WireInstant,
}

impl ApiClientOut {
    fn new(program: Program, organisation: &Organisation) -> Result<Self> {
        Ok(ApiClientOut {
            networks: clients::networks_of(&program)?,
            id: program.uid,
            organisation: Reference::new(&organisation.code, &organisation.name_vi, &organisation.name_en),
            name: program.name,
            include_units: program.include_units,
            requests_per_minute: program.requests_per_minute,
            active: program.active,
            created_at: program.created_at.into(),
            updated_at: program.updated_at.into(),
        })
    }
}

fn program_answer(conn: &mut Db, status: u16, program: Program) -> Result<Answer> {
    let (version, uid) = (program.version, program.uid);
    let own = directory::list_by_id(conn, &[program.organisation_id])?.pop();
    let own = own.ok_or_else(|| Error::internal("a program of no organisation", program.uid))?;
    let out = ApiClientOut::new(program, &own)?;
    let mut headers = vec![(ETAG.to_string(), etag_of(version, &out)?)];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/api-clients/{uid}")));
    }
    answer::json(status, headers, &out)
}

fn unwrapped(networks: Vec<Network>) -> Vec<IpNet> {
    networks.into_iter().map(|network| network.0).collect()
}

pub async fn create_api_client(call: Call, body: Body<CreateApiClient>) -> Result<HttpResponse> {
    let given = body.value;
    let new = NewProgram {
        organisation: given.organisation.0,
        name: given.name.0,
        networks: unwrapped(given.networks),
        include_units: given.include_units,
        requests_per_minute: given.requests_per_minute,
    };
    write_once(&call, &body.bytes, move |tx| {
        let (program, _) = clients::create(tx, &new)?;
        program_answer(tx.conn, 201, program)
    })
    .await
}

pub async fn change_api_client(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeApiClient>,
) -> Result<HttpResponse> {
    let seen = call.required_versions()?;
    let given = body.value;
    let change = ProgramChange {
        name: given.name.map(|name| name.0),
        networks: given.networks.map(unwrapped),
        include_units: given.include_units,
        requests_per_minute: given.requests_per_minute,
        active: given.active,
    };
    write_once(&call, &body.bytes, move |tx| {
        let program = clients::change(tx, &id, &change, &seen)?;
        program_answer(tx.conn, 200, program)
    })
    .await
}

pub async fn show_api_client(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let known = call.if_none_match.clone();
    let work = move |conn: &mut Db| {
        let program = clients::get(conn, &id)?;
        let answer = program_answer(conn, 200, program)?;
        Ok(unless_known(answer, known.as_deref()))
    };
    answer::send(call.app.store.read_snapshot(work).await?)
}

pub async fn list_api_clients(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["organisation", "active", "q", "limit", "cursor"]);
    let organisation = params.bounded("organisation", 100);
    let (active, q) = (params.flag("active"), params.words("q", 100));
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let work = move |conn: &mut Db| {
        let organisation = organisation.map(|id| known_organisation(conn, &id)).transpose()?;
        let organisation_id = organisation.map(|found| found.id);
        let filter = ProgramFilter {
            organisation_id,
            active,
            q,
        };
        let page = clients::list(conn, &filter, cursor.as_deref(), limit)?;
        shown(conn, page)
    };
    let page = call.app.store.read_snapshot(work).await?;
    wire::list(&call, request.query_string(), page)
}

pub(super) fn known_organisation(conn: &mut Db, id: &str) -> Result<Organisation> {
    directory::find_organisation(conn, id)?
        .ok_or_else(|| Error::invalid_parameter("organisation", FieldCode::UnknownCode))
}

fn shown(conn: &mut Db, page: Page<Program>) -> Result<Page<ApiClientOut>> {
    let ids: Vec<i64> = page.items.iter().map(|item| item.organisation_id).collect();
    let organisations: HashMap<i64, Organisation> = directory::list_by_id(conn, &ids)?
        .into_iter()
        .map(|organisation| (organisation.id, organisation))
        .collect();
    page.try_map(|program| {
        let own = organisations.get(&program.organisation_id);
        let own = own.ok_or_else(|| Error::internal("a program of no organisation", program.uid))?;
        ApiClientOut::new(program, own)
    })
}
