//! A question's way through the centre, as its actors see it over the API, with its clocks and its mails.
use serde_json::{Value, json};

use crate::support::{TestApp, file};

fn clock<'a>(ticket: &'a Value, target: &str) -> &'a Value {
    let clocks = ticket["clocks"].as_array().unwrap();
    clocks.iter().rfind(|clock| clock["target"] == target).unwrap()
}

/// Kinds of the history, oldest first.
fn kinds(events: &Value) -> Vec<&str> {
    events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect()
}

#[test]
fn a_question_is_filed_answered_and_closed_by_itself() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let lan = app.agent("lan", &["technology"]);

    let ticket = file(&hue);
    let number = ticket["number"].as_str().unwrap();
    assert_eq!(number, "GD-2019-000001");
    assert_eq!(
        (&ticket["state"], &ticket["queue"]["code"]),
        (&json!("queued"), &json!("technology"))
    );
    // 8 business hours from Friday 16:30: one on Friday, seven on Monday; five working days after the day of filing.
    assert_eq!(clock(&ticket, "first_response")["due_at"], "2019-11-25T09:30:00Z");
    assert_eq!(clock(&ticket, "resolution")["due_at"], "2019-11-29T10:30:00Z");

    app.at("2019-11-25T08:00:00+07:00").settle();
    let claimed = lan.call("/api/v1/queues/technology/next").expect(200).body;
    assert_eq!(claimed["number"], number);
    assert_eq!(claimed["assignee"]["name"], "Lan");
    lan.call("/api/v1/queues/technology/next").expect(204);

    app.at("2019-11-25T09:00:00+07:00");
    let path = format!("/api/v1/tickets/{number}");
    let waiting = lan
        .post(
            &format!("{path}/wait"),
            &json!({ "message": "Đề nghị gửi thêm mã định danh." }),
        )
        .expect(200);
    assert_eq!(clock(&waiting.body, "first_response")["state"], "met");
    assert_eq!(clock(&waiting.body, "resolution")["state"], "paused");
    assert_eq!(clock(&waiting.body, "resolution")["due_at"], Value::Null);

    // Two working days later the asker replies: the due moves by exactly those two days.
    app.at("2019-11-27T09:00:00+07:00");
    hue.post(&format!("{path}/messages"), &json!({ "body": "H57.14" }))
        .expect(201);
    let resumed = lan.get(&path).expect(200).body;
    assert_eq!(resumed["state"], "assigned");
    assert_eq!(clock(&resumed, "resolution")["due_at"], "2019-12-03T10:30:00Z");

    app.at("2019-11-28T10:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Thực hiện theo hướng dẫn kèm theo." });
    let resolved = lan.post(&format!("{path}/resolve"), &answer).expect(200).body;
    assert_eq!(clock(&resolved, "resolution")["state"], "met");
    assert_eq!(resolved["closes_at"], "2019-12-05T10:30:00Z");

    app.at("2019-12-20T10:00:00+07:00").settle();
    let closed = hue.get(&path).expect(200).body;
    assert_eq!(
        (&closed["state"], &closed["closed_at"]),
        (&json!("closed"), &json!("2019-12-05T10:30:00Z"))
    );

    let events = lan.get(&format!("{path}/events")).expect(200).body;
    assert_eq!(
        kinds(&events),
        [
            "ticket_filed",
            "ticket_claimed",
            "ticket_waiting",
            "message_posted",
            "ticket_resumed",
            "ticket_resolved",
            "ticket_closed"
        ]
    );
    let mails = app.smtp.wait_for(5);
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    assert!(
        subjects
            .iter()
            .all(|subject| subject.starts_with("[GD-2019-000001] ")),
        "{subjects:?}"
    );
    assert_eq!(
        mails.len(),
        5,
        "received, asked back, requester wrote, answered, closed: {subjects:?}"
    );
}

#[test]
fn a_missed_deadline_is_recorded_at_its_true_instant_however_late_it_is_noticed() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.supervisor();
    let ticket = file(&hue);
    let path = format!("/api/v1/tickets/{}", ticket["number"].as_str().unwrap());

    app.at("2019-12-10T10:00:00+07:00").settle();
    let late = lan.get(&path).expect(200).body;
    assert_eq!(clock(&late, "resolution")["state"], "breached");
    assert_eq!(clock(&late, "resolution")["breached_at"], "2019-11-29T10:30:00Z");
    let events = lan.get(&format!("{path}/events")).expect(200).body;
    let breaches: Vec<&Value> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"] == "clock_breached")
        .collect();
    assert_eq!(breaches.len(), 2);
    assert_eq!(breaches[0]["at"], "2019-11-25T09:30:00Z");
    app.settle();
    let again = lan.get(&format!("{path}/events")).expect(200).body;
    assert_eq!(events, again, "each is noticed once");
    // To the asker: received, and the newest apology. To Lan, who works the queue, and to the supervisor: each breach.
    assert_eq!(app.smtp.wait_for(6).len(), 6);
}
