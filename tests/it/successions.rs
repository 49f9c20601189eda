//! One organisation takes the place of another: who sees which tickets from which midnight on, what is refused, and what
//! an administrator is told beforehand.
use serde_json::{Value, json};

use crate::support::desk::{agreement, events, path_of, without_request_id};
use crate::support::{Client, TestApp, file};

fn succeed(admin: &Client, id: &str, body: &Value) -> crate::support::client::Reply {
    admin.post(&format!("/api/v1/organisations/{id}/succession"), body)
}

fn numbers(caller: &Client) -> Vec<String> {
    let list = caller.get("/api/v1/tickets?sort=filed_at").expect(200).body;
    let items = list["items"].as_array().unwrap().iter();
    let mut numbers: Vec<String> = items
        .map(|item| item["number"].as_str().unwrap().to_owned())
        .collect();
    numbers.sort();
    numbers
}

/// Everything that a program can ask or do of a ticket answers as if there were none.
fn assert_invisible(caller: &Client, path: &str) {
    let nothing = "/api/v1/tickets/GD-2019-999999";
    for tail in ["", "/messages", "/events", "/sla", "/sla/explanation"] {
        let refused = caller.get(&format!("{path}{tail}")).expect(404);
        let missing = caller.get(&format!("{nothing}{tail}")).expect(404);
        assert_eq!(
            without_request_id(&refused.body),
            without_request_id(&missing.body)
        );
    }
    let reason = json!({ "reason": "x" });
    for (tail, body) in [
        ("/cancel", &reason),
        ("/reopen", &reason),
        ("/close", &json!({})),
        ("/messages", &json!({ "body": "x" })),
    ] {
        let refused = caller.post(&format!("{path}{tail}"), body).expect(404);
        let missing = caller.post(&format!("{nothing}{tail}"), body).expect(404);
        assert_eq!(
            without_request_id(&refused.body),
            without_request_id(&missing.body)
        );
    }
}

/// And here everything answers as it does to the organisation that filed.
fn assert_own(caller: &Client, path: &str) {
    for tail in ["", "/messages", "/events", "/sla", "/sla/explanation"] {
        caller.get(&format!("{path}{tail}")).expect(200);
    }
    caller
        .post(&format!("{path}/messages"), &json!({ "body": "Bổ sung." }))
        .expect(201);
    caller
        .post(&format!("{path}/reopen"), &json!({ "reason": "x" }))
        .expect(409);
}

#[test]
fn a_successor_sees_the_tickets_from_the_midnight_after_the_last_day_and_not_before() {
    let app = TestApp::start();
    let admin = app.admin();
    let (old, new, last) = (
        app.organisation("H26"),
        app.organisation("H27"),
        app.organisation("H49"),
    );
    let foreign = app.organisation("H57");
    let path = path_of(&file(&old));
    succeed(
        &admin,
        "H26",
        &json!({ "successor": "H27", "last_day": "2019-11-30" }),
    )
    .expect(200);
    // A chain of two.
    succeed(
        &admin,
        "H27",
        &json!({ "successor": "H49", "last_day": "2019-12-10" }),
    )
    .expect(200);
    let of_new = path_of(&file(&new));

    app.at("2019-11-30T23:59:59+07:00");
    assert_invisible(&new, &path);
    assert_eq!(numbers(&new).len(), 1);
    app.at("2019-12-01T00:00:00+07:00");
    assert_own(&new, &path);
    assert_eq!(numbers(&new).len(), 2);
    // The program of the closed organisation runs on, and may still file.
    assert_own(&old, &path);
    let late = path_of(&file(&old));
    assert_own(&new, &late);
    assert_invisible(&last, &path);
    assert_invisible(&foreign, &path);

    app.at("2019-12-10T23:59:59+07:00");
    assert_invisible(&last, &of_new);
    assert_eq!(numbers(&last), Vec::<String>::new());
    app.at("2019-12-11T00:00:00+07:00");
    for ticket in [&path, &of_new, &late] {
        assert_own(&last, ticket);
        assert_own(&new, ticket);
    }
    assert_eq!(numbers(&last).len(), 3);
    assert_invisible(&old, &of_new);
    assert_invisible(&foreign, &path);
    let cancelled = last
        .post(&format!("{path}/cancel"), &json!({ "reason": "Đã rõ." }))
        .expect(200)
        .body;
    assert_eq!(
        cancelled["organisation"]["code"], "H26",
        "a ticket keeps naming who filed it"
    );
    assert_eq!(old.get(&path).expect(200).body["state"], "cancelled");
    assert_eq!(events(&last, &path).last().unwrap()["kind"], "ticket_cancelled");
}

#[test]
fn a_replica_follows_a_succession_with_the_next_request() {
    let app = TestApp::start();
    let other = app.replica();
    let path = path_of(&file(&app.organisation("H26")));
    let new = app.organisation("H27").on(&other.url);
    new.get(&path).expect(404);
    let past = json!({ "successor": "H27", "last_day": "2019-11-21" });
    succeed(&app.admin(), "H26", &past).expect(200);
    new.get(&path).expect(200);
}

#[test]
fn persons_pass_over_with_the_tickets() {
    let app = TestApp::start();
    file(&app.organisation("H26"));
    let new = app.organisation("H27");
    let people = |caller: &Client| caller.get("/api/v1/requesters").expect(200).body["items"].clone();
    assert_eq!(people(&new), json!([]));
    let past = json!({ "successor": "H27", "last_day": "2019-11-21" });
    succeed(&app.admin(), "H26", &past).expect(200);
    assert_eq!(people(&new)[0]["organisation"]["code"], "H26");
}

#[test]
fn a_preview_names_what_passes_over_and_what_remains_and_writes_nothing() {
    let app = TestApp::start();
    let admin = app.admin();
    let (old, before) = (app.organisation("H26"), app.organisation("H18"));
    let filed = path_of(&file(&old));
    file(&old);
    file(&before);
    old.post(&format!("{filed}/cancel"), &json!({ "reason": "x" }))
        .expect(200);
    app.key_of("H26", "Một cửa", &giaidap::identity::Scope::OF_CLIENTS);
    succeed(
        &admin,
        "H18",
        &json!({ "successor": "H26", "last_day": "2019-11-20" }),
    )
    .expect(200);
    let mut agreed = agreement("H26", "2020-01-01");
    admin.post("/api/v1/agreements", &agreed).expect(201);
    agreed["valid_from"] = json!("2021-01-01");
    agreed.as_object_mut().unwrap().remove("valid_to");
    let open_ended = admin.post("/api/v1/agreements", &agreed).expect(201).body;

    let shown = admin.get("/api/v1/organisations/H26").expect(200);
    let asked = json!({ "successor": "H27", "last_day": "2020-12-31", "preview": true });
    let preview = succeed(&admin, "H26", &asked).expect(200);
    let told = &preview.body;
    assert_eq!(told["preview"], true);
    assert_eq!(told["passes_on"], "2021-01-01");
    assert_eq!(told["tickets"], json!({ "open": 2, "total": 3 }));
    assert_eq!(told["predecessors"][0]["code"], "H18");
    assert_eq!(told["organisation"]["valid_to"], "2020-12-31");
    assert_eq!(told["organisation"]["successor"]["code"], "H27");
    let programs = told["programs"].as_array().unwrap();
    let names: Vec<&Value> = programs.iter().map(|program| &program["name"]).collect();
    assert_eq!(names, ["LGSP", "Một cửa"]);
    assert!(programs[1]["last_used_at"].is_null() && programs[1]["keys"] == 1);
    let agreements = told["agreements"].as_array().unwrap();
    assert_eq!((agreements.len(), &agreements[0]["id"]), (1, &open_ended["id"]));
    let after = admin.get("/api/v1/organisations/H26").expect(200);
    assert_eq!(
        (&after.body, after.header("etag")),
        (&shown.body, shown.header("etag"))
    );

    let carried_out = json!({ "successor": "H27", "last_day": "2020-12-31" });
    let done = succeed(&admin, "H26", &carried_out).expect(200);
    let mut expected = told.clone();
    expected["preview"] = json!(false);
    assert_eq!(done.body, expected);
    let after = admin.get("/api/v1/organisations/H26").expect(200);
    assert_eq!(
        (&after.body, after.header("etag")),
        (&done.body["organisation"], done.header("etag"))
    );
}

#[test]
fn what_would_leave_a_gap_or_a_circle_is_refused() {
    let app = TestApp::start();
    let admin = app.admin();
    let add = |code: &str, from: Value, to: Value| {
        let name = json!({ "vi": code, "en": code });
        let body = json!({ "code": code, "kind": "other", "name": name, "valid_from": from, "valid_to": to });
        admin.post("/api/v1/organisations", &body).expect(201);
    };
    add("X1", json!("2019-01-01"), Value::Null);
    add("X2", json!("2019-06-01"), json!("2020-06-30"));
    add("X3", json!("2020-01-01"), Value::Null);
    let plan = |successor: &str, last_day: &str| json!({ "successor": successor, "last_day": last_day });
    succeed(&admin, "X1", &plan("X2", "2019-12-31")).expect(200);
    for (id, body, place, code) in [
        ("X2", plan("X1", "2020-06-30"), "/successor", "succession_cycle"),
        ("X3", plan("X3", "2020-06-30"), "/successor", "succession_cycle"),
        (
            "X3",
            plan("X2", "2020-06-30"),
            "/successor",
            "successor_not_alive",
        ),
        (
            "X2",
            plan("X3", "2019-12-30"),
            "/successor",
            "successor_not_alive",
        ),
        ("X2", plan("X3", "2019-12-31"), "/last_day", "before_predecessor"),
        (
            "X3",
            plan("H57-2025", "2019-12-31"),
            "/last_day",
            "ends_before_it_begins",
        ),
        ("X3", plan("X9", "2020-12-31"), "/successor", "unknown_code"),
    ] {
        let refused = succeed(&admin, id, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{id} {body}"
        );
        let mut preview = body.clone();
        preview["preview"] = json!(true);
        succeed(&admin, id, &preview).expect(422);
    }
    assert_eq!(
        succeed(&admin, "X1", &plan("X2", "2019-12-31"))
            .expect(409)
            .problem(),
        "conflict"
    );
    assert_eq!(
        succeed(&admin, "X1", &plan("X3", "2020-01-31"))
            .expect(409)
            .problem(),
        "conflict"
    );
    assert_eq!(
        succeed(&admin.with("If-Match", "\"1\""), "X1", &plan("X2", "2020-01-31"))
            .expect(412)
            .status,
        412
    );
    succeed(&admin, "X2", &plan("X3", "2020-01-01")).expect(200);
    // Dates that are changed one by one leave no gap either.
    let patch = |id: &str, body: Value| {
        admin
            .with("If-Match", "*")
            .patch(&format!("/api/v1/organisations/{id}"), &body)
    };
    for (id, body, place, code) in [
        (
            "X1",
            json!({ "valid_to": "2020-01-01" }),
            "/valid_to",
            "successor_not_alive",
        ),
        (
            "X2",
            json!({ "valid_from": "2020-01-01", "valid_to": "2019-12-31" }),
            "/valid_to",
            "ends_before_it_begins",
        ),
        (
            "X3",
            json!({ "valid_from": "2020-01-03" }),
            "/valid_from",
            "successor_not_alive",
        ),
        ("X1", json!({ "successor": "X3" }), "/successor", "not_allowed"),
        (
            "X1",
            json!({ "valid_to": null }),
            "/valid_to",
            "succession_without_end",
        ),
    ] {
        let refused = patch(id, body.clone()).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{id} {body}"
        );
    }
    // Taken back, and given to another one.
    let back = patch("X1", json!({ "successor": null, "valid_to": null }))
        .expect(200)
        .body;
    assert_eq!(
        (&back["successor"], &back["valid_to"]),
        (&Value::Null, &Value::Null)
    );
    succeed(&admin, "X1", &plan("X3", "2020-12-31")).expect(200);
}

#[test]
fn of_two_successions_at_once_that_make_a_circle_one_is_refused() {
    let app = TestApp::start();
    let other = app.replica();
    let admin = app.admin();
    for last_day in ["2020-01-31", "2020-02-29", "2020-03-31"] {
        let threads: Vec<_> = [("H26", "H27", &app.url), ("H27", "H26", &other.url)]
            .into_iter()
            .map(|(closed, successor, url)| {
                let (admin, closed) = (admin.on(url), closed.to_owned());
                let body = json!({ "successor": successor, "last_day": last_day });
                std::thread::spawn(move || succeed(&admin, &closed, &body).status)
            })
            .collect();
        let mut statuses: Vec<u16> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        statuses.sort();
        assert_eq!(statuses, [200, 422]);
        for code in ["H26", "H27"] {
            let back = json!({ "successor": null, "valid_to": null });
            let path = format!("/api/v1/organisations/{code}");
            admin.with("If-Match", "*").patch(&path, &back).expect(200);
        }
    }
}
