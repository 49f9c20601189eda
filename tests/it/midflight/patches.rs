//! `PATCH` of a ticket: what it takes, what it refuses, and that what changes nothing writes nothing.
use serde_json::{Value, json};

use super::post;
use crate::support::desk::{clock, path_of};
use crate::support::policies::with_policy;
use crate::support::{TestApp, file, question};

#[test]
fn a_change_is_a_merge_patch_and_one_to_what_is_there_writes_nothing() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let mut asked = question();
    asked["custom_fields"] = json!({ "dossier": "A-1", "pages": 3 });
    asked["external_ref"] = json!("REF-1");
    asked["tags"] = json!(["a"]);
    let filed = hue.post("/api/v1/tickets", &asked).expect(201);
    let path = path_of(&filed.body);
    let first = lan.get(&path).expect(200).header("etag").unwrap().to_owned();
    let footprint = app.footprint();
    for same in [
        json!({}),
        json!({ "priority": "normal", "topic": "NGSP", "tags": ["a"], "subject": asked["subject"] }),
        json!({ "custom_fields": { "dossier": "A-1", "gone": null }, "external_ref": "REF-1" }),
    ] {
        let unchanged = lan.patch(&path, &same).expect(200);
        assert_eq!(unchanged.header("etag"), Some(first.as_str()), "{same}");
        assert_eq!(app.footprint(), footprint);
    }
    let change = json!({
        "subject": "Kết nối mới", "external_ref": null, "tags": null, "topic": null,
        "custom_fields": { "dossier": null, "unit": "Sở", "ok": true },
    });
    let changed = lan.with("If-Match", &first).patch(&path, &change).expect(200);
    assert_eq!(
        changed.body["custom_fields"],
        json!({ "pages": 3, "unit": "Sở", "ok": true })
    );
    assert_eq!(
        (&changed.body["tags"], &changed.body["topic"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(
        (&changed.body["external_ref"], &changed.body["subject"]),
        (&Value::Null, &json!("Kết nối mới"))
    );
    let stale = lan
        .with("If-Match", &first)
        .patch(&path, &json!({ "priority": "low" }))
        .expect(412);
    assert_eq!(stale.problem(), "precondition-failed");
    let key = lan.with("Idempotency-Key", "k-1");
    let once = key.patch(&path, &json!({ "priority": "high" })).expect(200);
    let again = key.patch(&path, &json!({ "priority": "high" })).expect(200);
    assert_eq!(
        (once.text, again.header("Idempotency-Replayed")),
        (again.text.clone(), Some("true"))
    );
}

#[test]
fn a_wrong_change_names_its_fields_and_changes_nothing() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    let footprint = app.footprint();
    let many: serde_json::Map<_, _> = (0..51).map(|n| (format!("n{n}"), json!(n))).collect();
    for (change, pointer, code) in [
        (json!({ "subject": null }), "/subject", "wrong_type"),
        (json!({ "subject": "" }), "/subject", "too_short"),
        (json!({ "subject": "a\nb" }), "/subject", "control_character"),
        (json!({ "priority": "now" }), "/priority", "out_of_range"),
        (json!({ "topic": "NONE" }), "/topic", "unknown_code"),
        (json!({ "tags": ["a", "a"] }), "/tags", "duplicate"),
        (json!({ "tags": "a" }), "/tags", "wrong_type"),
        (
            json!({ "custom_fields": { "a": [] } }),
            "/custom_fields/a",
            "wrong_type",
        ),
        (json!({ "custom_fields": many }), "/custom_fields", "out_of_range"),
        (json!({ "organisation": "H57" }), "/organisation", "not_allowed"),
        (json!({ "queue": "security" }), "/queue", "unknown_field"),
        (json!({ "state": "closed" }), "/state", "unknown_field"),
        (json!({ "external_ref": "" }), "/external_ref", "too_short"),
    ] {
        let refused = lan.patch(&path, &change).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(pointer.to_owned(), code.to_owned())],
            "{change}"
        );
    }
    let unknown = app
        .supervisor()
        .patch(&path, &json!({ "organisation": "H99" }))
        .expect(422);
    assert_eq!(
        unknown.field_errors(),
        [("/organisation".to_owned(), "unknown_code".to_owned())]
    );
    lan.patch(&path, &json!([])).expect(422);
    assert_eq!(app.footprint(), footprint);
    lan.call(&format!("{path}/claim")).expect(200);
    post(
        &lan,
        &path,
        "cancel",
        &json!({ "reason": "Không thuộc phạm vi." }),
    );
    let over = lan.patch(&path, &json!({ "priority": "low" })).expect(409);
    assert_eq!(over.problem(), "wrong-transition");
}

#[test]
fn a_priority_for_which_nothing_is_promised_takes_no_due_away_and_asks_no_other_policy() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let path = path_of(&file(&hue));
    let before = sup.get(&path).expect(200).body;
    // It would be for the question now, and promises nothing at `urgent`.
    with_policy(
        &app,
        "later",
        json!({ "conditions": {}, "targets": { "resolution": { "normal": { "business_minutes": 60 } } } }),
    );
    for priority in ["urgent", "normal"] {
        sup.patch(&path, &json!({ "priority": priority })).expect(200);
    }
    let after = sup.get(&path).expect(200).body;
    assert_eq!(after["clocks"], before["clocks"]);
    // Another topic does ask, and what the newly chosen policy does not name stays as it was.
    let moved = sup
        .patch(&path, &json!({ "topic": null, "priority": "urgent" }))
        .expect(200);
    for (target, due) in [("first_response", "due_at"), ("resolution", "due_at")] {
        assert_eq!(
            clock(&moved.body, target)[due],
            clock(&before, target)[due],
            "{target}"
        );
    }
}

#[test]
fn a_lower_priority_while_the_question_is_answered_sheds_no_breach_when_it_is_reopened() {
    let app = TestApp::start();
    let (hue, lan, sup) = (
        app.organisation("H57"),
        app.agent("lan", &["technology"]),
        app.supervisor(),
    );
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-12-16T09:00:00+07:00").settle();
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    post(&lan, &path, "resolve", &answer);
    sup.patch(&path, &json!({ "priority": "low" })).expect(200);
    let reopened = post(&hue, &path, "reopen", &json!({ "reason": "Chưa rõ." }));
    let cycles: Vec<&Value> = reopened["clocks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|clock| clock["target"] == "resolution")
        .collect();
    assert_eq!(cycles.len(), 2);
    for cycle in &cycles {
        assert_eq!(
            (&cycle["state"], &cycle["due_at"]),
            (&json!("breached"), &cycles[0]["due_at"])
        );
    }
}
