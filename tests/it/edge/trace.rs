//! W3C Trace Context from the caller to the log, and to a collector where one is set.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};

use crate::support::process::ServerProcess;
use crate::support::{Client, TestApp, question};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn an_answer_belongs_to_the_callers_trace_or_to_a_new_one() {
    let app = TestApp::start();
    let parts = |text: &str| -> Vec<String> { text.split('-').map(str::to_owned).collect() };
    let traced = app
        .anonymous()
        .with("traceparent", PARENT)
        .with("tracestate", "a=1");
    for path in ["/healthz", "/nothing", "/api/v1/me", "/docs/"] {
        let reply = traced.get(path);
        let answered = parts(reply.header("traceparent").unwrap());
        assert_eq!(
            (answered[1].as_str(), answered[3].as_str()),
            (TRACE, "01"),
            "{path}"
        );
        assert_ne!(answered[2], "00f067aa0ba902b7", "a span of its own");
        assert_eq!(reply.header("tracestate"), Some("a=1"));
    }
    for broken in [
        "",
        "rubbish",
        "00-0-0-0",
        &PARENT.to_uppercase(),
        &PARENT.replace("00-", "ff-"),
    ] {
        let lost = app
            .anonymous()
            .with("traceparent", broken)
            .with("tracestate", "a=1");
        let reply = lost.get("/api/v1/me").expect(401);
        let answered = parts(reply.header("traceparent").unwrap());
        assert_ne!(answered[1], TRACE);
        assert_eq!(
            (answered.len(), answered[1].len(), answered[3].as_str()),
            (4, 32, "00")
        );
        assert_eq!(reply.header("tracestate"), None, "of no trace, no state");
        assert_eq!(reply.body["request_id"], reply.header("x-request-id").unwrap());
    }
}

/// Takes what a server exports and hands out each request's head and body.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = take(&mut stream) else {
                continue;
            };
            // First, so that what was accepted is here when the server ends.
            if sender.send(request).is_err() {
                return;
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).unwrap();
        }
    });
    (url, received)
}

fn take(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let got = stream.read(&mut chunk).ok()?;
        if got == 0 {
            return None;
        }
        bytes.extend_from_slice(&chunk[..got]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head.split("content-length: ").nth(1)?.lines().next()?;
        let length: usize = length.trim().parse().ok()?;
        if bytes.len() >= end + 4 + length {
            return Some((head, bytes[end + 4..].to_vec()));
        }
    }
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_collector_gets_the_spans_and_nothing_about_people() {
    let house = TestApp::start();
    let (url, received) = collector();
    let storage = tempfile::TempDir::new().unwrap();
    let settings = [
        ("GIAIDAP_OTLP_ENDPOINT", url.as_str()),
        ("GIAIDAP_SERVICE_NAME", "desk-7"),
    ];
    let mut server = ServerProcess::start_with(&house.database.url, storage.path(), "warn", &settings);
    let hue = house.organisation("H57").on(&server.url);
    let traced = hue.with("traceparent", PARENT).with("tracestate", "vendor=xyz");
    traced.post("/api/v1/tickets?", &question()).expect(201);
    hue.get("/api/v1/tickets?external_ref=SECRET-QUERY").expect(200);
    // What was gathered is sent before the process ends.
    server.terminate();
    assert!(server.wait().0.success());
    let mut spans = Vec::new();
    for (head, body) in received.try_iter() {
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        spans.extend(body);
    }
    let trace_id = data_encoding::HEXLOWER.decode(TRACE.as_bytes()).unwrap();
    let parent = data_encoding::HEXLOWER.decode(b"00f067aa0ba902b7").unwrap();
    // 201 as a varint in an AnyValue (field 3).
    let status = [0x18, 0xc9, 0x01];
    let expected: [&[u8]; 8] = [
        &trace_id,
        &parent,
        &status,
        b"desk-7",
        b"POST /api/v1/tickets",
        b"http.route",
        b"vendor=xyz",
        b"client",
    ];
    for needle in expected {
        assert!(
            holds(&spans, needle),
            "{:?} is missing",
            String::from_utf8_lossy(needle)
        );
    }
    let secrets = ["SECRET-QUERY", "Lan", "hue.example", "LGSP", "gdk_", "127.0.0.1"];
    for secret in secrets.iter().chain([&hue.token()]) {
        assert!(!holds(&spans, secret.as_bytes()), "{secret} was exported");
    }
}

#[test]
fn a_collector_that_is_away_harms_no_request() {
    let house = TestApp::start();
    let storage = tempfile::TempDir::new().unwrap();
    // Where nobody listens.
    let settings = [("GIAIDAP_OTLP_ENDPOINT", "http://127.0.0.1:1")];
    let mut server = ServerProcess::start_with(&house.database.url, storage.path(), "off", &settings);
    let caller = Client::new(&server.url, None);
    for _ in 0..20 {
        caller.get("/healthz").expect(200);
    }
    server.terminate();
    assert!(server.wait().0.success());
}
