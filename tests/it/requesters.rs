//! Persons who ask: kept over the API, seen by whom their organisation's tickets are seen, and erased for good.
use serde_json::{Value, json};

use crate::support::desk::{path_of, without_request_id};
use crate::support::{Client, TestApp, file, question};

const REQUESTERS: &str = "/api/v1/requesters";

fn items(caller: &Client, query: &str) -> Vec<Value> {
    let page = caller.get(&format!("{REQUESTERS}?{query}")).expect(200).body;
    page["items"].as_array().unwrap().clone()
}

fn path(person: &Value) -> String {
    format!("{REQUESTERS}/{}", person["id"].as_str().unwrap())
}

#[test]
fn a_person_is_added_found_and_changed_under_their_version() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let new =
        json!({ "name": "Nguyễn Thị Hòa", "email": "Hoa@Hue.example", "unit": "Văn phòng", "phone": "0234" });
    let made = hue.post(REQUESTERS, &new).expect(201);
    assert_eq!(made.body["email"], "hoa@hue.example");
    assert_eq!(made.body["organisation"]["code"], "H57");
    let own = made.header("location").unwrap().to_owned();
    let shown = lan.get(&own).expect(200);
    assert_eq!((&shown.body, shown.version()), (&made.body, 1));
    lan.with("If-None-Match", shown.header("etag").unwrap())
        .get(&own)
        .expect(304);
    let twice = hue.post(REQUESTERS, &new).expect(422);
    assert_eq!(
        twice.field_errors(),
        [("/email".to_owned(), "duplicate".to_owned())]
    );
    // Another organisation may know a person of this address too.
    app.organisation("H26").post(REQUESTERS, &new).expect(201);

    for query in [
        "q=hoa",
        "q=van%20phong",
        "email=HOA@hue.example",
        "organisation=H57",
    ] {
        assert_eq!(items(&hue, query).len(), 1, "{query}");
    }
    assert_eq!(items(&lan, "q=hoa").len(), 2);
    assert_eq!(items(&lan, "q=hoa&organisation=000.00.00.H57").len(), 1);

    hue.patch(&own, &json!({ "unit": null })).expect(428);
    hue.with("If-Match", "\"7\"")
        .patch(&own, &json!({ "unit": null }))
        .expect(412);
    let changed = hue
        .with("If-Match", "\"1\"")
        .patch(&own, &json!({ "unit": null, "name": "Hoà", "language": "en" }))
        .expect(200);
    assert_eq!(
        (&changed.body["unit"], &changed.body["phone"]),
        (&Value::Null, &json!("0234"))
    );
    assert_eq!(changed.version(), 2);
    assert_eq!(items(&hue, "q=van%20phong").len(), 0);
    // A question that says something else of a known person is a change too.
    let mut asked = question();
    asked["requester"] = json!({ "name": "Hoà", "email": "hoa@hue.example", "unit": "Sở" });
    hue.post("/api/v1/tickets", &asked).expect(201);
    assert_eq!(hue.get(&own).expect(200).version(), 3);
    assert_eq!(items(&hue, "q=so").len(), 1);
    let stale = hue
        .with("If-Match", "\"2\"")
        .patch(&own, &json!({ "name": "x" }))
        .expect(412);
    assert_eq!(stale.problem(), "precondition-failed");
    let other = hue
        .post(REQUESTERS, &json!({ "name": "An", "email": "an@hue.example" }))
        .expect(201)
        .body;
    let taken = hue
        .with("If-Match", "*")
        .patch(&path(&other), &json!({ "email": "hoa@hue.example" }))
        .expect(422);
    assert_eq!(
        taken.field_errors(),
        [("/email".to_owned(), "duplicate".to_owned())]
    );
}

#[test]
fn what_is_wrong_with_a_person_is_named() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let before = app.footprint();
    for (caller, body, place, code) in [
        (&hue, json!({}), "/name", "required"),
        (
            &hue,
            json!({ "name": "x", "organisation": "H26" }),
            "/organisation",
            "not_allowed",
        ),
        (
            &hue,
            json!({ "name": "x", "email": "x" }),
            "/email",
            "invalid_format",
        ),
        (
            &hue,
            json!({ "name": "x", "cccd": "1" }),
            "/cccd",
            "unknown_field",
        ),
        (&sup, json!({ "name": "x" }), "/organisation", "required"),
        (
            &sup,
            json!({ "name": "x", "organisation": "H99" }),
            "/organisation",
            "unknown_code",
        ),
    ] {
        let refused = caller.post(REQUESTERS, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(place.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    assert_eq!(app.footprint(), before);
}

#[test]
fn a_foreign_person_cannot_be_told_from_nobody() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    file(&hue);
    let person = items(&hue, "")[0].clone();
    let foreign = app.organisation("H26");
    let nobody = format!("{REQUESTERS}/00000000-0000-7000-8000-000000000000");
    for header in [("If-Match", "*"), ("If-Match", "\"9\""), ("If-None-Match", "*")] {
        let caller = foreign.with(header.0, header.1);
        let (there, nowhere) = (caller.get(&path(&person)), caller.get(&nobody));
        assert_eq!(without_request_id(&there.body), without_request_id(&nowhere.body));
        assert_eq!((there.status, there.header("etag")), (404, None));
        if header.0 == "If-Match" {
            let body = json!({ "name": "x" });
            let (there, nowhere) = (caller.patch(&path(&person), &body), caller.patch(&nobody, &body));
            assert_eq!(
                (there.status, without_request_id(&there.body)),
                (404, without_request_id(&nowhere.body))
            );
        }
    }
    for query in ["", "organisation=H57", "email=lan@hue.example", "q=lan"] {
        assert_eq!(items(&foreign, query), Vec::<Value>::new(), "{query}");
    }
}

#[test]
fn who_is_made_anonymous_is_erased_and_gets_no_more_mail() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let first = file(&hue);
    app.settle();
    app.smtp.wait_for(1);
    let second = file(&hue);
    let person = items(&sup, "email=lan@hue.example")[0].clone();
    let erase = format!("{}/anonymise", path(&person));
    let body = json!({ "reason": "Theo yêu cầu của người hỏi" });
    hue.post(&erase, &body).expect(403);
    app.agent("lan", &["technology"]).post(&erase, &body).expect(403);
    sup.with("If-Match", "\"9\"").post(&erase, &body).expect(412);
    let erased = sup.post(&erase, &body).expect(200).body;
    assert_eq!(erased["withdrawn_deliveries"], 1);
    let left = &erased["requester"];
    assert_eq!(
        (&left["email"], &left["unit"], &left["phone"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(left["anonymise_reason"], "Theo yêu cầu của người hỏi");
    let seen = hue.get(&path(&person)).expect(200).body;
    assert_eq!(
        (&seen["id"], &seen["anonymise_reason"]),
        (&person["id"], &Value::Null)
    );
    assert!(seen["anonymised_at"].is_string());

    // Neither the ticket nor what was written about it names them any more, and nothing leaves.
    let number = second["number"].as_str().unwrap();
    let waiting = sup
        .get(&format!("/api/v1/deliveries?ticket={number}"))
        .expect(200);
    let letter = &waiting.body["items"][0];
    assert_eq!(letter["state"], "dead");
    let retried = sup.call(&format!(
        "/api/v1/deliveries/{}/retry",
        letter["id"].as_str().unwrap()
    ));
    assert_eq!(retried.expect(409).problem(), "conflict");
    for reply in [
        waiting,
        sup.get("/api/v1/deliveries").expect(200),
        sup.get(&path_of(&first)).expect(200),
        sup.get(REQUESTERS).expect(200),
    ] {
        assert!(
            !reply.text.contains("lan@hue.example") && !reply.text.contains("Trần Thị Lan"),
            "{}",
            reply.text
        );
    }
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    sup.call(&format!("{}/claim", path_of(&first))).expect(200);
    sup.post(&format!("{}/resolve", path_of(&first)), &answer)
        .expect(200);
    app.settle();
    assert_eq!(app.smtp.wait_for(1).len(), 1);

    let again = sup.post(&erase, &body).expect(409);
    assert_eq!(again.problem(), "conflict");
    hue.with("If-Match", "*")
        .patch(&path(&person), &json!({ "name": "x" }))
        .expect(409);
    // Who asks again is a new person; who is called like an erased one is not that one.
    file(&hue);
    assert_ne!(items(&sup, "email=lan@hue.example")[0]["id"], person["id"]);
    let mut asked = question();
    asked["requester"] = json!({ "name": left["name"] });
    hue.post("/api/v1/tickets", &asked).expect(201);
    assert_eq!(items(&sup, "").len(), 3);
}

#[test]
fn who_has_been_erased_is_nobody_where_their_question_is_moved() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let question = path_of(&file(&hue));
    let person = items(&sup, "email=lan@hue.example")[0].clone();
    let reason = json!({ "reason": "Theo yêu cầu" });
    sup.post(&format!("{}/anonymise", path(&person)), &reason)
        .expect(200);
    let moved = sup
        .patch(&question, &json!({ "organisation": "H26" }))
        .expect(200);
    assert_eq!(moved.body["requester"], Value::Null);
    assert_eq!(items(&sup, "organisation=H26"), Vec::<Value>::new());
}

#[test]
fn who_asks_for_two_organisations_is_erased_in_one_and_written_to_by_the_other() {
    let app = TestApp::start();
    let sup = app.supervisor();
    let there = app.organisation("H26");
    file(&app.organisation("H57"));
    let other = file(&there);
    let person = items(&sup, "organisation=H57&email=lan@hue.example")[0].clone();
    let reason = json!({ "reason": "Theo yêu cầu" });
    let erased = sup
        .post(&format!("{}/anonymise", path(&person)), &reason)
        .expect(200);
    assert_eq!(erased.body["withdrawn_deliveries"], 1);
    app.settle();
    app.smtp.wait_for(1);
    let number = other["number"].as_str().unwrap();
    let letters = sup
        .get(&format!("/api/v1/deliveries?ticket={number}"))
        .expect(200);
    assert_eq!(letters.body["items"][0]["state"], "sent");
    assert_eq!(items(&there, "")[0]["email"], "lan@hue.example");
}
