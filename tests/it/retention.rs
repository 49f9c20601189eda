//! Retention: words, persons and files of tickets that ended long ago go, figures stay.
use giaidap::config::{Overrides, RetentionOverrides};
use serde_json::{Value, json};

use crate::attachments::{PDF, sent};
use crate::support::app::block_on;
use crate::support::desk::{events, path_of};
use crate::support::process::giaidap;
use crate::support::{Client, TestApp, question};

fn keeping(days: u32) -> TestApp {
    TestApp::start_with(&Overrides {
        retention: RetentionOverrides {
            retention_ticket_days: Some(days),
        },
        ..Overrides::default()
    })
}

const SECRETS: [&str; 8] = [
    "SECRET-SUBJECT",
    "SECRET-BODY",
    "SECRET-REPLY",
    "SECRET-NOTE",
    "SECRET-REASON",
    "SECRET-FIELD",
    "secret@hue.example",
    "SECRET-FILE",
];

/// What finds the ticket while it has its words.
const FINDING: [&str; 6] = [
    "q=subject",
    "q=secret-bod",
    "q=\"secret reply\"",
    "tag=secret-field",
    "custom_field.a=SECRET-FIELD",
    "requester=secret@hue.example",
];

fn found(caller: &Client, question: &str) -> usize {
    let question = question.replace('"', "%22").replace(' ', "%20");
    let list = caller.get(&format!("/api/v1/tickets?{question}")).expect(200);
    list.body["items"].as_array().unwrap().len()
}

#[test]
fn a_ticket_whose_time_is_over_keeps_only_its_figures() {
    let app = keeping(30);
    let replica = app.replica();
    let (hue, lan, sup, auditor) = (
        app.organisation("H57"),
        app.agent("lan", &["technology"]),
        app.supervisor(),
        app.auditor(),
    );
    let mut body = question();
    body["subject"] = json!("SECRET-SUBJECT");
    body["body"] = json!("SECRET-BODY");
    body["requester"] = json!({ "name": "Trần Thị Bí Mật", "email": "secret@hue.example" });
    body["external_ref"] = json!("SECRET-FIELD");
    body["tags"] = json!(["secret-field"]);
    body["custom_fields"] = json!({ "a": "SECRET-FIELD" });
    body["attachments"] = json!([sent(&hue, "SECRET-FILE.pdf", PDF)]);
    let filed = hue.post("/api/v1/tickets", &body).expect(201).body;
    let path = path_of(&filed);
    let file = format!(
        "/api/v1/attachments/{}",
        filed["attachments"][0]["id"].as_str().unwrap()
    );
    let page = filed["status_link"]
        .as_str()
        .unwrap()
        .trim_start_matches("https://giaidap.example")
        .to_owned();
    sup.post(
        &format!("{path}/transfer"),
        &json!({ "queue": "security", "reason": "SECRET-REASON" }),
    )
    .expect(200);
    sup.post(
        &format!("{path}/transfer"),
        &json!({ "queue": "technology", "reason": "SECRET-REASON" }),
    )
    .expect(200);
    sup.patch(
        &path,
        &json!({ "subject": "SECRET-SUBJECT 2", "priority": "high" }),
    )
    .expect(200);
    lan.call(&format!("{path}/claim")).expect(200);
    let note = json!({ "body": "SECRET-NOTE", "attachments": [sent(&lan, "SECRET-FILE.txt", b"x")] });
    lan.post(&format!("{path}/notes"), &note).expect(201);
    app.settle();
    let answer = json!({ "outcome": "referred", "referred_to": "SECRET-FIELD", "message": "SECRET-REPLY" });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    hue.post(&format!("{path}/close"), &json!({ "reason": "SECRET-REASON" }))
        .expect(200);
    app.settle();
    let open = hue.post("/api/v1/tickets", &question()).expect(201).body;

    let everything = || -> String {
        let number = filed["number"].as_str().unwrap();
        let lists = [
            path.clone(),
            format!("{path}/messages"),
            format!("{path}/notes"),
            format!("{path}/events?limit=200"),
            format!("{path}/attachments"),
            format!("/api/v1/deliveries?ticket={number}"),
        ];
        lists
            .iter()
            .map(|list| auditor.get(list).expect(200).text)
            .collect()
    };
    let report = || {
        let question =
            "/api/v1/reports/sla?from=2019-11-01&to=2019-11-30&as_of=2019-11-22T09:30:00Z&group_by=topic";
        let mut report = auditor.get(question).expect(200).body;
        report.as_object_mut().unwrap().remove("generated_at");
        report
    };
    let person = auditor
        .get("/api/v1/requesters?email=secret@hue.example")
        .expect(200);
    let person = format!(
        "/api/v1/requesters/{}",
        person.body["items"][0]["id"].as_str().unwrap()
    );
    let before = everything();
    assert!(SECRETS.iter().all(|secret| before.contains(secret)), "{before}");
    for question in FINDING {
        assert_eq!(found(&hue, question), 1, "{question}");
    }
    let (figures, clocks) = (report(), auditor.get(&format!("{path}/sla")).expect(200).body);

    app.at("2019-12-22T16:29:00+07:00").settle();
    assert_eq!(auditor.get(&path).body["anonymised_at"], Value::Null);
    app.at("2019-12-22T16:31:00+07:00");
    let step = |app: &TestApp| {
        let app = &app.app;
        let store = app.store.clone();
        block_on(giaidap::tickets::retention::retention_step(
            &store,
            &app.desk,
            app.clock.now(),
        ))
        .unwrap()
    };
    assert_eq!((step(&app), step(&app)), (1, 0));
    drop(replica);
    app.settle();
    let after = everything();
    for secret in SECRETS {
        assert!(
            !after.contains(secret) && !after.contains("Bí Mật"),
            "{secret}: {after}"
        );
    }
    assert_eq!(report(), figures);
    assert_eq!(
        auditor.get(&format!("{path}/sla")).expect(200).body["clocks"],
        clocks["clocks"]
    );
    for question in FINDING {
        assert_eq!(found(&hue, question), 0, "{question}");
    }
    // Who asked nothing else is nobody any more.
    let erased = auditor.get(&person).expect(200).body;
    assert_eq!(erased["email"], Value::Null);
    assert_eq!(erased["anonymised_at"], "2019-12-22T09:31:00Z");
    assert!(!erased.to_string().contains("Bí Mật"), "{erased}");
    let ticket = auditor.get(&path).expect(200).body;
    assert_eq!(ticket["anonymised_at"], "2019-12-22T09:31:00Z");
    for kept in [
        "number",
        "organisation",
        "topic",
        "queue",
        "filed_at",
        "closed_at",
        "priority",
        "outcome",
    ] {
        assert_ne!(ticket[kept], Value::Null, "{kept}");
    }
    assert_eq!(events(&auditor, &path).last().unwrap()["kind"], "anonymised");
    auditor.get(&file).expect(404);
    app.anonymous().get(&page).expect(404);
    assert_eq!(
        (
            app.rows_in("attachments"),
            block_on(app.app.vault.count()).unwrap()
        ),
        (0, 0)
    );
    // Nobody goes on with it.
    let reopened = sup
        .post(&format!("{path}/reopen"), &json!({ "reason": "x" }))
        .expect(409);
    assert_eq!(reopened.problem(), "wrong-transition");
    assert_eq!(ticket["possible_operations"], json!([]));
    sup.post(&format!("{path}/notes"), &json!({ "body": "x" }))
        .expect(409);
    assert_eq!(hue.get(&path_of(&open)).body["subject"], question()["subject"]);
}

#[test]
fn a_person_stays_as_long_as_a_question_of_theirs() {
    let app = keeping(30);
    let (hue, auditor) = (app.organisation("H57"), app.auditor());
    let body = question();
    let [first, second] = [(); 2].map(|()| hue.post("/api/v1/tickets", &body).expect(201).body);
    let person = || {
        let list = auditor.get("/api/v1/requesters").expect(200).body;
        assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
        list["items"][0].clone()
    };
    let cancel = |ticket: &Value| {
        hue.post(&format!("{}/cancel", path_of(ticket)), &json!({ "reason": "x" }))
            .expect(200);
    };
    cancel(&first);
    app.at("2019-12-23T00:00:00+07:00").settle();
    assert_ne!(auditor.get(&path_of(&first)).body["anonymised_at"], Value::Null);
    assert_eq!(person()["name"], body["requester"]["name"]);
    assert_eq!(
        auditor.get(&path_of(&second)).body["requester"]["name"],
        body["requester"]["name"]
    );
    cancel(&second);
    app.at("2020-02-01T00:00:00+07:00").settle();
    assert_ne!(auditor.get(&path_of(&second)).body["anonymised_at"], Value::Null);
    assert_ne!(person()["name"], body["requester"]["name"]);
    assert_ne!(person()["anonymised_at"], Value::Null);
    // Who asks again is somebody new.
    hue.post("/api/v1/tickets", &body).expect(201);
    let list = auditor.get("/api/v1/requesters").expect(200).body;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[test]
fn without_a_setting_everything_is_kept_and_the_preview_says_what_would_go() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let filed = hue.post("/api/v1/tickets", &question()).expect(201).body;
    hue.post(&format!("{}/cancel", path_of(&filed)), &json!({ "reason": "x" }))
        .expect(200);
    app.at("2039-01-01T00:00:00Z").settle();
    assert_eq!(hue.get(&path_of(&filed)).body["anonymised_at"], Value::Null);
    let preview = |days: &[&str]| {
        let output = giaidap(&app.database.url, &app.app.config.storage)
            .args(["retention", "preview"])
            .args(days)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(preview(&[]).contains("kept for ever"));
    let said = preview(&["--days", "30"]);
    assert!(
        said.starts_with("1 tickets ended more than 30 days ago, the oldest closed on 2019-11-22"),
        "{said}"
    );
}
