//! What changes while a ticket is open keeps what was consumed and paused to the second.
use serde_json::{Value, json};

use crate::support::desk::{clock, events, path_of};
use crate::support::policies::{file_tagged, with_policy, with_policy_on};
use crate::support::{Client, TestApp};

mod escalations;
mod patches;
mod status_updates;

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

/// Subjects of the mails that an address got.
fn mails_about(app: &TestApp, address: &str) -> Vec<String> {
    let mails = app.smtp.received().into_iter();
    let own = mails.filter(|mail| mail.to.iter().any(|to| to == address));
    own.map(|mail| mail.subject).collect()
}
