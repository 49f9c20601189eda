//! `/auth` and what a person does to their own password and second factor.
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use validator::{Validate, ValidateLength};

use super::answer::{self, Revealing, no_store, reveal_once, write_once};
use super::context::RequestContext;
use super::extract::{Body, Call};
use super::wire::{Line, WireInstant};
use crate::app::App;
use crate::error::{Error, Result};
use crate::identity::passwords::{self, Password};
use crate::identity::sign_in::{self, LoggedIn, Login, Proof, Visitor};
use crate::identity::{Role, Staff, credentials};
use crate::store::{Db, Uid};

impl FromRequest for Visitor {
    type Error = Error;
    type Future = Ready<Result<Visitor>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user_agent = request.headers().get(USER_AGENT);
        let visitor = request
            .extensions()
            .get::<RequestContext>()
            .map(|context| Visitor {
                address: context.address,
                user_agent: user_agent
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned),
            });
        ready(visitor.ok_or_else(|| Error::internal("a request without its context", request.path())))
    }
}

/// A password as it was typed: neither trimmed nor refused for what is in it.
#[derive(Debug)]
pub struct PasswordIn(pub Password);

impl<'de> Deserialize<'de> for PasswordIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| PasswordIn(Password::new(&text)))
    }
}

/// What a failed validation keeps of it: as many letters, none of them.
impl Serialize for PasswordIn {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&"*".repeat(self.0.chars()))
    }
}

impl ValidateLength<u64> for PasswordIn {
    fn length(&self) -> Option<u64> {
        u64::try_from(self.0.chars()).ok()
    }
}

impl Call {
    /// The person who calls; programs have no account.
    pub fn staff(&self) -> Result<&Staff> {
        self.principal.staff().ok_or(Error::Forbidden)
    }

    /// What of a request with a password is compared with its repetition. The fingerprint of a request is stored, and
    /// must not be the quick hash of a password: in its place stands one that is as slow as the stored one.
    pub async fn fingerprint(&self, rest: &Value, password: Option<&Password>) -> Result<Vec<u8>> {
        let salt = match &self.idempotency_key {
            Some(key) => format!("{:?} {key}", self.principal.owner()),
            None => return Ok(Vec::new()),
        };
        let password = match password {
            Some(password) => Some(passwords::fingerprint(password, &salt).await?),
            None => None,
        };
        Ok(json!([rest, password]).to_string().into_bytes())
    }
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct LoginIn {
    #[validate(length(min = 1, max = 254))]
    email: Line,
    #[validate(length(min = 1, max = 256))]
    password: PasswordIn,
    #[validate(length(min = 1, max = 64))]
    code: Option<Line>,
}

#[derive(Serialize)]
struct LoggedInOut {
    token: String,
    expires_at: WireInstant,
    second_factor_required: bool,
    user: PersonOut,
}

#[derive(Serialize)]
struct PersonOut {
    id: Uid,
    name: String,
    email: String,
    role: Role,
}

impl From<LoggedIn> for LoggedInOut {
    fn from(entered: LoggedIn) -> Self {
        LoggedInOut {
            token: entered.session.secret.reveal().to_owned(),
            expires_at: WireInstant(entered.session.expires_at),
            second_factor_required: entered.second_factor_required,
            user: PersonOut {
                id: entered.person.uid,
                name: entered.person.name,
                email: entered.person.email,
                role: entered.person.role,
            },
        }
    }
}

pub async fn log_in(app: web::Data<App>, visitor: Visitor, body: Body<LoginIn>) -> Result<HttpResponse> {
    let login = Login {
        email: body.value.email.0,
        password: body.value.password.0,
        code: body.value.code.map(|code| code.0),
    };
    let now = app.clock.now();
    let entered = sign_in::log_in(&app.store, &app.config.sign_in, visitor, login, now).await?;
    Ok(no_store(HttpResponse::Ok().json(LoggedInOut::from(entered))))
}

pub async fn log_out(call: Call) -> Result<HttpResponse> {
    let (staff, now) = (call.staff()?.clone(), call.now);
    let work = move |conn: &mut Db| credentials::log_out(conn, &staff, now);
    call.app.store.write(work).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    #[validate(length(min = 1, max = 256))]
    current: PasswordIn,
    #[validate(length(max = 256))]
    new: PasswordIn,
}

pub async fn change_own_password(
    call: Call,
    visitor: Visitor,
    body: Body<ChangePassword>,
) -> Result<HttpResponse> {
    let given = body.value;
    sign_in::change_password(
        &call.app.store,
        &call.app.config.sign_in,
        (call.staff()?, visitor.address),
        (given.current.0, given.new.0),
        call.now,
    )
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct BeginTotp {
    #[validate(length(min = 1, max = 256))]
    password: PasswordIn,
}

#[derive(Serialize)]
struct EnrolmentOut {
    secret: Option<String>,
    otpauth_url: Option<String>,
}

pub async fn begin_totp(call: Call, visitor: Visitor, body: Body<BeginTotp>) -> Result<HttpResponse> {
    let password = body.value.password.0;
    let store = &call.app.store;
    let asked = ("/password", &password);
    let proof = sign_in::prove(store, call.staff()?, visitor.address, asked, call.now).await?;
    let outcome = enrol(&call, proof.clone(), &password).await;
    proof.settle(store, outcome).await
}

async fn enrol(call: &Call, proof: Proof, password: &Password) -> Result<HttpResponse> {
    let compared = call.fingerprint(&json!({}), Some(password)).await?;
    reveal_once(call, &compared, move |tx| {
        let begun = sign_in::begin(tx, &proof)?;
        let out = |secret, otpauth_url| answer::json(200, Vec::new(), &EnrolmentOut { secret, otpauth_url });
        Ok(Revealing {
            shown: out(Some(begun.secret), Some(begun.otpauth_url))?,
            kept: out(None, None)?,
        })
    })
    .await
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    #[validate(length(min = 6, max = 6))]
    code: Line,
}

#[derive(Serialize)]
struct RecoveryCodesOut {
    recovery_codes: Option<Vec<String>>,
}

pub async fn confirm_totp(call: Call, body: Body<ConfirmTotp>) -> Result<HttpResponse> {
    let code = body.value.code.0;
    reveal_once(&call, &body.bytes, move |tx| {
        let codes = sign_in::confirm(tx, &code)?;
        let out = |recovery_codes| answer::json(200, Vec::new(), &RecoveryCodesOut { recovery_codes });
        Ok(Revealing {
            shown: out(Some(codes))?,
            kept: out(None)?,
        })
    })
    .await
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct RemoveTotp {
    #[validate(length(min = 1, max = 256))]
    password: PasswordIn,
    #[validate(length(min = 1, max = 64))]
    code: Line,
}

pub async fn remove_totp(call: Call, visitor: Visitor, body: Body<RemoveTotp>) -> Result<HttpResponse> {
    let (password, code) = (body.value.password.0, body.value.code.0);
    let store = &call.app.store;
    let asked = ("/password", &password);
    let proof = sign_in::prove(store, call.staff()?, visitor.address, asked, call.now).await?;
    let outcome = leave_second_factor(&call, proof.clone(), &password, code).await;
    proof.settle(store, outcome).await
}

async fn leave_second_factor(
    call: &Call,
    proof: Proof,
    password: &Password,
    code: String,
) -> Result<HttpResponse> {
    let compared = call.fingerprint(&json!({ "code": code }), Some(password)).await?;
    let settings = call.app.config.sign_in.clone();
    write_once(call, &compared, move |tx| {
        sign_in::remove(tx, &settings, &proof, &code)?;
        Ok(answer::empty(204))
    })
    .await
}
