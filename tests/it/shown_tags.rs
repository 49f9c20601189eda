//! A tag names all that an answer shows: whoever polls with it never keeps what is not shown any more. What a change is
//! bound to is the version in it, which a name beside it does not touch.
use serde_json::{Value, json};

use crate::support::desk::{agreement, path_of};
use crate::support::{Client, TestApp, file};

fn tag(caller: &Client, path: &str) -> String {
    caller.get(path).expect(200).header("etag").unwrap().to_owned()
}

#[test]
fn a_poller_hears_that_the_asking_person_is_another_or_nobody() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let path = path_of(&file(&hue));
    let people = hue.get("/api/v1/requesters").expect(200).body;
    let person = format!(
        "/api/v1/requesters/{}",
        people["items"][0]["id"].as_str().unwrap()
    );
    let mut seen = vec![tag(&hue, &path)];
    let changes: [&dyn Fn(); 2] = [
        &|| {
            let own = hue.with("If-Match", &tag(&hue, &person));
            own.patch(&person, &json!({ "name": "Tên mới" })).expect(200);
        },
        &|| {
            sup.post(&format!("{person}/anonymise"), &json!({ "reason": "x" }))
                .expect(200);
        },
    ];
    for change in changes {
        let known = seen.last().unwrap().clone();
        hue.with("If-None-Match", &known).get(&path).expect(304);
        let before = hue.get(&path).expect(200);
        change();
        let after = hue.with("If-None-Match", &known).get(&path).expect(200);
        assert_ne!(after.body["requester"]["name"], before.body["requester"]["name"]);
        assert_eq!(after.version(), before.version());
        seen.push(after.header("etag").unwrap().to_owned());
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2]);
    // The ticket itself is the same: what was decided on its first version stands.
    sup.with("If-Match", &seen[0])
        .call(&format!("{path}/claim"))
        .expect(200);
    sup.with("If-Match", &seen[0])
        .call(&format!("{path}/release"))
        .expect(412);
    let digest = seen[0].trim_matches('"').split_once('-').unwrap().1;
    for other in [
        format!("\"2-{digest}x\"").as_str(),
        "\"2-zzzzzzzzzzzzzzzz\"",
        "\"2-\"",
        "\"-2\"",
    ] {
        let reply = sup.with("If-Match", other).call(&format!("{path}/release"));
        assert_eq!(reply.status, 412, "{other}");
    }
    sup.with("If-Match", "\"2\"")
        .call(&format!("{path}/release"))
        .expect(200);
}

#[test]
fn what_is_left_of_a_clock_makes_no_new_tag_and_a_breach_does() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let path = path_of(&file(&hue));
    let known = hue.with("If-None-Match", &tag(&hue, &path));
    let left = |ticket: &Value| ticket["clocks"][0]["remaining_business_seconds"].clone();
    let before = hue.get(&path).expect(200).body;
    app.at("2019-11-22T16:40:00+07:00");
    known.get(&path).expect(304);
    assert_ne!(left(&hue.get(&path).expect(200).body), left(&before));
    app.at("2019-12-22T16:40:00+07:00");
    let late = known.get(&path).expect(200).body;
    assert_eq!(late["clocks"][0]["state"], "breached");
}

#[test]
fn another_name_of_an_organisation_is_another_answer_wherever_it_stands() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let ticket = path_of(&file(&hue));
    let unit = json!({ "code": "H57.99", "kind": "agency", "name": { "vi": "Đơn vị", "en": "Unit" }, "parent": "H57" });
    admin.post("/api/v1/organisations", &unit).expect(201);
    let made = |path: &str, body: &Value| {
        let made = admin.post(path, body).expect(201);
        format!("{path}/{}", made.body["id"].as_str().unwrap())
    };
    let program = json!({ "organisation": "H57", "name": "Cổng" });
    let people = admin.get("/api/v1/requesters").expect(200).body;
    let showing = [
        ticket,
        "/api/v1/organisations/H57.99".to_owned(),
        made("/api/v1/agreements", &agreement("H57", "2029-01-01")),
        made("/api/v1/api-clients", &program),
        format!(
            "/api/v1/requesters/{}",
            people["items"][0]["id"].as_str().unwrap()
        ),
    ];
    let tags: Vec<String> = showing.iter().map(|path| tag(&admin, path)).collect();
    let name = json!({ "name": { "vi": "Tên mới", "en": "New name" } });
    admin
        .with("If-Match", "*")
        .patch("/api/v1/organisations/H57", &name)
        .expect(200);
    for (path, known) in showing.iter().zip(&tags) {
        let after = admin.with("If-None-Match", known).get(path).expect(200);
        assert!(after.text.contains("New name"), "{path}: {}", after.text);
        let version = known.trim_matches('"').split('-').next().unwrap();
        assert_eq!(after.version().to_string(), version, "{path}");
    }
}

#[test]
fn an_internal_note_changes_nothing_that_an_organisation_sees() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    let seen = tag(&hue, &path);
    let before = hue.get(&path).expect(200).body;
    app.at("2019-11-22T16:40:00+07:00");
    let note = lan
        .post(&format!("{path}/notes"), &json!({ "body": "Hỏi lại Sở." }))
        .expect(201);
    hue.with("If-None-Match", &seen).get(&path).expect(304);
    let after = hue.get(&path).expect(200).body;
    assert_eq!(after["updated_at"], before["updated_at"]);
    let message = json!({ "body": "Xin bổ sung." });
    hue.with("If-Match", &seen)
        .post(&format!("{path}/messages"), &message)
        .expect(201);
    let notes = lan.get(&format!("{path}/notes")).expect(200).body;
    assert_eq!(notes["items"][0]["id"], note.body["id"]);
}

#[test]
fn what_is_done_after_a_note_is_written_down_after_it_by_whatever_clock() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    app.at("2019-11-22T16:40:00+07:00");
    lan.post(&format!("{path}/notes"), &json!({ "body": "Xem." }))
        .expect(201);
    // Another server, whose clock is behind.
    app.at("2019-11-22T16:39:00+07:00");
    lan.call("/api/v1/queues/technology/next").expect(200);
    let events = lan.get(&format!("{path}/events")).expect(200).body;
    let events = events["items"].as_array().unwrap();
    let last: Vec<&Value> = events.iter().rev().take(2).map(|event| &event["at"]).collect();
    assert_eq!(last, ["2019-11-22T09:40:00Z"; 2]);
}
