//! What follows from moved deadlines: breaches come and go, warnings are given again, whoever comes by first.
use std::sync::Arc;

use diesel::prelude::*;
use giaidap::store::Ts;
use giaidap::store::schema::{clocks, tickets};
use giaidap::tickets::recount::recount_step;
use serde_json::{Value, json};

use super::{account, at, breached, change, due_moved, patch, preview};
use crate::support::app::{block_on, instant};
use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::policies::{file_tagged, with_policy};
use crate::support::threads::at_once;
use crate::support::{Client, TestApp, file};

/// Claimed on Friday; the old dues are on Monday, which a change at `changed_at` makes a day off. Nobody comes by until the
/// answer on Tuesday at nine.
fn answered_after_a_change(changed_at: &str) -> (Value, Vec<String>, TestApp) {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at(changed_at);
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.at("2019-11-26T09:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    let resolved = lan.post(&format!("{path}/resolve"), &answer).expect(200).body;
    assert_eq!(clock(&resolved, "first_response")["state"], "met");
    assert_eq!(clock(&resolved, "resolution")["state"], "met");
    app.settle();
    (resolved, kinds(&admin, &path), app)
}

#[test]
fn an_answer_is_judged_by_the_rules_in_force_though_no_worker_came_by() {
    let (_, kinds, app) = answered_after_a_change("2019-11-25T08:00:00+07:00");
    assert!(kinds.contains(&"due_moved".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"clock_breached".to_owned()), "{kinds:?}");
    assert_eq!(account(&app), (2, 0, 2, 0, true));
}

#[test]
fn what_was_late_before_the_change_is_in_the_history_and_taken_back() {
    let (_, kinds, app) = answered_after_a_change("2019-11-26T09:00:00+07:00");
    let of = |kind: &str| kinds.iter().position(|known| known == kind);
    assert!(
        of("clock_breached").is_some() && of("clock_breached") < of("due_moved"),
        "{kinds:?}"
    );
    assert_eq!(account(&app), (2, 0, 2, 1, true));
}

#[test]
fn a_stopped_clock_is_never_rewritten() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-11-26T09:00:00+07:00");
    app.settle();
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    let before = hue.get(&path).expect(200).body;
    assert_eq!(clock(&before, "first_response")["state"], "breached");
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.settle();
    assert_eq!(hue.get(&path).expect(200).body, before);
    let versions: Vec<i64> =
        app.read(|conn| Ok(clocks::table.select(clocks::calendar_version_id).load(conn)?));
    assert_eq!(versions[0], versions[1]);
    assert_eq!(account(&app), (0, 0, 0, 0, true));
}

#[test]
fn a_breach_is_taken_back_by_a_corrected_calendar_and_one_that_lies_behind_is_noticed_with_its_instant() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let path = path_of(&file(&hue));
    app.at("2019-11-26T09:00:00+07:00");
    app.settle();
    assert_eq!(
        clock(&hue.get(&path).expect(200).body, "first_response")["state"],
        "breached"
    );
    let told = preview(&admin, &change(&["2019-11-25"]));
    assert_eq!(
        (&told["summary"]["from_breached"], &told["summary"]["to_breached"]),
        (&json!(1), &json!(0))
    );
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.settle();
    let after = hue.get(&path).expect(200).body;
    assert_eq!(clock(&after, "first_response")["state"], "running");
    assert_eq!(clock(&after, "first_response")["breached_at"], Value::Null);
    assert_eq!(breached(&app), [false]);
    let data = due_moved(&admin, &path)[0]["data"].clone();
    assert_eq!(
        (
            &data["clocks"][0]["breached_from"],
            &data["clocks"][0]["breached_to"]
        ),
        (&json!(true), &json!(false))
    );

    // It was a working day after all.
    let back = json!({ "remove_exceptions": ["2019-11-25"], "reason": "Thu hồi" });
    assert_eq!(preview(&admin, &back)["summary"]["to_breached"], 1);
    patch(&admin, 2, &back).expect(200);
    app.settle();
    let late = hue.get(&path).expect(200).body;
    assert_eq!(
        at(&clock(&late, "first_response")["breached_at"]),
        at(&json!("2019-11-25T16:30:00+07:00"))
    );
    assert_eq!(breached(&app), [true]);
    let breaches = kinds(&admin, &path)
        .iter()
        .filter(|kind| *kind == "clock_breached")
        .count();
    assert_eq!(breaches, 2);
}

/// Run the recount alone, as a server whose other workers are late does.
fn recount_only(app: &TestApp) {
    let (store, desk, now) = (
        app.app.store.clone(),
        Arc::clone(&app.app.desk),
        app.app.clock.now(),
    );
    while block_on(recount_step(&store, &desk, now)).unwrap() > 0 {}
}

/// What the ticket's own row says of its clocks.
#[derive(Debug, PartialEq, Queryable)]
struct Marks {
    breached: bool,
    status_update_at: Option<Ts>,
    urgency_at: Ts,
    updated_at: Ts,
    version: i64,
}

fn row_of(app: &TestApp) -> Marks {
    app.read(|conn| {
        Ok(tickets::table
            .select((
                tickets::breached,
                tickets::status_update_at,
                tickets::urgency_at,
                tickets::updated_at,
                tickets::version,
            ))
            .first(conn)?)
    })
}

#[test]
fn the_recount_takes_back_a_breach_with_its_status_updates_and_notices_a_new_one_by_itself() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let path = path_of(&file(&hue));
    app.at("2019-12-02T09:00:00+07:00").settle();
    let late = row_of(&app);
    assert!(late.breached && late.status_update_at.is_some());

    // The whole week was off: the resolution is due in the week after.
    let week = ["25", "26", "27", "28", "29"].map(|day| format!("2019-11-{day}"));
    let week: Vec<&str> = week.iter().map(String::as_str).collect();
    app.at("2019-12-02T10:00:00+07:00");
    patch(&admin, 1, &change(&week)).expect(200);
    recount_only(&app);
    let in_time = row_of(&app);
    assert_eq!((in_time.breached, in_time.status_update_at), (false, None));
    assert_eq!(in_time.version, late.version + 1);
    assert_eq!(in_time.updated_at.0, instant("2019-12-02T10:00:00+07:00"));
    assert_eq!(in_time.urgency_at.0, instant("2019-12-02T16:30:00+07:00"));
    let told = kinds(&admin, &path);
    app.settle();
    assert_eq!(
        row_of(&app).version,
        in_time.version,
        "nothing was left to others"
    );
    assert_eq!(kinds(&admin, &path), told);

    // It was worked after all: late again, and told so at once, on the date that the asker knows.
    app.at("2019-12-02T11:00:00+07:00");
    let back = json!({ "remove_exceptions": week, "reason": "Thu hồi" });
    patch(&admin, 2, &back).expect(200);
    recount_only(&app);
    let late_again = row_of(&app);
    assert!(late_again.breached);
    assert_eq!(late_again.status_update_at, late.status_update_at);
    assert_eq!(late_again.version, in_time.version + 1);
    let after = kinds(&admin, &path);
    assert_eq!(after.get(told.len()).map(String::as_str), Some("due_moved"));
    assert_eq!(after.iter().filter(|kind| *kind == "clock_breached").count(), 4);
    app.settle();
    assert_eq!(kinds(&admin, &path), after);
    assert_eq!(row_of(&app).version, late_again.version);
}

#[test]
fn two_replicas_that_escalate_and_recount_at_once_carry_each_out_once() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let amount = json!({ "business_minutes": 600 });
    with_policy(
        &app,
        "steps",
        json!({
            "targets": { "resolution": { "normal": amount, "high": amount, "urgent": amount } },
            "warn_at_percent": [50],
            "status_update": { "every": { "calendar_days": 7 } },
            "escalations": [
                { "target": "resolution", "on": "warning", "raise_priority": true, "notify": ["supervisors"] },
                { "target": "resolution", "on": "breach", "transfer": "standing" },
            ],
        }),
    );
    let paths: Vec<String> = (0..8).map(|_| path_of(&file_tagged(&hue, &["steps"]))).collect();
    // Filed on Friday at 16:30: with Monday off the ten hours are up on Wednesday at 9.
    app.at("2019-11-28T09:00:00+07:00");
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    at_once(4, |number| {
        block_on([&app, &other][number % 2].app.settle()).unwrap()
    });
    for path in &paths {
        let told = kinds(&admin, path);
        let count = |kind: &str| told.iter().filter(|told| *told == kind).count();
        assert_eq!(
            [
                "due_moved",
                "clock_warning",
                "clock_breached",
                "ticket_escalated",
                "status_updated"
            ]
            .map(count),
            [1, 1, 1, 2, 1],
            "{told:?}"
        );
        let ticket = admin.get(path).expect(200).body;
        assert_eq!(
            (&ticket["priority"], &ticket["queue"]["code"]),
            (&json!("high"), &json!("standing"))
        );
        assert_eq!(
            clock(&ticket, "resolution")["breached_at"],
            "2019-11-27T02:00:00Z"
        );
    }
    assert_eq!(account(&app), (8, 0, 8, 0, true));
}

#[test]
fn a_warning_that_lies_ahead_again_is_noticed_again() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let path = path_of(&file(&hue));
    app.at("2019-11-25T16:00:00+07:00").settle();
    let first = |path: &str| clock(&admin.get(path).expect(200).body, "first_response").clone();
    let warnings = || {
        let warned =
            |event: &Value| event["kind"] == "clock_warning" && event["data"]["target"] == "first_response";
        let all = events(&admin, &path).into_iter().filter(warned);
        all.map(|event| event["at"].clone()).collect::<Vec<_>>()
    };
    let before = warnings();
    assert_eq!(before.len(), 1, "warned once so far");
    assert!(!first(&path)["warned_at"].is_null());

    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.settle();
    assert_eq!(first(&path)["warned_at"], Value::Null);
    assert_eq!(warnings().len(), 1);
    app.at("2019-11-26T16:00:00+07:00").settle();
    let after = warnings();
    assert_eq!(after.len(), 2);
    assert_eq!(
        at(&after[1]) - at(&after[0]),
        chrono::TimeDelta::days(1),
        "at its new instant"
    );
    app.settle();
    assert_eq!(warnings().len(), 2);
}

#[test]
fn a_reopened_cycle_that_goes_on_loses_the_holiday_from_the_time_that_it_took_over() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let amount = json!({ "business_minutes": 1200 });
    with_policy(
        &app,
        "going-on",
        json!({ "targets": { "resolution": { "normal": amount } } }),
    );
    app.at("2019-11-25T08:00:00+07:00");
    let path = path_of(&file_tagged(&hue, &["going-on"]));
    lan.call(&format!("{path}/claim")).expect(200);
    // Eight hours of Monday and two of Tuesday are the first cycle's; Wednesday morning is nobody's.
    app.at("2019-11-26T10:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    app.at("2019-11-27T08:00:00+07:00");
    hue.post(&format!("{path}/reopen"), &json!({ "reason": "Chưa rõ." }))
        .expect(200);
    let before = hue.get(&path).expect(200).body;
    assert_eq!(
        clock(&before, "resolution")["remaining_business_seconds"],
        10 * 3600
    );
    assert_eq!(
        at(&clock(&before, "resolution")["due_at"]),
        at(&json!("2019-11-28T10:00:00+07:00"))
    );

    let told = preview(&admin, &change(&["2019-11-25"]));
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    recount_only(&app);
    let after = hue.get(&path).expect(200).body;
    // Monday was off, so of the first cycle only two hours count against the twenty.
    assert_eq!(
        clock(&after, "resolution")["remaining_business_seconds"],
        18 * 3600
    );
    assert_eq!(
        at(&clock(&after, "resolution")["due_at"]),
        at(&json!("2019-11-29T10:00:00+07:00"))
    );
    let moved = due_moved(&admin, &path);
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0]["data"]["clocks"], told["tickets"]["items"][0]["clocks"]);
    let sla = admin.get(&format!("{path}/sla")).expect(200).body;
    let cycles: Vec<&Value> = sla["clocks"].as_array().unwrap().iter().collect();
    assert_eq!(
        (
            &cycles[0]["calendar"]["version"],
            &cycles[0]["consumed_business_seconds"]
        ),
        (&json!(1), &json!(10 * 3600)),
        "the verdict of the first cycle rests on what was known then"
    );
    let carried: Vec<(&Value, &Value)> = cycles[1]["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| (&segment["carried"], &segment["business_seconds"]))
        .collect();
    assert_eq!(
        carried,
        [(&json!(true), &json!(2 * 3600)), (&json!(false), &json!(0))]
    );
}

/// What the report says of the first response and the resolution as of an instant: met, breached, open, stopped.
fn reported(admin: &Client, as_of: &str) -> [[i64; 4]; 2] {
    let question = format!("/api/v1/reports/sla?from=2019-11-01&to=2019-12-31&group_by=queue&as_of={as_of}");
    let total = admin.get(&question).expect(200).body["total"].clone();
    ["first_response", "resolution"].map(|target| {
        ["met", "breached", "open", "stopped"].map(|verdict| total[target][verdict].as_i64().unwrap())
    })
}

#[test]
fn a_report_as_of_an_earlier_day_says_the_same_after_the_rules_have_changed() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let late = json!({ "business_minutes": 4800 });
    with_policy(
        &app,
        "one",
        json!({ "targets": {
            "first_response": { "urgent": { "business_minutes": 60 } },
            "resolution": { "normal": late, "high": late, "urgent": { "business_minutes": 60 } },
        } }),
    );
    // One whose dues the calendar moves, one whose priority is changed.
    file(&hue);
    let path = path_of(&file_tagged(&hue, &["one"]));
    let days = [
        "2019-11-25T09:00:00Z",
        "2019-11-26T09:00:00Z",
        "2019-11-29T12:00:00Z",
    ];
    app.at("2019-12-02T09:00:00+07:00").settle();
    let before = days.map(|day| reported(&admin, day));
    // At the end of the week the first ticket is late with both, of the second the resolution is open.
    assert_eq!(before[2], [[0, 1, 0, 0], [0, 1, 1, 0]]);

    // A target that was not promised then, and one so short that it had passed by then.
    lan.patch(&path, &json!({ "priority": "urgent" })).expect(200);
    assert_eq!(days.map(|day| reported(&admin, day)), before);
    assert_eq!(
        reported(&admin, "2019-12-02T02:00:00Z"),
        [[0, 1, 1, 0], [0, 2, 0, 0]]
    );

    // Breaches that were none, as became known later.
    let week = ["25", "26", "27", "28", "29"].map(|day| format!("2019-11-{day}"));
    let week: Vec<&str> = week.iter().map(String::as_str).collect();
    app.at("2019-12-02T10:00:00+07:00");
    patch(&admin, 1, &change(&week)).expect(200);
    app.settle();
    assert_eq!(days.map(|day| reported(&admin, day)), before);
    let now = reported(&admin, "2019-12-02T03:00:00Z");
    assert_eq!(now[0], [0, 0, 2, 0], "in time after all");
}

#[test]
fn the_day_on_which_an_answer_closes_stands_as_it_was_told_when_the_calendar_changes() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    let resolved = lan.post(&format!("{path}/resolve"), &answer).expect(200).body;
    app.settle();
    let told = at(&resolved["closes_at"]);
    patch(&admin, 1, &change(&["2019-11-25", "2019-11-26"])).expect(200);
    app.settle();
    assert_eq!(
        hue.get(&path).expect(200).body["closes_at"],
        resolved["closes_at"]
    );
    app.app.clock.set(told);
    app.settle();
    let closed = hue.get(&path).expect(200).body;
    assert_eq!(
        (&closed["state"], at(&closed["closed_at"])),
        (&json!("closed"), told)
    );
    // The next answer is counted by the calendar of its day.
    let later = path_of(&file(&hue));
    lan.call(&format!("{later}/claim")).expect(200);
    let resolved = lan.post(&format!("{later}/resolve"), &answer).expect(200).body;
    assert!(at(&resolved["closes_at"]) > told);
}
