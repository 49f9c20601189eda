//! What changes while a ticket is open keeps what was consumed and paused to the second: changes of the ticket itself,
//! escalations, and what the asker of a late question is told.
use serde_json::{Value, json};

use crate::support::app::instant;
use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::policies::{file_tagged, with_policy, with_policy_on};
use crate::support::{Client, TestApp, file, question};

fn resolution(minutes: u32) -> Value {
    let amount = json!({ "business_minutes": minutes });
    json!({ "resolution": { "low": amount, "normal": amount, "high": amount, "urgent": amount } })
}

fn post(client: &Client, path: &str, operation: &str, body: &Value) -> Value {
    client.post(&format!("{path}/{operation}"), body).expect(200).body
}

fn say(client: &Client, path: &str) {
    client
        .post(&format!("{path}/messages"), &json!({ "body": "Trao đổi thêm." }))
        .expect(201);
}

/// Claimed on Monday at 8, two hours used, waiting for a day (eight hours), one hour more used: Tuesday at 11.
fn three_hours_used(app: &TestApp, hue: &Client, lan: &Client, tags: &[&str]) -> String {
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(hue, tags));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-11-25T10:00:00+07:00");
    post(lan, &path, "wait", &json!({ "message": "Đề nghị bổ sung." }));
    app.at("2019-11-26T10:00:00+07:00");
    say(hue, &path);
    app.at("2019-11-26T11:00:00+07:00");
    path
}

/// Two of them where the change wins: twenty hours go over to ten.
fn twenty_to_ten(condition: Value) -> (TestApp, Client, Client, String) {
    let app = TestApp::start();
    with_policy(&app, "before", json!({ "targets": resolution(1200) }));
    with_policy(
        &app,
        "after",
        json!({ "targets": resolution(600), "conditions": condition, "precedence": 5 }),
    );
    let (hue, lan) = (
        app.organisation("H57"),
        app.agent("lan", &["technology", "security"]),
    );
    let path = three_hours_used(&app, &hue, &lan, &["before"]);
    (app, hue, lan, path)
}

#[track_caller]
fn has_seven_hours_left(ticket: &Value) {
    let clock = clock(ticket, "resolution");
    assert_eq!(clock["remaining_business_seconds"], 7 * 3600);
    assert_eq!(clock["due_at"], "2019-11-27T03:00:00Z");
    assert_eq!(clock["started_at"], "2019-11-25T01:00:00Z");
}

#[test]
fn a_change_of_topic_keeps_what_was_consumed_and_paused_and_does_not_move_the_queue() {
    let (_app, _, lan, path) = twenty_to_ten(json!({ "topic": ["VNEID"] }));
    let topics = lan.get("/api/v1/topics?limit=200").expect(200).body;
    let other = topics["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|topic| topic["queue"]["code"] != "technology")
        .unwrap()["code"]
        .clone();
    // Another policy only where the topic is the one that it is for.
    let kept = lan.patch(&path, &json!({ "topic": null })).expect(200).body;
    assert_eq!(
        clock(&kept, "resolution")["remaining_business_seconds"],
        17 * 3600
    );
    let (_app, _, lan, path) = twenty_to_ten(json!({ "topic": [other] }));
    let changed = lan.patch(&path, &json!({ "topic": other })).expect(200).body;
    assert_eq!(
        (&changed["topic"]["code"], &changed["queue"]["code"]),
        (&other, &json!("technology"))
    );
    has_seven_hours_left(&changed);
    let told = events(&lan, &path);
    let change = told
        .iter()
        .find(|event| event["kind"] == "ticket_changed")
        .unwrap();
    assert_eq!(
        change["data"]["changes"]["topic"],
        json!({ "from": "NGSP", "to": other })
    );
    let moved = told.iter().find(|event| event["kind"] == "due_moved").unwrap();
    assert_eq!(moved["data"]["policy"], "after");
}

#[test]
fn a_change_of_queue_keeps_what_was_consumed_and_paused() {
    let (_app, _, lan, path) = twenty_to_ten(json!({ "queue": ["security"] }));
    let body = json!({ "queue": "security", "reason": "Đúng nhóm hơn." });
    has_seven_hours_left(&post(&lan, &path, "transfer", &body));
}

#[test]
fn a_change_of_organisation_keeps_what_was_consumed_and_paused_and_takes_the_asker_along() {
    let (app, hue, lan, path) = twenty_to_ten(json!({ "organisation": ["H26"] }));
    let refused = lan.patch(&path, &json!({ "organisation": "H26" })).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/organisation".to_owned(), "not_allowed".to_owned())]
    );
    let sup = app.supervisor();
    let changed = sup
        .patch(&path, &json!({ "organisation": "H26" }))
        .expect(200)
        .body;
    has_seven_hours_left(&changed);
    assert_eq!(changed["requester"]["email"], "lan@hue.example");
    hue.get(&path).expect(404);
    let seen = app.organisation("H26").get(&path).expect(200).body;
    assert_eq!(seen["organisation"]["code"], "H26");
}

#[test]
fn a_change_of_organisation_brings_the_new_ones_agreement() {
    let app = TestApp::start();
    with_policy(&app, "before", json!({ "targets": resolution(1200) }));
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.sql(
        "INSERT INTO agreements (uid, organisation_id, name_vi, name_en, targets, valid_from, author, created_at, updated_at, version) \
         SELECT '00000000-0000-7000-8000-00000000000a', id, 'Thỏa thuận', 'Agreement', \
         '{\"resolution\": {\"normal\": {\"business_minutes\": 600}}}', '2019-01-01', 'test', \
         '2019-01-01T00:00:00.000000Z', '2019-01-01T00:00:00.000000Z', 1 FROM organisations WHERE code = 'H26'",
    );
    let path = three_hours_used(&app, &hue, &lan, &["before"]);
    let body = json!({ "organisation": "H26" });
    has_seven_hours_left(&app.supervisor().patch(&path, &body).expect(200).body);
}

#[test]
fn a_policy_with_another_calendar_keeps_what_was_consumed_by_the_old_hours() {
    let app = TestApp::start();
    with_policy(&app, "before", json!({ "targets": resolution(1200) }));
    let calendar = json!({
        "code": "mornings",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": {
            "mon": [["08:00", "12:00"]], "tue": [["08:00", "12:00"]], "wed": [["08:00", "12:00"]],
            "thu": [["08:00", "12:00"]], "fri": [["08:00", "12:00"]],
        } }],
    });
    app.admin().post("/api/v1/calendars", &calendar).expect(201);
    with_policy_on(
        &app,
        "mornings",
        "mornings",
        json!({ "targets": resolution(600), "precedence": 5 }),
    );
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = three_hours_used(&app, &hue, &lan, &["before"]);
    let changed = lan
        .patch(&path, &json!({ "tags": ["mornings"] }))
        .expect(200)
        .body;
    let clock = clock(&changed, "resolution");
    assert_eq!(clock["remaining_business_seconds"], 7 * 3600);
    // One hour on Tuesday, four on Wednesday, two on Thursday.
    assert_eq!(clock["due_at"], "2019-11-28T03:00:00Z");
}

#[test]
fn who_waits_for_an_answer_when_a_next_response_is_promised_gets_its_clock_from_then_on() {
    let app = TestApp::start();
    let resolution = json!({ "normal": { "business_minutes": 1200 } });
    with_policy(&app, "before", json!({ "targets": { "resolution": resolution } }));
    let next = json!({ "normal": { "business_minutes": 120 } });
    let targets = json!({ "resolution": resolution, "next_response": next });
    with_policy(&app, "after", json!({ "targets": targets, "precedence": 5 }));
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let change = json!({ "tags": ["after"] });
    let next_responses = |path: &str| {
        let ticket = hue.get(path).expect(200).body;
        let clocks = ticket["clocks"].as_array().unwrap().iter();
        let next = clocks.filter(|clock| clock["target"] == "next_response");
        next.map(|clock| (clock["started_at"].clone(), clock["state"].clone()))
            .collect::<Vec<_>>()
    };
    for (last_word, waits) in [
        ("asker", true),
        ("reopened", true),
        ("centre", false),
        ("nobody", false),
    ] {
        app.at("2019-11-25T08:00:00+07:00");
        let path = path_of(&file_tagged(&hue, &["before"]));
        lan.call(&format!("{path}/claim")).expect(200);
        app.at("2019-11-25T09:00:00+07:00");
        match last_word {
            "asker" => say(&hue, &path),
            "reopened" => {
                post(
                    &lan,
                    &path,
                    "resolve",
                    &json!({ "outcome": "answered", "message": "Xong." }),
                );
                post(&hue, &path, "reopen", &json!({ "reason": "Chưa rõ." }));
            }
            "centre" => {
                say(&hue, &path);
                say(&lan, &path);
            }
            _ => {}
        }
        assert!(next_responses(&path).is_empty());
        app.at("2019-11-25T10:00:00+07:00");
        lan.patch(&path, &change).expect(200);
        let expected = [(json!("2019-11-25T03:00:00Z"), json!("running"))];
        match waits {
            true => assert_eq!(next_responses(&path), expected, "{last_word}"),
            false => assert!(next_responses(&path).is_empty(), "{last_word}"),
        }
    }
}

#[test]
fn a_breach_that_was_noticed_stands_whatever_becomes_of_the_ticket() {
    let (app, _, lan, path) = twenty_to_ten(json!({ "tag": ["none"] }));
    app.at("2019-12-05T09:00:00+07:00").settle();
    let before = clock(&lan.get(&path).expect(200).body, "resolution").clone();
    assert_eq!(before["state"], "breached");
    for change in [json!({ "priority": "low" }), json!({ "tags": ["none"] })] {
        let changed = lan.patch(&path, &change).expect(200).body;
        assert_eq!(clock(&changed, "resolution"), &before);
    }
}

#[test]
fn what_is_paused_in_a_state_other_than_waiting_stays_paused_through_a_change() {
    let app = TestApp::start();
    with_policy(
        &app,
        "held",
        json!({
            "targets": { "resolution": {
                "normal": { "business_minutes": 1200 }, "high": { "business_minutes": 600 },
            } },
            "pauses": { "queued": ["resolution"] },
        }),
    );
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(&hue, &["held"]));
    app.at("2019-11-25T12:00:00+07:00");
    let changed = lan.patch(&path, &json!({ "priority": "high" })).expect(200).body;
    let held = clock(&changed, "resolution");
    assert_eq!(
        (&held["state"], &held["due_at"]),
        (&json!("paused"), &Value::Null)
    );
    assert_eq!(held["remaining_business_seconds"], 10 * 3600);
    let moved = events(&lan, &path).pop().unwrap();
    assert_eq!(moved["kind"], "due_moved");
    assert_eq!(moved["data"]["clocks"][0]["remaining_from"], 20 * 3600);
}

#[test]
fn several_thresholds_warn_once_each_at_their_own_time() {
    for awake in [true, false] {
        let app = TestApp::start();
        with_policy(
            &app,
            "steps",
            json!({
                "targets": resolution(600), "warn_at_percent": [50, 75, 90],
            }),
        );
        let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
        app.at("2019-11-25T08:00:00+07:00");
        let path = path_of(&file_tagged(&hue, &["steps"]));
        lan.call(&format!("{path}/claim")).expect(200);
        for at in [
            "2019-11-25T14:30:00+07:00",
            "2019-11-25T17:00:00+07:00",
            "2019-11-26T09:30:00+07:00",
        ] {
            app.at(at);
            if awake {
                app.settle().settle();
            }
        }
        app.settle();
        let warned: Vec<(Value, Value)> = events(&lan, &path)
            .iter()
            .filter(|event| event["kind"] == "clock_warning")
            .map(|event| (event["data"]["percent"].clone(), event["at"].clone()))
            .collect();
        let expected = [
            (50, "2019-11-25T07:30:00Z"),
            (75, "2019-11-25T10:00:00Z"),
            (90, "2019-11-26T02:00:00Z"),
        ]
        .map(|(percent, at)| (json!(percent), json!(at)));
        assert_eq!(warned, expected);
        let mails = mails_about(&app, "lan@centre.example");
        assert_eq!(mails.len(), if awake { 3 } else { 1 }, "{mails:?}");
    }
}

/// Subjects of the mails that an address got.
fn mails_about(app: &TestApp, address: &str) -> Vec<String> {
    let mails = app.smtp.received().into_iter();
    let own = mails.filter(|mail| mail.to.iter().any(|to| to == address));
    own.map(|mail| mail.subject).collect()
}

#[test]
fn a_change_is_a_merge_patch_and_one_to_what_is_there_writes_nothing() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let mut asked = question();
    asked["custom_fields"] = json!({ "dossier": "A-1", "pages": 3 });
    asked["external_ref"] = json!("REF-1");
    asked["tags"] = json!(["a"]);
    let filed = hue.post("/api/v1/tickets", &asked).expect(201);
    let (path, first) = (path_of(&filed.body), filed.header("etag").unwrap().to_owned());
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
            "/custom_fields",
            "out_of_range",
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

/// Steps at the half, at three quarters and at the breach, of ten hours that a raised priority makes eight, then six.
fn escalating(app: &TestApp) {
    with_policy(
        app,
        "steps",
        json!({
            "targets": { "resolution": {
                "low": { "business_minutes": 1200 },
                "normal": { "business_minutes": 600 },
                "high": { "business_minutes": 480 },
                "urgent": { "business_minutes": 360 },
            } },
            "warn_at_percent": [50, 75],
            "escalations": [
                { "target": "resolution", "on": "warning", "raise_priority": true },
                {
                    "target": "resolution", "on": "warning", "percent": 75,
                    "notify": ["admins", "assignee"], "transfer": "nowhere",
                },
                {
                    "target": "resolution", "on": "breach",
                    "transfer": "standing", "notify": ["queue_members"], "raise_priority": true,
                },
            ],
        }),
    );
}

fn escalations(client: &Client, path: &str) -> Vec<Value> {
    let escalated = |event: &Value| event["kind"] == "ticket_escalated";
    events(client, path).into_iter().filter(escalated).collect()
}

/// How a ticket ends up that nobody looked at, noticed each hour, at the end, or by whoever came by.
fn escalated(noticed: &str) -> (Value, Vec<Value>, Vec<String>) {
    let app = TestApp::start();
    escalating(&app);
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.agent("minh", &["standing"]);
    let sup = app.supervisor();
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(&hue, &["steps"]));
    lan.call(&format!("{path}/claim")).expect(200);
    let end = instant("2019-11-27T09:00:00+07:00");
    while noticed == "hourly" && app.app.clock.now() < end {
        app.app
            .clock
            .set(app.app.clock.now() + chrono::TimeDelta::hours(1));
        app.settle();
    }
    app.app.clock.set(end);
    if noticed == "in passing" {
        sup.post(&format!("{path}/notes"), &json!({ "body": "Xem lại." }))
            .expect(201);
    }
    app.settle();
    let told = events(&sup, &path)
        .into_iter()
        .filter(|event| event["kind"] != "note_posted")
        .map(|event| json!([event["kind"], event["at"], event["actor"]["kind"], event["data"]]))
        .filter(|event| event[0] != "ticket_claimed")
        .collect();
    let mut ticket = sup.get(&path).expect(200).body;
    for changing in ["id", "status_link", "updated_at"] {
        ticket.as_object_mut().unwrap().remove(changing);
    }
    (ticket, told, mails_about(&app, "minh@centre.example"))
}

#[test]
fn escalations_take_effect_when_they_came_true_whoever_notices_them() {
    let (ticket, told, to_standing) = escalated("hourly");
    assert_eq!(
        (&ticket["priority"], &ticket["queue"]["code"]),
        (&json!("urgent"), &json!("standing"))
    );
    assert_eq!(
        (&ticket["state"], &ticket["assignee"]),
        (&json!("queued"), &Value::Null)
    );
    // Raised at five hours of ten, at 14:30: eight hours are up on Monday at 17:30.
    let clock = clock(&ticket, "resolution");
    assert_eq!(
        (&clock["state"], &clock["breached_at"]),
        (&json!("breached"), &json!("2019-11-25T10:30:00Z"))
    );
    let steps: Vec<&Value> = told
        .iter()
        .filter(|event| event[0] == "ticket_escalated")
        .collect();
    let taken: Vec<(&Value, &Value, &Value)> = steps
        .iter()
        .map(|event| (&event[1], &event[3]["percent"], &event[3]["step"]))
        .collect();
    assert_eq!(
        taken,
        [
            (&json!("2019-11-25T07:30:00Z"), &json!(50), &json!(1)),
            (&json!("2019-11-25T08:30:00Z"), &json!(75), &json!(2)),
            (&json!("2019-11-25T10:30:01Z"), &json!(100), &json!(3)),
        ]
        .map(|(at, percent, step)| (at, percent, step)),
        "{told:#?}"
    );
    assert_eq!(steps[1][3]["unknown_queue"], "nowhere");
    assert_eq!(to_standing.len(), 1, "the breach, once: {to_standing:?}");
    for other in ["at the end", "in passing"] {
        let (same, told_then, to_standing_then) = escalated(other);
        assert_eq!(told_then, told, "{other}");
        assert_eq!(same, ticket, "{other}");
        assert_eq!(to_standing_then, to_standing, "{other}");
    }
}

#[test]
fn the_asker_does_not_see_escalations_and_no_clock_escalates_twice() {
    let app = TestApp::start();
    escalating(&app);
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(&hue, &["steps"]));
    app.at("2019-11-25T14:30:00+07:00").settle();
    assert_eq!(escalations(&lan, &path).len(), 1);
    // Longer again, so that the half lies ahead once more: it warns, and nothing is done twice.
    lan.patch(&path, &json!({ "priority": "low" })).expect(200);
    app.at("2019-11-26T10:00:00+07:00").settle();
    let warned = kinds(&lan, &path);
    assert_eq!(warned.iter().filter(|kind| *kind == "clock_warning").count(), 2);
    assert_eq!(escalations(&lan, &path).len(), 1);
    assert_eq!(lan.get(&path).expect(200).body["priority"], "low");
    assert!(escalations(&hue, &path).is_empty());
    let seen = events(&hue, &path);
    assert!(
        seen.iter().all(|event| event["data"].get("reason").is_none()),
        "{seen:#?}"
    );
    // Answered in time: a stopped clock escalates nothing.
    let other = path_of(&file_tagged(&hue, &["steps"]));
    lan.call(&format!("{other}/claim")).expect(200);
    post(
        &lan,
        &other,
        "resolve",
        &json!({ "outcome": "answered", "message": "Xong." }),
    );
    app.at("2019-12-20T09:00:00+07:00").settle();
    assert!(escalations(&lan, &other).is_empty());
}

#[test]
fn an_escalation_moves_a_waiting_ticket_and_whoever_lost_it_finds_it_gone() {
    let app = TestApp::start();
    with_policy(
        &app,
        "move",
        json!({
            "targets": resolution(60),
            "pauses": {},
            "escalations": [{ "target": "resolution", "on": "breach", "transfer": "standing" }],
        }),
    );
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let minh = app.agent("minh", &["standing"]);
    app.at("2019-11-25T08:00:00+07:00");
    let waiting = path_of(&file_tagged(&hue, &["move"]));
    let assigned = path_of(&file_tagged(&hue, &["move"]));
    let queued = path_of(&file_tagged(&hue, &["move"]));
    for path in [&waiting, &assigned] {
        lan.call(&format!("{path}/claim")).expect(200);
    }
    post(&lan, &waiting, "wait", &json!({ "message": "Đề nghị bổ sung." }));
    app.at("2019-11-25T10:00:00+07:00");
    // No worker has been by: whoever comes first finds that it was taken away.
    lan.post(
        &format!("{assigned}/resolve"),
        &json!({ "outcome": "answered", "message": "Xong." }),
    )
    .expect(404);
    lan.call("/api/v1/queues/technology/next").expect(204);
    let moved = minh.get(&queued).expect(200).body;
    assert_eq!(
        (&moved["queue"]["code"], &moved["state"]),
        (&json!("standing"), &json!("queued"))
    );
    app.settle();
    lan.get(&assigned).expect(404);
    let moved = minh.get(&waiting).expect(200).body;
    assert_eq!(
        (&moved["state"], &moved["queue"]["code"]),
        (&json!("waiting"), &json!("standing"))
    );
    assert_eq!(moved["assignee"], Value::Null);
    // The reply finds nobody who works on it: it waits to be taken.
    say(&hue, &waiting);
    let back = minh.get(&waiting).expect(200).body;
    assert_eq!(back["state"], "queued");
    minh.call(&format!("{waiting}/claim")).expect(200);
}

fn apologies(app: &TestApp) -> usize {
    mails_about(app, "lan@hue.example")
        .iter()
        .filter(|subject| subject.contains("hẹn lại"))
        .count()
}

fn updates(client: &Client, path: &str) -> Vec<(String, u64, String)> {
    events(client, path)
        .iter()
        .filter(|event| event["kind"] == "status_updated")
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let data = &event["data"];
            (
                text(&event["at"]),
                data["number"].as_u64().unwrap(),
                text(&data["promised_for"]),
            )
        })
        .collect()
}

#[test]
fn the_asker_of_a_late_question_is_told_at_the_breach_and_every_seven_days() {
    for awake in [true, false] {
        let app = TestApp::start();
        let other = app.replica();
        let hue = app.organisation("H57");
        let path = path_of(&file(&hue));
        for at in [
            "2019-11-29T17:30:00+07:00",
            "2019-11-29T17:30:01+07:00",
            "2019-12-06T23:59:59+07:00",
            "2019-12-07T00:00:00+07:00",
            "2019-12-15T12:00:00+07:00",
        ] {
            app.at(at);
            if awake {
                crate::support::threads::at_once(4, |number| {
                    crate::support::app::block_on([&app, &other][number % 2].app.settle()).unwrap()
                });
            }
        }
        app.settle();
        let told = updates(&hue, &path);
        let expected = [
            ("2019-11-29T10:30:00Z", 1, "2019-12-06T17:00:00Z"),
            ("2019-12-06T17:00:00Z", 2, "2019-12-13T17:00:00Z"),
            ("2019-12-13T17:00:00Z", 3, "2019-12-20T17:00:00Z"),
        ]
        .map(|(at, number, until)| (at.to_owned(), number, until.to_owned()));
        assert_eq!(told, expected);
        assert_eq!(
            apologies(&app),
            if awake { 3 } else { 1 },
            "the latest of those that come at once"
        );
    }
}

#[test]
fn nobody_is_told_anything_while_the_asker_is_waited_for_or_when_it_is_over() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-12-02T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    post(&lan, &path, "wait", &json!({ "message": "Đề nghị bổ sung." }));
    app.at("2019-12-10T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1, "we wait for them, not they for us");
    say(&hue, &path);
    app.at("2019-12-13T23:59:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    app.at("2019-12-14T00:00:00+07:00").settle();
    assert_eq!(
        updates(&hue, &path)[1].0,
        "2019-12-13T17:00:00Z",
        "the dates keep their places"
    );
    post(
        &lan,
        &path,
        "resolve",
        &json!({ "outcome": "answered", "message": "Xong." }),
    );
    app.at("2019-12-22T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 2);
}

#[test]
fn a_late_question_that_comes_back_goes_on_being_apologised_for() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-12-02T09:00:00+07:00").settle();
    post(
        &lan,
        &path,
        "resolve",
        &json!({ "outcome": "answered", "message": "Xong." }),
    );
    app.at("2019-12-04T09:00:00+07:00");
    post(&hue, &path, "reopen", &json!({ "reason": "Chưa rõ." }));
    app.settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    app.at("2019-12-07T00:00:00+07:00").settle();
    assert_eq!(
        updates(&hue, &path)[1],
        (
            "2019-12-06T17:00:00Z".to_owned(),
            2,
            "2019-12-13T17:00:00Z".to_owned()
        )
    );
    post(&lan, &path, "cancel", &json!({ "reason": "Trùng." }));
    app.at("2019-12-30T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 2);
}

#[test]
fn without_an_address_it_is_recorded_and_not_sent() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let mut asked = question();
    asked["requester"] = json!({ "name": "Trần Thị Lan" });
    let path = path_of(&hue.post("/api/v1/tickets", &asked).expect(201).body);
    app.at("2019-12-02T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    let to_asker = |mail: &crate::support::mail::ReceivedMail| mail.subject.contains("hẹn lại");
    assert!(!app.smtp.received().iter().any(to_asker));
}

#[test]
fn a_target_made_shorter_than_what_is_used_up_breaks_and_is_apologised_for_now() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    app.at("2019-11-28T09:00:00+07:00").settle();
    let changed = lan
        .patch(&path, &json!({ "priority": "urgent" }))
        .expect(200)
        .body;
    // One business day after the Friday of filing.
    assert_eq!(
        clock(&changed, "resolution")["breached_at"],
        "2019-11-25T10:30:00Z"
    );
    app.settle();
    assert_eq!(
        updates(&hue, &path),
        [(
            "2019-11-28T02:00:00Z".to_owned(),
            1,
            "2019-12-02T17:00:00Z".to_owned()
        )]
    );
    assert_eq!(apologies(&app), 1);
    assert!(kinds(&lan, &path).iter().any(|kind| kind == "due_moved"));
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
