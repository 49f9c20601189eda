//! What a bulk request answers: one result for each item, with the answer or the problem of its own route.
use actix_web::http::StatusCode;
use actix_web::{HttpMessage, HttpRequest, ResponseError};
use serde::Serialize;
use serde_json::value::RawValue;

use super::is_ours;
use crate::error::{Error, FieldError, Place, Result};
use crate::http::answer;
use crate::http::aside;
use crate::http::context::RequestContext;
use crate::http::extract::Call;
use crate::http::problem;
use crate::idempotency::Answer;
use crate::language::Language;

#[derive(Serialize)]
struct BulkOut {
    results: Vec<ResultOut>,
    succeeded: usize,
    failed: usize,
}

#[derive(Serialize)]
struct ResultOut {
    index: usize,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<RawValue>>,
}

/// Whom results are told, and in which language.
#[derive(Clone)]
pub struct Telling {
    language: Language,
    request_id: String,
}

impl Telling {
    pub fn of(call: &Call, request: &HttpRequest) -> Telling {
        let extensions = request.extensions();
        let context = extensions.get::<RequestContext>();
        Telling {
            language: call.language,
            request_id: context
                .map(|context| context.request_id.clone())
                .unwrap_or_default(),
        }
    }

    pub fn answer(&self, results: Vec<Result<Answer>>) -> Result<Answer> {
        let failed = results.iter().filter(|result| result.is_err()).count();
        let succeeded = results.len() - failed;
        let results = results
            .into_iter()
            .enumerate()
            .map(|(index, result)| match result {
                Ok(answer) => done(index, answer),
                Err(error) => self.refused(index, error),
            })
            .collect::<Result<Vec<_>>>()?;
        let out = BulkOut {
            results,
            succeeded,
            failed,
        };
        answer::json(StatusCode::OK.as_u16(), Vec::new(), &out)
    }

    /// The same for who serves connections meanwhile.
    pub async fn answer_aside(&self, results: Vec<Result<Answer>>) -> Result<Answer> {
        let telling = self.clone();
        aside::run(move || telling.answer(results)).await
    }

    /// One failed, and so none was carried out.
    pub async fn undone(&self, count: usize, index: usize, error: Error) -> Result<Answer> {
        let mut results: Vec<Result<Answer>> = (0..count).map(|_| Err(Error::RolledBack)).collect();
        if let Some(result) = results.get_mut(index) {
            *result = Err(error);
        }
        self.answer_aside(results).await
    }

    fn refused(&self, index: usize, error: Error) -> Result<ResultOut> {
        if is_ours(&error) {
            tracing::error!(error = %error.log_text(), index, "an item of a bulk request failed");
        }
        let error = placed(error, index);
        let problem = problem::render(&error, self.language, &self.request_id);
        Ok(ResultOut {
            index,
            status: error.status_code().as_u16(),
            etag: None,
            replayed: false,
            body: None,
            problem: Some(raw(problem)?),
        })
    }
}

fn done(index: usize, answer: Answer) -> Result<ResultOut> {
    let etag = answer.headers.iter().find(|(name, _)| name == "etag");
    Ok(ResultOut {
        index,
        status: answer.status,
        etag: etag.map(|(_, tag)| tag.clone()),
        replayed: answer.replayed,
        body: Some(raw(answer.body)?),
        problem: None,
    })
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|cause| Error::internal("an item's answer is no JSON", cause))
}

/// The fields of an item's error, where they stand in the whole request.
fn placed(error: Error, index: usize) -> Error {
    let Error::Invalid(fields) = error else {
        return error;
    };
    let placed = fields.into_iter().map(|field| {
        let pointer = match field.place {
            Place::Pointer(within) => format!("/items/{index}/body{within}"),
            Place::Parameter(name) => format!("/items/{index}/{name}"),
        };
        FieldError::pointer(pointer, field.code)
    });
    Error::Invalid(placed.collect())
}
