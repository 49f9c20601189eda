//! Wrong fields of bodies, each named by its pointer.
use serde_json::{Value, json};

use super::{Refusals, TICKETS, assert_refused, faults, with, with_requester, without};
use crate::support::desk::path_of;
use crate::support::{Client, TestApp, file, question};

#[test]
fn a_wrong_field_of_a_question_is_named_with_what_is_wrong_with_it() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let members = |count: usize| -> Value { (0..count).map(|n| (format!("f{n}"), json!(n))).collect() };
    let tags = |count: usize| -> Value { (0..count).map(|n| json!(format!("t{n}"))).collect() };
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({}), &["/body required", "/subject required"]),
        (without("body"), &["/body required"]),
        (with("colour", json!("red")), &["/colour unknown_field"]),
        (with("a/b~c", json!(1)), &["/a~1b~0c unknown_field"]),
        (with_requester("age", json!(7)), &["/requester/age unknown_field"]),
        (json!(null), &[" wrong_type"]),
        (json!([]), &[" wrong_type"]),
        (json!(["Tiêu đề", "Nội dung"]), &[" wrong_type"]),
        (json!("text"), &[" wrong_type"]),
        (json!(7), &[" wrong_type"]),
        (with("subject", json!(7)), &["/subject wrong_type"]),
        (with("subject", json!(null)), &["/subject wrong_type"]),
        (with("subject", json!(["x"])), &["/subject wrong_type"]),
        (with("body", json!({})), &["/body wrong_type"]),
        (with("body", json!(null)), &["/body wrong_type"]),
        (with("requester", json!("Lan")), &["/requester wrong_type"]),
        (
            with("requester", json!(["Lan", null, null, null])),
            &["/requester wrong_type"],
        ),
        (with("requester", json!({})), &["/requester/name required"]),
        (
            with_requester("name", json!(null)),
            &["/requester/name wrong_type"],
        ),
        (
            with_requester("language", json!(7)),
            &["/requester/language wrong_type"],
        ),
        (
            with_requester("language", json!("fr")),
            &["/requester/language out_of_range"],
        ),
        (with("tags", json!(null)), &["/tags wrong_type"]),
        (with("tags", json!("a")), &["/tags wrong_type"]),
        (with("tags", json!(["a", 7])), &["/tags/1 wrong_type"]),
        (with("custom_fields", json!(null)), &["/custom_fields wrong_type"]),
        (with("custom_fields", json!([])), &["/custom_fields wrong_type"]),
        (with("priority", json!("critical")), &["/priority out_of_range"]),
        (with("priority", json!(1)), &["/priority wrong_type"]),
        (with("channel", json!("fax")), &["/channel out_of_range"]),
        (
            with("attachments", json!(["x"])),
            &["/attachments/0 invalid_format"],
        ),
        // Sizes, one beyond the bound.
        (with("subject", json!("")), &["/subject too_short"]),
        (with("subject", json!(" \u{3000} ")), &["/subject too_short"]),
        (with("subject", json!("đ".repeat(301))), &["/subject too_long"]),
        (with("body", json!("\r\n")), &["/body too_short"]),
        (with("body", json!("ệ".repeat(20_001))), &["/body too_long"]),
        (with("external_ref", json!("")), &["/external_ref too_short"]),
        (
            with("external_ref", json!("1".repeat(101))),
            &["/external_ref too_long"],
        ),
        (with_requester("name", json!("")), &["/requester/name too_short"]),
        (
            with_requester("name", json!("n".repeat(201))),
            &["/requester/name too_long"],
        ),
        (
            with_requester("unit", json!("n".repeat(201))),
            &["/requester/unit too_long"],
        ),
        (
            with_requester("phone", json!("1".repeat(51))),
            &["/requester/phone too_long"],
        ),
        (
            with_requester("email", json!("lan")),
            &["/requester/email invalid_format"],
        ),
        (
            with_requester("email", json!("lan@")),
            &["/requester/email invalid_format"],
        ),
        (
            with_requester("email", json!("lan@hu\u{200B}e.example")),
            &["/requester/email invalid_format"],
        ),
        (
            with_requester("email", json!("a b@c.vn")),
            &["/requester/email invalid_format"],
        ),
        (
            with_requester("email", json!("a@c.vn, b@c.vn")),
            &["/requester/email invalid_format"],
        ),
        (
            with_requester("email", json!("Lan <lan@c.vn>")),
            &["/requester/email invalid_format"],
        ),
        (with("tags", tags(21)), &["/tags too_long"]),
        (with("tags", json!(["a", "a"])), &["/tags duplicate"]),
        (with("tags", json!([""])), &["/tags out_of_range"]),
        (with("tags", json!(["x".repeat(51)])), &["/tags out_of_range"]),
        (
            with("custom_fields", members(51)),
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "": 1 })),
            &["/custom_fields/ out_of_range"],
        ),
        (
            with("custom_fields", json!({ "a": null })),
            &["/custom_fields/a wrong_type"],
        ),
        (
            with("custom_fields", json!({ "a": [1] })),
            &["/custom_fields/a wrong_type"],
        ),
        (
            with("custom_fields", json!({ "a": { "b": 1 } })),
            &["/custom_fields/a wrong_type"],
        ),
        (
            with("custom_fields", json!({ "a": "x".repeat(1001) })),
            &["/custom_fields/a too_long"],
        ),
        (
            with("custom_fields", json!({ "x".repeat(65): 1 })),
            &[concat!(
                "/custom_fields/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx out_of_range"
            )],
        ),
        // Control characters.
        (with("subject", json!("a\u{0}b")), &["/subject control_character"]),
        (with("subject", json!("a\nb")), &["/subject control_character"]),
        (with("subject", json!("a\tb")), &["/subject control_character"]),
        (with("body", json!("a\u{0}b")), &["/body control_character"]),
        (with("body", json!("a\u{1b}[31mb")), &["/body control_character"]),
        (with("body", json!("a\u{85}b")), &["/body control_character"]),
        (with("topic", json!("NG\u{0}SP")), &["/topic control_character"]),
        (
            with("external_ref", json!("1\u{7f}")),
            &["/external_ref control_character"],
        ),
        (
            with("tags", json!(["a", "b\u{7}"])),
            &["/tags/1 control_character"],
        ),
        (
            with("custom_fields", json!({ "a": "\u{0}" })),
            &["/custom_fields/a control_character"],
        ),
        (
            with("custom_fields", json!({ "a\u{0}": 1 })),
            &["/custom_fields/a\u{0} control_character"],
        ),
        (
            with("custom_fields", json!({ "a": [], "b": 1, "c/d": null })),
            &["/custom_fields/a wrong_type", "/custom_fields/c~1d wrong_type"],
        ),
        // What shows nothing.
        (with("subject", json!("\u{200B}")), &["/subject too_short"]),
        (with("body", json!(" \u{FEFF}\n\u{2060}")), &["/body too_short"]),
        // All at once.
        (
            json!({ "subject": "", "topic": "nope", "foo": 1 }),
            &["/body required", "/foo unknown_field", "/subject too_short"],
        ),
        // Codes.
        (with("topic", json!("NONE")), &["/topic unknown_code"]),
        (with("topic", json!("ngsp' OR 1=1 --")), &["/topic unknown_code"]),
        (with("organisation", json!("H57")), &["/organisation not_allowed"]),
        (
            with("attachments", json!(["0190f3a2-7c11-7c3e-9b1a-2f5d8e7a7001"])),
            &["/attachments/0 unknown_code"],
        ),
        // Several at once.
        (
            json!({ "subject": "", "body": "", "requester": { "name": "", "email": "x" } }),
            &[
                "/body too_short",
                "/requester/email invalid_format",
                "/requester/name too_short",
                "/subject too_short",
            ],
        ),
    ];
    assert_refused(&app, &hue, TICKETS, cases);
    let admin = app.admin();
    assert_refused(
        &app,
        &admin,
        TICKETS,
        vec![
            (question(), &["/organisation required"]),
            (
                with("organisation", json!("H99")),
                &["/organisation unknown_code"],
            ),
        ],
    );
}

#[test]
fn a_text_of_exactly_the_permitted_size_is_accepted() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let address = format!(
        "{}@{}.vn",
        "a".repeat(64),
        ["b".repeat(62), "c".repeat(62), "d".repeat(59)].join(".")
    );
    let accepted = [
        with("subject", json!("ệ".repeat(300))),
        with("subject", json!("x")),
        with("body", json!("ệ".repeat(20_000))),
        with("external_ref", json!("1".repeat(100))),
        with_requester("name", json!("n".repeat(200))),
        with_requester("phone", json!("1".repeat(50))),
        with_requester("email", json!(address)),
        with("tags", json!(["x".repeat(50)])),
        with("tags", (0..20).map(|n| json!(format!("t{n}"))).collect()),
        with("custom_fields", json!({ "x".repeat(64): "y".repeat(1000) })),
        with(
            "custom_fields",
            (0..50).map(|n| (format!("f{n}"), json!(n))).collect(),
        ),
        // Decomposed, it has twice the characters; it is measured as it is stored.
        with("subject", json!("e\u{301}".repeat(300))),
        // Surrounding blanks are not part of a text.
        with("subject", json!(format!("  {}  ", "x".repeat(300)))),
        json!({ "subject": "a", "body": "b" }),
    ];
    for body in accepted {
        let reply = hue.post(TICKETS, &body);
        assert_eq!(reply.status, 201, "{} for {:.200}", reply.text, body.to_string());
    }
}

#[test]
fn text_is_stored_in_nfc_whatever_form_it_came_in() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let (decomposed, composed) = ("Kê\u{301}t nô\u{301}i Hue\u{302}\u{301}", "Kết nối Huế");
    let body = json!({
        "subject": decomposed,
        "body": format!("{decomposed}\r\n{decomposed}"),
        "requester": { "name": decomposed, "unit": decomposed },
        "external_ref": decomposed,
        "tags": [decomposed],
        "custom_fields": { decomposed: decomposed },
    });
    let ticket = hue.post(TICKETS, &body).expect(201).body;
    let read = hue.get(&path_of(&ticket)).expect(200).body;
    assert_eq!(read["subject"], composed);
    assert_eq!(read["body"], format!("{composed}\n{composed}"));
    assert_eq!(read["requester"]["name"], composed);
    assert_eq!(read["requester"]["unit"], composed);
    assert_eq!(read["external_ref"], composed);
    assert_eq!(read["tags"], json!([composed]));
    assert_eq!(read["custom_fields"], json!({ composed: composed }));
    let found = hue.get("/api/v1/tickets?external_ref=K%C3%AA%CC%81t%20n%C3%B4%CC%81i%20Hue%CC%82%CC%81");
    assert_eq!(found.expect(200).body["items"].as_array().unwrap().len(), 1);
    let said = hue.post(
        &format!("{}/messages", path_of(&ticket)),
        &json!({ "body": decomposed }),
    );
    assert_eq!(said.expect(201).body["body"], composed);
    let twice = with("tags", json!([decomposed, composed]));
    assert_eq!(
        faults(&hue.post(TICKETS, &twice).expect(422)),
        ["/tags duplicate"]
    );
}

#[test]
fn the_operations_name_their_wrong_fields() {
    let app = TestApp::start();
    let (hue, sup, lan) = (
        app.organisation("H57"),
        app.supervisor(),
        app.agent("lan", &["technology"]),
    );
    app.auditor();
    app.agent("gone", &["technology"]);
    app.sql("UPDATE users SET active = false WHERE email = 'gone@centre.example'");
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    let long = |n: usize| json!("x".repeat(n));
    let cases: Vec<(&Client, &str, Refusals)> = vec![
        (
            &sup,
            "assign",
            vec![
                (json!({}), &["/assignee required"]),
                (json!({ "assignee": "" }), &["/assignee too_short"]),
                (json!({ "assignee": null }), &["/assignee wrong_type"]),
                (
                    json!({ "assignee": "nobody@centre.example" }),
                    &["/assignee unknown_code"],
                ),
                (
                    json!({ "assignee": "gone@centre.example" }),
                    &["/assignee unknown_code"],
                ),
                (
                    json!({ "assignee": "0190f3a2-7c11-7c3e-9b1a-2f5d8e7a7001" }),
                    &["/assignee unknown_code"],
                ),
                (
                    json!({ "assignee": "auditor@centre.example" }),
                    &["/assignee not_allowed"],
                ),
                (
                    json!({ "assignee": "lan@centre.example", "queue": "x" }),
                    &["/queue unknown_field"],
                ),
            ],
        ),
        (
            &lan,
            "transfer",
            vec![
                (
                    json!({ "queue": "none", "reason": "x" }),
                    &["/queue unknown_code"],
                ),
                (
                    json!({ "queue": "technology", "reason": "x" }),
                    &["/queue not_allowed"],
                ),
                (json!({ "queue": "security" }), &["/reason required"]),
                (
                    json!({ "queue": "security", "reason": " " }),
                    &["/reason too_short"],
                ),
                (
                    json!({ "queue": "security", "reason": long(1001) }),
                    &["/reason too_long"],
                ),
            ],
        ),
        (
            &lan,
            "release",
            vec![(json!({ "reason": long(1001) }), &["/reason too_long"])],
        ),
        (&lan, "claim", vec![(json!({ "x": 1 }), &["/x unknown_field"])]),
        (
            &lan,
            "wait",
            vec![
                (json!({}), &["/message required"]),
                (json!({ "message": long(20_001) }), &["/message too_long"]),
                (json!({ "message": "a\u{0}" }), &["/message control_character"]),
            ],
        ),
        (
            &lan,
            "resolve",
            vec![
                (json!({ "message": "x" }), &["/outcome required"]),
                (
                    json!({ "outcome": "solved", "message": "x" }),
                    &["/outcome out_of_range"],
                ),
                (
                    json!({ "outcome": "answered", "message": "" }),
                    &["/message too_short"],
                ),
                (
                    json!({ "outcome": "referred", "message": "x" }),
                    &["/referred_to required"],
                ),
                (
                    json!({ "outcome": "answered", "message": "x", "referred_to": "G22" }),
                    &["/referred_to not_allowed"],
                ),
                (
                    json!({ "outcome": "referred", "message": "x", "referred_to": long(201) }),
                    &["/referred_to too_long"],
                ),
            ],
        ),
        (
            &lan,
            "cancel",
            vec![
                (json!({}), &["/reason required"]),
                (json!({ "reason": "" }), &["/reason too_short"]),
            ],
        ),
        (&lan, "reopen", vec![(json!({}), &["/reason required"])]),
        (
            &lan,
            "messages",
            vec![
                (json!({}), &["/body required"]),
                (json!({ "body": "\u{7}" }), &["/body control_character"]),
            ],
        ),
        (
            &lan,
            "notes",
            vec![(json!({ "body": long(20_001) }), &["/body too_long"])],
        ),
    ];
    for (caller, operation, bodies) in cases {
        assert_refused(&app, caller, &format!("{path}/{operation}"), bodies);
    }
}

#[test]
fn the_calendar_questions_name_their_wrong_fields() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let from = "2019-11-22T16:30:00+07:00";
    let due = |member: &str, value: Value| {
        let mut body = json!({ "from": from, "business_seconds": 60, "pauses": [] });
        body[member] = value;
        body
    };
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({ "business_seconds": 60 }), &["/from required"]),
        (json!({ "from": from }), &["/business_seconds required"]),
        (
            due("from", json!("2019-11-22T16:30:00")),
            &["/from invalid_format"],
        ),
        (due("from", json!("2019-11-22")), &["/from invalid_format"]),
        (due("from", json!("22/11/2019 16:30")), &["/from invalid_format"]),
        (
            due("from", json!("2019-02-30T00:00:00Z")),
            &["/from invalid_format"],
        ),
        (
            due("from", json!("2019-13-01T00:00:00Z")),
            &["/from invalid_format"],
        ),
        (
            due("from", json!("2019-11-22T25:00:00Z")),
            &["/from invalid_format"],
        ),
        (
            due("from", json!("+12019-11-22T05:00:00Z")),
            &["/from invalid_format"],
        ),
        (due("from", json!(1_574_415_000)), &["/from wrong_type"]),
        (
            due("business_seconds", json!(-1)),
            &["/business_seconds out_of_range"],
        ),
        (
            due("business_seconds", json!(315_619_201)),
            &["/business_seconds out_of_range"],
        ),
        (
            due("business_seconds", json!(315_619_200)),
            &["/business_seconds out_of_range"],
        ),
        (
            due("business_seconds", json!(1.5)),
            &["/business_seconds wrong_type"],
        ),
        (
            due("business_seconds", json!("60")),
            &["/business_seconds wrong_type"],
        ),
        (
            due("business_seconds", json!(u64::MAX)),
            &["/business_seconds out_of_range"],
        ),
        (
            due("business_seconds", json!(1e30)),
            &["/business_seconds wrong_type"],
        ),
        (due("pauses", json!(null)), &["/pauses wrong_type"]),
        (due("pauses", json!([[from]])), &["/pauses/0 out_of_range"]),
        (
            due("pauses", json!([[from, from, from]])),
            &["/pauses/0 out_of_range"],
        ),
        (
            due("pauses", json!([[from, "x"]])),
            &["/pauses/0/1 invalid_format"],
        ),
        (
            due("pauses", json!([[from, "2019-11-22T16:29:59+07:00"]])),
            &["/pauses/0 out_of_range"],
        ),
        (
            due("pauses", vec![json!([from, from]); 1001].into()),
            &["/pauses too_long"],
        ),
        (due("pause", json!([])), &["/pause unknown_field"]),
    ];
    assert_refused(&app, &hue, "/api/v1/calendars/vn-government/due", cases);
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({ "from": from }), &["/to required"]),
        (
            json!({ "from": from, "to": "2019-11-25" }),
            &["/to invalid_format"],
        ),
        (
            json!({ "from": from, "to": "2200-01-01T00:00:00Z" }),
            &["/to out_of_range"],
        ),
        (
            json!({ "from": "1900-01-01T00:00:00+00:01", "to": from }),
            &["/from out_of_range"],
        ),
        (
            json!({ "from": "0000-01-01T00:00:00+23:59", "to": "9999-12-31T23:59:59-23:59" }),
            &["/from out_of_range", "/to out_of_range"],
        ),
        (
            json!({ "from": from, "to": from, "pauses": [[from, "9999-12-31T23:59:59Z"]] }),
            &["/pauses/0/1 out_of_range"],
        ),
    ];
    assert_refused(&app, &hue, "/api/v1/calendars/vn-government/elapsed", cases);
    let far = json!({ "from": "1900-01-01T00:00:00Z", "to": "2199-12-31T23:59:59Z" });
    hue.post("/api/v1/calendars/vn-government/elapsed", &far)
        .expect(200);
}

#[test]
fn a_number_beyond_all_bounds_hides_no_other_fault() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let before = app.footprint();
    let body = r#"{
        "custom_fields": { "far": 1e400, "text": "\\\"1e400", "list": [-2E+999], "good": 1e300, "wrong": null },
        "subject": 9e999, "colour": "red", "tags": [1, "\\\\", 1e999]
    }"#;
    let refused = hue
        .send("POST", TICKETS, Some("application/json"), Some(body.as_bytes()))
        .expect(422);
    let mut named: Vec<String> = refused
        .field_errors()
        .into_iter()
        .map(|(place, code)| format!("{place} {code}"))
        .collect();
    named.sort();
    assert_eq!(
        named,
        [
            "/body required",
            "/colour unknown_field",
            "/custom_fields/far out_of_range",
            "/custom_fields/list/0 out_of_range",
            "/custom_fields/wrong wrong_type",
            "/subject out_of_range",
            "/tags/0 wrong_type",
            "/tags/2 out_of_range",
        ],
        "{}",
        refused.text
    );
    assert_eq!(app.footprint(), before);
}
