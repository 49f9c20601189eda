//! Wrong paths and query parameters.
use data_encoding::BASE64URL_NOPAD;
use giaidap::identity::Scope;
use serde_json::{Value, json};

use super::faults;
use crate::support::desk::path_of;
use crate::support::{Client, TestApp, file};

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

/// Cursors that this list gives, with other keys in them: anybody can write them, for they are not signed.
fn forged(given: &str) -> Vec<String> {
    let json = BASE64URL_NOPAD.decode(given.as_bytes()).unwrap();
    let told: Value = serde_json::from_slice(&json).unwrap();
    let keys = [
        json!("\u{0}"),
        json!("H57\u{0}"),
        json!("\u{10ffff}"),
        json!(""),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(1e300),
        json!([0, "a\u{0}"]),
        json!([i64::MIN, i64::MAX]),
        json!(null),
        json!({}),
        json!({ "priority": 9, "at": "-262000-01-01T00:00:00Z", "id": 1 }),
        json!({ "priority": -32768, "at": "+262000-01-01T00:00:00Z", "id": i64::MAX }),
        json!({ "priority": 32767, "at": "0000-01-01T00:00:00Z", "id": i64::MIN }),
        json!({ "priority": 1, "at": "9999-12-31T23:59:60Z", "id": 0 }),
        json!({ "priority": 1, "at": "2019-11-22T09:30:00Z\u{0}", "id": 0 }),
    ];
    let encode = |key: &Value| BASE64URL_NOPAD.encode(json!([told[0], key]).to_string().as_bytes());
    keys.iter().map(encode).collect()
}

#[test]
fn a_cursor_that_somebody_made_up_breaks_no_list() {
    let app = TestApp::start();
    let (hue, admin) = (app.organisation("H57"), app.admin());
    app.supervisor();
    app.key("H57", &[Scope::TicketsRead]);
    let path = path_of(&file(&hue));
    file(&hue);
    for _ in 0..2 {
        hue.post(&format!("{path}/messages"), &json!({ "body": "x" }))
            .expect(201);
    }
    let mut tried = 0;
    for list in [
        "/api/v1/tickets?limit=1",
        "/api/v1/tickets?limit=1&sort=due_at",
        "/api/v1/tickets?limit=1&sort=-updated_at",
        "/api/v1/tickets?limit=1&sort=-priority",
        &format!("{path}/messages?limit=1"),
        &format!("{path}/events?limit=1"),
        "/api/v1/organisations?limit=1",
        "/api/v1/topics?limit=1",
        "/api/v1/queues?limit=1",
        "/api/v1/users?limit=1",
        "/api/v1/deliveries?limit=1",
    ] {
        let page = admin.get(list);
        let given = page.body["next_cursor"].as_str();
        for cursor in forged(given.unwrap_or_else(|| panic!("{list}: {}", page.text))) {
            let reply = admin.get(&format!("{list}&cursor={cursor}"));
            assert!(
                matches!(reply.status, 200 | 422),
                "{list} {cursor}: {}",
                reply.text
            );
            if reply.status == 422 {
                assert_eq!(faults(&reply), ["cursor invalid_cursor"]);
            }
            tried += 1;
        }
    }
    assert!(tried > 150);
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
        "/api/v1/queues/{}/agents",
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
