//! Coming in with a password, and changing it.
use giaidap::identity::Role;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use super::{ME, OTHER_PASSWORD, PASSWORD, address, attempt, enter, person, session, set_password};
use crate::support::desk::without_request_id;
use crate::support::{TestApp, file};

const OWN_PASSWORD: &str = "/api/v1/me/password";

#[test]
fn a_person_logs_in_and_works_with_the_session() {
    let app = TestApp::start();
    person(&app, Role::Supervisor, "lan");
    let entered = attempt(&app, "lan@centre.example", PASSWORD, None).expect(200);
    assert_eq!(entered.header("cache-control"), Some("no-store"));
    assert!(entered.body["token"].as_str().unwrap().starts_with("gds_"));
    assert_eq!(entered.body["expires_at"], "2019-11-22T21:30:00Z");
    assert_eq!(entered.body["second_factor_required"], false);
    assert_eq!(entered.body["user"]["role"], "supervisor");
    let lan = session(&app, &entered);
    let me = lan.get(ME).expect(200).body;
    assert_eq!(me["email"], "lan@centre.example");
    assert_eq!(
        (&me["scopes"], &me["second_factor"]),
        (&Value::Null, &json!(false))
    );
    let ticket = file(&app.organisation("H57"));
    lan.call(&format!(
        "/api/v1/tickets/{}/claim",
        ticket["number"].as_str().unwrap()
    ))
    .expect(200);
    let hash = app.read(|conn| giaidap::identity::accounts::get(conn, "lan@centre.example"));
    assert!(hash.has_password);
}

#[test]
fn an_address_in_other_case_and_a_password_in_another_normal_form_are_the_same() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let decomposed: String = PASSWORD.nfd().collect();
    assert_ne!(decomposed, PASSWORD);
    attempt(&app, "LAN@Centre.example", &decomposed, None).expect(200);
    // White space is part of a password.
    attempt(&app, "lan@centre.example", &format!(" {PASSWORD}"), None).expect(401);
}

#[test]
fn whatever_is_wrong_gets_the_same_answer() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    person(&app, Role::Agent, "hoa");
    app.sql("UPDATE users SET active = false WHERE email = 'hoa@centre.example'");
    app.agent("minh", &[]);
    let wrong = attempt(&app, "lan@centre.example", "không phải mật khẩu này", None).expect(401);
    assert_eq!(wrong.problem(), "login-failed");
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer realm=\"giaidap\""));
    for (who, email, password) in [
        ("unknown", "nobody@centre.example", PASSWORD),
        ("no address at all", "x", PASSWORD),
        ("inactive", "hoa@centre.example", PASSWORD),
        ("inactive, wrong", "hoa@centre.example", "x"),
        ("without a password", "minh@centre.example", PASSWORD),
    ] {
        let refused = attempt(&app, email, password, None).expect(401);
        assert_eq!(
            without_request_id(&refused.body),
            without_request_id(&wrong.body),
            "{who}"
        );
        let names = |reply: &crate::support::client::Reply| -> Vec<String> {
            let mut names: Vec<String> = reply.headers.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&refused), names(&wrong), "{who}");
    }
    // A code where none is needed does no harm.
    attempt(&app, "lan@centre.example", PASSWORD, Some("000000")).expect(200);
}

#[test]
fn a_login_that_is_no_login_is_refused_by_the_field() {
    let app = TestApp::start();
    let ask = |body: Value| app.anonymous().post(super::LOGIN, &body).expect(422);
    assert_eq!(
        ask(json!({})).field_errors(),
        [
            ("/email".to_owned(), "required".to_owned()),
            ("/password".to_owned(), "required".to_owned())
        ]
    );
    let long = ask(json!({ "email": "a", "password": "x".repeat(257) }));
    assert_eq!(
        long.field_errors(),
        [("/password".to_owned(), "too_long".to_owned())]
    );
    assert!(!long.text.contains("xxx"));
    let more = ask(json!({ "email": "a", "password": "x", "role": "admin" }));
    assert_eq!(
        more.field_errors(),
        [("/role".to_owned(), "unknown_field".to_owned())]
    );
}

#[test]
fn another_password_ends_the_other_sessions_and_leaves_tokens() {
    let app = TestApp::start();
    let token = person(&app, Role::Agent, "lan");
    let (one, two) = (enter(&app, "lan"), enter(&app, "lan"));
    let body = json!({ "current": PASSWORD, "new": OTHER_PASSWORD });
    one.put(OWN_PASSWORD, &body).expect(204);
    one.get(ME).expect(200);
    token.get(ME).expect(200);
    two.get(ME).expect(401);
    attempt(&app, &address("lan"), PASSWORD, None).expect(401);
    attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(200);
}

#[test]
fn a_password_that_is_easy_to_guess_is_refused() {
    let app = TestApp::start();
    person(&app, Role::Agent, "trantheanh");
    let anh = enter(&app, "trantheanh");
    for (new, code) in [
        ("mèo con", "too_short"),
        ("Mật khẩu 123456", "common_password"),
        ("password2019", "common_password"),
        ("Trantheanh-1!", "own_name"),
        ("trantheanh@centre.example", "own_name"),
    ] {
        let refused = anh
            .put(OWN_PASSWORD, &json!({ "current": PASSWORD, "new": new }))
            .expect(422);
        assert_eq!(
            refused.field_errors(),
            [("/new".to_owned(), code.to_owned())],
            "{new}"
        );
        assert!(!refused.text.contains(new), "{}", refused.text);
    }
    attempt(&app, &address("trantheanh"), PASSWORD, None).expect(200);
}

#[test]
fn the_present_password_is_asked_for_and_guessing_it_counts() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let wrong = json!({ "current": OTHER_PASSWORD, "new": OTHER_PASSWORD });
    for _ in 0..5 {
        let refused = lan.put(OWN_PASSWORD, &wrong).expect(422);
        assert_eq!(
            refused.field_errors(),
            [("/current".to_owned(), "wrong_secret".to_owned())]
        );
    }
    let right = json!({ "current": PASSWORD, "new": OTHER_PASSWORD });
    let refused = lan.put(OWN_PASSWORD, &right).expect(429);
    assert_eq!(refused.problem(), "too-many-attempts");
    super::pass(&app, chrono::Duration::minutes(1));
    lan.put(OWN_PASSWORD, &right).expect(204);
}

#[test]
fn an_administrators_password_ends_sessions_and_the_wait() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    for _ in 0..5 {
        attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(401);
    }
    attempt(&app, &address("lan"), PASSWORD, None).expect(429);
    set_password(&app, "lan", OTHER_PASSWORD);
    lan.get(ME).expect(401);
    attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(200);
}
