//! Logins and access tokens of a real OpenID provider, a program of its own on loopback.
use chrono::Duration;
use giaidap::config::{OidcOverrides, Overrides};
use giaidap::identity::oidc;
use giaidap::store::Db;
use serde_json::{Value, json};

use crate::support::log::{keep_security_log, security_log, whole_security_log};
use crate::support::oidc::{AUDIENCE, Begun, OpenIdProvider, app_with, bearer, log_in, parameter};
use crate::support::{Client, TestApp, threads};

const LOGIN: &str = "/api/v1/auth/oidc/login";
const CALLBACK: &str = "/api/v1/auth/oidc/callback";

fn turn(app: &TestApp, by: Duration) {
    app.app.clock.set(app.app.clock.now() + by);
}

/// Who a session or token is taken for.
fn me(app: &TestApp, token: &Value) -> Value {
    bearer(app, token.as_str().unwrap())
        .get("/api/v1/me")
        .expect(200)
        .body
}

fn detail(app: &TestApp, path: &str) -> String {
    let english = app.anonymous().with("Accept-Language", "en");
    english.get(path).body["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_known_person_logs_in_with_the_role_that_the_provider_gives() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &["technology"]);
    provider.person("lan", &["giaidap-agent", "something-else"]);

    let begun = Begun::at(&app, "?return_to=/tickets%3Fmine");
    for part in [
        "response_type=code",
        "code_challenge_method=S256",
        "client_id=giaidap",
        "state=",
        "nonce=",
    ] {
        assert!(begun.location.contains(part), "{part}: {}", begun.location);
    }
    let path = begun.way_back("account=lan");
    let reply = begun.come_back(&app, &path).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.header("set-cookie").unwrap().contains("Max-Age=0"));
    let body = &reply.body;
    assert_eq!(body["return_to"], "/tickets?mine");
    assert_eq!(body["user"]["email"], "lan@centre.example");
    assert_eq!(body["user"]["role"], "agent");
    let seen = me(&app, &body["token"]);
    assert_eq!((&seen["id"], &seen["name"]), (&body["user"]["id"], &json!("Lan")));
    assert_eq!(seen["queues"][0]["code"], "technology");

    // The role follows the provider; what was opened with the other one ends, as wherever a role changes.
    provider.person("lan", &["giaidap-agent", "giaidap-admin"]);
    let again = log_in(&app, "lan").expect(200).body;
    assert_eq!(again["user"]["role"], "admin");
    assert_eq!(again["return_to"], Value::Null);
    assert_eq!(me(&app, &again["token"])["role"], "admin");
    bearer(&app, body["token"].as_str().unwrap())
        .get("/api/v1/me")
        .expect(401);
}

#[test]
fn the_last_administrator_stays_one_whatever_the_provider_says() {
    keep_security_log();
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let admin = app.admin();
    app.agent("lan", &[]);
    provider.person("lan", &["giaidap-admin"]);
    let session = log_in(&app, "lan").expect(200).body;
    let lan = bearer(&app, session["token"].as_str().unwrap());
    let administrators = || {
        let found = lan.get("/api/v1/users?role=admin&active=true").expect(200).body;
        found["items"].as_array().unwrap().clone()
    };
    for other in administrators() {
        if other["id"] != session["user"]["id"] {
            let path = format!("/api/v1/users/{}", other["id"].as_str().unwrap());
            lan.with("If-Match", "*")
                .patch(&path, &json!({ "active": false }))
                .expect(200);
        }
    }
    admin.get("/api/v1/me").expect(401);
    provider.person("lan", &["giaidap-agent"]);
    let again = log_in(&app, "lan").expect(200).body;
    assert_eq!(again["user"]["role"], "admin");
    assert_eq!(administrators().len(), 1);
    let kept = (
        "role_kept".to_owned(),
        Some("last_administrator".to_owned()),
        session["user"]["id"].as_str().map(str::to_owned),
    );
    assert!(security_log().contains(&kept), "{:?}", security_log());
}

#[test]
fn logins_of_the_provider_are_written_down() {
    keep_security_log();
    let provider = OpenIdProvider::start();
    let app = app_with(OidcOverrides {
        create_users: Some(true),
        ..provider.settings()
    });
    provider.person("lan", &["giaidap-agent"]);
    let first = log_in(&app, "lan").expect(200).body;
    let id = first["user"]["id"].as_str().unwrap();
    provider.person("lan", &["giaidap-admin"]);
    log_in(&app, "lan").expect(200);
    provider.person("lan", &[]);
    log_in(&app, "lan").expect(403);
    let roles = json!(["giaidap-agent"]);
    let unverified = json!({ "email": "mai@centre.example", "email_verified": false, "roles": roles });
    provider.account("mai", &unverified);
    log_in(&app, "mai").expect(403);
    let stolen = json!({ "email": "lan@centre.example", "email_verified": true, "roles": roles });
    provider.account("thief", &stolen);
    log_in(&app, "thief").expect(403);

    let log = security_log();
    let lines: Vec<(&str, Option<&str>, Option<&str>)> = log
        .iter()
        .map(|(event, reason, user)| (event.as_str(), reason.as_deref(), user.as_deref()))
        .collect();
    let expected = [
        ("user_created", None, Some(id)),
        ("provider_linked", None, Some(id)),
        ("login_succeeded", None, Some(id)),
        ("role_changed", None, Some(id)),
        ("login_succeeded", None, Some(id)),
        ("login_failed", Some("no_role"), Some(id)),
        ("login_failed", Some("unverified_address"), None),
        ("login_failed", Some("linked_to_another"), Some(id)),
    ];
    let mut rest = lines.iter();
    for line in expected {
        assert!(rest.any(|written| *written == line), "{line:?} in {lines:?}");
    }
    assert!(!whole_security_log().contains("centre.example"));
}

#[test]
fn a_person_is_tied_to_a_subject_by_hand() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &[]);
    app.agent("mai", &[]);
    let unverified = json!({ "email": "lan@centre.example", "roles": ["giaidap-agent"] });
    provider.account("subject-of-lan", &unverified);
    log_in(&app, "subject-of-lan").expect(403);
    let link = |email: &'static str, subject: &'static str| {
        let (issuer, now) = (provider.issuer.clone(), app.app.clock.now());
        let work = move |conn: &mut Db| Ok(oidc::link_by_hand(conn, email, &issuer, subject, now));
        app.write(work)
    };
    link("lan@centre.example", "another").unwrap();
    link("Lan@centre.example ", "subject-of-lan").unwrap();
    link("lan@centre.example", "subject-of-lan").unwrap();
    let came = log_in(&app, "subject-of-lan").expect(200).body;
    assert_eq!(came["user"]["email"], "lan@centre.example");
    for (email, subject) in [
        ("mai@centre.example", "subject-of-lan"),
        ("mai@centre.example", ""),
        ("nobody@centre.example", "subject-of-nobody"),
    ] {
        assert!(link(email, subject).is_err(), "{email} {subject}");
    }
}

#[test]
fn the_cookie_of_a_login_is_for_the_browser_only() {
    let provider = OpenIdProvider::start();
    let cookie = |public_url: &str| {
        let app = TestApp::start_with(&Overrides {
            oidc: provider.settings(),
            public_url: Some(public_url.into()),
            ..Overrides::default()
        });
        let reply = app.anonymous().get(LOGIN).expect(302);
        reply.header("set-cookie").unwrap().to_owned()
    };
    let safe = cookie("https://giaidap.example");
    for attribute in [
        "; HttpOnly",
        "; SameSite=Lax",
        "; Secure",
        "; Path=/api/v1/auth/oidc",
        "; Max-Age=600",
    ] {
        assert!(safe.contains(attribute), "{safe}");
    }
    assert!(!cookie("http://127.0.0.1:8080").contains("Secure"));
}

#[test]
fn somebody_whose_role_is_gone_is_refused_and_their_sessions_end() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let token = app.agent("lan", &[]);
    provider.person("lan", &["giaidap-agent"]);
    let session = log_in(&app, "lan").expect(200).body["token"].clone();
    me(&app, &session);
    for roles in [json!([]), json!(["giaidap-agents"]), json!("x"), Value::Null] {
        let claims = json!({ "email": "lan@centre.example", "email_verified": true, "roles": roles });
        provider.account("lan", &claims);
        let refused = log_in(&app, "lan").expect(403);
        assert_eq!(refused.problem(), "sign-on-forbidden");
    }
    bearer(&app, session.as_str().unwrap())
        .get("/api/v1/me")
        .expect(401);
    // Tokens that the person made for programs are an administrator's to end.
    token.get("/api/v1/me").expect(200);
}

#[test]
fn only_a_verified_address_makes_a_known_person() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &[]);
    let roles = json!(["giaidap-admin"]);
    for claims in [
        json!({ "email": "lan@centre.example", "email_verified": false, "roles": roles }),
        json!({ "email": "lan@centre.example", "email_verified": "true", "roles": roles }),
        json!({ "email": "lan@centre.example", "roles": roles }),
        json!({ "email": "nobody@centre.example", "email_verified": true, "roles": roles }),
        json!({ "email": "lan@centre.example\u{0}", "email_verified": true, "roles": roles }),
        json!({ "roles": roles }),
    ] {
        provider.account("lan", &claims);
        assert_eq!(
            log_in(&app, "lan").expect(403).problem(),
            "sign-on-forbidden",
            "{claims}"
        );
    }
    provider.person("lan", &["giaidap-agent"]);
    let first = log_in(&app, "lan").expect(200).body;
    // From then on the person is known by the provider's name for them, whatever becomes of the address …
    provider.account(
        "lan",
        &json!({ "email": "other@centre.example", "roles": ["giaidap-agent"] }),
    );
    assert_eq!(
        log_in(&app, "lan").expect(200).body["user"]["id"],
        first["user"]["id"]
    );
    // … and who gets the address at the provider later does not become that person.
    let heir = json!({ "email": "lan@centre.example", "email_verified": true, "roles": ["giaidap-admin"] });
    provider.account("heir", &heir);
    log_in(&app, "heir").expect(403);
}

#[test]
fn an_inactive_person_does_not_come_in() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &[]);
    provider.person("lan", &["giaidap-agent"]);
    let now = app.app.clock.now();
    app.write(move |conn| giaidap::identity::accounts::deactivate(conn, "lan@centre.example", now));
    assert_eq!(log_in(&app, "lan").expect(403).problem(), "sign-on-forbidden");
}

#[test]
fn persons_are_added_where_the_operator_says_so() {
    let provider = OpenIdProvider::start();
    let app = app_with(OidcOverrides {
        create_users: Some(true),
        ..provider.settings()
    });
    provider.person("stranger", &[]);
    log_in(&app, "stranger").expect(403);
    provider.person("minh", &["giaidap-agent"]);
    let user = log_in(&app, "minh").expect(200).body["user"].clone();
    assert_eq!(
        (&user["name"], &user["role"]),
        (&json!("minh of the provider"), &json!("agent"))
    );
    assert_eq!(log_in(&app, "minh").expect(200).body["user"]["id"], user["id"]);
}

#[test]
fn a_login_works_once_and_in_its_own_browser() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &[]);
    provider.person("lan", &["giaidap-agent"]);
    let begun = Begun::at(&app, "");
    let other = Begun::at(&app, "");
    let path = begun.way_back("account=lan");
    // Another browser, none, and a made-up one: nothing comes of it, and nothing is taken away.
    for cookie in [
        other.cookie.as_str(),
        "giaidap_oidc=",
        "giaidap_oidc=x",
        "x=y",
        "",
    ] {
        let stolen = app.anonymous().with("Cookie", cookie).get(&path).expect(401);
        assert_eq!(stolen.problem(), "sign-on-failed", "{cookie}");
    }
    app.anonymous().get(&path).expect(401);
    let replies = threads::at_once(4, |_| begun.come_back(&app, &path).status);
    let let_in = replies.iter().filter(|status| **status == 200).count();
    assert_eq!(let_in, 1, "{replies:?}");
    let replayed = begun.come_back(&app, &path).expect(401);
    assert_eq!(
        replayed.header("www-authenticate"),
        Some("Bearer realm=\"giaidap\"")
    );
    // A code of one login in another one of the same browser.
    let (first, second) = (Begun::at(&app, ""), Begun::at(&app, ""));
    let code = parameter(&first.way_back("account=lan"), "code").unwrap();
    let state = parameter(&second.location, "state").unwrap();
    let iss = parameter(&second.way_back("account=lan"), "iss").unwrap();
    let mixed = second.come_back(&app, &format!("{CALLBACK}?code={code}&state={state}&iss={iss}"));
    assert_eq!(mixed.expect(401).problem(), "sign-on-failed");
}

#[test]
fn a_login_that_took_too_long_is_over_and_forgotten() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &[]);
    provider.person("lan", &["giaidap-agent"]);
    let begun = Begun::at(&app, "");
    let path = begun.way_back("account=lan");
    turn(&app, Duration::minutes(10));
    begun.come_back(&app, &path).expect(401);
    let other = Begun::at(&app, "");
    turn(&app, Duration::minutes(11));
    app.settle();
    other.come_back(&app, &other.way_back("account=lan")).expect(401);
}

#[test]
fn a_login_that_began_on_one_replica_ends_on_another() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let replica = app.replica_with(&Overrides {
        oidc: provider.settings(),
        ..Overrides::default()
    });
    app.agent("lan", &[]);
    provider.person("lan", &["giaidap-agent"]);
    let begun = Begun::at(&app, "");
    let path = begun.way_back("account=lan");
    let session = begun.come_back(&replica, &path).expect(200).body["token"].clone();
    me(&app, &session);
    begun.come_back(&app, &path).expect(401);
}

#[test]
fn what_the_provider_refuses_is_named_and_nothing_else() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let begun = Begun::at(&app, "");
    let path = begun.way_back("deny=1");
    assert_eq!(
        begun.come_back(&app, &path).expect(403).problem(),
        "sign-on-forbidden"
    );
    let iss = parameter(&path, "iss").unwrap();
    for (error, status, shown) in [
        ("login_required", 401, "login_required"),
        ("invalid_scope", 401, "invalid_scope"),
        ("%3Cb%3Ecall%20us", 401, "other"),
        ("access_denied", 403, "access_denied"),
        ("temporarily_unavailable", 503, "try again"),
        ("server_error", 503, "try again"),
    ] {
        let begun = Begun::at(&app, "");
        let state = parameter(&begun.location, "state").unwrap();
        let path = format!("{CALLBACK}?error={error}&error_description=secret&state={state}&iss={iss}");
        let english = app
            .anonymous()
            .with("Cookie", &begun.cookie)
            .with("Accept-Language", "en");
        let reply = english.get(&path).expect(status);
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(
            detail.contains(shown) && !reply.text.contains("secret"),
            "{error}: {}",
            reply.text
        );
    }
    // Of another issuer, or of none where the provider says that it names itself (RFC 9207).
    for iss in ["&iss=https://evil.example", ""] {
        let begun = Begun::at(&app, "");
        let state = parameter(&begun.location, "state").unwrap();
        let path = format!("{CALLBACK}?code=x&state={state}{iss}");
        assert_eq!(
            begun.come_back(&app, &path).expect(401).problem(),
            "sign-on-failed"
        );
    }
}

#[test]
fn hostile_addresses_are_refused() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let anonymous = app.anonymous();
    for bad in [
        "//evil.example",
        "https://evil.example",
        "/%5Cevil.example",
        "/a%0d%0aSet-Cookie:%20x",
        "",
        "a",
    ] {
        let reply = anonymous.get(&format!("{LOGIN}?return_to={bad}")).expect(422);
        assert_eq!(reply.field_errors()[0].0, "return_to", "{bad}");
    }
    anonymous
        .get(&format!("{LOGIN}?return_to=/a&return_to=/b"))
        .expect(422);
    anonymous.get(&format!("{LOGIN}?redirect=/a")).expect(422);
    let long = "a".repeat(4000);
    for query in [
        "",
        "?",
        "?state=",
        "?state=x&code=y",
        "?code=%00&state=%00",
        "?state=%ff",
        &format!("?state={long}"),
    ] {
        assert_eq!(
            anonymous.get(&format!("{CALLBACK}{query}")).expect(401).problem(),
            "sign-on-failed"
        );
    }
    anonymous.get(&format!("{CALLBACK}?state=a&state=b")).expect(422);
}

#[test]
fn access_tokens_of_the_provider_open_what_their_scopes_and_roles_allow() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &["technology"]);
    provider.person("lan", &["giaidap-agent"]);
    let token = provider.access_token("lan", AUDIENCE, "openid tickets:read");
    // Nobody is known by an access token alone: a login comes first.
    bearer(&app, &token).get("/api/v1/me").expect(401);
    log_in(&app, "lan").expect(200);
    let reader = bearer(&app, &token);
    assert_eq!(
        reader.get("/api/v1/me").expect(200).body["email"],
        "lan@centre.example"
    );
    reader.get("/api/v1/tickets").expect(200);
    reader
        .post("/api/v1/tickets", &crate::support::question())
        .expect(403);
    let writer = bearer(
        &app,
        &provider.access_token("lan", AUDIENCE, "openid tickets:write"),
    );
    writer.call("/api/v1/queues/technology/next").expect(204);
    writer.get("/api/v1/tickets").expect(403);

    // The role is the token's; without one it opens nothing.
    provider.person("lan", &["giaidap-admin"]);
    let admin = bearer(
        &app,
        &provider.access_token("lan", AUDIENCE, "openid tickets:read"),
    );
    assert_eq!(admin.get("/api/v1/me").expect(200).body["role"], "admin");
    assert_eq!(reader.get("/api/v1/me").expect(200).body["role"], "agent");
    provider.person("lan", &[]);
    bearer(
        &app,
        &provider.access_token("lan", AUDIENCE, "openid tickets:read"),
    )
    .get("/api/v1/me")
    .expect(401);

    // Of an inactive person.
    let now = app.app.clock.now();
    app.write(move |conn| giaidap::identity::accounts::deactivate(conn, "lan@centre.example", now));
    reader.get("/api/v1/me").expect(401);
}

#[test]
fn an_access_token_of_a_lesser_role_makes_nothing_that_outlives_it() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    app.agent("lan", &["technology"]);
    provider.person("lan", &["giaidap-admin"]);
    log_in(&app, "lan").expect(200);
    provider.person("lan", &["giaidap-agent"]);
    let before = app.footprint();
    for scope in ["openid tickets:write", "openid tickets:read account:write"] {
        let lesser = bearer(&app, &provider.access_token("lan", AUDIENCE, scope));
        let seen = lesser.get("/api/v1/me").expect(200).body;
        assert_eq!(seen["role"], "agent");
        assert!(!seen["scopes"].to_string().contains("account:write"), "{seen}");
        lesser
            .post("/api/v1/me/tokens", &json!({ "name": "for ever" }))
            .expect(403);
        lesser.get("/api/v1/me/sessions").expect(403);
        lesser
            .send("DELETE", "/api/v1/me/sessions", None, None)
            .expect(403);
        let password = json!({ "password": "mười hai con giáp đi chợ" });
        lesser.post("/api/v1/me/totp", &password).expect(403);
    }
    assert_eq!(app.footprint(), before);
}

/// A person who is known, and a token of theirs.
fn known(provider: &OpenIdProvider, app: &TestApp) -> String {
    app.agent("lan", &["technology"]);
    provider.person("lan", &["giaidap-agent"]);
    log_in(app, "lan").expect(200);
    provider.access_token("lan", AUDIENCE, "openid tickets:read")
}

#[test]
fn a_token_that_is_not_for_us_or_not_whole_is_refused() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let token = known(&provider, &app);
    let status = |token: &str| bearer(&app, token).get("/api/v1/me").status;
    assert_eq!(status(&token), 200);

    let other = provider.access_token("lan", "https://other.example", "openid tickets:read");
    assert_eq!(status(&other), 401, "another audience");
    let parts: Vec<&str> = token.split('.').collect();
    let other_parts: Vec<&str> = other.split('.').collect();
    assert_eq!(
        status(&format!("{}.{}.{}", parts[0], other_parts[1], parts[2])),
        401,
        "tampered"
    );
    assert_eq!(status(&format!("{}.{}.", parts[0], parts[1])), 401, "unsigned");
    assert_eq!(status(&format!("{token}A")), 401, "longer");
    let refused = bearer(&app, &other).get("/api/v1/me");
    let challenge = refused.header("www-authenticate").unwrap();
    assert!(challenge.contains("invalid_token"), "{challenge}");

    turn(&app, Duration::seconds(3600));
    assert_eq!(status(&token), 200, "within the leeway of a minute");
    turn(&app, Duration::seconds(70));
    assert_eq!(status(&token), 401, "expired");
}

#[test]
fn a_new_key_is_found_without_a_restart_and_a_withdrawn_one_ends() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let old = known(&provider, &app);
    let status = |token: &str| bearer(&app, token).get("/api/v1/me").status;
    for (number, alg) in ["PS256", "ES256", "EdDSA"].into_iter().enumerate() {
        if number > 0 {
            turn(&app, Duration::seconds(30));
        }
        provider.control(&format!("rotate?alg={alg}&keep=1"));
        let new = provider.access_token("lan", AUDIENCE, "openid tickets:read");
        assert_eq!((status(&new), status(&old)), (200, 200), "{alg}");
        log_in(&app, "lan").expect(200);
    }
    // Withdrawn: gone with the next look at the keys, which their time brings if nothing else does.
    turn(&app, Duration::seconds(30));
    let withdrawn = provider.access_token("lan", AUDIENCE, "openid tickets:read");
    provider.control("rotate?alg=RS256");
    assert_eq!(status(&withdrawn), 200, "not looked yet");
    turn(&app, Duration::minutes(10));
    let fresh = provider.access_token("lan", AUDIENCE, "openid tickets:read");
    assert_eq!((status(&withdrawn), status(&fresh)), (401, 200));
}

#[test]
fn strangers_cannot_make_us_hammer_the_provider() {
    let provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let token = known(&provider, &app);
    let parts: Vec<&str> = token.split('.').collect();
    let invented = |number: usize| {
        let header = format!("{{\"alg\":\"RS256\",\"kid\":\"invented-{number}\"}}");
        let header = data_encoding::BASE64URL_NOPAD.encode(header.as_bytes());
        bearer(&app, &format!("{header}.{}.{}", parts[1], parts[2]))
            .get("/api/v1/me")
            .status
    };
    let before = provider.hits("/jwks");
    for number in 0..10 {
        assert_eq!(invented(number), 401);
    }
    threads::at_once(4, |number| assert_eq!(invented(number), 401));
    assert_eq!(provider.hits("/jwks"), before + 1);
    turn(&app, Duration::seconds(29));
    invented(1);
    assert_eq!(provider.hits("/jwks"), before + 1);
    turn(&app, Duration::seconds(1));
    invented(1);
    assert_eq!(provider.hits("/jwks"), before + 2);
    // Nor is it asked where the token says by itself that it is none of ours.
    turn(&app, Duration::seconds(60));
    for header in [
        "{\"alg\":\"none\"}",
        "{\"alg\":\"HS256\",\"kid\":\"x\"}",
        "{}",
        "x",
    ] {
        let header = data_encoding::BASE64URL_NOPAD.encode(header.as_bytes());
        bearer(&app, &format!("{header}.{}.{}", parts[1], parts[2]))
            .get("/api/v1/me")
            .expect(401);
    }
    assert_eq!(provider.hits("/jwks"), before + 2);
}

#[test]
fn without_the_setting_no_access_token_is_taken() {
    let provider = OpenIdProvider::start();
    let app = app_with(OidcOverrides {
        bearer_audience: None,
        ..provider.settings()
    });
    let token = known(&provider, &app);
    bearer(&app, &token).get("/api/v1/me").expect(401);
    // And without a provider it is no token at all.
    let plain = TestApp::start();
    Client::new(&plain.url, Some(&token))
        .get("/api/v1/me")
        .expect(401);
    plain.anonymous().get(LOGIN).expect(404);
    plain.anonymous().get(CALLBACK).expect(404);
}

#[test]
fn while_the_provider_is_away_logins_wait_and_known_keys_go_on() {
    let mut provider = OpenIdProvider::start();
    let app = app_with(provider.settings());
    let token = known(&provider, &app);
    let session = log_in(&app, "lan").expect(200).body["token"].clone();
    let begun = Begun::at(&app, "");
    let path = begun.way_back("account=lan");
    provider.stop();
    let away = begun.come_back(&app, &path).expect(503);
    assert_eq!(
        (away.problem(), away.header("retry-after")),
        ("unavailable", Some("2"))
    );
    me(&app, &session);
    bearer(&app, &token).get("/api/v1/me").expect(200);
    // Beyond their time keys are not used.
    turn(&app, Duration::minutes(10));
    assert_eq!(
        bearer(&app, &token).get("/api/v1/me").expect(503).problem(),
        "unavailable"
    );
    turn(&app, Duration::minutes(50));
    let closed = app.anonymous().get(LOGIN).expect(503);
    assert!(
        closed.header("retry-after").is_some() && !closed.text.contains("127.0.0.1"),
        "{}",
        closed.text
    );
    assert!(detail(&app, LOGIN).contains("try again"));
}

#[test]
fn a_provider_that_answers_wrongly_lets_nobody_in() {
    let provider = OpenIdProvider::start();
    let metadata = "/.well-known/openid-configuration";
    let app = app_with(provider.settings());
    for kind in ["redirect", "huge", "foreign", "error"] {
        provider.control(&format!("fault?path={metadata}&kind={kind}"));
        app.anonymous().get(LOGIN).expect(503);
        turn(&app, Duration::seconds(5));
    }
    provider.control(&format!("fault?path={metadata}&kind="));
    app.agent("lan", &[]);
    provider.person("lan", &["giaidap-agent"]);
    for (path, kind) in [
        ("/jwks", "redirect"),
        ("/jwks", "huge"),
        ("/jwks", "error"),
        ("/token", "redirect"),
        ("/me", "error"),
    ] {
        provider.control(&format!("fault?path={path}&kind={kind}"));
        assert_eq!(
            log_in(&app, "lan").expect(503).problem(),
            "unavailable",
            "{path} {kind}"
        );
        provider.control(&format!("fault?path={path}&kind="));
        turn(&app, Duration::seconds(5));
    }
    log_in(&app, "lan").expect(200);
}
