//! `/reports`.
use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};

use super::extract::Call;
use super::params::{DateOrInstant, Params};
use crate::calendars;
use crate::error::{FieldCode, Result};
use crate::reports::{self, GroupBy, SlaQuestion};
use crate::store::Db;
use crate::tx::Desk;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Csv,
}

/// A report as it was asked for, its bounds as they were written.
struct Asked {
    from: Option<DateOrInstant>,
    to: Option<DateOrInstant>,
    as_of: Option<DateTime<Utc>>,
    group_by: GroupBy,
    format: Format,
}

impl Asked {
    fn read(request: &HttpRequest) -> Result<Asked> {
        let mut params = Params::read(request, &["from", "to", "group_by", "as_of", "format"]);
        let expected = "organisation, queue, topic or month";
        let format = params.parsed("format", "json or csv", parse_format);
        let asked = Asked {
            from: params.date_or_instant("from"),
            to: params.date_or_instant("to"),
            as_of: params.instant("as_of"),
            group_by: params
                .parsed("group_by", expected, GroupBy::parse)
                .unwrap_or(GroupBy::Queue),
            format: format.unwrap_or_else(|| accepted_format(request)),
        };
        for (name, moment) in [("from", &asked.from), ("to", &asked.to)] {
            if moment.is_none() && !params.refused(name) {
                params.refuse(name, FieldCode::Required);
            }
        }
        params.finish()?;
        Ok(asked)
    }

    fn question(self, conn: &mut Db, desk: &Desk, now: DateTime<Utc>) -> Result<SlaQuestion> {
        let mut start = |moment: Option<DateOrInstant>| match moment {
            Some(moment) => resolve(moment, conn, desk),
            None => Ok(now),
        };
        let (from, to) = (start(self.from)?, start(self.to)?);
        SlaQuestion::put_at(now, from, to, self.as_of, self.group_by)
    }
}

pub async fn report_sla(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let asked = Asked::read(&request)?;
    let (desk, now, format) = (call.app.desk.clone(), call.now, asked.format);
    let work = move |conn: &mut Db| {
        let question = asked.question(conn, &desk, now)?;
        reports::sla_report(conn, &desk, &question)
    };
    let report = call.app.store.read_snapshot(work).await?;
    match format {
        Format::Json => Ok(HttpResponse::Ok().json(report)),
        Format::Csv => Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"sla.csv\""))
            .body(report.to_csv()?)),
    }
}

fn parse_format(text: &str) -> Option<Format> {
    match text {
        "json" => Some(Format::Json),
        "csv" => Some(Format::Csv),
        _ => None,
    }
}

fn accepted_format(request: &HttpRequest) -> Format {
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_csv = |range: &str| range.trim().split(';').next() == Some("text/csv");
    if accept.split(',').any(is_csv) {
        Format::Csv
    } else {
        Format::Json
    }
}

/// A date begins at midnight in the default calendar's zone.
fn resolve(moment: DateOrInstant, conn: &mut Db, desk: &Desk) -> Result<DateTime<Utc>> {
    match moment {
        DateOrInstant::Instant(at) => Ok(at),
        DateOrInstant::Date(date) => calendars::midnight(conn, &desk.rules, date),
    }
}
