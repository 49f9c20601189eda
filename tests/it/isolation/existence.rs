//! What may not be seen is as if it were not there: the same status, body and headers, whatever else is wrong with the
//! request. Generated from the route table, for tickets and whatever else is somebody's.
use giaidap::http::routes::{Access, ROUTES, Route};
use serde_json::{Value, json};

use super::{body_for, concrete};
use crate::attachments::{self, PDF};
use crate::support::client::Reply;
use crate::support::desk::{agreement, without_request_id};
use crate::support::{Client, TestApp, question};

/// A request on what is foreign and on what does not exist, in one way of asking.
struct Asking {
    name: &'static str,
    header: Option<(&'static str, &'static str)>,
    query: &'static str,
    body: fn(&Route) -> Option<Value>,
}

fn sound(route: &Route) -> Option<Value> {
    body_for(route.operation, "foreign")
}

fn wrong(route: &Route) -> Option<Value> {
    sound(route).map(|_| json!({ "nonsense": [1, 2, 3] }))
}

const WAYS: [Asking; 9] = [
    Asking {
        name: "soundly",
        header: None,
        query: "",
        body: sound,
    },
    Asking {
        name: "with a wrong body",
        header: None,
        query: "",
        body: wrong,
    },
    Asking {
        name: "with a stale version",
        header: Some(("If-Match", "\"99\"")),
        query: "",
        body: sound,
    },
    Asking {
        name: "with the present version",
        header: Some(("If-Match", "\"1\"")),
        query: "",
        body: sound,
    },
    Asking {
        name: "with any version",
        header: Some(("If-None-Match", "*")),
        query: "",
        body: sound,
    },
    Asking {
        name: "with a key",
        header: Some(("Idempotency-Key", "k")),
        query: "",
        body: sound,
    },
    Asking {
        name: "with a wrong body and a version",
        header: Some(("If-Match", "\"1\"")),
        query: "",
        body: wrong,
    },
    Asking {
        name: "with a wrong query",
        header: None,
        query: "?limit=0&nonsense=1",
        body: sound,
    },
    Asking {
        name: "with a cursor",
        header: None,
        query: "?cursor=WzFd",
        body: sound,
    },
];

fn ask(caller: &Client, route: &Route, way: &Asking, id: &str) -> Reply {
    let path = format!("{}{}", concrete(route, id), way.query);
    let caller = match way.header {
        Some((name, value)) => caller.with(name, value),
        None => caller.clone(),
    };
    match (way.body)(route) {
        Some(body) => {
            let body = body.to_string();
            caller.send(
                route.method,
                &path,
                Some("application/json"),
                Some(body.as_bytes()),
            )
        }
        None if path.ends_with("/attachments") && route.method == "POST" => {
            attachments::send(&caller, &path, "a.pdf", PDF)
        }
        None => caller.send(route.method, &path, None, None),
    }
}

/// All that a caller can see, but for what differs from request to request.
pub fn seen(reply: &Reply) -> (u16, Value, Vec<(String, String)>) {
    let body = match reply.body.is_object() {
        true => without_request_id(&reply.body),
        false => json!(reply.text),
    };
    // `Connection` tells whether the body had come when it was refused unread.
    let passing = ["date", "x-request-id", "traceparent", "connection"];
    let mut headers: Vec<(String, String)> = reply
        .headers
        .iter()
        .filter(|(name, _)| !passing.contains(&name.as_str()) && !name.starts_with("ratelimit-"))
        .cloned()
        .collect();
    headers.sort();
    (reply.status, body, headers)
}

#[test]
fn nothing_tells_a_foreign_thing_from_none() {
    const NO_UUID: &str = "00000000-0000-7000-8000-000000000000";
    let app = TestApp::start();
    let (hue, lan, admin) = (
        app.organisation("H57"),
        app.agent("lan", &["technology"]),
        app.admin(),
    );
    let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
    let number = ticket["number"].as_str().unwrap();
    lan.call(&format!("/api/v1/tickets/{number}/claim")).expect(200);
    let agreed = admin
        .post("/api/v1/agreements", &agreement("H57", "2029-01-01"))
        .expect(201)
        .body;
    let path = format!("/api/v1/tickets/{number}/attachments");
    let attached = attachments::send(&lan, &path, "a.pdf", PDF).expect(201).body;
    let waiting = attachments::send(&hue, "/api/v1/attachments", "b.pdf", PDF)
        .expect(201)
        .body;
    let first_of = |path: &str| admin.get(path).expect(200).body["items"][0].clone();
    let asker = first_of("/api/v1/requesters?organisation=H57");
    let delivery = first_of(&format!("/api/v1/deliveries?ticket={number}"));
    let open = first_of("/api/v1/users/lan@centre.example/sessions");
    let program = first_of("/api/v1/api-clients?organisation=H57");
    let foreign_ids = |route: &Route, caller: &str| -> Vec<(String, &str)> {
        let uuid = |thing: &Value| (thing["id"].as_str().unwrap().to_owned(), NO_UUID);
        match route.path.split('/').nth(3).unwrap_or_default() {
            "tickets" => vec![(number.to_owned(), "GD-2019-999999"), uuid(&ticket)],
            "requests" => vec![(number.to_owned(), "GD-2019-999999")],
            "tokens" => vec![uuid(&ticket)],
            "agreements" => vec![uuid(&agreed)],
            "attachments" => vec![uuid(&attached), uuid(&waiting)],
            // Everybody of the centre sees all of them (decision 6).
            "requesters" if caller == "stranger" => Vec::new(),
            "requesters" => vec![uuid(&asker)],
            "deliveries" => vec![uuid(&delivery)],
            "api-clients" => vec![uuid(&program)],
            "users" => vec![("lan@centre.example".to_owned(), "nobody@centre.example")],
            "me" => vec![uuid(&open)],
            // Everybody may know which there are.
            "organisations" | "topics" | "queues" | "calendars" => Vec::new(),
            // Whom a policy is for is a story of its own.
            "sla-policies" => Vec::new(),
            other => panic!("{other}: whose are they? Say here how somebody else asks for one"),
        }
    };
    let before = app.footprint();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, caller) in [
        ("foreign", app.organisation("H26")),
        ("stranger", app.agent("stranger", &["policy"])),
    ] {
        let routes = ROUTES
            .iter()
            .filter(|route| route.path.contains("{id}") && route.access != Access::Public);
        for route in routes {
            for (there, nowhere) in foreign_ids(route, name) {
                let plain = ask(&caller, route, &WAYS[0], &there).status;
                if plain < 400 {
                    continue;
                }
                // The readable name is tried in every way, the UUID in two: it takes the same path from there on.
                let ways = if nowhere == NO_UUID && route.path.contains("/tickets/") {
                    &WAYS[..2]
                } else {
                    &WAYS[..]
                };
                for way in ways {
                    let there = ask(&caller, route, way, &there);
                    let nothing = ask(&caller, route, way, nowhere);
                    compared += 1;
                    if seen(&there) != seen(&nothing) {
                        wrong.push(format!(
                            "{} as {name} {}:\n  {:?}\n  {:?}",
                            route.operation,
                            way.name,
                            seen(&there),
                            seen(&nothing)
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 700, "only {compared} pairs");
    assert_eq!(app.footprint(), before);
}
