//! Input that is made to break a reader: depth, sizes, encodings, compression, injection, paths. A problem each time, and
//! the tables as they were.
use serde_json::json;

use super::TICKETS;
use crate::support::desk::path_of;
use crate::support::raw::{Wire, statuses};
use crate::support::{Client, TestApp, file, question};

/// Routes that read JSON, with a caller that may call them.
fn readers(app: &TestApp) -> Vec<(Client, String)> {
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let ticket = path_of(&file(&hue));
    let of_admin = [
        "calendars",
        "sla-policies",
        "agreements",
        "calendars/vn-government/preview",
        "sla-policies/match",
    ];
    let mut readers: Vec<(Client, String)> = of_admin
        .map(|path| (admin.clone(), format!("/api/v1/{path}")))
        .into_iter()
        .collect();
    readers.extend([
        (hue.clone(), TICKETS.to_owned()),
        (hue.clone(), format!("{ticket}/messages")),
        (hue.clone(), format!("{ticket}/cancel")),
        (hue.clone(), "/api/v1/sla/simulate".to_owned()),
        (hue, "/api/v1/calendars/vn-government/due".to_owned()),
    ]);
    readers
}

/// UTF-16 with its byte order mark.
fn utf16(text: &str, big: bool) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units
        .flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
        .collect()
}

#[test]
fn no_reader_of_json_breaks() {
    let app = TestApp::start();
    let readers = readers(&app);
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let member = |value: &str| {
        format!("{{\"subject\":\"a\",\"body\":\"b\",\"custom_fields\":{{\"n\":{value}}}}}").into_bytes()
    };
    let plain = question().to_string();
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("arrays in arrays", nested("[", "]", 10_000).into_bytes()),
        ("objects in objects", nested("{\"a\":", "}", 10_000).into_bytes()),
        ("arrays that do not end", "[".repeat(10_000).into_bytes()),
        ("depth in a member", member(&nested("[", "]", 10_000))),
        (
            "depth in an unknown member",
            format!("{{\"x\":{}}}", nested("{\"a\":", "}", 10_000)).into_bytes(),
        ),
        ("a number beyond doubles", member("1e400")),
        ("a negative number beyond doubles", member("-1e400")),
        (
            "a thousand digits",
            member(&"9".repeat(1000)).into_iter().chain(*b" x").collect(),
        ),
        ("an exponent beyond numbers", member("1e99999999999999999999")),
        ("NaN", member("NaN")),
        ("Infinity", member("-Infinity")),
        ("a hexadecimal number", member("0x10")),
        ("a leading zero", member("012")),
        ("a high surrogate alone", member("\"\\ud800\"")),
        ("a low surrogate alone", member("\"\\udc00\"")),
        ("surrogates in the wrong order", member("\"\\udc00\\ud800\"")),
        (
            "an overlong slash",
            b"{\"subject\":\"\xc0\xaf\",\"body\":\"b\"}".to_vec(),
        ),
        (
            "an overlong NUL",
            b"{\"subject\":\"\xe0\x80\x80\",\"body\":\"b\"}".to_vec(),
        ),
        (
            "beyond Unicode",
            b"{\"subject\":\"\xf4\x90\x80\x80\",\"body\":\"b\"}".to_vec(),
        ),
        ("UTF-16, little end first", utf16(&plain, false)),
        ("UTF-16, big end first", utf16(&plain, true)),
        ("UTF-8 with a mark", [b"\xef\xbb\xbf", plain.as_bytes()].concat()),
        ("a NUL between", plain.replace(':', "\0:").into_bytes()),
        (
            "a raw NUL in a text",
            b"{\"subject\":\"a\0\",\"body\":\"b\"}".to_vec(),
        ),
        (
            "a raw line feed in a text",
            b"{\"subject\":\"a\nb\",\"body\":\"b\"}".to_vec(),
        ),
        (
            "a name twice",
            b"{\"subject\":\"a\",\"subject\":\"b\",\"body\":\"b\",\"reason\":\"x\",\"reason\":\"y\"}"
                .to_vec(),
        ),
        (
            "a name twice, once escaped",
            b"{\"subject\":\"a\",\"\\u0073ubject\":\"b\",\"body\":\"b\"}".to_vec(),
        ),
        (
            "a hundred thousand members",
            format!(
                "{{{}}}",
                (0..60_000)
                    .map(|n| format!("\"m{n}\":1"))
                    .collect::<Vec<_>>()
                    .join(",")
            )
            .into_bytes(),
        ),
        (
            "an object of prototypes",
            b"{\"__proto__\":{\"admin\":true},\"constructor\":1}".to_vec(),
        ),
        ("a comment", b"{/* */\"subject\":\"a\",\"body\":\"b\"}".to_vec()),
    ];
    let before = app.footprint();
    let mut wrong = Vec::new();
    for (caller, path) in &readers {
        for (name, bytes) in &hostile {
            let reply = caller.post_raw(path, "application/json", bytes);
            if !matches!(reply.status, 400 | 422) || !reply.text.contains("urn:giaidap:problem:") {
                wrong.push(format!("{path}, {name}: {} {:.200}", reply.status, reply.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(app.footprint(), before);
}

#[test]
fn what_is_compressed_is_not_unpacked() {
    let app = TestApp::start();
    let before = app.rows_in("tickets");
    let (hue, admin) = (app.organisation("H57"), app.admin());
    let plain = question().to_string();
    for encoding in [
        "gzip",
        "GZIP",
        "deflate",
        "br",
        "zstd",
        "gzip, gzip",
        "identity, gzip",
        "rubbish",
        "",
    ] {
        let packed = hue.with("Content-Encoding", encoding);
        let refused = packed
            .post_raw(TICKETS, "application/json", plain.as_bytes())
            .expect(415);
        assert_eq!(refused.problem(), "unsupported-media-type", "{encoding}");
        admin
            .with("Content-Encoding", encoding)
            .post_raw(
                "/api/v1/calendars/vn-government/import",
                "text/csv",
                b"date\n2020-03-02\n",
            )
            .expect(415);
    }
    assert_eq!(app.rows_in("tickets"), before);
    hue.with("Content-Encoding", "identity")
        .post(TICKETS, &question())
        .expect(201);
}

#[test]
fn no_value_of_a_caller_becomes_a_header() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    for _ in 0..2 {
        file(&hue);
    }
    let split = "a\r\nSet-Cookie: x=1";
    let calendar = json!({
        "code": split,
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }],
    });
    let replies = [
        admin.post("/api/v1/calendars", &calendar).expect(422),
        hue.get("/api/v1/tickets?limit=1&external_ref=a%0d%0aSet-Cookie:%20x=1")
            .expect(422),
        hue.get("/api/v1/tickets/a%0d%0aSet-Cookie:%20x=1").expect(404),
        hue.get("/a%0d%0aSet-Cookie:%20x=1").expect(404),
        hue.get("/api/v1/organisations?limit=1&q=h%3E%3B%20rel%3D%22next%22%2C%3Cx")
            .expect(200),
    ];
    for reply in replies {
        let names: Vec<&str> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(!names.contains(&"set-cookie"), "{names:?}");
        if let Some(link) = reply.header("link") {
            assert_eq!(link.matches('>').count(), 1, "{link}");
        }
    }
    // In the head itself a line that begins with a blank, or ends too early, is no request.
    for id in ["x\r\n y: z", "x\ry: z", "x\0y"] {
        let mut wire = Wire::to(&app.url);
        wire.say(format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\n\r\n").as_bytes());
        wire.hush();
        assert_eq!(statuses(&wire.hear_out().0), [400], "{id:?}");
    }
}

#[test]
fn no_way_of_writing_a_path_leads_around_the_guard() {
    let app = TestApp::start();
    let number = file(&app.organisation("H57"))["number"]
        .as_str()
        .unwrap()
        .to_owned();
    let foreign = app.organisation("H26");
    let paths = [
        "/api/v1/me/".to_owned(),
        "/api/v1//me".into(),
        "//api/v1/me".into(),
        "/api/v1/./me".into(),
        "/api/v1/tickets/../me".into(),
        "/api/v1/tickets/%2e%2e/me".into(),
        "/api/v1/%2e%2e/v1/me".into(),
        "/api/v1/me;x=1".into(),
        "/api/v1;/me".into(),
        "/api/v1/me%00".into(),
        "/api/v1/me%0a".into(),
        "/api/v1/%6de".into(),
        "/api/v1/me%2f".into(),
        "/api/v1%2fme".into(),
        "/API/V1/ME".into(),
        "/api/v1/me%20".into(),
        "/api\\v1\\me".into(),
        "/healthz/../api/v1/me".into(),
        "/docs/../api/v1/me".into(),
        "/docs/%2e%2e/%2e%2e/Cargo.toml".into(),
        "/docs/..%2f..%2fetc%2fpasswd".into(),
        "/t/..%2f..%2fetc%2fpasswd".into(),
        "/t/%2e%2e/metrics".into(),
        format!("/api/v1/tickets/{number}%2fmessages"),
        format!("/api/v1/tickets/{number}/%6dessages"),
        format!("/api/v1/tickets/{number}%00"),
        format!("/api/v1/tickets/{number};a"),
        format!("/api/v1/tickets/x/../{number}"),
        format!("/api/v1/tickets/%{:02x}{}", number.as_bytes()[0], &number[1..]),
    ];
    for path in &paths {
        for token in [None, Some(foreign.token())] {
            let mut wire = Wire::to(&app.url);
            let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
            let authorization = authorization.unwrap_or_default();
            wire.say(
                format!("GET {path} HTTP/1.1\r\nHost: x\r\n{authorization}Connection: close\r\n\r\n")
                    .as_bytes(),
            );
            let (heard, _) = wire.hear_out();
            let found = statuses(&heard);
            // `%6de` is `me` (RFC 3986, section 6.2.2.2), so that a caller who may sees itself there.
            let may = token.is_some() && path == "/api/v1/%6de";
            let expected: &[u16] = if may { &[200, 404] } else { &[400, 401, 404] };
            assert!(
                found.len() == 1 && expected.contains(&found[0]),
                "{path}: {found:?}"
            );
            assert!(
                !heard.contains("root:") && !heard.contains(&"LGSP với".to_owned()),
                "{path}: {heard}"
            );
        }
    }
}

#[test]
fn queries_in_mixed_encodings_are_named_or_read() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    for broken in [
        "%C3%28",
        "%E9",
        "%c0%af",
        "%ed%a0%80",
        "%ff%fe",
        "%00",
        "%0d%0a",
        "a%1b%5b31m",
    ] {
        for path in [
            format!("/api/v1/organisations?q={broken}"),
            format!("/api/v1/tickets?external_ref={broken}"),
        ] {
            let refused = hue.get(&path).expect(422);
            assert_eq!(refused.problem(), "invalid-input", "{path}");
        }
    }
    for name in [
        "%C3%28=1",
        "l%69mit=0",
        "%6cimit=x",
        "limit=1&%6cimit=2",
        "limit[]=1",
        "limit%00=1",
    ] {
        hue.get(&format!("/api/v1/tickets?{name}")).expect(422);
    }
    // The same letters in every way that is one.
    for same in [
        "Hu%E1%BA%BF",
        "hu%c3%aa%cc%81",
        "HU%45%CC%82%CC%81",
        "hue",
        "%68%75%65",
    ] {
        let found = hue
            .get(&format!("/api/v1/organisations?q={same}"))
            .expect(200)
            .body;
        let codes: Vec<&str> = found["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["code"].as_str())
            .collect();
        assert!(codes.contains(&"H57"), "{same}: {codes:?}");
    }
}
