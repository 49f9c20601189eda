//! Who calls: GeoReport v2 sends the key as the parameter `api_key`, in the query or among the fields of a form. The
//! `Authorization` header is taken too, and comes first.
use std::sync::Arc;

use actix_web::http::header::{CONTENT_LANGUAGE, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use chrono::{DateTime, Utc};

use super::form::Fields;
use super::format::Format;
use crate::app::App;
use crate::error::{Error, FieldCode, Resource, Result};
use crate::http::context::RequestContext;
use crate::http::guard;
use crate::identity::Principal;
use crate::identity::access::{self, Action};
use crate::language::Language;
use crate::text::breaks_a_line;

/// What every request of the façade says.
pub struct Caller {
    pub app: Data<App>,
    pub now: DateTime<Utc>,
    pub language: Language,
    request: HttpRequest,
    query: Fields,
}

impl Caller {
    fn new(app: Data<App>, request: &HttpRequest) -> Caller {
        let context = request.extensions().get::<RequestContext>().cloned();
        Caller {
            now: app.clock.now(),
            language: context.map(|context| context.language).unwrap_or_default(),
            query: Fields::read(request.query_string().as_bytes()),
            request: request.clone(),
            app,
        }
    }

    /// A parameter of the query; empty is absent.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.find(name)
    }

    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    pub fn path(&self) -> &str {
        self.request.path()
    }

    /// The principal behind the key, if it may do this to anything at all.
    pub async fn admit(&self, form: Option<&Fields>, action: Action) -> Result<Arc<Principal>> {
        let from_header = guard::bearer_in(self.headers());
        let in_form = form.and_then(|form| form.find("api_key"));
        let given = in_form.or_else(|| self.asked("api_key"));
        let key = from_header.or_else(|| given.map(str::to_owned));
        let principal = guard::recognise(&self.request, key).await?;
        access::permit(&principal, action)?;
        form.map_or(Ok(()), Fields::check)?;
        self.query.check()?;
        // Neither a number nor a code has any, and PostgreSQL takes no NUL.
        let is_odd = |(_, value): &&(String, String)| value.chars().any(breaks_a_line);
        if let Some((name, _)) = self.query.pairs().iter().find(is_odd) {
            return Err(Error::invalid_parameter(name, FieldCode::ControlCharacter));
        }
        Ok(principal)
    }
}

/// Answer a request in the form that its path ends with, errors too; where there is no such form, in JSON.
pub async fn respond(
    app: Data<App>,
    request: &HttpRequest,
    ending: &str,
    work: impl AsyncFnOnce(&Caller, Format) -> Result<HttpResponse>,
) -> HttpResponse {
    let caller = Caller::new(app, request);
    let (format, answer) = match Format::parse(ending) {
        Ok(format) if guard::names_nul(request) => (format, Err(Error::NotFound(Resource::Page))),
        Ok(format) => (format, work(&caller, format).await),
        Err(error) => (Format::Json, Err(error)),
    };
    let mut response = answer.unwrap_or_else(|error| format.refuse(&error, caller.language));
    let language = HeaderValue::from_static(caller.language.as_str());
    response.headers_mut().insert(CONTENT_LANGUAGE, language);
    response
}
