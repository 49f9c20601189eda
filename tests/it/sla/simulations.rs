//! Simulated clocks, held to those of real tickets.
use serde_json::{Value, json};

use super::{SIMULATE, assert_consistent, clock_of, clocks, file_at, policy};
use crate::support::TestApp;
use crate::support::desk::path_of;

/// What a real ticket says and what the simulation says of the same, clock by clock.
#[track_caller]
fn assert_simulated(simulated: &Value, sla: &Value) {
    assert_eq!(clocks(simulated).len(), clocks(sla).len(), "{simulated}\n{sla}");
    for (simulated, real) in clocks(simulated).iter().zip(clocks(sla)) {
        for member in [
            "target",
            "cycle",
            "state",
            "amount",
            "started_at",
            "due_at",
            "breached_at",
            "met_at",
            "stopped_at",
            "consumed_business_seconds",
            "paused_business_seconds",
            "remaining_business_seconds",
            "target_business_seconds",
        ] {
            assert_eq!(simulated[member], real[member], "{member}\n{simulated}\n{real}");
        }
        assert_eq!(simulated["warnings"], real["thresholds"]);
    }
}

/// Does what the steps say to a ticket with this tag, and asks the simulation for the same after each.
fn compare(app: &TestApp, tag: &str, filed_as: &str, steps: &[(&str, &str)]) {
    let (hue, lan) = (
        app.organisation("H57"),
        app.agent(&format!("lan-{tag}-{filed_as}-{}", steps.len()), &["technology"]),
    );
    let filed_at = "2019-04-26T16:30:07+07:00";
    let ticket = file_at(app, &hue, filed_at, |body| {
        body["tags"] = json!([tag]);
        body["priority"] = json!(filed_as);
    });
    let path = path_of(&ticket);
    let mut changes = Vec::new();
    for (at, event) in steps {
        app.at(at);
        let (event, priority) = match event.split_once(' ') {
            Some((event, priority)) => (event, Some(priority)),
            None => (*event, None),
        };
        match event {
            "reply" => hue
                .post(&format!("{path}/messages"), &json!({ "body": "Thêm." }))
                .expect(201),
            "answer" => lan
                .post(&format!("{path}/messages"), &json!({ "body": "Đang làm." }))
                .expect(201),
            "wait" => lan
                .post(&format!("{path}/wait"), &json!({ "message": "Bổ sung?" }))
                .expect(200),
            "resolve" => {
                let answer = json!({ "outcome": "answered", "message": "Trả lời." });
                lan.post(&format!("{path}/resolve"), &answer).expect(200)
            }
            "reopen" => hue
                .post(&format!("{path}/reopen"), &json!({ "reason": "Chưa rõ." }))
                .expect(200),
            "cancel" => hue
                .post(&format!("{path}/cancel"), &json!({ "reason": "Thôi." }))
                .expect(200),
            "priority" => lan.patch(&path, &json!({ "priority": priority })).expect(200),
            other => lan.call(&format!("{path}/{other}")).expect(200),
        };
        // The latest first: the order of the request does not matter.
        let mut change = json!({ "at": at, "event": event });
        if let Some(priority) = priority {
            change["priority"] = json!(priority);
        }
        changes.insert(0, change);
        let scenario = json!({ "filed_at": filed_at, "topic": "NGSP", "priority": filed_as, "tags": [tag],
            "changes": changes });
        let simulated = hue.post(SIMULATE, &scenario).expect(200).body;
        let real = hue.get(&format!("{path}/sla")).expect(200).body;
        assert_simulated(&simulated, &real);
        let shown = hue.get(&path).expect(200).body;
        for member in ["state", "priority", "closes_at"] {
            assert_eq!(simulated[member], shown[member], "{member} after {event}");
        }
        assert_eq!(simulated["queue"], shown["queue"]["code"]);
        assert_consistent(&hue, &path);
    }
    // And later, when nobody has noticed what has come true.
    app.at("2019-05-20T10:00:00+07:00");
    let later = json!({ "filed_at": filed_at, "topic": "NGSP", "priority": filed_as, "tags": [tag], "changes": changes,
        "as_of": "2019-05-20T10:00:00+07:00" });
    let simulated = hue.post(SIMULATE, &later).expect(200).body;
    assert_simulated(&simulated, &hue.get(&format!("{path}/sla")).expect(200).body);
}

#[test]
fn a_simulation_says_what_a_real_ticket_says() {
    let app = TestApp::start();
    app.at("2019-01-02T08:00:00+07:00");
    for rule in ["continue", "restart", "new_cycle"] {
        policy(&app, rule, "vn-government", |spec| spec["reopen"] = json!(rule));
    }
    for rule in ["continue", "restart", "new_cycle"] {
        let steps = [
            ("2019-04-26T17:00:00+07:00", "claim"),
            ("2019-05-02T09:12:33+07:00", "wait"),
            ("2019-05-03T10:00:01+07:00", "reply"),
            ("2019-05-03T10:30:00+07:00", "answer"),
            ("2019-05-03T11:30:00+07:00", "resolve"),
            ("2019-05-04T08:30:00+07:00", "reopen"),
            ("2019-05-06T09:00:00+07:00", "wait"),
            ("2019-05-07T09:00:00+07:00", "resume"),
            ("2019-05-08T09:00:00+07:00", "resolve"),
            ("2019-05-09T09:00:00+07:00", "reply"),
        ];
        compare(&app, rule, "normal", &steps);
        compare(&app, rule, "urgent", &steps);
    }
    compare(
        &app,
        "continue",
        "high",
        &[
            ("2019-04-26T17:00:00+07:00", "claim"),
            ("2019-05-02T09:00:00+07:00", "release"),
            ("2019-05-02T10:00:00+07:00", "reply"),
            ("2019-05-02T11:00:00+07:00", "cancel"),
        ],
    );
    // At high nothing is promised of the answers: their clocks stop, and start where the asker waits; at low nothing is.
    for rule in ["continue", "restart", "new_cycle"] {
        let steps = [
            ("2019-04-26T17:00:00+07:00", "claim"),
            ("2019-05-02T09:12:33+07:00", "answer"),
            ("2019-05-02T09:30:00+07:00", "priority high"),
            ("2019-05-02T10:00:00+07:00", "reply"),
            ("2019-05-02T10:20:00+07:00", "priority urgent"),
            ("2019-05-02T10:25:00+07:00", "wait"),
            ("2019-05-03T09:00:00+07:00", "priority normal"),
            ("2019-05-03T10:00:00+07:00", "reply"),
            ("2019-05-03T10:30:00+07:00", "resolve"),
            ("2019-05-03T14:00:00+07:00", "priority high"),
            ("2019-05-04T08:30:00+07:00", "reopen"),
            ("2019-05-04T09:30:00+07:00", "priority normal"),
            ("2019-05-06T09:00:00+07:00", "resolve"),
        ];
        compare(&app, rule, "normal", &steps);
        compare(&app, rule, "high", &steps);
    }
    let before = app.footprint();
    let hue = app.organisation("H57");
    hue.post(SIMULATE, &json!({ "filed_at": "2031-01-01T00:00:00Z" }))
        .expect(200);
    assert_eq!(app.footprint(), before, "nothing is written");
}

#[test]
fn a_simulation_may_name_its_policy_and_calendar_and_move_the_priority() {
    let app = TestApp::start();
    policy(&app, "quick", "vn-government", |_| {});
    let sup = app.supervisor();
    let mut scenario = json!({
        "filed_at": "2019-11-25T08:00:00+07:00", "organisation": "H57", "policy": "quick", "calendar": "vn-government",
        "changes": [{ "at": "2019-11-25T09:00:00+07:00", "event": "priority", "priority": "urgent" },
            { "at": "2019-11-25T09:30:00+07:00", "event": "wait" }],
        "as_of": "2019-11-25T11:00:00+07:00",
    });
    let simulated = sup.post(SIMULATE, &scenario).expect(200).body;
    assert_eq!(simulated["policy"], json!({ "code": "quick", "version": 1 }));
    let first = clock_of(&simulated, "first_response", 1);
    // 60 minutes were used up at 09:00 already; the answer at 09:30 was late.
    assert_eq!(
        (
            &first["state"],
            &first["breached_at"],
            &first["consumed_business_seconds"]
        ),
        (&json!("breached"), &json!("2019-11-25T02:00:00Z"), &json!(5400))
    );
    let resolution = clock_of(&simulated, "resolution", 1);
    assert_eq!(
        (&resolution["state"], &resolution["amount"]),
        (&json!("paused"), &json!({ "calendar_days": 3 }))
    );
    scenario["changes"] =
        json!([{ "at": "2019-11-25T09:00:00+07:00", "event": "priority", "priority": "low" }]);
    let lowered = sup.post(SIMULATE, &scenario).expect(200).body;
    scenario["changes"] = json!([]);
    let kept = sup.post(SIMULATE, &scenario).expect(200).body;
    assert_eq!(
        clocks(&lowered),
        clocks(&kept),
        "nothing is promised at low: what was stays"
    );
    // Whoever reopens makes a difference: only the asker waits for an answer again.
    for (by, count) in [("asker", 3), ("centre", 2)] {
        scenario["changes"] = json!([
            { "at": "2019-11-26T09:00:00+07:00", "event": "resolve" },
            { "at": "2019-11-26T10:00:00+07:00", "event": "reopen", "by": by },
        ]);
        scenario["as_of"] = json!("2019-11-26T11:00:00+07:00");
        let reopened = sup.post(SIMULATE, &scenario).expect(200).body;
        assert_eq!(clocks(&reopened).len(), count + 1, "{by}: {reopened}");
    }
}

#[test]
fn a_simulation_refuses_what_could_not_happen() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let at = "2019-11-25T08:00:00+07:00";
    let change = |event: &str| json!({ "at": "2019-11-25T09:00:00+07:00", "event": event });
    let with = |member: &str, value: Value| {
        let mut body = json!({ "filed_at": at });
        body[member] = value;
        body
    };
    let cases = [
        (
            with("changes", json!([change("resume")])),
            "/changes/0 impossible_change",
        ),
        (
            with("changes", json!([change("reopen")])),
            "/changes/0 impossible_change",
        ),
        (
            // In the order of time the second comes first, and the wrong one is named by its place.
            with(
                "changes",
                json!([{ "at": "2019-11-25T10:00:00+07:00", "event": "answer" }, change("cancel")]),
            ),
            "/changes/0 impossible_change",
        ),
        (
            with(
                "changes",
                json!([change("resolve"), { "at": "2019-12-20T10:00:00+07:00", "event": "reply" }]),
            ),
            "/changes/1 impossible_change",
        ),
        (
            with("changes", json!([change("priority")])),
            "/changes/0/priority required",
        ),
        (
            with(
                "changes",
                json!([{ "at": at, "event": "claim", "priority": "low" }]),
            ),
            "/changes/0/priority not_allowed",
        ),
        (
            with("changes", json!([{ "at": at, "event": "claim", "by": "asker" }])),
            "/changes/0/by not_allowed",
        ),
        (
            with(
                "changes",
                json!([{ "at": "2019-11-24T08:00:00+07:00", "event": "claim" }]),
            ),
            "/changes/0/at out_of_range",
        ),
        (
            with("changes", json!([change("explode")])),
            "/changes/0/event out_of_range",
        ),
        (
            with("as_of", json!("2019-11-24T08:00:00+07:00")),
            "/as_of out_of_range",
        ),
        (with("organisation", json!("H57")), "/organisation not_allowed"),
        (with("topic", json!("NONE")), "/topic unknown_code"),
        (with("policy", json!("none")), "/policy unknown_code"),
        (with("calendar", json!("none")), "/calendar unknown_code"),
        (
            with("changes", json!(vec![change("answer"); 201])),
            "/changes too_long",
        ),
        (json!({}), "/filed_at required"),
    ];
    for (body, expected) in cases {
        let reply = hue.post(SIMULATE, &body).expect(422);
        let faults: Vec<String> = (reply.field_errors().into_iter())
            .map(|(place, code)| format!("{place} {code}"))
            .collect();
        assert_eq!(faults, [expected], "{body}");
    }
    let nobody = sup.post(SIMULATE, &json!({ "filed_at": at })).expect(422);
    assert_eq!(
        nobody.field_errors(),
        [("/organisation".to_owned(), "required".to_owned())]
    );
    let vi = hue
        .with("Accept-Language", "vi")
        .post(SIMULATE, &with("changes", json!([change("resume")])));
    assert!(vi.text.contains("Không thể xảy ra"), "{}", vi.text);
}
