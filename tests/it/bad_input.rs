//! Bad input is a problem that names what is wrong, and nothing of it is written.
use giaidap::identity::Scope;
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::desk::path_of;
use crate::support::{Client, TestApp, file, question};

const TICKETS: &str = "/api/v1/tickets";

/// Bodies with `place code` of each wrong field.
type Refusals<'a> = Vec<(Value, &'a [&'a str])>;

/// Bytes and their media type, with the status, the problem and the wrong fields of the answer.
type Unreadable<'a> = (Vec<u8>, &'a str, u16, &'a str, &'a [&'a str]);

/// `place code` of each wrong field.
fn faults(reply: &Reply) -> Vec<String> {
    let mut faults: Vec<String> = reply
        .field_errors()
        .into_iter()
        .map(|(place, code)| format!("{place} {code}"))
        .collect();
    faults.sort();
    faults
}

/// Post each body and expect exactly these faults, and no row more than before.
#[track_caller]
fn assert_refused(app: &TestApp, caller: &Client, path: &str, cases: Refusals) {
    let before = app.footprint();
    let mut wrong = Vec::new();
    for (body, expected) in cases {
        let reply = caller.post(path, &body);
        let shown: String = body.to_string().chars().take(120).collect();
        if reply.status != 422 || reply.problem() != "invalid-input" || faults(&reply) != expected {
            let got = faults(&reply);
            wrong.push(format!(
                "{path} {shown}\n    {} {got:?} instead of {expected:?}",
                reply.status
            ));
        }
        for error in reply.body["errors"].as_array().into_iter().flatten() {
            assert!(!error["detail"].as_str().unwrap().is_empty());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(app.footprint(), before, "something was written");
}

fn with(member: &str, value: Value) -> Value {
    let mut body = question();
    body[member] = value;
    body
}

fn with_requester(member: &str, value: Value) -> Value {
    let mut body = question();
    body["requester"][member] = value;
    body
}

fn without(member: &str) -> Value {
    let mut body = question();
    body.as_object_mut().unwrap().remove(member);
    body
}

#[test]
fn a_wrong_field_of_a_question_is_named_with_what_is_wrong_with_it() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let members = |count: usize| -> Value { (0..count).map(|n| (format!("f{n}"), json!(n))).collect() };
    let tags = |count: usize| -> Value { (0..count).map(|n| json!(format!("t{n}"))).collect() };
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({}), &["/subject required"]),
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
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "a": null })),
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "a": [1] })),
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "a": { "b": 1 } })),
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "a": "x".repeat(1001) })),
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "x".repeat(65): 1 })),
            &["/custom_fields out_of_range"],
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
            &["/custom_fields out_of_range"],
        ),
        (
            with("custom_fields", json!({ "a\u{0}": 1 })),
            &["/custom_fields out_of_range"],
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
fn a_body_that_cannot_be_read_is_refused_whole() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let nested = |depth: usize| {
        format!(
            r#"{{"subject":"a","body":"b","custom_fields":{{"a":{}1{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    let json = "application/json";
    let cases: Vec<Unreadable> = vec![
        (b"{".to_vec(), json, 400, "malformed-request", &[]),
        (b"   ".to_vec(), json, 400, "malformed-request", &[]),
        (b"nonsense".to_vec(), json, 400, "malformed-request", &[]),
        (
            br#"{"subject":"a","body":"b"} x"#.to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            br#"{"subject":"a","body":"b"}{}"#.to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            br#"{"subject":"a","body":"b",}"#.to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            br#"{'subject':'a','body':'b'}"#.to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            b"\xef\xbb\xbf{\"subject\":\"a\",\"body\":\"b\"}".to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            b"{\"subject\":\"a\xff\",\"body\":\"b\"}".to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            b"{\"subject\":\"\xed\xa0\x80\",\"body\":\"b\"}".to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (
            br#"{"subject":"\ud800","body":"b"}"#.to_vec(),
            json,
            400,
            "malformed-request",
            &[],
        ),
        (nested(100_000).into_bytes(), json, 400, "malformed-request", &[]),
        (
            br#"{"subject":"a","body":"b","custom_fields":{"n":1e999}}"#.to_vec(),
            json,
            422,
            "invalid-input",
            &["/custom_fields/n out_of_range"],
        ),
        (
            nested(20).into_bytes(),
            json,
            422,
            "invalid-input",
            &["/custom_fields out_of_range"],
        ),
        (
            br#"{"subject":"a","subject":"b","body":"b"}"#.to_vec(),
            json,
            422,
            "invalid-input",
            &["/subject duplicate"],
        ),
        (
            br#"{"subject":"a","body":"b","requester":{"name":"a","name":"b"}}"#.to_vec(),
            json,
            422,
            "invalid-input",
            &["/requester/name duplicate"],
        ),
        (
            br#"{"subject":"a","body":"b","custom_fields":{"n":1,"n":2}}"#.to_vec(),
            json,
            422,
            "invalid-input",
            &["/custom_fields/n duplicate"],
        ),
        (b"".to_vec(), json, 422, "invalid-input", &["/subject required"]),
        (
            question().to_string().into_bytes(),
            "text/plain",
            415,
            "unsupported-media-type",
            &[],
        ),
        (
            question().to_string().into_bytes(),
            "text/json",
            415,
            "unsupported-media-type",
            &[],
        ),
        (
            b"subject=a&body=b".to_vec(),
            "application/x-www-form-urlencoded",
            415,
            "unsupported-media-type",
            &[],
        ),
        (
            question().to_string().into_bytes(),
            "",
            415,
            "unsupported-media-type",
            &[],
        ),
    ];
    let before = app.footprint();
    for (body, content_type, status, problem, expected) in cases {
        let shown: String = String::from_utf8_lossy(&body).chars().take(80).collect();
        let reply = hue.post_raw(TICKETS, content_type, &body);
        assert_eq!(
            (reply.status, reply.problem()),
            (status, problem),
            "{shown}: {}",
            reply.text
        );
        assert_eq!(faults(&reply), expected, "{shown}");
    }
    let missing = hue
        .send("POST", TICKETS, None, Some(question().to_string().as_bytes()))
        .expect(415);
    assert_eq!(missing.problem(), "unsupported-media-type");
    assert_eq!(app.footprint(), before);
    for accepted in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.giaidap+json",
    ] {
        hue.post_raw(TICKETS, accepted, question().to_string().as_bytes())
            .expect(201);
    }
}

#[test]
fn a_body_of_ten_megabytes_is_refused_and_the_caller_can_go_on() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let before = app.footprint();
    for size in [(1 << 20) + 1, 10_000_000] {
        let huge = with("body", json!("x".repeat(size))).to_string();
        for caller in [&hue, &hue.with("Idempotency-Key", "huge")] {
            let refused = caller
                .post_raw(TICKETS, "application/json", huge.as_bytes())
                .expect(413);
            assert_eq!(refused.problem(), "body-too-large");
            assert!(refused.body["detail"].as_str().unwrap().contains("1048576"));
        }
    }
    assert_eq!(app.footprint(), before);
    // Without a credential nothing is said of the size.
    let huge = "x".repeat(10_000_000);
    app.anonymous()
        .post_raw(TICKETS, "application/json", huge.as_bytes())
        .expect(401);
    file(&hue);
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
            &["/from out_of_range"],
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
fn wrong_query_parameters_are_named() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    for _ in 0..2 {
        file(&hue);
    }
    let cursor = |caller: &Client, path: &str| {
        let page = caller.get(path).expect(200).body;
        page["next_cursor"].as_str().unwrap().to_owned()
    };
    let of_tickets = cursor(&sup, "/api/v1/tickets?limit=1");
    let of_filtered = cursor(&sup, "/api/v1/tickets?limit=1&state=queued");
    let of_topics = cursor(&sup, "/api/v1/topics?limit=1");
    let cases = [
        ("/api/v1/tickets?limit=0".to_owned(), "limit invalid_format"),
        ("/api/v1/tickets?limit=201".into(), "limit invalid_format"),
        ("/api/v1/tickets?limit=-1".into(), "limit invalid_format"),
        ("/api/v1/tickets?limit=x".into(), "limit invalid_format"),
        ("/api/v1/tickets?limit=".into(), "limit invalid_format"),
        ("/api/v1/tickets?limit=1.5".into(), "limit invalid_format"),
        (
            "/api/v1/tickets?limit=99999999999999999999".into(),
            "limit invalid_format",
        ),
        ("/api/v1/tickets?limit=1&limit=2".into(), "limit duplicate"),
        ("/api/v1/tickets?cursor=".into(), "cursor too_short"),
        (
            format!("/api/v1/tickets?cursor={}", "a".repeat(1001)),
            "cursor too_long",
        ),
        (
            format!("/api/v1/deliveries?cursor={}", "a".repeat(1001)),
            "cursor too_long",
        ),
        ("/api/v1/tickets?cursor=rubbish!".into(), "cursor invalid_cursor"),
        (
            format!("/api/v1/tickets?cursor={of_filtered}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/tickets?cursor={of_topics}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/tickets?sort=filed_at&cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/tickets?cursor={of_tickets}x"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/queues?cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/topics?cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/calendars?cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/sla-policies?cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/organisations?cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        (
            format!("/api/v1/deliveries?cursor={of_tickets}"),
            "cursor invalid_cursor",
        ),
        ("/api/v1/tickets?colour=red".into(), "colour unknown_field"),
        ("/api/v1/topics?q=x".into(), "q unknown_field"),
        ("/api/v1/tickets?state=nope".into(), "state unknown_code"),
        ("/api/v1/tickets?state=queued,nope".into(), "state unknown_code"),
        ("/api/v1/tickets?queue=nope".into(), "queue unknown_code"),
        ("/api/v1/tickets?topic=nope".into(), "topic unknown_code"),
        (
            "/api/v1/tickets?organisation=nope".into(),
            "organisation unknown_code",
        ),
        ("/api/v1/tickets?assignee=nope".into(), "assignee unknown_code"),
        (
            "/api/v1/tickets?assignee=0190f3a2-7c11-7c3e-9b1a-2f5d8e7a7001".into(),
            "assignee unknown_code",
        ),
        ("/api/v1/tickets?priority=x".into(), "priority invalid_format"),
        ("/api/v1/tickets?breached=1".into(), "breached invalid_format"),
        (
            "/api/v1/tickets?filed_from=2019-11-22".into(),
            "filed_from invalid_format",
        ),
        (
            "/api/v1/tickets?filed_to=2019-11-22T16:30:00".into(),
            "filed_to invalid_format",
        ),
        (
            "/api/v1/tickets?due_before=2019-02-30T00:00:00Z".into(),
            "due_before invalid_format",
        ),
        ("/api/v1/tickets?sort=subject".into(), "sort invalid_format"),
        ("/api/v1/tickets?queue=a&queue=b".into(), "queue duplicate"),
        (
            "/api/v1/tickets?external_ref=%00".into(),
            "external_ref control_character",
        ),
        (
            "/api/v1/tickets?external_ref=%ff".into(),
            "external_ref invalid_format",
        ),
        ("/api/v1/tickets?queue=%0a".into(), "queue control_character"),
        ("/api/v1/tickets?%zz".into(), "%zz unknown_field"),
        ("/api/v1/tickets?=".into(), " unknown_field"),
        (
            "/api/v1/organisations?active_on=2019-02-30".into(),
            "active_on invalid_format",
        ),
        (
            "/api/v1/organisations?active_on=20191122".into(),
            "active_on invalid_format",
        ),
        ("/api/v1/organisations?kind=village".into(), "kind invalid_format"),
        ("/api/v1/organisations?q=%00".into(), "q control_character"),
        ("/api/v1/organisations?q=".into(), "q too_short"),
        (
            format!("/api/v1/organisations?q={}", "h".repeat(101)),
            "q too_long",
        ),
        ("/api/v1/organisations?q=%20!?".into(), "q invalid_format"),
        ("/api/v1/tickets?external_ref=".into(), "external_ref too_short"),
        (
            format!("/api/v1/tickets?external_ref={}", "1".repeat(101)),
            "external_ref too_long",
        ),
        (
            "/api/v1/organisations?active_on=-9999-01-01".into(),
            "active_on out_of_range",
        ),
        (
            "/api/v1/organisations?active_on=2200-01-01".into(),
            "active_on out_of_range",
        ),
        (
            "/api/v1/tickets?filed_from=1899-12-31T23:59:59Z".into(),
            "filed_from out_of_range",
        ),
        (
            "/api/v1/tickets?due_before=9999-12-31T23:59:59-23:59".into(),
            "due_before out_of_range",
        ),
        (
            "/api/v1/reports/sla?from=-262143-01-01&to=2019-11-20".into(),
            "from out_of_range",
        ),
        (
            "/api/v1/reports/sla?from=1900-01-01&to=2019-11-20".into(),
            "from out_of_range",
        ),
        (
            "/api/v1/reports/sla?from=2019-11-01&to=%2B262142-12-31".into(),
            "to out_of_range",
        ),
        (
            "/api/v1/reports/sla?from=2019-11-01&to=2019-11-20&as_of=0001-01-01T00:00:00Z".into(),
            "as_of out_of_range",
        ),
        ("/api/v1/deliveries?state=lost".into(), "state invalid_format"),
        (
            "/api/v1/deliveries?ticket=GD-2019-999999".into(),
            "ticket unknown_code",
        ),
        ("/api/v1/reports/sla?to=2019-12-01".into(), "from required"),
        ("/api/v1/reports/sla?from=2019-11-01".into(), "to required"),
        (
            "/api/v1/reports/sla?from=1.11.2019&to=2019-12-01".into(),
            "from invalid_format",
        ),
        (
            "/api/v1/reports/sla?from=2019-11-01&to=2019-11-20&group_by=agent".into(),
            "group_by invalid_format",
        ),
        (
            "/api/v1/reports/sla?from=2019-11-01&to=2019-11-20&format=xml".into(),
            "format invalid_format",
        ),
        (
            "/api/v1/reports/sla?from=2019-11-01&to=2019-11-20&as_of=2019-11-20".into(),
            "as_of invalid_format",
        ),
    ];
    let mut wrong = Vec::new();
    for (path, expected) in cases {
        let reply = sup.get(&path);
        if reply.status != 422 || faults(&reply) != [expected] {
            wrong.push(format!(
                "{path}: {} {:?} instead of {expected}",
                reply.status,
                faults(&reply)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let me = hue.get("/api/v1/tickets?assignee=me").expect(422);
    assert_eq!(
        faults(&me),
        ["assignee unknown_code"],
        "a program is nobody's assignee"
    );
    let several = sup.get("/api/v1/tickets?limit=0&state=x&y=1").expect(422);
    assert_eq!(
        faults(&several),
        ["limit invalid_format", "state unknown_code", "y unknown_field"]
    );
}

#[test]
fn a_rubbish_id_in_a_path_is_not_found() {
    let app = TestApp::start();
    let admin = app.admin();
    let long = "x".repeat(5000);
    let ids = [
        "%00",
        "a%00b",
        "%ff",
        "%ED%A0%80",
        "%0a",
        "GD-2019-000001%00",
        "GD-2019-999999",
        "%25",
        "%2e%2e",
        "'--",
        "%F0%9F%98%80",
        "%20",
        "0190f3a2-7c11-7c3e-9b1a-2f5d8e7a7001",
        "-1",
        &long,
    ];
    let places = [
        "/api/v1/tickets/{}",
        "/api/v1/tickets/{}/messages",
        "/api/v1/tickets/{}/events",
        "/api/v1/organisations/{}",
        "/api/v1/topics/{}",
        "/api/v1/queues/{}",
        "/api/v1/queues/{}/summary",
        "/api/v1/calendars/{}",
        "/api/v1/sla-policies/{}",
        "/api/v1/deliveries/{}",
        "/t/{}",
    ];
    for place in places {
        for id in ids {
            let reply = admin.get(&place.replace("{}", id));
            if place == "/t/{}" && reply.header("content-type") == Some("text/html; charset=utf-8") {
                // A page, because a person reads it.
                assert_eq!(reply.status, 404, "{id:.40}");
                assert!(reply.text.contains("Không tìm thấy"));
                continue;
            }
            assert_eq!(
                (reply.status, reply.problem()),
                (404, "not-found"),
                "{place} with {id:.40}"
            );
        }
    }
    for id in ids {
        let due = json!({ "from": "2019-11-22T16:30:00+07:00", "business_seconds": 60 });
        admin
            .post(&format!("/api/v1/calendars/{id}/due"), &due)
            .expect(404);
        admin.call(&format!("/api/v1/tickets/{id}/claim")).expect(404);
        admin.call(&format!("/api/v1/queues/{id}/next")).expect(404);
        admin.call(&format!("/api/v1/deliveries/{id}/retry")).expect(404);
    }
}

#[test]
fn junk_in_headers_is_named_where_it_matters_and_ignored_elsewhere() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = file(&hue);
    let path = path_of(&ticket);
    let before = app.footprint();
    let long = "k".repeat(256);
    for key in ["", "a b", "khóa", &long, "\t"] {
        let refused = hue
            .with("Idempotency-Key", key)
            .post(TICKETS, &question())
            .expect(422);
        assert_eq!(faults(&refused), ["Idempotency-Key invalid_format"], "{key:?}");
    }
    for tag in [
        "",
        "1",
        "\"",
        "\"1",
        "abc",
        "\"1\" \"2\"",
        "\"é\"",
        "w/\"1\"",
        ",",
    ] {
        let refused = lan
            .with("If-Match", tag)
            .call(&format!("{path}/claim"))
            .expect(422);
        assert_eq!(faults(&refused), ["If-Match invalid_format"], "{tag:?}");
    }
    assert_eq!(app.footprint(), before);
    for (name, value) in [
        ("If-None-Match", "rubbish"),
        ("If-None-Match", "\"é\""),
        ("If-Match", "rubbish"),
        ("Idempotency-Key", "a b"),
        ("Accept", "image/png"),
        ("Accept-Encoding", "rubbish;q=x"),
        ("Accept-Language", "é"),
        ("Content-Type", "rubbish"),
    ] {
        hue.with(name, value).get(&path).expect(200);
        hue.with(name, value).get("/api/v1/me").expect(200);
    }
}

#[test]
fn a_key_without_the_read_scope_may_still_name_the_version_it_cancels() {
    let app = TestApp::start();
    let writer = app.key("H57", &[Scope::TicketsWrite]);
    let filed = writer.post(TICKETS, &question()).expect(201);
    let tag = filed.header("etag").unwrap().to_owned();
    let cancel = format!("{}/cancel", path_of(&filed.body));
    let reason = json!({ "reason": "Trùng câu hỏi." });
    writer
        .with("If-Match", "\"99\"")
        .post(&cancel, &reason)
        .expect(412);
    writer.with("If-Match", &tag).post(&cancel, &reason).expect(200);
}
