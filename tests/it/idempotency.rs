//! The same request again, by its `Idempotency-Key`: one effect, one answer.
use std::collections::BTreeSet;

use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use giaidap::http::routes::ROUTES;
use giaidap::identity::{self, Scope};
use serde_json::{Value, json};

use crate::isolation::{body_for, send};
use crate::support::client::Reply;
use crate::support::contract::Contract;
use crate::support::desk::path_of;
use crate::support::things::Things;
use crate::support::{Client, TestApp, file, question};

const TICKETS: &str = "/api/v1/tickets";

/// Status, body, and the headers that belong to the answer and not to its transport.
fn answer(reply: &Reply) -> (u16, String, Vec<Option<String>>) {
    let header = |name| reply.header(name).map(str::to_owned);
    let headers = ["content-type", "etag", "location"].map(header).to_vec();
    (reply.status, reply.text.clone(), headers)
}

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

#[test]
fn a_question_that_is_filed_twice_is_one_ticket_one_mail_and_one_answer() {
    let app = TestApp::start();
    let hue = app.organisation("H57").with("Idempotency-Key", "7d9a");
    let first = hue.post(TICKETS, &question()).expect(201);
    assert!(!is_replayed(&first));
    // Later, and after the ticket has moved on, the answer is still the first one.
    app.at("2019-11-23T09:00:00+07:00");
    let lan = app.agent("lan", &["technology"]);
    lan.call(&format!("{}/claim", path_of(&first.body))).expect(200);
    let before = app.footprint();
    for _ in 0..3 {
        let again = hue.post(TICKETS, &question()).expect(201);
        assert_eq!(answer(&again), answer(&first));
        assert!(is_replayed(&again));
    }
    assert_eq!(app.footprint(), before);
    app.settle();
    assert_eq!(app.smtp.wait_for(1).len(), 1);
}

#[test]
fn the_key_of_another_request_is_refused() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let with_key = hue.with("Idempotency-Key", "7d9a");
    let filed = with_key.post(TICKETS, &question()).expect(201).body;
    let before = app.footprint();
    let mut other = question();
    other["subject"] = json!("Câu hỏi khác");
    let spaced = format!("{} ", question());
    let cases = [
        with_key.post(TICKETS, &other),
        // The same JSON in other bytes is another body.
        with_key.post_raw(TICKETS, "application/json", spaced.as_bytes()),
        with_key.post(&format!("{}/cancel", path_of(&filed)), &json!({ "reason": "x" })),
    ];
    for refused in cases {
        assert_eq!(
            (refused.status, refused.problem()),
            (422, "idempotency-key-reused")
        );
    }
    assert_eq!(app.footprint(), before);
}

#[test]
fn the_key_of_the_same_file_with_another_query_is_refused() {
    let app = TestApp::start();
    let admin = app.admin().with("Idempotency-Key", "7d9a");
    let import = |query: &str| {
        let path = format!("/api/v1/calendars/vn-government/import?{query}");
        admin.post_raw(&path, "text/csv", b"date\n2020-03-02\n")
    };
    let first = import("from=2020&to=2020").expect(200);
    let again = import("from=2020&to=2020").expect(200);
    assert_eq!(answer(&again), answer(&first));
    assert!(is_replayed(&again));
    for query in ["from=2020&to=2021", "from=2020&to=2020&replace=true", ""] {
        let refused = import(query);
        assert_eq!(
            (refused.status, refused.problem()),
            (422, "idempotency-key-reused"),
            "{query}"
        );
    }
}

#[test]
fn a_key_works_anew_after_twenty_four_hours() {
    let app = TestApp::start();
    let hue = app.organisation("H57").with("Idempotency-Key", "7d9a");
    let lan = app.agent("lan", &["technology"]).with("Idempotency-Key", "7d9a");
    let first = hue.post(TICKETS, &question()).expect(201).body;
    let claim = format!("{}/claim", path_of(&first));
    lan.call(&claim).expect(200);
    app.at("2019-11-23T16:30:00+07:00");
    assert!(is_replayed(&hue.post(TICKETS, &question())));
    assert!(is_replayed(&lan.call(&claim)));
    app.at("2019-11-23T16:30:01+07:00");
    let anew = hue.post(TICKETS, &question()).expect(201);
    assert!(!is_replayed(&anew));
    assert_ne!(anew.body["number"], first["number"]);
    assert_eq!(lan.call(&claim).expect(409).problem(), "wrong-transition");
    // Also where the worker that forgets old answers has been by.
    app.at("2019-11-30T16:30:00+07:00").settle();
    let third = hue.post(TICKETS, &question()).expect(201);
    assert!(!is_replayed(&third));
}

#[test]
fn keys_of_two_programs_do_not_clash() {
    let app = TestApp::start();
    let callers = [
        app.organisation("H57"),
        app.key_of("H57", "Dịch vụ công", &Scope::OF_CLIENTS),
        app.organisation("H26"),
    ];
    let mut numbers: Vec<Value> = Vec::new();
    for caller in &callers {
        let filed = caller
            .with("Idempotency-Key", "1")
            .post(TICKETS, &question())
            .expect(201);
        assert!(!is_replayed(&filed));
        numbers.push(filed.body["number"].clone());
    }
    assert_eq!(numbers, ["GD-2019-000001", "GD-2019-000002", "GD-2019-000003"]);
}

#[test]
fn a_program_that_changes_its_key_stays_who_it_is() {
    let app = TestApp::start();
    let old = app.organisation("H57");
    let filed = old
        .with("Idempotency-Key", "7d9a")
        .post(TICKETS, &question())
        .expect(201);
    let path = path_of(&filed.body);
    old.post(&format!("{path}/messages"), &json!({ "body": "Bổ sung." }))
        .expect(201);
    let new = app.organisation("H57");
    assert_ne!(new.token(), old.token());
    // The answer was lost on the way and the key was changed before the repetition.
    let again = new
        .with("Idempotency-Key", "7d9a")
        .post(TICKETS, &question())
        .expect(201);
    assert_eq!(answer(&again), answer(&filed));
    assert!(is_replayed(&again));
    assert_eq!(app.rows_in("tickets"), 1);
    assert_eq!(
        old.get("/api/v1/me").expect(200).body,
        new.get("/api/v1/me").expect(200).body
    );
    new.post(&format!("{path}/messages"), &json!({ "body": "Thêm nữa." }))
        .expect(201);
    let (authors, actors): (i64, i64) = app.read(|conn| {
        let distinct = |column: &str, table: &str| {
            sql::<BigInt>(&format!(
                "(SELECT count(DISTINCT {column}) FROM {table} WHERE {column} IS NOT NULL)"
            ))
        };
        let authors = diesel::select(distinct("author_id", "messages")).get_result(conn)?;
        let actors = diesel::select(distinct("actor_id", "ticket_events")).get_result(conn)?;
        Ok((authors, actors))
    });
    assert_eq!((authors, actors), (1, 1));
}

#[test]
fn staff_repeat_with_another_token_of_theirs() {
    let app = TestApp::start();
    let path = path_of(&file(&app.organisation("H57")));
    let lan = app.agent("lan", &["technology"]).with("Idempotency-Key", "7d9a");
    let claimed = lan.call(&format!("{path}/claim")).expect(200);
    let now = app.app.clock.now();
    let token = app.write(move |conn| identity::create_token(conn, "lan@centre.example", "another", now));
    let other = Client::new(&app.url, Some(token.reveal())).with("Idempotency-Key", "7d9a");
    let again = other.call(&format!("{path}/claim")).expect(200);
    assert_eq!(answer(&again), answer(&claimed));
    assert!(is_replayed(&again));
}

#[test]
fn a_refused_request_is_not_kept_and_may_be_mended() {
    let app = TestApp::start();
    let hue = app.organisation("H57").with("Idempotency-Key", "k");
    let mut wrong = question();
    wrong["topic"] = json!("NONE");
    hue.post(TICKETS, &wrong).expect(422);
    hue.post(TICKETS, &json!({})).expect(422);
    hue.post_raw(TICKETS, "text/plain", b"x").expect(415);
    let filed = hue.post(TICKETS, &question()).expect(201);
    assert!(!is_replayed(&filed));

    let sup = app.supervisor();
    let path = path_of(&filed.body);
    let resume = sup.with("Idempotency-Key", "r");
    assert_eq!(
        resume.call(&format!("{path}/resume")).expect(409).problem(),
        "wrong-transition"
    );
    sup.call(&format!("{path}/claim")).expect(200);
    sup.post(&format!("{path}/wait"), &json!({ "message": "?" }))
        .expect(200);
    assert!(!is_replayed(&resume.call(&format!("{path}/resume")).expect(200)));
    assert!(is_replayed(&resume.call(&format!("{path}/resume")).expect(200)));
}

/// The operations that write, with who calls them, on which path, with which body. `ticket` is queued, `held` is
/// assigned to the supervisor, `answered` is resolved.
fn writing_calls(app: &TestApp) -> Vec<(&'static str, Client, String, Value)> {
    let (hue, sup, admin) = (app.organisation("H57"), app.supervisor(), app.admin());
    app.agent("lan", &["technology"]);
    let fresh = || path_of(&file(&hue));
    let held = || {
        let path = fresh();
        sup.call(&format!("{path}/claim")).expect(200);
        path
    };
    let waiting = || {
        let path = held();
        sup.post(&format!("{path}/wait"), &json!({ "message": "?" }))
            .expect(200);
        path
    };
    let answered = || {
        let path = held();
        let body = json!({ "outcome": "answered", "message": "Trả lời." });
        sup.post(&format!("{path}/resolve"), &body).expect(200);
        path
    };
    let reason = json!({ "reason": "Có lý do." });
    let hours = json!({
        "code": "own-hours",
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }],
    });
    let pending = admin.get("/api/v1/deliveries?state=pending").expect(200).body;
    assert_eq!(pending["items"], json!([]));
    fresh();
    let pending = admin.get("/api/v1/deliveries?state=pending").expect(200).body;
    let delivery = pending["items"][0]["id"].as_str().unwrap().to_owned();
    let on = |path: String, name: &str| format!("{path}/{name}");
    let policy = json!({
        "code": "urgent-only",
        "name": { "vi": "Khẩn", "en": "Urgent" },
        "calendar": "vn-government",
        "targets": { "resolution": { "urgent": { "business_minutes": 60 } } },
        "conditions": { "tag": ["urgent-only"] },
        "precedence": 7,
        "warn_at_percent": [],
        "pauses": {},
        "reopen": "continue",
        "close_after_business_days": 5,
        "reason": "Thử.",
    });
    let agreement = json!({
        "organisation": "H26",
        "name": { "vi": "Thỏa thuận", "en": "Agreement" },
        "targets": { "resolution": { "urgent": { "business_minutes": 60 } } },
        "valid_from": "2030-01-01",
    });
    let ending = {
        let mut body = agreement.clone();
        body["organisation"] = json!("H50");
        let made = admin.post("/api/v1/agreements", &body).expect(201).body;
        format!("/api/v1/agreements/{}/end", made["id"].as_str().unwrap())
    };
    let program = json!({ "organisation": "H57", "name": "Một cửa" });
    let unit = json!({ "code": "H57.14", "kind": "agency", "name": { "vi": "Sở", "en": "Department" } });
    let succession = json!({ "successor": "H26", "last_day": "2026-12-31" });
    let person = json!({ "organisation": "H57", "name": "Bình", "email": "binh@hue.example" });
    let asker = admin.post(
        "/api/v1/requesters",
        &json!({ "organisation": "H57", "name": "An" }),
    );
    let asker = asker.expect(201).body["id"].as_str().unwrap().to_owned();
    let colleague = json!({ "email": "moi@centre.example", "name": "Mới", "role": "agent" });
    let lan = "/api/v1/users/lan@centre.example".to_owned();
    vec![
        ("create_user", admin.clone(), "/api/v1/users".into(), colleague),
        (
            "set_user_password",
            admin.clone(),
            on(lan.clone(), "password"),
            json!({ "password": "mười hai con giáp đi chợ" }),
        ),
        (
            "reset_second_factor",
            admin.clone(),
            on(lan, "reset-second-factor"),
            json!({}),
        ),
        (
            "create_api_client",
            admin.clone(),
            "/api/v1/api-clients".into(),
            program,
        ),
        (
            "create_organisation",
            admin.clone(),
            "/api/v1/organisations".into(),
            unit,
        ),
        (
            "succeed_organisation",
            admin.clone(),
            "/api/v1/organisations/H14/succession".into(),
            succession,
        ),
        (
            "create_requester",
            admin.clone(),
            "/api/v1/requesters".into(),
            person,
        ),
        (
            "anonymise_requester",
            admin.clone(),
            format!("/api/v1/requesters/{asker}/anonymise"),
            reason.clone(),
        ),
        (
            "create_sla_policy",
            admin.clone(),
            "/api/v1/sla-policies".into(),
            policy,
        ),
        (
            "retire_sla_policy",
            admin.clone(),
            "/api/v1/sla-policies/urgent-only/retire".into(),
            reason.clone(),
        ),
        (
            "create_agreement",
            admin.clone(),
            "/api/v1/agreements".into(),
            agreement,
        ),
        (
            "end_agreement",
            admin.clone(),
            ending,
            json!({ "valid_to": "2031-12-31", "reason": "Theo thỏa thuận." }),
        ),
        ("file_ticket", hue.clone(), TICKETS.into(), question()),
        (
            "bulk_tickets",
            hue.clone(),
            format!("{TICKETS}/bulk"),
            json!({ "mode": "each", "items": [{ "operation": "file", "body": question() }] }),
        ),
        (
            "bulk_tickets",
            hue.clone(),
            format!("{TICKETS}/bulk"),
            json!({ "mode": "all", "items": [{ "operation": "file", "body": question() }] }),
        ),
        (
            "claim_next",
            sup.clone(),
            "/api/v1/queues/technology/next".into(),
            json!({}),
        ),
        (
            "claim_next",
            sup.clone(),
            "/api/v1/queues/resources/next".into(),
            json!({}),
        ),
        (
            "create_calendar",
            admin.clone(),
            "/api/v1/calendars".into(),
            hours,
        ),
        (
            "post_message",
            hue.clone(),
            on(fresh(), "messages"),
            json!({ "body": "a" }),
        ),
        (
            "post_note",
            sup.clone(),
            on(fresh(), "notes"),
            json!({ "body": "a" }),
        ),
        ("claim_ticket", sup.clone(), on(fresh(), "claim"), json!({})),
        (
            "assign_ticket",
            sup.clone(),
            on(fresh(), "assign"),
            json!({ "assignee": "lan@centre.example" }),
        ),
        ("release_ticket", sup.clone(), on(held(), "release"), json!({})),
        (
            "transfer_ticket",
            sup.clone(),
            on(held(), "transfer"),
            json!({ "queue": "security", "reason": "x" }),
        ),
        (
            "wait_ticket",
            sup.clone(),
            on(held(), "wait"),
            json!({ "message": "?" }),
        ),
        ("resume_ticket", sup.clone(), on(waiting(), "resume"), json!({})),
        (
            "resolve_ticket",
            sup.clone(),
            on(held(), "resolve"),
            json!({ "outcome": "raised", "message": "a" }),
        ),
        ("close_ticket", hue.clone(), on(answered(), "close"), json!({})),
        (
            "reopen_ticket",
            hue.clone(),
            on(answered(), "reopen"),
            reason.clone(),
        ),
        ("cancel_ticket", hue.clone(), on(fresh(), "cancel"), reason),
        (
            "retry_delivery",
            admin,
            format!("/api/v1/deliveries/{delivery}/retry"),
            json!({}),
        ),
    ]
}

/// Only compute; under a key the answer is kept all the same.
const COMPUTING: [&str; 7] = [
    "compute_due",
    "compute_elapsed",
    "preview_calendar",
    "preview_sla_policy",
    "import_calendar",
    "match_sla_policy",
    "simulate_sla",
];

/// Take no key, so that no session's token is stored; a second time harms nobody.
const WITHOUT_KEY: [&str; 2] = ["log_in", "log_out"];

/// Show a secret, which a repetition does not, or take a file or a form, or need a password: the file below tests/it and
/// the test in it that sends them twice under one key.
const TRIED_ELSEWHERE: [(&str, &str, &str); 11] = [
    (
        "begin_totp",
        "sign_in/second_factor.rs",
        "no_secret_is_kept_for_repetitions",
    ),
    (
        "confirm_totp",
        "sign_in/second_factor.rs",
        "no_secret_is_kept_for_repetitions",
    ),
    (
        "remove_totp",
        "sign_in/second_factor.rs",
        "no_secret_is_kept_for_repetitions",
    ),
    (
        "create_own_token",
        "sign_in/second_factor.rs",
        "no_secret_is_kept_for_repetitions",
    ),
    (
        "file_open311_request",
        "open311.rs",
        "the_same_form_with_the_same_key_is_one_question",
    ),
    (
        "upload_attachment",
        "attachments.rs",
        "the_same_file_with_the_same_key_is_kept_once_on_all_replicas",
    ),
    (
        "attach_file",
        "attachments.rs",
        "the_same_file_with_the_same_key_is_kept_once_on_all_replicas",
    ),
    (
        "rotate_own_key",
        "api_clients.rs",
        "a_repeated_request_gets_its_answer_without_the_secret_and_makes_no_second_key",
    ),
    (
        "create_api_key",
        "api_clients.rs",
        "a_repeated_request_gets_its_answer_without_the_secret_and_makes_no_second_key",
    ),
    (
        "rotate_api_key",
        "api_clients.rs",
        "a_repeated_request_gets_its_answer_without_the_secret_and_makes_no_second_key",
    ),
    (
        "import_organisations",
        "directory_files.rs",
        "an_import_is_shown_first_and_then_carried_out_whole",
    ),
];

/// What stands in this test, up to the end of its function.
fn text_of_test(file: &str, test: &str) -> String {
    let path = format!("{}/tests/it/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    let (_, body) = source
        .split_once(&format!("#[test]\nfn {test}() {{"))
        .unwrap_or_else(|| panic!("no test {test} in {file}"));
    body.split("\n}\n").next().unwrap().to_owned()
}

#[test]
fn every_operation_that_writes_is_sent_twice_under_one_key_somewhere() {
    let app = TestApp::start();
    let calls = writing_calls(&app);
    let here = calls.iter().map(|(operation, ..)| *operation);
    let elsewhere = TRIED_ELSEWHERE.iter().map(|(operation, ..)| *operation);
    let named: BTreeSet<&str> = here
        .chain(COMPUTING)
        .chain(WITHOUT_KEY)
        .chain(elsewhere)
        .collect();
    let posts = || ROUTES.iter().filter(|route| route.method == "POST");
    let served: BTreeSet<&str> = posts().map(|route| route.operation).collect();
    assert_eq!(named, served, "a POST without a row, or the reverse");
    for (operation, file, test) in TRIED_ELSEWHERE {
        let text = text_of_test(file, test);
        assert!(
            text.contains("Idempotency-Key"),
            "{operation}: {test} sends no key"
        );
    }
    for route in posts() {
        let takes = Contract::global().parameters(route.method, route.path).unwrap();
        let takes_key = takes.iter().any(|name| name == "Idempotency-Key");
        assert_ne!(
            takes_key,
            WITHOUT_KEY.contains(&route.operation),
            "{}",
            route.operation
        );
    }
}

#[test]
fn what_only_computes_is_kept_under_its_key_and_nothing_else_is_written() {
    let things = Things::new();
    let app = &things.app;
    for operation in COMPUTING {
        let route = ROUTES.iter().find(|route| route.operation == operation).unwrap();
        let (path, body) = (things.path_of_old(route), body_for(operation, "admin").unwrap());
        let caller = things.admin.with("Idempotency-Key", operation);
        let mut before = app.footprint();
        let first = send(&caller, route.method, &path, Some(&body)).expect(200);
        for (table, rows) in &mut before {
            *rows += i64::from(*table == "idempotency_records");
        }
        assert_eq!(app.footprint(), before, "{operation}");
        app.app
            .clock
            .set(app.app.clock.now() + chrono::Duration::minutes(1));
        let again = send(&caller, route.method, &path, Some(&body)).expect(200);
        assert_eq!(answer(&again), answer(&first), "{operation}");
        assert!(!is_replayed(&first) && is_replayed(&again), "{operation}");
        assert_eq!(app.footprint(), before, "{operation}");
        let other = match &body {
            Value::String(file) => json!(format!("{file}2019-11-26\n")),
            object => {
                let mut other = object.clone();
                other["idempotency"] = json!("another body");
                other
            }
        };
        send(&caller, route.method, &path, Some(&other)).expect(422);
    }
}

#[test]
fn every_route_that_writes_takes_a_key() {
    let app = TestApp::start();
    let calls = writing_calls(&app);
    for (position, (operation, caller, path, body)) in calls.iter().enumerate() {
        let caller = caller.with("Idempotency-Key", &format!("key-{position}"));
        let first = caller.post(path, body);
        assert!((200..300).contains(&first.status), "{operation}: {}", first.text);
        assert!(!is_replayed(&first), "{operation}");
        let before = app.footprint();
        app.app
            .clock
            .set(app.app.clock.now() + chrono::Duration::minutes(1));
        let again = caller.post(path, body);
        assert!(is_replayed(&again), "{operation}");
        assert_eq!(answer(&again), answer(&first), "{operation}");
        assert_eq!(app.footprint(), before, "{operation}");
        let mut other = body.clone();
        other["idempotency"] = json!("another body");
        let refused = caller.post(path, &other);
        assert_eq!(refused.status, 422, "{operation}");
    }
}

#[test]
fn a_replay_does_not_ask_for_the_version_again() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let filed = hue.post(TICKETS, &question()).expect(201);
    let tag = filed.header("etag").unwrap();
    let caller = sup.with("Idempotency-Key", "k").with("If-Match", tag);
    let claim = format!("{}/claim", path_of(&filed.body));
    let first = caller.call(&claim).expect(200);
    let again = caller.call(&claim).expect(200);
    assert_eq!(answer(&again), answer(&first));
    assert!(is_replayed(&again));
}
