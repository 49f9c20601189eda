//! Limits by caller, told on every answer that they bear upon.
use chrono::Duration;
use giaidap::config::{LimitsOverrides, NetworkOverrides, Overrides};

use crate::support::client::Reply;
use crate::support::{Client, TestApp, question};

const ME: &str = "/api/v1/me";

fn limited(known: u32, strangers: u32) -> Overrides {
    Overrides {
        limits: LimitsOverrides {
            requests_per_minute: Some(known),
            anonymous_requests_per_minute: Some(strangers),
            ..LimitsOverrides::default()
        },
        network: NetworkOverrides {
            trusted_proxies: Some(vec!["127.0.0.1".into()]),
            ..NetworkOverrides::default()
        },
        ..Overrides::default()
    }
}

fn told(reply: &Reply) -> [&str; 4] {
    ["limit", "remaining", "reset", "policy"].map(|name| {
        let header = reply.header(&format!("ratelimit-{name}"));
        header.unwrap_or("absent")
    })
}

fn pass(app: &TestApp, seconds: i64) {
    let clock = &app.app.clock;
    clock.set(clock.now() + Duration::seconds(seconds));
}

#[test]
fn a_program_that_runs_away_is_braked_whichever_of_its_keys_it_shows() {
    let app = TestApp::start_with(&limited(3, 1000));
    let (hue, again) = (app.organisation("H57"), app.organisation("H57"));
    assert_eq!(told(&hue.get(ME).expect(200)), ["3", "2", "20", "3;w=60"]);
    assert_eq!(told(&again.get(ME).expect(200)), ["3", "1", "40", "3;w=60"]);
    // What is refused counts too, and its answer tells it.
    let refused = hue.get("/api/v1/deliveries").expect(403);
    assert_eq!(told(&refused), ["3", "0", "60", "3;w=60"]);
    let before = app.footprint();
    for caller in [&hue, &again] {
        let refused = caller.post("/api/v1/tickets", &question()).expect(429);
        assert_eq!(refused.problem(), "too-many-requests");
        assert_eq!(refused.header("retry-after"), Some("20"));
        assert_eq!(told(&refused), ["3", "0", "60", "3;w=60"]);
        assert_eq!(refused.body["title"], "Quá nhiều yêu cầu");
    }
    let english = hue.with("Accept-Language", "en").get(ME).expect(429);
    assert_eq!(english.body["title"], "Too many requests");
    assert_eq!(app.footprint(), before);
    // Others go on: another program of the same organisation, another organisation, somebody without a token.
    app.key_of("H57", "Dịch vụ công", &[]).get(ME).expect(200);
    app.organisation("H26").get(ME).expect(200);
    app.anonymous().get(ME).expect(401);
    pass(&app, 20);
    hue.get(ME).expect(200);
    again.get(ME).expect(429);
    pass(&app, 60);
    assert_eq!(told(&hue.get(ME).expect(200))[1], "2");
}

#[test]
fn a_program_may_have_a_limit_of_its_own() {
    let app = TestApp::start_with(&limited(100, 0));
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    app.sql("UPDATE clients SET requests_per_minute = 1");
    assert_eq!(told(&hue.get(ME).expect(200))[0], "1");
    hue.get(ME).expect(429);
    app.sql("UPDATE clients SET requests_per_minute = 2");
    assert_eq!(told(&hue.get(ME).expect(200))[..2], ["2", "1"]);
    assert_eq!(told(&lan.get(ME).expect(200))[..2], ["100", "99"]);
}

#[test]
fn strangers_are_counted_by_address_and_cannot_stop_who_is_known() {
    let app = TestApp::start_with(&limited(0, 2));
    let from = |client: &Client, address: &str| client.with("X-Forwarded-For", address);
    let stranger = from(&app.anonymous(), "198.51.100.7");
    assert_eq!(told(&stranger.get(ME).expect(401)), ["2", "1", "30", "2;w=60"]);
    let guess = stranger.with("Authorization", "Bearer gdt_aaaaaaaaaaaaaaaa_bbbb");
    guess.get(ME).expect(401);
    for path in [ME, "/openapi.yaml", "/nothing", "/docs/"] {
        let refused = stranger.get(path).expect(429);
        assert_eq!(refused.header("retry-after"), Some("30"), "{path}");
    }
    stranger.call("/openapi.yaml").expect(429);
    // Probes of the operator are never turned away, and a valid token opens from everywhere.
    for path in ["/healthz", "/readyz", "/metrics"] {
        let probed = stranger.get(path).expect(200);
        assert_eq!(told(&probed), ["absent"; 4], "{path}");
    }
    let known = from(&app.organisation("H57"), "198.51.100.7").get(ME).expect(200);
    assert_eq!(told(&known), ["absent"; 4], "0 is no limit");
    from(&app.anonymous(), "198.51.100.8").get(ME).expect(401);
    from(&app.anonymous(), "2001:db8::1").get("/nothing").expect(404);
    from(&app.anonymous(), "2001:db8::2")
        .get("/openapi.yaml")
        .expect(200);
    from(&app.anonymous(), "2001:db8::3").get("/nothing").expect(429);
    pass(&app, 30);
    stranger.get(ME).expect(401);
}

#[test]
fn nobody_is_limited_where_it_is_turned_off() {
    let app = TestApp::start_with(&limited(0, 0));
    for caller in [app.anonymous(), app.organisation("H57")] {
        assert_eq!(told(&caller.get("/openapi.yaml").expect(200)), ["absent"; 4]);
    }
}
