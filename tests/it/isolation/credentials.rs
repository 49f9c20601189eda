//! Credentials of every kind, over the whole route table: those that are dead open nothing, a session opens what its
//! person's token does, a limited token less, and a successor's key what its predecessor's does.
use giaidap::http::routes::{Access, ROUTES, Route};
use giaidap::identity::access::Action;
use serde_json::Value;

use super::existence::seen;
use super::{CALLERS, EXPECTED, body_for, concrete, send};
use crate::support::desk::path_of;
use crate::support::{Client, TestApp, question};

/// What the table says of this kind of caller.
fn expected(route: &Route, caller: &str) -> u16 {
    let row = EXPECTED
        .iter()
        .find(|(operation, _)| *operation == route.operation);
    let column = CALLERS.iter().position(|name| *name == caller).unwrap();
    row.unwrap().1[column]
}

fn lookup(client: &Client) -> String {
    client.token().split('_').nth(1).unwrap().to_owned()
}

/// The person's token, turned into a session.
fn session(app: &TestApp, token: &Client) -> Client {
    app.sql(&format!(
        "UPDATE credentials SET kind = 'session', made_as = NULL WHERE lookup = '{}'",
        lookup(token)
    ));
    Client::new(&app.url, Some(&token.token().replace("gdt_", "gds_")))
}

#[test]
fn credentials_that_are_not_alive_open_no_route() {
    let app = TestApp::start();
    let ticket = app
        .organisation("H57")
        .post("/api/v1/tickets", &question())
        .expect(201)
        .body;
    let number = ticket["number"].as_str().unwrap();
    let expired = app.organisation("H57");
    let revoked = app.key("H57", &giaidap::identity::Scope::OF_CLIENTS);
    let ended = session(&app, &app.admin());
    let half_right = {
        let known = app.organisation("H57");
        let text = known.token();
        let last = if text.ends_with('a') { "b" } else { "a" };
        Client::new(&app.url, Some(&format!("{}{last}", &text[..text.len() - 1])))
    };
    let mistaken = Client::new(&app.url, Some(&app.supervisor().token().replace("gdt_", "gdk_")));
    for (client, column) in [
        (&expired, "expires_at"),
        (&revoked, "revoked_at"),
        (&ended, "expires_at"),
    ] {
        app.sql(&format!(
            "UPDATE credentials SET {column} = '2019-11-22T09:30:00.000000Z' WHERE lookup = '{}'",
            lookup(client)
        ));
    }
    let before = app.footprint();
    let callers = [
        ("anonymous", app.anonymous()),
        ("an expired key", expired),
        ("a revoked key", revoked),
        ("an ended session", ended),
        ("a key with one letter wrong", half_right),
        ("a token shown as a key", mistaken),
    ];
    let mut walked = 0;
    for route in ROUTES.iter().filter(|route| route.access != Access::Public) {
        let path = concrete(route, number);
        let body = body_for(route.operation, "own");
        let refusals = callers.iter().map(|(name, caller)| {
            let refused = send(caller, route.method, &path, body.as_ref());
            match route.access {
                // GeoReport v2 has 403 for whatever is wrong with a key.
                Access::NeedsKey(_) => assert_eq!(refused.status, 403, "{path} as {name}"),
                _ => assert_eq!(
                    (refused.status, refused.problem()),
                    (401, "unauthenticated"),
                    "{path} as {name}"
                ),
            }
            let (status, body, mut headers) = seen(&refused);
            // Only who sent something is told that it is no valid token (RFC 6750, section 3).
            headers.retain(|(header, _)| header != "www-authenticate");
            (status, body, headers)
        });
        let mut refusals: Vec<_> = refusals.collect();
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{}: {refusals:?}", route.operation);
        walked += 1;
    }
    assert!(walked > 80, "only {walked} routes");
    assert_eq!(app.footprint(), before);
}

/// The routes that are about a ticket; the others stand in `mod.rs` for every role.
fn routes_of_tickets() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.path.contains("/tickets/{id}"))
}

#[test]
fn a_session_opens_what_its_persons_token_does_and_a_limited_token_less() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let member = session(&app, &app.agent("colleague", &["technology"]));
    let limited = app.agent("reading", &["technology"]);
    app.sql(&format!(
        "UPDATE credentials SET scopes = 'tickets:read' WHERE lookup = '{}'",
        lookup(&limited)
    ));
    let mut wrong = Vec::new();
    for route in routes_of_tickets() {
        let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
        lan.call(&format!("{}/claim", path_of(&ticket))).expect(200);
        let path = concrete(route, ticket["number"].as_str().unwrap());
        let body = body_for(route.operation, "colleague");
        let of_session = expected(route, "colleague");
        // Whatever changes something takes the scope to write, which this token has not.
        let of_limited = match route.method == "GET" {
            true => of_session,
            false => 403,
        };
        for (name, caller, expected) in [
            ("limited", &limited, of_limited),
            ("session", &member, of_session),
        ] {
            let reply = send(caller, route.method, &path, body.as_ref());
            if reply.status != expected {
                wrong.push(format!(
                    "{} as {name}: {} instead of {expected}",
                    route.operation, reply.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for route in ROUTES
        .iter()
        .filter(|route| route.access == Access::Needs(Action::ManageCalendars))
    {
        let reply = send(
            &limited,
            route.method,
            &concrete(route, "x"),
            body_for(route.operation, "admin").as_ref(),
        );
        assert_eq!(reply.status, 403, "{}", route.operation);
    }
}

#[test]
fn a_successors_key_opens_what_its_predecessors_does_from_that_day_on() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let prepared: Vec<(&Route, Value)> = routes_of_tickets()
        .map(|route| {
            let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
            lan.call(&format!("{}/claim", path_of(&ticket))).expect(200);
            (route, ticket)
        })
        .collect();
    let successor = app.organisation("H57-2025");
    let mut wrong = Vec::new();
    for (at, column) in [
        ("2024-12-31T23:59:59+07:00", "foreign"),
        ("2025-01-01T00:00:00+07:00", "own"),
    ] {
        app.at(at);
        for (route, ticket) in &prepared {
            let path = concrete(route, ticket["number"].as_str().unwrap());
            let reply = send(
                &successor,
                route.method,
                &path,
                body_for(route.operation, "own").as_ref(),
            );
            let expected = expected(route, column);
            if reply.status != expected {
                wrong.push(format!(
                    "{} {at}: {} instead of {expected}",
                    route.operation, reply.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
