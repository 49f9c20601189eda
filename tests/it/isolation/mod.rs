//! Who may do what, over the whole route table: a new route without a row here fails the first test.
use std::collections::BTreeSet;

use giaidap::http::routes::{ROUTES, Route};
use giaidap::identity::Scope;
use serde_json::{Value, json};

use self::existence::seen;
use crate::attachments::{self, PDF};
use crate::support::desk::{agreement, path_of, policy};
use crate::support::{Client, TestApp, question};

mod credentials;
mod existence;
mod stories;

/// Callers of every kind, as seen from a ticket of H57 that Lan of the queue `technology` works on:
/// a key of another organisation; keys of its own that may only read, only write, both; an agent of another queue; a
/// colleague of Lan's; an auditor; a supervisor; an administrator.
const CALLERS: [&str; 9] = [
    "foreign",
    "reader",
    "writer",
    "own",
    "stranger",
    "colleague",
    "auditor",
    "supervisor",
    "admin",
];

/// The status of each caller, in their order, on a ticket that is assigned to Lan.
const EXPECTED: &[(&str, [u16; 9])] = &[
    ("health", [200; 9]),
    ("readiness", [200; 9]),
    ("metrics", [200; 9]),
    ("openapi_file", [200; 9]),
    ("show_status_page", [200; 9]),
    ("show_me", [200; 9]),
    // No provider is configured.
    ("begin_oidc_login", [404; 9]),
    ("finish_oidc_login", [404; 9]),
    // Of nobody's.
    ("log_in", [401; 9]),
    // With a token, which is no session, of people who have no password.
    ("log_out", [403, 403, 403, 403, 409, 409, 409, 409, 409]),
    (
        "change_own_password",
        [403, 403, 403, 403, 409, 409, 409, 409, 409],
    ),
    ("begin_totp", [403, 403, 403, 403, 409, 409, 409, 409, 409]),
    ("confirm_totp", [403, 403, 403, 403, 409, 409, 409, 409, 409]),
    ("remove_totp", [403, 403, 403, 403, 409, 409, 409, 409, 409]),
    ("list_own_sessions", [403, 403, 403, 403, 200, 200, 200, 200, 200]),
    (
        "end_other_sessions",
        [403, 403, 403, 403, 204, 204, 204, 204, 204],
    ),
    ("end_own_session", [403, 403, 403, 403, 404, 404, 404, 404, 404]),
    ("list_own_tokens", [403, 403, 403, 403, 200, 200, 200, 200, 200]),
    ("create_own_token", [403, 403, 403, 403, 201, 201, 201, 201, 201]),
    ("revoke_own_token", [403, 403, 403, 403, 404, 404, 404, 404, 404]),
    ("list_users", [403, 403, 403, 403, 200, 200, 200, 200, 200]),
    ("create_user", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    ("show_user", [403, 403, 403, 403, 200, 200, 200, 200, 200]),
    ("change_user", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    (
        "reset_second_factor",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("set_user_password", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    (
        "list_user_sessions",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("end_user_sessions", [403, 403, 403, 403, 403, 403, 403, 403, 204]),
    ("rotate_own_key", [201, 201, 201, 201, 403, 403, 403, 403, 403]),
    ("list_api_clients", [403, 403, 403, 403, 403, 403, 200, 403, 200]),
    ("create_api_client", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    ("show_api_client", [403, 403, 403, 403, 403, 403, 200, 403, 200]),
    ("change_api_client", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("list_api_keys", [403, 403, 403, 403, 403, 403, 200, 403, 200]),
    ("create_api_key", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    ("rotate_api_key", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    ("revoke_api_key", [403, 403, 403, 403, 403, 403, 403, 403, 204]),
    ("list_organisations", [200; 9]),
    ("show_organisation", [200; 9]),
    (
        "create_organisation",
        [403, 403, 403, 403, 403, 403, 403, 403, 201],
    ),
    (
        "change_organisation",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("export_organisations", [200; 9]),
    (
        "import_organisations",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    (
        "succeed_organisation",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("list_requesters", [200, 200, 403, 200, 200, 200, 200, 200, 200]),
    ("create_requester", [201, 403, 201, 201, 201, 201, 403, 201, 201]),
    ("show_requester", [404, 200, 403, 200, 200, 200, 200, 200, 200]),
    ("change_requester", [404, 403, 200, 200, 200, 200, 403, 200, 200]),
    (
        "anonymise_requester",
        [403, 403, 403, 403, 403, 403, 403, 200, 200],
    ),
    ("list_topics", [200; 9]),
    ("show_topic", [200; 9]),
    (
        "replace_custom_fields",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("show_custom_fields_schema", [200; 9]),
    ("list_queues", [200; 9]),
    ("show_queue", [200; 9]),
    ("summarise_queue", [403, 403, 403, 403, 200, 200, 200, 200, 200]),
    ("list_queue_agents", [403, 403, 403, 403, 200, 200, 200, 200, 200]),
    (
        "show_operational_target",
        [403, 403, 403, 403, 404, 404, 404, 404, 404],
    ),
    (
        "replace_operational_target",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("claim_next", [403, 403, 403, 403, 403, 204, 403, 204, 204]),
    ("list_calendars", [200; 9]),
    ("create_calendar", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    ("show_calendar", [200; 9]),
    ("replace_calendar", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("change_calendar", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("preview_calendar", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    (
        "list_calendar_versions",
        [403, 403, 403, 403, 200, 200, 200, 200, 200],
    ),
    (
        "show_calendar_version",
        [403, 403, 403, 403, 200, 200, 200, 200, 200],
    ),
    ("list_calendar_exceptions", [200; 9]),
    ("export_calendar", [200; 9]),
    ("import_calendar", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("compute_due", [200; 9]),
    ("compute_elapsed", [200; 9]),
    ("list_sla_policies", [200; 9]),
    ("show_sla_policy", [200; 9]),
    ("match_sla_policy", [200; 9]),
    ("create_sla_policy", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    (
        "replace_sla_policy",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    (
        "preview_sla_policy",
        [403, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("retire_sla_policy", [403, 403, 403, 403, 403, 403, 403, 403, 409]),
    (
        "list_sla_policy_versions",
        [403, 403, 403, 403, 200, 200, 200, 200, 200],
    ),
    (
        "show_sla_policy_version",
        [403, 403, 403, 403, 200, 200, 200, 200, 200],
    ),
    ("list_agreements", [200; 9]),
    ("create_agreement", [403, 403, 403, 403, 403, 403, 403, 403, 201]),
    ("show_agreement", [404, 200, 200, 200, 200, 200, 200, 200, 200]),
    ("end_agreement", [403, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("file_ticket", [201, 403, 201, 201, 201, 201, 403, 201, 201]),
    ("list_tickets", [200, 200, 403, 200, 200, 200, 200, 200, 200]),
    ("bulk_tickets", [200, 403, 200, 200, 200, 200, 403, 200, 200]),
    ("show_ticket", [404, 200, 403, 200, 404, 200, 200, 200, 200]),
    ("change_ticket", [403, 403, 403, 403, 404, 200, 403, 200, 200]),
    ("post_message", [404, 403, 201, 201, 404, 201, 403, 201, 201]),
    ("list_messages", [404, 200, 403, 200, 404, 200, 200, 200, 200]),
    ("post_note", [403, 403, 403, 403, 404, 201, 403, 201, 201]),
    ("list_notes", [403, 403, 403, 403, 404, 200, 200, 200, 200]),
    ("show_ticket_sla", [404, 200, 403, 200, 404, 200, 200, 200, 200]),
    (
        "explain_ticket_sla",
        [404, 200, 403, 200, 404, 200, 200, 200, 200],
    ),
    ("simulate_sla", [200; 9]),
    ("list_events", [404, 200, 403, 200, 404, 200, 200, 200, 200]),
    ("upload_attachment", [201, 403, 201, 201, 201, 201, 403, 201, 201]),
    ("show_attachment", [404, 200, 403, 200, 404, 200, 200, 200, 200]),
    (
        "download_attachment",
        [404, 200, 403, 200, 404, 200, 200, 200, 200],
    ),
    ("delete_attachment", [404, 403, 403, 409, 404, 409, 403, 409, 409]),
    ("attach_file", [404, 403, 201, 201, 404, 201, 403, 201, 201]),
    ("list_attachments", [404, 200, 403, 200, 404, 200, 200, 200, 200]),
    ("claim_ticket", [403, 403, 403, 403, 404, 409, 403, 409, 409]),
    ("assign_ticket", [403, 403, 403, 403, 403, 403, 403, 200, 200]),
    ("release_ticket", [403, 403, 403, 403, 404, 403, 403, 200, 200]),
    ("transfer_ticket", [403, 403, 403, 403, 404, 200, 403, 200, 200]),
    ("wait_ticket", [403, 403, 403, 403, 404, 403, 403, 200, 200]),
    ("resume_ticket", [403, 403, 403, 403, 404, 403, 403, 409, 409]),
    ("resolve_ticket", [403, 403, 403, 403, 404, 403, 403, 200, 200]),
    ("close_ticket", [404, 403, 409, 409, 404, 409, 403, 409, 409]),
    ("reopen_ticket", [404, 403, 409, 409, 404, 409, 403, 409, 409]),
    ("cancel_ticket", [404, 403, 200, 200, 404, 200, 403, 200, 200]),
    ("list_deliveries", [403, 403, 403, 403, 403, 403, 200, 200, 200]),
    ("show_delivery", [403, 403, 403, 403, 403, 403, 200, 200, 200]),
    ("retry_delivery", [403, 403, 403, 403, 403, 403, 403, 200, 200]),
    ("report_sla", [403, 403, 403, 403, 403, 403, 200, 200, 200]),
    ("list_open311_services", [200; 9]),
    ("show_open311_service", [200; 9]),
    // A key files for its own organisation; staff have none to file for in a form.
    (
        "file_open311_request",
        [201, 403, 201, 201, 400, 400, 403, 400, 400],
    ),
    (
        "list_open311_requests",
        [200, 200, 403, 200, 200, 200, 200, 200, 200],
    ),
    (
        "show_open311_request",
        [404, 200, 403, 200, 404, 200, 200, 200, 200],
    ),
    (
        "show_open311_token",
        [404, 200, 403, 200, 404, 200, 200, 200, 200],
    ),
];

fn callers(app: &TestApp) -> Vec<Client> {
    vec![
        app.organisation("H26"),
        app.key("H57", &[Scope::TicketsRead]),
        app.key("H57", &[Scope::TicketsWrite]),
        app.organisation("H57"),
        app.agent("stranger", &["policy"]),
        app.agent("colleague", &["technology"]),
        app.auditor(),
        app.supervisor(),
        app.admin(),
    ]
}

/// A body that the operation takes.
pub fn body_for(operation: &str, caller: &str) -> Option<Value> {
    Some(match operation {
        "bulk_tickets" => {
            json!({ "mode": "each", "items": [{ "operation": "claim", "ticket": "GD-2019-000001" }] })
        }
        "file_ticket" => {
            let mut body = question();
            if !matches!(caller, "foreign" | "reader" | "writer" | "own") {
                body["organisation"] = json!("H57");
            }
            body
        }
        // Each caller as somebody else, who would have to wait otherwise.
        "log_in" => json!({ "email": format!("{caller}@nowhere.example"), "password": "mật khẩu nào đó" }),
        "change_own_password" => json!({ "current": "một mật khẩu cũ", "new": "mười hai con giáp đi chợ" }),
        "begin_totp" => json!({ "password": "một mật khẩu cũ" }),
        "confirm_totp" => json!({ "code": "000000" }),
        "remove_totp" => json!({ "password": "một mật khẩu cũ", "code": "000000" }),
        "create_own_token" => json!({ "name": "Báo cáo" }),
        "create_user" => json!({ "email": "moi@centre.example", "name": "Mới", "role": "agent" }),
        "change_user" => json!({ "name": "Người khác" }),
        "reset_second_factor" => json!({}),
        "set_user_password" => json!({ "password": "mười hai con giáp đi chợ" }),
        "create_calendar" => json!({
            "code": "own-hours",
            "time_zone": "Asia/Ho_Chi_Minh",
            "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }],
        }),
        "replace_calendar" => json!({
            "time_zone": "Asia/Ho_Chi_Minh",
            "patterns": [{ "valid_from": "2019-01-01", "weekly": { "mon": [["08:00", "12:00"]] } }],
            "reason": "Quyết định mới.",
        }),
        "change_calendar" => json!({
            "set_exceptions": [{ "date": "2020-03-02", "intervals": [] }],
            "reason": "Quyết định mới.",
        }),
        "preview_calendar" => json!({ "set_exceptions": [{ "date": "2020-03-02", "intervals": [] }] }),
        "replace_custom_fields" => json!({ "custom_fields": [] }),
        "replace_operational_target" => json!({ "business_minutes": { "urgent": 30 } }),
        // A text is a file.
        "import_calendar" => json!("date\n2019-11-25\n"),
        "import_organisations" => json!("code,kind,name_vi\nX1,other,Một\n"),
        "create_api_client" => json!({ "organisation": "H57", "name": "Một cửa" }),
        "change_api_client" => json!({ "include_units": false }),
        "create_api_key" => json!({ "scopes": ["tickets:read"] }),
        "create_organisation" => {
            json!({ "code": "H57.14", "kind": "agency", "name": { "vi": "Sở", "en": "Department" } })
        }
        "change_organisation" => json!({ "short_name": "Huế" }),
        "succeed_organisation" => {
            json!({ "successor": "H57-2025", "last_day": "2025-01-15", "preview": true })
        }
        "create_requester" => match caller {
            "foreign" | "reader" | "writer" | "own" => json!({ "name": "Bình" }),
            _ => json!({ "name": "Bình", "organisation": "H57" }),
        },
        "change_requester" => json!({ "unit": "Văn phòng" }),
        "anonymise_requester" => json!({ "reason": "Theo yêu cầu." }),
        "match_sla_policy" => match caller {
            "foreign" | "reader" | "writer" | "own" => json!({}),
            _ => json!({ "organisation": "H57" }),
        },
        "create_sla_policy" => policy("provinces", 10, json!({ "kind": ["province"] })),
        "replace_sla_policy" | "preview_sla_policy" => policy("default", 1000, json!({})),
        "retire_sla_policy" => json!({ "reason": "Không dùng nữa." }),
        "create_agreement" => agreement("H57", "2020-01-01"),
        "end_agreement" => json!({ "valid_to": "2029-12-31", "reason": "Theo thỏa thuận." }),
        "compute_due" => json!({ "from": "2019-11-22T16:30:00+07:00", "business_seconds": 60 }),
        "compute_elapsed" => {
            json!({ "from": "2019-11-22T16:30:00+07:00", "to": "2019-11-25T16:30:00+07:00" })
        }
        "change_ticket" => json!({ "priority": "high" }),
        "simulate_sla" => {
            let mut body = json!({ "filed_at": "2019-11-22T16:30:00+07:00" });
            if !matches!(caller, "foreign" | "reader" | "writer" | "own") {
                body["organisation"] = json!("H57");
            }
            body
        }
        // A form.
        "file_open311_request" => json!("service_code=NGSP&description=Xin+h%E1%BB%8Fi."),
        "post_message" | "post_note" => json!({ "body": "Xin chào." }),
        "assign_ticket" => json!({ "assignee": "colleague@centre.example" }),
        "transfer_ticket" => json!({ "queue": "security", "reason": "Đúng nhóm hơn." }),
        "wait_ticket" => json!({ "message": "Đề nghị bổ sung." }),
        "resolve_ticket" => json!({ "outcome": "answered", "message": "Trả lời." }),
        "reopen_ticket" | "cancel_ticket" => json!({ "reason": "Có lý do." }),
        _ => return None,
    })
}

/// The path of a route to this thing; what else it names is there or not for everybody alike.
fn concrete(route: &Route, id: &str) -> String {
    route
        .path
        .replace("{id}", id)
        .replace("{version}", "1")
        .replace("{format}", "json")
        .replace("{key}", "gdk_aaaaaaaaaaaaaaaa")
}

pub fn send(
    caller: &Client,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> crate::support::client::Reply {
    match (method, body) {
        ("POST", _) if path.ends_with("/attachments") => attachments::send(caller, path, "a.pdf", PDF),
        ("DELETE", _) => caller.send(method, path, None, None),
        ("GET", _) => caller.get(path),
        ("PUT", Some(body)) if path.ends_with("/operational-target") => caller.put(path, body),
        // Whoever replaces something says of which version.
        ("PUT" | "PATCH", Some(body)) => {
            let body = body.to_string();
            caller
                .with("If-Match", "*")
                .send(method, path, Some("application/json"), Some(body.as_bytes()))
        }
        (_, Some(Value::String(form))) if path.starts_with("/open311/") => {
            caller.post_raw(path, "application/x-www-form-urlencoded", form.as_bytes())
        }
        (_, Some(Value::String(file))) => caller.post_raw(path, "text/csv", file.as_bytes()),
        (_, Some(body)) => caller.post(path, body),
        _ => caller.call(path),
    }
}

#[test]
fn every_route_has_a_row() {
    let names: BTreeSet<&str> = EXPECTED.iter().map(|(operation, _)| *operation).collect();
    let routes: BTreeSet<&str> = ROUTES.iter().map(|route| route.operation).collect();
    assert_eq!(names, routes, "a route without a row, or the reverse");
}

/// Parts of the table, which are tried beside each other.
const PARTS: usize = 4;

#[test]
fn every_route_answers_every_kind_of_principal_as_the_table_says_part_1() {
    try_routes(0);
}

#[test]
fn every_route_answers_every_kind_of_principal_as_the_table_says_part_2() {
    try_routes(1);
}

#[test]
fn every_route_answers_every_kind_of_principal_as_the_table_says_part_3() {
    try_routes(2);
}

#[test]
fn every_route_answers_every_kind_of_principal_as_the_table_says_part_4() {
    try_routes(3);
}

fn try_routes(part: usize) {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let lan = app.agent("lan", &["technology"]);
    app.agent("former", &[]);
    let callers = callers(&app);
    let admin = callers.last().unwrap();
    // Begins when the others have ended, so that they stand beside each other.
    let agreed = admin
        .post("/api/v1/agreements", &agreement("H57", "2029-01-01"))
        .expect(201)
        .body;
    let agreed = agreed["id"].as_str().unwrap().to_owned();
    let program = json!({ "organisation": "H57", "name": "Dịch vụ công" });
    let program = admin.post("/api/v1/api-clients", &program).expect(201).body;
    let program = program["id"].as_str().unwrap().to_owned();
    let keys = format!("/api/v1/api-clients/{program}/keys");
    let key = admin
        .post(&keys, &json!({ "scopes": ["tickets:read"] }))
        .expect(201)
        .body;
    let key = key["lookup"].as_str().unwrap().to_owned();
    let mut wrong = Vec::new();
    for route in ROUTES.iter().skip(part).step_by(PARTS) {
        let row = EXPECTED
            .iter()
            .find(|(operation, _)| *operation == route.operation);
        for ((caller, name), expected) in callers.iter().zip(CALLERS).zip(row.unwrap().1) {
            let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
            let ticket_path = path_of(&ticket);
            lan.call(&format!("{ticket_path}/claim")).expect(200);
            // Of the ticket, so that it is seen by whoever sees that.
            let attached = match route.path.starts_with("/api/v1/attachments/") {
                true => attachments::send(&lan, &format!("{ticket_path}/attachments"), "a.pdf", PDF).body,
                false => Value::Null,
            };
            let (id, missing) = match route.path.split('/').nth(3).unwrap_or_default() {
                "services" => ("NGSP".to_owned(), "NONE"),
                "organisations" => ("H57".to_owned(), "H99"),
                "topics" => ("NGSP".to_owned(), "NONE"),
                "queues" => ("technology".to_owned(), "none"),
                "calendars" => ("vn-government".to_owned(), "none"),
                "sla-policies" => ("default".to_owned(), "none"),
                "agreements" => (agreed.clone(), "00000000-0000-7000-8000-000000000000"),
                "attachments" => (
                    attached["id"].as_str().unwrap_or_default().to_owned(),
                    "00000000-0000-7000-8000-000000000000",
                ),
                "users" => ("former@centre.example".to_owned(), "nobody@centre.example"),
                "api-clients" => (program.clone(), "00000000-0000-7000-8000-000000000000"),
                "requesters" => {
                    let asker = "/api/v1/requesters?organisation=H57&email=lan@hue.example";
                    let found = admin.get(asker).expect(200).body;
                    let id = found["items"][0]["id"].as_str().unwrap().to_owned();
                    (id, "00000000-0000-7000-8000-000000000000")
                }
                "deliveries" => {
                    let of_ticket =
                        format!("/api/v1/deliveries?ticket={}", ticket["number"].as_str().unwrap());
                    let found = admin.get(&of_ticket).expect(200).body;
                    let id = found["items"][0]["id"].as_str().unwrap().to_owned();
                    (id, "00000000-0000-7000-8000-000000000000")
                }
                _ => (ticket["number"].as_str().unwrap().to_owned(), "GD-2019-999999"),
            };
            let token = ticket["status_link"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap();
            let query = if route.operation == "report_sla" {
                "?from=2019-11-01&to=2019-11-22"
            } else {
                ""
            };
            let path_with = |id: &str| {
                format!(
                    "{}{query}",
                    route
                        .path
                        .replace("{id}", id)
                        .replace("{token}", token)
                        .replace("{version}", "1")
                        .replace("{format}", "json")
                        .replace("{key}", &key)
                )
            };
            let body = body_for(route.operation, name);
            let reply = send(caller, route.method, &path_with(&id), body.as_ref());
            if reply.status != expected {
                wrong.push(format!(
                    "{} as {name}: {} instead of {expected}: {}",
                    route.operation, reply.status, reply.text
                ));
            }
            // Who may not know that a ticket exists gets the same words where there is none.
            if name == "foreign" && route.path.contains("/requesters/{id}") {
                let nothing = send(caller, route.method, &path_with(missing), body.as_ref());
                assert_eq!(seen(&reply), seen(&nothing), "{} as {name}", route.operation);
            }
            if matches!(name, "foreign" | "stranger")
                && reply.status >= 400
                && (route.path.contains("/tickets/{id}") || route.path.contains("/attachments/{id}"))
            {
                let nothing = send(caller, route.method, &path_with(missing), body.as_ref());
                assert_eq!(seen(&reply), seen(&nothing), "{} as {name}", route.operation);
                if route.path.contains("/attachments/{id}") {
                    continue;
                }
                let by_id = send(
                    caller,
                    route.method,
                    &path_with(ticket["id"].as_str().unwrap()),
                    body.as_ref(),
                );
                assert_eq!(seen(&by_id), seen(&nothing), "{} as {name}", route.operation);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
