//! Bodies that are no JSON, or too much of it.
use serde_json::json;

use super::{TICKETS, Unreadable, faults, with};
use crate::support::{TestApp, file, question};

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
            &["/custom_fields/a wrong_type"],
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
        (
            b"".to_vec(),
            json,
            422,
            "invalid-input",
            &["/body required", "/subject required"],
        ),
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
