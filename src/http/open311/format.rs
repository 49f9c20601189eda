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
        let (status, mut texts) = problem::describe(error, language);
        if matches!(error, Error::Unauthenticated) {
            let wanted = language.choose(
                "Cần `api_key` là một khóa còn hiệu lực.",
                "Send a valid key as `api_key`.",
            );
            texts = vec![wanted.to_owned()];
        }
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
        if let Some(seconds) = problem::retry_after(error) {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
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

/// Characters that XML 1.0 does not know (section 2.2) make all of a document unreadable, and no reference may stand for
/// them. None comes in any more; what came in before shows as a replacement character.
fn document(root: &str) -> String {
    let is_unknown = |letter: char| matches!(letter, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
    let root = root.replace(is_unknown, "\u{FFFD}");
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
    fn what_xml_does_not_know_is_replaced() {
        let name: String = ('\0'..='\u{FFFF}').collect();
        let things = [Thing { name, note: None }];
        let names = Names {
            list: "things",
            item: "thing",
        };
        let xml = Format::Xml.list(names, &things).unwrap();
        // As the grammar has it: Char in section 2.2 of XML 1.0.
        let is_char = |letter: char| matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
        assert!(xml.chars().all(is_char));
        let mut reader = quick_xml::Reader::from_str(&xml);
        let mut read = String::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Text(text) => read.push_str(&text.decode().unwrap()),
                _ => {}
            }
        }
        assert!(read.contains("ABC") && read.contains("đ") && read.ends_with("\u{FFFD}\u{FFFD}\u{FFFD}"));
    }

    #[test]
    fn whoever_may_try_again_is_told_when() {
        for (error, seconds) in [
            (Error::InProgress, Some("1")),
            (
                Error::TooManyRequests {
                    retry_after_seconds: 7,
                },
                Some("7"),
            ),
            (Error::unavailable("the database", "away"), Some("2")),
            (Error::Forbidden, None),
        ] {
            let response = Format::Xml.refuse(&error, Language::En);
            let told = response
                .headers()
                .get(RETRY_AFTER)
                .map(|value| value.to_str().unwrap());
            assert_eq!(told, seconds, "{error:?}");
        }
    }

    #[test]
    fn another_ending_is_another_page() {
        assert!(matches!(
            Format::parse("yaml"),
            Err(Error::NotFound(Resource::Page))
        ));
    }
}
