//! Changing calendars: replace, change, and preview what a change would do.
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use validator::Validate;

use super::answer::write_once;
use super::calendars::{NameIn, calendar_answer};
use super::extract::{Body, Call};
use super::previews::{self, PageIn};
use super::wire::{self, Line, Prose};
use crate::calendars::apply::{Application, apply_change, expect_version, propose};
use crate::calendars::{self, CalendarChange};
use crate::error::Result;
use crate::sla::calendar::{ExceptionSpec, PatternSpec};
use crate::tickets::recount::Proposal;

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReplaceCalendar {
    #[serde(default, deserialize_with = "wire::optional_object")]
    #[validate(nested)]
    name: Option<NameIn>,
    #[validate(length(min = 1, max = 64))]
    time_zone: Line,
    #[validate(length(min = 1, max = 200))]
    patterns: Vec<PatternSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    exceptions: Vec<ExceptionSpec>,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeCalendar {
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<Line>,
    #[validate(length(min = 1, max = 200))]
    patterns: Option<Vec<PatternSpec>>,
    #[validate(length(max = 10_000))]
    exceptions: Option<Vec<ExceptionSpec>>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    set_exceptions: Vec<ExceptionSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    remove_exceptions: Vec<String>,
    #[validate(length(min = 1, max = 1000))]
    reason: Prose,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct PreviewCalendar {
    #[validate(length(min = 1, max = 64))]
    time_zone: Option<Line>,
    #[validate(length(min = 1, max = 200))]
    patterns: Option<Vec<PatternSpec>>,
    #[validate(length(max = 10_000))]
    exceptions: Option<Vec<ExceptionSpec>>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    set_exceptions: Vec<ExceptionSpec>,
    #[validate(length(max = 10_000))]
    #[serde(default)]
    remove_exceptions: Vec<String>,
    base_version: Option<i64>,
    #[validate(length(min = 1, max = 500))]
    cursor: Option<String>,
    #[validate(range(min = 1, max = 200))]
    limit: Option<i64>,
}

pub async fn replace_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<ReplaceCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let change = CalendarChange {
        time_zone: Some(given.time_zone.0),
        patterns: Some(given.patterns),
        exceptions: Some(given.exceptions),
        ..CalendarChange::default()
    };
    let name = given.name.map(Into::into);
    apply(call, id.into_inner(), &body.bytes, change, name, given.reason).await
}

pub async fn change_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<ChangeCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let change = CalendarChange {
        time_zone: given.time_zone.map(|zone| zone.0),
        patterns: given.patterns,
        exceptions: given.exceptions,
        set_exceptions: given.set_exceptions,
        remove_exceptions: given.remove_exceptions,
    };
    apply(call, id.into_inner(), &body.bytes, change, None, given.reason).await
}

async fn apply(
    call: Call,
    id: String,
    body: &[u8],
    mut change: CalendarChange,
    name: Option<calendars::Name>,
    reason: Prose,
) -> Result<HttpResponse> {
    let expected = call.required_versions()?;
    change.clean()?;
    let asked = Application {
        change,
        name,
        reason: reason.0,
        expected,
    };
    write_once(&call, body, move |tx| {
        calendar_answer(tx.now, apply_change(tx, &id, &asked)?)
    })
    .await
}

pub async fn preview_calendar(
    call: Call,
    id: web::Path<String>,
    body: Body<PreviewCalendar>,
) -> Result<HttpResponse> {
    let given = body.value;
    let expected = previews::expected_versions(&call, given.base_version)?;
    let mut change = CalendarChange {
        time_zone: given.time_zone.map(|zone| zone.0),
        patterns: given.patterns,
        exceptions: given.exceptions,
        set_exceptions: given.set_exceptions,
        remove_exceptions: given.remove_exceptions,
    };
    change.clean()?;
    let page = PageIn::new(given.cursor, given.limit);
    let now = call.now;
    previews::answer(call, &body.bytes, page, move |conn, desk| {
        let record = calendars::get_calendar(conn, &id)?;
        expect_version(&record, expected.as_deref())?;
        let proposal = Proposal::Calendar {
            in_force: desk.rules.calendar(conn, record.version_id)?,
            proposed: propose(conn, desk, &record, &change, now)?,
        };
        let question = previews::question(&(&record.uid, record.version, &change))?;
        Ok((record.version, question, proposal))
    })
    .await
}
