//! Many requests in one: each item is what its own route makes of it, all or none is all or none, and nothing is done
//! twice, whatever is lost on the way.
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use diesel::prelude::*;
use giaidap::config::Overrides;
use giaidap::identity::Scope;
use giaidap::store::schema::tickets;
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::desk::{path_of, without_request_id};
use crate::support::process::ServerProcess;
use crate::support::threads::{at_once, wait_for};
use crate::support::{TestApp, file, question};

const BULK: &str = "/api/v1/tickets/bulk";

fn request(mode: &str, items: Vec<Value>) -> Value {
    json!({ "mode": mode, "items": items })
}

fn statuses(reply: &Value) -> Vec<u64> {
    let results = reply["results"].as_array().unwrap();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(
            result["problem"].is_object(),
            result["status"].as_u64().unwrap() >= 400
        );
    }
    let failed = results
        .iter()
        .filter(|result| result["problem"].is_object())
        .count();
    assert_eq!(reply["failed"], failed);
    assert_eq!(reply["succeeded"], results.len() - failed);
    results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect()
}

fn problem(result: &Value) -> &str {
    result["problem"]["type"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
}

fn on(operation: &str, ticket: &Value, body: Value) -> Value {
    json!({ "operation": operation, "ticket": ticket["number"], "body": body })
}

#[test]
fn every_operation_does_what_its_own_route_does() {
    for mode in ["each", "all"] {
        let app = TestApp::start();
        let (hue, sup) = (app.organisation("H57"), app.supervisor());
        app.agent("lan", &["technology"]);
        let (first, second, third) = (file(&hue), file(&hue), file(&hue));
        let mut filed = question();
        filed["organisation"] = json!("H57");
        let items = vec![
            on("change", &first, json!({ "priority": "urgent" })),
            json!({ "operation": "file", "body": filed }),
            json!({ "operation": "claim", "ticket": first["id"] }),
            on("note", &first, json!({ "body": "Xem." })),
            on("message", &first, json!({ "body": "Đang xem." })),
            on("wait", &first, json!({ "message": "Bổ sung?" })),
            on("resume", &first, json!({})),
            on("release", &first, json!({ "reason": "x" })),
            on("transfer", &first, json!({ "queue": "security", "reason": "x" })),
            on("assign", &first, json!({ "assignee": "lan@centre.example" })),
            on("claim", &second, json!({})),
            on(
                "resolve",
                &second,
                json!({ "outcome": "answered", "message": "a" }),
            ),
            on("reopen", &second, json!({ "reason": "x" })),
            on("resolve", &second, json!({ "outcome": "raised", "message": "b" })),
            on("close", &second, json!({})),
            on("cancel", &third, json!({ "reason": "x" })),
            json!({ "operation": "file", "body": filed }),
        ];
        let reply = sup.post(BULK, &request(mode, items)).expect(200).body;
        let expected = [
            200, 201, 200, 201, 201, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 201,
        ];
        assert_eq!(statuses(&reply), expected, "{mode}: {reply}");
        let results = reply["results"].as_array().unwrap();
        for (result, ticket, state) in [
            (&results[9], &first, "assigned"),
            (&results[14], &second, "closed"),
            (&results[15], &third, "cancelled"),
        ] {
            let shown = sup.get(&path_of(ticket)).expect(200);
            assert_eq!(result["body"], shown.body, "{mode}");
            assert_eq!(result["etag"], shown.header("etag").unwrap());
            assert_eq!(shown.body["state"], state);
        }
        assert_eq!(results[1]["body"]["number"], "GD-2019-000004");
        assert_eq!(results[16]["body"]["number"], "GD-2019-000005");
        let notes = sup.get(&format!("{}/notes", path_of(&first))).expect(200).body;
        assert_eq!(notes["items"][0], results[3]["body"]);
    }
}

#[test]
fn an_item_that_fails_has_the_problem_of_its_own_route_and_the_others_stand() {
    let app = TestApp::start();
    let (hue, hai_duong) = (app.organisation("H57"), app.organisation("H26"));
    let lan = app.agent("lan", &["technology"]);
    let own = file(&hue);
    let foreign = file(&hai_duong);
    let items = vec![
        on("cancel", &foreign, json!({ "reason": "x" })),
        on(
            "cancel",
            &json!({ "number": "GD-2019-999999" }),
            json!({ "reason": "x" }),
        ),
        on("claim", &own, json!({})),
        on("claim", &foreign, json!({})),
        on("cancel", &own, json!({})),
        on("cancel", &own, json!({ "reason": "x", "other": 1 })),
        on("cancel", &own, json!([])),
        json!({ "operation": "file", "body": { "subject": "x", "body": "y", "topic": "NONE" } }),
        json!({ "operation": "file", "body": { "subject": "x", "body": "y", "organisation": "H57" } }),
        json!({ "operation": "file" }),
        json!({ "operation": "cancel", "ticket": own["id"], "if_match": "\"7\"", "body": { "reason": "x" } }),
        on("message", &own, json!({ "body": "Xong." })),
        on("close", &own, json!({})),
    ];
    let reply = hue.post(BULK, &request("each", items)).expect(200).body;
    let expected = [404, 404, 403, 403, 422, 422, 422, 422, 422, 422, 412, 201, 409];
    assert_eq!(statuses(&reply), expected, "{reply}");
    let results = reply["results"].as_array().unwrap();
    // A foreign ticket and one that is not are told alike, and as by the own route.
    let alone = hue
        .post(
            &format!("{}/cancel", path_of(&foreign)),
            &json!({ "reason": "x" }),
        )
        .expect(404);
    for result in [&results[0], &results[1]] {
        assert_eq!(
            without_request_id(&result["problem"]),
            without_request_id(&alone.body)
        );
    }
    let pointer = |result: &Value| {
        result["problem"]["errors"][0]["pointer"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(pointer(&results[4]), "/items/4/body/reason");
    assert_eq!(pointer(&results[5]), "/items/5/body/other");
    assert_eq!(pointer(&results[6]), "/items/6/body");
    assert_eq!(pointer(&results[7]), "/items/7/body/topic");
    assert_eq!(pointer(&results[8]), "/items/8/body/organisation");
    assert_eq!(problem(&results[12]), "wrong-transition");
    assert_eq!(
        results[12]["problem"]["possible_operations"],
        json!(["claim", "assign", "transfer", "cancel"])
    );
    let english = hue.with("Accept-Language", "en");
    let told = english
        .post(BULK, &request("each", vec![on("close", &own, json!({}))]))
        .expect(200)
        .body;
    assert_eq!(told["results"][0]["problem"]["title"], "Wrong transition");
    // What a member of the queue may do is decided for each item.
    let stranger = app.agent("mai", &["policy"]);
    let claim = request("each", vec![on("claim", &own, json!({}))]);
    assert_eq!(statuses(&stranger.post(BULK, &claim).expect(200).body), [404]);
    assert_eq!(statuses(&lan.post(BULK, &claim).expect(200).body), [200]);
    let reader = app.key("H57", &[Scope::TicketsRead]);
    reader.post(BULK, &claim).expect(403);
}

#[test]
fn of_all_or_none_the_first_failure_leaves_nothing() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let ticket = file(&hue);
    let mut body = question();
    body["organisation"] = json!("H57");
    body["requester"]["email"] = json!("another@hue.example");
    let filing = json!({ "operation": "file", "idempotency_key": "k1", "body": body });
    let items = vec![
        filing.clone(),
        on("claim", &ticket, json!({})),
        on("claim", &ticket, json!({})),
        filing
            .as_object()
            .map(|filing| json!({ "operation": "file", "body": filing["body"] }))
            .unwrap(),
    ];
    let before = app.footprint();
    for caller in [sup.clone(), sup.with("Idempotency-Key", "whole")] {
        let reply = caller.post(BULK, &request("all", items.clone())).expect(200).body;
        assert_eq!(statuses(&reply), [424, 424, 409, 424]);
        assert_eq!(problem(&reply["results"][0]), "rolled-back");
        assert_eq!(problem(&reply["results"][2]), "wrong-transition");
        assert_eq!(app.footprint(), before);
    }
    // What is wrong before anything begins, too.
    let wrong = request("all", vec![items[1].clone(), on("cancel", &ticket, json!({}))]);
    assert_eq!(statuses(&sup.post(BULK, &wrong).expect(200).body), [424, 422]);
    assert_eq!(app.footprint(), before);
    // A refused request may be mended under the same key, and its items under theirs.
    let mended = request("all", vec![items[0].clone(), items[1].clone()]);
    let keyed = sup.with("Idempotency-Key", "whole");
    let first = keyed.post(BULK, &mended).expect(200);
    assert_eq!(statuses(&first.body), [201, 200]);
    assert_eq!(first.body["results"][0]["body"]["number"], "GD-2019-000002");
    let again = keyed.post(BULK, &mended).expect(200);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.text),
        (Some("true"), &first.text)
    );
}

#[test]
fn an_item_repeats_its_first_answer_by_its_key_here_and_on_its_own_route() {
    for mode in ["each", "all"] {
        let app = TestApp::start();
        let (hue, sup) = (app.organisation("H57"), app.supervisor());
        let body = question();
        let single = hue
            .with("Idempotency-Key", "f1")
            .post("/api/v1/tickets", &body)
            .expect(201);
        let filing = json!({ "operation": "file", "idempotency_key": "f1", "body": body });
        let another = json!({ "operation": "file", "idempotency_key": "f2", "body": body });
        let reply = hue
            .post(BULK, &request(mode, vec![filing.clone(), another.clone()]))
            .expect(200)
            .body;
        assert_eq!(statuses(&reply), [201, 201], "{reply}");
        assert_eq!(reply["results"][0]["replayed"], true);
        assert_eq!(reply["results"][0]["body"], single.body);
        assert_eq!(reply["results"][1].get("replayed"), None);
        let by_route = hue
            .with("Idempotency-Key", "f2")
            .post("/api/v1/tickets", &body)
            .expect(201);
        assert_eq!(by_route.header("idempotency-replayed"), Some("true"));
        assert_eq!(by_route.body, reply["results"][1]["body"]);
        // Another request with the key; the same key twice; the key of the whole.
        let mut other = another.clone();
        other["body"]["subject"] = json!("Khác");
        let items = vec![other.clone()];
        assert_eq!(
            statuses(&hue.post(BULK, &request(mode, items)).expect(200).body),
            [422]
        );
        let fresh = |key: &str| json!({ "operation": "file", "idempotency_key": key, "body": body });
        let before = app.footprint();
        let whole = hue.with("Idempotency-Key", "w");
        for (items, at) in [
            (vec![fresh("f3"), fresh("f4"), fresh("f3")], 2),
            (vec![fresh("f3"), fresh("w")], 1),
        ] {
            let refused = whole.post(BULK, &request(mode, items)).expect(422);
            let pointer = format!("/items/{at}/idempotency_key");
            assert_eq!(refused.field_errors(), [(pointer, "duplicate".to_owned())]);
        }
        assert_eq!(app.footprint(), before);
        // Operations on tickets likewise.
        let claim = json!({ "operation": "claim", "ticket": single.body["number"], "idempotency_key": "c" });
        for replayed in [Value::Null, json!(true)] {
            let reply = sup
                .post(BULK, &request(mode, vec![claim.clone()]))
                .expect(200)
                .body;
            assert_eq!(reply["results"][0]["status"], 200);
            assert_eq!(reply["results"][0]["replayed"], replayed);
        }
        let claimed = sup
            .with("Idempotency-Key", "c")
            .call(&format!("{}/claim", path_of(&single.body)));
        assert_eq!(claimed.expect(200).header("idempotency-replayed"), Some("true"));
    }
}

#[test]
fn what_is_around_the_items_is_refused_as_a_whole() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ticket = file(&hue);
    let cancel = || on("cancel", &ticket, json!({ "reason": "x" }));
    let before = app.footprint();
    let with = |name: &str, value: Value| {
        let mut item = cancel();
        item[name] = value;
        request("each", vec![cancel(), item])
    };
    for (body, pointer, code) in [
        (json!({ "items": [cancel()] }), "/mode", "required"),
        (json!({ "mode": "each" }), "/items", "required"),
        (
            json!({ "mode": "some", "items": [cancel()] }),
            "/mode",
            "out_of_range",
        ),
        (json!({ "mode": "each", "items": {} }), "/items", "wrong_type"),
        (
            json!({ "mode": "each", "items": [cancel()], "other": 1 }),
            "/other",
            "unknown_field",
        ),
        (request("each", vec![]), "/items", "too_short"),
        (request("all", vec![cancel(); 1001]), "/items", "too_long"),
        (
            request("each", vec![cancel(), json!([])]),
            "/items/1",
            "wrong_type",
        ),
        (
            request("each", vec![cancel(), json!("x")]),
            "/items/1",
            "wrong_type",
        ),
        (with("other", json!(1)), "/items/1/other", "unknown_field"),
        (
            with("operation", json!("merge")),
            "/items/1/operation",
            "out_of_range",
        ),
        (with("ticket", Value::Null), "/items/1/ticket", "required"),
        (
            with("ticket", json!("a\u{0}b")),
            "/items/1/ticket",
            "control_character",
        ),
        (
            with("ticket", json!("x".repeat(101))),
            "/items/1/ticket",
            "too_long",
        ),
        (
            with("if_match", json!("7")),
            "/items/1/if_match",
            "invalid_format",
        ),
        (
            with("idempotency_key", json!("a b")),
            "/items/1/idempotency_key",
            "invalid_format",
        ),
        (with("operation", json!("file")), "/items/1/ticket", "not_allowed"),
    ] {
        let refused = hue.post(BULK, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(pointer.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    let deep = format!(
        "{{\"mode\":\"each\",\"items\":[{}{}]}}",
        "[".repeat(300),
        "]".repeat(300)
    );
    assert!(matches!(
        hue.post_raw(BULK, "application/json", deep.as_bytes()).status,
        400 | 422
    ));
    let twice = br#"{"mode":"each","items":[{"operation":"file","operation":"file","body":{}}]}"#;
    let refused = hue.post_raw(BULK, "application/json", twice).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/items/0/operation".to_owned(), "duplicate".to_owned())]
    );
    let within =
        br#"{"mode":"each","items":[{"operation":"file","body":{"subject":"a","subject":"b","body":"c"}}]}"#;
    let reply = hue.post_raw(BULK, "application/json", within).expect(200).body;
    assert_eq!(
        reply["results"][0]["problem"]["errors"][0]["pointer"],
        "/items/0/body/subject"
    );
    hue.post_raw(BULK, "text/plain", b"x").expect(415);
    hue.get(BULK).expect(405);
    assert_eq!(app.footprint(), before);
}

#[test]
fn a_bulk_request_has_a_limit_of_its_own() {
    let mut settings = Overrides::default();
    settings.bulk.max_bulk_bytes = Some(2 << 20);
    let app = TestApp::start_with(&settings);
    let hue = app.organisation("H57");
    let mut body = question();
    body["body"] = json!("x".repeat(20_000));
    let items = |count| request("each", vec![json!({ "operation": "file", "body": body }); count]);
    // More than another request may have, less than this one.
    let reply = hue.post(BULK, &items(60)).expect(200).body;
    assert_eq!(statuses(&reply), [201; 60]);
    assert_eq!(
        hue.post(BULK, &items(120)).expect(413).problem(),
        "body-too-large"
    );
    assert_eq!(app.rows_in("tickets"), 60);
}

#[test]
fn however_many_items_are_wrong_a_request_is_looked_at_again_as_often_as_one_body() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let mut body = question();
    for number in 0..45 {
        body[format!("member_{number}")] = json!("x".repeat(440));
    }
    let before = app.footprint();
    let items = vec![json!({ "operation": "file", "body": body }); 200];
    let reply = hue.post(BULK, &request("each", items)).expect(200).body;
    assert_eq!(statuses(&reply), [422; 200]);
    let told: Vec<usize> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["problem"]["errors"].as_array().unwrap().len())
        .collect();
    // Each look at a body finds one wrong member more: the first of an item costs none.
    let (looks, most) = (told.iter().sum::<usize>() - told.len(), 40 * (64 << 10));
    assert!(looks * 20_000 <= most, "{looks} looks");
    assert_eq!((told[0], told[199]), (41, 1));
    assert_eq!(app.footprint(), before);
}

#[test]
fn a_thousand_items_are_done_in_their_order_while_others_go_on() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let filings = vec![json!({ "operation": "file", "body": question() }); 500];
    let filed = hue.post(BULK, &request("each", filings)).expect(200).body;
    let results = filed["results"].as_array().unwrap();
    let numbers: Vec<&str> = results
        .iter()
        .map(|result| result["body"]["number"].as_str().unwrap())
        .collect();
    assert!(
        numbers.is_sorted_by(|one, next| one < next),
        "filed in their order: {numbers:?}"
    );
    // Of each ticket first the claim, then the release: the other way round both would fail.
    let items: Vec<Value> = results
        .iter()
        .flat_map(|result| ["claim", "release"].map(|operation| on(operation, &result["body"], json!({}))))
        .collect();
    // Odd while a bulk request is under way; once more of them where the others did not get their turn in time.
    let (bulks, served) = (AtomicUsize::new(0), AtomicBool::new(false));
    at_once(2, |number| match number {
        0 => {
            let _last = Ending(&bulks);
            wait_for("others to be served while a thousand items are done", || {
                bulks.fetch_add(1, Ordering::SeqCst);
                let reply = sup.post(BULK, &request("each", items.clone())).expect(200).body;
                bulks.fetch_add(1, Ordering::SeqCst);
                assert_eq!(statuses(&reply), [200; 1000]);
                served.load(Ordering::SeqCst).then_some(())
            });
        }
        _ => {
            let (mut of, mut others) = (0, 0);
            while others <= 3 && bulks.load(Ordering::SeqCst) < Ending::OF_ALL {
                let before = bulks.load(Ordering::SeqCst);
                hue.post("/api/v1/tickets", &question()).expect(201);
                if before % 2 == 1 && bulks.load(Ordering::SeqCst) == before {
                    others = if of == before { others + 1 } else { 1 };
                    of = before;
                }
            }
            served.store(others > 3, Ordering::SeqCst);
        }
    });
}

/// Says that no further bulk request comes, also where the thread that sends them panics.
struct Ending<'a>(&'a AtomicUsize);

impl Ending<'_> {
    const OF_ALL: usize = usize::MAX / 2;
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(Self::OF_ALL, Ordering::SeqCst);
    }
}

#[test]
fn two_servers_with_the_same_items_do_them_once() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let tickets: Vec<Value> = (0..20).map(|_| file(&hue)).collect();
    let claims: Vec<Value> = tickets
        .iter()
        .map(|ticket| on("claim", ticket, json!({})))
        .collect();
    let mut backwards = claims.clone();
    backwards.reverse();
    // In opposite orders, all or none: one takes them all, nobody waits for ever.
    let agents = [sup.clone(), app.admin().on(&other.url)];
    let orders = [claims, backwards];
    let replies: Vec<Reply> = at_once(2, |number| {
        agents[number].post(BULK, &request("all", orders[number].clone()))
    });
    let done: Vec<u64> = replies
        .iter()
        .map(|reply| reply.body["succeeded"].as_u64().unwrap())
        .collect();
    assert!(done == [20, 0] || done == [0, 20], "{done:?}");
    // The same request on both, with keys.
    let items: Vec<Value> = (0..30)
        .map(|n| json!({ "operation": "file", "idempotency_key": format!("k{n}"), "body": question() }))
        .collect();
    let servers = [app.url.clone(), other.url.clone()];
    let whole = hue.with("Idempotency-Key", "whole");
    for mode in ["each", "all"] {
        let before = app.rows_in("tickets");
        let items: Vec<Value> = items
            .iter()
            .map(|item| {
                let mut item = item.clone();
                item["idempotency_key"] =
                    json!(format!("{mode}-{}", item["idempotency_key"].as_str().unwrap()));
                item
            })
            .collect();
        let caller = whole.with("Idempotency-Key", mode);
        let replies = at_once(4, |number| {
            let caller = hue.on(&servers[number % 2]).with("Idempotency-Key", mode);
            caller.post(BULK, &request(mode, items.clone()))
        });
        assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 409)));
        assert_eq!(app.rows_in("tickets"), before + 30, "{mode}");
        drop(caller);
        let again = hue
            .with("Idempotency-Key", mode)
            .post(BULK, &request(mode, items.clone()))
            .expect(200)
            .body;
        assert_eq!(statuses(&again), [201; 30]);
        assert_eq!(app.rows_in("tickets"), before + 30, "{mode}");
    }
}

#[track_caller]
fn assert_in_progress(twin: &Reply) {
    assert_eq!((twin.status, twin.header("retry-after")), (409, Some("1")));
    assert_eq!(twin.problem(), "request-in-progress");
}

#[test]
fn the_key_of_the_whole_belongs_to_one_request_from_its_first_item_on() {
    let app = TestApp::start();
    let hue = app.organisation("H57").with("Idempotency-Key", "whole");
    let items = |count: usize| vec![json!({ "operation": "file", "body": question() }); count];
    let (body, other) = (request("each", items(1000)), request("each", items(2)));
    let replies = at_once(3, |number| {
        if number < 2 {
            return hue.post(BULK, &body);
        }
        wait_for("the first questions", || {
            (app.rows_in("tickets") > 10).then_some(())
        });
        hue.post(BULK, &other)
    });
    assert_eq!(replies[2].clone().expect(422).problem(), "idempotency-key-reused");
    let is_replay = |reply: &Reply| reply.header("idempotency-replayed").is_some();
    let (done, twin) = match replies[0].status == 200 && !is_replay(&replies[0]) {
        true => (&replies[0], &replies[1]),
        false => (&replies[1], &replies[0]),
    };
    assert_eq!(statuses(&done.clone().expect(200).body), [201; 1000]);
    // A twin that came while it ran is told so; one that came late, on a busy machine, is given its answer.
    match is_replay(twin) {
        true => assert_eq!((twin.status, &twin.text), (200, &done.text)),
        false => assert_in_progress(twin),
    }
    // As it stands while the items are carried out.
    let running = "status = 0, running_until = '2019-11-22T09:30:15.000000Z'";
    app.sql(&format!(
        "UPDATE idempotency_records SET {running} WHERE key = 'whole'"
    ));
    assert_in_progress(&hue.post(BULK, &body));
    let ended = "status = 200, running_until = NULL";
    app.sql(&format!(
        "UPDATE idempotency_records SET {ended} WHERE key = 'whole'"
    ));
    let again = hue.post(BULK, &body).expect(200);
    assert_eq!(
        (again.header("idempotency-replayed"), &again.text),
        (Some("true"), &done.text)
    );
    assert_eq!(app.rows_in("tickets"), 1000);
    // Two others at once, of which only one is carried out.
    let racing = app.organisation("H26").with("Idempotency-Key", "race");
    let replies = at_once(2, |number| racing.post(BULK, &request("each", items(5 + number))));
    let done: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(done.len(), 1, "{replies:?}");
    let filed = done[0].body["results"].as_array().unwrap().len();
    assert_eq!(app.rows_in("tickets"), 1000 + i64::try_from(filed).unwrap());
}

#[test]
fn what_was_left_behind_is_taken_over_when_its_time_is_up() {
    let app = TestApp::start();
    let hue = app.organisation("H57").with("Idempotency-Key", "whole");
    let item = json!({ "operation": "file", "body": question() });
    let body = request("each", vec![item.clone(), item.clone()]);
    let first = hue.post(BULK, &body).expect(200);
    // As if the server had died before the last step, with one item done.
    app.sql("UPDATE idempotency_records SET status = 0, body = '', running_until = '2019-11-22T09:30:15.000000Z' WHERE key = 'whole'");
    hue.post(BULK, &body).expect(409);
    app.at("2019-11-22T16:30:15+07:00");
    hue.post(BULK, &request("each", vec![item])).expect(422);
    let again = hue.post(BULK, &body).expect(200);
    assert_eq!(again.header("idempotency-replayed"), None);
    assert_eq!(
        (
            &again.body["results"][0]["replayed"],
            again.body["succeeded"].as_u64()
        ),
        (&json!(true), Some(2))
    );
    assert_eq!(again.body["results"][1]["body"], first.body["results"][1]["body"]);
    assert_eq!(app.rows_in("tickets"), 2);
    let kept = hue.post(BULK, &body).expect(200);
    assert_eq!(
        (kept.header("idempotency-replayed"), &kept.text),
        (Some("true"), &again.text)
    );
}

#[test]
fn of_two_items_that_depend_on_each_other_the_first_comes_first() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    for _ in 0..10 {
        let file = crate::attachments::sent(&hue, "a.pdf", crate::attachments::PDF);
        let mut body = question();
        body["attachments"] = json!([file]);
        let items = vec![json!({ "operation": "file", "body": body }); 2];
        let reply = hue.post(BULK, &request("each", items)).expect(200).body;
        assert_eq!(statuses(&reply), [201, 422]);
    }
}

#[test]
fn a_bulk_request_whose_server_is_killed_is_safe_to_repeat() {
    let app = TestApp::start_with(&Overrides {
        mail_transport: Some("folder".into()),
        ..Overrides::default()
    });
    let hue = app.organisation("H57");
    let count = || app.read(|conn| Ok(tickets::table.count().get_result::<i64>(conn)?));
    let serve = || ServerProcess::start(&app.database.url, &app.app.config.storage);
    for (round, own_keys) in [true, false].into_iter().enumerate() {
        let before = count();
        let items: Vec<Value> = (0..400)
            .map(|n| {
                let mut item = json!({ "operation": "file", "body": question() });
                if own_keys {
                    item["idempotency_key"] = json!(format!("{round}-{n}"));
                }
                item
            })
            .collect();
        let body = request("each", items);
        let standstill = app.stand_still_at(before + 200, "tickets", "id > 0");
        let server = Mutex::new(serve());
        let url = server.lock().unwrap().url.clone();
        let caller = match own_keys {
            true => hue.clone(),
            false => hue.with("Idempotency-Key", &format!("whole-{round}")),
        };
        at_once(2, |number| match number {
            0 => drop(caller.on(&url).try_post(BULK, &body)),
            _ => {
                wait_for("the first questions", || (count() > before + 50).then_some(()));
                server.lock().unwrap().kill();
            }
        });
        standstill.release();
        let done = count() - before;
        assert!((1..400).contains(&done), "{done}");
        let server = serve();
        let caller = caller.on(&server.url);
        if !own_keys {
            // Nobody knows yet that the runner is gone; the key is this request's all the same.
            let early = caller.post(BULK, &body);
            assert!(early.status == 200 || early.problem() == "request-in-progress");
            let other = request("each", vec![json!({ "operation": "file", "body": question() })]);
            let refused = caller.post(BULK, &other).expect(422);
            assert_eq!(refused.problem(), "idempotency-key-reused");
        }
        let again = wait_for("the request to be taken over", || {
            let reply = caller.post(BULK, &body);
            (reply.status != 409).then_some(reply)
        });
        let again = again.expect(200).body;
        assert_eq!(statuses(&again), [201; 400]);
        assert_eq!(count(), before + 400);
        let replayed = again["results"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|result| result["replayed"] == true);
        assert!(i64::try_from(replayed.count()).unwrap() >= done);
    }
}
