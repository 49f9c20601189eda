//! The server and `openapi.yaml` are one: the same routes, the same refusals, the file itself served. What single answers
//! look like is held by the client of every test (`support::client`).
use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use giaidap::http::routes::{Access, READ_QUERY, ROUTES};
use giaidap::http::site::OPENAPI;
use giaidap::identity::access::Action;
use serde_json::{Value, json};

use crate::support::client::Reply;
use crate::support::contract::Contract;
use crate::support::desk::without_request_id;
use crate::support::things::Things;
use crate::support::{Client, TestApp};

/// A path of the table with something in place of its parameters.
fn concrete(path: &str) -> String {
    path.replace("{id}", "GD-2019-000001")
        .replace("{token}", "x")
        .replace("{version}", "1")
        .replace("{format}", "json")
        .replace("{key}", "00000000-0000-7000-8000-000000000000")
}

fn as_text(problem: &Reply) -> (u16, Value, Option<String>, Option<String>) {
    let header = |name| problem.header(name).map(str::to_owned);
    (
        problem.status,
        without_request_id(&problem.body),
        header("content-type"),
        header("content-language"),
    )
}

#[test]
fn the_route_table_and_the_contract_name_the_same_operations() {
    let served: BTreeSet<(String, String, String)> = ROUTES
        .iter()
        .map(|route| (route.method.into(), route.path.into(), route.operation.into()))
        .collect();
    assert_eq!(
        served.len(),
        ROUTES.len(),
        "an operation stands in the table twice"
    );
    let declared: BTreeSet<_> = Contract::global().operations().into_iter().collect();
    let undeclared: Vec<_> = served.difference(&declared).collect();
    let unserved: Vec<_> = declared.difference(&served).collect();
    assert!(
        undeclared.is_empty() && unserved.is_empty(),
        "not in openapi.yaml: {undeclared:?}; not served: {unserved:?}"
    );
}

#[test]
fn every_limited_operation_declares_how_it_refuses() {
    let contract = Contract::global();
    let probes = ["/healthz", "/readyz", "/metrics"];
    for route in ROUTES.iter().filter(|route| !probes.contains(&route.path)) {
        let statuses = contract.statuses(route.method, route.path).unwrap();
        for refusal in ["414", "429", "431"] {
            assert!(
                statuses.iter().any(|status| status == refusal),
                "{} does not declare {refusal}: run bin/complete-contract",
                route.operation
            );
        }
    }
}

/// A session or token of few scopes is refused where no scope is needed too; only who one is, it always learns.
#[test]
fn every_operation_that_needs_somebody_declares_whom_it_refuses() {
    let contract = Contract::global();
    let needs = |access| matches!(access, Access::Needs(action) if action != Action::ReadSelf);
    for route in ROUTES.iter().filter(|route| needs(route.access)) {
        let statuses = contract.statuses(route.method, route.path).unwrap();
        for refusal in ["401", "403"] {
            assert!(
                statuses.iter().any(|status| status == refusal),
                "{} does not declare {refusal}",
                route.operation
            );
        }
    }
}

#[test]
fn a_caller_without_a_valid_token_learns_nothing_else() {
    let app = TestApp::start();
    let (expired, revoked) = (app.organisation("H57"), app.organisation("H26"));
    let dismissed = app.agent("lan", &["technology"]);
    let lookup = |client: &Client| client.token().split('_').nth(1).unwrap().to_owned();
    let (expired_lookup, revoked_lookup) = (lookup(&expired), lookup(&revoked));
    app.sql(&format!(
        "UPDATE credentials SET expires_at = '2019-11-22T09:30:00.000000Z' WHERE lookup = '{expired_lookup}'"
    ));
    app.sql(&format!(
        "UPDATE credentials SET revoked_at = '2019-11-22T09:00:00.000000Z' WHERE lookup = '{revoked_lookup}'"
    ));
    app.sql("UPDATE users SET active = false WHERE email = 'lan@centre.example'");
    let known = app.admin();
    let wrong_secret = format!("gdt_{}_{}", lookup(&known), "a".repeat(52));
    let with = |value: String| app.anonymous().with("Authorization", &value);
    let callers = [
        ("an expired key", expired),
        ("a revoked key", revoked),
        ("a token of an inactive user", dismissed),
        (
            "a known token with a wrong secret",
            with(format!("Bearer {wrong_secret}")),
        ),
        (
            "an unknown token",
            with(format!("Bearer gdk_{}_{}", "a".repeat(16), "a".repeat(52))),
        ),
        ("rubbish", with("Bearer x".into())),
        ("a scheme alone", with("Bearer".into())),
        ("nothing after the scheme", with("Bearer ".into())),
        ("another scheme", with(format!("Basic {}", known.token()))),
        ("a token without a scheme", with(known.token().into())),
        (
            "a very long token",
            with(format!("Bearer gdt_{}", "a".repeat(4000))),
        ),
        ("a token with a NUL escape", with("Bearer gdt_%00_%00".into())),
    ];
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.access, Access::Needs(_)))
    {
        let path = concrete(route.path);
        let bare = app.anonymous().send(route.method, &path, None, None).expect(401);
        assert_eq!(bare.problem(), "unauthenticated", "{path}");
        assert_eq!(bare.header("www-authenticate"), Some("Bearer realm=\"giaidap\""));
        for (who, caller) in &callers {
            let refused = caller.send(route.method, &path, None, None);
            assert_eq!(
                as_text(&refused),
                as_text(&bare),
                "{who}, {} {path}",
                route.method
            );
            assert_eq!(
                refused.header("www-authenticate"),
                Some("Bearer realm=\"giaidap\", error=\"invalid_token\""),
                "{who}"
            );
        }
    }
}

#[test]
fn the_scheme_of_a_token_may_be_written_in_any_case() {
    let app = TestApp::start();
    let token = app.admin().token().to_owned();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let caller = app
            .anonymous()
            .with("Authorization", &format!("{scheme} {token}"));
        caller.get("/api/v1/me").expect(200);
    }
}

#[test]
fn every_path_refuses_the_methods_it_does_not_have_and_names_those_it_has() {
    let app = TestApp::start();
    let admin = app.admin();
    let paths: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    for path in paths {
        let mut has: Vec<&str> = Vec::new();
        for route in ROUTES.iter().filter(|route| route.path == path) {
            has.push(route.method);
            if route.method == "GET" {
                has.push("HEAD");
            }
        }
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if has.contains(&method) {
                continue;
            }
            let refused = admin.send(method, &concrete(path), None, None).expect(405);
            if method != "HEAD" {
                assert_eq!(refused.problem(), "method-not-allowed", "{method} {path}");
            }
            let allowed = refused.header("allow").unwrap();
            let names: Vec<&str> = allowed.split(", ").collect();
            assert_eq!(names, has, "{method} {path}");
        }
    }
}

#[test]
fn head_is_answered_like_get_without_a_body() {
    let things = Things::new();
    for route in ROUTES.iter().filter(|route| route.method == "GET") {
        let query = match route.operation {
            "report_sla" => "?from=2019-11-01&to=2019-11-22",
            _ => "",
        };
        let path = format!("{}{query}", things.path_of_old(route));
        let caller = match route.path.starts_with("/open311/") {
            true => &things.program,
            false => &things.admin,
        };
        let (got, head) = (caller.get(&path), caller.send("HEAD", &path, None, None));
        // Without a provider there is no login by one.
        let is_there = !route.path.starts_with("/api/v1/auth/oidc/");
        assert_eq!(got.status == 200, is_there, "{path}: {}", got.text);
        assert_eq!((head.status, head.text.as_str()), (got.status, ""), "{path}");
        for name in ["content-type", "etag", "cache-control", "content-language"] {
            assert_eq!(head.header(name), got.header(name), "{name} of {path}");
        }
    }
    let me = things.app.anonymous().send("HEAD", "/api/v1/me", None, None);
    let bare = me.expect(401);
    assert!(bare.header("www-authenticate").is_some());
}

#[test]
fn the_contract_is_served_as_it_is() {
    let app = TestApp::start();
    let served = app.anonymous().get("/openapi.yaml").expect(200);
    assert_eq!(served.header("content-type"), Some("application/yaml"));
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml")).unwrap();
    assert!(
        served.text == file && file == OPENAPI,
        "another text than the file's"
    );
}

/// The values of `src` and `href` in a page.
fn references(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            found.push(rest.split('"').next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn the_documentation_needs_no_network() {
    let app = TestApp::start();
    let visitor = app.anonymous();
    let moved = visitor.get("/docs").expect(308);
    assert_eq!(moved.header("location"), Some("/docs/"));
    let page = visitor.get("/docs/").expect(200);
    assert!(!page.text.contains("://"), "an address outside: {}", page.text);
    let references = references(&page.text);
    assert!(references.len() >= 4, "{references:?}");
    for reference in references {
        assert!(!reference.starts_with("//"), "{reference}");
        let path = reference.trim_start_matches("./");
        let asset = visitor.get(&format!("/docs/{path}")).expect(200);
        assert!(!asset.text.is_empty(), "{path}");
    }
    for path in ["/docs/", "/docs/swagger-initializer.js"] {
        let reply = visitor.get(path);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let start = visitor.get("/docs/swagger-initializer.js").expect(200).text;
    let validator = start.replace([' ', '\n'], "");
    assert!(validator.contains("\"validatorUrl\":\"none\""), "{start}");
    assert!(start.contains("/openapi.yaml"), "{start}");
    assert!(!start.contains("://"), "{start}");
}

#[test]
fn the_root_leads_to_the_documentation() {
    let app = TestApp::start();
    let answer = app.anonymous().get("/");
    assert_eq!((answer.status, answer.header("location")), (308, Some("/docs/")));
}

#[test]
fn an_unknown_path_is_a_problem_in_the_callers_language() {
    let app = TestApp::start();
    let wishes = [
        (None, "vi", "Không tìm thấy"),
        (Some("vi"), "vi", "Không tìm thấy"),
        (Some("fr"), "vi", "Không tìm thấy"),
        (Some("*"), "vi", "Không tìm thấy"),
        (Some(";;q=,"), "vi", "Không tìm thấy"),
        (Some("en"), "en", "Not found"),
        (Some("en-GB,en;q=0.9"), "en", "Not found"),
        (Some("vi;q=0.2, en;q=0.8"), "en", "Not found"),
        (Some("en;q=0.2, vi;q=0.8"), "vi", "Không tìm thấy"),
    ];
    for path in [
        "/nothing",
        "/api/v1/nothing",
        "/api/v1/tickets/x/nothing",
        "/api/v2/me",
    ] {
        for (wish, language, title) in wishes {
            let caller = match wish {
                Some(wish) => app.anonymous().with("Accept-Language", wish),
                None => app.anonymous(),
            };
            let missing = caller.get(path).expect(404);
            assert_eq!(missing.problem(), "not-found", "{path}");
            assert_eq!(missing.body["title"], title, "{path} {wish:?}");
            assert_eq!(
                missing.header("content-language"),
                Some(language),
                "{path} {wish:?}"
            );
            assert_eq!(missing.header("content-type"), Some("application/problem+json"));
        }
    }
}

#[test]
fn a_request_id_is_echoed_where_it_is_harmless_and_replaced_elsewhere() {
    let app = TestApp::start();
    let longest = "a".repeat(128);
    for kept in [
        "7f0c1b6e-1f0b-4c58-9a36-3c9d2b6f1d11",
        "a",
        "A-z_0.9:/+=",
        &longest,
    ] {
        let reply = app
            .anonymous()
            .with("X-Request-Id", kept)
            .get("/nothing")
            .expect(404);
        assert_eq!(reply.header("x-request-id"), Some(kept));
        assert_eq!(reply.body["request_id"], kept);
    }
    let too_long = "a".repeat(129);
    for hostile in ["", "a b", "<script>", "x\"y", "{}", "a\tb", "yêu-cầu", &too_long] {
        let reply = app
            .anonymous()
            .with("X-Request-Id", hostile)
            .get("/nothing")
            .expect(404);
        let given = reply.header("x-request-id").unwrap();
        assert_ne!(given, hostile);
        assert!(uuid::Uuid::parse_str(given).is_ok(), "{given}");
        assert_eq!(reply.body["request_id"], given);
    }
    let fine = app
        .anonymous()
        .with("X-Request-Id", "abc")
        .get("/healthz")
        .expect(200);
    assert_eq!(fine.header("x-request-id"), Some("abc"), "successes carry it too");
}

#[test]
fn metrics_count_requests_in_buckets_of_seconds() {
    let app = TestApp::start();
    app.anonymous().get("/healthz").expect(200);
    let metrics = app.anonymous().get("/metrics").expect(200).text;
    let counted = |start: &str, rest: &str| {
        metrics
            .lines()
            .any(|line| line.starts_with(start) && line.contains(rest))
    };
    assert!(
        counted("giaidap_http_requests_total{", "route=\"/healthz\""),
        "{metrics}"
    );
    for bound in ["0.001", "0.25", "10", "+Inf"] {
        let bound = format!("le=\"{bound}\"");
        assert!(
            counted("giaidap_http_request_seconds_bucket{", &bound),
            "{metrics}"
        );
    }
}

#[test]
fn a_server_that_begins_to_go_away_is_not_ready() {
    let app = TestApp::start();
    let ready = app.anonymous().get("/readyz").expect(200).body;
    let names: Vec<&str> = ready["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["shutdown", "database", "schema"]);
    app.app.stopping.cancel();
    let leaving = app.anonymous().get("/readyz").expect(503);
    assert_eq!(leaving.body["checks"][0]["status"], "failed");
    assert!(leaving.header("retry-after").is_some());
    app.anonymous().get("/healthz").expect(200);
}

#[test]
fn the_operations_that_read_a_query_are_those_that_declare_one() {
    let declared: BTreeSet<&str> = ROUTES
        .iter()
        .filter(|route| route.path.starts_with("/api/"))
        .filter(|route| !Contract::global().queries(route.method, route.path).is_empty())
        .map(|route| route.operation)
        .collect();
    let read: BTreeSet<&str> = READ_QUERY.iter().copied().collect();
    assert_eq!(read, declared);
    assert_eq!(read.len(), READ_QUERY.len(), "named twice");
}

/// The way back from a provider passes over what it does not know (OpenID Connect Core 1.0, section 3.1.2.7).
#[test]
fn every_operation_of_the_api_refuses_a_parameter_that_it_does_not_know() {
    let app = TestApp::start();
    let (staff, program) = (app.admin(), app.organisation("H57"));
    let nobody = "00000000-0000-7000-8000-000000000000";
    for route in ROUTES
        .iter()
        .filter(|route| route.path.starts_with("/api/v1/") && !route.path.starts_with("/api/v1/auth/oidc"))
    {
        let path = route
            .path
            .replace("{id}", nobody)
            .replace("{key}", "x")
            .replace("{version}", "1");
        let body = (route.method != "GET" && route.method != "DELETE").then_some(&b"{}"[..]);
        // It is said before the body is looked at, but where the handler reads its query itself.
        let is_file = ["import_organisations", "import_calendar"].contains(&route.operation);
        let content_type = match route.operation {
            _ if !is_file => "application/json",
            "import_calendar" => "text/calendar",
            _ => "text/csv",
        };
        let asked = |caller: &Client| {
            let caller = caller.with("If-Match", "*");
            caller.send(
                route.method,
                &format!("{path}?foo=1"),
                body.map(|_| content_type),
                body,
            )
        };
        let mut reply = asked(&staff);
        if reply.status == 403 {
            reply = asked(&program);
        }
        assert_eq!(reply.status, 422, "{} {}", route.operation, reply.text);
        let expected = ("foo".to_owned(), "unknown_field".to_owned());
        assert!(
            reply.field_errors().contains(&expected),
            "{}: {}",
            route.operation,
            reply.text
        );
    }
    // What a mail program adds to a link is passed over.
    app.anonymous().get("/healthz?utm_source=mail").expect(200);
}

/// The table of `src/http/problem/kinds.rs`: code and status, as they are written there.
fn problems_of_the_source() -> BTreeSet<(String, u16)> {
    let statuses: Vec<(String, u16)> = (400..600)
        .filter_map(|code| {
            let reason = StatusCode::from_u16(code).unwrap().canonical_reason()?;
            Some((reason.to_uppercase().replace([' ', '-'], "_"), code))
        })
        .collect();
    let status_of = |name: &str| statuses.iter().find(|(known, _)| known == name).unwrap().1;
    let source = include_str!("../../src/http/problem/kinds.rs");
    let calls = source.split("=> kind(").skip(1);
    calls
        .map(|call| {
            let code = call.split('"').nth(1).unwrap();
            let status = call.split("S::").nth(1).unwrap().split(',').next().unwrap();
            (code.to_owned(), status_of(status))
        })
        .collect()
}

/// The rows of a Markdown table of problems; those that are reserved are left out.
fn problems_of_the_table(text: &str) -> BTreeSet<(String, u16)> {
    let table = text.split("| `urn:giaidap:problem:` +").nth(1);
    let table = table
        .or_else(|| text.split("| `type` = `urn:giaidap:problem:` +").nth(1))
        .unwrap();
    let rows = table
        .lines()
        .skip(2)
        .map(str::trim)
        .take_while(|row| row.starts_with('|'));
    rows.filter(|row| !row.contains("| reserved;"))
        .map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let code = cells.next().unwrap().trim_matches('`').to_owned();
            (code, cells.next().unwrap().parse().unwrap())
        })
        .collect()
}

#[test]
fn every_list_of_problems_is_the_servers_own() {
    let own = problems_of_the_source();
    assert!(own.len() >= 17, "{own:?}");
    assert_eq!(
        problems_of_the_table(include_str!("../../docs/API.md")),
        own,
        "docs/API.md"
    );
    assert_eq!(problems_of_the_table(OPENAPI), own, "the head of openapi.yaml");
    let document: Value = serde_saphyr::from_str(OPENAPI).unwrap();
    let listed = &document["components"]["schemas"]["Problem"]["properties"]["type"]["x-extensible-enum"];
    let listed: BTreeSet<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|code| {
            code.as_str()
                .unwrap()
                .strip_prefix("urn:giaidap:problem:")
                .unwrap()
        })
        .filter(|code| *code != "too-many-requests" || own.iter().any(|(known, _)| known == code))
        .collect();
    assert_eq!(
        listed,
        own.iter().map(|(code, _)| code.as_str()).collect(),
        "Problem.type"
    );
}

#[test]
fn a_wrong_type_is_named_in_words_of_json() {
    let app = TestApp::start();
    let wrong = json!({ "from": "2019-11-22T16:30:00+07:00", "business_seconds": "x" });
    let reply = app
        .admin()
        .with("Accept-Language", "en")
        .post("/api/v1/calendars/vn-government/due", &wrong);
    reply.clone().expect(422);
    assert_eq!(
        reply.field_errors(),
        [("/business_seconds".to_owned(), "wrong_type".to_owned())]
    );
    let detail = &reply.body["errors"][0]["detail"];
    assert_eq!(detail, "Wrong type; expected an integer.");
}
