//! `POST /organisations/{id}/succession`.
use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::agreements::WireDate;
use super::answer::{self, etag_of, write_once};
use super::directory::{OrganisationOut, reference, show};
use super::extract::{Body, Call};
use super::wire::{Line, WireInstant};
use crate::calendars::Name;
use crate::directory::succession::{self, Succeeded, Succession};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SucceedOrganisation {
    #[validate(length(min = 1, max = 100))]
    successor: Line,
    last_day: WireDate,
    #[serde(default)]
    preview: bool,
}

#[derive(Serialize)]
struct SuccessionOut {
    preview: bool,
    organisation: Option<OrganisationOut>,
    passes_on: NaiveDate,
    tickets: TicketsOut,
    predecessors: Vec<Reference>,
    programs: Vec<ProgramOut>,
    agreements: Vec<AgreementOut>,
}

#[derive(Serialize)]
struct TicketsOut {
    open: i64,
    total: i64,
}

#[derive(Serialize)]
struct ProgramOut {
    id: Uid,
    name: String,
    keys: usize,
    last_used_at: Option<WireInstant>,
}

#[derive(Serialize)]
struct AgreementOut {
    id: Uid,
    name: Name,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
}

fn succession_answer(conn: &mut Db, done: Succeeded, preview: bool) -> Result<Answer> {
    let programs = done.programs.into_iter().map(|running| ProgramOut {
        id: running.program.uid,
        name: running.program.name,
        keys: running.keys,
        last_used_at: running.last_used_at.map(Into::into),
    });
    let agreements = done.agreements.into_iter().map(|agreement| AgreementOut {
        id: agreement.uid,
        name: Name {
            vi: agreement.name_vi,
            en: agreement.name_en,
        },
        valid_from: agreement.valid_from,
        valid_to: agreement.valid_to,
    });
    let version = done.organisation.version + i64::from(!preview);
    let out = SuccessionOut {
        preview,
        passes_on: done.passes_on,
        tickets: TicketsOut {
            open: done.open_tickets,
            total: done.tickets,
        },
        predecessors: done.predecessors.iter().map(reference).collect(),
        programs: programs.collect(),
        agreements: agreements.collect(),
        organisation: show(conn, vec![done.organisation])?.pop(),
    };
    let tag = etag_of(version, &out.organisation)?;
    answer::json(200, vec![(ETAG.to_string(), tag)], &out)
}

pub async fn succeed_organisation(
    call: Call,
    id: web::Path<String>,
    body: Body<SucceedOrganisation>,
) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    let asked = Succession {
        successor: body.value.successor.0,
        last_day: body.value.last_day.0,
        is_preview: body.value.preview,
    };
    write_once(&call, &body.bytes, move |tx| {
        let done = succession::succeed(tx, &id, &asked, &seen)?;
        succession_answer(tx.conn, done, asked.is_preview)
    })
    .await
}
