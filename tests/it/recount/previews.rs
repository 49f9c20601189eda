//! A preview says what applying does: over many tickets in many states, and changes that chance makes.
use diesel::prelude::*;
use giaidap::store::schema::ticket_events;
use serde_json::{Value, json};

use super::{CALENDAR, account, at, due_moved, holiday, patch, preview};
use crate::support::desk::{clock, path_of};
use crate::support::{Client, TestApp, question};

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
