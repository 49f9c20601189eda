//! Accounts, as administrators keep them.
use giaidap::identity::Role;
use serde_json::{Value, json};

use super::{
    LOGIN, ME, OTHER_PASSWORD, PASSWORD, address, attempt, enrol, enter, ids, kept_answers, person, session,
};
use crate::support::threads::at_once;
use crate::support::{Client, TestApp};

const USERS: &str = "/api/v1/users";

fn of(name: &str) -> String {
    format!("{USERS}/{}", address(name))
}

fn change(caller: &Client, name: &str, body: &Value) -> crate::support::client::Reply {
    let tag = caller.get(&of(name)).expect(200);
    caller
        .with("If-Match", tag.header("etag").unwrap())
        .patch(&of(name), body)
}

#[test]
fn a_person_who_is_added_with_a_password_logs_in() {
    let app = TestApp::start();
    let admin = app.admin();
    let body = json!({
        "email": "Lan@Centre.example",
        "name": "Nguyễn Thị Lan",
        "role": "agent",
        "language": "en",
        "queues": ["technology", "security"],
        "password": PASSWORD,
    });
    let keyed = admin.with("Idempotency-Key", "k");
    let made = keyed.post(USERS, &body).expect(201);
    assert_eq!(made.body["email"], "lan@centre.example");
    assert_eq!(
        made.body["sign_in"],
        json!({ "password": true, "second_factor": false })
    );
    assert_eq!(made.body["queues"].as_array().unwrap().len(), 2);
    let place = made.header("location").unwrap().to_owned();
    assert_eq!(admin.get(&place).expect(200).body, made.body);
    let again = keyed.post(USERS, &body).expect(201);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.body),
        (Some("true"), &made.body)
    );
    assert!(!kept_answers(&app).contains(PASSWORD));
    let mut other = body.clone();
    other["password"] = json!(OTHER_PASSWORD);
    assert_eq!(
        keyed.post(USERS, &other).expect(422).problem(),
        "idempotency-key-reused"
    );
    let lan = enter(&app, "lan");
    // How others log in, an agent is not told.
    assert_eq!(lan.get(&place).expect(200).body["sign_in"], Value::Null);
    let taken = admin.post(USERS, &body).expect(422);
    assert_eq!(
        taken.field_errors(),
        [("/email".to_owned(), "duplicate".to_owned())]
    );
    app.anonymous().post(LOGIN, &json!({})).expect(422);
}

#[test]
fn a_person_who_is_not_well_described_is_refused_by_the_field() {
    let app = TestApp::start();
    let admin = app.admin();
    let before = app.footprint();
    let sound = json!({ "email": "moi@centre.example", "name": "Mới", "role": "agent" });
    for (member, value, place, code) in [
        ("email", json!("moi"), "/email", "invalid_format"),
        (
            "email",
            json!("m\u{200B}oi@centre.example"),
            "/email",
            "invalid_format",
        ),
        (
            "email",
            json!("moi@cent\u{AD}re.example"),
            "/email",
            "invalid_format",
        ),
        ("name", json!(""), "/name", "too_short"),
        ("role", json!("root"), "/role", "out_of_range"),
        (
            "queues",
            json!(["technology", "none"]),
            "/queues/1",
            "unknown_code",
        ),
        (
            "queues",
            json!(["technology", "technology"]),
            "/queues/1",
            "duplicate",
        ),
        ("password", json!("ngắn"), "/password", "too_short"),
        ("password", json!("moi@centre.example"), "/password", "own_name"),
        ("active", json!(true), "/active", "unknown_field"),
        ("password_hash", json!("x"), "/password_hash", "unknown_field"),
        (
            "totp_confirmed_at",
            json!("x"),
            "/totp_confirmed_at",
            "unknown_field",
        ),
    ] {
        let mut body = sound.clone();
        body[member] = value;
        let refused = admin.post(USERS, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    assert_eq!(app.footprint(), before);
}

#[test]
fn people_are_found_by_role_queue_activity_and_words() {
    let app = TestApp::start();
    let admin = app.admin();
    app.agent("lan", &["technology"]);
    app.agent("hoa", &["security"]);
    let found = |query: &str| -> Vec<String> {
        let list = admin.get(&format!("{USERS}?{query}")).expect(200).body;
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found("role=agent"), ["Hoa", "Lan"]);
    assert_eq!(found("queue=technology"), ["Lan"]);
    assert_eq!(found("q=LAN"), ["Lan"]);
    change(&admin, "hoa", &json!({ "active": false })).expect(200);
    assert_eq!(found("role=agent&active=true"), ["Lan"]);
    let first = admin.get(&format!("{USERS}?limit=1&role=agent")).expect(200).body;
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(found(&format!("limit=1&role=agent&cursor={cursor}")), ["Lan"]);
    // A cursor of another question.
    admin.get(&format!("{USERS}?limit=1&cursor={cursor}")).expect(422);
}

#[test]
fn a_change_takes_the_version_and_nothing_that_is_not_for_it() {
    let app = TestApp::start();
    let admin = app.admin();
    app.agent("lan", &["technology"]);
    let shown = admin.get(&of("lan")).expect(200);
    admin.patch(&of("lan"), &json!({ "name": "Lan Anh" })).expect(428);
    let seen = admin.with("If-Match", shown.header("etag").unwrap());
    let changed = seen
        .patch(&of("lan"), &json!({ "name": "Lan Anh", "queues": ["security"] }))
        .expect(200);
    assert_eq!(changed.body["name"], "Lan Anh");
    assert_eq!(changed.body["queues"][0]["code"], "security");
    seen.patch(&of("lan"), &json!({ "name": "Lan" })).expect(412);
    // Nothing that is different is no new version.
    let same = change(&admin, "lan", &json!({ "name": "Lan Anh" })).expect(200);
    assert_eq!(same.header("etag"), changed.header("etag"));
    for member in [
        "id",
        "email",
        "version",
        "created_at",
        "password",
        "password_hash",
        "totp_secret",
        "oidc_subject",
        "sign_in",
    ] {
        let refused = change(&admin, "lan", &json!({ (member): "x" })).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(format!("/{member}"), "unknown_field".to_owned())]
        );
    }
    assert_eq!(admin.get(&of("lan")).expect(200).body, changed.body);
}

#[test]
fn who_is_deactivated_opens_nothing_from_then_on() {
    let app = TestApp::start();
    let replica = app.replica();
    let admin = app.admin();
    let token = person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    lan.on(&replica.url).get(ME).expect(200);
    change(&admin, "lan", &json!({ "active": false })).expect(200);
    for caller in [&token, &lan] {
        caller.get(ME).expect(401);
        caller.on(&replica.url).get(ME).expect(401);
    }
    attempt(&app, &address("lan"), PASSWORD, None).expect(401);
    // What was ended stays so.
    change(&admin, "lan", &json!({ "active": true })).expect(200);
    token.get(ME).expect(401);
    lan.get(ME).expect(401);
    attempt(&app, &address("lan"), PASSWORD, None).expect(200);
}

#[test]
fn another_role_takes_a_new_login() {
    let app = TestApp::start();
    let admin = app.admin();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    change(&admin, "lan", &json!({ "role": "auditor" })).expect(200);
    lan.get(ME).expect(401);
    let entered = attempt(&app, &address("lan"), PASSWORD, None).expect(200);
    assert_eq!(entered.body["user"]["role"], "auditor");
}

#[test]
fn an_administrator_is_always_left() {
    let app = TestApp::start();
    let admin = app.admin();
    // The one that comes with the database goes first.
    let first = format!("{USERS}/admin@localhost");
    let away = json!({ "active": false });
    admin.with("If-Match", "*").patch(&first, &away).expect(200);
    for body in [json!({ "role": "agent" }), json!({ "active": false })] {
        let refused = change(&admin, "admin", &body).expect(409);
        assert_eq!(refused.problem(), "conflict");
    }
    change(&admin, "admin", &json!({ "name": "Quản trị" })).expect(200);
    // Two who take it from each other at once.
    let other = app.staff(Role::Admin, "second", &[]);
    let replica = app.replica();
    let statuses = at_once(2, |number| match number {
        0 => {
            let caller = admin.with("If-Match", "*");
            caller.patch(&of("second"), &json!({ "role": "agent" })).status
        }
        _ => {
            let caller = other.on(&replica.url).with("If-Match", "*");
            caller.patch(&of("admin"), &json!({ "role": "agent" })).status
        }
    });
    let left = "(SELECT * FROM users WHERE role = 'admin' AND active) AS left_over";
    assert_eq!(app.rows_in(left), 1, "{statuses:?}");
}

#[test]
fn an_administrator_sets_passwords_and_resets_second_factors_of_others() {
    let app = TestApp::start();
    let admin = person(&app, Role::Admin, "admin");
    let token = person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    enrol(&app, &lan);
    attempt(&app, &address("lan"), PASSWORD, None).expect(401);
    let reset = format!("{}/reset-second-factor", of("lan"));
    admin.with("If-Match", "\"1\"").call(&reset).expect(412);
    let changed = admin.call(&reset).expect(200);
    assert_eq!(changed.body["sign_in"]["second_factor"], false);
    lan.get(ME).expect(401);
    let lan = session(&app, &attempt(&app, &address("lan"), PASSWORD, None).expect(200));

    let set = format!("{}/password", of("lan"));
    admin
        .post(&set, &json!({ "password": "matkhau12345" }))
        .expect(422);
    admin
        .post(&set, &json!({ "password": OTHER_PASSWORD }))
        .expect(200);
    lan.get(ME).expect(401);
    token.get(ME).expect(200);
    attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(200);
    // One's own asks for the old one, elsewhere.
    let own = format!("{}/password", of("admin"));
    admin
        .post(&own, &json!({ "password": OTHER_PASSWORD }))
        .expect(409);
    admin
        .call(&format!("{}/reset-second-factor", of("admin")))
        .expect(409);
    admin
        .post(
            &format!("{USERS}/nobody@centre.example/password"),
            &json!({ "password": PASSWORD }),
        )
        .expect(404);
}

#[test]
fn an_administrator_sees_and_ends_what_somebody_has_open() {
    let app = TestApp::start();
    let admin = app.admin();
    let token = person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let path = format!("{}/sessions", of("lan"));
    let open = admin.get(&path).expect(200).body;
    assert_eq!(ids(&open).len(), 2);
    assert_eq!(
        (&open["items"][0]["kind"], &open["items"][1]["kind"]),
        (&json!("token"), &json!("session"))
    );
    admin.send("DELETE", &path, None, None).expect(204);
    token.get(ME).expect(401);
    lan.get(ME).expect(401);
    admin.get(ME).expect(200);
    attempt(&app, &address("lan"), PASSWORD, None).expect(200);
}
