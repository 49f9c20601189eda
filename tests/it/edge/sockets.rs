//! Connections that are slow, many, large or ambiguous. Others are served meanwhile, and one request has one answer.
use giaidap::config::{LimitsOverrides, Overrides, WaitingOverrides};
use serde_json::Value;

use crate::support::raw::{Wire, statuses};
use crate::support::threads::wait_for;
use crate::support::{TestApp, question};

fn hasty(head_ms: u64, body_ms: u64, idle_ms: u64) -> TestApp {
    TestApp::start_with(&Overrides {
        limits: LimitsOverrides {
            head_timeout_ms: Some(head_ms),
            body_timeout_ms: Some(body_ms),
            idle_timeout_ms: Some(idle_ms),
            ..LimitsOverrides::default()
        },
        ..Overrides::default()
    })
}

const PATIENT: u64 = 60_000;

#[test]
fn a_head_that_does_not_end_is_given_up() {
    let app = hasty(300, PATIENT, PATIENT);
    for begun in [
        "",
        "GET /hea",
        "GET /healthz HTTP/1.1\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ",
    ] {
        let mut wire = Wire::to(&app.url);
        wire.say(begun.as_bytes());
        let (heard, closed) = wire.hear_out();
        assert!(closed.is_some(), "{begun:?} holds the connection");
        assert!(
            statuses(&heard).is_empty() || statuses(&heard) == [408],
            "{begun:?}: {heard}"
        );
    }
}

#[test]
fn a_head_that_comes_drop_by_drop_is_given_up_and_others_are_served() {
    let app = hasty(1000, PATIENT, PATIENT);
    let mut wires: Vec<Wire> = (0..200).map(|_| Wire::to(&app.url)).collect();
    let visitor = app.anonymous();
    let mut head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ".iter();
    let mut served = 0;
    // However long they go on: no byte gives them more time.
    wait_for("all connections to be given up", || {
        let byte = head.next().unwrap_or(&b'a');
        let open = wires
            .iter_mut()
            .filter_map(|wire| wire.say(&[*byte]).then_some(()));
        let open = open.count();
        // Whoever is quick is served beside them; on a busy machine not everybody is quick each time.
        served += usize::from(
            visitor
                .try_get("/healthz")
                .is_some_and(|reply| reply.status == 200),
        );
        (open == 0).then_some(())
    });
    assert!(served > 0, "nobody was served beside them");
    for wire in &mut wires {
        let (heard, closed) = wire.hear_out();
        assert!(closed.is_some(), "still open");
        assert!(
            statuses(&heard).is_empty() || statuses(&heard) == [408],
            "{heard}"
        );
    }
}

#[test]
fn a_body_that_comes_drop_by_drop_is_given_up_and_nothing_is_written() {
    let app = hasty(PATIENT, 400, PATIENT);
    let hue = app.organisation("H57");
    let before = app.footprint();
    let mut wire = Wire::to(&app.url);
    let head = format!(
        "POST /api/v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{{",
        hue.token()
    );
    wire.say(head.as_bytes());
    let answer = wire.hear_until("\r\n\r\n");
    assert_eq!(statuses(&answer), [400], "{answer}");
    let (body, closed) = wire.hear_out();
    assert!(closed.is_some(), "the rest of the body is not waited for");
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["type"], "urn:giaidap:problem:malformed-request");
    assert_eq!(app.footprint(), before);
}

/// What the length says is believed: nothing of such a body is waited for.
#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let app = TestApp::start_with(&Overrides {
        waiting: WaitingOverrides {
            linger_ms: Some(PATIENT),
            ..WaitingOverrides::default()
        },
        ..Overrides::default()
    });
    let hue = app.organisation("H57");
    let before = app.footprint();
    let form = "multipart/form-data; boundary=x";
    let urlencoded = "application/x-www-form-urlencoded";
    for (path, kind, length, expect) in [
        ("/api/v1/tickets", "application/json", "2000000", ""),
        (
            "/api/v1/tickets",
            "application/json",
            "2000000",
            "Expect: 100-continue\r\n",
        ),
        ("/api/v1/tickets", "application/json", "18446744073709551615", ""),
        ("/api/v1/attachments", form, "99999999999", ""),
        ("/open311/v2/requests.json", urlencoded, "2000000", ""),
    ] {
        let mut wire = Wire::to(&app.url);
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{expect}\r\n",
            hue.token()
        );
        wire.say(head.as_bytes());
        let mut answer = wire.hear_until("\r\n\r\n");
        if !expect.is_empty() {
            // The library says so to whoever expects it, before anything of ours is asked (docs/LIMITS.md).
            assert_eq!(statuses(&answer), [100], "{answer}");
            answer = wire.hear_until("\r\n\r\n");
        }
        assert_eq!(statuses(&answer), [413], "{path} {length}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        // Whoever goes on sending can still read it.
        assert!(wire.say(&[b' '; 64 << 10]), "{path}");
        wire.hush();
        let (_, closed) = wire.hear_out();
        assert!(closed.is_some(), "{path} is still open");
    }
    assert_eq!(app.footprint(), before);
}

/// The library takes a chunk that is none for a broken connection, and closes it without a word (docs/LIMITS.md).
#[test]
fn a_body_of_broken_chunks_writes_nothing_and_ends_the_connection() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let before = app.footprint();
    let body = question().to_string();
    let whole = format!("{:x}\r\n{body}\r\n", body.len());
    for chunks in [
        "-1a\r\n{}\r\n0\r\n\r\n".to_owned(),
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n".to_owned(),
        "2\n{}\n0\n\n".to_owned(),
        "\r\n".to_owned(),
        format!("{whole}x\r\n\r\n"),
        format!("{:x}\r\n{body}0\r\n\r\n", body.len()),
    ] {
        let mut wire = Wire::to(&app.url);
        let head = format!(
            "POST /api/v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            hue.token()
        );
        wire.say(head.as_bytes());
        let (heard, closed) = wire.hear_out();
        let found = statuses(&heard);
        assert!(found.is_empty() || found == [400], "{chunks:?}: {heard}");
        assert!(closed.is_some(), "{chunks:?} holds the connection");
    }
    assert_eq!(app.footprint(), before);
}

#[test]
fn a_connection_that_stands_idle_is_closed() {
    let app = hasty(PATIENT, PATIENT, 300);
    let mut wire = Wire::to(&app.url);
    wire.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    let (heard, closed) = wire.hear_out();
    assert_eq!(statuses(&heard), [200]);
    assert!(closed.is_some(), "still open");
}

#[test]
fn two_hundred_idle_connections_keep_nobody_out() {
    let app = hasty(PATIENT, PATIENT, PATIENT);
    let mut wires: Vec<Wire> = (0..200).map(|_| Wire::to(&app.url)).collect();
    for wire in &mut wires {
        wire.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(statuses(&wire.hear_until("}")), [200]);
    }
    let hue = app.organisation("H57");
    for _ in 0..20 {
        hue.post("/api/v1/tickets", &question()).expect(201);
    }
    // And they are served again.
    for wire in &mut wires {
        wire.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(statuses(&wire.hear_until("}")), [200]);
    }
}

#[test]
fn beyond_the_most_connections_a_caller_waits_for_its_turn() {
    let app = TestApp::start_with(&Overrides {
        limits: LimitsOverrides {
            connections_per_worker: Some(2),
            ..LimitsOverrides::default()
        },
        ..Overrides::default()
    });
    let mut wires: Vec<Wire> = (0..40).map(|_| Wire::to(&app.url)).collect();
    for wire in &mut wires {
        wire.say(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    }
    for (number, wire) in wires.iter_mut().enumerate() {
        let (heard, closed) = wire.hear_out();
        assert_eq!(
            (statuses(&heard), closed.is_some()),
            (vec![200], true),
            "{number}"
        );
    }
}

#[test]
fn heads_and_addresses_have_a_largest_size() {
    let app = TestApp::start();
    let answered = |head: String| {
        let mut wire = Wire::to(&app.url);
        wire.say(head.as_bytes());
        wire.hush();
        wire.hear_out().0
    };
    let with_header = |size: usize| {
        answered(format!(
            "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: {}\r\n\r\n",
            "a".repeat(size)
        ))
    };
    let many = |count: usize| {
        let headers: String = (0..count).map(|n| format!("X-{n}: a\r\n")).collect();
        answered(format!(
            "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"
        ))
    };
    let long = |size: usize| {
        let query = "a".repeat(size);
        answered(format!(
            "GET /openapi.yaml?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
    };
    assert_eq!(statuses(&with_header(8 << 10)), [200]);
    assert_eq!(statuses(&with_header(31 << 10)), [200]);
    let refused = with_header(64 << 10);
    assert_eq!(statuses(&refused), [431]);
    assert!(
        refused.contains("urn:giaidap:problem:head-too-large"),
        "{refused}"
    );
    // Beyond what the connection layer gathers there is no request that could be answered with a problem.
    let cut = with_header(1 << 20);
    assert!(statuses(&cut).is_empty() || statuses(&cut) == [431], "{cut}");
    assert_eq!(statuses(&many(80)), [200]);
    assert_eq!(statuses(&many(1000)), [431]);
    assert_eq!(statuses(&long(8000)), [200]);
    let refused = long(9000);
    assert_eq!(statuses(&refused), [414]);
    assert!(
        refused.contains("urn:giaidap:problem:address-too-long"),
        "{refused}"
    );
}

#[test]
fn requests_in_one_go_are_answered_in_their_order() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let mut wire = Wire::to(&app.url);
    let body = question().to_string();
    let filing = format!(
        "POST /api/v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        hue.token(),
        body.len()
    );
    let whole = format!(
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n{filing}GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n{filing}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    wire.say(whole.as_bytes());
    let (heard, _) = wire.hear_out();
    assert_eq!(statuses(&heard), [200, 201, 404, 201, 200]);
    assert_eq!(app.rows_in("tickets"), 2);
}

/// One request that two readers could read differently, and behind it what a smuggler would like to be answered.
#[test]
fn an_ambiguous_request_is_refused_and_the_connection_closed() {
    let app = TestApp::start();
    let hidden = "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n";
    let chunked = format!("0\r\n\r\n{hidden}");
    let length = chunked.len();
    let shapes: Vec<(&str, String)> = vec![
        (
            "two lengths",
            format!(
                "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n{hidden}",
                hidden.len()
            ),
        ),
        (
            "two lengths in one",
            format!(
                "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0, {}\r\n\r\n{hidden}",
                hidden.len()
            ),
        ),
        (
            "length and chunks",
            format!(
                "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
            ),
        ),
        (
            "chunks and length",
            format!(
                "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n{chunked}"
            ),
        ),
        (
            "a length with a sign",
            format!("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: +0\r\n\r\n{hidden}"),
        ),
        (
            "a length that is none",
            format!("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n{hidden}"),
        ),
        (
            "a length beyond all numbers",
            format!(
                "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{hidden}"
            ),
        ),
        (
            "an unknown coding",
            format!("POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n{chunked}"),
        ),
        (
            "two codings",
            format!(
                "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}"
            ),
        ),
        (
            "a folded header",
            format!("POST /nothing HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Content-Length: 0\r\n\r\n{hidden}"),
        ),
        (
            "a blank before the colon",
            format!("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length : 0\r\n\r\n{hidden}"),
        ),
        (
            "a NUL in a header",
            format!("GET /nothing HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n\r\n{hidden}"),
        ),
        (
            "a bare CR in a header",
            format!("GET /nothing HTTP/1.1\r\nHost: x\r\nX-A: b\rContent-Length: 0\r\n\r\n{hidden}"),
        ),
        (
            "a NUL in the line",
            format!("GET /no\0thing HTTP/1.1\r\nHost: x\r\n\r\n{hidden}"),
        ),
        (
            "a blank in the line",
            format!("GET /no thing HTTP/1.1\r\nHost: x\r\n\r\n{hidden}"),
        ),
        (
            "another version",
            format!("GET /nothing HTTP/3.7\r\nHost: x\r\n\r\n{hidden}"),
        ),
        ("no request", format!("\x16\x03\x01\x02\x00\x01\r\n\r\n{hidden}")),
    ];
    let mut wrong = Vec::new();
    for (name, shape) in shapes {
        let mut wire = Wire::to(&app.url);
        wire.say(shape.as_bytes());
        wire.hush();
        let (heard, closed) = wire.hear_out();
        let found = statuses(&heard);
        if found != [400] || closed.is_none() || heard.contains("openapi: 3") {
            wrong.push(format!("{name}: {found:?}, closed {closed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
