//! Personal tokens: never more than what they were made with.
use chrono::Duration;
use giaidap::identity::Role;
use serde_json::{Value, json};

use super::{ME, OTHER_PASSWORD, PASSWORD, enter, ids, pass, person, session, set_password};
use crate::support::client::Reply;
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, file};

const TOKENS: &str = "/api/v1/me/tokens";

fn make(caller: &Client, scopes: &[&str]) -> Reply {
    caller.post(TOKENS, &json!({ "name": "báo cáo", "scopes": scopes }))
}

#[test]
fn a_token_does_what_its_scopes_and_the_role_allow_and_no_more() {
    let app = TestApp::start();
    person(&app, Role::Supervisor, "lan");
    let lan = enter(&app, "lan");
    let ticket = file(&app.organisation("H57"));
    let path = format!("/api/v1/tickets/{}", ticket["number"].as_str().unwrap());
    let made = make(&lan, &["tickets:read"]).expect(201);
    assert!(made.body["token"].as_str().unwrap().starts_with("gdt_"));
    assert_eq!(made.body["expires_at"], "2020-02-20T09:30:00Z");
    let reader = session(&app, &made);
    reader.get(&path).expect(200);
    reader.call(&format!("{path}/claim")).expect(403);
    reader.get("/api/v1/deliveries").expect(403);
    reader.get(TOKENS).expect(403);
    reader.get("/api/v1/queues").expect(200);
    assert_eq!(reader.get(ME).expect(200).body["scopes"], json!(["tickets:read"]));
    // What the role may not, no scope allows.
    let rules = session(&app, &make(&lan, &["rules:write", "identity:write"]).expect(201));
    rules
        .post(
            "/api/v1/users",
            &json!({ "email": "a@b.vn", "name": "A", "role": "admin" }),
        )
        .expect(403);
}

#[test]
fn a_token_made_with_a_token_has_neither_more_scopes_nor_more_time() {
    let app = TestApp::start();
    person(&app, Role::Admin, "lan");
    let lan = enter(&app, "lan");
    let first = lan.post(
        TOKENS,
        &json!({
            "name": "một",
            "scopes": ["account:write", "tickets:read"],
            "expires_at": "2019-12-01T00:00:00+07:00",
        }),
    );
    let first = session(&app, &first.expect(201));
    let refused = make(&first, &["tickets:read", "identity:write"]).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/scopes/1".to_owned(), "not_allowed".to_owned())]
    );
    let same = first.post(TOKENS, &json!({ "name": "hai" })).expect(201);
    assert_eq!(same.body["scopes"], json!(["tickets:read", "account:write"]));
    assert_eq!(same.body["expires_at"], "2019-11-30T17:00:00Z");
    let longer = json!({ "name": "ba", "expires_at": "2019-12-01T00:00:01+07:00" });
    let refused = first.post(TOKENS, &longer).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/expires_at".to_owned(), "out_of_range".to_owned())]
    );
    // Without the scope of the account it makes none at all.
    let reader = session(&app, &make(&lan, &["tickets:read"]).expect(201));
    make(&reader, &["tickets:read"]).expect(403);
}

#[test]
fn a_token_ends_at_its_time_and_when_it_is_revoked() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    person(&app, Role::Agent, "hoa");
    let lan = enter(&app, "lan");
    let short = json!({ "name": "ngắn", "expires_at": "2019-11-22T17:00:00+07:00" });
    let short = session(&app, &lan.post(TOKENS, &short).expect(201));
    let made = make(&lan, &["tickets:read"]).expect(201);
    let reader = session(&app, &made);
    let listed = lan.get(TOKENS).expect(200).body;
    assert!(!listed.to_string().contains("gdt_"));
    let own = listed["items"].as_array().unwrap();
    // The first is the one of the test's own.
    assert_eq!((own.len(), &own[2]["name"]), (3, &json!("báo cáo")));
    assert_eq!(ids(&listed)[2], made.body["id"].as_str().unwrap());
    let path = format!("{TOKENS}/{}", ids(&listed)[2]);
    enter(&app, "hoa").send("DELETE", &path, None, None).expect(404);
    reader.get(ME).expect(200);
    lan.send("DELETE", &path, None, None).expect(204);
    reader.get(ME).expect(401);
    short.get(ME).expect(200);
    pass(&app, Duration::minutes(30));
    short.get(ME).expect(401);
    assert_eq!(ids(&lan.get(TOKENS).expect(200).body).len(), 1);
}

#[test]
fn a_token_without_a_name_without_scopes_or_with_an_end_in_the_past_is_refused() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let before = app.footprint();
    for (body, place, code) in [
        (json!({}), "/name", "required"),
        (json!({ "name": "x", "scopes": [] }), "/scopes", "too_short"),
        (
            json!({ "name": "x", "scopes": ["everything"] }),
            "/scopes/0",
            "out_of_range",
        ),
        (
            json!({ "name": "x", "expires_at": "2019-11-22T16:30:00+07:00" }),
            "/expires_at",
            "out_of_range",
        ),
        (
            json!({ "name": "x", "expires_at": "2020-11-23T00:00:00+07:00" }),
            "/expires_at",
            "out_of_range",
        ),
        (json!({ "name": "x", "user": "hoa" }), "/user", "unknown_field"),
    ] {
        let refused = lan.post(TOKENS, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    assert_eq!(app.footprint(), before);
    assert_eq!(lan.get(TOKENS).expect(200).body["next_cursor"], Value::Null);
}

#[test]
fn a_token_that_is_ended_takes_with_it_what_was_made_with_it() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let first = make(&lan, &["account:write"]).expect(201);
    let second = make(&session(&app, &first), &["account:write"]).expect(201);
    let third = session(
        &app,
        &make(&session(&app, &second), &["account:write"]).expect(201),
    );
    let beside = session(&app, &make(&lan, &["account:write"]).expect(201));
    third.get(ME).expect(200);
    let path = format!("{TOKENS}/{}", first.body["id"].as_str().unwrap());
    lan.send("DELETE", &path, None, None).expect(204);
    session(&app, &first).get(ME).expect(401);
    session(&app, &second).get(ME).expect(401);
    third.get(ME).expect(401);
    beside.get(ME).expect(200);
    // A session is for a day, what is made with it for longer.
    lan.call("/api/v1/auth/logout").expect(204);
    beside.get(ME).expect(200);
}

#[test]
fn a_token_ends_with_its_session_where_somebody_ends_that_and_not_where_time_does() {
    let app = TestApp::start();
    let admin = app.admin();
    let own = person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let minted = |thief: &Client| {
        let first = session(&app, &make(thief, &["account:write", "tickets:read"]).expect(201));
        let second = session(&app, &make(&first, &["tickets:read"]).expect(201));
        first.get(ME).expect(200);
        second.get(ME).expect(200);
        [first, second]
    };
    let all = |tokens: &[Client], status| tokens.iter().for_each(|token| drop(token.get(ME).expect(status)));

    let thief = enter(&app, "lan");
    let stolen = minted(&thief);
    let sessions = lan.get("/api/v1/me/sessions").expect(200).body;
    let path = format!("/api/v1/me/sessions/{}", ids(&sessions)[1]);
    lan.send("DELETE", &path, None, None).expect(204);
    thief.get(ME).expect(401);
    all(&stolen, 401);

    let stolen = minted(&enter(&app, "lan"));
    let kept = minted(&lan);
    lan.send("DELETE", "/api/v1/me/sessions", None, None).expect(204);
    all(&stolen, 401);
    all(&kept, 200);

    let stolen = minted(&enter(&app, "lan"));
    let user = "/api/v1/users/lan@centre.example";
    admin.call(&format!("{user}/reset-second-factor")).expect(200);
    all(&stolen, 401);
    lan.get(ME).expect(401);
    all(&kept, 401);

    // Another role ends the sessions; a token goes on, as what both roles are.
    let made = minted(&enter(&app, "lan"));
    admin
        .with("If-Match", "*")
        .patch(user, &json!({ "role": "supervisor" }))
        .expect(200);
    all(&made, 200);
    let lan = enter(&app, "lan");
    let of_a_day = minted(&lan);
    lan.call("/api/v1/auth/logout").expect(204);
    all(&of_a_day, 200);
    pass(&app, Duration::days(1));
    enter(&app, "lan")
        .send("DELETE", "/api/v1/me/sessions", None, None)
        .expect(204);
    all(&of_a_day, 200);
    all(&made, 200);
    own.get(ME).expect(200);
}

#[test]
fn another_password_ends_the_tokens_of_all_sessions_that_ever_were() {
    let app = TestApp::start();
    let own = person(&app, Role::Agent, "lan");
    let of_own = session(&app, &make(&own, &["tickets:read"]).expect(201));
    let long_ago = enter(&app, "lan");
    let old = session(
        &app,
        &make(&long_ago, &["account:write", "tickets:read"]).expect(201),
    );
    let older = session(&app, &make(&old, &["tickets:read"]).expect(201));
    long_ago.call("/api/v1/auth/logout").expect(204);
    // The session itself is forgotten a month later where nothing hangs on it.
    enter(&app, "lan");
    pass(&app, Duration::days(40));
    let before = app.rows_in("credentials");
    app.settle();
    assert_eq!(app.rows_in("credentials"), before - 1);
    let lan = enter(&app, "lan");
    let made = session(&app, &make(&lan, &["tickets:read"]).expect(201));
    for token in [&old, &older, &made] {
        token.get(ME).expect(200);
    }
    let change = json!({ "current": PASSWORD, "new": OTHER_PASSWORD });
    lan.put("/api/v1/me/password", &change).expect(204);
    for token in [&old, &older, &made] {
        token.get(ME).expect(401);
    }
    let again = session(&app, &make(&lan, &["tickets:read"]).expect(201));
    again.get(ME).expect(200);
    set_password(&app, "lan", PASSWORD);
    again.get(ME).expect(401);
    lan.get(ME).expect(401);
    // What was made on the machine was made with no session.
    own.get(ME).expect(200);
    of_own.get(ME).expect(200);
}

#[test]
fn a_token_does_not_grow_with_the_role_of_its_person() {
    let app = TestApp::start();
    let admin = app.admin();
    let on_the_machine = person(&app, Role::Auditor, "lan");
    let lan = enter(&app, "lan");
    let made = session(&app, &lan.post(TOKENS, &json!({ "name": "một" })).expect(201));
    let make_them = |role: &str| {
        let user = "/api/v1/users/lan@centre.example";
        let body = json!({ "role": role });
        admin.with("If-Match", "*").patch(user, &body).expect(200);
    };
    let new = |number: i32| json!({ "email": format!("moi{number}@centre.example"), "name": "Mới", "role": "admin" });
    make_them("admin");
    let further = session(&app, &made.post(TOKENS, &json!({ "name": "hai" })).expect(201));
    for (number, token) in (1..).zip([&on_the_machine, &made, &further]) {
        token.post("/api/v1/users", &new(number)).expect(403);
        token.get("/api/v1/tickets").expect(200);
    }
    // One that is made now may more, until the role is lost, and again when it comes back.
    let lan = enter(&app, "lan");
    let grown = session(&app, &lan.post(TOKENS, &json!({ "name": "ba" })).expect(201));
    grown.post("/api/v1/users", &new(4)).expect(201);
    make_them("agent");
    grown.post("/api/v1/users", &new(5)).expect(403);
    let fallen = session(&app, &grown.post(TOKENS, &json!({ "name": "bốn" })).expect(201));
    make_them("admin");
    grown.post("/api/v1/users", &new(6)).expect(201);
    fallen.post("/api/v1/users", &new(7)).expect(403);
}

#[test]
fn a_person_has_fifty_tokens_in_force_at_most() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    // One is what `person` came with.
    let made: Vec<Reply> = (1..50)
        .map(|_| make(&lan, &["tickets:read"]).expect(201))
        .collect();
    assert_eq!(make(&lan, &["tickets:read"]).expect(409).problem(), "conflict");
    let path = format!("{TOKENS}/{}", made[7].body["id"].as_str().unwrap());
    lan.send("DELETE", &path, None, None).expect(204);
    make(&lan, &["tickets:read"]).expect(201);
}

#[test]
fn whoever_makes_tokens_in_a_loop_is_ended_all_the_same() {
    let app = TestApp::start();
    let other = app.replica();
    let admin = app.admin();
    person(&app, Role::Agent, "lan");
    let path = "/api/v1/users/lan@centre.example/sessions";
    for round in 0..4 {
        let thieves = [enter(&app, "lan"), enter(&other, "lan")];
        let made = at_once(3, |number| {
            let Some(thief) = thieves.get(number) else {
                wait_for("a first token", || {
                    let open = admin.get(path).expect(200).body;
                    (ids(&open).len() > 3).then_some(())
                });
                admin.send("DELETE", path, None, None).expect(204);
                return Vec::new();
            };
            let mut tokens = Vec::new();
            for _ in 0..20 {
                let reply = make(thief, &["account:write"]);
                match reply.status {
                    201 => tokens.push(session(&app, &reply)),
                    status => assert_eq!(status, 401),
                }
            }
            tokens
        });
        for token in made.iter().flatten() {
            token.get(ME).expect(401);
        }
        assert!(made.iter().flatten().count() > 0, "round {round}");
        assert!(ids(&admin.get(path).expect(200).body).is_empty());
    }
}
