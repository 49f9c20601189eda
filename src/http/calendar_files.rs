//! Calendars as files: `calendar.ics` to subscribe to, and what a file of holidays would change.
use actix_web::http::header::{CONTENT_DISPOSITION, ETAG, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::answer::{self, compute_once};
use super::context::language_of;
use super::extract::{Call, Upload, if_none_match};
use super::params::Params;
use crate::app::App;
use crate::calendars::import::{self, Format, ImportPlan, Years};
use crate::calendars::{self, versions};
use crate::error::{Error, FieldCode, Resource, Result};
use crate::idempotency::Answer;
use crate::language::Language;
use crate::store::Db;

/// The file with its tag, or that the caller has it.
enum Export {
    File { tag: String, file: String },
    Unchanged(Answer),
}

/// Without a login: calendar programs subscribe by a plain address, and public holidays are no secret.
pub async fn export_calendar(
    app: web::Data<App>,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    // Nothing else names a calendar, and PostgreSQL takes no NUL in a text.
    if !calendars::is_code(&id) && uuid::Uuid::parse_str(&id).is_err() {
        return Err(Error::NotFound(Resource::Calendar));
    }
    let mut params = Params::read(&request, &["language"]);
    let language = params.parsed("language", "vi or en", Language::parse);
    params.finish()?;
    let language = language.unwrap_or_else(|| language_of(&request));
    let known = if_none_match(request.headers());
    let work = move |conn: &mut Db| export(conn, &id, language, known.as_deref());
    let mut response = app.store.read_snapshot(work).await?.response()?;
    let varies = HeaderValue::from_static("Accept-Language");
    response.headers_mut().insert(VARY, varies);
    Ok(response)
}

fn export(conn: &mut Db, id: &str, language: Language, known: Option<&str>) -> Result<Export> {
    let record = calendars::get_calendar(conn, id)?;
    let tag = format!("\"{}.{language}\"", record.version);
    Ok(match answer::unchanged(&tag, known) {
        Some(unchanged) => Export::Unchanged(unchanged),
        None => Export::File {
            tag,
            file: versions::export_ical(conn, &record, language)?,
        },
    })
}

impl Export {
    fn response(self) -> Result<HttpResponse> {
        match self {
            Export::Unchanged(unchanged) => answer::send(unchanged),
            Export::File { tag, file } => Ok(HttpResponse::Ok()
                .content_type("text/calendar; charset=utf-8")
                .insert_header((ETAG, tag))
                .insert_header((CONTENT_DISPOSITION, "inline; filename=\"calendar.ics\""))
                .body(file)),
        }
    }
}

#[derive(Serialize)]
struct ImportOut {
    base_version: i64,
    #[serde(flatten)]
    plan: ImportPlan,
}

pub async fn import_calendar(
    call: Call,
    id: web::Path<String>,
    request: HttpRequest,
    upload: Upload,
) -> Result<HttpResponse> {
    let format = format_of(&upload)?;
    let (years, replace) = import_parameters(&request, call.app.desk.year_of(call.now))?;
    let bytes = upload.bytes.clone();
    compute_once(&call, &upload.bytes, move |conn, _| {
        let record = calendars::get_calendar(conn, &id)?;
        let present = versions::definition_of(&record)?;
        let plan =
            import::plan_import(&present, &bytes, format, &years, replace).map_err(import::line_errors)?;
        Ok(ImportOut {
            base_version: record.version,
            plan,
        })
    })
    .await
}

fn format_of(upload: &Upload) -> Result<Format> {
    match upload.media_type.as_deref() {
        Some("text/calendar") => Ok(Format::ICalendar),
        Some("text/csv") => Ok(Format::Csv),
        _ => {
            let expected = "text/calendar or text/csv";
            Err(Error::UnsupportedMediaType { expected })
        }
    }
}

/// Recurrences are written out for this year and the next one unless the caller says for which.
fn import_parameters(request: &HttpRequest, this_year: i32) -> Result<(Years, bool)> {
    let mut params = Params::read(request, &["from", "to", "replace"]);
    let expected = "a year from 1900 to 2199";
    let year = |text: &str| {
        let year = text.parse().ok().filter(|year| (1900..=2199).contains(year));
        year.filter(|_| text.len() == 4)
    };
    let from = params.parsed("from", expected, year);
    let to = params.parsed("to", expected, year);
    // One of them alone is that year alone.
    let (first, last) = match (from, to) {
        (None, None) => (this_year, this_year + 1),
        (from, to) => (from.or(to).unwrap_or(this_year), to.or(from).unwrap_or(this_year)),
    };
    if last < first || last - first >= import::MAX_YEARS {
        let expected = format!("not before `from`, and at most {} years", import::MAX_YEARS);
        params.refuse("to", FieldCode::OutOfRange { expected });
    }
    let replace = params.flag("replace").unwrap_or(false);
    params.finish()?;
    Ok((first..=last, replace))
}
