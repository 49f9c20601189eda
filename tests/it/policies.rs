//! SLA policies that administrators change: what is refused and where, who gets which, versions, retirement.
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use serde_json::{Value, json};

use crate::support::desk::{clock, path_of, policy};
use crate::support::{Client, TestApp, file};

const POLICIES: &str = "/api/v1/sla-policies";

fn at(code: &str) -> String {
    format!("{POLICIES}/{code}")
}

/// A policy with one member replaced.
fn with(member: &str, value: Value) -> Value {
    let mut body = policy("other", 20, json!({ "kind": ["agency"] }));
    body[member] = value;
    body
}

#[track_caller]
fn refusals(admin: &Client, body: &Value) -> Vec<(String, String)> {
    admin.post(POLICIES, body).expect(422).field_errors()
}

#[test]
fn what_is_wrong_with_a_policy_is_said_where_it_stands_and_nothing_is_stored() {
    let app = TestApp::start();
    let admin = app.admin();
    admin
        .post(
            POLICIES,
            &policy("ministries", 10, json!({ "kind": ["ministry"] })),
        )
        .expect(201);
    let step = |step: Value| with("escalations", json!([step]));
    let notify = json!(["supervisors"]);
    let on_breach = json!({ "target": "resolution", "on": "breach", "notify": notify });
    let many: Vec<String> = (0..201).map(|number| format!("t{number}")).collect();
    let cases = [
        (with("code", json!("Not A Code")), "/code", "invalid_format"),
        (with("calendar", json!("none")), "/calendar", "unknown_code"),
        (with("reason", json!("")), "/reason", "too_short"),
        (with("targets", json!({})), "/targets", "no_target"),
        (
            with(
                "targets",
                json!({ "resolution": { "low": { "business_days": 0 } } }),
            ),
            "/targets/resolution/low/business_days",
            "zero_amount",
        ),
        (
            with(
                "targets",
                json!({ "resolution": { "low": { "business_days": 1, "calendar_days": 1 } } }),
            ),
            "/targets/resolution/low/calendar_days",
            "duplicate",
        ),
        (
            with("conditions", json!({ "topic": [] })),
            "/conditions/topic",
            "empty_condition",
        ),
        (
            with("conditions", json!({ "tag": many })),
            "/conditions/tag",
            "too_many_values",
        ),
        (
            with("conditions", json!({ "tag": ["a", ""] })),
            "/conditions/tag/1",
            "bad_value",
        ),
        (
            with("conditions", json!({ "tag": ["a", "a"] })),
            "/conditions/tag/1",
            "duplicate_value",
        ),
        (
            with("conditions", json!({ "kind": ["city"] })),
            "/conditions/kind/0",
            "unknown_code",
        ),
        (
            with("conditions", json!({ "channel": ["fax"] })),
            "/conditions/channel/0",
            "unknown_code",
        ),
        (
            with("conditions", json!({ "topic": ["NGSP", "TRUCVB", "NONE"] })),
            "/conditions/topic/2",
            "unknown_code",
        ),
        (
            with("conditions", json!({ "queue": ["none"] })),
            "/conditions/queue/0",
            "unknown_code",
        ),
        (
            with("conditions", json!({ "organisation": ["H57", "000.00.00.H57"] })),
            "/conditions/organisation/1",
            "duplicate_value",
        ),
        (
            with(
                "conditions",
                json!({ "organisation": ["H57"], "kind": ["ministry"] }),
            ),
            "/conditions",
            "matches_nothing",
        ),
        (
            with("conditions", json!({ "kind": ["ministry"], "topic": ["NGSP"] })),
            "/conditions",
            "matches_nothing",
        ),
        (with("precedence", json!(10)), "/precedence", "precedence_taken"),
        (
            with(
                "pauses",
                json!({ "queued": ["resolution"], "assigned": ["resolution"], "waiting": ["resolution"] }),
            ),
            "/pauses",
            "never_runs",
        ),
        (
            with("pauses", json!({ "waiting": ["resolution", "resolution"] })),
            "/pauses/waiting/1",
            "duplicate",
        ),
        (
            with("status_update", json!({ "every": { "business_minutes": 479 } })),
            "/status_update/every/business_minutes",
            "too_often",
        ),
        (
            with("status_update", json!({ "every": { "calendar_days": 0 } })),
            "/status_update/every/calendar_days",
            "zero_amount",
        ),
        (
            step(json!({ "target": "next_response", "on": "breach", "notify": notify })),
            "/escalations/0/target",
            "missing_target",
        ),
        (
            step(json!({ "target": "resolution", "on": "breach", "percent": 50, "notify": notify })),
            "/escalations/0/percent",
            "percent_on_breach",
        ),
        (
            step(json!({ "target": "resolution", "on": "warning", "percent": 60, "notify": notify })),
            "/escalations/0/percent",
            "unknown_percent",
        ),
        (
            step(json!({ "target": "resolution", "on": "breach" })),
            "/escalations/0",
            "empty_escalation",
        ),
        (
            with("escalations", json!([on_breach, on_breach])),
            "/escalations/1",
            "duplicate_escalation",
        ),
        (
            step(json!({ "target": "resolution", "on": "breach", "transfer": "none" })),
            "/escalations/0/transfer",
            "unknown_code",
        ),
        (
            with("applies_to_open", json!(true)),
            "/applies_to_open",
            "not_allowed",
        ),
    ];
    for (body, pointer, code) in &cases {
        let expected = [((*pointer).to_owned(), (*code).to_owned())];
        assert_eq!(refusals(&admin, body), expected, "{body}");
    }
    assert_eq!(
        (app.rows_in("sla_policies"), app.rows_in("sla_policy_versions")),
        (2, 2)
    );
    let mut english = admin
        .with("Accept-Language", "en")
        .post(POLICIES, &with("precedence", json!(10)))
        .body;
    let vietnamese = admin.post(POLICIES, &with("precedence", json!(10))).body;
    for body in [english.take(), vietnamese] {
        let detail = body["errors"][0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("ministries"), "{detail}");
    }
    admin
        .post(POLICIES, &policy("ministries", 11, json!({})))
        .expect(409);
}

#[test]
fn a_policy_that_would_take_every_question_of_a_later_one_is_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let hue = policy("hue", 20, json!({ "organisation": ["H57"] }));
    admin.post(POLICIES, &hue).expect(201);
    let provinces = policy("provinces", 10, json!({ "kind": ["province"] }));
    let refused = admin.post(POLICIES, &provinces).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/conditions".to_owned(), "matches_nothing".to_owned())]
    );
    assert!(refused.text.contains("hue"), "{}", refused.text);
    admin
        .post(
            POLICIES,
            &policy("provinces", 30, json!({ "kind": ["province"] })),
        )
        .expect(201);
}

fn transferring(code: &str, precedence: u32, conditions: Value, to: &str) -> Value {
    let mut body = policy(code, precedence, conditions);
    body["escalations"] = json!([{ "target": "resolution", "on": "breach", "transfer": to }]);
    body
}

#[test]
fn a_cycle_of_transfers_is_refused_with_its_path_unless_no_question_can_go_round() {
    let app = TestApp::start();
    let admin = app.admin();
    let first = transferring(
        "first",
        10,
        json!({ "queue": ["technology"], "kind": ["province"] }),
        "security",
    );
    admin.post(POLICIES, &first).expect(201);
    let second = |conditions: Value| transferring("second", 20, conditions, "technology");
    let back = second(json!({ "queue": ["security"] }));
    let refused = admin.post(POLICIES, &back).expect(422);
    let expected = [(
        "/escalations/0/transfer".to_owned(),
        "escalation_cycle".to_owned(),
    )];
    assert_eq!(refused.field_errors(), expected);
    let path = "security -(second)-> technology -(first)-> security";
    assert!(refused.text.contains(path), "{}", refused.text);
    // Of one organisation that is a province, too.
    let of_hue = second(json!({ "queue": ["security"], "organisation": ["H57"] }));
    assert_eq!(refusals(&admin, &of_hue), expected);
    admin
        .post(
            POLICIES,
            &second(json!({ "queue": ["security"], "kind": ["ministry"] })),
        )
        .expect(201);
    let own = transferring("third", 30, json!({ "queue": ["policy"] }), "policy");
    assert_eq!(refusals(&admin, &own), expected);
}

#[test]
fn the_first_policy_by_precedence_whose_conditions_hold_is_the_one_and_the_others_say_why_not() {
    let app = TestApp::start();
    let admin = app.admin();
    for body in [
        policy("tagged", 5, json!({ "tag": ["khẩn"] })),
        policy("by-phone", 10, json!({ "channel": ["phone"] })),
        policy(
            "hue-data",
            20,
            json!({ "organisation": ["H57"], "topic": ["NGSP"] }),
        ),
        policy(
            "provinces",
            30,
            json!({ "kind": ["province"], "queue": ["technology"] }),
        ),
    ] {
        admin.post(POLICIES, &body).expect(201);
    }
    let cases = [
        (json!({ "organisation": "H57", "topic": "NGSP" }), "hue-data"),
        (
            json!({ "organisation": "H57", "topic": "NGSP", "channel": "phone" }),
            "by-phone",
        ),
        (
            json!({ "organisation": "H57", "topic": "NGSP", "tags": ["a", "khẩn"], "channel": "phone" }),
            "tagged",
        ),
        (json!({ "organisation": "H26", "topic": "NGSP" }), "provinces"),
        (json!({ "organisation": "H26" }), "default"),
        (
            json!({ "organisation": "H26", "queue": "technology" }),
            "provinces",
        ),
    ];
    for (body, expected) in cases {
        let answer = admin.post(&at("match"), &body).expect(200).body;
        assert_eq!(answer["policy"]["code"], expected, "{body}");
        let considered = answer["considered"].as_array().unwrap();
        assert_eq!(considered.len(), 5);
        let winner = considered
            .iter()
            .find(|policy| policy["matches"] == true)
            .unwrap();
        assert_eq!(winner["code"], expected);
    }
    let answer = admin
        .post(&at("match"), &json!({ "organisation": "H26" }))
        .expect(200)
        .body;
    assert_eq!(
        answer["considered"][2]["failing"],
        json!([
            { "condition": "organisation", "wanted": ["H57"], "given": "H26" },
            { "condition": "topic", "wanted": ["NGSP"], "given": null },
        ])
    );
    let urgent = json!({ "organisation": "H26", "priority": "urgent" });
    let answer = admin.post(&at("match"), &urgent).expect(200).body;
    assert_eq!(
        answer["targets"]["resolution"],
        json!({ "urgent": { "business_days": 1 } })
    );
    assert_eq!(
        refused_match(&admin, &json!({})),
        ("/organisation".into(), "required".into())
    );
    let own = app.organisation("H57");
    own.post(&at("match"), &json!({})).expect(200);
    let foreign = refused_match(&own, &json!({ "organisation": "H26" }));
    assert_eq!(foreign, ("/organisation".into(), "not_allowed".into()));
}

#[track_caller]
fn refused_match(caller: &Client, body: &Value) -> (String, String) {
    caller
        .post(&at("match"), body)
        .expect(422)
        .field_errors()
        .remove(0)
}

/// Code of the policy that a ticket has, which no route shows alone.
fn policy_of(app: &TestApp, number: &str) -> String {
    let query = format!(
        "(SELECT p.code FROM tickets t JOIN sla_policy_versions v ON v.id = t.policy_version_id \
          JOIN sla_policies p ON p.id = v.policy_id WHERE t.number = '{number}')"
    );
    app.read(move |conn| Ok(diesel::select(sql::<Text>(&query)).get_result(conn)?))
}

#[test]
fn filing_gives_the_policy_that_match_foretells() {
    let app = TestApp::start();
    let admin = app.admin();
    // Each answers in its own time, so that the first clock tells which one it is.
    let conditions = [
        json!({ "tag": ["a", "b"], "kind": ["province"] }),
        json!({ "topic": ["NGSP"], "channel": ["email", "phone"] }),
        json!({ "organisation": ["H57", "H26"], "queue": ["technology"] }),
        json!({ "kind": ["province"], "channel": ["web"] }),
    ];
    for (number, conditions) in (1..).zip(conditions) {
        let mut body = policy(&format!("p{number}"), number, conditions);
        body["targets"]["first_response"]["normal"] = json!({ "business_minutes": 100 + number });
        admin.post(POLICIES, &body).expect(201);
    }
    let mut state = 7_u32;
    let mut pick = |count: usize| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        (state >> 16) as usize % count
    };
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let mut described = json!({ "priority": "normal" });
        described["organisation"] = json!(["H57", "H26", "G22"][pick(3)]);
        described["channel"] = json!(["web", "email", "phone", "api"][pick(4)]);
        described["tags"] = [json!([]), json!(["a"]), json!(["c"])][pick(3)].clone();
        if pick(2) == 0 {
            described["topic"] = json!(["NGSP", "DIEMMAU"][pick(2)]);
        }
        let foretold = admin.post(&at("match"), &described).expect(200).body;
        let mut filed = described.clone();
        filed["subject"] = json!("Câu hỏi");
        filed["body"] = json!("Nội dung.");
        let ticket = admin.post("/api/v1/tickets", &filed).expect(201).body;
        let number = ticket["number"].as_str().unwrap().to_owned();
        let code = policy_of(&app, &number);
        assert_eq!(foretold["policy"]["code"], json!(code), "{described}");
        assert_eq!(foretold["queue"]["code"], ticket["queue"]["code"]);
        seen.insert(code);
    }
    assert!(seen.len() >= 4, "{seen:?}");
}

#[test]
fn a_new_version_is_made_by_who_has_seen_the_present_one_and_old_ones_stay() {
    let app = TestApp::start();
    let admin = app.admin();
    let mut body = policy("hue", 10, json!({ "organisation": ["H57"] }));
    let created = admin.post(POLICIES, &body).expect(201);
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(created.header("location"), Some("/api/v1/sla-policies/hue"));
    file(&app.organisation("H57"));
    body["reason"] = json!("Lần hai.");
    body["precedence"] = json!(11);
    admin.put(&at("hue"), &body).expect(428);
    let first = admin.with("If-Match", "\"1\"");
    first.put(&at("hue"), &body).expect(200);
    first.put(&at("hue"), &body).expect(412);
    admin.with("If-None-Match", "\"2\"").get(&at("hue")).expect(304);
    let mut renamed = body.clone();
    renamed["code"] = json!("hue-2");
    let refused = admin.with("If-Match", "*").put(&at("hue"), &renamed).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/code".to_owned(), "not_allowed".to_owned())]
    );
    let versions = admin.get(&at("hue/versions")).expect(200).body;
    let of = |index: usize| &versions["items"][index];
    assert_eq!(
        (&of(0)["version"], &of(0)["reason"]),
        (&json!(2), &json!("Lần hai."))
    );
    assert_eq!(of(1)["definition"]["precedence"], 10);
    assert_eq!(of(1)["used_by"], json!({ "open_tickets": 1, "tickets": 1 }));
    assert_eq!(of(0)["used_by"], json!({ "open_tickets": 0, "tickets": 0 }));
    assert_eq!(&admin.get(&at("hue/versions/1")).expect(200).body, of(1));
    admin.get(&at("hue/versions/3")).expect(404);
    admin.get(&at("hue/versions/x")).expect(404);
}

#[test]
fn of_two_who_change_a_policy_at_once_one_is_told_that_it_has_changed() {
    let app = TestApp::start();
    let other = app.replica();
    let admin = app.admin();
    admin
        .post(POLICIES, &policy("hue", 10, json!({ "organisation": ["H57"] })))
        .expect(201);
    let seen = admin.with("If-Match", "\"1\"");
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let change = |client: Client, precedence: u32| {
            scope.spawn(move || {
                let body = policy("hue", precedence, json!({ "organisation": ["H57"] }));
                client.put(&at("hue"), &body).status
            })
        };
        let both = [change(seen.clone(), 11), change(seen.on(&other.url), 12)];
        both.map(|thread| thread.join().unwrap()).to_vec()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[test]
fn open_tickets_go_over_to_a_version_for_them_but_not_their_breached_or_stopped_clocks() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let lan = app.agent("lan", &["technology"]);
    let mut body = policy("hue", 10, json!({ "organisation": ["H57"] }));
    admin.post(POLICIES, &body).expect(201);
    let (late, fresh) = (file(&hue), file(&hue));
    // The first response of both is due when the office closes at 17:30; Lan answers one of them in time.
    app.at("2019-11-22T17:00:00+07:00");
    lan.call(&format!("{}/claim", path_of(&fresh))).expect(200);
    lan.post(
        &format!("{}/messages", path_of(&fresh)),
        &json!({ "body": "Đã nhận." }),
    )
    .expect(201);
    app.at("2019-11-25T10:00:00+07:00").settle();
    body["targets"] = json!({
        "first_response": { "normal": { "business_minutes": 600 } },
        "resolution": { "normal": { "business_days": 9 } },
    });
    body["reason"] = json!("Chưa áp dụng cho câu hỏi đang mở.");
    admin.with("If-Match", "\"1\"").put(&at("hue"), &body).expect(200);
    assert_eq!(app.rows_in("recounts"), 0);
    let before = lan.get(&path_of(&late)).expect(200).body;
    body["reason"] = json!("Áp dụng cho cả câu hỏi đang mở.");
    body["applies_to_open"] = json!(true);
    admin.with("If-Match", "\"2\"").put(&at("hue"), &body).expect(200);
    assert_eq!(app.rows_in("recounts"), 1);
    lan.call(&format!("{}/claim", path_of(&late))).expect(200);
    lan.call(&format!("{}/release", path_of(&fresh))).expect(200);
    let shown = |ticket: &Value| lan.get(&path_of(ticket)).expect(200).body;
    let (late, fresh) = (shown(&late), shown(&fresh));
    let response = clock(&late, "first_response");
    assert_eq!(response["state"], "breached");
    assert_eq!(response["due_at"], clock(&before, "first_response")["due_at"]);
    assert_eq!(clock(&fresh, "first_response")["state"], "met");
    for ticket in [&late, &fresh] {
        // The ninth working day after Friday, 22 November.
        assert_eq!(clock(ticket, "resolution")["due_at"], "2019-12-05T10:30:00Z");
    }
    let versions = admin.get(&at("hue/versions")).expect(200).body;
    assert_eq!(versions["items"][0]["used_by"]["open_tickets"], 2);
}

#[test]
fn a_retired_policy_gets_no_new_ticket_and_stays_with_those_it_has() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let body = policy("hue", 10, json!({ "organisation": ["H57"] }));
    admin.post(POLICIES, &body).expect(201);
    let kept = file(&hue);
    let reason = json!({ "reason": "Hết thời gian thí điểm." });
    admin
        .with("If-Match", "\"9\"")
        .post(&at("hue/retire"), &reason)
        .expect(412);
    let retired = admin.post(&at("hue/retire"), &reason).expect(200);
    assert!(retired.body["retired_at"].is_string() && retired.header("etag") == Some("\"2\""));
    admin.post(&at("hue/retire"), &reason).expect(409);
    admin.with("If-Match", "*").put(&at("hue"), &body).expect(409);
    admin.post(&at("default/retire"), &reason).expect(409);
    let versions = admin.get(&at("hue/versions")).expect(200).body;
    assert_eq!(versions["items"][0]["reason"], "Hết thời gian thí điểm.");
    let next = file(&hue);
    let due = |ticket: &Value| clock(ticket, "first_response")["due_at"].clone();
    assert_ne!(due(&kept), due(&next));
    let shown = hue.get(&path_of(&kept)).expect(200).body;
    assert_eq!(due(&shown), due(&kept));
    // Its number is free again.
    admin
        .post(POLICIES, &policy("next", 10, json!({ "kind": ["province"] })))
        .expect(201);
}

#[test]
fn a_policy_without_conditions_may_take_everything_before_the_default() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let got = || hue.post(&at("match"), &json!({})).expect(200).body["policy"]["code"].clone();
    admin.post(POLICIES, &policy("all", 10, json!({}))).expect(201);
    assert_eq!(got(), "all");
    let reason = json!({ "reason": "Trở lại như trước." });
    admin.post(&at("all/retire"), &reason).expect(200);
    assert_eq!(got(), "default");
}
