//! RFC 9457 problems, in the caller's language: `kinds` says status, type and title, `details` and `fields` the texts.
//!
//! `Error` answers with a draft that carries itself; `context` renders the draft, because only there the language and
//! the request id are known. So every failure leaves in the same form, the framework's own included.
mod details;
mod expectations;
mod fields;
mod kinds;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use details::detail;
use fields::code_of;
pub use fields::field_detail;
use kinds::kind_of;

use crate::error::{Error, FieldError, Place};
use crate::language::Language;

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<WireFieldError>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    possible_operations: Option<&'a [&'static str]>,
}

#[derive(Serialize)]
struct WireFieldError {
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    code: &'static str,
    detail: String,
}

/// The body of a problem.
pub fn render(error: &Error, language: Language, request_id: &str) -> String {
    let kind = kind_of(error);
    let problem = Problem {
        r#type: format!("urn:giaidap:problem:{}", kind.code),
        title: language.choose(kind.title_vi, kind.title_en),
        status: kind.status.as_u16(),
        detail: detail(error, language),
        request_id,
        errors: match error {
            Error::Invalid(fields) => Some(fields.iter().map(|field| wire_field(field, language)).collect()),
            _ => None,
        },
        possible_operations: match error {
            Error::WrongTransition { possible, .. } => Some(possible),
            _ => None,
        },
    };
    serde_json::to_string(&problem).unwrap_or_default()
}

/// The status, and what is wrong in words, one text for each field, for other forms than problem+json.
pub fn describe(error: &Error, language: Language) -> (StatusCode, Vec<String>) {
    let texts = match error {
        Error::Invalid(fields) => fields
            .iter()
            .map(|field| {
                let place = match &field.place {
                    Place::Pointer(name) | Place::Parameter(name) => name,
                };
                format!("{place}: {}", field_detail(&field.code, language))
            })
            .collect(),
        _ => vec![detail(error, language)],
    };
    (kind_of(error).status, texts)
}

/// In how many seconds the same request may do better, where it may.
pub fn retry_after(error: &Error) -> Option<u64> {
    match error {
        Error::TooManyAttempts { retry_after } => Some(*retry_after),
        Error::TooManyRequests { retry_after_seconds } => Some(*retry_after_seconds),
        Error::InProgress => Some(1),
        Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::TransactionLost { .. } => Some(2),
        _ => None,
    }
}

fn wire_field(field: &FieldError, language: Language) -> WireFieldError {
    let (pointer, parameter) = match &field.place {
        Place::Pointer(pointer) => (Some(pointer.clone()), None),
        Place::Parameter(name) => (None, Some(name.clone())),
    };
    WireFieldError {
        pointer,
        parameter,
        code: code_of(&field.code),
        detail: field_detail(&field.code, language),
    }
}

/// An error on its way out, until `context` renders it.
pub struct Draft(pub Error);

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        kind_of(self).status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        if let Some(seconds) = retry_after(self) {
            response.insert_header((RETRY_AFTER, seconds));
        }
        match self {
            _ if self.status_code() == StatusCode::UNAUTHORIZED => {
                response.insert_header((
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"giaidap\""),
                ));
            }
            Error::RangeNotSatisfiable { size } => {
                response.insert_header(("Content-Range", format!("bytes */{size}")));
            }
            Error::MethodNotAllowed { allowed } => {
                response.insert_header(("Allow", allowed.as_str()));
            }
            _ => {}
        }
        let mut response = response.finish();
        response.extensions_mut().insert(Draft(self.clone()));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendars::field_errors;
    use crate::sla::{CalendarSpec, PolicySpec};

    fn details(error: &Error, language: Language) -> Vec<(String, String)> {
        let problem: serde_json::Value = serde_json::from_str(&render(error, language, "x")).unwrap();
        let errors = problem["errors"].as_array().unwrap();
        let text = |error: &serde_json::Value, name: &str| error[name].as_str().unwrap().to_owned();
        errors
            .iter()
            .map(|error| (text(error, "code"), text(error, "detail")))
            .collect()
    }

    #[test]
    fn what_a_calendar_or_policy_breaks_is_said_in_both_languages() {
        let day = serde_json::json!({ "sat": [["x", "25:00"], ["08:00", "08:00"], ["08:00", "12:00"], ["11:00", "13:00"]] });
        let many = serde_json::json!({ "mon": vec![["08:00", "09:00"]; 200] });
        let pattern = |from: &str, weekly| serde_json::json!({ "valid_from": from, "weekly": weekly });
        let off = |date: &str| serde_json::json!({ "date": date, "intervals": [] });
        let calendars = [
            serde_json::json!({ "time_zone": "x", "patterns": [], "exceptions": [off("x"), off("2019-01-01"), off("2019-01-01")] }),
            serde_json::json!({ "time_zone": "UTC", "exceptions": [], "patterns": [
                pattern("2019-01-01", day), pattern("2019-01-01", many), pattern("2020-01-01", serde_json::json!({})),
            ] }),
        ];
        let again = serde_json::json!({ "target": "next_response", "on": "breach", "percent": 7 });
        let policy = serde_json::json!({
            "targets": { "resolution": { "low": { "business_minutes": 0 }, "high": { "business_days": 4_000_000 } } },
            "warn_at_percent": [0], "close_after_business_days": 0, "reopen": "continue", "precedence": 1,
            "pauses": { "queued": ["resolution"], "assigned": ["resolution"], "waiting": ["resolution"] },
            "conditions": { "topic": [], "queue": vec!["x"; 201], "tag": ["x", "x", ""] },
            "escalations": [again, again, { "target": "resolution", "on": "warning", "percent": 8 }],
            "status_update": { "every": { "business_minutes": 1 } },
        });
        let silent = serde_json::json!({
            "targets": {}, "warn_at_percent": [], "close_after_business_days": 1, "pauses": {}, "reopen": "continue",
            "precedence": 1, "escalations": [{ "target": "resolution", "on": "warning" }],
        });
        let mut broken: Vec<_> = calendars
            .into_iter()
            .filter_map(|spec| {
                serde_json::from_value::<CalendarSpec>(spec)
                    .unwrap()
                    .check()
                    .err()
            })
            .collect();
        for policy in [policy, silent] {
            let spec: PolicySpec = serde_json::from_value(policy).unwrap();
            broken.extend(spec.check().err());
        }
        let mut codes = std::collections::BTreeSet::new();
        for problems in broken {
            let error = field_errors(problems);
            let (vi, en) = (details(&error, Language::Vi), details(&error, Language::En));
            for ((code, vi), (_, en)) in vi.into_iter().zip(en) {
                assert!(vi != en && !vi.is_ascii(), "{code}: {vi}");
                codes.insert(code);
            }
        }
        assert_eq!(codes.len(), 27, "{codes:?}");
    }
}
