//! `/calendars`, with the two computations that are fixed by contract.
use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use validator::Validate;

use super::answer::{self, compute_once, etag, unless_known, write_once};
use super::aside;
use super::extract::{Body, Call};
use super::params::page_parameters;
use super::wire::{self, Line, WireInstant};
use crate::calendars::change::clean_texts;
use crate::calendars::{self, CalendarRecord, Name, NewCalendar};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::idempotency::Answer;
use crate::sla::calendar::{CalendarSpec, ExceptionSpec, PatternSpec};
use crate::store::{Db, Uid};

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateCalendar {
    #[validate(length(min = 1, max = 64))]
    code: Line,
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
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct NameIn {
    #[validate(length(min = 1, max = 200))]
    pub vi: Line,
    #[validate(length(min = 1, max = 200))]
    pub en: Line,
}

impl From<NameIn> for Name {
    fn from(name: NameIn) -> Self {
        Name {
            vi: name.vi.0,
            en: name.en.0,
        }
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct DueQuestion {
    from: WireInstant,
    #[validate(range(min = 0, max = 315_619_200))]
    business_seconds: i64,
    #[validate(length(max = 1000))]
    #[serde(default)]
    pauses: Vec<(WireInstant, WireInstant)>,
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ElapsedQuestion {
    from: WireInstant,
    to: WireInstant,
    #[validate(length(max = 1000))]
    #[serde(default)]
    pauses: Vec<(WireInstant, WireInstant)>,
}

#[derive(Serialize)]
struct DueAnswer {
    due_at: WireInstant,
    calendar_version: i64,
}

#[derive(Serialize)]
struct ElapsedAnswer {
    business_seconds: i64,
    calendar_version: i64,
}

/// The stored definition is in the contract's own shape; the record adds the rest.
#[derive(Serialize)]
pub(super) struct CalendarOut {
    id: Uid,
    code: String,
    version: i64,
    name: Name,
    is_default: bool,
    #[serde(flatten)]
    definition: Value,
    created_at: WireInstant,
    #[serde(skip_serializing_if = "Option::is_none")]
    undecided_years: Option<Vec<i32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfirmed_dates: Option<Vec<String>>,
}

impl CalendarOut {
    /// With the years ahead that nobody has decided yet.
    fn at(now: DateTime<Utc>, record: CalendarRecord) -> Result<CalendarOut> {
        let certainties = record.certainties(now)?;
        Ok(CalendarOut {
            undecided_years: Some(certainties.undecided_years),
            unconfirmed_dates: Some(certainties.unconfirmed),
            ..CalendarOut::from(record)
        })
    }
}

impl From<CalendarRecord> for CalendarOut {
    fn from(record: CalendarRecord) -> Self {
        CalendarOut {
            id: record.uid,
            code: record.code,
            version: record.version,
            name: Name {
                vi: record.name_vi,
                en: record.name_en,
            },
            is_default: record.is_default,
            definition: record.definition.0,
            created_at: record.created_at.into(),
            undecided_years: None,
            unconfirmed_dates: None,
        }
    }
}

pub async fn list_calendars(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| calendars::list_calendars(conn, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(
        &call,
        request.query_string(),
        page.try_map(|record| CalendarOut::at(call.now, record))?,
    )
}

pub async fn show_calendar(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let record = call
        .app
        .store
        .read(move |conn| calendars::get_calendar(conn, &id))
        .await?;
    let answer = calendar_answer(200, call.now, record)?;
    answer::send(unless_known(answer, call.if_none_match.as_deref()))
}

/// The calendar with its ETag; `Location` where it is new.
pub(super) fn calendar_answer(status: u16, now: DateTime<Utc>, record: CalendarRecord) -> Result<Answer> {
    let mut headers = vec![(ETAG.to_string(), etag(record.version))];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/calendars/{}", record.code)));
    }
    answer::json(status, headers, &CalendarOut::at(now, record)?)
}

impl CreateCalendar {
    fn into_new(mut self) -> Result<NewCalendar> {
        clean_texts(&mut self.exceptions, "/exceptions")?;
        let nameless = || Name {
            vi: self.code.0.clone(),
            en: self.code.0.clone(),
        };
        Ok(NewCalendar {
            name: self.name.map_or_else(nameless, Into::into),
            code: self.code.0,
            spec: CalendarSpec {
                time_zone: self.time_zone.0,
                patterns: self.patterns,
                exceptions: self.exceptions,
            },
            is_default: false,
        })
    }
}

pub async fn create_calendar(call: Call, body: Body<CreateCalendar>) -> Result<HttpResponse> {
    let given = body.value;
    let new = aside::read(body.bytes.len(), move || given.into_new()).await?;
    write_once(&call, &body.bytes, move |tx| {
        let record = calendars::create_calendar(tx.conn, &new, tx.principal.name(), tx.now)?;
        calendar_answer(201, tx.now, record)
    })
    .await
}

pub async fn compute_due(call: Call, id: web::Path<String>, body: Body<DueQuestion>) -> Result<HttpResponse> {
    let question = body.value;
    let pauses = checked_pauses(&question.pauses)?;
    compute_once(&call, &body.bytes, move |conn, desk| {
        let record = calendars::get_calendar(conn, &id)?;
        let timeline = desk.rules.timeline(conn, record.version_id)?;
        let due = timeline.due_with_pauses(question.from.0, question.business_seconds, &pauses);
        let too_far = || FieldCode::OutOfRange {
            expected: "a due within ten years of the start".into(),
        };
        let due_at = due
            .ok()
            .ok_or_else(|| Error::invalid_pointer("/business_seconds", too_far()))?;
        Ok(DueAnswer {
            due_at: WireInstant(due_at),
            calendar_version: record.version,
        })
    })
    .await
}

pub async fn compute_elapsed(
    call: Call,
    id: web::Path<String>,
    body: Body<ElapsedQuestion>,
) -> Result<HttpResponse> {
    let question = body.value;
    let pauses = checked_pauses(&question.pauses)?;
    compute_once(&call, &body.bytes, move |conn, desk| {
        let record = calendars::get_calendar(conn, &id)?;
        let timeline = desk.rules.timeline(conn, record.version_id)?;
        let business_seconds = timeline.elapsed_without(question.from.0, question.to.0, &pauses);
        Ok(ElapsedAnswer {
            business_seconds,
            calendar_version: record.version,
        })
    })
    .await
}

type Pause = (DateTime<Utc>, DateTime<Utc>);

/// A pause that ends before it begins is a mistake of the caller's, not a pause of no length.
fn checked_pauses(pauses: &[(WireInstant, WireInstant)]) -> Result<Vec<Pause>> {
    let backwards: Vec<FieldError> = pauses
        .iter()
        .enumerate()
        .filter(|(_, (from, to))| to.0 < from.0)
        .map(|(index, _)| {
            let expected = "an end that is not before the beginning".into();
            FieldError::pointer(format!("/pauses/{index}"), FieldCode::OutOfRange { expected })
        })
        .collect();
    if !backwards.is_empty() {
        return Err(Error::Invalid(backwards));
    }
    Ok(pauses.iter().map(|(from, to)| (from.0, to.0)).collect())
}
