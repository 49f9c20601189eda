//! How often the database is asked, and by what, where a request's answer does not tell.
use diesel::connection::{SimpleConnection, set_default_instrumentation};
use giaidap::store::Db;
use serde_json::{Value, json};

use super::explained::plan;
use super::recorded::{RECORDED, Recorder, with_values};
use crate::support::{TestApp, file, question};

fn recording() -> TestApp {
    set_default_instrumentation(|| Some(Box::new(Recorder::default()))).unwrap();
    TestApp::start()
}

/// The statements with these words that run meanwhile, in the quotation marks of PostgreSQL.
fn recorded<T>(app: &TestApp, words: &[&str], request: impl FnOnce() -> T) -> Vec<String> {
    RECORDED.lock().unwrap().clear();
    request();
    let place = app.database.url.trim_start_matches("sqlite://");
    let all = std::mem::take(&mut *RECORDED.lock().unwrap());
    all.into_iter()
        .filter(|(url, _)| url == place)
        .map(|(_, sql)| sql.replace('`', "\""))
        .filter(|sql| words.iter().all(|word| sql.contains(word)))
        .collect()
}

#[test]
fn questions_of_an_organisation_without_agreements_ask_for_these_once() {
    let app = recording();
    let sup = app.supervisor();
    let item = || {
        let mut body = question();
        body["organisation"] = json!("H57");
        json!({ "operation": "file", "body": body })
    };
    let bulk = json!({ "mode": "all", "items": (0..20).map(|_| item()).collect::<Vec<Value>>() });
    let asked = recorded(&app, &["FROM \"agreements\""], || {
        sup.post("/api/v1/tickets/bulk", &bulk).expect(200)
    });
    // Of the programs' organisations, which here are none, and of this one.
    assert_eq!(asked.len(), 2, "{asked:#?}");
}

#[test]
fn the_tickets_of_a_person_are_found_by_their_mark() {
    let app = recording();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    file(&hue);
    let list = sup.get("/api/v1/requesters").expect(200).body;
    let erase = format!(
        "/api/v1/requesters/{}/anonymise",
        list["items"][0]["id"].as_str().unwrap()
    );
    let asked = recorded(&app, &["FROM \"tickets\"", "\"requester_id\" ="], || {
        let told = sup.post(&erase, &json!({ "reason": "x" })).expect(200).body;
        assert_eq!(told["withdrawn_deliveries"], 1);
    });
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert!(asked[0].contains("ticket_texts"), "{asked:#?}");
}

#[test]
fn ended_sessions_are_swept_by_their_end() {
    let app = recording();
    let deleted = recorded(&app, &["DELETE", "credentials"], || app.settle().app.clock.now());
    let backend = app.database.backend;
    assert!(!deleted.is_empty());
    for sql in deleted {
        let lines = app.read(move |conn| {
            // A handful of rows is read whole by whoever may.
            if let Db::Pg(pg) = conn {
                pg.batch_execute("SET enable_seqscan = off").unwrap();
            }
            Ok(plan(conn, &with_values(&sql, backend)))
        });
        assert!(
            lines.iter().any(|line| line.contains("credentials_expiry")),
            "{lines:#?}"
        );
    }
}
