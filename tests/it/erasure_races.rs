//! Who is erased stays erased, whatever is just being written about them elsewhere; and of a question that is being
//! filed the asker is known to whoever erases. On PostgreSQL each waits for the other where one sees the other's lock; SQLite's
//! writer is alone and takes one after the other.
use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use giaidap::config::{Overrides, RetentionOverrides};
use giaidap::directory::requesters;
use giaidap::error::Result;
use giaidap::identity::Principal;
use giaidap::tickets::retention::retention_step;
use giaidap::tx::Tx;
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::database::Backend;
use crate::support::desk::path_of;
use crate::support::threads::wait_for;
use crate::support::{Client, TestApp, question};

const REQUESTERS: &str = "/api/v1/requesters";

/// Sessions of this test's database that wait for a lock.
fn waiting(conn: &mut PgConnection) -> i64 {
    let question = "(SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock')";
    diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(question))
        .get_result(conn)
        .unwrap()
}

/// Carries out `first`, which is not committed before `second` waits for it; a second that does not wait is over.
fn during<T: Send>(
    app: &TestApp,
    first: impl FnOnce(&mut Tx<'_>) -> Result<()> + Send + 'static,
    second: impl FnOnce() -> T + Send,
) -> T {
    let (tell_begun, begun) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (desk, now) = (app.app.desk.clone(), app.app.clock.now());
    std::thread::scope(|scope| {
        let running = scope.spawn(move || {
            app.write(move |conn| {
                let mut tx = Tx {
                    conn,
                    principal: &Principal::System,
                    now,
                    desk: &desk,
                };
                first(&mut tx)?;
                tell_begun.send(()).unwrap();
                // An error says that the test is over already.
                let _ = released.recv();
                Ok(())
            })
        });
        begun.recv().unwrap();
        let answer = scope.spawn(second);
        if app.database.backend == Backend::Postgres {
            let mut own = PgConnection::establish(&app.database.url).unwrap();
            wait_for("who comes second", || {
                (waiting(&mut own) > 0 || answer.is_finished()).then_some(())
            });
        }
        release.send(()).unwrap();
        running.join().unwrap();
        answer.join().unwrap()
    })
}

/// Files on one server, up to where its number is given, then begins `second`; both go on when that waits too, or is over.
/// On SQLite the second comes after the first.
fn while_filing<T: Send>(
    app: &TestApp,
    filer: &Client,
    asked: &Value,
    second: impl FnOnce() -> T + Send,
) -> (Value, T) {
    let file = || filer.post("/api/v1/tickets", asked).expect(201).body;
    if app.database.backend == Backend::Sqlite {
        return (file(), second());
    }
    let mut other = PgConnection::establish(&app.database.url).unwrap();
    other
        .batch_execute("BEGIN; SELECT last FROM ticket_numbers FOR UPDATE")
        .unwrap();
    let mut own = PgConnection::establish(&app.database.url).unwrap();
    std::thread::scope(|scope| {
        let filing = scope.spawn(file);
        wait_for("a question that waits for its number", || {
            (waiting(&mut own) == 1).then_some(())
        });
        let answer = scope.spawn(second);
        wait_for("who comes second", || {
            (waiting(&mut own) > 1 || answer.is_finished()).then_some(())
        });
        other.batch_execute("COMMIT").unwrap();
        (filing.join().unwrap(), answer.join().unwrap())
    })
}

fn asked_by(person: &Value) -> Value {
    let mut asked = question();
    asked["requester"] = person.clone();
    asked
}

fn lan() -> Value {
    json!({ "name": "Trần Thị Lan", "email": "lan@hue.example", "phone": "0234" })
}

fn id(person: &Value) -> String {
    person["id"].as_str().unwrap().to_owned()
}

/// The only person that there is.
fn only_person(sup: &Client) -> Value {
    let list = sup.get(REQUESTERS).expect(200).body;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    list["items"][0].clone()
}

fn assert_erased(sup: &Client, person: &Value) {
    let now = sup.get(&format!("{REQUESTERS}/{}", id(person))).expect(200).body;
    assert_ne!(now["anonymised_at"], Value::Null, "{now}");
    assert_ne!(now["name"], person["name"]);
    for erased in ["email", "phone", "unit"] {
        assert_eq!(now[erased], Value::Null, "{now}");
    }
}

fn erase(tx: &mut Tx<'_>, id: &str) -> Result<()> {
    requesters::anonymise(tx, id, "Theo yêu cầu", &None).map(drop)
}

#[test]
fn who_is_erased_while_they_ask_on_another_server_stays_erased_and_asks_as_somebody_new() {
    let by_name = || json!({ "name": "Trần Thị Lan", "unit": "Sở" });
    for (known, says) in [
        (lan(), lan()),
        (
            lan(),
            json!({ "name": "Lan Anh", "email": "lan@hue.example", "phone": "0999" }),
        ),
        (by_name(), by_name()),
        (
            by_name(),
            json!({ "name": "Trần Thị Lan", "unit": "Sở", "phone": "0999" }),
        ),
    ] {
        let app = TestApp::start();
        let other = app.replica();
        let (hue, sup) = (app.organisation("H57"), app.supervisor());
        hue.post("/api/v1/tickets", &asked_by(&known)).expect(201);
        let person = only_person(&sup);
        let (erased, there) = (id(&person), hue.on(&other.url));
        let ticket = during(
            &app,
            move |tx| erase(tx, &erased),
            || there.post("/api/v1/tickets", &asked_by(&says)).expect(201).body,
        );
        assert_erased(&sup, &person);
        let list = sup.get(REQUESTERS).expect(200).body;
        let [_, new] = list["items"].as_array().unwrap().as_slice() else {
            panic!("{says}: {list}");
        };
        for member in ["name", "email", "phone", "unit"] {
            assert_eq!(new[member], says[member], "{says}");
        }
        let shown = sup.get(&path_of(&ticket)).expect(200).body;
        for member in ["name", "email"] {
            assert_eq!(shown["requester"][member], says[member], "{says}");
        }
    }
}

#[test]
fn who_is_erased_while_their_question_goes_to_another_organisation_is_not_known_there() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let moved = hue.post("/api/v1/tickets", &asked_by(&lan())).expect(201).body;
    // What has left does not wait to be withdrawn.
    app.settle();
    app.smtp.wait_for(1);
    let (person, there) = (only_person(&sup), sup.on(&other.url));
    let erased = id(&person);
    let to = json!({ "organisation": "H26" });
    during(
        &app,
        move |tx| erase(tx, &erased),
        || there.patch(&path_of(&moved), &to).expect(200),
    );
    assert_erased(&sup, &person);
    for list in ["/api/v1/deliveries", REQUESTERS] {
        let shown = sup.get(list).expect(200).text;
        assert!(!shown.contains("lan@hue.example"), "{list}: {shown}");
    }
}

#[test]
fn a_message_that_is_written_while_its_reader_is_erased_reaches_nobody() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let filed = hue.post("/api/v1/tickets", &asked_by(&lan())).expect(201).body;
    let message = format!("{}/messages", path_of(&filed));
    // The first one changes more of the ticket than those that follow.
    sup.post(&message, &json!({ "body": "x" })).expect(201);
    app.settle();
    app.smtp.wait_for(2);
    let (person, there) = (only_person(&sup), sup.on(&other.url));
    let erased = id(&person);
    during(
        &app,
        move |tx| erase(tx, &erased),
        || there.post(&message, &json!({ "body": "x" })).expect(201),
    );
    let shown = sup.get("/api/v1/deliveries").expect(200).text;
    assert!(!shown.contains("lan@hue.example"), "{shown}");
    app.settle();
    assert_eq!(app.smtp.received().len(), 2);
}

#[test]
fn a_question_that_is_being_filed_is_in_before_its_asker_is_erased() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    hue.post("/api/v1/tickets", &asked_by(&lan())).expect(201);
    let (person, there) = (only_person(&sup), sup.on(&other.url));
    let path = format!("{REQUESTERS}/{}/anonymise", id(&person));
    let (ticket, erased) = while_filing(&app, &hue, &asked_by(&lan()), || {
        there.post(&path, &json!({ "reason": "x" })).expect(200).body
    });
    assert_eq!(ticket["requester"]["email"], person["email"]);
    assert_eq!(only_person(&sup)["id"], person["id"]);
    assert_erased(&sup, &person);
    // Both questions' mails.
    assert_eq!(erased["withdrawn_deliveries"], 2);
    let shown = sup.get("/api/v1/deliveries").expect(200).text;
    assert!(!shown.contains("lan@hue.example"), "{shown}");
    app.settle();
    assert_eq!(app.smtp.received().len(), 0);
}

#[test]
fn who_is_just_asking_again_is_not_forgotten_with_their_last_question() {
    for person in [lan(), json!({ "name": "Trần Thị Lan" })] {
        let app = TestApp::start_with(&Overrides {
            retention: RetentionOverrides {
                retention_ticket_days: Some(30),
            },
            ..Overrides::default()
        });
        let (hue, sup) = (app.organisation("H57"), app.supervisor());
        let first = hue.post("/api/v1/tickets", &asked_by(&person)).expect(201).body;
        hue.post(&format!("{}/cancel", path_of(&first)), &json!({ "reason": "x" }))
            .expect(200);
        app.at("2019-12-31T08:00:00+07:00");
        let (store, desk, now) = (app.app.store.clone(), app.app.desk.clone(), app.app.clock.now());
        let (again, done) = while_filing(&app, &hue, &asked_by(&person), || {
            block_on(retention_step(&store, &desk, now)).unwrap()
        });
        assert_eq!(done, 1);
        let known = only_person(&sup);
        assert_eq!(known["name"], person["name"]);
        assert_eq!(known["anonymised_at"], Value::Null);
        let shown = sup.get(&path_of(&again)).expect(200).body;
        assert_eq!(shown["requester"]["name"], person["name"]);
    }
}
