//! A request whose body comes in slowly: what was decided when it began is decided anew when it is written.
use diesel::RunQueryDsl;
use giaidap::config::{LimitsOverrides, Overrides};
use giaidap::identity::Role;
use serde_json::{Value, json};

use crate::support::desk::path_of;
use crate::support::raw::{Wire, statuses};
use crate::support::threads::wait_for;
use crate::support::{Client, TestApp, file, question};

fn patient() -> TestApp {
    TestApp::start_with(&Overrides {
        limits: LimitsOverrides {
            body_timeout_ms: Some(300_000),
            ..LimitsOverrides::default()
        },
        ..Overrides::default()
    })
}

/// A POST that has been let in and whose body wants all but its first byte.
struct Begun {
    wire: Wire,
    rest: Vec<u8>,
}

impl Begun {
    /// The credential must not have been used before: that it is written down as used tells that it was let in.
    fn post(app: &TestApp, caller: &Client, path: &str, body: &Value) -> Begun {
        let body = body.to_string();
        let mut wire = Wire::to(&app.url);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{}",
            caller.token(),
            body.len(),
            &body[..1],
        );
        assert!(wire.say(head.as_bytes()));
        let lookup = caller.token().split('_').nth(1).unwrap().to_owned();
        wait_for("the credential to be used", || {
            use diesel::sql_types::BigInt;
            let count = format!(
                "(SELECT count(*) FROM credentials WHERE lookup = '{lookup}' AND last_used_at IS NOT NULL)"
            );
            let used: i64 = app
                .read(move |conn| Ok(diesel::select(diesel::dsl::sql::<BigInt>(&count)).get_result(conn)?));
            (used == 1).then_some(())
        });
        Begun {
            wire,
            rest: body.as_bytes()[1..].to_vec(),
        }
    }

    /// The status after the rest was said, and all that was heard.
    fn end(mut self) -> (u16, String) {
        assert!(self.wire.say(&self.rest));
        let (heard, _) = self.wire.hear_out();
        (statuses(&heard)[0], heard)
    }
}

fn change(admin: &Client, path: &str, body: &Value) {
    admin.with("If-Match", "*").patch(path, body).expect(200);
}

#[test]
fn who_is_no_administrator_any_more_makes_none() {
    let app = patient();
    let admin = app.admin();
    let lan = app.staff(Role::Admin, "lan", &[]);
    let new = json!({ "email": "moi@centre.example", "name": "Mới", "role": "admin" });
    let begun = Begun::post(&app, &lan, "/api/v1/users", &new);
    change(
        &admin,
        "/api/v1/users/lan@centre.example",
        &json!({ "role": "agent" }),
    );
    let before = app.rows_in("users");
    let (status, heard) = begun.end();
    assert_eq!(status, 403, "{heard}");
    assert_eq!(app.rows_in("users"), before);
}

#[test]
fn who_is_called_otherwise_by_now_is_not_refused() {
    let app = patient();
    let admin = app.admin();
    let lan = app.staff(Role::Admin, "lan", &[]);
    let new = json!({ "email": "moi@centre.example", "name": "Mới", "role": "agent" });
    let begun = Begun::post(&app, &lan, "/api/v1/users", &new);
    change(
        &admin,
        "/api/v1/users/lan@centre.example",
        &json!({ "name": "Nguyễn Thị Lan" }),
    );
    assert_eq!(begun.end().0, 201);
}

#[test]
fn who_became_an_auditor_files_nothing_whichever_way() {
    let app = patient();
    let admin = app.admin();
    let mut filed = question();
    filed["organisation"] = json!("H57");
    let bulk = json!({ "mode": "each", "items": [{ "operation": "file", "body": filed }] });
    for (name, path, body) in [
        ("lan", "/api/v1/tickets", &filed),
        ("hoa", "/api/v1/tickets/bulk", &bulk),
    ] {
        let caller = app.agent(name, &["technology"]);
        let begun = Begun::post(&app, &caller, path, body);
        let user = format!("/api/v1/users/{name}@centre.example");
        change(&admin, &user, &json!({ "role": "auditor" }));
        let (status, heard) = begun.end();
        let is_refused = status == 403 || (status == 200 && heard.contains("\"status\":403"));
        assert!(is_refused, "{path}: {heard}");
    }
    assert_eq!(app.rows_in("tickets"), 0);
}

#[test]
fn an_agent_who_has_left_the_queue_does_not_see_its_tickets_any_more() {
    let app = patient();
    let admin = app.admin();
    let ticket = path_of(&file(&app.organisation("H57")));
    for (name, operation, body) in [
        ("lan", "notes", json!({ "body": "Đã gọi." })),
        ("hoa", "claim", json!({})),
    ] {
        let caller = app.agent(name, &["technology"]);
        let begun = Begun::post(&app, &caller, &format!("{ticket}/{operation}"), &body);
        let user = format!("/api/v1/users/{name}@centre.example");
        change(&admin, &user, &json!({ "queues": ["security"] }));
        let (status, heard) = begun.end();
        assert_eq!(status, 404, "{operation}: {heard}");
    }
    assert_eq!(admin.get(&ticket).expect(200).body["state"], "queued");
}

const CLIENTS: &str = "/api/v1/api-clients";

/// A program of H57 that sees units, and a key of it with all scopes.
fn program(app: &TestApp, admin: &Client, name: &str) -> (String, Client) {
    let new = json!({ "organisation": "H57", "name": name, "include_units": true });
    let made = admin.post(CLIENTS, &new).expect(201).body;
    let path = format!("{CLIENTS}/{}", made["id"].as_str().unwrap());
    let scopes = json!({ "scopes": ["tickets:read", "tickets:write"] });
    let key = admin.post(&format!("{path}/keys"), &scopes).expect(201).body;
    (path, Client::new(&app.url, key["secret"].as_str()))
}

#[test]
fn a_program_that_may_not_come_from_there_any_more_writes_nothing() {
    let app = patient();
    let admin = app.admin();
    let filed = question();
    let requester = json!({ "name": "Trần Văn An" });
    let bulk = json!({ "mode": "each", "items": [{ "operation": "file", "body": filed }] });
    for (name, path, body) in [
        ("một", "/api/v1/tickets", &filed),
        ("hai", "/api/v1/requesters", &requester),
        ("ba", "/api/v1/tickets/bulk", &bulk),
    ] {
        let (program, key) = program(&app, &admin, name);
        let begun = Begun::post(&app, &key, path, body);
        change(&admin, &program, &json!({ "networks": ["10.0.0.0/8"] }));
        let (status, heard) = begun.end();
        let is_refused = status == 401 || (status == 200 && heard.contains("\"status\":401"));
        assert!(is_refused, "{path}: {heard}");
    }
    assert_eq!((app.rows_in("tickets"), app.rows_in("requesters")), (0, 0));
    // Another change leaves it what it may.
    let (program, key) = program(&app, &admin, "bốn");
    let begun = Begun::post(&app, &key, "/api/v1/tickets", &filed);
    change(
        &admin,
        &program,
        &json!({ "networks": ["127.0.0.0/8"], "requests_per_minute": 900 }),
    );
    assert_eq!(begun.end().0, 201);
}

#[test]
fn a_program_that_lost_its_units_does_not_write_to_their_tickets() {
    let app = patient();
    let admin = app.admin();
    let unit = json!({ "code": "H57.14", "kind": "agency", "name": { "vi": "Sở TT&TT", "en": "DIC" } });
    admin.post("/api/v1/organisations", &unit).expect(201);
    let ticket = path_of(&file(&app.organisation("H57.14")));
    let messages = format!("{ticket}/messages");
    let body = json!({ "body": "Còn thiếu một văn bản." });
    let (one, key_of_one) = program(&app, &admin, "một");
    let (_, key_of_two) = program(&app, &admin, "hai");
    let first = Begun::post(&app, &key_of_one, &messages, &body);
    change(&admin, &one, &json!({ "include_units": false }));
    let (status, heard) = first.end();
    assert_eq!(status, 404, "{heard}");
    // Nothing of the program says that the unit went away from its organisation.
    let second = Begun::post(&app, &key_of_two, &messages, &body);
    change(&admin, "/api/v1/organisations/H57.14", &json!({ "parent": null }));
    let (status, heard) = second.end();
    assert_eq!(status, 404, "{heard}");
    let all = admin.get(&messages).expect(200).body;
    assert_eq!(all["items"], json!([]));
}

#[test]
fn a_key_that_was_changed_over_without_overlap_writes_nothing() {
    let app = patient();
    let admin = app.admin();
    let (program, key) = program(&app, &admin, "LGSP");
    let begun = Begun::post(&app, &key, "/api/v1/tickets", &question());
    let lookup = key.token().split('_').nth(1).unwrap();
    let rotate = format!("{program}/keys/{lookup}/rotate");
    let rotated = admin
        .post(&rotate, &json!({ "overlap_hours": 0 }))
        .expect(201)
        .body;
    assert_eq!(rotated["replaces"]["state"], "revoked");
    let (status, heard) = begun.end();
    assert_eq!(status, 401, "{heard}");
    assert_eq!(app.rows_in("tickets"), 0);
}
