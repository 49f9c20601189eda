//! `/agreements`.
use std::collections::HashMap;

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use validator::Validate;

use super::answer::{self, write_once};
use super::answer::{etag_of, unless_known};
use super::calendars::NameIn;
use super::extract::{Body, Call};
use super::params::Params;
use super::targets::TargetsIn;
use super::wire::{self, Line, Prose, WireInstant, YEARS};
use crate::agreements::change::{self, NewAgreement};
use crate::agreements::{self, Agreement, AgreementFilter};
use crate::calendars::Name;
use crate::directory::{self, Organisation};
use crate::error::{Error, FieldCode, Result};
use crate::idempotency::Answer;
use crate::identity::Principal;
use crate::identity::access::{Action, permit};
use crate::sla::calendar::read_date;
use crate::store::page::Page;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;

/// `YYYY-MM-DD`, in the years of calendars.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireDate(pub NaiveDate);

impl<'de> Deserialize<'de> for WireDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read_date(&text)
            .filter(|date| YEARS.contains(&date.year()))
            .map(WireDate)
            .ok_or_else(|| serde::de::Error::custom("expected YYYY-MM-DD in the years 1900 to 2199"))
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateAgreement {
    #[validate(length(min = 1, max = 100))]
    organisation: Line,
    #[serde(deserialize_with = "wire::object")]
    #[validate(nested)]
    name: NameIn,
    #[validate(length(min = 1, max = 500))]
    legal_basis: Option<Line>,
    targets: TargetsIn,
    valid_from: WireDate,
    valid_to: Option<WireDate>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct EndAgreement {
    valid_to: WireDate,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Serialize)]
struct AgreementOut {
    id: Uid,
    organisation: Reference,
    name: Name,
    legal_basis: Option<String>,
    targets: Value,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
    end_reason: Option<String>,
    /// Who made and who ended it; not told to the organisation.
    author: Option<String>,
    ended_by: Option<String>,
    version: i64,
    created_at: WireInstant,
    updated_at: WireInstant,
}

impl AgreementOut {
    fn new(agreement: Agreement, organisation: &Organisation, principal: &Principal) -> Self {
        let tells_who = permit(principal, Action::ReadRuleHistory).is_ok();
        AgreementOut {
            id: agreement.uid,
            organisation: Reference::new(&organisation.code, &organisation.name_vi, &organisation.name_en),
            name: Name {
                vi: agreement.name_vi,
                en: agreement.name_en,
            },
            legal_basis: agreement.legal_basis,
            targets: agreement.targets.0,
            valid_from: agreement.valid_from,
            valid_to: agreement.valid_to,
            end_reason: agreement.end_reason,
            author: Some(agreement.author).filter(|_| tells_who),
            ended_by: agreement.ended_by.filter(|_| tells_who),
            version: agreement.version,
            created_at: agreement.created_at.into(),
            updated_at: agreement.updated_at.into(),
        }
    }
}

fn organisation_of(conn: &mut Db, agreement: &Agreement) -> Result<Organisation> {
    let mut found = directory::list_by_id(conn, &[agreement.organisation_id])?;
    found
        .pop()
        .ok_or_else(|| Error::internal("an agreement of no organisation", agreement.uid))
}

fn agreement_answer(
    status: u16,
    agreement: Agreement,
    organisation: &Organisation,
    principal: &Principal,
) -> Result<Answer> {
    let (version, uid) = (agreement.version, agreement.uid);
    let out = AgreementOut::new(agreement, organisation, principal);
    let mut headers = vec![(ETAG.to_string(), etag_of(version, &out)?)];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/agreements/{uid}")));
    }
    answer::json(status, headers, &out)
}

pub async fn create_agreement(call: Call, body: Body<CreateAgreement>) -> Result<HttpResponse> {
    let given = body.value;
    let new = NewAgreement {
        organisation: given.organisation.0,
        name: Name {
            vi: given.name.vi.0,
            en: given.name.en.0,
        },
        legal_basis: given.legal_basis.map(|basis| basis.0),
        targets: given.targets.into(),
        valid_from: given.valid_from.0,
        valid_to: given.valid_to.map(|date| date.0),
    };
    write_once(&call, &body.bytes, move |tx| {
        let (agreement, organisation) = change::create(tx, &new)?;
        agreement_answer(201, agreement, &organisation, tx.principal)
    })
    .await
}

pub async fn end_agreement(
    call: Call,
    id: web::Path<String>,
    body: Body<EndAgreement>,
) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    let (last, reason) = (body.value.valid_to.0, body.value.reason.0);
    write_once(&call, &body.bytes, move |tx| {
        let agreement = change::end(tx, &id, last, &reason, &seen)?;
        let organisation = organisation_of(tx.conn, &agreement)?;
        agreement_answer(200, agreement, &organisation, tx.principal)
    })
    .await
}

pub async fn show_agreement(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let (principal, known) = (call.principal.clone(), call.if_none_match.clone());
    let work = move |conn: &mut Db| {
        let agreement = agreements::get(conn, &principal, &id)?;
        let organisation = organisation_of(conn, &agreement)?;
        let answer = agreement_answer(200, agreement, &organisation, &principal)?;
        Ok(unless_known(answer, known.as_deref()))
    };
    answer::send(call.app.store.read_snapshot(work).await?)
}

pub async fn list_agreements(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["organisation", "active_on", "limit", "cursor"]);
    let organisation = params.bounded("organisation", 100);
    let active_on = params.date("active_on");
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let principal = call.principal.clone();
    let work = move |conn: &mut Db| {
        let organisation_id = match organisation {
            Some(id) => Some(known_organisation(conn, &id)?.id),
            None => None,
        };
        let filter = AgreementFilter {
            organisation_id,
            active_on,
        };
        let page = agreements::list(conn, &principal, filter, cursor.as_deref(), limit)?;
        shown(conn, page, &principal)
    };
    let page = call.app.store.read_snapshot(work).await?;
    wire::list(&call, request.query_string(), page)
}

fn known_organisation(conn: &mut Db, id: &str) -> Result<Organisation> {
    directory::find_organisation(conn, id)?
        .ok_or_else(|| Error::invalid_parameter("organisation", FieldCode::UnknownCode))
}

fn shown(conn: &mut Db, page: Page<Agreement>, principal: &Principal) -> Result<Page<AgreementOut>> {
    let ids: Vec<i64> = page.items.iter().map(|item| item.organisation_id).collect();
    let organisations: HashMap<i64, Organisation> = directory::list_by_id(conn, &ids)?
        .into_iter()
        .map(|organisation| (organisation.id, organisation))
        .collect();
    let items = page.items.into_iter().filter_map(|agreement| {
        let organisation = organisations.get(&agreement.organisation_id)?;
        Some(AgreementOut::new(agreement, organisation, principal))
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: page.next_cursor,
    })
}
