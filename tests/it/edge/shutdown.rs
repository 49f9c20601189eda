//! The real process, asked to end: what it accepted it finishes, and what it has not accepted it leaves to its successor.
use serde_json::{Value, json};

use crate::support::process::ServerProcess;
use crate::support::raw::{Wire, statuses};
use crate::support::threads::wait_for;
use crate::support::{TestApp, question};

fn head(token: &str, length: usize) -> String {
    format!(
        "POST /api/v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    )
}

/// The rest of the answer behind its head.
fn body_of(heard: &str) -> Value {
    serde_json::from_str(heard.split("\r\n\r\n").last().unwrap()).unwrap()
}

#[test]
fn an_upload_that_had_begun_is_finished_and_answered() {
    let house = TestApp::start();
    let storage = tempfile::TempDir::new().unwrap();
    let mut server = ServerProcess::start(&house.database.url, storage.path());
    let hue = house.organisation("H57");
    let body = question().to_string();
    let (first, rest) = body.as_bytes().split_at(40);
    let mut wires: Vec<Wire> = (0..3).map(|_| Wire::to(&server.url)).collect();
    for wire in &mut wires {
        wire.say(head(hue.token(), body.len()).as_bytes());
        // The handler asks for the body: the request is accepted.
        assert_eq!(statuses(&wire.hear_until("\r\n\r\n")), [100]);
        wire.say(first);
    }
    server.terminate();
    let probe = house.anonymous().on(&server.url);
    wait_for("the end of the listening", || {
        let gone = probe.try_get("/readyz").is_none_or(|reply| reply.status == 503);
        gone.then_some(())
    });
    for wire in &mut wires {
        wire.say(rest);
        let (heard, closed) = wire.hear_out();
        assert_eq!(statuses(&heard), [201], "{heard}");
        assert!(closed.is_some());
        let number = body_of(&heard)["number"].as_str().unwrap().to_owned();
        hue.get(&format!("/api/v1/tickets/{number}")).expect(200);
    }
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    assert_eq!(house.rows_in("tickets"), 3);
}

#[test]
fn requests_that_run_while_the_server_is_told_to_end_are_answered() {
    let house = TestApp::start();
    let storage = tempfile::TempDir::new().unwrap();
    let mut server = ServerProcess::start(&house.database.url, storage.path());
    let hue = house.organisation("H57").on(&server.url);
    let (ready, started) = std::sync::mpsc::channel();
    let acknowledged = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..8)
            .map(|number| {
                let (hue, ready) = (hue.clone(), ready.clone());
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for round in 0.. {
                        let mut body = question();
                        body["external_ref"] = json!(format!("{number}-{round}"));
                        // Gone for good, or a connection that was closed while it was idle.
                        let Some(reply) = hue.try_post("/api/v1/tickets", &body) else {
                            break;
                        };
                        assert_eq!(reply.status, 201, "{}", reply.text);
                        acknowledged.push(reply.body["external_ref"].as_str().unwrap().to_owned());
                        let _ = ready.send(());
                    }
                    acknowledged
                })
            })
            .collect();
        for _ in 0..16 {
            started.recv().unwrap();
        }
        server.terminate();
        let all = callers.into_iter().flat_map(|caller| caller.join().unwrap());
        all.collect::<Vec<String>>()
    });
    let (status, log) = server.wait();
    assert!(status.success(), "{log}");
    let hue = house.organisation("H57");
    for reference in &acknowledged {
        let found = hue
            .get(&format!("/api/v1/tickets?external_ref={reference}"))
            .expect(200)
            .body;
        assert_eq!(found["items"].as_array().unwrap().len(), 1, "{reference}");
    }
    // Whoever was cut off had not been accepted: nothing is there that nobody was told of.
    let filed = usize::try_from(house.rows_in("tickets")).unwrap();
    assert_eq!(
        filed,
        acknowledged.len(),
        "a request was carried out and not answered"
    );
}
