//! Junk in headers.
use giaidap::identity::Scope;
use serde_json::json;

use super::{TICKETS, faults};
use crate::support::desk::path_of;
use crate::support::{TestApp, file, question};

#[test]
fn junk_in_headers_is_named_where_it_matters_and_ignored_elsewhere() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = file(&hue);
    let path = path_of(&ticket);
    let before = app.footprint();
    let long = "k".repeat(256);
    for key in ["", "a b", "khóa", &long, "\t"] {
        let refused = hue
            .with("Idempotency-Key", key)
            .post(TICKETS, &question())
            .expect(422);
        assert_eq!(faults(&refused), ["Idempotency-Key invalid_format"], "{key:?}");
    }
    for tag in [
        "",
        "1",
        "\"",
        "\"1",
        "abc",
        "\"1\" \"2\"",
        "\"é\"",
        "w/\"1\"",
        ",",
    ] {
        let refused = lan
            .with("If-Match", tag)
            .call(&format!("{path}/claim"))
            .expect(422);
        assert_eq!(faults(&refused), ["If-Match invalid_format"], "{tag:?}");
    }
    // A comma may stand inside a tag (RFC 9110, section 8.8.3).
    for tag in ["\"a,b\"", "\"99\" , W/\"1,\"", "\"+1\"", "\"01\""] {
        lan.with("If-Match", tag)
            .call(&format!("{path}/claim"))
            .expect(412);
    }
    assert_eq!(app.footprint(), before);
    for (name, value) in [
        ("If-None-Match", "rubbish"),
        ("If-None-Match", "\"é\""),
        ("If-Match", "rubbish"),
        ("Idempotency-Key", "a b"),
        ("Accept", "image/png"),
        ("Accept-Encoding", "rubbish;q=x"),
        ("Accept-Language", "é"),
        ("Content-Type", "rubbish"),
    ] {
        hue.with(name, value).get(&path).expect(200);
        hue.with(name, value).get("/api/v1/me").expect(200);
    }
}

#[test]
fn a_key_without_the_read_scope_may_still_name_the_version_it_cancels() {
    let app = TestApp::start();
    let writer = app.key("H57", &[Scope::TicketsWrite]);
    let filed = writer.post(TICKETS, &question()).expect(201);
    let tag = filed.header("etag").unwrap().to_owned();
    let cancel = format!("{}/cancel", path_of(&filed.body));
    let reason = json!({ "reason": "Trùng câu hỏi." });
    writer
        .with("If-Match", "\"99\"")
        .post(&cancel, &reason)
        .expect(412);
    writer.with("If-Match", &tag).post(&cancel, &reason).expect(200);
}

#[test]
fn a_header_that_may_stand_there_once_is_not_chosen_from_two() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = file(&hue);
    let path = path_of(&ticket);
    let before = app.footprint();
    let twice = hue.with("Idempotency-Key", "a").with("Idempotency-Key", "b");
    let refused = twice.post(TICKETS, &question()).expect(422);
    assert_eq!(faults(&refused), ["Idempotency-Key duplicate"]);
    let twice = lan.with("If-Match", "\"1\"").with("If-Match", "\"99\"");
    let refused = twice.call(&format!("{path}/claim")).expect(422);
    assert_eq!(faults(&refused), ["If-Match duplicate"]);
    for other in ["Bearer rubbish", &format!("Bearer {}", lan.token()), "Basic eDp5"] {
        hue.with("Authorization", other).get(&path).expect(401);
        let written = hue.with("Authorization", other);
        written.post(TICKETS, &question()).expect(401);
    }
    assert_eq!(app.footprint(), before);
    // A list may come in several lines (RFC 9110, section 5.3).
    let tag = hue.get(&path).expect(200).header("etag").unwrap().to_owned();
    let lines = hue.with("If-None-Match", "\"x\"").with("If-None-Match", &tag);
    lines.get(&path).expect(304);
}
