//! Rules that change under running clocks: previewed, applied once, recounted to the second, whoever stops in between.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use giaidap::rules::PolicyVersion;
use giaidap::store::schema::{clocks, recounts, sla_policy_versions, tickets};
use giaidap::store::{Json, Ts};
use giaidap::tickets::recount::{self, Proposal};
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::{Client, TestApp, file};

mod previews;
mod processes;
mod proposals;
mod sleepers;
mod verdicts;

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
