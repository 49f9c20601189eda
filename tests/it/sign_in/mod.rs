//! Staff at the door: passwords, second factors, sessions, personal tokens, accounts.
use chrono::Duration;
use diesel::prelude::*;
use giaidap::identity::passwords::{self, Password};
use giaidap::identity::{Role, accounts, sign_in, totp};
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::client::Reply;
use crate::support::{Client, TestApp};

mod accounts_of_staff;
mod guessing;
mod login;
mod second_factor;
mod sessions;
mod tokens;
mod written_down;

pub const LOGIN: &str = "/api/v1/auth/login";
pub const PASSWORD: &str = "ba con vịt ngoài ao";
pub const OTHER_PASSWORD: &str = "mười hai con giáp đi chợ";
pub const ME: &str = "/api/v1/me";

fn address(name: &str) -> String {
    format!("{name}@centre.example")
}

pub fn set_password(app: &TestApp, name: &str, password: &str) {
    let hash = block_on(passwords::hash(&Password::new(password))).unwrap();
    let (email, now) = (address(name), app.app.clock.now());
    app.write(move |conn| {
        let account = accounts::get(conn, &email)?;
        sign_in::set_password(conn, account.id, &hash, None, now)
    });
}

/// A person with `PASSWORD`; gives a client with a token of theirs without limits.
fn person(app: &TestApp, role: Role, name: &str) -> Client {
    let client = app.staff(role, name, &[]);
    set_password(app, name, PASSWORD);
    client
}

fn attempt(app: &TestApp, email: &str, password: &str, code: Option<&str>) -> Reply {
    let mut body = json!({ "email": email, "password": password });
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    app.anonymous().post(LOGIN, &body)
}

/// A session of this person, who has no second factor.
fn enter(app: &TestApp, name: &str) -> Client {
    session(app, &attempt(app, &address(name), PASSWORD, None).expect(200))
}

fn session(app: &TestApp, answer: &Reply) -> Client {
    Client::new(&app.url, Some(answer.body["token"].as_str().unwrap()))
}

fn pass(app: &TestApp, time: Duration) {
    app.app.clock.set(app.app.clock.now() + time);
}

/// What the authenticator program shows now.
fn code(app: &TestApp, secret: &str) -> String {
    totp::code_at(secret, app.app.clock.now()).unwrap()
}

/// Enrol and confirm; gives the secret and the recovery codes.
fn enrol(app: &TestApp, client: &Client) -> (String, Vec<String>) {
    let begun = client.post("/api/v1/me/totp", &json!({ "password": PASSWORD }));
    let secret = begun.expect(200).body["secret"].as_str().unwrap().to_owned();
    let confirmed = client.post("/api/v1/me/totp/confirm", &json!({ "code": code(app, &secret) }));
    let codes = confirmed.expect(200).body["recovery_codes"].clone();
    (secret, serde_json::from_value(codes).unwrap())
}

/// All that the records of idempotency keys hold.
fn kept_answers(app: &TestApp) -> String {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = diesel::sql_types::Text)]
        body: String,
    }
    let rows = app.read(|conn| {
        let query = "SELECT body || ' ' || request_hash || ' ' || CAST(headers AS TEXT) AS body FROM idempotency_records";
        Ok(diesel::sql_query(query).load::<Kept>(conn)?)
    });
    rows.into_iter().map(|row| row.body).collect()
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}
