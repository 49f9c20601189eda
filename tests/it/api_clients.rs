//! Programs of organisations over the API: what they are granted, their keys, changing them over, and that every change
//! holds from the next request on, on every replica.
use giaidap::identity::Scope;
use serde_json::{Value, json};

use crate::support::desk::path_of;
use crate::support::log::{keep_security_log, whole_security_log};
use crate::support::raw::{Wire, statuses};
use crate::support::threads::wait_for;
use crate::support::{Client, TestApp, file, question};

const CLIENTS: &str = "/api/v1/api-clients";

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// How many rows there are of all that a request may write, with programs and keys, which making an actor writes too.
fn written(app: &TestApp) -> Vec<(&'static str, i64)> {
    let mut rows = app.footprint();
    rows.extend(["clients", "credentials"].map(|table| (table, app.rows_in(table))));
    rows
}

/// A program of H57 made over the API.
fn program(admin: &Client, name: &str) -> String {
    let made = admin
        .post(CLIENTS, &json!({ "organisation": "H57", "name": name }))
        .expect(201)
        .body;
    text(&made["id"])
}

/// A key of a program made over the API, with its answer.
fn key(app: &TestApp, admin: &Client, program: &str, body: &Value) -> (Client, Value) {
    let made = admin.post(&format!("{CLIENTS}/{program}/keys"), body).expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let caller = Client::new(&app.url, Some(made.body["secret"].as_str().unwrap()));
    (caller, made.body)
}

fn both() -> Value {
    json!({ "scopes": ["tickets:read", "tickets:write"] })
}

#[test]
fn a_program_is_made_shown_listed_and_changed_under_its_version() {
    let app = TestApp::start();
    let admin = app.admin();
    let new = json!({
        "organisation": "000.00.00.H57",
        "name": "Cổng dịch vụ công",
        "networks": ["10.1.2.3/8", "127.0.0.1"],
        "include_units": true,
        "requests_per_minute": 600,
    });
    let made = admin.post(CLIENTS, &new).expect(201);
    assert_eq!(made.body["organisation"]["code"], "H57");
    assert_eq!(made.body["networks"], json!(["10.0.0.0/8", "127.0.0.1/32"]));
    let path = made.header("location").unwrap().to_owned();
    let shown = admin.get(&path).expect(200);
    assert_eq!(
        (&shown.body, shown.header("etag")),
        (&made.body, made.header("etag"))
    );
    admin
        .with("If-None-Match", made.header("etag").unwrap())
        .get(&path)
        .expect(304);

    let twice = admin.post(CLIENTS, &new).expect(422);
    assert_eq!(
        twice.field_errors(),
        [("/name".to_owned(), "duplicate".to_owned())]
    );
    admin.patch(&path, &json!({ "active": false })).expect(428);
    admin
        .with("If-Match", "\"9\"")
        .patch(&path, &json!({ "active": false }))
        .expect(412);
    let changed = admin
        .with("If-Match", "\"1\"")
        .patch(
            &path,
            &json!({ "name": "Cổng", "requests_per_minute": null, "active": false }),
        )
        .expect(200);
    assert_eq!(changed.version(), 2);
    assert_eq!(
        (
            &changed.body["name"],
            &changed.body["requests_per_minute"],
            &changed.body["active"]
        ),
        (&json!("Cổng"), &Value::Null, &json!(false))
    );
    assert_eq!(changed.body["networks"], made.body["networks"]);

    let other = json!({ "organisation": "H26", "name": "LGSP" });
    admin.post(CLIENTS, &other).expect(201);
    let names = |query: &str| -> Vec<String> {
        let page = admin.get(&format!("{CLIENTS}?{query}")).expect(200).body;
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| text(&item["name"]))
            .collect()
    };
    assert_eq!(names("organisation=H57"), ["Cổng"]);
    assert_eq!(names("active=true"), ["LGSP"]);
    assert_eq!(names("q=cong"), ["Cổng"]);
    let page = admin.get(&format!("{CLIENTS}?limit=1")).expect(200);
    let next = page.body["next_cursor"].as_str().unwrap();
    assert!(page.header("link").is_some());
    assert_eq!(names(&format!("limit=1&cursor={next}")), ["LGSP"]);
    let refused = admin.get(&format!("{CLIENTS}?q=x&cursor={next}")).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("cursor".to_owned(), "invalid_cursor".to_owned())]
    );
}

#[test]
fn what_a_program_may_not_be_is_named() {
    let app = TestApp::start();
    let admin = app.admin();
    let before = written(&app);
    for (body, place, code) in [
        (
            json!({ "organisation": "H99", "name": "x" }),
            "/organisation",
            "unknown_code",
        ),
        (json!({ "organisation": "H57", "name": "" }), "/name", "too_short"),
        (
            json!({ "organisation": "H57", "name": "a\u{7}b" }),
            "/name",
            "control_character",
        ),
        (
            json!({ "organisation": "H57", "name": "x", "networks": ["10.0.0.0/33"] }),
            "/networks/0",
            "out_of_range",
        ),
        (
            json!({ "organisation": "H57", "name": "x", "networks": vec!["10.0.0.1"; 51] }),
            "/networks",
            "too_long",
        ),
        (
            json!({ "organisation": "H57", "name": "x", "requests_per_minute": 0 }),
            "/requests_per_minute",
            "out_of_range",
        ),
        (
            json!({ "organisation": "H57", "name": "x", "secret": "y" }),
            "/secret",
            "unknown_field",
        ),
    ] {
        let refused = admin.post(CLIENTS, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    assert_eq!(written(&app), before);
    let keys = format!("{CLIENTS}/{}/keys", program(&admin, "LGSP"));
    let before = written(&app);
    for (body, place, code) in [
        (json!({}), "/scopes", "required"),
        (json!({ "scopes": [] }), "/scopes", "too_short"),
        (json!({ "scopes": ["tickets:all"] }), "/scopes/0", "out_of_range"),
        (json!({ "scopes": ["identity:write"] }), "/scopes", "not_allowed"),
        (
            json!({ "scopes": ["tickets:read"], "expires_at": "2019-11-22T16:30:00+07:00" }),
            "/expires_at",
            "out_of_range",
        ),
        (
            json!({ "scopes": ["tickets:read"], "expires_at": "2039-11-22T16:30:00+07:00" }),
            "/expires_at",
            "out_of_range",
        ),
        (
            json!({ "scopes": ["tickets:read"], "expires_at": "2019-12-22" }),
            "/expires_at",
            "invalid_format",
        ),
    ] {
        let refused = admin.post(&keys, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    for nothing in ["x", "00000000-0000-7000-8000-000000000000"] {
        admin.get(&format!("{CLIENTS}/{nothing}")).expect(404);
        admin
            .post(&format!("{CLIENTS}/{nothing}/keys"), &both())
            .expect(404);
        admin.call(&format!("{keys}/{nothing}/rotate")).expect(404);
        admin
            .send("DELETE", &format!("{keys}/{nothing}"), None, None)
            .expect(404);
    }
    assert_eq!(written(&app), before);
}

#[test]
fn a_change_of_a_program_and_the_end_of_a_key_hold_from_the_next_request_on_every_replica() {
    let app = TestApp::start();
    let other = app.replica();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let path = format!("{CLIENTS}/{id}");
    let (caller, made) = key(&app, &admin, &id, &both());
    let everywhere = |status: u16| {
        for url in [&app.url, &other.url] {
            let reply = caller.on(url).get("/api/v1/me");
            assert_eq!(reply.status, status, "{}", reply.text);
        }
    };
    let change = |body: Value| {
        admin.with("If-Match", "*").patch(&path, &body).expect(200);
    };
    everywhere(200);
    change(json!({ "active": false }));
    everywhere(401);
    change(json!({ "active": true }));
    everywhere(200);
    change(json!({ "networks": ["10.0.0.0/8"] }));
    everywhere(401);
    change(json!({ "networks": ["10.0.0.0/8", "127.0.0.0/8"] }));
    everywhere(200);
    change(json!({ "networks": [] }));
    everywhere(200);
    // A refusal says nothing of its reason.
    change(json!({ "networks": ["10.0.0.0/8"] }));
    let elsewhere = caller.get("/api/v1/me").expect(401);
    change(json!({ "networks": [] }));
    let revoke = format!("{path}/keys/{}", text(&made["lookup"]));
    admin.send("DELETE", &revoke, None, None).expect(204);
    everywhere(401);
    let revoked = caller.get("/api/v1/me").expect(401);
    assert_eq!(elsewhere.body["detail"], revoked.body["detail"]);
    admin.send("DELETE", &revoke, None, None).expect(204);
    let keys = admin.get(&format!("{path}/keys")).expect(200).body;
    assert_eq!(keys["items"][0]["state"], "revoked");
    assert!(keys["items"][0]["revoked_at"].is_string());
}

#[test]
fn a_rotated_key_has_the_same_scopes_and_the_old_one_goes_on_for_the_overlap() {
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let keys = format!("{CLIENTS}/{id}/keys");
    let (old, made) = key(
        &app,
        &admin,
        &id,
        &json!({ "scopes": ["tickets:read"], "expires_at": "2020-11-21T16:30:00+07:00", "name": "máy chủ 1" }),
    );
    assert_eq!(
        (&made["state"], &made["name"]),
        (&json!("active"), &json!("máy chủ 1"))
    );
    let rotated = admin
        .post(
            &format!("{keys}/{}/rotate", text(&made["id"])),
            &json!({ "overlap_hours": 48 }),
        )
        .expect(201)
        .body;
    assert_eq!(rotated["scopes"], json!(["tickets:read"]));
    assert_eq!(rotated["name"], "máy chủ 1");
    assert_eq!(
        rotated["expires_at"], "2020-11-21T09:30:00Z",
        "as long as the old one was given for"
    );
    assert_eq!(rotated["replaces"]["expires_at"], "2019-11-24T09:30:00Z");
    assert_eq!(rotated["replaces"]["state"], "expiring");
    let new = Client::new(&app.url, rotated["secret"].as_str());
    for caller in [&old, &new] {
        caller.get("/api/v1/tickets").expect(200);
        caller.post("/api/v1/tickets", &question()).expect(403);
    }
    app.at("2019-11-24T16:29:59+07:00");
    old.get("/api/v1/me").expect(200);
    app.at("2019-11-24T16:30:00+07:00");
    old.get("/api/v1/me").expect(401);
    new.get("/api/v1/me").expect(200);
    let states: Vec<Value> = admin.get(&keys).expect(200).body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["state"].clone())
        .collect();
    assert_eq!(states, ["expired", "active"]);
    let ended = admin
        .call(&format!("{keys}/{}/rotate", text(&made["lookup"])))
        .expect(409);
    assert_eq!(ended.problem(), "conflict");
    // At once, and not later than it would have ended.
    let third = admin
        .post(
            &format!("{keys}/{}/rotate", text(&rotated["lookup"])),
            &json!({ "overlap_hours": 0 }),
        )
        .expect(201)
        .body;
    new.get("/api/v1/me").expect(401);
    Client::new(&app.url, third["secret"].as_str())
        .get("/api/v1/me")
        .expect(200);
    let late = admin
        .post(
            &format!("{keys}/{}/rotate", text(&third["lookup"])),
            &json!({ "overlap_hours": 721 }),
        )
        .expect(422);
    assert_eq!(
        late.field_errors(),
        [("/overlap_hours".to_owned(), "out_of_range".to_owned())]
    );
}

#[test]
fn a_program_changes_its_own_key_and_gains_nothing_by_it() {
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let yearly = json!({ "scopes": ["tickets:read"], "expires_at": "2020-11-21T16:30:00+07:00" });
    let (caller, _) = key(&app, &admin, &id, &yearly);
    let me = caller.get("/api/v1/me").expect(200).body;
    assert_eq!(me["key_expires_at"], "2020-11-21T09:30:00Z");
    assert_eq!(
        (&me["networks"], &me["include_units"]),
        (&json!([]), &json!(false))
    );
    app.at("2020-11-01T08:00:00+07:00");
    const ROTATE: &str = "/api/v1/me/key/rotate";
    let longer = caller
        .post(ROTATE, &json!({ "expires_at": "2025-01-01T00:00:00Z" }))
        .expect(422);
    assert_eq!(
        longer.field_errors(),
        [("/expires_at".to_owned(), "out_of_range".to_owned())]
    );
    let wider = caller
        .post(ROTATE, &json!({ "scopes": ["tickets:write"] }))
        .expect(422);
    assert_eq!(
        wider.field_errors(),
        [("/scopes".to_owned(), "unknown_field".to_owned())]
    );
    let first = caller.call(ROTATE).expect(201);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    assert_eq!(first.body["scopes"], json!(["tickets:read"]));
    assert_eq!(first.body["expires_at"], "2021-11-01T01:00:00Z");
    assert_eq!(first.body["replaces"]["expires_at"], "2020-11-02T01:00:00Z");
    // The answer was lost: the key that came of it ends, and a further one takes its place.
    let lost = Client::new(&app.url, first.body["secret"].as_str());
    let second = caller.call(ROTATE).expect(201).body;
    lost.get("/api/v1/me").expect(401);
    let renewed = Client::new(&app.url, second["secret"].as_str());
    renewed.get("/api/v1/me").expect(200);
    renewed.post("/api/v1/tickets", &question()).expect(403);
    // Year after year it is as long as it was given for.
    app.at("2021-10-01T08:00:00+07:00");
    let third = renewed.call(ROTATE).expect(201).body;
    assert_eq!(third["expires_at"], "2022-10-01T01:00:00Z");
    app.supervisor().call(ROTATE).expect(403);
    // A used key that came of a rotation stays.
    let other = Client::new(&app.url, third["secret"].as_str());
    other.get("/api/v1/me").expect(200);
}

#[test]
fn a_repeated_request_gets_its_answer_without_the_secret_and_makes_no_second_key() {
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let keys = format!("{CLIENTS}/{id}/keys");
    let (own, made) = key(&app, &admin, &id, &both());
    let calls = [
        (admin.clone(), keys.clone(), both()),
        (own, "/api/v1/me/key/rotate".to_owned(), json!({})),
        (
            admin.clone(),
            format!("{keys}/{}/rotate", text(&made["id"])),
            json!({}),
        ),
    ];
    for (position, (caller, path, body)) in calls.iter().enumerate() {
        let caller = caller.with("Idempotency-Key", &format!("k{position}"));
        let first = caller.post(path, body).expect(201);
        let secret = text(&first.body["secret"]);
        let before = written(&app);
        let again = caller.post(path, body).expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.header("cache-control"), Some("no-store"));
        let without = first.text.replace(&format!("\"{secret}\""), "null");
        assert_eq!(again.text, without, "byte for byte otherwise");
        assert_eq!(written(&app), before);
        Client::new(&app.url, Some(&secret)).get("/api/v1/me").expect(200);
        caller
            .post(path, &json!({ "scopes": ["tickets:read"], "name": "x" }))
            .expect(422);
        let half = secret.rsplit('_').next().unwrap().to_owned();
        let kept: i64 = app.read(move |conn| {
            use diesel::RunQueryDsl;
            let count = format!("(SELECT count(*) FROM idempotency_records WHERE body LIKE '%{half}%')");
            let count = diesel::dsl::sql::<diesel::sql_types::BigInt>(&count);
            Ok(diesel::select(count).get_result(conn)?)
        });
        assert_eq!(kept, 0, "no secret is stored");
    }
}

#[test]
fn keys_in_force_are_limited_and_ended_ones_do_not_count() {
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let keys = format!("{CLIENTS}/{id}/keys");
    let mut last = Value::Null;
    for _ in 0..20 {
        last = admin.post(&keys, &both()).expect(201).body;
    }
    assert_eq!(admin.post(&keys, &both()).expect(409).problem(), "conflict");
    let revoke = format!("{keys}/{}", text(&last["id"]));
    admin.send("DELETE", &revoke, None, None).expect(204);
    admin.post(&keys, &both()).expect(201);
    let page = admin.get(&format!("{keys}?limit=20")).expect(200).body;
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
    let next = page["next_cursor"].as_str().unwrap();
    let rest = admin
        .get(&format!("{keys}?limit=20&cursor={next}"))
        .expect(200)
        .body;
    assert_eq!(
        (rest["items"].as_array().unwrap().len(), &rest["next_cursor"]),
        (1, &Value::Null)
    );
    assert!(!page.to_string().contains("secret"));
}

#[test]
fn a_key_of_another_program_is_not_found_under_this_one() {
    let app = TestApp::start();
    let admin = app.admin();
    let (one, other) = (program(&admin, "Một"), program(&admin, "Hai"));
    let (caller, made) = key(&app, &admin, &one, &both());
    let wrong = format!("{CLIENTS}/{other}/keys/{}", text(&made["lookup"]));
    admin.send("DELETE", &wrong, None, None).expect(404);
    admin.call(&format!("{wrong}/rotate")).expect(404);
    caller.get("/api/v1/me").expect(200);
}

#[test]
fn a_program_that_is_granted_units_sees_their_tickets_and_others_do_not() {
    let app = TestApp::start();
    let admin = app.admin();
    let unit =
        json!({ "code": "000.00.14.H57", "kind": "agency", "name": { "vi": "Sở TT&TT", "en": "DIC" } });
    let unit = admin.post("/api/v1/organisations", &unit).expect(201).body;
    assert_eq!(
        (&unit["code"], &unit["parent"]["code"]),
        (&json!("H57.14"), &json!("H57"))
    );
    let ticket = file(&app.organisation("H57.14"));
    let path = path_of(&ticket);
    let id = program(&admin, "Một cửa");
    let (caller, _) = key(&app, &admin, &id, &both());
    caller.get(&path).expect(404);
    let grant = |granted: bool| {
        let body = json!({ "include_units": granted });
        admin
            .with("If-Match", "*")
            .patch(&format!("{CLIENTS}/{id}"), &body)
            .expect(200);
    };
    grant(true);
    caller.get(&path).expect(200);
    let list = caller.get("/api/v1/tickets").expect(200).body;
    assert_eq!(list["items"][0]["number"], ticket["number"]);
    caller
        .post(&format!("{path}/cancel"), &json!({ "reason": "Đã rõ." }))
        .expect(200);
    app.organisation("H57").get(&path).expect(404);
    app.key_of("H26", "Một cửa", &Scope::OF_CLIENTS)
        .get(&path)
        .expect(404);
    grant(false);
    caller.get(&path).expect(404);
}

#[test]
fn of_two_rotations_at_once_both_are_counted_and_one_key_is_left_over() {
    let app = TestApp::start();
    let other = app.replica();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let (caller, _) = key(&app, &admin, &id, &both());
    let threads: Vec<_> = [app.url.clone(), other.url.clone()]
        .into_iter()
        .map(|url| {
            let caller = caller.on(&url);
            std::thread::spawn(move || caller.call("/api/v1/me/key/rotate"))
        })
        .collect();
    let made: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap().expect(201))
        .collect();
    let open = made.iter().filter(|reply| {
        let caller = Client::new(&app.url, reply.body["secret"].as_str());
        caller.get("/api/v1/me").status == 200
    });
    assert_eq!(
        open.count(),
        1,
        "the one that came first was unused and has ended"
    );
}

#[test]
fn a_key_that_is_ended_takes_with_it_what_its_program_made_with_it() {
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let (leaked, made) = key(&app, &admin, &id, &both());
    let rotate = |caller: &Client| caller.call("/api/v1/me/key/rotate").expect(201).body;
    let opened = |body: &Value| {
        let caller = Client::new(&app.url, body["secret"].as_str());
        caller.get("/api/v1/me").expect(200);
        caller
    };
    let by_thief = rotate(&leaked);
    let thief = opened(&by_thief);
    let again = opened(&rotate(&thief));
    // What an administrator makes in its place only the administrator has.
    let path = format!("/api/v1/api-clients/{id}/keys/{}/rotate", text(&by_thief["id"]));
    let by_admin = admin.call(&path).expect(201).body;
    let renewed = opened(&by_admin);

    let list = admin
        .get(&format!("/api/v1/api-clients/{id}/keys"))
        .expect(200)
        .body;
    let row = |key: &Value| {
        let mut rows = list["items"].as_array().unwrap().iter();
        rows.find(|row| row["id"] == key["id"]).unwrap().clone()
    };
    assert_eq!(row(&made)["replaces_id"], Value::Null);
    assert_eq!(row(&made)["rotated_by_program"], false);
    assert_eq!(row(&by_thief)["replaces_id"], made["id"]);
    assert_eq!(row(&by_thief)["rotated_by_program"], true);
    assert_eq!(row(&by_admin)["replaces_id"], by_thief["id"]);
    assert_eq!(row(&by_admin)["rotated_by_program"], false);

    let path = format!("/api/v1/api-clients/{id}/keys/{}", text(&made["id"]));
    admin.send("DELETE", &path, None, None).expect(204);
    for ended in [&leaked, &thief, &again] {
        ended.get("/api/v1/me").expect(401);
    }
    renewed.get("/api/v1/me").expect(200);
}

#[test]
fn who_has_a_leaked_key_cannot_end_what_an_administrator_made_in_its_place() {
    keep_security_log();
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let (leaked, made) = key(&app, &admin, &id, &both());
    let path = format!("{CLIENTS}/{id}/keys/{}/rotate", text(&made["id"]));
    // What the thief made before and never used ends when an administrator rotates, and that is written down.
    let by_thief = leaked.call("/api/v1/me/key/rotate").expect(201).body;
    let by_admin = admin.call(&path).expect(201).body;
    let before = written(&app);
    let refused = leaked.call("/api/v1/me/key/rotate").expect(409);
    assert_eq!(refused.problem(), "conflict");
    assert_eq!(written(&app), before);
    Client::new(&app.url, by_thief["secret"].as_str())
        .get("/api/v1/me")
        .expect(401);
    let replacement = Client::new(&app.url, by_admin["secret"].as_str());
    replacement.get("/api/v1/me").expect(200);
    // The replacement itself goes on as any key does, and ends what it made itself only.
    let first = replacement.call("/api/v1/me/key/rotate").expect(201).body;
    let second = replacement.call("/api/v1/me/key/rotate").expect(201).body;
    for (key, status) in [(&first, 401), (&second, 200)] {
        let caller = Client::new(&app.url, key["secret"].as_str());
        caller.get("/api/v1/me").expect(status);
    }
    let log = whole_security_log();
    let ended = |key: &Value| {
        let lookup = text(&key["lookup"]);
        let lookup = lookup.trim_start_matches("gdk_");
        let is_line = |line: &&str| line.contains("\"key_revoked\"") && line.contains(lookup);
        log.lines().filter(is_line).count()
    };
    assert_eq!([&by_thief, &by_admin, &first, &second].map(ended), [1, 0, 1, 0]);
}

#[test]
fn the_command_line_ends_the_same_keys() {
    let app = TestApp::start();
    let leaked = app.organisation("H57");
    let made = leaked.call("/api/v1/me/key/rotate").expect(201).body;
    let thief = Client::new(&app.url, made["secret"].as_str());
    thief.get("/api/v1/me").expect(200);
    let lookup = leaked.token().rsplit_once('_').unwrap().0.to_owned();
    let now = app.app.clock.now();
    let ended = app.write(move |conn| giaidap::identity::revoke(conn, &lookup, now));
    assert_eq!(ended, 2);
    leaked.get("/api/v1/me").expect(401);
    thief.get("/api/v1/me").expect(401);
}

/// The head and the beginning of a body; the rest follows when it is said.
fn begin(url: &str, caller: &Client, path: &str, body: &str) -> Wire {
    let mut wire = Wire::to(url);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        caller.token(),
        body.len(),
        &body[..1],
    );
    assert!(wire.say(head.as_bytes()));
    wire
}

#[test]
fn what_comes_in_whole_after_its_key_was_ended_is_not_written() {
    let app = TestApp::start();
    let admin = app.admin();
    let id = program(&admin, "LGSP");
    let question = question();
    let items = json!([{ "operation": "file", "body": question }]);
    let bulk = json!({ "mode": "each", "items": items }).to_string();
    let question = question.to_string();
    let requester = json!({ "name": "Trần Văn An", "organisation": "H57" }).to_string();
    for (path, body) in [
        ("/api/v1/tickets", &question),
        ("/api/v1/tickets/bulk", &bulk),
        ("/api/v1/requesters", &requester),
    ] {
        let (caller, made) = key(&app, &admin, &id, &both());
        let keys = format!("/api/v1/api-clients/{id}/keys");
        let mut wire = begin(&app.url, &caller, path, body);
        // It has been let in when its use is written down.
        wait_for("the key to be used", || {
            let list = admin.get(&keys).expect(200).body;
            let mut rows = list["items"].as_array().unwrap().iter();
            rows.any(|row| row["id"] == made["id"] && !row["last_used_at"].is_null())
                .then_some(())
        });
        let path_of_key = format!("{keys}/{}", text(&made["id"]));
        admin.send("DELETE", &path_of_key, None, None).expect(204);
        assert!(wire.say(&body.as_bytes()[1..]));
        let (heard, _) = wire.hear_out();
        let is_refused = match path {
            // Item by item.
            "/api/v1/tickets/bulk" => heard.contains("\"status\":401"),
            _ => statuses(&heard) == [401],
        };
        assert!(is_refused, "{path}: {heard}");
    }
    assert_eq!((app.rows_in("tickets"), app.rows_in("requesters")), (0, 0));
}
