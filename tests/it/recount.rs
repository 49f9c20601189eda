//! Rules that change under running clocks: previewed, applied once, recounted to the second, whoever stops in between.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use giaidap::clock::Clock;
use giaidap::config::Overrides;
use giaidap::rules::PolicyVersion;
use giaidap::store::schema::{clocks, recounts, sla_policy_versions, ticket_events, tickets};
use giaidap::store::{Json, Ts};
use giaidap::tickets::recount::{self, Proposal};
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::client::Reply;
use crate::support::database::Backend;
use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::process::ServerProcess;
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, file, question};

const CALENDAR: &str = "/api/v1/calendars/vn-government";

fn holiday(date: &str) -> Value {
    json!({ "date": date, "intervals": [], "name": { "vi": "Nghỉ đột xuất" }, "legal_basis": "Công điện" })
}

fn change(dates: &[&str]) -> Value {
    let set: Vec<Value> = dates.iter().map(|date| holiday(date)).collect();
    json!({ "set_exceptions": set, "reason": "Nghỉ đột xuất" })
}

fn patch(admin: &Client, version: i64, body: &Value) -> Reply {
    let body = body.to_string();
    admin.with("If-Match", &format!("\"{version}\"")).send(
        "PATCH",
        CALENDAR,
        Some("application/json"),
        Some(body.as_bytes()),
    )
}

fn preview(admin: &Client, body: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove("reason");
    admin.post(&format!("{CALENDAR}/preview"), &body).expect(200).body
}

fn at(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

fn due_moved(actor: &Client, path: &str) -> Vec<Value> {
    let moved = |event: &Value| event["kind"] == "due_moved";
    events(actor, path).into_iter().filter(moved).collect()
}

/// (clocks, earlier, later, verdicts, finished) of a calendar's newest version.
fn account(app: &TestApp) -> (i64, i64, i64, i64, bool) {
    let row: (i64, i64, i64, i64, Option<Ts>) = app.read(|conn| {
        Ok(recounts::table
            .order(recounts::id.desc())
            .select((
                recounts::clocks,
                recounts::moved_earlier,
                recounts::moved_later,
                recounts::verdicts_changed,
                recounts::finished_at,
            ))
            .first(conn)?)
    });
    (row.0, row.1, row.2, row.3, row.4.is_some())
}

/// The marks of the tickets' own rows.
fn breached(app: &TestApp) -> Vec<bool> {
    app.read(|conn| {
        Ok(tickets::table
            .order(tickets::id)
            .select(tickets::breached)
            .load(conn)?)
    })
}

#[test]
fn a_holiday_announced_after_filing_moves_the_due_by_its_business_seconds_with_an_event_that_says_so() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let ticket = file(&hue);
    let path = path_of(&ticket);
    let calendar = admin.get(CALENDAR).expect(200);
    assert_eq!(calendar.header("etag"), Some("\"1\""));
    let told = preview(&admin, &change(&["2019-11-25"]));
    assert_eq!(told["base_version"], 1);
    assert_eq!(told["summary"]["moved_later"], 2);
    assert_eq!(hue.get(&path).expect(200).body["version"], ticket["version"]);

    let changed = patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    assert_eq!(
        (changed.body["version"].as_i64(), changed.header("etag")),
        (Some(2), Some("\"2\""))
    );
    app.settle();

    let after = hue.get(&path).expect(200).body;
    assert_eq!(
        at(&clock(&ticket, "first_response")["due_at"]),
        at(&json!("2019-11-25T16:30:00+07:00"))
    );
    assert_eq!(
        at(&clock(&after, "first_response")["due_at"]),
        at(&json!("2019-11-26T16:30:00+07:00"))
    );
    assert_eq!(
        at(&clock(&after, "resolution")["due_at"]),
        at(&json!("2019-12-02T17:30:00+07:00"))
    );
    let elapsed = json!({
        "from": clock(&ticket, "first_response")["due_at"],
        "to": clock(&after, "first_response")["due_at"],
    });
    let elapsed = admin
        .post(&format!("{CALENDAR}/elapsed"), &elapsed)
        .expect(200)
        .body;
    assert_eq!(
        elapsed["business_seconds"],
        7 * 3600,
        "counted by the version that knows the holiday"
    );

    let moved = due_moved(&admin, &path);
    assert_eq!(moved.len(), 1);
    let data = &moved[0]["data"];
    assert_eq!(
        (&data["because"], &data["calendar"], &data["version"]),
        (&json!("calendar"), &json!("vn-government"), &json!(2))
    );
    assert_eq!(
        data["clocks"], told["tickets"]["items"][0]["clocks"],
        "as the preview said"
    );
    assert_eq!(account(&app), (2, 0, 2, 0, true));
    // Asked again, the worker finds nothing to do.
    app.settle();
    assert_eq!(due_moved(&admin, &path).len(), 1);
    assert_eq!(hue.get(&path).expect(200).body["version"], after["version"]);
}

#[test]
fn an_answer_right_after_the_change_is_judged_by_the_new_rules_though_no_worker_came_by() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    // The morning after the old due: late by the old calendar, in time by the new one.
    app.at("2019-11-26T09:00:00+07:00");
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    let resolved = lan.post(&format!("{path}/resolve"), &answer).expect(200).body;
    assert_eq!(clock(&resolved, "first_response")["state"], "met");
    assert_eq!(clock(&resolved, "resolution")["state"], "met");
    let kinds = kinds(&admin, &path);
    assert!(
        kinds.contains(&"due_moved".to_owned()) && !kinds.contains(&"clock_breached".to_owned()),
        "{kinds:?}"
    );
    app.settle();
    assert_eq!(account(&app), (2, 0, 2, 1, true));
}

#[test]
fn a_paused_ticket_keeps_its_pause_when_a_holiday_is_announced() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    lan.post(&format!("{path}/wait"), &json!({ "message": "Đề nghị bổ sung." }))
        .expect(200);
    let paused = hue.get(&path).expect(200).body;
    assert_eq!(clock(&paused, "resolution")["state"], "paused");
    app.at("2019-11-26T08:00:00+07:00");
    let told = preview(&admin, &change(&["2019-11-25"]));
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.settle();
    let after = hue.get(&path).expect(200).body;
    let resolution = clock(&after, "resolution");
    assert_eq!(
        (&resolution["state"], &resolution["due_at"]),
        (&json!("paused"), &Value::Null)
    );
    let predicted: Vec<Value> = told["tickets"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|ticket| ticket["clocks"].as_array().unwrap().clone())
        .collect();
    let recorded: Vec<Value> = due_moved(&admin, &path)
        .iter()
        .flat_map(|event| event["data"]["clocks"].as_array().unwrap().clone())
        .collect();
    assert_eq!(predicted, recorded);
    // The pause began on Friday and takes what is worked of Tuesday: the holiday on Monday took nothing from it.
    lan.post(&format!("{path}/resume"), &json!({})).expect(200);
    let resumed = hue.get(&path).expect(200).body;
    assert_eq!(clock(&resumed, "resolution")["state"], "running");
    assert!(!clock(&resumed, "resolution")["due_at"].is_null());
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

#[test]
fn two_administrators_apply_at_once_and_one_gets_412() {
    let app = TestApp::start();
    let admin = app.admin();
    let statuses = at_once(2, |n| {
        patch(&admin, 1, &change(&[["2019-12-02", "2019-12-03"][n]])).status
    });
    let mut statuses: Vec<u16> = statuses;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    assert_eq!(admin.get(CALENDAR).expect(200).body["version"], 2);
}

#[test]
fn a_change_that_cannot_be_made_is_refused_with_its_place_and_the_calendar_in_force_is_untouched() {
    let app = TestApp::start();
    let admin = app.admin();
    let before = admin.get(CALENDAR).expect(200).body;
    let unsent = change(&["2019-12-02"]).to_string();
    let missing = admin
        .send(
            "PATCH",
            CALENDAR,
            Some("application/json"),
            Some(unsent.as_bytes()),
        )
        .expect(428);
    assert_eq!(missing.problem(), "precondition-required");
    let wrong = [
        (
            change(&["2019-12-02", "2019-12-02"]),
            "/set_exceptions/1/date",
            "duplicate_date",
        ),
        (change(&["2019-13-02"]), "/set_exceptions/0/date", "bad_date"),
        (
            json!({ "time_zone": "Asia/Hanoi", "reason": "x" }),
            "/time_zone",
            "unknown_time_zone",
        ),
        (
            json!({ "remove_exceptions": ["2019-12-02"], "reason": "x" }),
            "/remove_exceptions/0",
            "unknown_code",
        ),
        (
            json!({ "patterns": [{ "valid_from": "2019-01-01", "weekly": {} }], "reason": "x" }),
            "/patterns/0/weekly",
            "no_working_time",
        ),
        (
            json!({ "patterns": [{ "valid_from": "2100-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }], "exceptions": [], "reason": "x" }),
            "/patterns",
            "no_working_time",
        ),
        (
            json!({ "set_exceptions": [{ "date": "2019-12-02", "intervals": [["08:00", "08:00"]] }], "reason": "x" }),
            "/set_exceptions/0/intervals/0",
            "empty_interval",
        ),
        (
            json!({ "set_exceptions": [{ "date": "2019-12-02", "intervals": [], "source": "a\u{7}b" }], "reason": "x" }),
            "/set_exceptions/0/source",
            "control_character",
        ),
    ];
    for (body, pointer, code) in wrong {
        let refused = patch(&admin, 1, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(pointer.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    assert_eq!(
        patch(&admin, 7, &change(&["2019-12-02"])).expect(412).problem(),
        "precondition-failed"
    );
    assert_eq!(
        patch(&admin, 1, &json!({ "reason": "x" })).expect(409).problem(),
        "conflict"
    );
    let stale = json!({ "set_exceptions": [holiday("2019-12-02")], "base_version": 9 });
    admin.post(&format!("{CALENDAR}/preview"), &stale).expect(412);
    let cursor = json!({ "set_exceptions": [holiday("2019-12-02")], "cursor": "x" });
    let refused = admin.post(&format!("{CALENDAR}/preview"), &cursor).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/cursor".to_owned(), "invalid_cursor".to_owned())]
    );
    assert_eq!(admin.get(CALENDAR).expect(200).body, before);
    assert_eq!(app.rows_in("recounts"), 0);
}

#[test]
fn a_calendar_is_replaced_whole_and_keeps_its_name_unless_another_is_given() {
    let app = TestApp::start();
    let admin = app.admin();
    let before = admin.get(CALENDAR).expect(200).body;
    let whole =
        json!({ "time_zone": "Asia/Ho_Chi_Minh", "patterns": before["patterns"], "reason": "Chỉ giữ giờ" });
    let put = |version: i64, body: &Value| {
        let body = body.to_string();
        admin.with("If-Match", &format!("\"{version}\"")).send(
            "PUT",
            CALENDAR,
            Some("application/json"),
            Some(body.as_bytes()),
        )
    };
    let replaced = put(1, &whole).expect(200).body;
    assert_eq!(
        (&replaced["exceptions"], &replaced["name"]),
        (&json!([]), &before["name"])
    );
    assert_eq!(put(2, &whole).expect(409).problem(), "conflict");
    let mut named = whole.clone();
    named["name"] = json!({ "vi": "Giờ hành chính", "en": "Office hours" });
    let named = put(2, &named).expect(200).body;
    assert_eq!(
        (&named["version"], &named["name"]["en"]),
        (&json!(3), &json!("Office hours"))
    );
}

#[test]
fn a_change_that_touches_nothing_moves_nothing() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let ticket = file(&hue);
    let path = path_of(&ticket);
    let far = change(&["2027-06-01", "2018-06-01"]);
    for (version, body) in [
        (1, change(&["2027-06-01"])),
        (2, change(&["2018-06-01"])),
        (3, far),
    ] {
        let told = preview(&admin, &body);
        if version < 3 {
            assert_eq!(
                (&told["summary"]["open_clocks"], &told["summary"]["moved_later"]),
                (&json!(2), &json!(0))
            );
            patch(&admin, version, &body).expect(200);
            app.settle();
            assert_eq!(account(&app), (2, 0, 0, 0, true));
        } else {
            patch(&admin, version, &body).expect(409);
        }
    }
    assert_eq!(hue.get(&path).expect(200).body, ticket);
    assert_eq!(kinds(&admin, &path), ["ticket_filed"]);
    let versions: Vec<i64> = app.read(|conn| {
        Ok(clocks::table
            .select(clocks::calendar_version_id)
            .distinct()
            .load(conn)?)
    });
    assert_eq!(versions.len(), 1, "both clocks name the newest version");
}

/// A first response is never paused: its due is what the calendar in force says from the filing on.
fn assert_due_is_the_calendars(actor: &Client, path: &str) {
    let ticket = actor.get(path).expect(200).body;
    let first = clock(&ticket, "first_response");
    if !matches!(first["state"].as_str(), Some("running" | "breached"))
        || !ticket["first_response_at"].is_null()
    {
        return;
    }
    let minutes = match ticket["priority"].as_str().unwrap() {
        "low" => 960,
        "normal" => 480,
        "high" => 240,
        _ => 60,
    };
    let question = json!({ "from": ticket["filed_at"], "business_seconds": minutes * 60 });
    let due = actor.post(&format!("{CALENDAR}/due"), &question).expect(200).body;
    assert_eq!(at(&first["due_at"]), at(&due["due_at"]), "{path}");
}

/// Many tickets in many states, at many times; then changes of all kinds.
#[test]
fn what_a_preview_says_is_what_applying_does() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let mut seed = 20_191_122_u64;
    let mut chance = move |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let start = at(&json!("2019-11-18T01:00:00Z"));
    let mut now = start;
    let mut paths = Vec::new();
    for n in 0..60_u64 {
        now += chrono::TimeDelta::minutes(i64::try_from(chance(240)).unwrap());
        app.app.clock.set(now);
        let mut body = question();
        body["priority"] = json!(["low", "normal", "high", "urgent"][usize::try_from(chance(4)).unwrap()]);
        let path = path_of(&hue.post("/api/v1/tickets", &body).expect(201).body);
        if n % 2 == 0 {
            lan.call(&format!("{path}/claim")).expect(200);
        }
        if n % 6 == 0 {
            lan.post(&format!("{path}/wait"), &json!({ "message": "Bổ sung." }))
                .expect(200);
        }
        if n % 12 == 4 {
            let answer = json!({ "outcome": "answered", "message": "Trả lời." });
            lan.post(&format!("{path}/resolve"), &answer).expect(200);
            if n % 24 == 4 {
                now += chrono::TimeDelta::minutes(30);
                app.app.clock.set(now);
                hue.post(&format!("{path}/reopen"), &json!({ "reason": "Chưa rõ." }))
                    .expect(200);
            }
        }
        if chance(3) == 0 && !paths.is_empty() {
            let earlier: &String = &paths[usize::try_from(chance(paths.len() as u64)).unwrap()];
            hue.post(&format!("{earlier}/messages"), &json!({ "body": "Bổ sung." }));
        }
        if chance(10) == 0 {
            app.settle();
        }
        paths.push(path);
    }
    let day = |offset: i64| {
        (start + chrono::TimeDelta::days(offset))
            .format("%Y-%m-%d")
            .to_string()
    };
    let mut version = 1;
    for round in 0..8_u64 {
        let mut body = match round {
            0..6 => {
                let dates: Vec<String> = (0..=chance(2))
                    .map(|_| day(i64::try_from(chance(28)).unwrap()))
                    .collect();
                let mut dates = dates;
                dates.sort();
                dates.dedup();
                let set: Vec<Value> = dates
                    .iter()
                    .map(|date| match chance(2) {
                        0 => holiday(date),
                        _ => json!({ "date": date, "intervals": [["07:00", "11:00"], ["13:00", "19:00"]] }),
                    })
                    .collect();
                json!({ "set_exceptions": set })
            }
            6 => json!({ "patterns": [{ "valid_from": "2019-01-01", "weekly": {
                "mon": [["07:30", "11:30"]], "tue": [["07:30", "11:30"]], "thu": [["22:00", "06:00"]], "sat": [["08:00", "12:00"]] } }] }),
            _ => json!({ "time_zone": "Asia/Kathmandu" }),
        };
        body["reason"] = json!("Thử");
        let mut told = preview(&admin, &body);
        assert_eq!(told["base_version"], version);
        let summary = told["summary"].clone();
        // Page by page.
        let mut predicted: Vec<(String, Value)> = Vec::new();
        let mut question = body.clone();
        question["limit"] = json!(7);
        told = preview(&admin, &question);
        loop {
            for ticket in told["tickets"]["items"].as_array().unwrap() {
                predicted.push((
                    ticket["number"].as_str().unwrap().to_owned(),
                    ticket["clocks"].clone(),
                ));
            }
            if told["tickets"]["next_cursor"].is_null() {
                break;
            }
            question["cursor"] = told["tickets"]["next_cursor"].clone();
            told = preview(&admin, &question);
            assert_eq!(told["summary"], Value::Null);
        }
        if patch(&admin, version, &body).status == 409 {
            // Chance said the same as before.
            assert_eq!(predicted, []);
            continue;
        }
        version += 1;
        app.settle();
        let mut recorded: Vec<(String, Value)> = Vec::new();
        for path in &paths {
            for event in due_moved(&admin, path) {
                if event["data"]["version"] == version {
                    recorded.push((
                        path.rsplit('/').next().unwrap().to_owned(),
                        event["data"]["clocks"].clone(),
                    ));
                }
            }
        }
        assert_eq!(predicted, recorded, "round {round}: {body}");
        let figure = |name: &str| summary[name].as_i64().unwrap();
        let (clocks, earlier, later, verdicts, finished) = account(&app);
        assert_eq!(
            (clocks, earlier, later, verdicts, finished),
            (
                figure("open_clocks"),
                figure("moved_earlier"),
                figure("moved_later"),
                figure("to_breached") + figure("from_breached"),
                true
            )
        );
        for path in paths.iter().step_by(4) {
            assert_due_is_the_calendars(&hue, path);
        }
        now += chrono::TimeDelta::minutes(i64::try_from(chance(3000)).unwrap());
        app.app.clock.set(now);
    }
    let moved: i64 = app.read(|conn| {
        Ok(ticket_events::table
            .filter(ticket_events::kind.eq("due_moved"))
            .count()
            .get_result(conn)?)
    });
    assert!(moved > 60, "{moved}");
}

const MANY: i64 = 2_000;

/// Many tickets that were filed just now by the system's clock, and a week of which nobody knew that it is off.
fn house_with_a_new_holiday() -> (TestApp, Client) {
    let app = TestApp::start_with(&Overrides {
        mail_transport: Some("folder".into()),
        ..Overrides::default()
    });
    let now = Clock::system().now();
    app.app.clock.set(now);
    let (hue, admin) = (app.organisation("H57"), app.admin());
    file(&hue);
    app.multiply(MANY);
    let days: Vec<String> = (0..12)
        .map(|day| {
            (now + chrono::TimeDelta::days(day))
                .format("%Y-%m-%d")
                .to_string()
        })
        .collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    patch(&admin, 1, &change(&days)).expect(200);
    (app, admin)
}

/// (ticket, whether its clocks name the newest version), one a clock; and the tickets that have an event.
fn progress(app: &TestApp) -> (Vec<(i64, bool)>, Vec<i64>) {
    let read = app.app.store.read_snapshot(|conn| {
        let rows: Vec<(i64, i64)> = clocks::table
            .order(clocks::id)
            .select((clocks::ticket_id, clocks::calendar_version_id))
            .load(conn)?;
        let newest = rows.iter().map(|(_, version)| *version).max().unwrap();
        let events = ticket_events::table
            .filter(ticket_events::kind.eq("due_moved"))
            .order(ticket_events::ticket_id)
            .select(ticket_events::ticket_id)
            .load(conn)?;
        Ok((
            rows.into_iter()
                .map(|(ticket, version)| (ticket, version == newest))
                .collect(),
            events,
        ))
    });
    block_on(read).unwrap()
}

#[test]
fn a_recount_that_is_killed_halfway_leaves_nothing_half_done_and_goes_on_after_the_restart() {
    let (app, _) = house_with_a_new_holiday();
    let mut interrupted = 0;
    for _ in 0..3 {
        let mut server = ServerProcess::start(&app.database.url, &app.app.config.storage);
        let before = progress(&app).1.len();
        wait_for("some tickets", || {
            (progress(&app).1.len() > before || account(&app).4).then_some(())
        });
        server.kill();
        let (rows, events) = progress(&app);
        interrupted += i64::from(!events.is_empty() && events.len() < usize::try_from(MANY).unwrap());
        let done: Vec<i64> = rows
            .iter()
            .filter(|(_, newest)| *newest)
            .map(|(ticket, _)| *ticket)
            .collect();
        let mut tickets = done.clone();
        tickets.sort_unstable();
        let twice: Vec<i64> = events.iter().flat_map(|ticket| [*ticket, *ticket]).collect();
        assert_eq!(tickets, twice, "both clocks and one event, or none of it");
        assert_eq!(account(&app).0, i64::try_from(done.len()).unwrap());
    }
    assert!(
        interrupted > 0,
        "the recount was never under way when the server was killed"
    );
    let _server = ServerProcess::start(&app.database.url, &app.app.config.storage);
    wait_for("the end of the recount", || account(&app).4.then_some(()));
    assert_all_moved_once(&app);
}

#[test]
fn two_servers_that_recount_at_once_count_every_clock_once() {
    let (app, _) = house_with_a_new_holiday();
    // SQLite is for one server.
    let servers = match app.database.backend {
        Backend::Postgres => 2,
        Backend::Sqlite => 1,
    };
    let mut servers = at_once(servers, |_| {
        ServerProcess::start(&app.database.url, &app.app.config.storage)
    });
    wait_for("the end of the recount", || account(&app).4.then_some(()));
    assert_all_moved_once(&app);
    for server in &mut servers {
        server.terminate();
        let (status, log) = server.wait();
        assert!(
            status.success() && !log.contains("ERROR") && !log.contains("one by one"),
            "{log}"
        );
    }
}

fn assert_all_moved_once(app: &TestApp) {
    let (rows, events) = progress(app);
    assert!(rows.iter().all(|(_, newest)| *newest));
    assert_eq!(events, (1..=MANY).collect::<Vec<_>>());
    assert_eq!(account(app), (2 * MANY, 0, 2 * MANY, 0, true));
}

/// The default policy with a shorter first response, counted by the hours of this calendar.
fn shorter_policy(app: &TestApp, calendar: &str) -> PolicyVersion {
    let calendar = calendar.to_owned();
    app.read(move |conn| {
        let (id, policy_id, version, definition): (i64, i64, i64, Json) = sla_policy_versions::table
            .select((
                sla_policy_versions::id,
                sla_policy_versions::policy_id,
                sla_policy_versions::version,
                sla_policy_versions::definition,
            ))
            .first(conn)?;
        assert_eq!(id, 1);
        let mut definition = definition.0;
        definition["targets"]["first_response"]["normal"] = json!({ "business_minutes": 120 });
        Ok(PolicyVersion {
            id: 0,
            policy_id,
            code: "default".into(),
            version: version + 1,
            is_default: true,
            calendar_id: giaidap::calendars::get_calendar(conn, &calendar)?.id,
            spec: serde_json::from_value(definition).unwrap(),
        })
    })
}

#[test]
fn open_tickets_go_over_to_a_policy_that_is_for_them_and_follow_its_own_calendar_from_then_on() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let own_hours = json!({
        "code": "own-hours",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": {
            "mon": [["08:00", "12:00"]], "tue": [["08:00", "12:00"]], "sat": [["08:00", "12:00"]] } }],
    });
    admin.post("/api/v1/calendars", &own_hours).expect(201);
    let path = path_of(&file(&hue));
    app.at("2019-11-22T17:00:00+07:00");

    let proposed = Arc::new(shorter_policy(&app, "own-hours"));
    let (desk, now) = (Arc::clone(&app.app.desk), app.app.clock.now());
    let proposal = Proposal::Policy {
        proposed: Arc::clone(&proposed),
    };
    let told = app.read(move |conn| recount::preview(conn, &desk, &proposal, None, 50, now));
    let (policy_id, version, calendar_id) = (proposed.policy_id, proposed.version, proposed.calendar_id);
    let definition = Json(serde_json::to_value(&proposed.spec).unwrap());
    app.write(move |conn| {
        let stored = (
            sla_policy_versions::policy_id.eq(policy_id),
            sla_policy_versions::version.eq(version),
            sla_policy_versions::calendar_id.eq(calendar_id),
            sla_policy_versions::definition.eq(definition),
            sla_policy_versions::applies_to_open.eq(true),
            sla_policy_versions::author.eq("x"),
            sla_policy_versions::reason.eq("x"),
            sla_policy_versions::created_at.eq(Ts::from(now)),
        );
        Ok(diesel::insert_into(sla_policy_versions::table)
            .values(stored)
            .execute(conn)?)
    });
    app.settle();
    let moved = due_moved(&admin, &path);
    assert_eq!(moved.len(), 1);
    assert_eq!(
        (&moved[0]["data"]["because"], &moved[0]["data"]["version"]),
        (&json!("policy"), &json!(2))
    );
    assert_eq!(moved[0]["data"]["clocks"], json!(told.tickets[0].clocks));
    // Half an hour was used up on Friday; the rest is worked on Saturday by the policy's own hours.
    let after = hue.get(&path).expect(200).body;
    assert_eq!(
        at(&clock(&after, "first_response")["due_at"]),
        at(&json!("2019-11-23T09:30:00+07:00"))
    );

    // What the office calendar says from now on is nothing to these clocks; what their own says, is.
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.settle();
    assert_eq!(hue.get(&path).expect(200).body, after);
    let off = json!({ "set_exceptions": [holiday("2019-11-23")], "reason": "x" }).to_string();
    admin
        .with("If-Match", "\"1\"")
        .send(
            "PATCH",
            "/api/v1/calendars/own-hours",
            Some("application/json"),
            Some(off.as_bytes()),
        )
        .expect(200);
    app.settle();
    let later = hue.get(&path).expect(200).body;
    assert_eq!(
        at(&clock(&later, "first_response")["due_at"]),
        at(&json!("2019-11-25T09:30:00+07:00"))
    );
    let last = due_moved(&admin, &path).pop().unwrap();
    assert_eq!(
        (&last["data"]["calendar"], &last["data"]["version"]),
        (&json!("own-hours"), &json!(2))
    );
}

#[test]
fn a_holiday_found_out_afterwards_is_taken_out_of_the_time_that_was_counted_already() {
    let app = TestApp::start();
    let (hue, admin, lan) = (
        app.organisation("H57"),
        app.admin(),
        app.agent("lan", &["technology"]),
    );
    let path = path_of(&file(&hue));
    // Two hours of Monday go to the queue before it is taken: they lie in a closed segment.
    app.at("2019-11-25T10:00:00+07:00");
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-11-26T08:00:00+07:00");
    patch(&admin, 1, &change(&["2019-11-25"])).expect(200);
    app.settle();
    let after = hue.get(&path).expect(200).body;
    assert_eq!(
        at(&clock(&after, "first_response")["due_at"]),
        at(&json!("2019-11-26T16:30:00+07:00"))
    );
    assert_eq!(
        clock(&after, "first_response")["remaining_business_seconds"],
        7 * 3600
    );
}
