//! A calendar, a policy or an agreement is refused where the three together promise what could never be due, because it
//! would refuse every question afterwards.
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::desk::{agreement, policy};
use crate::support::{Client, TestApp, file};

const CALENDARS: &str = "/api/v1/calendars";
const SHIPPED: &str = "/api/v1/calendars/vn-government";
const POLICIES: &str = "/api/v1/sla-policies";
const CODE: &str = "too_little_working_time";

fn patch(admin: &Client, change: &Value) -> Reply {
    let body = change.to_string();
    let admin = admin.with("If-Match", "\"1\"");
    admin.send("PATCH", SHIPPED, Some("application/json"), Some(body.as_bytes()))
}

fn weekly(valid_from: &str, open: &str, close: &str) -> Value {
    json!([{ "valid_from": valid_from, "weekly": { "mon": [[open, close]] } }])
}

/// Open on Monday mornings only: about 125,000 minutes in ten years.
fn mondays(admin: &Client) {
    let calendar = json!({
        "code": "mondays",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": weekly("2019-01-01", "08:00", "12:00"),
        "exceptions": [],
    });
    admin.post(CALENDARS, &calendar).expect(201);
}

fn on_mondays(member: &str, value: Value) -> Value {
    let mut body = policy("mondays-only", 10, json!({ "organisation": ["H57"] }));
    body["calendar"] = json!("mondays");
    body[member] = value;
    body
}

#[test]
fn a_calendar_without_time_for_what_is_promised_by_it_is_refused_by_save_and_preview_alike() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    file(&hue);
    let week = json!([{ "date": "2019-11-25", "intervals": [] }]);
    let second = weekly("2019-01-01", "08:00:00", "08:00:01");
    let from_2030 = json!([
        { "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "17:00"]], "tue": [["08:00", "17:00"]] } },
        second[0].as_object().map(|_| json!({ "valid_from": "2030-01-01", "weekly": second[0]["weekly"] })),
    ]);
    for patterns in [second, from_2030] {
        let mut change = json!({ "patterns": patterns, "set_exceptions": week });
        let before = app.footprint();
        let foretold = admin.post(&format!("{SHIPPED}/preview"), &change).expect(422);
        change["reason"] = json!("Nhầm giờ.");
        let refused = patch(&admin, &change).expect(422);
        assert_eq!(app.footprint(), before);
        assert_eq!(foretold.field_errors(), refused.field_errors());
        let errors = refused.field_errors();
        assert!(!errors.is_empty());
        for (pointer, code) in &errors {
            assert_eq!((pointer.as_str(), code.as_str()), ("/patterns", CODE));
        }
        let named = refused.body["errors"].to_string();
        assert!(named.contains("default 1 /targets/"), "{named}");
        file(&hue);
    }
    let fine = json!({ "patterns": weekly("2019-01-01", "08:00", "12:00"), "reason": "Giờ mới." });
    patch(&admin, &fine).expect(200);
    file(&hue);
}

#[test]
fn a_policy_that_its_calendar_cannot_keep_is_refused_where_the_amount_stands() {
    let app = TestApp::start();
    let admin = app.admin();
    mondays(&admin);
    let targets = |minutes: u32| json!({ "resolution": { "low": { "business_minutes": minutes } } });
    let every = json!({ "every": { "business_minutes": 200_000 } });
    for (body, pointer) in [
        (
            on_mondays("targets", targets(200_000)),
            "/targets/resolution/low/business_minutes",
        ),
        (
            on_mondays("status_update", every),
            "/status_update/every/business_minutes",
        ),
    ] {
        let refused = admin.post(POLICIES, &body).expect(422);
        assert_eq!(refused.field_errors(), [(pointer.to_owned(), CODE.to_owned())]);
    }
    admin
        .post(POLICIES, &on_mondays("targets", targets(100_000)))
        .expect(201);
    let mut next = on_mondays("targets", targets(200_000));
    let replaced = admin
        .with("If-Match", "\"1\"")
        .put(&format!("{POLICIES}/mondays-only"), &next)
        .expect(422);
    next.as_object_mut().unwrap().remove("reason");
    let foretold = admin
        .post(&format!("{POLICIES}/mondays-only/preview"), &next)
        .expect(422);
    for refused in [replaced, foretold] {
        let pointer = "/targets/resolution/low/business_minutes";
        assert_eq!(refused.field_errors(), [(pointer.to_owned(), CODE.to_owned())]);
    }
}

#[test]
fn days_that_are_worked_once_do_not_carry_a_policy_when_they_are_over() {
    let app = TestApp::start();
    let admin = app.admin();
    let worked = |day: u32| json!({ "date": format!("2020-01-{day:02}"), "intervals": [["08:00", "17:00"]] });
    let calendar = json!({
        "code": "january",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": weekly("2040-01-01", "08:00", "12:00"),
        "exceptions": (1..=31).map(worked).collect::<Vec<Value>>(),
    });
    admin.post(CALENDARS, &calendar).expect(201);
    let mut body = policy("january", 10, json!({ "organisation": ["H57"] }));
    body["calendar"] = json!("january");
    let refused = admin.post(POLICIES, &body).expect(422);
    let pointers = [
        "/targets/first_response/normal/business_minutes",
        "/targets/resolution/normal/business_days",
        "/close_after_business_days",
    ];
    let expected = pointers.map(|pointer| (pointer.to_owned(), CODE.to_owned()));
    assert_eq!(refused.field_errors(), expected);
}

#[test]
fn an_agreement_is_held_against_every_calendar_that_its_organisation_may_get() {
    let app = TestApp::start();
    let admin = app.admin();
    mondays(&admin);
    let long = |organisation: &str| {
        let mut body = agreement(organisation, "2020-01-01");
        body["targets"] = json!({ "resolution": { "low": { "business_minutes": 200_000 } } });
        body
    };
    let agreements = "/api/v1/agreements";
    let refused_by = |reply: Reply, pointer: &str| {
        assert_eq!(
            reply.expect(422).field_errors(),
            [(pointer.to_owned(), CODE.to_owned())]
        );
    };
    // The default calendar has the time; then so must every other by which the organisation's questions may be counted.
    admin.post(agreements, &long("H57")).expect(201);
    let own = on_mondays("precedence", json!(10));
    refused_by(admin.post(POLICIES, &own), "/calendar");
    let mut other = own;
    other["conditions"] = json!({ "organisation": ["H26"] });
    admin.post(POLICIES, &other).expect(201);
    refused_by(
        admin.post(agreements, &long("H26")),
        "/targets/resolution/low/business_minutes",
    );
    // No policy needs so much, the agreement does.
    let change = json!({ "patterns": weekly("2019-01-01", "08:00", "12:00"), "reason": "Giờ mới." });
    refused_by(patch(&admin, &change), "/patterns");
    app.at("2021-01-01T00:00:00+07:00");
    patch(&admin, &change).expect(200);
}
