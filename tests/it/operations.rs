//! The lifecycle over the API: every operation in every state, its clocks, its history, its versions.
use serde_json::{Value, json};

use crate::support::desk::{clock, events, kinds, path_of};
use crate::support::{Client, TestApp, file};

const STATES: [&str; 6] = ["queued", "assigned", "waiting", "resolved", "closed", "cancelled"];

/// Each operation with a body and the states in which it is possible.
fn operations() -> Vec<(&'static str, Value, &'static [&'static str])> {
    let reason = json!({ "reason": "Có lý do." });
    vec![
        ("claim", json!({}), &["queued"]),
        (
            "assign",
            json!({ "assignee": "hung@centre.example" }),
            &["queued", "assigned", "waiting"],
        ),
        ("release", json!({}), &["assigned"]),
        (
            "transfer",
            json!({ "queue": "security", "reason": "x" }),
            &["queued", "assigned"],
        ),
        ("wait", json!({ "message": "Đề nghị bổ sung." }), &["assigned"]),
        ("resume", json!({}), &["waiting"]),
        (
            "resolve",
            json!({ "outcome": "answered", "message": "Trả lời." }),
            &["assigned"],
        ),
        ("close", json!({}), &["resolved"]),
        ("reopen", reason.clone(), &["resolved", "closed"]),
        ("cancel", reason, &["queued", "assigned", "waiting"]),
    ]
}

/// A new ticket of this organisation, brought to a state by this person of the centre.
fn ticket_in(state: &str, organisation: &Client, staff: &Client) -> String {
    let path = path_of(&file(organisation));
    let step = |name: &str, body: Value| staff.post(&format!("{path}/{name}"), &body).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    if state != "queued" {
        step("claim", json!({}));
    }
    match state {
        "waiting" => drop(step("wait", json!({ "message": "Đề nghị bổ sung." }))),
        "resolved" => drop(step("resolve", answer)),
        "closed" => {
            step("resolve", answer);
            step("close", json!({}));
        }
        "cancelled" => drop(step("cancel", json!({ "reason": "Trùng." }))),
        _ => {}
    }
    path
}

#[test]
fn every_operation_in_every_state_is_done_or_refused_with_what_is_possible() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    app.agent("hung", &["technology"]);
    for state in STATES {
        let possible: Vec<&str> = operations()
            .into_iter()
            .filter(|(_, _, from)| from.contains(&state))
            .map(|(name, _, _)| name)
            .collect();
        for (name, body, from) in operations() {
            let path = ticket_in(state, &hue, &sup);
            let before = (sup.get(&path).expect(200), events(&sup, &path));
            assert_eq!(before.0.body["state"], state);
            assert_eq!(before.0.body["possible_operations"], json!(possible), "{state}");
            let reply = sup.post(&format!("{path}/{name}"), &body);
            if from.contains(&state) {
                assert_eq!(reply.status, 200, "{name} in {state}: {}", reply.text);
                assert_eq!(sup.get(&path).expect(200).text, reply.text, "{name} in {state}");
                continue;
            }
            assert_eq!(
                (reply.status, reply.problem()),
                (409, "wrong-transition"),
                "{name} in {state}"
            );
            assert_eq!(
                reply.body["possible_operations"],
                json!(possible),
                "{name} in {state}"
            );
            let after = (sup.get(&path).expect(200), events(&sup, &path));
            assert_eq!(
                (before.0.text, before.1),
                (after.0.text, after.1),
                "{name} in {state} left a trace"
            );
        }
    }
}

#[test]
fn a_message_is_possible_while_the_ticket_is_not_over() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    for (state, by_asker, by_staff) in [
        ("queued", Some("queued"), Some("queued")),
        ("assigned", Some("assigned"), Some("assigned")),
        ("waiting", Some("assigned"), Some("waiting")),
        ("resolved", Some("assigned"), Some("resolved")),
        ("closed", None, None),
        ("cancelled", None, None),
    ] {
        for (caller, expected) in [(&hue, by_asker), (&sup, by_staff)] {
            let path = ticket_in(state, &hue, &sup);
            let said = caller.post(&format!("{path}/messages"), &json!({ "body": "Ý kiến." }));
            match expected {
                Some(then) => {
                    said.expect(201);
                    assert_eq!(sup.get(&path).expect(200).body["state"], then, "{state}");
                }
                None => {
                    assert_eq!(
                        (said.status, said.problem()),
                        (409, "wrong-transition"),
                        "{state}"
                    );
                }
            }
        }
        let path = ticket_in(state, &hue, &sup);
        sup.post(&format!("{path}/notes"), &json!({ "body": "Ghi chú." }))
            .expect(201);
        assert_eq!(
            sup.get(&path).expect(200).body["state"],
            state,
            "a note moves nothing"
        );
    }
}

#[test]
fn a_ticket_waits_as_often_as_it_must_and_only_working_time_out_of_the_waits_counts() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    // Friday 16:30; due at the end of the fifth working day after it.
    let path = path_of(&file(&hue));
    app.at("2019-11-25T08:00:00+07:00");
    lan.call(&format!("{path}/claim")).expect(200);
    let wait = || {
        lan.post(&format!("{path}/wait"), &json!({ "message": "?" }))
            .expect(200)
            .body
    };
    let resume = || {
        lan.post(&format!("{path}/resume"), &json!({ "reason": "Đã rõ." }))
            .expect(200)
            .body
    };

    // First wait: Monday 09:00 to 11:00 is two business hours.
    app.at("2019-11-25T09:00:00+07:00");
    let waiting = wait();
    let left = clock(&waiting, "resolution")["remaining_business_seconds"]
        .as_i64()
        .unwrap();
    app.at("2019-11-25T10:59:59+07:00");
    let still = lan.get(&path).expect(200).body;
    assert_eq!(
        clock(&still, "resolution")["remaining_business_seconds"],
        left,
        "a paused clock stands"
    );
    app.at("2019-11-25T11:00:00+07:00");
    let running = resume();
    assert_eq!(clock(&running, "resolution")["remaining_business_seconds"], left);
    // Two business hours after Friday's close: Monday 10:00.
    assert_eq!(clock(&running, "resolution")["due_at"], "2019-12-02T03:00:00Z");
    // Second wait: Tuesday 17:00 to Wednesday 08:30 is one business hour.
    app.at("2019-11-26T17:00:00+07:00");
    wait();
    app.at("2019-11-27T08:30:00+07:00");
    assert_eq!(clock(&resume(), "resolution")["due_at"], "2019-12-02T04:00:00Z");
    // A wait over a weekend costs nothing but the hours that were worked.
    app.at("2019-11-29T17:30:00+07:00");
    wait();
    app.at("2019-12-02T08:00:00+07:00");
    let back = resume();
    assert_eq!(clock(&back, "resolution")["due_at"], "2019-12-02T04:00:00Z");
    assert_eq!(clock(&back, "resolution")["remaining_business_seconds"], 3 * 3600);
    // Met to the second.
    app.at("2019-12-02T11:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    let resolved = lan.post(&format!("{path}/resolve"), &answer).expect(200).body;
    assert_eq!(clock(&resolved, "resolution")["state"], "met");
    assert_eq!(clock(&resolved, "resolution")["remaining_business_seconds"], 0);
}

#[test]
fn what_colleagues_tell_each_other_does_not_reach_the_asker() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = ticket_in("waiting", &hue, &lan);
    let step = |name: &str, body: Value| lan.post(&format!("{path}/{name}"), &body).expect(200);
    step("resume", json!({ "reason": "Họ không trả lời." }));
    step("wait", json!({ "message": "?" }));
    hue.post(&format!("{path}/messages"), &json!({ "body": "H57.14" }))
        .expect(201);
    step("release", json!({ "reason": "Nghỉ phép từ ngày mai." }));
    let reasons = |reader: &Client| -> Vec<(Value, Value)> {
        events(reader, &path)
            .into_iter()
            .filter(|event| event["kind"] == "ticket_resumed" || event["kind"] == "ticket_released")
            .map(|event| (event["kind"].clone(), event["data"].clone()))
            .collect()
    };
    let (resumed, released) = (json!("ticket_resumed"), json!("ticket_released"));
    assert_eq!(
        reasons(&lan),
        [
            (resumed.clone(), json!({ "reason": "Họ không trả lời." })),
            (resumed.clone(), json!({ "reason": "requester_replied" })),
            (released.clone(), json!({ "reason": "Nghỉ phép từ ngày mai." })),
        ]
    );
    assert_eq!(
        reasons(&hue),
        [
            (resumed.clone(), json!({})),
            (resumed, json!({ "reason": "requester_replied" })),
            (released, json!({})),
        ]
    );
}

#[test]
fn a_ticket_that_waits_can_change_its_agent_and_be_withdrawn() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let lan = app.agent("lan", &["technology"]);
    let hung = app.agent("hung", &["technology"]);
    let path = ticket_in("waiting", &hue, &lan);
    app.at("2019-11-26T09:00:00+07:00");
    let before = sup.get(&path).expect(200).body;
    let given = sup
        .post(
            &format!("{path}/assign"),
            &json!({ "assignee": "hung@centre.example" }),
        )
        .expect(200)
        .body;
    assert_eq!(
        (&given["state"], &given["assignee"]["name"]),
        (&json!("waiting"), &json!("Hung"))
    );
    assert_eq!(given["clocks"], before["clocks"], "the pause goes on");
    assert_eq!(clock(&given, "resolution")["state"], "paused");
    // Filed and paused on Friday 16:30; only Hùng goes on with it now.
    lan.call(&format!("{path}/resume")).expect(403);
    app.at("2019-11-27T09:00:00+07:00");
    let back = hung.call(&format!("{path}/resume")).expect(200).body;
    assert_eq!(back["state"], "assigned");
    assert_eq!(
        clock(&back, "resolution")["remaining_business_seconds"],
        clock(&before, "resolution")["remaining_business_seconds"]
    );

    let path = ticket_in("waiting", &hue, &lan);
    let reason = json!({ "reason": "Đã tự tìm ra." });
    let withdrawn = hue.post(&format!("{path}/cancel"), &reason).expect(200).body;
    assert_eq!(withdrawn["state"], "cancelled");
    assert_eq!(clock(&withdrawn, "resolution")["state"], "stopped");
}

#[test]
fn an_answer_one_second_late_is_a_breach_at_the_due() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-11-25T16:30:01+07:00");
    lan.post(&format!("{path}/messages"), &json!({ "body": "Đang xem." }))
        .expect(201);
    let ticket = lan.get(&path).expect(200).body;
    let first = clock(&ticket, "first_response");
    assert_eq!(
        (&first["state"], &first["breached_at"]),
        (&json!("breached"), &json!("2019-11-25T09:30:00Z"))
    );
    assert_eq!(ticket["first_response_at"], "2019-11-25T09:30:01Z");
    let breach = events(&lan, &path)
        .into_iter()
        .find(|event| event["kind"] == "clock_breached")
        .unwrap();
    assert_eq!(breach["at"], "2019-11-25T09:30:00Z");
    assert_eq!(breach["actor"]["kind"], "system");
    assert_eq!(breach["data"]["target"], "first_response");
}

#[test]
fn a_transfer_keeps_what_was_consumed() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = file(&hue);
    let path = path_of(&ticket);
    app.at("2019-11-25T08:00:00+07:00");
    let claimed = lan.call(&format!("{path}/claim")).expect(200).body;
    app.at("2019-11-25T10:00:00+07:00");
    let body = json!({ "queue": "security", "reason": "Thuộc an toàn thông tin." });
    let moved = lan.post(&format!("{path}/transfer"), &body).expect(200).body;
    assert_eq!(
        (&moved["state"], &moved["assignee"]),
        (&json!("queued"), &Value::Null)
    );
    assert_eq!(moved["queue"]["code"], "security");
    for target in ["first_response", "resolution"] {
        assert_eq!(clock(&moved, target)["due_at"], clock(&ticket, target)["due_at"]);
        let left = |ticket: &Value| {
            clock(ticket, target)["remaining_business_seconds"]
                .as_i64()
                .unwrap()
        };
        assert_eq!(left(&claimed) - left(&moved), 2 * 3600, "{target}");
    }
    // Lan neither works the queue nor holds the ticket any more.
    lan.get(&path).expect(404);
    for (reader, data) in [
        (&hue, json!({ "from": "technology", "to": "security" })),
        (
            &app.supervisor(),
            json!({ "from": "technology", "to": "security", "reason": "Thuộc an toàn thông tin." }),
        ),
    ] {
        let event = events(reader, &path).pop().unwrap();
        assert_eq!(
            (&event["kind"], &event["data"]),
            (&json!("ticket_transferred"), &data)
        );
    }
}

#[test]
fn a_resolution_says_what_became_of_the_question() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    for (outcome, referred_to) in [
        ("answered", None),
        ("referred", Some("Bộ Công an")),
        ("raised", None),
    ] {
        let path = ticket_in("assigned", &hue, &sup);
        let mut body = json!({ "outcome": outcome, "message": "Nội dung." });
        if let Some(agency) = referred_to {
            body["referred_to"] = json!(agency);
        }
        let resolved = sup.post(&format!("{path}/resolve"), &body).expect(200).body;
        assert_eq!(resolved["outcome"], outcome);
        assert_eq!(resolved["referred_to"], json!(referred_to));
        assert_eq!(resolved["resolved_at"], "2019-11-22T09:30:00Z");
        // Five business days after Friday 22 November, at closing time.
        assert_eq!(resolved["closes_at"], "2019-11-29T10:30:00Z");
        assert_eq!(clock(&resolved, "first_response")["state"], "met");
        assert_eq!(clock(&resolved, "resolution")["state"], "met");
        let said = hue.get(&format!("{path}/messages")).expect(200).body;
        assert_eq!(said["items"][0]["body"], "Nội dung.");
        let event = events(&hue, &path).pop().unwrap();
        assert_eq!(event["data"]["outcome"], outcome);
        assert_eq!(event["data"]["referred_to"], json!(referred_to));
        assert_eq!(event["data"]["message_id"], said["items"][0]["id"]);
    }
}

#[test]
fn a_cancelled_tickets_clocks_stop_without_a_verdict() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    app.at("2019-11-25T09:00:00+07:00");
    let reason = json!({ "reason": "Đã tự tìm ra." });
    let cancelled = hue.post(&format!("{path}/cancel"), &reason).expect(200).body;
    assert_eq!(cancelled["state"], "cancelled");
    for target in ["first_response", "resolution"] {
        let stopped = clock(&cancelled, target);
        assert_eq!(stopped["state"], "stopped");
        assert_eq!(
            (&stopped["met_at"], &stopped["breached_at"]),
            (&Value::Null, &Value::Null)
        );
    }
    let event = events(&hue, &path).pop().unwrap();
    assert_eq!(event["data"], json!({ "by": "asker", "reason": "Đã tự tìm ra." }));

    // A breach that has come true stays one, also where nobody noticed it before the cancellation.
    let late = path_of(&file(&hue));
    app.at("2019-11-27T09:00:00+07:00");
    lan.call(&format!("{late}/claim")).expect(200);
    let cancelled = lan.post(&format!("{late}/cancel"), &reason).expect(200).body;
    assert_eq!(clock(&cancelled, "first_response")["state"], "breached");
    assert_eq!(clock(&cancelled, "resolution")["state"], "stopped");
    assert_eq!(events(&hue, &late).pop().unwrap()["data"]["by"], "centre");
    app.at("2020-01-10T09:00:00+07:00").settle();
    assert_eq!(
        clock(&hue.get(&path).expect(200).body, "resolution")["state"],
        "stopped"
    );
}

#[test]
fn a_reopened_ticket_goes_to_its_agent_if_still_there_and_keeps_its_first_verdict() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = ticket_in("resolved", &hue, &lan);
    app.at("2019-11-26T09:00:00+07:00");
    let reason = json!({ "reason": "Chưa rõ." });
    let reopened = hue.post(&format!("{path}/reopen"), &reason).expect(200).body;
    assert_eq!(
        (&reopened["state"], &reopened["assignee"]["name"]),
        (&json!("assigned"), &json!("Lan"))
    );
    for member in ["outcome", "referred_to", "resolved_at", "closed_at", "closes_at"] {
        assert_eq!(reopened[member], Value::Null, "{member}");
    }
    let resolutions: Vec<&Value> = reopened["clocks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|clock| clock["target"] == "resolution")
        .collect();
    assert_eq!(resolutions.len(), 2);
    assert_eq!(
        (&resolutions[0]["state"], &resolutions[0]["cycle"]),
        (&json!("met"), &json!(1))
    );
    assert_eq!(
        (&resolutions[1]["state"], &resolutions[1]["cycle"]),
        (&json!("running"), &json!(2))
    );
    assert_eq!(clock(&reopened, "first_response")["state"], "met");

    // The second answer comes too late: the second verdict, not the first.
    app.at("2020-01-10T09:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    let again = lan.post(&format!("{path}/resolve"), &answer).expect(200).body;
    let states: Vec<&Value> = again["clocks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|clock| clock["target"] == "resolution")
        .map(|clock| &clock["state"])
        .collect();
    assert_eq!(states, ["met", "breached"]);

    app.sql("UPDATE users SET active = false WHERE email = 'lan@centre.example'");
    let orphan = hue.post(&format!("{path}/reopen"), &reason).expect(200).body;
    assert_eq!(
        (&orphan["state"], &orphan["assignee"]),
        (&json!("queued"), &Value::Null)
    );
}

#[test]
fn an_askers_message_on_a_resolved_ticket_reopens_it() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = ticket_in("resolved", &hue, &lan);
    hue.post(&format!("{path}/messages"), &json!({ "body": "Còn vướng." }))
        .expect(201);
    assert_eq!(lan.get(&path).expect(200).body["state"], "assigned");
    assert_eq!(
        kinds(&hue, &path),
        [
            "ticket_filed",
            "ticket_claimed",
            "ticket_resolved",
            "message_posted",
            "ticket_reopened"
        ]
    );
    // Reopened, it does not close by itself at the time that was set before.
    app.at("2019-12-20T09:00:00+07:00").settle();
    assert_eq!(lan.get(&path).expect(200).body["state"], "assigned");
}

#[test]
fn assigning_releasing_and_claiming_are_recorded_with_who_and_why() {
    let app = TestApp::start();
    let (hue, sup, lan) = (
        app.organisation("H57"),
        app.supervisor(),
        app.agent("lan", &["technology"]),
    );
    let hung = app.agent("hung", &["policy"]);
    let path = path_of(&file(&hue));
    let id = lan.get("/api/v1/me").expect(200).body["id"].clone();
    let assigned = sup
        .post(&format!("{path}/assign"), &json!({ "assignee": id }))
        .expect(200)
        .body;
    assert_eq!(assigned["assignee"], json!({ "id": id, "name": "Lan" }));
    let release = json!({ "reason": "Nghỉ phép." });
    let released = lan.post(&format!("{path}/release"), &release).expect(200).body;
    assert_eq!(
        (&released["state"], &released["assignee"]),
        (&json!("queued"), &Value::Null)
    );
    // By address, to somebody of another queue: from now on Hùng sees it.
    hung.get(&path).expect(404);
    sup.post(
        &format!("{path}/assign"),
        &json!({ "assignee": "HUNG@centre.example" }),
    )
    .expect(200);
    hung.get(&path).expect(200);
    let all = events(&sup, &path);
    let actors: Vec<(&Value, &Value)> = all.iter().map(|e| (&e["kind"], &e["actor"]["name"])).collect();
    assert_eq!(
        actors,
        [
            (&json!("ticket_filed"), &json!("LGSP")),
            (&json!("ticket_assigned"), &json!("Sup")),
            (&json!("ticket_released"), &json!("Lan")),
            (&json!("ticket_assigned"), &json!("Sup")),
        ]
    );
    assert_eq!(all[1]["data"]["assignee"]["id"], id);
    assert_eq!(all[2]["data"]["reason"], "Nghỉ phép.");
}

#[test]
fn a_stale_version_is_refused_and_the_present_one_passes() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let filed = hue
        .post("/api/v1/tickets", &crate::support::question())
        .expect(201);
    let path = path_of(&filed.body);
    let first = filed.header("etag").unwrap().to_owned();
    assert_eq!(hue.get(&path).expect(200).header("etag"), Some(first.as_str()));
    let claimed = sup
        .with("If-Match", &first)
        .call(&format!("{path}/claim"))
        .expect(200);
    let second = claimed.header("etag").unwrap().to_owned();
    assert_ne!(first, second);
    let release = format!("{path}/release");
    let before = app.footprint();
    let weak = format!("W/{second}");
    for stale in [first.as_str(), "\"99\"", "\"abc\"", weak.as_str()] {
        let refused = sup.with("If-Match", stale).call(&release).expect(412);
        assert_eq!(refused.problem(), "precondition-failed", "{stale}");
    }
    assert_eq!(app.footprint(), before);
    sup.with("If-Match", &format!("\"77\", {second}"))
        .call(&release)
        .expect(200);
    sup.with("If-Match", "*")
        .call(&format!("{path}/claim"))
        .expect(200);
    // Each change makes a new tag; a note and a message are changes too.
    let mut seen = vec![first, second];
    for (what, body) in [
        ("notes", json!({ "body": "a" })),
        ("messages", json!({ "body": "b" })),
    ] {
        sup.post(&format!("{path}/{what}"), &body).expect(201);
        let tag = sup.get(&path).expect(200).header("etag").unwrap().to_owned();
        assert!(!seen.contains(&tag), "{what}");
        seen.push(tag);
    }
}

#[test]
fn an_unchanged_ticket_is_not_sent_again() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let path = path_of(&file(&hue));
    let tag = hue.get(&path).expect(200).header("etag").unwrap().to_owned();
    let weak = format!("W/{tag}");
    let several = format!("\"x\", {tag}");
    for known in [tag.as_str(), "*", weak.as_str(), several.as_str()] {
        let same = hue.with("If-None-Match", known).get(&path).expect(304);
        assert_eq!(
            (same.header("etag"), same.text.as_str()),
            (Some(tag.as_str()), ""),
            "{known}"
        );
    }
    hue.with("If-None-Match", "\"x\"").get(&path).expect(200);
    hue.post(&format!("{path}/messages"), &json!({ "body": "Bổ sung." }))
        .expect(201);
    hue.with("If-None-Match", &tag).get(&path).expect(200);
}
