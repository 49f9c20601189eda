//! Clocks that explain themselves: figures, attribution, explanations in two languages, and simulation.
use chrono::{DateTime, Utc};
use giaidap::calendars::Name;
use giaidap::policies::{self, NewPolicy};
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::desk::path_of;
use crate::support::{Client, TestApp, question};

mod simulations;

const SIMULATE: &str = "/api/v1/sla/simulate";
const HOUR: i64 = 3600;

/// A policy for questions with this tag or in this queue, before the default one.
fn policy(app: &TestApp, code: &str, calendar: &str, change: impl FnOnce(&mut Value)) {
    let mut spec = json!({
        "targets": {
            "first_response": { "normal": { "business_minutes": 240 }, "urgent": { "business_minutes": 60 } },
            "next_response": { "normal": { "business_minutes": 120 }, "urgent": { "business_minutes": 30 } },
            "resolution": { "normal": { "business_minutes": 1440 }, "high": { "business_days": 2 },
                "urgent": { "calendar_days": 3 } },
        },
        "conditions": { "tag": [code] },
        "precedence": 10,
        "warn_at_percent": [50, 75],
        "pauses": { "waiting": ["first_response", "resolution"] },
        "reopen": "continue",
        "close_after_business_days": 5,
    });
    change(&mut spec);
    let new = NewPolicy {
        code: code.into(),
        name: Name {
            vi: code.into(),
            en: code.into(),
        },
        calendar: calendar.into(),
        spec: serde_json::from_value(spec).unwrap(),
        is_default: false,
    };
    let now = app.app.clock.now();
    app.write(move |conn| policies::create_policy(conn, &new, "test", now));
}

fn file_at(app: &TestApp, organisation: &Client, at: &str, change: impl FnOnce(&mut Value)) -> Value {
    app.at(at);
    let mut body = question();
    change(&mut body);
    organisation.post("/api/v1/tickets", &body).expect(201).body
}

fn clocks(answer: &Value) -> &Vec<Value> {
    answer["clocks"].as_array().unwrap()
}

fn seconds(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

fn sum(values: &Value, member: &str) -> i64 {
    let values = values.as_array().unwrap();
    values.iter().map(|value| seconds(&value[member])).sum()
}

fn whole_second(value: &Value) -> i64 {
    let at: DateTime<Utc> = value.as_str().unwrap().parse().unwrap();
    at.timestamp()
}

/// Figures, segments and explanation of every clock of a ticket agree to the second, for this reader.
#[track_caller]
fn assert_consistent(reader: &Client, path: &str) -> (Value, Value) {
    let sla = reader.get(&format!("{path}/sla")).expect(200).body;
    let explanation = reader.get(&format!("{path}/sla/explanation")).expect(200).body;
    let ticket = reader.get(path).expect(200).body;
    assert_eq!(clocks(&sla).len(), clocks(&explanation).len());
    for ((clock, why), shown) in clocks(&sla).iter().zip(clocks(&explanation)).zip(clocks(&ticket)) {
        for member in ["target", "cycle", "state", "due_at", "breached_at", "met_at"] {
            assert_eq!(clock[member], shown[member], "{member}: {clock}");
            assert_eq!(clock[member], why[member], "{member}: {clock}");
        }
        assert_eq!(
            clock["remaining_business_seconds"],
            shown["remaining_business_seconds"]
        );
        let segments = clock["segments"].as_array().unwrap();
        let of_kind = |running: bool| -> i64 {
            let segments = segments.iter().filter(|segment| segment["running"] == running);
            segments
                .map(|segment| seconds(&segment["business_seconds"]))
                .sum()
        };
        assert_eq!(of_kind(true), seconds(&clock["consumed_business_seconds"]));
        assert_eq!(of_kind(false), seconds(&clock["paused_business_seconds"]));
        let explained = why["segments"].as_array().unwrap();
        assert_eq!(segments.len(), explained.len());
        for (segment, explained) in segments.iter().zip(explained) {
            assert_eq!(segment["business_seconds"], explained["business_seconds"]);
            assert_segment(explained);
        }
        let terms =
            |member: &str| -> i64 { why["sums"][member].as_array().unwrap().iter().map(seconds).sum() };
        assert_eq!(
            terms("running"),
            seconds(&why["sums"]["consumed_business_seconds"])
        );
        assert_eq!(terms("paused"), seconds(&why["sums"]["paused_business_seconds"]));
        if why["ahead"].is_object() {
            assert_eq!(
                why["ahead"]["business_seconds"],
                clock["remaining_business_seconds"]
            );
        }
        if let Some(held) = clock.get("held_by") {
            let own: i64 = (segments.iter())
                .filter(|segment| segment["running"] == true && segment["carried"] == false)
                .map(|segment| seconds(&segment["business_seconds"]))
                .sum();
            assert_eq!(sum(held, "business_seconds"), own);
        }
    }
    (sla, explanation)
}

/// The pieces leave no second of the segment out, and those that count sum up.
#[track_caller]
fn assert_segment(segment: &Value) {
    let mut reached = whole_second(&segment["from"]);
    let mut counted = 0;
    for day in segment["days"].as_array().unwrap() {
        let mut of_day = 0;
        for piece in day["pieces"].as_array().unwrap() {
            assert_eq!(whole_second(&piece["from"]), reached);
            reached = whole_second(&piece["to"]);
            if piece["skipped"].is_null() {
                of_day += seconds(&piece["seconds"]);
            }
        }
        assert_eq!(of_day, seconds(&day["business_seconds"]));
        counted += of_day;
    }
    assert_eq!(reached, whole_second(&segment["to"]));
    assert_eq!(counted, seconds(&segment["business_seconds"]));
}

fn clock_of<'a>(answer: &'a Value, target: &str, cycle: i64) -> &'a Value {
    let is_meant = |clock: &&Value| clock["target"] == target && clock["cycle"] == cycle;
    clocks(answer).iter().find(is_meant).unwrap()
}

fn text(reader: &Client, path: &str, language: &str) -> String {
    let reader = reader
        .with("Accept", "text/plain")
        .with("Accept-Language", language);
    let reply: Reply = reader.get(&format!("{path}/sla/explanation")).expect(200);
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("content-language"), Some(language));
    reply.text
}

#[test]
fn the_clock_over_the_swap_of_29_april_2019_names_the_day_off_and_the_make_up_saturday() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ticket = file_at(&app, &hue, "2019-04-26T16:30:00+07:00", |body| {
        body["priority"] = json!("low");
    });
    let path = path_of(&ticket);
    app.at("2019-05-04T09:00:00+07:00");
    let (sla, explanation) = assert_consistent(&hue, &path);
    let first = clock_of(&sla, "first_response", 1);
    assert_eq!(seconds(&first["consumed_business_seconds"]), 18 * HOUR);
    assert_eq!(
        (&first["state"], &first["due_at"]),
        (&json!("breached"), &json!("2019-05-03T09:30:00Z"))
    );
    let resolution = clock_of(&explanation, "resolution", 1);
    let steps = resolution["day_count"]["days"].as_array().unwrap();
    let numbered: Vec<(&Value, &Value)> = steps
        .iter()
        .filter(|step| !step["number"].is_null())
        .map(|step| (&step["number"], &step["date"]))
        .collect();
    assert_eq!(
        numbered[2],
        (&json!(3), &json!("2019-05-04")),
        "the make-up Saturday"
    );
    assert_eq!(numbered.len(), 10);

    let vi = text(&hue, &path, "vi");
    for line in [
        "Thứ Sáu 26/04/2019: 16:30–17:30 = 1:00:00; không tính: 17:30–24:00 sau giờ làm việc",
        "Thứ Bảy 27/04/2019: nghỉ (cuối tuần)",
        "Thứ Hai 29/04/2019: nghỉ (Ngày nghỉ hoán đổi; Công văn 6519/VPCP-KGVX ngày 11/7/2018)",
        "Thứ Ba 30/04/2019: nghỉ (Ngày Chiến thắng; Bộ luật Lao động 2012 (10/2012/QH13), Điều 115)",
        "12:00–13:30 nghỉ trưa",
        "Thứ Bảy 04/05/2019: ngày làm bù; Làm bù cho ngày 29/04/2019; Công văn 6519/VPCP-KGVX ngày 11/7/2018; 08:00–09:00 = 1:00:00",
        "Thứ Bảy 04/05/2019: ngày thứ 3",
        "Quá hạn từ: 03/05/2019 16:30:00",
        "Đã dùng: 18:00:00",
        "Vượt thời hạn: 18:00:00 − 16:00:00 = 2:00:00",
    ] {
        assert!(vi.contains(line), "{line}\n{vi}");
    }
    let en = text(&hue, &path, "en");
    for line in [
        "Monday 29/04/2019: off (Day off by swap of working days; Công văn 6519/VPCP-KGVX ngày 11/7/2018)",
        "Saturday 04/05/2019: make-up working day; Worked in place of 29 Apr 2019",
        "First response, cycle 1: breached",
        "Over the target: 18:00:00 − 16:00:00 = 2:00:00",
    ] {
        assert!(en.contains(line), "{line}\n{en}");
    }
    // Only what is asked for.
    let one = hue
        .get(&format!("{path}/sla/explanation?target=resolution&cycle=1"))
        .expect(200)
        .body;
    assert_eq!(clocks(&one).len(), 1);
    let none = hue
        .get(&format!("{path}/sla/explanation?cycle=7"))
        .expect(200)
        .body;
    assert_eq!(none["clocks"], json!([]));
    let refused = hue
        .get(&format!("{path}/sla/explanation?target=x&cycle=0&more=1"))
        .expect(422);
    assert_eq!(refused.field_errors().len(), 3);
    let asked = hue.with("Accept", "text/plain").with("Accept-Language", "en");
    let nothing = asked.get(&format!("{path}/sla/explanation?cycle=7")).expect(200);
    assert!(
        nothing.text.contains("There is no such clock."),
        "{}",
        nothing.text
    );
}

/// docs/SLA.md works this example by hand; both languages stand there.
#[test]
fn the_example_of_the_documentation_is_what_the_clock_says() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = file_at(&app, &hue, "2019-04-26T16:30:00+07:00", |body| {
        body["priority"] = json!("high");
    });
    let path = path_of(&ticket);
    app.at("2019-05-02T09:00:00+07:00");
    lan.call(&format!("{path}/claim")).expect(200);
    lan.post(&format!("{path}/wait"), &json!({ "message": "Bổ sung?" }))
        .expect(200);
    app.at("2019-05-03T10:00:00+07:00");
    hue.post(&format!("{path}/messages"), &json!({ "body": "Đây." }))
        .expect(201);
    app.at("2019-05-04T09:00:00+07:00");
    assert_consistent(&hue, &path);
    let documentation = std::fs::read_to_string("docs/SLA.md").unwrap();
    for language in ["vi", "en"] {
        let asking = hue.with("Accept", "text/plain").with("Accept-Language", language);
        let why = asking
            .get(&format!("{path}/sla/explanation?target=resolution"))
            .expect(200)
            .text;
        assert!(documentation.contains(&why), "docs/SLA.md lacks:\n{why}");
    }
    let scenario = json!({ "filed_at": "2019-04-26T16:30:00+07:00", "topic": "NGSP", "priority": "high",
        "changes": [{ "at": "2019-05-02T09:00:00+07:00", "event": "wait" },
            { "at": "2019-05-03T10:00:00+07:00", "event": "reply" }] });
    assert!(documentation.contains(&serde_json::to_string(&scenario["changes"][0]["at"]).unwrap()));
    let simulated = hue.post(SIMULATE, &scenario).expect(200).body;
    assert_eq!(
        clock_of(&simulated, "resolution", 1)["due_at"],
        "2019-05-07T02:00:00Z"
    );
}

#[test]
fn each_second_is_on_the_account_of_one_queue_and_agent() {
    let app = TestApp::start();
    let (hue, lan, hung) = (
        app.organisation("H57"),
        app.agent("lan", &["technology"]),
        app.agent("hung", &["technology", "security"]),
    );
    app.write(|conn| {
        use diesel::RunQueryDsl;
        let statement =
            "INSERT INTO operational_targets (queue_id, business_minutes, author, updated_at, version)
            SELECT id, '{\"normal\": 120}', 'test', '2019-01-01T00:00:00.000000Z', 1 FROM queues
            WHERE code IN ('technology', 'security')";
        Ok(diesel::sql_query(statement).execute(conn)?)
    });
    let ticket = file_at(&app, &hue, "2019-11-25T08:00:00+07:00", |_| {});
    let path = path_of(&ticket);
    let step = |at: &str, actor: &Client, operation: &str, body: Value| {
        app.at(at);
        let status = if operation == "messages" { 201 } else { 200 };
        actor.post(&format!("{path}/{operation}"), &body).expect(status);
        assert_consistent(actor, &path);
    };
    step("2019-11-25T08:10:00+07:00", &lan, "claim", json!({}));
    step("2019-11-25T09:00:00+07:00", &lan, "release", json!({}));
    step("2019-11-25T09:05:00+07:00", &hung, "claim", json!({}));
    step(
        "2019-11-25T10:00:00+07:00",
        &hung,
        "wait",
        json!({ "message": "Bổ sung?" }),
    );
    step(
        "2019-11-25T11:00:00+07:00",
        &hue,
        "messages",
        json!({ "body": "Đây." }),
    );
    let transfer = json!({ "queue": "security", "reason": "Đúng nhóm hơn." });
    step("2019-11-25T11:30:00+07:00", &hung, "transfer", transfer);
    step("2019-11-25T14:30:00+07:00", &hung, "claim", json!({}));
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    step("2019-11-25T15:00:00+07:00", &hung, "resolve", answer);

    let (sla, _) = assert_consistent(&app.supervisor(), &path);
    let clock = clock_of(&sla, "resolution", 1);
    let accounts: Vec<(Option<&str>, Option<&str>, i64, i64)> = clock["held_by"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| {
            (
                account["queue"].as_str(),
                account["agent"]["name"].as_str(),
                seconds(&account["business_seconds"]) / 60,
                seconds(&account["paused_business_seconds"]) / 60,
            )
        })
        .collect();
    let technology = Some("technology");
    let expected = [
        (technology, None, 15, 0),
        (technology, Some("Lan"), 50, 0),
        (technology, Some("Hung"), 85, 60),
        (Some("security"), None, 90, 0),
        (Some("security"), Some("Hung"), 30, 0),
    ];
    assert_eq!(accounts, expected);
    assert_eq!(
        sum(&clock["held_by"], "business_seconds"),
        seconds(&clock["consumed_business_seconds"])
    );
    let used = |queue: &str, used: i64, left: i64, breached: bool| {
        json!({ "queue": queue, "target_business_minutes": 120, "used_business_seconds": used * 60,
            "remaining_business_seconds": left * 60, "breached": breached })
    };
    assert_eq!(
        sla["operational_targets"],
        json!([used("security", 120, 0, false), used("technology", 150, 0, true)])
    );

    // Reopened, the clock goes on with what it had: carried segments are on the first cycle's account only.
    step(
        "2019-11-26T08:00:00+07:00",
        &hue,
        "reopen",
        json!({ "reason": "Chưa rõ." }),
    );
    app.at("2019-11-26T09:00:00+07:00");
    let (sla, explanation) = assert_consistent(&hung, &path);
    let second = clock_of(&sla, "resolution", 2);
    assert_eq!(sum(&second["held_by"], "business_seconds"), HOUR);
    assert_eq!(seconds(&second["consumed_business_seconds"]), 270 * 60 + HOUR);
    let why = text(&hung, &path, "vi");
    assert!(why.contains("hàng đợi security, Hung"), "{why}");
    assert!(why.contains("của chu kỳ trước"), "{why}");
    assert_eq!(clocks(&explanation).len(), 3);

    // The asker reads its clocks, not who held the question and when it was handed on.
    let (own, _) = assert_consistent(&hue, &path);
    assert!(own.get("operational_targets").is_none());
    let first = clock_of(&own, "resolution", 1);
    assert!(first.get("held_by").is_none());
    let reasons: Vec<&str> = first["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| segment["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["filed", "waiting", "resumed"]);
    for shown in [own.to_string(), text(&hue, &path, "vi"), text(&hue, &path, "en")] {
        for hidden in ["Hung", "Lan", "technology", "security"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
    }
}

#[test]
fn what_was_counted_by_other_hours_is_explained_by_those_hours() {
    let app = TestApp::start();
    let (hue, hung) = (
        app.organisation("H57"),
        app.agent("hung", &["technology", "security"]),
    );
    let around_the_clock = json!({
        "code": "around-the-clock",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": {
            "mon": [["00:00", "24:00"]], "tue": [["00:00", "24:00"]], "wed": [["00:00", "24:00"]],
            "thu": [["00:00", "24:00"]], "fri": [["00:00", "24:00"]], "sat": [["00:00", "24:00"]],
            "sun": [["00:00", "24:00"]] } }],
    });
    app.admin()
        .post("/api/v1/calendars", &around_the_clock)
        .expect(201);
    policy(&app, "guarded", "around-the-clock", |spec| {
        spec["conditions"] = json!({ "queue": ["security"] });
    });
    // Friday 16:30: an hour by office hours until 17:30, then the queue that is open day and night.
    let ticket = file_at(&app, &hue, "2019-11-22T16:30:00+07:00", |_| {});
    let path = path_of(&ticket);
    app.at("2019-11-22T18:30:00+07:00");
    let transfer = json!({ "queue": "security", "reason": "Trực đêm." });
    hung.post(&format!("{path}/transfer"), &transfer).expect(200);
    app.at("2019-11-22T20:30:00+07:00");
    let (sla, explanation) = assert_consistent(&hung, &path);
    let clock = clock_of(&sla, "first_response", 1);
    assert_eq!(seconds(&clock["consumed_business_seconds"]), 3 * HOUR);
    assert_eq!(seconds(&clock["remaining_business_seconds"]), HOUR);
    assert_eq!(clock["calendar"]["code"], "around-the-clock");
    let calendars: Vec<&Value> = clock_of(&explanation, "first_response", 1)["segments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| &segment["calendar"]["code"])
        .collect();
    assert_eq!(calendars, ["vn-government", "around-the-clock"]);
    let (own, explained) = assert_consistent(&hue, &path);
    for told in [own, explained] {
        // That other hours count is the asker's to know, that it was handed on is not.
        let segments = clock_of(&told, "first_response", 1)["segments"].clone();
        let reasons: Vec<&Value> = segments
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["reason"])
            .collect();
        assert_eq!(reasons, ["filed", "processing"]);
    }
    let why = text(&hue, &path, "en");
    assert!(
        why.contains("being worked on") && !why.contains("other terms"),
        "{why}"
    );
    assert!(why.contains("Consumed: 1:00:00 + 2:00:00 = 3:00:00"), "{why}");
    assert!(why.contains("Remaining: 4:00:00 − 3:00:00 = 1:00:00"), "{why}");
}

#[test]
fn a_term_in_days_ends_at_24_hours_of_its_last_day() {
    let app = TestApp::start();
    policy(&app, "days", "vn-government", |_| {});
    let hue = app.organisation("H57");
    let ticket = file_at(&app, &hue, "2019-11-25T08:00:00+07:00", |body| {
        body["tags"] = json!(["days"]);
        body["priority"] = json!("urgent");
    });
    let path = path_of(&ticket);
    for (language, words) in [
        (
            "vi",
            ["Đến hạn: 28/11/2019 24:00:00", "Kết thúc: 28/11/2019 24:00:00"],
        ),
        ("en", ["Due: 28/11/2019 24:00:00", "Ends: 28/11/2019 24:00:00"]),
    ] {
        let why = text(&hue, &path, language);
        assert!(words.iter().all(|word| why.contains(word)), "{why}");
    }
    // Late from there on.
    app.at("2019-11-29T00:00:01+07:00");
    let why = text(&hue, &path, "vi");
    assert!(why.contains("Quá hạn từ: 28/11/2019 24:00:00"), "{why}");
}

#[test]
fn ten_years_of_one_ticket_are_explained_in_less_than_ten_megabytes() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ticket = file_at(&app, &hue, "2019-11-25T08:00:00+07:00", |_| {});
    let path = format!("{}/sla/explanation", path_of(&ticket));
    app.at("2029-11-24T08:00:00+07:00");
    let whole = hue.get(&path).expect(200);
    let days: usize = clocks(&whole.body)[0]["segments"][0]["days"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(days, 3653);
    assert!(whole.text.len() < 10_000_000, "{}", whole.text.len());
}
