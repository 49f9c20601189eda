//! Personal tokens: never more than what they were made with.
use chrono::Duration;
use giaidap::identity::Role;
use serde_json::{Value, json};

use super::{ME, enter, ids, pass, person, session};
use crate::support::client::Reply;
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
