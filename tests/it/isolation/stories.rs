//! What one organisation, or one group of the centre, must not learn of another: the ways around the table.
use giaidap::config::Overrides;
use serde_json::{Value, json};

use super::existence::seen;
use crate::support::desk::{path_of, policy};
use crate::support::{Client, TestApp, question};

#[test]
fn a_foreign_ticket_is_not_found_whatever_the_headers_ask() {
    let app = TestApp::start();
    let ticket = app
        .organisation("H57")
        .post("/api/v1/tickets", &question())
        .expect(201)
        .body;
    let foreign = app.organisation("H26");
    let path = path_of(&ticket);
    for (header, value) in [
        ("If-Match", "\"1\""),
        ("If-Match", "\"99\""),
        ("If-Match", "*"),
        ("If-None-Match", "\"1\""),
        ("If-None-Match", "*"),
        ("Idempotency-Key", "k"),
    ] {
        let caller = foreign.with(header, value);
        caller.get(&path).expect(404);
        let cancelled = caller.post(&format!("{path}/cancel"), &json!({ "reason": "x" }));
        assert_eq!(
            (cancelled.status, cancelled.problem()),
            (404, "not-found"),
            "{header}: {value}"
        );
    }
}

#[test]
fn an_organisations_list_holds_only_its_own_tickets_whatever_it_filters_by() {
    let app = TestApp::start();
    let (hue, hai_duong) = (app.organisation("H57"), app.organisation("H26"));
    hue.post("/api/v1/tickets", &question()).expect(201);
    let own = hai_duong.post("/api/v1/tickets", &question()).expect(201).body;
    for query in [
        "",
        "?organisation=H26",
        "?queue=technology",
        "?state=queued",
        "?sort=due_at",
        "?topic=NGSP",
    ] {
        let list = hai_duong.get(&format!("/api/v1/tickets{query}")).expect(200).body;
        let numbers: Vec<&Value> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["number"])
            .collect();
        assert_eq!(numbers, [&own["number"]], "{query}");
    }
    let foreign = hai_duong.get("/api/v1/tickets?organisation=H57").expect(200).body;
    assert_eq!(foreign["items"], json!([]));
}

#[test]
fn a_note_never_leaves_the_centre() {
    const SECRET: &str = "NOI-BO-7391";
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let lan = app.agent("lan", &["technology"]);
    let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
    let path = path_of(&ticket);
    lan.call(&format!("{path}/claim")).expect(200);
    let before = hue.get(&path).expect(200);
    let note = json!({ "body": format!("Hỏi thêm {SECRET} đồng chí Hùng.") });
    lan.post(&format!("{path}/notes"), &note).expect(201);
    lan.post(&format!("{path}/messages"), &json!({ "body": "Đang xử lý." }))
        .expect(201);
    let answer = json!({ "outcome": "answered", "message": "Đã trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    app.settle();

    let status_page = ticket["status_link"]
        .as_str()
        .unwrap()
        .split_once("/t/")
        .unwrap()
        .1;
    let seen = [
        hue.get(&path).expect(200).text,
        hue.get("/api/v1/tickets").expect(200).text,
        hue.get(&format!("{path}/messages")).expect(200).text,
        hue.get(&format!("{path}/events")).expect(200).text,
        app.anonymous().get(&format!("/t/{status_page}")).expect(200).text,
    ];
    for text in seen {
        assert!(!text.contains(SECRET) && !text.contains("note_posted"), "{text}");
    }
    hue.get(&format!("{path}/notes")).expect(403);
    assert!(before.header("etag").is_some());
    let mails = app.smtp.wait_for(3);
    assert_eq!(
        mails.len(),
        3,
        "received, message, answered: a note sends nothing"
    );
    for mail in &mails {
        let parts = [
            mail.data.clone(),
            mail.text.clone(),
            mail.part("text/html").unwrap(),
        ];
        assert!(parts.iter().all(|part| !part.contains(SECRET)));
    }
    let staff = lan.get(&format!("{path}/notes")).expect(200);
    assert!(staff.text.contains(SECRET));
    let history = lan.get(&format!("{path}/events")).expect(200);
    assert!(history.text.contains("note_posted"));
}

#[test]
fn a_cursor_of_the_staffs_history_does_not_open_it_to_an_organisation() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
    let path = path_of(&ticket);
    lan.post(&format!("{path}/notes"), &json!({ "body": "Nội bộ." }))
        .expect(201);
    let page = lan.get(&format!("{path}/events?limit=1")).expect(200).body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let refused = hue.get(&format!("{path}/events?cursor={cursor}")).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("cursor".to_owned(), "invalid_cursor".to_owned())]
    );
}

#[test]
fn a_program_learns_of_no_policy_that_cannot_be_its_own() {
    const POLICIES: &str = "/api/v1/sla-policies";
    let app = TestApp::start();
    let (admin, hue, hai_duong) = (app.admin(), app.organisation("H57"), app.organisation("H26"));
    let mut secret = policy(
        "chi-hue",
        10,
        json!({ "organisation": ["H57", "H01"], "topic": ["NGSP"] }),
    );
    secret["escalations"] = json!([{ "target": "resolution", "on": "breach", "notify": ["supervisors"] }]);
    admin.post(POLICIES, &secret).expect(201);
    let ministries = policy("bo", 20, json!({ "kind": ["ministry"] }));
    admin.post(POLICIES, &ministries).expect(201);
    let codes = |caller: &Client| -> Vec<String> {
        let mut codes = Vec::new();
        let mut path = format!("{POLICIES}?limit=1");
        loop {
            let page = caller.get(&path).expect(200).body;
            let items = page["items"].as_array().unwrap().iter();
            codes.extend(items.map(|item| item["code"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else {
                return codes;
            };
            path = format!("{POLICIES}?limit=1&cursor={cursor}");
        }
    };
    assert_eq!(codes(&admin), ["bo", "chi-hue", "default"]);
    assert_eq!(codes(&hue), ["chi-hue", "default"]);
    assert_eq!(codes(&hai_duong), ["default"]);

    let path = format!("{POLICIES}/chi-hue");
    let whole = admin.get(&path).expect(200).body;
    assert_eq!(whole["escalations"].as_array().unwrap().len(), 1);
    let own = hue.get(&path).expect(200).body;
    assert_eq!(own["escalations"], Value::Null);
    assert_eq!(own["conditions"]["organisation"], json!(["H57"]));
    for id in ["chi-hue", whole["id"].as_str().unwrap()] {
        let foreign = hai_duong.get(&format!("{POLICIES}/{id}")).expect(404);
        let nothing = hai_duong.get(&format!("{POLICIES}/none")).expect(404);
        assert_eq!(seen(&foreign), seen(&nothing));
    }

    let considered = |caller: &Client, body: &Value| -> Vec<String> {
        let told = caller.post(&format!("{POLICIES}/match"), body).expect(200).body;
        let considered = told["considered"].as_array().unwrap().iter();
        considered
            .map(|policy| policy["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(considered(&hue, &json!({})), ["chi-hue", "default"]);
    assert_eq!(considered(&hai_duong, &json!({})), ["default"]);
    let of_staff = json!({ "organisation": "H26" });
    assert_eq!(considered(&admin, &of_staff), ["chi-hue", "bo", "default"]);

    let scenario = json!({ "filed_at": "2019-11-22T16:30:00+07:00", "policy": "chi-hue" });
    hue.post("/api/v1/sla/simulate", &scenario).expect(200);
    let foreign = hai_duong.post("/api/v1/sla/simulate", &scenario).expect(422);
    let unknown = [("/policy".to_owned(), "unknown_code".to_owned())];
    assert_eq!(foreign.field_errors(), unknown);
}

#[test]
fn agents_see_the_tickets_of_all_queues_only_where_the_operator_says_so() {
    let closed = TestApp::start();
    let open = closed.replica_with(&Overrides {
        agents_see_all_queues: Some(true),
        ..Overrides::default()
    });
    let hue = closed.organisation("H57");
    let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
    let path = path_of(&ticket);
    let foreign = closed.organisation("H26");
    let stranger = closed.agent("stranger", &["policy"]);
    let read = ["", "/messages", "/notes", "/events", "/sla", "/attachments"];
    let listed = |caller: &Client| {
        let list = caller.get("/api/v1/tickets").expect(200).body;
        list["items"].as_array().unwrap().len()
    };
    for part in read {
        stranger.get(&format!("{path}{part}")).expect(404);
        stranger.on(&open.url).get(&format!("{path}{part}")).expect(200);
    }
    foreign.on(&open.url).get(&path).expect(404);
    assert_eq!(
        (
            listed(&stranger),
            listed(&stranger.on(&open.url)),
            listed(&foreign.on(&open.url))
        ),
        (0, 1, 0)
    );
    // To see is not to work: what is not theirs is still their colleagues'.
    let stranger = stranger.on(&open.url);
    stranger.call(&format!("{path}/claim")).expect(403);
    stranger.call("/api/v1/queues/technology/next").expect(403);
    let transfer = json!({ "queue": "policy", "reason": "x" });
    stranger.post(&format!("{path}/transfer"), &transfer).expect(403);
}
