//! XML or JSON, as the path's ending says (GeoReport v2, "Format Support").
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use serde::Serialize;

use crate::error::{Error, Resource, Result};
use crate::http::problem;
use crate::language::Language;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Xml,
}

/// A list of things: an array in JSON, in XML elements `item` within `list`.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub list: &'static str,
    pub item: &'static str,
}

impl Format {
    pub fn parse(ending: &str) -> Result<Format> {
        match ending {
            "json" => Ok(Format::Json),
            "xml" => Ok(Format::Xml),
            _ => Err(Error::NotFound(Resource::Page)),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json; charset=utf-8",
            Format::Xml => "text/xml; charset=utf-8",
        }
    }

    pub fn list<T: Serialize>(self, names: Names, items: &[T]) -> Result<String> {
        match self {
            Format::Json => json(items),
            Format::Xml => {
                let elements: Vec<String> = items
                    .iter()
                    .map(|item| element(names.item, item))
                    .collect::<Result<_>>()?;
                Ok(document(&format!(
                    "<{0}>{1}</{0}>",
                    names.list,
                    elements.concat()
                )))
            }
        }
    }

    pub fn one<T: Serialize>(self, name: &str, value: &T) -> Result<String> {
        match self {
            Format::Json => json(value),
            Format::Xml => Ok(document(&element(name, value)?)),
        }
    }

    /// An answer with this text, which is already in this form.
    pub fn answer(self, status: StatusCode, text: String) -> HttpResponse {
        HttpResponse::build(status)
            .content_type(self.media_type())
            .body(text)
    }

    pub fn ok(self, text: String) -> HttpResponse {
        self.answer(StatusCode::OK, text)
    }

    /// An error in the form of GeoReport v2. A key that is missing, wrong or may not do this is 403 there.
    pub fn refuse(self, error: &Error, language: Language) -> HttpResponse {
        let (status, texts) = problem::describe(error, language);
        let status = match status {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        let errors: Vec<Refusal> = texts
            .into_iter()
            .map(|description| Refusal {
                code: status.as_u16(),
                description,
            })
            .collect();
        let text = self.list(ERRORS, &errors).unwrap_or_default();
        let mut response = self.answer(status, text);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = actix_web::http::header::HeaderValue::from_static("2");
            response.headers_mut().insert(RETRY_AFTER, soon);
        }
        response
    }
}

const ERRORS: Names = Names {
    list: "errors",
    item: "error",
};

#[derive(Serialize)]
struct Refusal {
    code: u16,
    description: String,
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal("an answer cannot be written", cause))
}

fn element<T: Serialize>(name: &str, value: &T) -> Result<String> {
    quick_xml::se::to_string_with_root(name, value)
        .map_err(|cause| Error::internal("an answer cannot be written as XML", cause))
}

fn document(root: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{root}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Thing {
        name: String,
        note: Option<String>,
    }

    #[test]
    fn text_cannot_break_out_of_its_element() {
        let things = [Thing {
            name: "</thing><thing>&\"".into(),
            note: None,
        }];
        let names = Names {
            list: "things",
            item: "thing",
        };
        let xml = Format::Xml.list(names, &things).unwrap();
        assert_eq!(
            xml,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<things><thing>\
             <name>&lt;/thing&gt;&lt;thing&gt;&amp;\"</name><note/></thing></things>"
        );
        assert_eq!(
            Format::Json.list(names, &things).unwrap(),
            r#"[{"name":"</thing><thing>&\"","note":null}]"#
        );
    }

    #[test]
    fn another_ending_is_another_page() {
        assert!(matches!(
            Format::parse("yaml"),
            Err(Error::NotFound(Resource::Page))
        ));
    }
}
