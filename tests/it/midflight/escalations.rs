//! Warnings at several thresholds and what they and breaches escalate, each once and at its own time.
use serde_json::{Value, json};

use super::{mails_about, post, resolution, say};
use crate::support::app::instant;
use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::policies::{file_tagged, with_policy};
use crate::support::{Client, TestApp};

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
