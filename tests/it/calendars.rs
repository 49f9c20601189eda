//! Calendars over the API, as `api.md` fixes them for other programs.
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

const CALENDARS: &str = "/api/v1/calendars";
const SHIPPED: &str = "/api/v1/calendars/vn-government";

/// The calendar of the API's description, completed.
fn literal() -> Value {
    serde_json::from_str(
        r#"{"code": "tinh-thua-thien-hue", "time_zone": "Asia/Ho_Chi_Minh",
            "patterns": [{"valid_from": "2019-01-01", "weekly": {
                "mon": [["08:00","12:00"],["13:30","17:30"]], "tue": [["08:00","12:00"],["13:30","17:30"]],
                "wed": [["08:00","12:00"],["13:30","17:30"]], "thu": [["08:00","12:00"],["13:30","17:30"]],
                "fri": [["08:00","12:00"],["13:30","17:30"]], "sat": [], "sun": []}}],
            "exceptions": [{"date": "2019-04-29", "intervals": [],
                "name": {"vi": "Nghỉ hoán đổi", "en": "Day off in exchange"},
                "legal_basis": "Thông báo 6519/TB-LĐTBXH"}]}"#,
    )
    .unwrap()
}

fn with(member: &str, value: Value) -> Value {
    let mut calendar = literal();
    calendar[member] = value;
    calendar
}

#[track_caller]
fn due(caller: &Client, calendar: &str, from: &str, business_seconds: i64, pauses: Value) -> String {
    let question = json!({ "from": from, "business_seconds": business_seconds, "pauses": pauses });
    let answer = caller
        .post(&format!("{calendar}/due"), &question)
        .expect(200)
        .body;
    assert_eq!(answer["calendar_version"], 1);
    answer["due_at"].as_str().unwrap().to_owned()
}

#[track_caller]
fn elapsed(caller: &Client, calendar: &str, from: &str, to: &str) -> i64 {
    let question = json!({ "from": from, "to": to, "pauses": [] });
    let answer = caller
        .post(&format!("{calendar}/elapsed"), &question)
        .expect(200)
        .body;
    assert_eq!(answer["calendar_version"], 1);
    answer["business_seconds"].as_i64().unwrap()
}

#[test]
fn a_calendar_is_created_as_the_contract_writes_it_and_read_back() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let created = admin.post(CALENDARS, &literal()).expect(201);
    assert_eq!(
        created.header("location"),
        Some("/api/v1/calendars/tinh-thua-thien-hue")
    );
    let by_code = hue.get("/api/v1/calendars/tinh-thua-thien-hue").expect(200).body;
    assert_eq!(by_code, created.body);
    let id = by_code["id"].as_str().unwrap();
    let by_id = hue.get(&format!("{CALENDARS}/{id}")).expect(200).body;
    assert_eq!(by_id, by_code);
    let written = literal();
    for member in ["code", "time_zone", "exceptions"] {
        assert_eq!(by_code[member], written[member], "{member}");
    }
    assert_eq!(by_code["patterns"], written["patterns"]);
    assert_eq!(
        (&by_code["version"], &by_code["is_default"]),
        (&json!(1), &json!(false))
    );
    let list = hue.get(CALENDARS).expect(200).body;
    let codes: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["code"])
        .collect();
    assert_eq!(codes, ["tinh-thua-thien-hue", "vn-government"]);
    // It computes by its own hours, by code and by UUID.
    for calendar in [
        "/api/v1/calendars/tinh-thua-thien-hue",
        &format!("{CALENDARS}/{id}"),
    ] {
        assert_eq!(
            due(&hue, calendar, "2019-11-22T16:30:00+07:00", 14_400, json!([])),
            "2019-11-25T04:00:00Z"
        );
        assert_eq!(
            elapsed(
                &hue,
                calendar,
                "2019-04-29T00:00:00+07:00",
                "2019-04-30T00:00:00+07:00"
            ),
            0
        );
    }
}

#[test]
fn a_due_and_an_elapsed_time_leave_out_nights_weekends_and_pauses() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    // Friday 16:30: an hour that day, three on Monday.
    let from = "2019-11-22T16:30:00+07:00";
    assert_eq!(
        due(&hue, SHIPPED, from, 14_400, json!([])),
        "2019-11-25T04:00:00Z"
    );
    assert_eq!(elapsed(&hue, SHIPPED, from, "2019-11-25T11:00:00+07:00"), 14_400);
    assert_eq!(due(&hue, SHIPPED, from, 0, json!([])), "2019-11-22T09:30:00Z");
    // Used up exactly at closing time is due then, not at the next opening.
    assert_eq!(due(&hue, SHIPPED, from, 3600, json!([])), "2019-11-22T10:30:00Z");
    assert_eq!(due(&hue, SHIPPED, from, 3601, json!([])), "2019-11-25T01:00:01Z");
    // A pause over the weekend costs the hour of Friday only; overlapping pauses count once.
    let weekend = json!(["2019-11-22T16:30:00+07:00", "2019-11-25T08:00:00+07:00"]);
    let monday = json!(["2019-11-25T08:00:00+07:00", "2019-11-25T09:00:00+07:00"]);
    let overlapping = json!(["2019-11-25T08:30:00+07:00", "2019-11-25T09:00:00+07:00"]);
    assert_eq!(
        due(&hue, SHIPPED, from, 14_400, json!([weekend])),
        "2019-11-25T05:00:00Z"
    );
    assert_eq!(
        due(&hue, SHIPPED, from, 14_400, json!([overlapping, weekend, monday])),
        "2019-11-25T07:30:00Z",
        "an hour after lunch"
    );
    let question = json!({ "from": from, "to": "2019-11-25T11:00:00+07:00", "pauses": [weekend, monday] });
    let answer = hue
        .post(&format!("{SHIPPED}/elapsed"), &question)
        .expect(200)
        .body;
    assert_eq!(answer["business_seconds"], 7200);
    assert_eq!(
        elapsed(&hue, SHIPPED, "2019-11-25T11:00:00+07:00", from),
        0,
        "backwards is nothing"
    );
    // `pauses` may be left out, and fractions of a second are cut.
    let short = json!({ "from": "2019-11-22T16:30:00.999+07:00", "business_seconds": 60 });
    let answer = hue.post(&format!("{SHIPPED}/due"), &short).expect(200).body;
    assert_eq!(answer["due_at"], "2019-11-22T09:31:00Z");
}

#[test]
fn the_monday_of_29_april_2019_was_worked_on_saturday_4_may() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let day = |date: &str, next: &str| {
        elapsed(
            &hue,
            SHIPPED,
            &format!("{date}T00:00:00+07:00"),
            &format!("{next}T00:00:00+07:00"),
        )
    };
    assert_eq!(day("2019-04-26", "2019-04-27"), 28_800, "a Friday");
    assert_eq!(day("2019-04-29", "2019-04-30"), 0, "the Monday off");
    assert_eq!(day("2019-04-30", "2019-05-02"), 0, "the holidays");
    assert_eq!(
        day("2019-05-04", "2019-05-05"),
        28_800,
        "the Saturday worked instead"
    );
    assert_eq!(day("2019-05-11", "2019-05-12"), 0, "any other Saturday");
    // Filed on the Friday before at 16:30: an hour, then Thursday 2 May at 8:00.
    assert_eq!(
        due(&hue, SHIPPED, "2019-04-26T16:30:00+07:00", 7200, json!([])),
        "2019-05-02T02:00:00Z"
    );
    assert_eq!(
        due(&hue, SHIPPED, "2019-05-03T17:30:00+07:00", 28_800, json!([])),
        "2019-05-04T10:30:00Z"
    );
}

#[test]
fn a_night_shift_belongs_to_the_date_on_which_it_opens() {
    let app = TestApp::start();
    let admin = app.admin();
    let nights = json!({
        "code": "ca-dem",
        "name": { "vi": "Ca đêm", "en": "Night shift" },
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["22:00", "06:00"]], "tue": [["22:00", "06:00"]] } }],
        "exceptions": [
            { "date": "2019-12-03", "intervals": [] },
            { "date": "2019-12-07", "intervals": [["20:00", "24:00"]] },
        ],
    });
    let created = admin.post(CALENDARS, &nights).expect(201).body;
    assert_eq!(created["name"], json!({ "vi": "Ca đêm", "en": "Night shift" }));
    let path = "/api/v1/calendars/ca-dem";
    // Monday and Tuesday nights.
    assert_eq!(
        elapsed(
            &admin,
            path,
            "2019-11-25T00:00:00+07:00",
            "2019-12-02T00:00:00+07:00"
        ),
        2 * 28_800
    );
    assert_eq!(
        due(&admin, path, "2019-11-25T12:00:00+07:00", 28_800, json!([])),
        "2019-11-25T23:00:00Z"
    );
    // The holiday on Tuesday 3 December takes that evening's shift and leaves Monday's tail.
    assert_eq!(
        elapsed(
            &admin,
            path,
            "2019-12-03T00:00:00+07:00",
            "2019-12-04T23:00:00+07:00"
        ),
        6 * 3600
    );
    // A make-up evening on a Saturday, until midnight.
    assert_eq!(
        elapsed(
            &admin,
            path,
            "2019-12-07T00:00:00+07:00",
            "2019-12-08T12:00:00+07:00"
        ),
        4 * 3600
    );
}

#[test]
fn a_calendar_that_cannot_be_right_is_refused_with_where_and_why() {
    let app = TestApp::start();
    let admin = app.admin();
    let pattern = |weekly: Value| {
        with(
            "patterns",
            json!([{ "valid_from": "2019-01-01", "weekly": weekly }]),
        )
    };
    let exceptions = |exceptions: Value| with("exceptions", exceptions);
    let friday = json!([["08:00", "12:00"]]);
    let cases: Vec<(Value, &[(&str, &str)])> = vec![
        (
            pattern(json!({ "mon": [["08:00", "12:00"], ["11:00", "17:00"]] })),
            &[("/patterns/0/weekly/mon/1", "overlapping_intervals")],
        ),
        (
            pattern(json!({ "mon": [["08:00", "08:00"]] })),
            &[("/patterns/0/weekly/mon/0", "empty_interval")],
        ),
        (
            pattern(json!({ "mon": [["8:00", "25:00"]] })),
            &[
                ("/patterns/0/weekly/mon/0/0", "bad_time"),
                ("/patterns/0/weekly/mon/0/1", "bad_time"),
            ],
        ),
        (
            pattern(json!({ "sat": [] })),
            &[("/patterns/0/weekly", "no_working_time")],
        ),
        (
            pattern(json!({ "monday": [] })),
            &[("/patterns/0/weekly/monday", "unknown_field")],
        ),
        (
            with("time_zone", json!("Asia/Hue")),
            &[("/time_zone", "unknown_time_zone")],
        ),
        (
            with("time_zone", json!("+07:00")),
            &[("/time_zone", "unknown_time_zone")],
        ),
        (with("patterns", json!([])), &[("/patterns", "too_short")]),
        (with("code", json!("Huế")), &[("/code", "invalid_format")]),
        (with("code", json!("a-")), &[("/code", "invalid_format")]),
        (with("code", json!("a--b")), &[("/code", "invalid_format")]),
        (with("code", json!("7a")), &[("/code", "invalid_format")]),
        (
            with("code", json!("a190f3a2-7c11-7c3e-9b1a-2f5d8e7a7001")),
            &[("/code", "invalid_format")],
        ),
        (with("code", json!("")), &[("/code", "too_short")]),
        (with("code", json!("x".repeat(65))), &[("/code", "too_long")]),
        (
            with("valid_from", json!("2019-01-01")),
            &[("/valid_from", "unknown_field")],
        ),
        (
            with("name", json!({ "vi": "Chỉ tiếng Việt" })),
            &[("/name/en", "required")],
        ),
        (
            with("name", json!(["Lịch", "Calendar"])),
            &[("/name", "wrong_type")],
        ),
        (
            with(
                "patterns",
                json!([
                    { "valid_from": "2019-01-01", "weekly": { "fri": friday } },
                    { "valid_from": "2019-01-01", "weekly": { "fri": friday } },
                ]),
            ),
            &[("/patterns/1/valid_from", "duplicate_valid_from")],
        ),
        (
            exceptions(
                json!([{ "date": "2019-04-29", "intervals": [] }, { "date": "2019-04-29", "intervals": [] }]),
            ),
            &[("/exceptions/1/date", "duplicate_date")],
        ),
        (
            exceptions(json!([{ "date": "2019-02-29", "intervals": [] }])),
            &[("/exceptions/0/date", "bad_date")],
        ),
        (
            exceptions(json!([{ "date": "29/04/2019", "intervals": [] }])),
            &[("/exceptions/0/date", "bad_date")],
        ),
        (
            exceptions(json!([{ "date": "2019-04-29" }])),
            &[("/exceptions/0/intervals", "required")],
        ),
        (
            exceptions(json!([{ "date": "2019-04-29", "intervals": [["12:00", "12:00"]] }])),
            &[("/exceptions/0/intervals/0", "empty_interval")],
        ),
        (
            exceptions(json!([{ "date": "2019-04-29", "intervals": [], "name": { "fr": "x" } }])),
            &[("/exceptions/0/name/fr", "unknown_field")],
        ),
        (
            exceptions(json!([{ "date": "2019-04-29", "intervals": [], "name": { "vi": "a\u{0}b" } }])),
            &[("/exceptions/0/name/vi", "control_character")],
        ),
        (
            exceptions(json!([{ "date": "2019-04-29", "intervals": [], "legal_basis": "a\u{0}" }])),
            &[("/exceptions/0/legal_basis", "control_character")],
        ),
        (
            exceptions(json!([{ "date": "2019-04-29", "intervals": [], "source": "x".repeat(1001) }])),
            &[("/exceptions/0/source", "too_long")],
        ),
        (
            json!({ "code": "x", "time_zone": "nowhere", "patterns": [{ "valid_from": "x", "weekly": {} }] }),
            &[
                ("/patterns/0/valid_from", "bad_date"),
                ("/time_zone", "unknown_time_zone"),
            ],
        ),
    ];
    let before = app.footprint();
    let mut wrong = Vec::new();
    for (body, expected) in cases {
        let reply = admin.post(CALENDARS, &body);
        let mut faults = reply.field_errors();
        faults.sort();
        let faults: Vec<(&str, &str)> = faults
            .iter()
            .map(|(place, code)| (place.as_str(), code.as_str()))
            .collect();
        if reply.status != 422 || faults != expected {
            wrong.push(format!("{} {faults:?} instead of {expected:?}", reply.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(app.footprint(), before);
}

#[test]
fn an_exceptions_texts_are_kept_in_nfc() {
    let app = TestApp::start();
    let admin = app.admin();
    let decomposed = "Nghi\u{309} le\u{302}\u{303}";
    let exception = json!({
        "date": "2019-04-29", "intervals": [], "name": { "vi": decomposed, "en": "Holiday" }, "legal_basis": decomposed,
    });
    let created = admin
        .post(CALENDARS, &with("exceptions", json!([exception])))
        .expect(201)
        .body;
    assert_eq!(created["exceptions"][0]["name"]["vi"], "Nghỉ lễ");
    assert_eq!(created["exceptions"][0]["legal_basis"], "Nghỉ lễ");
}

#[test]
fn a_code_is_given_once_and_only_by_an_administrator() {
    let app = TestApp::start();
    let (admin, sup, hue) = (app.admin(), app.supervisor(), app.organisation("H57"));
    for caller in [&sup, &hue, &app.auditor(), &app.agent("lan", &["technology"])] {
        assert_eq!(
            caller.post(CALENDARS, &literal()).expect(403).problem(),
            "forbidden"
        );
        // Who may not do it is not told what is wrong with it either.
        caller.post(CALENDARS, &json!({})).expect(403);
    }
    admin.post(CALENDARS, &literal()).expect(201);
    let again = admin.post(CALENDARS, &literal()).expect(409);
    assert_eq!(again.problem(), "conflict");
    let shipped = admin
        .post(CALENDARS, &with("code", json!("vn-government")))
        .expect(409);
    assert_eq!(shipped.problem(), "conflict");
    hue.get("/api/v1/calendars/none").expect(404);
    let question = json!({ "from": "2019-11-22T16:30:00+07:00", "business_seconds": 60 });
    hue.post("/api/v1/calendars/none/due", &question).expect(404);
}

#[test]
fn a_year_that_nobody_has_decided_yet_is_a_visible_warning() {
    let app = TestApp::start();
    let ready = |app: &TestApp| app.anonymous().get("/readyz").expect(200).body;
    assert_eq!(ready(&app)["warnings"], json!([]));
    app.at("2026-12-15T09:00:00+07:00");
    let warnings = ready(&app)["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
    assert!(warnings[0].as_str().unwrap().contains("2027"), "{warnings}");
    // One day off for a storm is no holiday.
    let storm =
        json!({ "set_exceptions": [{ "date": "2027-01-04", "intervals": [] }], "reason": "Nghỉ bão." });
    let admin = app.admin().with("If-Match", "\"1\"");
    let shipped = format!("{CALENDARS}/vn-government");
    let body = storm.to_string();
    admin
        .send("PATCH", &shipped, Some("application/json"), Some(body.as_bytes()))
        .expect(200);
    assert_eq!(ready(&app)["warnings"], warnings);
}

#[test]
fn a_day_that_is_not_confirmed_is_a_warning_of_its_own() {
    let app = TestApp::start();
    let shipped = format!("{CALENDARS}/vn-government");
    let (hue, supervisor) = (app.organisation("H57"), app.supervisor());
    let told = || {
        let shown = hue.get(&shipped).expect(200).body;
        let report = "/api/v1/reports/sla?from=2026-09-01&to=2026-10-01";
        let report = supervisor.get(report).expect(200).body;
        let ready = app.anonymous().get("/readyz").expect(200).body;
        (
            ready["warnings"].clone(),
            report["warnings"].clone(),
            shown["unconfirmed_dates"].clone(),
        )
    };
    app.at("2026-09-24T09:00:00+07:00");
    let (ready, _, dates) = told();
    assert_eq!((ready, dates), (json!([]), json!([])), "61 days before");
    app.at("2026-10-10T09:00:00+07:00");
    let (ready, report, dates) = told();
    assert_eq!(dates, json!(["2026-11-24"]));
    assert_eq!(ready.as_array().unwrap().len(), 1, "{ready}");
    assert!(ready[0].as_str().unwrap().contains("2026-11-24"), "{ready}");
    let first = &report[0];
    assert_eq!(
        (&first["code"], &first["date"], &first["year"]),
        (&json!("unconfirmed_day"), &json!("2026-11-24"), &Value::Null)
    );
}
