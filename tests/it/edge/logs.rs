//! What a busy server writes down: enough to find a request, nothing about people.
use giaidap::identity::{self, Role};
use serde_json::{Value, json};

use crate::support::desk::path_of;
use crate::support::process::ServerProcess;
use crate::support::raw::Wire;
use crate::support::{Client, TestApp};

/// Everything that somebody typed in this test holds this.
const MARK: &str = "Zx7q";

fn marked(text: &str) -> String {
    format!("{text} {MARK}")
}

/// Else anybody could fill the operator's disk, and hide in it what is worth reading.
#[test]
fn what_is_no_http_leaves_no_line_of_error() {
    let house = TestApp::start();
    let storage = tempfile::TempDir::new().unwrap();
    let mut server = ServerProcess::start(&house.database.url, storage.path());
    for noise in [
        "\x16\x03\x01\x02\x00\x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 0x0\r\n\r\n",
    ] {
        let mut wire = Wire::to(&server.url);
        wire.say(noise.as_bytes());
        wire.hush();
        assert!(wire.hear_out().1.is_some());
    }
    server.terminate();
    let (_, log) = server.wait();
    assert!(!log.contains("ERROR") && !log.contains("stream error"), "{log}");
}

#[test]
fn a_log_names_requests_and_nothing_of_people() {
    let house = TestApp::start();
    let storage = tempfile::TempDir::new().unwrap();
    let settings = [
        ("GIAIDAP_LOG_FORMAT", "json"),
        ("GIAIDAP_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let mut server = ServerProcess::start_with(
        &house.database.url,
        storage.path(),
        "debug,giaidap=trace",
        &settings,
    );
    let hue = house.key_of("H57", &marked("LGSP"), &identity::Scope::OF_CLIENTS);
    let hue = hue.on(&server.url).with("X-Forwarded-For", "203.0.113.77");
    let lan = house
        .staff(Role::Agent, &format!("lan{MARK}"), &["technology"])
        .on(&server.url);
    let question = json!({
        "subject": marked("Hỏi về kết nối"),
        "body": marked("Nội dung"),
        "topic": "NGSP",
        "external_ref": marked("CV"),
        "tags": [MARK],
        "custom_fields": { MARK: MARK },
        "requester": { "name": marked("Trần Thị"), "email": format!("{MARK}@hue.example"), "phone": MARK, "unit": MARK },
    });
    let ticket = hue
        .with("Idempotency-Key", MARK)
        .with(
            "Traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .post("/api/v1/tickets", &question)
        .expect(201)
        .body;
    let path = path_of(&ticket);
    lan.call(&format!("{path}/claim")).expect(200);
    lan.post(&format!("{path}/notes"), &json!({ "body": marked("Ghi chú") }))
        .expect(201);
    lan.post(
        &format!("{path}/resolve"),
        &json!({ "outcome": "answered", "message": marked("Trả lời") }),
    )
    .expect(200);
    hue.get(&format!("/api/v1/tickets?external_ref={MARK}"))
        .expect(200);
    hue.get(&format!("/api/v1/tickets?{MARK}={MARK}")).expect(422);
    hue.get(&format!("/api/v1/tickets/{MARK}")).expect(404);
    hue.get(&format!("/{MARK}")).expect(404);
    hue.post("/api/v1/tickets", &json!({ MARK: MARK })).expect(422);
    hue.post_raw("/api/v1/tickets", "application/json", MARK.as_bytes())
        .expect(400);
    hue.post_raw(
        "/api/v1/tickets",
        "application/json",
        format!("{{\"subject\": \"{MARK}").as_bytes(),
    )
    .expect(400);
    hue.with("If-Match", MARK)
        .post(&format!("{path}/cancel"), &json!({ "reason": MARK }))
        .expect(422);
    let stranger = Client::new(&server.url, None);
    stranger
        .with("Authorization", &format!("Bearer gdt_{MARK}"))
        .get("/api/v1/me")
        .expect(401);
    stranger
        .with("Authorization", &format!("Basic {MARK}"))
        .get("/api/v1/me")
        .expect(401);
    let link = ticket["status_link"]
        .as_str()
        .unwrap()
        .split_once("/t/")
        .unwrap()
        .1
        .to_owned();
    stranger.get(&format!("/t/{link}")).expect(200);
    stranger.get(&format!("/t/{MARK}")).expect(404);
    let revoked = lan.token().to_owned();
    house.write(move |conn| {
        identity::revoke(
            conn,
            revoked.split('_').nth(1).unwrap(),
            chrono::DateTime::UNIX_EPOCH,
        )
    });
    lan.get("/api/v1/me").expect(401);
    let uids = [&hue, &house.admin().on(&server.url)].map(|caller| {
        let me = caller.get("/api/v1/me").expect(200).body;
        me["id"].as_str().unwrap().to_owned()
    });
    server.terminate();
    let (_, log) = server.wait();

    let secrets = [
        MARK,
        &link,
        hue.token(),
        lan.token(),
        "203.0.113.77",
        "hue.example",
        "centre.example",
    ];
    for line in log.lines() {
        for secret in secrets {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
    }
    let lines: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let answered = |route: &str, status: &str| {
        lines
            .iter()
            .find(|line| line["fields"]["route"] == route && line["fields"]["status"] == status)
            .unwrap_or_else(|| panic!("{route} {status}: {log}"))
    };
    let filed = answered("/api/v1/tickets", "201");
    assert_eq!(filed["span"]["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(filed["span"]["method"], "POST");
    assert!(filed["span"]["id"].is_string() && filed["fields"]["micros"].is_u64());
    assert_eq!(
        (&filed["fields"]["principal"], &filed["fields"]["principal_id"]),
        (&json!("client"), &json!(uids[0]))
    );
    let staff = lines
        .iter()
        .filter(|line| line["fields"]["principal_id"] == json!(uids[1]));
    assert_eq!(staff.count(), 1);
    assert_eq!(answered("/t/{token}", "200")["fields"]["principal"], Value::Null);
    let per_request = lines
        .iter()
        .filter(|line| line["fields"]["message"] == "answered")
        .count();
    assert_eq!(per_request, 19, "one line for each request");
}
