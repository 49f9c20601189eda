//! `/calendars`, with the two computations that are fixed by contract.
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use validator::Validate;

use super::answer::{self, compute_once, write_once};
use super::extract::{Body, Call};
use super::messages::page_parameters;
use super::wire::{self, Line, WireInstant};
use crate::calendars::{self, CalendarRecord, Name, NewCalendar};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::sla::calendar::{CalendarSpec, ExceptionSpec, PatternSpec};
use crate::store::{Db, Uid};
use crate::text::nfc;

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
struct CalendarOut {
    id: Uid,
    code: String,
    version: i64,
    name: Name,
    is_default: bool,
    #[serde(flatten)]
    definition: Value,
    created_at: WireInstant,
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
        }
    }
}

pub async fn list_calendars(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let (limit, cursor) = page_parameters(&request)?;
    let work = move |conn: &mut Db| calendars::list_calendars(conn, cursor.as_deref(), limit);
    let page = call.app.store.read(work).await?;
    wire::list(&call, request.query_string(), page.map(CalendarOut::from))
}

pub async fn show_calendar(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let record = call
        .app
        .store
        .read(move |conn| calendars::get_calendar(conn, &id))
        .await?;
    Ok(HttpResponse::Ok().json(CalendarOut::from(record)))
}

pub async fn create_calendar(call: Call, body: Body<CreateCalendar>) -> Result<HttpResponse> {
    let mut given = body.value;
    clean_texts(&mut given.exceptions)?;
    let name = match given.name {
        Some(name) => Name {
            vi: name.vi.0,
            en: name.en.0,
        },
        None => Name {
            vi: given.code.0.clone(),
            en: given.code.0.clone(),
        },
    };
    let spec = CalendarSpec {
        time_zone: given.time_zone.0,
        patterns: given.patterns,
        exceptions: given.exceptions,
    };
    let new = NewCalendar {
        code: given.code.0,
        name,
        spec,
        is_default: false,
    };
    write_once(&call, &body.bytes, move |tx| {
        let record = calendars::create_calendar(tx.conn, &new, tx.principal.name(), tx.now)?;
        let location = format!("/api/v1/calendars/{}", record.code);
        answer::json(
            201,
            vec![("location".into(), location)],
            &CalendarOut::from(record),
        )
    })
    .await
}

/// The free texts of exceptions: in NFC, on one line, no longer than the contract says.
fn clean_texts(exceptions: &mut [ExceptionSpec]) -> Result<()> {
    let mut errors = Vec::new();
    for (index, exception) in exceptions.iter_mut().enumerate() {
        let (vi, en) = match &mut exception.name {
            Some(name) => (name.vi.as_mut(), name.en.as_mut()),
            None => (None, None),
        };
        let texts = [
            ("name/vi", vi, 200),
            ("name/en", en, 200),
            ("legal_basis", exception.legal_basis.as_mut(), 500),
            ("source", exception.source.as_mut(), 500),
        ];
        for (member, text, max) in texts {
            let Some(text) = text else { continue };
            *text = nfc(text.trim());
            let is_longer = u64::try_from(text.chars().count()).is_ok_and(|length| length > max);
            let code = match text.chars().any(char::is_control) {
                true => FieldCode::ControlCharacter,
                false if is_longer => FieldCode::TooLong { max },
                false => continue,
            };
            errors.push(FieldError::pointer(format!("/exceptions/{index}/{member}"), code));
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid(errors)),
    }
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
