//! Login by the OpenID provider: out to it, and back.
use actix_web::http::header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE};
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::params::Params;
use crate::app::App;
use crate::error::{Error, FieldCode, Resource, Result};
use crate::identity::Role;
use crate::identity::oidc::login::{self, WayBack};
use crate::identity::oidc::{self, LoggedOn, Provider};
use crate::identity::sign_in::Visitor;
use crate::store::Uid;

/// Binds a login to the browser in which it began.
const BINDING: &str = "giaidap_oidc";
const BINDING_PATH: &str = "/api/v1/auth/oidc";

#[derive(Serialize)]
struct SignedOn {
    token: String,
    expires_at: DateTime<Utc>,
    user: Person,
    return_to: Option<String>,
}

#[derive(Serialize)]
struct Person {
    id: Uid,
    name: String,
    email: String,
    role: Role,
}

impl From<LoggedOn> for SignedOn {
    fn from(entered: LoggedOn) -> Self {
        SignedOn {
            token: entered.session.secret.reveal().to_owned(),
            expires_at: entered.session.expires_at,
            user: Person {
                id: entered.user.uid,
                name: entered.user.name,
                email: entered.user.email,
                role: entered.user.role,
            },
            return_to: entered.return_to,
        }
    }
}

pub async fn begin_oidc_login(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    let provider = provider_of(&app)?;
    let mut params = Params::read(&request, &["return_to"]);
    let expected = "a path of this server, e.g. /tickets";
    let is_local = |path: &str| login::is_local_path(path).then(|| path.to_owned());
    let return_to = params.parsed("return_to", expected, is_local);
    params.finish()?;
    let start = provider.start(return_to, app.clock.now()).await?;
    app.store
        .write(move |conn| login::keep(conn, &start.pending))
        .await?;
    Ok(HttpResponse::Found()
        .insert_header((LOCATION, start.location))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((
            SET_COOKIE,
            binding(&app, &start.binding, login::LIFE.num_seconds()),
        ))
        .finish())
}

pub async fn finish_oidc_login(
    app: web::Data<App>,
    request: HttpRequest,
    visitor: Visitor,
) -> Result<HttpResponse> {
    let provider = provider_of(&app)?;
    let (back, now, life) = (
        way_back(&request)?,
        app.clock.now(),
        app.config.sign_in.session_life(),
    );
    let entered = oidc::log_in(&app.store, provider, back, visitor, life, now).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((SET_COOKIE, binding(&app, "", 0)))
        .json(SignedOn::from(entered)))
}

/// Where none is configured, there is nothing here.
fn provider_of(app: &App) -> Result<&Provider> {
    app.oidc.as_ref().ok_or(Error::NotFound(Resource::Page))
}

/// `Lax`: the way back from the provider is a navigation from another site, which `Strict` would leave out.
fn binding(app: &App, value: &str, seconds: i64) -> String {
    let secure = match app.config.public_url.starts_with("https://") {
        true => "; Secure",
        false => "",
    };
    format!("{BINDING}={value}; Path={BINDING_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The value of the cookie (RFC 6265, section 5.4).
fn presented_binding(request: &HttpRequest) -> Option<String> {
    let headers = request.headers().get_all(COOKIE);
    let mut pairs = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| match pair.trim().split_once('=') {
        Some((BINDING, value)) => Some(value.to_owned()),
        _ => None,
    })
}

/// Providers add parameters of their own (OpenID Connect Core 3.1.2.7 wants them ignored); ours stand once.
fn way_back(request: &HttpRequest) -> Result<WayBack> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    let pairs = pairs.map(web::Query::into_inner).unwrap_or_default();
    let one = |name: &str| {
        let mut values = pairs.iter().filter(|(given, _)| given == name);
        let first = values.next().map(|(_, value)| value.clone());
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Error::invalid_parameter(name, FieldCode::Duplicate)),
        }
    };
    Ok(WayBack {
        state: one("state")?,
        code: one("code")?,
        error: one("error")?,
        issuer: one("iss")?,
        binding: presented_binding(request),
    })
}
