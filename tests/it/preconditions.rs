//! `ETag`, `If-None-Match` and `If-Match` over the whole route table: a new route without a row here fails. Which POSTs
//! take `Idempotency-Key` stands in `idempotency.rs`.
use std::collections::BTreeSet;

use giaidap::http::routes::{ROUTES, Route};
use serde_json::Value;

use crate::attachments::{self, PDF};
use crate::isolation::body_for;
use crate::support::Client;
use crate::support::contract::Contract;
use crate::support::things::Things;

/// GETs of one thing that changes: `ETag`, and 304 to who has it.
const TAGGED: &[&str] = &[
    "show_api_client",
    "show_user",
    "show_organisation",
    "show_requester",
    "show_topic",
    "show_custom_fields_schema",
    "show_queue",
    "show_attachment",
    "download_attachment",
    "show_operational_target",
    "show_calendar",
    "export_calendar",
    "show_sla_policy",
    "show_agreement",
    "show_ticket",
    "show_delivery",
];

/// GETs without a tag, and why.
const UNTAGGED: &[(&str, &str)] = &[
    ("health", "of this moment"),
    ("readiness", "of this moment"),
    ("metrics", "of this moment"),
    ("openapi_file", "changes with the binary only"),
    ("show_status_page", "may not be kept anywhere"),
    ("show_me", "made of the credential, not stored as one thing"),
    ("begin_oidc_login", "sends the browser elsewhere"),
    ("finish_oidc_login", "opens a session"),
    ("export_organisations", "a list, as a file"),
    ("summarise_queue", "computed"),
    ("show_calendar_version", "never changes"),
    ("show_sla_policy_version", "never changes"),
    ("show_ticket_sla", "computed as of now"),
    ("explain_ticket_sla", "computed as of now"),
    ("report_sla", "computed"),
    ("show_open311_service", "GeoReport v2 knows no tags"),
    ("show_open311_request", "GeoReport v2 knows no tags"),
    ("show_open311_token", "GeoReport v2 knows no tags"),
];

/// What a change demands of `If-Match`.
#[derive(Clone, Copy, PartialEq)]
enum Demand {
    Optional,
    Required,
    /// Required where there is something to overwrite.
    FromTheSecondOn,
}

/// PUTs, PATCHes and DELETEs.
const CHANGES: &[(&str, Demand)] = &[
    ("change_api_client", Demand::Required),
    ("change_user", Demand::Required),
    ("change_organisation", Demand::Required),
    ("change_requester", Demand::Required),
    ("replace_custom_fields", Demand::Required),
    ("delete_attachment", Demand::Optional),
    ("replace_operational_target", Demand::FromTheSecondOn),
    ("replace_calendar", Demand::Required),
    ("change_calendar", Demand::Required),
    ("replace_sla_policy", Demand::Required),
    ("change_ticket", Demand::Optional),
];

/// PUTs, PATCHes and DELETEs that take no version, and why.
const UNBOUND: &[(&str, &str)] = &[
    ("change_own_password", "asks for the present one"),
    (
        "end_other_sessions",
        "nothing may stand between a lost session and its end",
    ),
    (
        "end_own_session",
        "nothing may stand between a lost session and its end",
    ),
    (
        "end_user_sessions",
        "nothing may stand between a lost session and its end",
    ),
    (
        "revoke_own_token",
        "nothing may stand between a leaked token and its end",
    ),
    (
        "revoke_api_key",
        "nothing may stand between a leaked key and its end",
    ),
];

/// POSTs on one thing that take no version, and why.
const UNVERSIONED: &[(&str, &str)] = &[
    ("create_api_key", "adds, and clashes with nothing"),
    ("rotate_api_key", "its key is never changed, only ended"),
    ("claim_next", "which ticket it will be is not known before"),
    ("import_calendar", "only compares"),
    ("compute_due", "only computes"),
    ("compute_elapsed", "only computes"),
    ("retry_delivery", "asks for the same again"),
];

fn send(caller: &Client, route: &Route, path: &str, body: Option<&Value>) -> u16 {
    let body = body.map(Value::to_string);
    let content_type = body.as_ref().map(|_| "application/json");
    let reply = caller.send(
        route.method,
        path,
        content_type,
        body.as_ref().map(String::as_bytes),
    );
    if reply.status == 412 {
        assert_eq!(reply.problem(), "precondition-failed");
    }
    reply.status
}

fn is_list(route: &Route) -> bool {
    route.operation.starts_with("list_")
}

#[test]
fn every_read_of_something_that_changes_is_tagged() {
    let named: BTreeSet<&str> = TAGGED
        .iter()
        .copied()
        .chain(UNTAGGED.iter().map(|(name, _)| *name))
        .collect();
    let served: BTreeSet<&str> = ROUTES
        .iter()
        .filter(|route| route.method == "GET" && !is_list(route))
        .map(|route| route.operation)
        .collect();
    assert_eq!(named, served, "a read without a row, or the reverse");
    let things = Things::new();
    for route in ROUTES.iter().filter(|route| TAGGED.contains(&route.operation)) {
        let (path, admin) = (things.path(route), &things.admin);
        let first = admin.get(&path).expect(200);
        let tag = first
            .header("etag")
            .unwrap_or_else(|| panic!("{} has no ETag", route.operation));
        for known in [tag, "*", &format!("\"x\", {tag}"), &format!("W/{tag}")] {
            let again = admin.with("If-None-Match", known).get(&path);
            assert_eq!(
                (again.status, again.text.as_str()),
                (304, ""),
                "{} {known}",
                route.operation
            );
            assert_eq!(again.header("etag"), Some(tag), "{}", route.operation);
        }
        let other = admin.with("If-None-Match", "\"other\"").get(&path).expect(200);
        assert_eq!(other.body, first.body, "{}", route.operation);
    }
}

#[test]
fn every_change_can_be_bound_to_a_version() {
    let unbound = UNBOUND.iter().map(|(name, _)| *name);
    let named: BTreeSet<&str> = CHANGES.iter().map(|(name, _)| *name).chain(unbound).collect();
    let changing = ["PUT", "PATCH", "DELETE"];
    let served: BTreeSet<&str> = ROUTES
        .iter()
        .filter(|route| changing.contains(&route.method))
        .map(|route| route.operation)
        .collect();
    assert_eq!(named, served, "a change without a row, or the reverse");
    let things = Things::new();
    for (operation, demand) in CHANGES {
        let route = ROUTES.iter().find(|route| route.operation == *operation).unwrap();
        let (path, body) = (things.path(route), body_for(operation, "admin"));
        // Where what is replaced is shown with the thing that it belongs to.
        let shown = path.trim_end_matches("/custom-fields");
        let before = (things.app.footprint(), things.admin.get(shown).expect(200).body);
        let stale = things.admin.with("If-Match", "\"99\"");
        assert_eq!(send(&stale, route, &path, body.as_ref()), 412, "{operation}");
        if *demand != Demand::Optional {
            assert_eq!(
                send(&things.admin, route, &path, body.as_ref()),
                428,
                "{operation}"
            );
        }
        let after = (things.app.footprint(), things.admin.get(shown).expect(200).body);
        assert_eq!(before, after, "{operation}");
        let tag = things.admin.get(shown).expect(200);
        let fresh = things.admin.with("If-Match", tag.header("etag").unwrap());
        let changed = send(&fresh, route, &path, body.as_ref());
        assert!(matches!(changed, 200 | 204), "{operation}: {changed}");
    }
}

#[test]
fn every_operation_on_one_thing_can_be_bound_to_its_version() {
    let things = Things::new();
    let contract = Contract::global();
    for route in ROUTES
        .iter()
        .filter(|route| route.method == "POST" && route.path.contains("{id}"))
    {
        let takes = contract.parameters(route.method, route.path).unwrap();
        let is_free = UNVERSIONED.iter().any(|(name, _)| *name == route.operation);
        let takes_version = takes.iter().any(|name| name == "If-Match");
        assert_ne!(
            takes_version, is_free,
            "{}: takes If-Match, or stands in UNVERSIONED",
            route.operation
        );
        if is_free {
            // Whoever decided on what a ticket says must be able to say so, whatever they do to it.
            assert!(
                !route.path.starts_with("/api/v1/tickets/"),
                "{} may not do without If-Match",
                route.operation
            );
            continue;
        }
        let path = things.path(route);
        let before = things.app.footprint();
        let send = |caller: &Client| match route.operation {
            "attach_file" => attachments::send(caller, &path, "a.pdf", PDF).status,
            _ => send(caller, route, &path, body_for(route.operation, "admin").as_ref()),
        };
        let stale = things.admin.with("If-Match", "\"99\"");
        assert_eq!(send(&stale), 412, "{}", route.operation);
        assert_eq!(things.app.footprint(), before, "{}", route.operation);
        if matches!(route.operation, "attach_file" | "post_message" | "post_note") {
            let shown = things.admin.get(path.rsplit_once('/').unwrap().0).expect(200);
            let fresh = things.admin.with("If-Match", shown.header("etag").unwrap());
            assert_eq!(send(&fresh), 201, "{}", route.operation);
            // What an organisation may not see makes the ticket no other.
            let again = if route.operation == "post_note" { 201 } else { 412 };
            assert_eq!(send(&fresh), again, "{}", route.operation);
        }
    }
}
