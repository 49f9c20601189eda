//! Versions of calendars: readable for ever, with who made them and what used them; seasons; the worked example of the docs.
use giaidap::sla::{CalendarSpec, Timeline};
use serde_json::{Value, json};

use crate::support::desk::{path_of, policy};
use crate::support::{TestApp, question};

const CALENDARS: &str = "/api/v1/calendars";
const SHIPPED: &str = "/api/v1/calendars/vn-government";

#[test]
fn old_versions_stay_readable_and_name_what_used_them() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
    hue.get(&path_of(&ticket)).expect(200);
    let first = admin.get(&format!("{SHIPPED}/versions/1")).expect(200).body;
    assert_eq!(
        (&first["in_force"], &first["recount"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(first["used_by"]["open_clocks"], 2);
    assert_eq!(first["used_by"]["policies"], json!(["default"]));
    let change =
        json!({ "set_exceptions": [{ "date": "2019-11-25", "intervals": [] }], "reason": "Nghỉ bão" });
    admin
        .with("If-Match", "\"1\"")
        .send(
            "PATCH",
            SHIPPED,
            Some("application/json"),
            Some(change.to_string().as_bytes()),
        )
        .expect(200);
    let list = admin.get(&format!("{SHIPPED}/versions?limit=1")).expect(200).body;
    let newest = &list["items"][0];
    assert_eq!(
        (&newest["version"], &newest["reason"], &newest["in_force"]),
        (&json!(2), &json!("Nghỉ bão"), &json!(true))
    );
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = admin
        .get(&format!("{SHIPPED}/versions?limit=1&cursor={cursor}"))
        .expect(200)
        .body;
    assert_eq!(
        (&rest["items"][0]["version"], &rest["next_cursor"]),
        (&json!(1), &Value::Null)
    );
    let old = admin.get(&format!("{SHIPPED}/versions/1")).expect(200).body;
    assert_eq!(
        (&old["in_force"], &old["used_by"]["policies"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(old["exceptions"], first["exceptions"]);
    for nothing in ["3", "0", "x"] {
        admin.get(&format!("{SHIPPED}/versions/{nothing}")).expect(404);
    }
    // Who changed it, why, and how much rests on it is the centre's.
    hue.get(&format!("{SHIPPED}/versions/1")).expect(403);
}

#[test]
fn a_calendar_that_the_caller_has_is_not_sent_again() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let shown = hue.get(SHIPPED).expect(200);
    assert_eq!(shown.header("etag"), Some("\"1\""));
    assert_eq!(shown.body["undecided_years"], json!([]));
    hue.with("If-None-Match", "\"1\"").get(SHIPPED).expect(304);
    hue.with("If-None-Match", "\"2\"").get(SHIPPED).expect(200);
    app.at("2026-12-15T09:00:00+07:00");
    assert_eq!(
        hue.get(SHIPPED).expect(200).body["undecided_years"],
        json!([2027])
    );
    let report = "/api/v1/reports/sla?from=2026-12-01&to=2027-01-01";
    let warnings = &app.supervisor().get(report).expect(200).body["warnings"];
    assert_eq!(
        (&warnings[0]["code"], &warnings[0]["year"]),
        (&json!("undecided_year"), &json!(2027))
    );
}

#[test]
fn an_undecided_year_of_a_calendar_that_a_policy_counts_by_is_named_with_the_calendar() {
    let app = TestApp::start();
    let (admin, sup) = (app.admin(), app.supervisor());
    let hours = |code: &str| {
        json!({
            "code": code,
            "time_zone": "Asia/Ho_Chi_Minh",
            "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }],
            "exceptions": [
                { "date": "2019-09-02", "intervals": [], "kind": "statutory", "certainty": "confirmed" },
                // Neither decides the year.
                { "date": "2020-03-02", "intervals": [], "kind": "other", "certainty": "confirmed" },
                { "date": "2020-09-02", "intervals": [], "kind": "statutory", "certainty": "projected" },
            ],
        })
    };
    for code in ["own-hours", "unused"] {
        admin.post(CALENDARS, &hours(code)).expect(201);
    }
    let mut own = policy("own", 10, json!({ "kind": ["province"] }));
    own["calendar"] = json!("own-hours");
    let warned = || -> Vec<String> {
        let ready = app.anonymous().get("/readyz").expect(200).body;
        let texts: Vec<&str> = ready["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap())
            .filter(|text| text.contains("knows no confirmed holiday"))
            .collect();
        let report = "/api/v1/reports/sla?from=2019-11-01&to=2020-01-01";
        let report = sup.get(report).expect(200).body;
        let warnings = report["warnings"].as_array().unwrap().iter();
        let named =
            warnings.map(|warning| format!("{} {}", warning["calendar"].as_str().unwrap(), warning["year"]));
        let named: Vec<String> = named.collect();
        assert_eq!(texts.len(), named.len(), "{texts:?} {named:?}");
        for (text, named) in texts.iter().zip(&named) {
            let (calendar, year) = named.split_once(' ').unwrap();
            assert!(
                text.contains(&format!("`{calendar}`")) && text.contains(year),
                "{text}"
            );
        }
        named
    };
    app.at("2019-12-15T09:00:00+07:00");
    assert!(warned().is_empty(), "nobody counts by either");
    admin.post("/api/v1/sla-policies", &own).expect(201);
    assert_eq!(warned(), ["own-hours 2020"]);
    let reason = json!({ "reason": "Không dùng nữa." });
    admin.post("/api/v1/sla-policies/own/retire", &reason).expect(200);
    assert!(warned().is_empty());
}

#[test]
fn a_province_keeps_summer_and_winter_hours_of_its_own() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let week = |hours: Value| json!({ "mon": hours, "tue": hours, "wed": hours, "thu": hours, "fri": hours });
    let province = json!({
        "code": "thua-thien-hue", "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [
            { "valid_from": "2019-04-16", "weekly": week(json!([["07:00", "11:30"], ["13:30", "17:00"]])) },
            { "valid_from": "2019-10-16", "weekly": week(json!([["07:30", "11:30"], ["13:30", "17:30"]])) },
        ],
    });
    admin.post(CALENDARS, &province).expect(201);
    for (from, due) in [
        ("2019-10-15T06:00:00+07:00", "2019-10-15T01:00:00Z"),
        ("2019-10-16T06:00:00+07:00", "2019-10-16T01:30:00Z"),
    ] {
        let asked = json!({ "from": from, "business_seconds": 3600 });
        let answer = hue
            .post(&format!("{CALENDARS}/thua-thien-hue/due"), &asked)
            .expect(200)
            .body;
        assert_eq!(answer["due_at"], due);
    }
}

#[test]
fn the_order_of_patterns_and_exceptions_says_nothing() {
    let app = TestApp::start();
    let admin = app.admin();
    let from = |date: &str, open: &str| json!({ "valid_from": date, "weekly": { "mon": [[open, "17:00"]] } });
    let off = |date: &str| json!({ "date": date, "intervals": [] });
    let (winter, summer) = (from("2019-01-01", "08:00"), from("2019-06-01", "07:00"));
    let mut hours = json!({
        "code": "seasons",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [summer, winter],
        "exceptions": [off("2020-09-02"), off("2020-01-01")],
    });
    let created = admin.post(CALENDARS, &hours).expect(201).body;
    let begins = |calendar: &Value| -> Vec<Value> {
        let patterns = calendar["patterns"].as_array().unwrap().iter();
        patterns.map(|pattern| pattern["valid_from"].clone()).collect()
    };
    assert_eq!(begins(&created), ["2019-01-01", "2019-06-01"]);
    assert_eq!(
        created["exceptions"],
        json!([off("2020-01-01"), off("2020-09-02")])
    );
    // What is wrong is still named where the caller wrote it.
    let mut twice = hours.clone();
    twice["code"] = json!("twice");
    twice["patterns"] = json!([summer, winter, summer]);
    let refused = admin.post(CALENDARS, &twice).expect(422);
    assert_eq!(refused.field_errors()[0].0, "/patterns/2/valid_from");

    hours.as_object_mut().unwrap().remove("code");
    hours["reason"] = json!("Cùng một lịch.");
    let path = format!("{CALENDARS}/seasons");
    let again = admin.with("If-Match", "\"1\"").put(&path, &hours);
    assert_eq!((again.status, again.problem()), (409, "conflict"));
    hours["patterns"] = json!([from("2021-06-01", "06:30"), summer, winter]);
    let changed = admin
        .with("If-Match", "\"1\"")
        .put(&path, &hours)
        .expect(200)
        .body;
    assert_eq!(begins(&changed), ["2019-01-01", "2019-06-01", "2021-06-01"]);
}

/// The numbers of docs/CALENDARS.md, "A worked example".
#[test]
fn the_worked_example_of_the_swap_of_29_april_2019_holds() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    for (seconds, due) in [
        (3600, "2019-04-26T10:30:00Z"),
        (18_000, "2019-05-02T05:00:00Z"),
        (28_800, "2019-05-02T09:30:00Z"),
        (90_000, "2019-05-04T10:30:00Z"),
    ] {
        let asked = json!({ "from": "2019-04-26T16:30:00+07:00", "business_seconds": seconds });
        let answer = hue.post(&format!("{SHIPPED}/due"), &asked).expect(200).body;
        assert_eq!(answer["due_at"], due);
    }
    let shown = hue.get(SHIPPED).expect(200).body;
    let spec = json!({ "time_zone": shown["time_zone"], "patterns": shown["patterns"], "exceptions": shown["exceptions"] });
    let spec: CalendarSpec = serde_json::from_value(spec).unwrap();
    let timeline = Timeline::new(spec.check().unwrap());
    let filed = "2019-04-26T09:30:00Z".parse().unwrap();
    let due = timeline.end_of_business_day_after(filed, 3).ok().unwrap();
    assert_eq!(
        due.to_rfc3339(),
        "2019-05-04T10:30:00+00:00",
        "the third working day is the Saturday"
    );
}
