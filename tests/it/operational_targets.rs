//! How long queues may hold a question: settings of the centre, seen and changed by staff only.
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

const PATH: &str = "/api/v1/queues/technology/operational-target";

fn minutes(minutes: Value) -> Value {
    json!({ "business_minutes": minutes })
}

#[track_caller]
fn refused(admin: &Client, body: &Value) -> Vec<(String, String)> {
    admin.put(PATH, body).expect(422).field_errors()
}

#[test]
fn a_queues_target_is_set_once_freely_and_then_only_by_who_has_seen_it() {
    let app = TestApp::start();
    let admin = app.admin();
    admin.get(PATH).expect(404);
    admin
        .with("If-Match", "*")
        .put(PATH, &minutes(json!({ "urgent": 30 })))
        .expect(412);
    let first = admin.put(PATH, &minutes(json!({ "urgent": 30 }))).expect(200);
    assert_eq!(first.header("etag"), Some("\"1\""));
    assert_eq!(first.body["queue"]["code"], "technology");
    let unseen = admin.put(PATH, &minutes(json!({ "high": 60 }))).expect(428);
    assert_eq!(unseen.problem(), "precondition-required");
    let of_first = admin.with("If-Match", "\"1\"");
    let second = of_first.put(PATH, &minutes(json!({ "high": 60 }))).expect(200);
    assert_eq!(second.body["business_minutes"], json!({ "high": 60 }));
    of_first.put(PATH, &minutes(json!({ "low": 9 }))).expect(412);
    let lan = app.agent("lan", &["technology"]);
    assert_eq!(lan.get(PATH).expect(200).body["version"], 2);
    lan.with("If-None-Match", "\"2\"").get(PATH).expect(304);
    app.organisation("H57").get(PATH).expect(403);
}

#[test]
fn a_target_of_nothing_or_eternity_is_refused_where_it_stands() {
    let app = TestApp::start();
    let admin = app.admin();
    for (body, pointer, code) in [
        (minutes(json!({})), "/business_minutes", "no_target"),
        (
            minutes(json!({ "low": 0 })),
            "/business_minutes/low",
            "zero_amount",
        ),
        (
            minutes(json!({ "low": 527_041 })),
            "/business_minutes/low",
            "amount_too_large",
        ),
        (
            minutes(json!({ "low": -1 })),
            "/business_minutes/low",
            "out_of_range",
        ),
        (
            minutes(json!({ "asap": 1 })),
            "/business_minutes/asap",
            "unknown_field",
        ),
        (json!({}), "/business_minutes", "required"),
    ] {
        let expected = [(pointer.to_owned(), code.to_owned())];
        assert_eq!(refused(&admin, &body), expected, "{body}");
    }
    let twice = br#"{"business_minutes": {"low": 5, "low": 6}}"#;
    let reply = admin
        .send("PUT", PATH, Some("application/json"), Some(twice))
        .expect(422);
    let expected = [("/business_minutes/low".to_owned(), "duplicate".to_owned())];
    assert_eq!(reply.field_errors(), expected);
    admin.get(PATH).expect(404);
}
