//! One house with some of everything that a path may name, so that tests over the route table ask for what is there.
use chrono::{DateTime, Utc};
use giaidap::http::routes::Route;
use serde_json::{Value, json};

use super::client::Client;
use super::desk::{agreement, path_of};
use super::{TestApp, file};
use crate::attachments::{self, PDF};
use crate::isolation::body_for;
use crate::sign_in::{LOGIN, PASSWORD, set_password};

/// Of each thing that a list shows there are at least so many.
pub const OF_EACH: usize = 3;

pub struct Things {
    pub app: TestApp,
    pub admin: Client,
    /// A key of an organisation, for the routes that want one.
    pub program: Client,
    agreement: String,
    delivery: String,
    program_id: String,
    key: String,
    requester: String,
    session: String,
    token: String,
    /// The number of a ticket with messages, notes and files.
    ticket: String,
    page: String,
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

fn first_id(admin: &Client, path: &str) -> String {
    text(&admin.get(path).expect(200).body["items"][0]["id"])
}

/// Bodies like the one that tests send, each with another value of this member.
fn bodies<const N: usize>(operation: &str, member: &str, values: [&str; N]) -> [Value; N] {
    values.map(|value| {
        let mut body = body_for(operation, "admin").unwrap();
        body[member] = json!(value);
        body
    })
}

fn replace(admin: &Client, method: &str, path: &str, body: &Value) {
    let body = body.to_string();
    admin
        .with("If-Match", "*")
        .send(method, path, Some("application/json"), Some(body.as_bytes()))
        .expect(200);
}

impl Things {
    pub fn new() -> Things {
        let app = TestApp::start();
        let admin = app.admin();
        app.agent("colleague", &["technology"]);
        for name in ["an", "binh"] {
            app.agent(name, &["technology"]);
        }
        for name in ["admin", "colleague"] {
            open_sessions(&app, name);
        }
        let program = app.organisation("H57");
        let (program_id, key) = make_programs(&app, &admin);
        let ticket = make_tickets(&app, &admin, &program);
        make_rules(&admin);
        let page = text(&admin.get(&format!("/api/v1/tickets/{ticket}")).expect(200).body["status_link"]);
        Things {
            agreement: first_id(&admin, "/api/v1/agreements"),
            delivery: first_id(&admin, "/api/v1/deliveries"),
            requester: first_id(&admin, "/api/v1/requesters?email=lan@hue.example"),
            session: first_id(&admin, "/api/v1/me/sessions"),
            token: first_id(&admin, "/api/v1/me/tokens"),
            page: page.rsplit('/').next().unwrap().to_owned(),
            app,
            admin,
            program,
            program_id,
            key,
            ticket,
        }
    }

    /// The path of a route with something that is there in it; tickets are fresh.
    pub fn path(&self, route: &Route) -> String {
        let ticket = match route.path.starts_with("/api/v1/tickets/{id}") {
            true => path_of(&file(&self.program))
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned(),
            false => self.ticket.clone(),
        };
        filled(route, &self.values(route, &ticket))
    }

    /// The same with the ticket that has some of everything.
    pub fn path_of_old(&self, route: &Route) -> String {
        filled(route, &self.values(route, &self.ticket))
    }

    /// The path with this in place of one of its parameters, and what is there in place of the others.
    pub fn path_with(&self, route: &Route, parameter: &str, value: &str) -> String {
        let mut values = self.values(route, &self.ticket);
        let place = values.iter_mut().find(|(name, _)| *name == parameter).unwrap();
        place.1 = value.to_owned();
        filled(route, &values)
    }

    /// The parameters of a path, with something that is there for each.
    fn values(&self, route: &Route, ticket: &str) -> Vec<(&'static str, String)> {
        let parts: Vec<&str> = route.path.split('/').collect();
        let id = || match parts[3..] {
            ["organisations", ..] => "H57".to_owned(),
            ["topics" | "services" | "services.{format}", ..] => "NGSP".to_owned(),
            ["queues", ..] => "technology".to_owned(),
            ["calendars", ..] => "vn-government".to_owned(),
            ["sla-policies", ..] => "default".to_owned(),
            ["agreements", ..] => self.agreement.clone(),
            ["api-clients", ..] => self.program_id.clone(),
            ["requesters", ..] => self.requester.clone(),
            ["users", ..] => "colleague@centre.example".to_owned(),
            // A fresh one, which no ticket has yet.
            ["attachments", ..] => attachments::sent(&self.admin, "a.pdf", PDF),
            ["deliveries", ..] => self.delivery.clone(),
            ["me", "sessions", ..] => self.session.clone(),
            ["me", "tokens", ..] => self.token.clone(),
            ["tickets" | "requests" | "tokens", ..] => ticket.to_owned(),
            _ => panic!("no example for {}: add one here", route.path),
        };
        let names = route
            .path
            .split('{')
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap());
        names
            .map(|name| {
                let value = match name {
                    "id" => id(),
                    "version" => "1".to_owned(),
                    "key" => self.key.clone(),
                    "token" => self.page.clone(),
                    "format" => "json".to_owned(),
                    other => panic!("no example of {other}: add one here"),
                };
                (name, value)
            })
            .collect()
    }
}

fn filled(route: &Route, values: &[(&str, String)]) -> String {
    values.iter().fold(route.path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value)
    })
}

fn open_sessions(app: &TestApp, name: &str) {
    set_password(app, name, PASSWORD);
    let email = format!("{name}@centre.example");
    let body = json!({ "email": email, "password": PASSWORD });
    for _ in 0..OF_EACH {
        app.anonymous().post(LOGIN, &body).expect(200);
    }
    let now: DateTime<Utc> = app.app.clock.now();
    app.write(move |conn| {
        for name in ["two", "three"] {
            giaidap::identity::create_token(conn, &email, name, now)?;
        }
        Ok(())
    });
}

/// The id of a program and the name of one of its keys.
fn make_programs(app: &TestApp, admin: &Client) -> (String, String) {
    app.organisation("H26");
    let body = body_for("create_api_client", "admin").unwrap();
    let program = text(&admin.post("/api/v1/api-clients", &body).expect(201).body["id"]);
    let keys = format!("/api/v1/api-clients/{program}/keys");
    let body = body_for("create_api_key", "admin").unwrap();
    let made: Vec<Value> = (0..OF_EACH)
        .map(|_| admin.post(&keys, &body).expect(201).body)
        .collect();
    (program, text(&made[0]["lookup"]))
}

/// Some tickets and askers; the number of one with messages, notes and files.
fn make_tickets(app: &TestApp, admin: &Client, program: &Client) -> String {
    let path = path_of(&file(program));
    for count in 1..OF_EACH {
        app.app
            .clock
            .set(app.app.clock.now() + chrono::Duration::seconds(1));
        file(program);
        let asker = json!({ "organisation": "H57", "name": format!("Bình {count}") });
        admin.post("/api/v1/requesters", &asker).expect(201);
    }
    for count in 0..OF_EACH {
        let text = json!({ "body": format!("{count}") });
        program.post(&format!("{path}/messages"), &text).expect(201);
        admin.post(&format!("{path}/notes"), &text).expect(201);
        attachments::send(admin, &format!("{path}/attachments"), "a.pdf", PDF).expect(201);
    }
    path.rsplit('/').next().unwrap().to_owned()
}

/// Versions of rules, and further ones that no ticket here comes under.
fn make_rules(admin: &Client) {
    let target = body_for("replace_operational_target", "admin").unwrap();
    let targets = "/api/v1/queues/technology/operational-target";
    admin.put(targets, &target).expect(200);
    for year in 2029..2032 {
        let body = agreement("H57", &format!("{year}-01-01"));
        let made = text(&admin.post("/api/v1/agreements", &body).expect(201).body["id"]);
        let end = json!({ "valid_to": format!("{year}-12-31"), "reason": "x" });
        if year < 2031 {
            admin
                .post(&format!("/api/v1/agreements/{made}/end"), &end)
                .expect(200);
        }
    }
    for body in bodies("create_calendar", "code", ["second-hours", "third-hours"]) {
        admin.post("/api/v1/calendars", &body).expect(201);
    }
    for (body, precedence) in bodies("create_sla_policy", "code", ["second", "third"])
        .into_iter()
        .zip(20..)
    {
        let mut body = body;
        body["precedence"] = json!(precedence);
        body["conditions"] = json!({ "tag": [body["code"]] });
        admin.post("/api/v1/sla-policies", &body).expect(201);
    }
    for day in ["2020-03-03", "2020-03-04"] {
        let change = json!({ "set_exceptions": [{ "date": day, "intervals": [] }], "reason": "x" });
        replace(admin, "PATCH", "/api/v1/calendars/vn-government", &change);
    }
    for reason in bodies("replace_sla_policy", "reason", ["Một.", "Hai."]) {
        replace(admin, "PUT", "/api/v1/sla-policies/default", &reason);
    }
}
