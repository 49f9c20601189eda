//! Rules that other desks get wrong, each through the API under the name of what must not happen here. Those of the bare
//! arithmetic are in `src/sla/tests` too.
use serde_json::{Value, json};

use crate::support::desk::{clock, kinds, path_of};
use crate::support::policies::{file_tagged, with_policy, with_policy_on};
use crate::support::{Client, TestApp, file};

const WEEKDAY: [[&str; 2]; 2] = [["08:00", "12:00"], ["13:30", "17:30"]];

/// One target for every priority, in minutes.
fn minutes(low: u32, normal: u32, high: u32, urgent: u32) -> Value {
    json!({
        "low": { "business_minutes": low },
        "normal": { "business_minutes": normal },
        "high": { "business_minutes": high },
        "urgent": { "business_minutes": urgent },
    })
}

fn say(client: &Client, path: &str) {
    client
        .post(&format!("{path}/messages"), &json!({ "body": "Trao đổi thêm." }))
        .expect(201);
}

fn ask_back(client: &Client, path: &str) {
    client
        .post(&format!("{path}/wait"), &json!({ "message": "Đề nghị bổ sung." }))
        .expect(200);
}

fn answer(client: &Client, path: &str) -> Value {
    let body = json!({ "outcome": "answered", "message": "Đã có hướng dẫn." });
    client.post(&format!("{path}/resolve"), &body).expect(200).body
}

/// osTicket #6739: a look-ahead window gave up.
#[test]
fn only_tuesday_is_a_working_day() {
    let app = TestApp::start();
    let calendar = json!({
        "code": "tuesdays",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": { "tue": WEEKDAY } }],
    });
    app.admin().post("/api/v1/calendars", &calendar).expect(201);
    with_policy_on(
        &app,
        "tuesdays",
        "tuesdays",
        json!({ "targets": {
        "first_response": minutes(60, 60, 60, 60),
        "resolution": { "normal": { "business_days": 5 } },
    } }),
    );
    let filed = file_tagged(&app.organisation("H57"), &["tuesdays"]);
    assert_eq!(clock(&filed, "first_response")["due_at"], "2019-11-26T02:00:00Z");
    assert_eq!(clock(&filed, "resolution")["due_at"], "2019-12-24T10:30:00Z");
}

/// django-helpdesk: a holiday made the due earlier.
#[test]
fn a_ticket_filed_during_a_holiday_starts_at_the_next_opening() {
    let due = |at: &str| {
        let app = TestApp::start();
        app.at(at);
        let filed = file(&app.organisation("H57"));
        let due_of = |target| clock(&filed, target)["due_at"].as_str().unwrap().to_owned();
        (due_of("first_response"), due_of("resolution"))
    };
    // National Day was a Monday; the first response has 8 hours.
    let in_holiday = due("2019-09-02T10:00:00+07:00");
    assert_eq!(in_holiday.0, "2019-09-03T10:30:00Z");
    assert_eq!(due("2019-09-03T08:00:00+07:00").0, in_holiday.0);
    assert!(due("2019-08-30T17:30:00+07:00") <= in_holiday);
}

/// GLPI #6902 and #15605: the paused time was counted again.
#[test]
fn priority_or_policy_changes_after_a_pause() {
    for change in [json!({ "priority": "high" }), json!({ "tags": ["other"] })] {
        let app = TestApp::start();
        let targets = json!({ "resolution": minutes(2400, 1200, 600, 300) });
        with_policy(&app, "minutes", json!({ "targets": targets }));
        with_policy(
            &app,
            "other",
            json!({ "targets": { "resolution": minutes(1200, 600, 300, 150) } }),
        );
        let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
        app.at("2019-11-25T08:00:00+07:00");
        let path = path_of(&file_tagged(&hue, &["minutes"]));
        lan.call(&format!("{path}/claim")).expect(200);
        app.at("2019-11-25T10:00:00+07:00");
        ask_back(&lan, &path);
        app.at("2019-11-26T10:00:00+07:00");
        say(&hue, &path);
        app.at("2019-11-26T11:00:00+07:00");
        let before = clock(&lan.get(&path).expect(200).body, "resolution").clone();
        assert_eq!(before["remaining_business_seconds"], 17 * 3600);
        let changed = lan.patch(&path, &change).expect(200).body;
        let after = clock(&changed, "resolution");
        // Three hours are used of ten; eight were a pause.
        assert_eq!(after["remaining_business_seconds"], 7 * 3600, "{change}");
        assert_eq!(after["due_at"], "2019-11-27T03:00:00Z", "{change}");
        assert_eq!(after["started_at"], before["started_at"]);
    }
}

/// Zammad #5177.
#[test]
fn update_target_shorter_than_first_response() {
    let app = TestApp::start();
    with_policy(
        &app,
        "short",
        json!({ "targets": {
        "first_response": minutes(480, 480, 480, 480),
        "next_response": minutes(60, 60, 60, 60),
        "resolution": { "normal": { "business_days": 5 } },
    } }),
    );
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(&hue, &["short"]));
    let targets = |ticket: &Value| -> Vec<String> {
        let clocks = ticket["clocks"].as_array().unwrap().iter();
        clocks
            .map(|clock| clock["target"].as_str().unwrap().to_owned())
            .collect()
    };
    // Who has not been answered at all waits for the first answer, however often they write.
    say(&hue, &path);
    let waiting = lan.get(&path).expect(200).body;
    assert_eq!(targets(&waiting), ["first_response", "resolution"]);
    assert_eq!(
        clock(&waiting, "first_response")["due_at"],
        "2019-11-25T10:30:00Z"
    );
    app.at("2019-11-25T09:00:00+07:00");
    lan.call(&format!("{path}/claim")).expect(200);
    say(&lan, &path);
    app.at("2019-11-25T09:30:00+07:00");
    say(&hue, &path);
    app.at("2019-11-25T09:45:00+07:00");
    say(&hue, &path);
    let asked_again = lan.get(&path).expect(200).body;
    assert_eq!(
        targets(&asked_again),
        ["first_response", "resolution", "next_response"]
    );
    assert_eq!(
        clock(&asked_again, "next_response")["due_at"],
        "2019-11-25T03:30:00Z"
    );
    assert_eq!(clock(&asked_again, "first_response")["state"], "met");
    assert_eq!(
        clock(&asked_again, "first_response")["due_at"],
        "2019-11-25T10:30:00Z"
    );
    assert_eq!(
        clock(&asked_again, "resolution"),
        clock(
            &{
                app.at("2019-11-25T09:45:00+07:00");
                lan.get(&path).expect(200).body
            },
            "resolution"
        )
    );
}

/// Zammad #3140 and Chatwoot #10178: clocks of what was answered went on to break.
#[test]
fn an_agent_has_answered_and_a_ticket_is_resolved() {
    let app = TestApp::start();
    with_policy(
        &app,
        "short",
        json!({ "targets": {
        "first_response": minutes(480, 480, 480, 480),
        "next_response": minutes(60, 60, 60, 60),
        "resolution": { "normal": { "business_days": 5 } },
    } }),
    );
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(&hue, &["short"]));
    lan.call(&format!("{path}/claim")).expect(200);
    say(&lan, &path);
    app.at("2019-11-26T10:00:00+07:00").settle();
    lan.post(&format!("{path}/notes"), &json!({ "body": "Ghi chú." }))
        .expect(201);
    let answered = lan.get(&path).expect(200).body;
    assert_eq!(clock(&answered, "first_response")["state"], "met");
    assert_eq!(
        answered["clocks"].as_array().unwrap().len(),
        2,
        "a note and time start nothing"
    );
    say(&hue, &path);
    app.at("2019-11-26T10:30:00+07:00");
    answer(&lan, &path);
    app.at("2020-01-06T10:00:00+07:00").settle();
    let done = lan.get(&path).expect(200).body;
    let states: Vec<&Value> = done["clocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|clock| &clock["state"])
        .collect();
    assert_eq!(states, ["met", "met", "met"]);
    assert!(
        !kinds(&lan, &path)
            .iter()
            .any(|kind| kind == "clock_breached" || kind == "clock_warning")
    );
}

/// Frappe #2449 and #1554.
#[test]
fn a_hold_set_before_the_first_response() {
    let app = TestApp::start();
    // Here what lies in the queue is held; asking back would be an answer.
    with_policy(
        &app,
        "held",
        json!({
            "targets": { "first_response": minutes(240, 240, 240, 240), "resolution": minutes(480, 480, 480, 480) },
            "pauses": { "queued": ["first_response"], "waiting": ["resolution"] },
        }),
    );
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.at("2019-11-25T08:00:00+07:00");
    let filed = file_tagged(&hue, &["held"]);
    let path = path_of(&filed);
    assert_eq!(clock(&filed, "first_response")["state"], "paused");
    assert_eq!(clock(&filed, "resolution")["state"], "running");
    app.at("2019-11-25T09:00:00+07:00");
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-11-25T10:00:00+07:00");
    let released = lan.post(&format!("{path}/release"), &json!({})).expect(200).body;
    let held = clock(&released, "first_response");
    assert_eq!(
        (&held["state"], &held["due_at"]),
        (&json!("paused"), &Value::Null)
    );
    assert_eq!(
        held["remaining_business_seconds"],
        3 * 3600,
        "the hour before the hold counts"
    );
    app.at("2019-11-25T14:30:00+07:00");
    let claimed = lan.call(&format!("{path}/claim")).expect(200).body;
    let going_on = clock(&claimed, "first_response");
    assert_eq!(
        going_on["remaining_business_seconds"],
        3 * 3600,
        "the hold does not"
    );
    assert_eq!(going_on["due_at"], "2019-11-25T10:30:00Z");
    assert_eq!(
        clock(&claimed, "resolution")["remaining_business_seconds"],
        3 * 3600
    );
    // And asking back, before any other answer, holds the resolution.
    ask_back(&lan, &path);
    app.at("2019-11-26T08:00:00+07:00");
    say(&hue, &path);
    let back = lan.get(&path).expect(200).body;
    assert_eq!(clock(&back, "resolution")["due_at"], "2019-11-26T04:00:00Z");
    assert_eq!(clock(&back, "first_response")["state"], "met");
}

/// GLPI #5213: the first verdict was lost.
#[test]
fn a_reopened_ticket_under_each_rule_keeps_its_first_verdict() {
    for (rule, remaining, due) in [
        // Four hours were used on Monday, nothing between the answer and the reopening.
        ("continue", 6, "2019-11-27T08:30:00Z"),
        ("restart", 10, "2019-11-28T03:00:00Z"),
        ("new_cycle", 10, "2019-11-28T03:00:00Z"),
    ] {
        let app = TestApp::start();
        with_policy(
            &app,
            "rule",
            json!({
                "targets": { "resolution": minutes(600, 600, 600, 600) },
                "reopen": rule,
            }),
        );
        let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
        app.at("2019-11-25T08:00:00+07:00");
        let path = path_of(&file_tagged(&hue, &["rule"]));
        lan.call(&format!("{path}/claim")).expect(200);
        app.at("2019-11-25T12:00:00+07:00");
        let first = clock(&answer(&lan, &path), "resolution").clone();
        app.at("2019-11-27T08:00:00+07:00");
        let body = json!({ "reason": "Chưa rõ." });
        let reopened = hue.post(&format!("{path}/reopen"), &body).expect(200).body;
        assert_eq!(reopened["clocks"][0], first, "{rule}");
        assert_eq!(first["met_at"], "2019-11-25T05:00:00Z");
        let second = clock(&reopened, "resolution");
        assert_eq!(
            (&second["cycle"], &second["state"]),
            (&json!(2), &json!("running"))
        );
        assert_eq!(second["remaining_business_seconds"], remaining * 3600, "{rule}");
        assert_eq!(second["due_at"], due, "{rule}");

        // A late first answer stays late.
        let late = path_of(&file_tagged(&hue, &["rule"]));
        lan.call(&format!("{late}/claim")).expect(200);
        app.at("2019-12-02T08:00:00+07:00");
        let first = clock(&answer(&lan, &late), "resolution").clone();
        assert_eq!(first["state"], "breached");
        app.at("2019-12-02T10:00:00+07:00");
        let reopened = hue.post(&format!("{late}/reopen"), &body).expect(200).body;
        assert_eq!(reopened["clocks"][0], first, "{rule}");
        let expected = if rule == "continue" { "breached" } else { "running" };
        assert_eq!(clock(&reopened, "resolution")["state"], expected);
    }
}
