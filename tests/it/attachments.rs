//! Files: what is taken and what is refused, whose they are, how they go out, and that nothing is left of what is not used.
use std::io::{Read, Write};
use std::net::TcpStream;

use giaidap::config::{AttachmentsOverrides, Overrides};
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::client::Reply;
use crate::support::desk::{kinds, path_of};
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, file, question};

const FILES: &str = "/api/v1/attachments";
pub const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n";

/// A form with these parts: name, file name, bytes.
pub fn form(parts: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "b0undary-x7";
    let mut body = Vec::new();
    for (name, file_name, bytes) in parts {
        body.extend(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

pub fn send(caller: &Client, path: &str, name: &str, bytes: &[u8]) -> Reply {
    let (content_type, body) = form(&[("file", name, bytes)]);
    caller.post_raw(path, &content_type, &body)
}

/// The id of a file that this caller has sent.
pub fn sent(caller: &Client, name: &str, bytes: &[u8]) -> String {
    let reply = send(caller, FILES, name, bytes).expect(201);
    reply.body["id"].as_str().unwrap().to_owned()
}

fn with_limits(max_bytes: u64, per_ticket: u16) -> Overrides {
    Overrides {
        attachments: AttachmentsOverrides {
            attachments_max_bytes: Some(max_bytes),
            attachments_max_per_ticket: Some(per_ticket),
            ..AttachmentsOverrides::default()
        },
        ..Overrides::default()
    }
}

impl TestApp {
    /// Rows and objects; the same wherever nothing is under way.
    fn files(&self) -> (i64, usize) {
        (
            self.rows_in("attachments"),
            block_on(self.app.vault.count()).unwrap(),
        )
    }
}

#[test]
fn a_file_is_sent_named_in_a_question_and_downloaded_as_it_was() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let reply = send(&hue, FILES, "../Công văn 12.pdf", PDF).expect(201);
    let meta = &reply.body;
    assert_eq!(meta["name"], "Công văn 12.pdf");
    assert_eq!(
        (&meta["media_type"], &meta["ticket"]),
        (&json!("application/pdf"), &Value::Null)
    );
    assert_eq!(meta["bytes"], PDF.len());
    let id = meta["id"].as_str().unwrap();
    let path = format!("{FILES}/{id}");
    assert_eq!(reply.header("location"), Some(path.as_str()));
    lan.get(&path).expect(404);

    let mut body = question();
    body["attachments"] = json!([id]);
    let filed = hue.post("/api/v1/tickets", &body).expect(201).body;
    assert_eq!(filed["attachments"][0]["id"], *id);
    let shown = lan.get(&path_of(&filed)).expect(200).body;
    assert_eq!(shown["attachments"], filed["attachments"]);
    let listed = lan
        .get(&format!("{}/attachments", path_of(&filed)))
        .expect(200)
        .body;
    assert_eq!(listed["items"][0]["ticket"]["number"], filed["number"]);
    assert_eq!(
        lan.get("/api/v1/tickets").body["items"][0]["attachments"],
        filed["attachments"]
    );

    let got = lan.get(&format!("{path}/content")).expect(200);
    assert_eq!(got.text.as_bytes(), PDF);
    for (name, value) in [
        ("content-type", "application/pdf"),
        (
            "content-disposition",
            "attachment; filename=\"Cong van 12.pdf\"; filename*=UTF-8''C%C3%B4ng%20v%C4%83n%2012.pdf",
        ),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private"),
        ("content-length", &PDF.len().to_string()),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    assert_eq!(got.header("content-encoding"), None);
    let packed = lan
        .with("Accept-Encoding", "gzip")
        .get(&format!("{path}/content"))
        .expect(200);
    assert_eq!(
        (packed.text.as_bytes(), packed.header("content-encoding")),
        (PDF, None)
    );
    assert!(got.header("content-security-policy").unwrap().contains("sandbox"));
    let tag = format!("\"{}\"", meta["sha256"].as_str().unwrap());
    assert_eq!(got.header("etag"), Some(tag.as_str()));
    let content = format!("{path}/content");
    lan.with("If-None-Match", &tag).get(&content).expect(304);
    let part = lan.with("Range", "bytes=0-7").get(&content).expect(206);
    assert_eq!(part.text.as_bytes(), &PDF[..8]);
    assert_eq!(
        part.header("content-range"),
        Some(format!("bytes 0-7/{}", PDF.len()).as_str())
    );
    let beyond = lan.with("Range", "bytes=999999-").get(&content).expect(416);
    assert_eq!(beyond.problem(), "range-not-satisfiable");
    let head = lan.send("HEAD", &content, None, None).expect(200);
    assert_eq!(head.header("content-length"), got.header("content-length"));
}

#[test]
fn what_runs_or_is_not_what_it_is_called_is_refused_and_nothing_is_left() {
    let app = TestApp::start_with(&with_limits(100_000, 20));
    let hue = app.organisation("H57");
    for (name, bytes) in [
        ("a.pdf", &b"MZ\x90\x00\x03\x00\x00\x00"[..]),
        ("a.exe", b"MZ\x90\x00\x03\x00\x00\x00"),
        ("a.png", PDF),
        ("a.html", b"<html><script>alert(1)</script>"),
        ("a.txt", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("a.xml", b"<?xml version=\"1.0\"?><svg onload='alert(1)'/>"),
        ("a.js", b"alert(1)"),
        ("a.csv", b"a\x00b"),
    ] {
        let refused = send(&hue, FILES, name, bytes).expect(415);
        assert_eq!(refused.problem(), "attachment-type", "{name}");
    }
    // A text that stops being one behind what is looked at first.
    let mut long = vec![b'a'; 80_000];
    long.push(0);
    assert_eq!(
        send(&hue, FILES, "a.txt", &long).expect(415).problem(),
        "attachment-type"
    );
    let refused = send(&hue, FILES, "a.txt", &vec![b'a'; 100_001]).expect(413);
    assert_eq!(refused.problem(), "body-too-large");
    let empty = send(&hue, FILES, "a.txt", b"").expect(422);
    assert_eq!(empty.field_errors(), [("/file".into(), "too_short".into())]);
    for (parts, place, code) in [
        (vec![], "/file", "required"),
        (vec![("other", "a.txt", &b"x"[..])], "/other", "unknown_field"),
        (
            vec![("file", "a.txt", &b"x"[..]), ("file", "b.txt", b"y")],
            "/file",
            "duplicate",
        ),
    ] {
        let (content_type, body) = form(&parts);
        let refused = hue.post_raw(FILES, &content_type, &body).expect(422);
        assert_eq!(refused.field_errors(), [(place.to_owned(), code.to_owned())]);
    }
    let (content_type, body) = form(&[("file", "a.txt", b"xxxxxxxxxxxxxxxxxx")]);
    let cut = hue.post_raw(FILES, &content_type, &body[..body.len() - 20]);
    assert_eq!(cut.expect(400).problem(), "malformed-request");
    let mixed = content_type.replace("form-data", "mixed");
    assert_eq!(
        hue.post_raw(FILES, &mixed, &body).expect(415).problem(),
        "unsupported-media-type"
    );
    assert_eq!(
        hue.post(FILES, &json!({})).expect(415).problem(),
        "unsupported-media-type"
    );
    wait_for("nothing of them", || (app.files() == (0, 0)).then_some(()));
    send(&hue, FILES, "a.txt", &vec![b'a'; 100_000]).expect(201);
}

#[test]
fn a_file_is_its_senders_until_it_is_used_once() {
    let app = TestApp::start();
    let (hue, foreign, lan) = (
        app.organisation("H57"),
        app.organisation("H26"),
        app.agent("lan", &["technology"]),
    );
    let id = sent(&hue, "a.pdf", PDF);
    let path = format!("{FILES}/{id}");
    for other in [&foreign, &lan] {
        other.get(&path).expect(404);
        other.get(&format!("{path}/content")).expect(404);
        other.send("DELETE", &path, None, None).expect(404);
    }
    let using = |ids: Value| {
        let mut body = question();
        body["attachments"] = ids;
        body
    };
    let stolen = foreign.post("/api/v1/tickets", &using(json!([id]))).expect(422);
    assert_eq!(
        stolen.field_errors(),
        [("/attachments/0".into(), "unknown_code".into())]
    );
    let twice = hue.post("/api/v1/tickets", &using(json!([id, id]))).expect(422);
    assert_eq!(
        twice.field_errors(),
        [("/attachments/1".into(), "duplicate".into())]
    );
    // Refused for another reason, it is still there to be used.
    let mut wrong = using(json!([id]));
    wrong["topic"] = json!("NONE");
    hue.post("/api/v1/tickets", &wrong).expect(422);
    // Many at once: one gets it.
    let outcomes = at_once(8, |_| hue.post("/api/v1/tickets", &using(json!([id]))));
    let filed: Vec<&Reply> = outcomes.iter().filter(|reply| reply.status == 201).collect();
    assert_eq!(filed.len(), 1);
    for refused in outcomes.iter().filter(|reply| reply.status != 201) {
        assert_eq!(
            refused.field_errors(),
            [("/attachments/0".into(), "duplicate".into())]
        );
    }
    let used = hue.send("DELETE", &path, None, None).expect(409);
    assert_eq!(used.problem(), "conflict");
    foreign.get(&path).expect(404);
    foreign.get(&format!("{path}/content")).expect(404);

    let other = sent(&hue, "b.pdf", PDF);
    let other_path = format!("{FILES}/{other}");
    hue.with("If-Match", "\"2\"")
        .send("DELETE", &other_path, None, None)
        .expect(412);
    hue.with("If-Match", "\"1\"")
        .send("DELETE", &other_path, None, None)
        .expect(204);
    hue.get(&other_path).expect(404);
    app.settle();
    assert_eq!(app.files(), (1, 1));
}

#[test]
fn messages_and_notes_have_files_and_a_notes_never_reach_the_organisation() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = file(&hue);
    let path = path_of(&ticket);
    let (said, noted, own) = (
        sent(&lan, "answer.txt", "Trả lời".as_bytes()),
        sent(&lan, "inside.csv", b"a,b\n"),
        sent(&hue, "more.xml", b"<?xml version=\"1.0\"?><x/>"),
    );
    let message = |body: &str, id: &str| json!({ "body": body, "attachments": [id] });
    let posted = lan
        .post(&format!("{path}/messages"), &message("a", &said))
        .expect(201)
        .body;
    assert_eq!(posted["attachments"][0]["id"], *said);
    let note = lan
        .post(&format!("{path}/notes"), &message("b", &noted))
        .expect(201)
        .body;
    assert_eq!(note["attachments"][0]["id"], *noted);
    let again = lan
        .post(&format!("{path}/notes"), &message("b", &noted))
        .expect(422);
    assert_eq!(
        again.field_errors(),
        [("/attachments/0".into(), "duplicate".into())]
    );
    hue.post(&format!("{path}/messages"), &message("c", &own))
        .expect(201);
    let straight = send(&hue, &format!("{path}/attachments"), "d.pdf", PDF)
        .expect(201)
        .body;
    assert_eq!(straight["ticket"]["number"], ticket["number"]);

    let ids = |caller: &Client| -> Vec<String> {
        let list = caller.get(&format!("{path}/attachments")).expect(200).body;
        let items = list["items"].as_array().unwrap().clone();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let straight = straight["id"].as_str().unwrap().to_owned();
    assert_eq!(
        ids(&lan),
        [said.clone(), noted.clone(), own.clone(), straight.clone()]
    );
    assert_eq!(ids(&hue), [said.clone(), own.clone(), straight.clone()]);
    for path in [format!("{FILES}/{noted}"), format!("{FILES}/{noted}/content")] {
        hue.get(&path).expect(404);
        lan.get(&path).expect(200);
    }
    assert_eq!(hue.get(&path).body["attachments"].as_array().unwrap().len(), 1);
    let messages = hue.get(&format!("{path}/messages")).body["items"].clone();
    assert_eq!(messages[0]["attachments"][0]["id"], *said);
    assert_eq!(messages[1]["attachments"][0]["id"], *own);
    let xml = hue.get(&format!("{FILES}/{own}/content")).expect(200);
    assert_eq!(xml.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(kinds(&hue, &path).contains(&"attachment_added".to_owned()));
}

#[test]
fn a_ticket_has_no_more_files_than_it_may() {
    let app = TestApp::start_with(&with_limits(1000, 2));
    let hue = app.organisation("H57");
    let ids: Vec<String> = (0..3).map(|n| sent(&hue, &format!("{n}.pdf"), PDF)).collect();
    let mut body = question();
    body["attachments"] = json!(ids);
    let refused = hue.post("/api/v1/tickets", &body).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/attachments".into(), "too_long".into())]
    );
    body["attachments"] = json!(ids[..2]);
    let path = path_of(&hue.post("/api/v1/tickets", &body).expect(201).body);
    let full = hue.post(
        &format!("{path}/messages"),
        &json!({ "body": "x", "attachments": [ids[2]] }),
    );
    assert_eq!(full.expect(409).problem(), "conflict");
    assert_eq!(
        send(&hue, &format!("{path}/attachments"), "x.pdf", PDF)
            .expect(409)
            .problem(),
        "conflict"
    );
    assert_eq!(app.files(), (3, 3));
}

#[test]
fn the_same_file_with_the_same_key_is_kept_once_on_all_replicas() {
    let app = TestApp::start();
    let replica = app.replica();
    let hue = app.organisation("H57").with("Idempotency-Key", "one");
    let first = send(&hue, FILES, "a.pdf", PDF).expect(201);
    let again = send(&hue.on(&replica.url), FILES, "a.pdf", PDF).expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.text, first.text);
    let other = send(&hue, FILES, "b.pdf", PDF).expect(422);
    assert_eq!(other.problem(), "idempotency-key-reused");
    assert_eq!(app.files(), (1, 1));
    let path = format!("{}/attachments", path_of(&file(&app.organisation("H57"))));
    let hue = app.organisation("H57").with("Idempotency-Key", "two");
    let straight = send(&hue, &path, "a.pdf", PDF).expect(201);
    assert_eq!(
        send(&hue.on(&replica.url), &path, "a.pdf", PDF).expect(201).text,
        straight.text
    );
    assert_eq!(app.files(), (2, 2));
}

#[test]
fn what_is_never_used_or_never_finished_goes() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let unused = sent(&hue, "a.pdf", PDF);
    let used = sent(&hue, "b.pdf", PDF);
    let mut body = question();
    body["attachments"] = json!([used]);
    hue.post("/api/v1/tickets", &body).expect(201);
    // As a killed process leaves it.
    let third = sent(&hue, "c.pdf", PDF);
    app.sql(&format!(
        "UPDATE attachments SET state = 'uploading' WHERE uid = '{third}'"
    ));
    app.at("2019-11-22T17:29:00+07:00").settle();
    assert_eq!(app.files(), (3, 3));
    app.at("2019-11-22T17:31:00+07:00").settle();
    assert_eq!(app.files(), (2, 2));
    app.at("2019-11-23T16:31:00+07:00").settle();
    assert_eq!(app.files(), (1, 1));
    hue.get(&format!("{FILES}/{unused}")).expect(404);
    hue.get(&format!("{FILES}/{used}/content")).expect(200);
}

#[test]
fn a_client_that_goes_away_leaves_nothing() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let (content_type, body) = form(&[("file", "a.txt", &vec![b'a'; 3_000_000])]);
    let address = app.url.trim_start_matches("http://").to_owned();
    let mut connection = TcpStream::connect(&address).unwrap();
    let head = format!(
        "POST {FILES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        hue.token(),
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(&body[..2_000_000]).unwrap();
    wait_for("the row", || (app.files().0 == 1).then_some(()));
    drop(connection);
    wait_for("nothing of it", || (app.files() == (0, 0)).then_some(()));
}

#[test]
fn a_lost_object_is_said_and_never_half_an_answer() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let id = sent(&hue, "a.pdf", PDF);
    let path = format!("{FILES}/{id}/content");
    let digits = id.replace('-', "");
    let object = app
        .app
        .config
        .storage
        .join(format!("attachments/{}/{digits}/content", &digits[30..]));
    let mut bytes = Vec::new();
    std::fs::File::open(&object)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    assert_eq!(bytes, PDF);
    std::fs::write(&object, &PDF[..5]).unwrap();
    assert_eq!(hue.get(&path).expect(410).problem(), "content-missing");
    std::fs::remove_file(&object).unwrap();
    assert_eq!(hue.get(&path).expect(410).problem(), "content-missing");
    hue.get(&format!("{FILES}/{id}")).expect(200);
}
