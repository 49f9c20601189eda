//! `/organisations`.
use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::NaiveDate;
use serde::Serialize;

use super::extract::Call;
use super::params::Params;
use super::wire;
use crate::calendars::Name;
use crate::directory::{self, Organisation, OrganisationFilter};
use crate::error::Result;
use crate::store::page::Page;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;

#[derive(Serialize)]
struct OrganisationOut {
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
    pilot: bool,
}

/// With the successors, which another query brings.
fn show(conn: &mut Db, organisations: Vec<Organisation>) -> Result<Vec<OrganisationOut>> {
    let ids: Vec<i64> = organisations
        .iter()
        .filter_map(|organisation| organisation.successor_id)
        .collect();
    let successors: HashMap<i64, Reference> = directory::list_by_id(conn, &ids)?
        .into_iter()
        .map(|found| {
            (
                found.id,
                Reference::new(&found.code, &found.name_vi, &found.name_en),
            )
        })
        .collect();
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
        successor: organisation
            .successor_id
            .and_then(|id| successors.get(&id).cloned()),
        pilot: organisation.pilot,
    });
    Ok(out.collect())
}

pub async fn list_organisations(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["active_on", "kind", "q", "limit", "cursor"]);
    let is_kind = |text: &str| directory::KINDS.contains(&text).then(|| text.to_owned());
    let filter = OrganisationFilter {
        active_on: params.date("active_on"),
        kind: params.parsed("kind", "ministry, agency, province or other", is_kind),
        q: params.words("q", 100),
    };
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let work = move |conn: &mut Db| {
        let page = directory::list_organisations(conn, &filter, cursor.as_deref(), limit)?;
        Ok(Page {
            items: show(conn, page.items)?,
            next_cursor: page.next_cursor,
        })
    };
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page)
}

pub async fn show_organisation(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let work = move |conn: &mut Db| {
        let organisation = directory::get_organisation(conn, &id)?;
        show(conn, vec![organisation])
    };
    let mut found = call.app.store.read(work).await?;
    Ok(HttpResponse::Ok().json(found.pop()))
}
