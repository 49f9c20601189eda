//! What all answers get from one place: the caller is asked again inside the transaction, what is known is not sent
//! again, and a page costs as many queries as one thing.
use std::sync::Mutex;

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use giaidap::error::Error;
use giaidap::http::answer;
use giaidap::http::extract::Call;
use giaidap::identity::access::Action;
use giaidap::identity::{self, Presentation};
use serde_json::json;

use crate::attachments::{PDF, sent};
use crate::support::app::block_on;
use crate::support::{Client, TestApp, file};

/// A DELETE of this caller, as its handler has it once the caller was let in.
fn removal(app: &TestApp, caller: &Client) -> Call {
    let now = app.app.clock.now();
    let here = Presentation {
        now,
        today: app.app.desk.date_of(now),
        from: [127, 0, 0, 1].into(),
        session_idle: app.app.config.sign_in.session_life().idle,
    };
    let token = caller.token().to_owned();
    let authenticated = app.read(move |conn| identity::authenticate(conn, &token, here));
    Call {
        app: app.app.clone(),
        principal: authenticated.principal.into(),
        action: Action::SendAttachment,
        now,
        language: Default::default(),
        idempotency_key: None,
        if_match: None,
        has_if_match: false,
        if_none_match: None,
        method: "DELETE".into(),
        path: "/api/v1/attachments/x".into(),
        query: String::new(),
    }
}

#[test]
fn who_was_ended_after_they_were_let_in_removes_nothing() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let call = removal(&app, &hue);
    assert!(block_on(answer::remove(&call, |_| Ok(()))).is_ok());
    let lookup = hue.token().rsplit_once('_').unwrap().0.to_owned();
    let now = app.app.clock.now();
    app.write(move |conn| identity::revoke(conn, &lookup, now));
    let refused = block_on(answer::remove(&call, |_| panic!("carried out")));
    assert!(matches!(refused, Err(Error::Unauthenticated)));
}

#[test]
fn two_lines_of_what_is_known_are_one_list_for_everybody() {
    let app = TestApp::start();
    let anybody = app.anonymous();
    let path = "/api/v1/calendars/vn-government/calendar.ics";
    let tag = anybody.get(path).expect(200).header("etag").unwrap().to_owned();
    let known = anybody
        .with("If-None-Match", "\"other\"")
        .with("If-None-Match", &tag)
        .get(path)
        .expect(304);
    assert_eq!(known.header("vary"), Some("Accept-Language"));
    assert_eq!(known.header("etag"), Some(tag.as_str()));
}

static ASKED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps the database that is asked, once for each question about tickets.
#[derive(Default)]
struct Counter {
    url: String,
}

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => self.url = url.to_owned(),
            InstrumentationEvent::StartQuery { query, .. } => {
                let query = query.to_string().replace('"', "`");
                if query.contains("FROM (`tickets`") || query.contains("FROM `tickets`") {
                    ASKED.lock().unwrap().push(self.url.clone());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_page_of_files_asks_for_its_ticket_as_often_as_one_file_does() {
    set_default_instrumentation(|| Some(Box::new(Counter::default()))).unwrap();
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ticket = file(&hue);
    let place = app.database.url.trim_start_matches("sqlite://").to_owned();
    let path = format!("/api/v1/tickets/{}", ticket["number"].as_str().unwrap());
    let mut questions = Vec::new();
    for files in [1, 6] {
        let ids: Vec<String> = (0..files).map(|_| sent(&hue, "a.pdf", PDF)).collect();
        let message = json!({ "body": "x", "attachments": ids });
        hue.post(&format!("{path}/messages"), &message).expect(201);
        ASKED.lock().unwrap().clear();
        let list = hue.get(&format!("{path}/attachments")).expect(200).body;
        questions.push(ASKED.lock().unwrap().iter().filter(|url| **url == place).count());
        for shown in list["items"].as_array().unwrap() {
            assert_eq!(shown["ticket"]["number"], ticket["number"]);
        }
    }
    assert!(questions[0] > 0 && questions[0] == questions[1], "{questions:?}");
}
