//! What a new version of a policy would do to open tickets: foretold, and then done.
use serde_json::{Value, json};

use crate::support::desk::{agreement, events, path_of, policy};
use crate::support::{Client, TestApp, file, question};

const HUE: &str = "/api/v1/sla-policies/hue";
const PREVIEW: &str = "/api/v1/sla-policies/hue/preview";

/// Numbers with their moves, page by page.
fn foretold(admin: &Client, body: &Value) -> (Value, Vec<(String, Value)>) {
    let mut asked = body.clone();
    asked["limit"] = json!(4);
    let first = admin.post(PREVIEW, &asked).expect(200).body;
    let (summary, mut page, mut moves) = (first["summary"].clone(), first, Vec::new());
    loop {
        for ticket in page["tickets"]["items"].as_array().unwrap() {
            moves.push((
                ticket["number"].as_str().unwrap().to_owned(),
                ticket["clocks"].clone(),
            ));
        }
        if page["tickets"]["next_cursor"].is_null() {
            return (summary, moves);
        }
        asked["cursor"] = page["tickets"]["next_cursor"].clone();
        page = admin.post(PREVIEW, &asked).expect(200).body;
        assert_eq!(page["summary"], Value::Null);
    }
}

/// Numbers with the moves that their histories tell of this version.
fn done(admin: &Client, paths: &[String], version: i64) -> Vec<(String, Value)> {
    let mut moves = Vec::new();
    for path in paths {
        for event in events(admin, path) {
            if event["kind"] == "due_moved" && event["data"]["version"] == version {
                let number = path.rsplit('/').next().unwrap().to_owned();
                moves.push((number, event["data"]["clocks"].clone()));
            }
        }
    }
    moves
}

/// Questions of one policy in every state: waiting, held, answered, late, urgent, closed.
fn many_questions(app: &TestApp, admin: &Client) -> Vec<String> {
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let mut paths = Vec::new();
    for (day, hour) in [(18, 9), (19, 16), (20, 10), (21, 14), (22, 8)] {
        app.at(&format!("2019-11-{day}T{hour:02}:10:00+07:00"));
        for kind in 0..5 {
            let mut asked = question();
            asked["priority"] = json!(["normal", "urgent", "normal", "low", "normal"][kind]);
            let path = path_of(&hue.post("/api/v1/tickets", &asked).expect(201).body);
            if kind > 0 {
                lan.call(&format!("{path}/claim")).expect(200);
            }
            if kind == 2 {
                lan.post(&format!("{path}/wait"), &json!({ "message": "Bổ sung." }))
                    .expect(200);
            }
            if kind == 4 {
                let answer = json!({ "outcome": "answered", "message": "Trả lời." });
                lan.post(&format!("{path}/resolve"), &answer).expect(200);
            }
            paths.push(path);
        }
        if day == 20 {
            // From here on an agreement takes the place of the policy's first response.
            let begins = agreement("H57", "2019-11-21");
            admin.post("/api/v1/agreements", &begins).expect(201);
            app.settle();
        }
    }
    paths
}

#[test]
fn what_a_preview_of_a_policy_says_is_what_its_new_version_does_to_open_tickets() {
    let app = TestApp::start();
    let admin = app.admin();
    let mut body = policy("hue", 10, json!({ "organisation": ["H57"] }));
    body["targets"]["resolution"]["low"] = json!({ "business_days": 6 });
    body["targets"]["resolution"]["urgent"] = json!({ "business_minutes": 600 });
    admin.post("/api/v1/sla-policies", &body).expect(201);
    let paths = many_questions(&app, &admin);
    app.at("2019-11-22T15:00:00+07:00");
    let own_hours = json!({
        "code": "own-hours",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": {
            "mon": [["08:00", "12:00"]], "tue": [["08:00", "12:00"]], "sat": [["08:00", "12:00"]] } }],
    });
    admin.post("/api/v1/calendars", &own_hours).expect(201);
    let (mut version, mut moved_at_all) = (1, 0);
    for (member, value) in [
        (
            "targets",
            json!({ "first_response": { "normal": { "business_minutes": 2400 } },
                    "resolution": { "normal": { "business_days": 9 }, "low": { "calendar_days": 12 } } }),
        ),
        ("warn_at_percent", json!([30])),
        ("calendar", json!("own-hours")),
        (
            "targets",
            json!({ "first_response": { "normal": { "business_minutes": 30 } },
                    "resolution": { "normal": { "business_minutes": 600 }, "low": { "business_days": 1 } } }),
        ),
        ("pauses", json!({ "assigned": ["resolution"] })),
    ] {
        body[member] = value;
        let before = app.footprint();
        let (summary, told) = foretold(&admin, &body);
        assert_eq!(app.footprint(), before, "a preview changes nothing");
        let mut applied = body.clone();
        applied["applies_to_open"] = json!(true);
        let seen = format!("\"{version}\"");
        admin.with("If-Match", &seen).put(HUE, &applied).expect(200);
        version += 1;
        app.settle();
        assert_eq!(told, done(&admin, &paths, version), "{member}");
        let figure = |name: &str| summary[name].as_u64().unwrap();
        let moves = told.iter().map(|(_, clocks)| clocks.as_array().unwrap().len());
        let moves: usize = moves.sum();
        assert!(figure("open_clocks") >= moves as u64, "{member}: {summary}");
        assert!(
            (figure("moved_earlier") + figure("moved_later")) as usize <= moves,
            "{member}"
        );
        moved_at_all += moves;
        app.app
            .clock
            .set(app.app.clock.now() + chrono::TimeDelta::minutes(95));
    }
    assert!(moved_at_all > 30, "{moved_at_all}");
}

#[test]
fn a_preview_is_of_the_version_that_the_caller_saw_and_of_a_policy_that_could_be_stored() {
    let app = TestApp::start();
    let admin = app.admin();
    let mut body = policy("hue", 10, json!({ "organisation": ["H57"] }));
    admin.post("/api/v1/sla-policies", &body).expect(201);
    file(&app.organisation("H57"));
    let with = |member: &str, value: Value| {
        let mut body = body.clone();
        body[member] = value;
        body
    };
    admin.with("If-Match", "\"1\"").post(PREVIEW, &body).expect(200);
    admin.with("If-Match", "\"2\"").post(PREVIEW, &body).expect(412);
    admin.post(PREVIEW, &with("base_version", json!(2))).expect(412);
    for (member, value, code) in [
        ("calendar", json!("none"), "unknown_code"),
        ("precedence", json!(-1), "out_of_range"),
        ("code", json!("another"), "not_allowed"),
        ("applies_to_open", json!(false), "not_allowed"),
        ("cursor", json!("x"), "invalid_cursor"),
        ("limit", json!(0), "out_of_range"),
        ("conditions", json!({ "organisation": ["H99"] }), "unknown_code"),
    ] {
        let refused = admin.post(PREVIEW, &with(member, value)).expect(422);
        let (pointer, found) = refused.field_errors().remove(0);
        assert!(pointer.starts_with(&format!("/{member}")), "{pointer}");
        assert_eq!(found, code, "{member}");
    }
    let both = admin
        .with("If-Match", "\"1\"")
        .post(PREVIEW, &with("base_version", json!(2)))
        .expect(422);
    assert_eq!(both.field_errors()[0].0, "/base_version");
    // A page is asked of a preview only, and only what is stored needs a reason.
    for member in ["base_version", "cursor", "limit"] {
        let value = if member == "cursor" { json!("x") } else { json!(1) };
        let given = with(member, value);
        let refused = admin.with("If-Match", "*").put(HUE, &given).expect(422);
        let expected = [(format!("/{member}"), "unknown_field".to_owned())];
        assert_eq!(refused.field_errors(), expected);
    }
    body.as_object_mut().unwrap().remove("reason");
    admin.post(PREVIEW, &body).expect(200);
    let refused = admin.with("If-Match", "*").put(HUE, &body).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/reason".to_owned(), "required".to_owned())]
    );
    let reason = json!({ "reason": "Hết thời gian thí điểm." });
    admin.post(&format!("{HUE}/retire"), &reason).expect(200);
    admin.post(PREVIEW, &body).expect(409);
    admin.post("/api/v1/sla-policies/none/preview", &body).expect(404);
}
