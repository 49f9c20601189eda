//! `/reports`.
use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION};
use actix_web::{HttpRequest, HttpResponse};
use chrono::{DateTime, NaiveDate, Utc};

use super::extract::{Call, Params};
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

pub async fn report_sla(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["from", "to", "group_by", "as_of", "format"]);
    let (from, to) = (moment(&mut params, "from"), moment(&mut params, "to"));
    let as_of = params.instant("as_of");
    let expected = "organisation, queue, topic or month";
    let group_by = params
        .parsed("group_by", expected, GroupBy::parse)
        .unwrap_or(GroupBy::Queue);
    let asked = params.parsed("format", "json or csv", parse_format);
    let format = asked.unwrap_or_else(|| accepted_format(&request));
    for (name, moment) in [("from", &from), ("to", &to)] {
        if moment.is_none() && !params.refused(name) {
            params.refuse(name, FieldCode::Required);
        }
    }
    params.finish()?;
    let (desk, now) = (call.app.desk.clone(), call.now);
    let work = move |conn: &mut Db| {
        let mut start = |moment: Option<Moment>| match moment {
            Some(moment) => moment.resolve(conn, &desk),
            None => Ok(now),
        };
        let (from, to) = (start(from)?, start(to)?);
        let question = SlaQuestion::put_at(now, from, to, as_of, group_by)?;
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

/// A bound of a period: an instant, or a date that begins at midnight in the default calendar's zone.
enum Moment {
    At(DateTime<Utc>),
    Midnight(NaiveDate),
}

impl Moment {
    fn resolve(self, conn: &mut Db, desk: &Desk) -> Result<DateTime<Utc>> {
        match self {
            Moment::At(at) => Ok(at),
            Moment::Midnight(date) => calendars::midnight(conn, &desk.rules, date),
        }
    }
}

fn moment(params: &mut Params, name: &str) -> Option<Moment> {
    params.parsed(name, "YYYY-MM-DD, or RFC 3339 with offset", |text| {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .map(Moment::Midnight);
        date.or_else(|| {
            DateTime::parse_from_rfc3339(text)
                .ok()
                .map(|at| Moment::At(at.with_timezone(&Utc)))
        })
    })
}
