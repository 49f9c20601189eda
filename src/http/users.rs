//! `/users`.
use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::answer::{self, etag, unless_known, write_once};
use super::extract::{Body, Call};
use super::params::Params;
use super::sign_in::PasswordIn;
use super::wire::{self, Line, WireInstant};
use crate::error::Result;
use crate::idempotency::Answer;
use crate::identity::access::{Action, permit};
use crate::identity::accounts::{self, Account, AccountChange, AccountFilter, AccountView};
use crate::identity::passwords::Whose;
use crate::identity::{NewUser, Principal, Role, sign_in};
use crate::language::Language;
use crate::store::{Db, Uid};
use crate::tickets::view::Reference;

#[derive(Serialize)]
struct UserOut {
    id: Uid,
    email: String,
    name: String,
    role: Role,
    language: Language,
    active: bool,
    queues: Vec<Reference>,
    /// How the person logs in, for who may know it.
    sign_in: Option<SignInOut>,
    created_at: WireInstant,
    updated_at: WireInstant,
    version: i64,
}

#[derive(Serialize)]
struct SignInOut {
    password: bool,
    second_factor: bool,
}

impl UserOut {
    fn new(view: AccountView, principal: &Principal) -> Self {
        let AccountView { account, queues } = view;
        let tells = permit(principal, Action::ReadSignIn).is_ok();
        UserOut {
            id: account.uid,
            email: account.email,
            name: account.name,
            role: account.role,
            language: account.language,
            active: account.active,
            queues: queues
                .iter()
                .map(|queue| Reference::new(&queue.code, &queue.name_vi, &queue.name_en))
                .collect(),
            sign_in: tells.then_some(SignInOut {
                password: account.has_password,
                second_factor: account.has_second_factor,
            }),
            created_at: account.created_at.into(),
            updated_at: account.updated_at.into(),
            version: account.version,
        }
    }
}

fn user_answer(conn: &mut Db, status: u16, account: Account, principal: &Principal) -> Result<Answer> {
    let mut headers = vec![(ETAG.to_string(), etag(account.version))];
    if status == 201 {
        headers.push(("location".into(), format!("/api/v1/users/{}", account.uid)));
    }
    let view = accounts::view(conn, account)?;
    answer::json(status, headers, &UserOut::new(view, principal))
}

pub async fn list_users(call: Call, request: HttpRequest) -> Result<HttpResponse> {
    let mut params = Params::read(&request, &["role", "active", "queue", "q", "limit", "cursor"]);
    let filter = AccountFilter {
        role: params.parsed("role", "admin, supervisor, agent or auditor", Role::parse),
        active: params.flag("active"),
        queue: params.bounded("queue", 100),
        q: params.words("q", 200),
    };
    let (limit, cursor) = (params.limit(), params.cursor());
    params.finish()?;
    let work = move |conn: &mut Db| accounts::list(conn, &filter, cursor.as_deref(), limit);
    let page = call.app.store.read_snapshot(work).await?;
    let page = page.map(|view| UserOut::new(view, &call.principal));
    wire::list(&call, request.query_string(), page)
}

pub async fn show_user(call: Call, id: web::Path<String>) -> Result<HttpResponse> {
    let (principal, known) = (call.principal.clone(), call.if_none_match.clone());
    let work = move |conn: &mut Db| {
        let account = accounts::get(conn, &id)?;
        let answer = user_answer(conn, 200, account, &principal)?;
        Ok(unless_known(answer, known.as_deref()))
    };
    answer::send(call.app.store.read_snapshot(work).await?)
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    #[validate(length(min = 1, max = 254))]
    email: Line,
    #[validate(length(min = 1, max = 200))]
    name: Line,
    role: Role,
    #[serde(default)]
    language: Language,
    #[validate(length(max = 100))]
    #[serde(default)]
    queues: Vec<Line>,
    #[validate(length(max = 256))]
    password: Option<PasswordIn>,
}

impl From<CreateUser> for NewUser {
    fn from(given: CreateUser) -> Self {
        NewUser {
            email: given.email.0,
            name: given.name.0,
            role: given.role,
            language: given.language,
            queues: given.queues.into_iter().map(|queue| queue.0).collect(),
        }
    }
}

pub async fn create_user(call: Call, mut body: Body<CreateUser>) -> Result<HttpResponse> {
    let password = body.value.password.take().map(|password| password.0);
    let new = NewUser::from(body.value);
    let rest = json!([new.email, new.name, new.role, new.language, new.queues]);
    let compared = call.fingerprint(&rest, password.as_ref()).await?;
    let hash = match &password {
        Some(password) => {
            let (settings, whose) = (
                &call.app.config.sign_in,
                Whose {
                    email: &new.email,
                    name: &new.name,
                },
            );
            Some(sign_in::accept(settings, "/password", password, whose).await?)
        }
        None => None,
    };
    write_once(&call, &compared, move |tx| {
        let account = accounts::create(tx, &new, hash.as_deref())?;
        user_answer(tx.conn, 201, account, tx.principal)
    })
    .await
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    #[validate(length(min = 1, max = 200))]
    name: Option<Line>,
    role: Option<Role>,
    language: Option<Language>,
    #[validate(length(max = 100))]
    queues: Option<Vec<Line>>,
    active: Option<bool>,
}

pub async fn change_user(call: Call, id: web::Path<String>, body: Body<ChangeUser>) -> Result<HttpResponse> {
    let seen = call.required_versions()?;
    let given = body.value;
    let queues = given.queues;
    let change = AccountChange {
        name: given.name.map(|name| name.0),
        role: given.role,
        language: given.language,
        queues: queues.map(|queues| queues.into_iter().map(|queue| queue.0).collect()),
        active: given.active,
    };
    write_once(&call, &body.bytes, move |tx| {
        let account = accounts::change(tx, &id, &change, seen.as_deref())?;
        user_answer(tx.conn, 200, account, tx.principal)
    })
    .await
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct ResetSecondFactor {}

pub async fn reset_second_factor(
    call: Call,
    id: web::Path<String>,
    body: Body<ResetSecondFactor>,
) -> Result<HttpResponse> {
    let seen = call.if_match.clone();
    write_once(&call, &body.bytes, move |tx| {
        let account = accounts::reset_second_factor(tx, &id, seen.as_deref())?;
        user_answer(tx.conn, 200, account, tx.principal)
    })
    .await
}

#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct SetUserPassword {
    #[validate(length(max = 256))]
    password: PasswordIn,
}

pub async fn set_user_password(
    call: Call,
    id: web::Path<String>,
    body: Body<SetUserPassword>,
) -> Result<HttpResponse> {
    let (password, seen, named) = (body.value.password.0, call.if_match.clone(), id.into_inner());
    let asked = named.clone();
    let find = move |conn: &mut Db| accounts::get(conn, &asked);
    let account = call.app.store.read(find).await?;
    let whose = Whose {
        email: &account.email,
        name: &account.name,
    };
    let hash = sign_in::accept(&call.app.config.sign_in, "/password", &password, whose).await?;
    let compared = call.fingerprint(&json!({}), Some(&password)).await?;
    write_once(&call, &compared, move |tx| {
        let account = accounts::set_password(tx, &named, &hash, seen.as_deref())?;
        user_answer(tx.conn, 200, account, tx.principal)
    })
    .await
}
