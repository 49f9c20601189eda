//! What the asker of a late question is told until it is answered.
use serde_json::{Value, json};

use super::{mails_about, post, say};
use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::{Client, TestApp, file, question};

fn apologies(app: &TestApp) -> usize {
    mails_about(app, "lan@hue.example")
        .iter()
        .filter(|subject| subject.contains("hẹn lại"))
        .count()
}

fn updates(client: &Client, path: &str) -> Vec<(String, u64, String)> {
    events(client, path)
        .iter()
        .filter(|event| event["kind"] == "status_updated")
        .map(|event| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let data = &event["data"];
            (
                text(&event["at"]),
                data["number"].as_u64().unwrap(),
                text(&data["promised_for"]),
            )
        })
        .collect()
}

#[test]
fn the_asker_of_a_late_question_is_told_at_the_breach_and_every_seven_days() {
    for awake in [true, false] {
        let app = TestApp::start();
        let other = app.replica();
        let hue = app.organisation("H57");
        let path = path_of(&file(&hue));
        for at in [
            "2019-11-29T17:30:00+07:00",
            "2019-11-29T17:30:01+07:00",
            "2019-12-06T23:59:59+07:00",
            "2019-12-07T00:00:00+07:00",
            "2019-12-15T12:00:00+07:00",
        ] {
            app.at(at);
            if awake {
                crate::support::threads::at_once(4, |number| {
                    crate::support::app::block_on([&app, &other][number % 2].app.settle()).unwrap()
                });
            }
        }
        app.settle();
        let told = updates(&hue, &path);
        let expected = [
            ("2019-11-29T10:30:00Z", 1, "2019-12-06T17:00:00Z"),
            ("2019-12-06T17:00:00Z", 2, "2019-12-13T17:00:00Z"),
            ("2019-12-13T17:00:00Z", 3, "2019-12-20T17:00:00Z"),
        ]
        .map(|(at, number, until)| (at.to_owned(), number, until.to_owned()));
        assert_eq!(told, expected);
        assert_eq!(
            apologies(&app),
            if awake { 3 } else { 1 },
            "the latest of those that come at once"
        );
    }
}

#[test]
fn nobody_is_told_anything_while_the_asker_is_waited_for_or_when_it_is_over() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-12-02T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    post(&lan, &path, "wait", &json!({ "message": "Đề nghị bổ sung." }));
    app.at("2019-12-10T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1, "we wait for them, not they for us");
    say(&hue, &path);
    app.at("2019-12-13T23:59:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    app.at("2019-12-14T00:00:00+07:00").settle();
    assert_eq!(
        updates(&hue, &path)[1].0,
        "2019-12-13T17:00:00Z",
        "the dates keep their places"
    );
    post(
        &lan,
        &path,
        "resolve",
        &json!({ "outcome": "answered", "message": "Xong." }),
    );
    app.at("2019-12-22T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 2);
}

#[test]
fn a_late_question_that_comes_back_goes_on_being_apologised_for() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-12-02T09:00:00+07:00").settle();
    post(
        &lan,
        &path,
        "resolve",
        &json!({ "outcome": "answered", "message": "Xong." }),
    );
    app.at("2019-12-04T09:00:00+07:00");
    post(&hue, &path, "reopen", &json!({ "reason": "Chưa rõ." }));
    app.settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    app.at("2019-12-07T00:00:00+07:00").settle();
    assert_eq!(
        updates(&hue, &path)[1],
        (
            "2019-12-06T17:00:00Z".to_owned(),
            2,
            "2019-12-13T17:00:00Z".to_owned()
        )
    );
    post(&lan, &path, "cancel", &json!({ "reason": "Trùng." }));
    app.at("2019-12-30T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 2);
}

#[test]
fn without_an_address_it_is_recorded_and_not_sent() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let mut asked = question();
    asked["requester"] = json!({ "name": "Trần Thị Lan" });
    let path = path_of(&hue.post("/api/v1/tickets", &asked).expect(201).body);
    app.at("2019-12-02T09:00:00+07:00").settle();
    assert_eq!(updates(&hue, &path).len(), 1);
    let to_asker = |mail: &crate::support::mail::ReceivedMail| mail.subject.contains("hẹn lại");
    assert!(!app.smtp.received().iter().any(to_asker));
}

#[test]
fn a_target_made_shorter_than_what_is_used_up_breaks_and_is_apologised_for_now() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    app.at("2019-11-28T09:00:00+07:00").settle();
    let changed = lan
        .patch(&path, &json!({ "priority": "urgent" }))
        .expect(200)
        .body;
    // One business day after the Friday of filing.
    assert_eq!(
        clock(&changed, "resolution")["breached_at"],
        "2019-11-25T10:30:00Z"
    );
    app.settle();
    assert_eq!(
        updates(&hue, &path),
        [(
            "2019-11-28T02:00:00Z".to_owned(),
            1,
            "2019-12-02T17:00:00Z".to_owned()
        )]
    );
    assert_eq!(apologies(&app), 1);
    assert!(kinds(&lan, &path).iter().any(|kind| kind == "due_moved"));
}
