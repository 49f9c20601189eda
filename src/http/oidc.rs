//! Login by the OpenID provider: out to it, and back.
use actix_web::http::header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY, SET_COOKIE, USER_AGENT};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::context::RequestContext;
use super::params::Params;
use crate::app::App;
use crate::error::{Error, FieldCode, Resource, Result, SignOnRefusal};
use crate::identity::Role;
use crate::identity::oidc::login::{self, WayBack};
use crate::identity::oidc::{self, Provider};
use crate::identity::sessions::open_session;
use crate::store::{Db, Uid};

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

pub async fn finish_oidc_login(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse> {
    let provider = provider_of(&app)?;
    let (back, now) = (way_back(&request)?, app.clock.now());
    let taken = back.clone();
    let begun = app
        .store
        .write(move |conn| login::take(conn, &taken, now))
        .await?;
    let begun = begun.ok_or_else(|| oidc::refused_unseen(SignOnRefusal::UnknownLogin))?;
    let identity = provider
        .identify(&begun, &back, now)
        .await?
        .map_err(oidc::refused_unseen)?;
    let (from, program) = caller(&request);
    let (create_users, life) = (provider.settings.create_users, app.config.sign_in.session_life());
    let work = move |conn: &mut Db| match oidc::admit(conn, &identity, create_users, now)? {
        Ok(user) => {
            let session = open_session(conn, user.id, &from, program.as_deref(), now, life)?;
            Ok(Ok((user, session)))
        }
        Err(refusal) => Ok(Err(refusal)),
    };
    let (user, session) = app.store.write(work).await?.map_err(Error::SignOn)?;
    oidc::login_succeeded(&user, session.id);
    let person = Person {
        id: user.uid,
        name: user.name,
        email: user.email,
        role: user.role,
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((SET_COOKIE, binding(&app, "", 0)))
        .json(SignedOn {
            token: session.secret.reveal().to_owned(),
            expires_at: session.expires_at,
            user: person,
            return_to: begun.return_to,
        }))
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

/// Address and program, as the list of sessions shows them.
fn caller(request: &HttpRequest) -> (String, Option<String>) {
    let extensions = request.extensions();
    let address = extensions
        .get::<RequestContext>()
        .map(|context| context.address.to_string());
    let program = request
        .headers()
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok());
    (address.unwrap_or_default(), program.map(str::to_owned))
}
