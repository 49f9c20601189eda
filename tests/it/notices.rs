//! Warnings, breaches, closings and mails: each once, at its true instant, whatever workers run and whenever they do.
use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use giaidap::store::schema::deliveries;
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::mail::ReceivedMail;
use crate::support::smtp::Behaviour;
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, file, question};

fn path_of(ticket: &Value) -> String {
    format!("/api/v1/tickets/{}", ticket["number"].as_str().unwrap())
}

fn clock(ticket: &Value, target: &str) -> Value {
    let clocks = ticket["clocks"].as_array().unwrap();
    clocks
        .iter()
        .rfind(|clock| clock["target"] == target)
        .unwrap()
        .clone()
}

fn events(client: &Client, path: &str) -> Vec<Value> {
    let mut page = client.get(&format!("{path}/events?limit=200")).expect(200).body;
    page["items"].as_array_mut().unwrap().drain(..).collect()
}

/// What was sent to whom, each with how often.
fn sent(app: &TestApp) -> BTreeMap<(String, String), usize> {
    let mut counted = BTreeMap::new();
    for ReceivedMail { to, subject, .. } in app.smtp.received() {
        *counted.entry((to.join(","), subject)).or_default() += 1;
    }
    counted
}

fn answer(client: &Client, path: &str) -> Value {
    let body = json!({ "outcome": "answered", "message": "Đã có hướng dẫn." });
    client.post(&format!("{path}/resolve"), &body).expect(200).body
}

#[test]
fn two_replicas_that_settle_at_once_notice_everything_once() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.supervisor();
    let paths: Vec<String> = (0..12).map(|_| path_of(&file(&hue))).collect();
    for path in paths.iter().take(6) {
        lan.call(&format!("{path}/claim")).expect(200);
        answer(&lan, path);
    }
    // After each warning, each breach and the closing; the last long after.
    for instant in [
        "2019-11-25T15:00:00+07:00",
        "2019-11-25T17:00:00+07:00",
        "2019-11-28T17:00:00+07:00",
        "2019-11-29T17:31:00+07:00",
        "2019-12-24T09:00:00+07:00",
    ] {
        app.at(instant);
        at_once(4, |number| {
            block_on([&app, &other][number % 2].app.settle()).unwrap()
        });
    }
    for (number, path) in paths.iter().enumerate() {
        let mut noticed: Vec<String> = events(&lan, path)
            .iter()
            .filter(|event| event["actor"]["kind"] == "system")
            .map(|event| {
                format!(
                    "{} {}",
                    event["kind"].as_str().unwrap(),
                    event["at"].as_str().unwrap()
                )
            })
            .collect();
        noticed.sort();
        let expected: &[&str] = match number < 6 {
            true => &["ticket_closed 2019-11-29T10:30:00Z"],
            false => &[
                "clock_breached 2019-11-25T09:30:00Z",
                "clock_breached 2019-11-29T10:30:00Z",
                "clock_warning 2019-11-25T07:30:00Z",
                "clock_warning 2019-11-28T08:15:00Z",
                "status_updated 2019-11-29T10:30:00Z",
                "status_updated 2019-12-06T17:00:00Z",
                "status_updated 2019-12-13T17:00:00Z",
                "status_updated 2019-12-20T17:00:00Z",
            ],
        };
        assert_eq!(noticed, expected);
    }
    let sent = sent(&app);
    // Received by all; answered and closed to six; two warnings and two breaches of six to Lan, the breaches to the supervisor; an apology at the breach to the asker, and the
    // last of those that had come by the end.
    assert_eq!(
        app.smtp.received().len(),
        12 + 6 * 2 + 6 * (4 + 2 + 2),
        "{sent:#?}"
    );
    let identities: BTreeSet<String> = app
        .smtp
        .received()
        .iter()
        .map(|mail| mail.header("Message-ID").unwrap().to_owned())
        .collect();
    assert_eq!(identities.len(), app.smtp.received().len());
}

#[test]
fn an_answer_exactly_at_the_due_is_in_time_and_one_second_later_is_not() {
    for (instant, state, noticed) in [
        ("2019-11-29T17:30:00+07:00", "met", 0),
        ("2019-11-29T17:30:01+07:00", "breached", 1),
    ] {
        for worker_first in [true, false] {
            let app = TestApp::start();
            let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
            let path = path_of(&file(&hue));
            lan.call(&format!("{path}/claim")).expect(200);
            lan.post(&format!("{path}/messages"), &json!({ "body": "Đang xem xét." }))
                .expect(201);
            app.at(instant);
            if worker_first {
                app.settle();
            }
            let resolution = clock(&answer(&lan, &path), "resolution");
            app.settle();
            assert_eq!(resolution["state"], state, "{instant} {resolution}");
            assert_eq!(resolution["due_at"], "2019-11-29T10:30:00Z");
            let breaches = events(&lan, &path)
                .iter()
                .filter(|event| event["kind"] == "clock_breached")
                .count();
            assert_eq!(breaches, noticed, "{instant}");
            let late = lan.get("/api/v1/tickets?breached=true").expect(200).body;
            assert_eq!(late["items"].as_array().unwrap().len(), noticed, "{instant}");
        }
    }
}

/// A story with every kind of notice; `settle` is what a worker does at each full hour between its steps.
fn play(app: &TestApp, awake: bool) -> Vec<(Value, Vec<Value>)> {
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.supervisor();
    let mut hours = Hours::new(app, awake);
    let urgent = {
        let mut asked = question();
        asked["priority"] = json!("urgent");
        path_of(&hue.post("/api/v1/tickets", &asked).expect(201).body)
    };
    let [answered, waiting, left, asked_again] = [(); 4].map(|()| path_of(&file(&hue)));
    hours.until("2019-11-25T10:00:00+07:00");
    for path in [&urgent, &answered, &waiting, &asked_again] {
        lan.call(&format!("{path}/claim")).expect(200);
    }
    answer(&lan, &answered);
    answer(&lan, &asked_again);
    lan.post(
        &format!("{waiting}/wait"),
        &json!({ "message": "Đề nghị bổ sung." }),
    )
    .expect(200);
    hours.until("2019-11-26T16:00:00+07:00");
    hue.post(&format!("{asked_again}/messages"), &json!({ "body": "Chưa rõ." }))
        .expect(201);
    answer(&lan, &urgent);
    hours.until("2019-11-27T08:30:00+07:00");
    hue.post(&format!("{waiting}/messages"), &json!({ "body": "Đã bổ sung." }))
        .expect(201);
    hours.until("2019-12-03T09:30:00+07:00");
    // After the day on which it closed by itself.
    let late = hue.post(&format!("{answered}/messages"), &json!({ "body": "Cảm ơn." }));
    assert_eq!(
        (late.status, late.body["state"].as_str()),
        (409, None),
        "{}",
        late.text
    );
    lan.post(&format!("{left}/notes"), &json!({ "body": "Quá hạn." }))
        .expect(201);
    hours.until("2019-12-09T09:30:00+07:00");
    app.settle();
    [urgent, answered, waiting, left, asked_again]
        .iter()
        .map(|path| {
            let mut ticket = lan.get(path).expect(200).body;
            for changing in ["id", "status_link", "updated_at", "assignee"] {
                ticket.as_object_mut().unwrap().remove(changing);
            }
            let told = events(&lan, path)
                .into_iter()
                .map(|event| json!({ "kind": event["kind"], "at": event["at"], "target": event["data"]["target"] }))
                .collect();
            (ticket, told)
        })
        .collect()
}

struct Hours<'a> {
    app: &'a TestApp,
    awake: bool,
}

impl Hours<'_> {
    fn new(app: &TestApp, awake: bool) -> Hours<'_> {
        Hours { app, awake }
    }

    fn until(&mut self, text: &str) {
        let then = crate::support::app::instant(text);
        while self.awake && self.app.app.clock.now() + chrono::TimeDelta::hours(1) < then {
            self.app
                .app
                .clock
                .set(self.app.app.clock.now() + chrono::TimeDelta::hours(1));
            self.app.settle();
        }
        self.app.at(text);
        if self.awake {
            self.app.settle();
        }
    }
}

#[test]
fn a_worker_that_slept_finds_the_same_as_one_that_was_awake() {
    let awake = play(&TestApp::start(), true);
    let asleep = play(&TestApp::start(), false);
    for (awake, asleep) in awake.iter().zip(&asleep) {
        assert_eq!(awake.1, asleep.1, "history of {}", awake.0["number"]);
        assert_eq!(awake.0, asleep.0);
    }
}

#[test]
fn two_carriers_at_once_send_each_mail_once() {
    let app = TestApp::start();
    let other = app.replica();
    let hue = app.organisation("H57");
    let filed = 24;
    at_once(8, |_| (0..filed / 8).for_each(|_| drop(file(&hue))));
    at_once(4, |number| {
        let app = &[&app, &other][number % 2].app;
        while block_on(app.carrier.step(&app.store, &app.clock, 3)).unwrap() > 0 {}
    });
    let received = app.smtp.received();
    let identities: BTreeSet<&str> = received
        .iter()
        .map(|mail| mail.header("Message-ID").unwrap())
        .collect();
    assert_eq!((received.len(), identities.len()), (filed, filed));
}

fn delivery(app: &TestApp) -> (String, i32) {
    app.read(|conn| {
        let columns = (deliveries::state, deliveries::attempts);
        Ok(deliveries::table.select(columns).first(conn)?)
    })
}

/// Whoever holds a lease sends alone; once it ran out, another takes over, under the same Message-ID.
#[test]
fn a_delivery_is_taken_over_when_its_lease_ran_out_and_not_before() {
    let app = TestApp::start();
    let other = app.replica();
    file(&app.organisation("H57"));
    // The mail server has a minute for each of the twelve turns of a session; two more are leeway.
    let recipient = "lan@hue.example";
    app.smtp.behave(recipient, Behaviour::Hang);
    let step = |app: &TestApp| block_on(app.app.carrier.step(&app.app.store, &app.app.clock, 8)).unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| step(&app));
        app.smtp.wait_until_hanging(recipient);
        assert_eq!(step(&other), 0, "the first still holds the lease");
        app.at("2019-11-22T16:44:00+07:00");
        assert_eq!(step(&other), 0, "until its very end");
        app.at("2019-11-22T16:44:01+07:00");
        let second = scope.spawn(|| step(&other));
        wait_for("the second carrier", || (delivery(&app).1 == 2).then_some(()));
        app.smtp.behave(recipient, Behaviour::Accept);
        assert_eq!((first.join().unwrap(), second.join().unwrap()), (1, 1));
    });
    assert_eq!(delivery(&app), ("sent".to_owned(), 2));
    let received = app.smtp.received();
    assert_eq!(received.len(), 2, "the first was slow, not dead");
    assert_eq!(received[0].data, received[1].data, "a repeat is the same mail");
    assert_eq!(step(&app) + step(&other), 0);
}

#[test]
fn a_breach_reaches_the_administrators_where_there_is_no_supervisor() {
    let overdue_to = |app: &TestApp| {
        let path = path_of(&file(&app.organisation("H57")));
        app.at("2019-11-25T17:00:00+07:00").settle();
        let recipients = app.read(|conn| {
            Ok(deliveries::table
                .filter(deliveries::kind.eq("overdue"))
                .select(deliveries::recipient)
                .order(deliveries::recipient)
                .load::<String>(conn)?)
        });
        (path, recipients)
    };
    // The second one comes with an empty house.
    let administrators = ["admin@centre.example", "admin@localhost"];
    let app = TestApp::start();
    app.admin();
    assert_eq!(overdue_to(&app).1, administrators);

    let app = TestApp::start();
    app.admin();
    app.supervisor();
    assert_eq!(overdue_to(&app).1, ["sup@centre.example"]);

    // A supervisor who has left is none.
    let app = TestApp::start();
    app.admin();
    app.supervisor();
    app.sql("UPDATE users SET active = FALSE WHERE role = 'supervisor'");
    assert_eq!(overdue_to(&app).1, administrators);

    // Nobody at all: the breach stands all the same.
    let app = TestApp::start();
    app.sql("UPDATE users SET active = FALSE");
    let (path, recipients) = overdue_to(&app);
    assert_eq!(recipients, Vec::<String>::new());
    let late = app.organisation("H57").get(&path).expect(200).body;
    assert_eq!(clock(&late, "first_response")["state"], "breached");
}
