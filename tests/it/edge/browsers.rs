//! Pages of other origins, and what a browser is told to refuse.
use giaidap::config::{NetworkOverrides, Overrides};

use crate::support::{TestApp, file};

const PORTAL: &str = "https://portal.example.vn";

fn with_origins(origins: &[&str]) -> TestApp {
    TestApp::start_with(&Overrides {
        network: NetworkOverrides {
            cors_origins: Some(origins.iter().map(|origin| (*origin).to_owned()).collect()),
            ..NetworkOverrides::default()
        },
        ..Overrides::default()
    })
}

#[test]
fn pages_of_other_origins_are_let_in_where_they_are_named() {
    let app = with_origins(&[PORTAL]);
    let hue = app.organisation("H57").with("Origin", PORTAL);
    let reply = hue.get("/api/v1/me").expect(200);
    assert_eq!(reply.header("access-control-allow-origin"), Some(PORTAL));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    let exposed = reply.header("access-control-expose-headers").unwrap();
    for name in [
        "etag",
        "link",
        "location",
        "retry-after",
        "x-request-id",
        "ratelimit-remaining",
        "traceparent",
        "content-disposition",
        "content-language",
        "content-range",
        "deprecation",
        "sunset",
    ] {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    assert!(
        reply
            .header("vary")
            .is_some_and(|vary| vary.to_lowercase().contains("origin"))
    );
    let asked = app
        .anonymous()
        .with("Origin", PORTAL)
        .with("Access-Control-Request-Method", "PATCH")
        .with(
            "Access-Control-Request-Headers",
            "authorization, if-match, content-type, range, if-range",
        );
    let preflight = asked.preflight("/api/v1/tickets/GD-2019-000001");
    assert!(matches!(preflight.status, 200 | 204), "{}", preflight.status);
    assert_eq!(preflight.header("access-control-allow-origin"), Some(PORTAL));
    assert!(
        preflight
            .header("access-control-allow-methods")
            .unwrap()
            .contains("PATCH")
    );
    assert_eq!(preflight.header("access-control-max-age"), Some("3600"));
    // A refusal can be read by the page too.
    let refused = app
        .anonymous()
        .with("Origin", PORTAL)
        .get("/api/v1/me")
        .expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some(PORTAL));
    let stranger = app.organisation("H57").with("Origin", "https://evil.example");
    assert_eq!(
        stranger
            .get("/api/v1/me")
            .expect(200)
            .header("access-control-allow-origin"),
        None
    );
}

#[test]
fn by_default_no_page_is_let_in() {
    let app = TestApp::start();
    let reply = app
        .organisation("H57")
        .with("Origin", PORTAL)
        .get("/api/v1/me")
        .expect(200);
    let told = reply
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("access-control"));
    assert_eq!(told.count(), 0);
}

#[test]
fn answers_tell_browsers_what_to_refuse() {
    let app = TestApp::start();
    let link = file(&app.organisation("H57"));
    let page = link["status_link"]
        .as_str()
        .unwrap()
        .trim_start_matches("https://giaidap.example")
        .to_owned();
    let visitor = app.anonymous();
    for path in [
        &page,
        "/t/none",
        "/docs/",
        "/nothing",
        "/healthz",
        "/api/v1/me",
        "/openapi.yaml",
    ] {
        let reply = visitor.get(path);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(
            reply.header("strict-transport-security"),
            Some("max-age=31536000"),
            "{path}"
        );
    }
    for path in [&page, "/t/none", "/docs/"] {
        let reply = visitor.get(path);
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(
            reply.header("permissions-policy").unwrap().contains("camera=()"),
            "{path}"
        );
    }
    let plain = TestApp::start_with(&Overrides {
        public_url: Some("http://giaidap.example".into()),
        ..Overrides::default()
    });
    let reply = plain.anonymous().get("/healthz").expect(200);
    assert_eq!(reply.header("strict-transport-security"), None);
}
