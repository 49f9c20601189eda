//! One-time codes and recovery codes.
use chrono::Duration;
use giaidap::config::{Overrides, SignInOverrides};
use giaidap::identity::Role;
use serde_json::{Value, json};

use super::{
    ME, OTHER_PASSWORD, PASSWORD, address, attempt, code, enrol, enter, kept_answers, pass, person, session,
};
use crate::support::TestApp;
use crate::support::threads::at_once;

const TOTP: &str = "/api/v1/me/totp";

#[test]
fn a_second_factor_is_asked_for_from_when_it_is_confirmed() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let begun = lan.post(TOTP, &json!({ "password": PASSWORD })).expect(200);
    assert_eq!(begun.header("cache-control"), Some("no-store"));
    let secret = begun.body["secret"].as_str().unwrap();
    let url = begun.body["otpauth_url"].as_str().unwrap();
    assert!(
        url.starts_with("otpauth://totp/") && url.contains(secret),
        "{url}"
    );
    // Not yet.
    attempt(&app, &address("lan"), PASSWORD, None).expect(200);
    let confirm = |code: &str| lan.post("/api/v1/me/totp/confirm", &json!({ "code": code }));
    let wrong = confirm("000000").expect(422);
    assert_eq!(
        wrong.field_errors(),
        [("/code".to_owned(), "wrong_secret".to_owned())]
    );
    let shown = confirm(&code(&app, secret)).expect(200);
    assert_eq!(shown.body["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(lan.get(ME).expect(200).body["second_factor"], true);

    pass(&app, Duration::seconds(30));
    let wanted = attempt(&app, &address("lan"), PASSWORD, None).expect(401);
    assert_eq!(wanted.problem(), "second-factor-required");
    // Only to who knows the password.
    let wrong = attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(401);
    assert_eq!(wrong.problem(), "login-failed");
    attempt(&app, &address("lan"), PASSWORD, Some(&code(&app, secret))).expect(200);
    confirm(&code(&app, secret)).expect(409);
    lan.post(TOTP, &json!({ "password": PASSWORD })).expect(409);
}

#[test]
fn a_code_works_once_one_step_early_or_late_and_no_further() {
    let app = TestApp::start();
    let lan = person(&app, Role::Agent, "lan");
    let (secret, _) = enrol(&app, &lan);
    let used = code(&app, &secret);
    let try_code = |code: &str| attempt(&app, &address("lan"), PASSWORD, Some(code)).status;
    // The one that confirmed it is used up.
    assert_eq!(try_code(&used), 401);
    pass(&app, Duration::seconds(60));
    let now = code(&app, &secret);
    assert_eq!((try_code(&now), try_code(&now)), (200, 401));
    pass(&app, Duration::seconds(30));
    let early = {
        let later = app.app.clock.now() + Duration::seconds(30);
        giaidap::identity::totp::code_at(&secret, later).unwrap()
    };
    // A telephone that is fast; then the step before it counts as used.
    let present = code(&app, &secret);
    assert_eq!((try_code(&early), try_code(&present)), (200, 401));
    pass(&app, Duration::minutes(5));
    let old = code(&app, &secret);
    pass(&app, Duration::seconds(60));
    assert_eq!(try_code(&old), 401);
    let spaced = code(&app, &secret);
    let spaced = format!("{} {}", &spaced[..3], &spaced[3..]);
    assert_eq!(try_code(&spaced), 200);
}

#[test]
fn of_two_logins_with_one_code_at_once_one_comes_in() {
    let app = TestApp::start();
    let replica = app.replica();
    let lan = person(&app, Role::Agent, "lan");
    let (secret, codes) = enrol(&app, &lan);
    pass(&app, Duration::seconds(60));
    for used in [code(&app, &secret), codes[0].clone()] {
        let statuses = at_once(4, |number| {
            let server = if number % 2 == 0 { &app } else { &replica };
            attempt(server, &address("lan"), PASSWORD, Some(&used)).status
        });
        let entered = statuses.iter().filter(|status| **status == 200).count();
        assert_eq!(entered, 1, "{statuses:?}");
    }
}

#[test]
fn each_recovery_code_opens_once() {
    let app = TestApp::start();
    let lan = person(&app, Role::Agent, "lan");
    let (_, codes) = enrol(&app, &lan);
    let try_code = |code: &str| attempt(&app, &address("lan"), PASSWORD, Some(code)).status;
    assert_eq!((try_code(&codes[0]), try_code(&codes[0])), (200, 401));
    // As it is copied from paper.
    let typed = codes[1].to_uppercase().replace('-', " ");
    assert_eq!((try_code(&typed), try_code(&codes[1])), (200, 401));
    assert_eq!(try_code("aaaa-aaaa-aaaa-aaaa"), 401);
}

#[test]
fn guessing_codes_makes_wait_and_the_right_password_does_not_forgive() {
    let app = TestApp::start();
    let lan = person(&app, Role::Agent, "lan");
    enrol(&app, &lan);
    for _ in 0..4 {
        attempt(&app, &address("lan"), PASSWORD, Some("000000")).expect(401);
        let wanted = attempt(&app, &address("lan"), PASSWORD, None).expect(401);
        assert_eq!(wanted.problem(), "second-factor-required");
    }
    attempt(&app, &address("lan"), PASSWORD, Some("000000")).expect(401);
    attempt(&app, &address("lan"), PASSWORD, None).expect(429);
}

#[test]
fn it_goes_with_password_and_code_only() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let remove = |password: &str, code: &str| {
        let body = json!({ "password": password, "code": code });
        lan.post("/api/v1/me/totp/remove", &body)
    };
    remove(PASSWORD, "000000").expect(409);
    let (secret, codes) = enrol(&app, &lan);
    pass(&app, Duration::seconds(60));
    let wrong = remove(OTHER_PASSWORD, &code(&app, &secret)).expect(422);
    assert_eq!(
        wrong.field_errors(),
        [("/password".to_owned(), "wrong_secret".to_owned())]
    );
    let wrong = remove(PASSWORD, "000000").expect(422);
    assert_eq!(
        wrong.field_errors(),
        [("/code".to_owned(), "wrong_secret".to_owned())]
    );
    remove(PASSWORD, &codes[3]).expect(204);
    attempt(&app, &address("lan"), PASSWORD, None).expect(200);
    assert_eq!(app.rows_in("recovery_codes"), 0);
}

#[test]
fn a_role_that_must_have_one_may_do_nothing_else_before() {
    let app = TestApp::start_with(&Overrides {
        sign_in: SignInOverrides {
            require_second_factor: Some(vec![Role::Admin]),
            ..SignInOverrides::default()
        },
        ..Overrides::default()
    });
    person(&app, Role::Admin, "lan");
    person(&app, Role::Agent, "hoa");
    let other = attempt(&app, &address("hoa"), PASSWORD, None).expect(200);
    assert_eq!(other.body["second_factor_required"], false);
    let entered = attempt(&app, &address("lan"), PASSWORD, None).expect(200);
    assert_eq!(entered.body["second_factor_required"], true);
    let limited = session(&app, &entered);
    assert_eq!(
        limited.get(ME).expect(200).body["scopes"],
        json!(["account:write"])
    );
    for path in [
        "/api/v1/users",
        "/api/v1/tickets",
        "/api/v1/queues",
        "/api/v1/calendars",
    ] {
        limited.get(path).expect(403);
    }
    // Nor by way of a token.
    let wider = json!({ "name": "x", "scopes": ["tickets:read"] });
    limited.post("/api/v1/me/tokens", &wider).expect(422);
    let token = limited
        .post("/api/v1/me/tokens", &json!({ "name": "x" }))
        .expect(201);
    assert_eq!(token.body["scopes"], json!(["account:write"]));

    let (secret, codes) = enrol(&app, &limited);
    limited.get("/api/v1/users").expect(403);
    pass(&app, Duration::seconds(60));
    let entered = attempt(&app, &address("lan"), PASSWORD, Some(&code(&app, &secret))).expect(200);
    assert_eq!(entered.body["second_factor_required"], false);
    let lan = session(&app, &entered);
    lan.get("/api/v1/users").expect(200);
    let body = json!({ "password": PASSWORD, "code": codes[0] });
    lan.post("/api/v1/me/totp/remove", &body).expect(409);
}

#[test]
fn no_secret_is_kept_for_repetitions() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let body = json!({ "password": PASSWORD });
    let keyed = lan.with("Idempotency-Key", "enrol");
    let begun = keyed.post(TOTP, &body).expect(200);
    let again = keyed.post(TOTP, &body).expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("cache-control"), Some("no-store"));
    assert_eq!(again.body, json!({ "secret": null, "otpauth_url": null }));
    // Another password is another request.
    let other = keyed.post(TOTP, &json!({ "password": OTHER_PASSWORD }));
    assert_eq!(other.status, 422);

    let secret = begun.body["secret"].as_str().unwrap();
    let keyed = lan.with("Idempotency-Key", "confirm");
    let body = json!({ "code": code(&app, secret) });
    let confirmed = keyed.post("/api/v1/me/totp/confirm", &body).expect(200);
    assert_eq!(confirmed.header("cache-control"), Some("no-store"));
    let again = keyed.post("/api/v1/me/totp/confirm", &body).expect(200);
    assert_eq!(again.body["recovery_codes"], Value::Null);

    let keyed = lan.with("Idempotency-Key", "token");
    let made = keyed
        .post("/api/v1/me/tokens", &json!({ "name": "x" }))
        .expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let again = keyed
        .post("/api/v1/me/tokens", &json!({ "name": "x" }))
        .expect(201);
    assert_eq!(
        (&again.body["token"], &again.body["id"]),
        (&Value::Null, &made.body["id"])
    );

    let keyed = lan.with("Idempotency-Key", "remove");
    let recovery = &confirmed.body["recovery_codes"][0];
    let body = json!({ "password": PASSWORD, "code": recovery });
    let removed = keyed.post("/api/v1/me/totp/remove", &body);
    assert!(removed.status < 300, "{}", removed.text);
    let again = keyed.post("/api/v1/me/totp/remove", &body);
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (removed.status, Some("true"))
    );

    let kept = kept_answers(&app);
    assert!(kept.contains(made.body["id"].as_str().unwrap()), "{kept}");
    let recovery = confirmed.body["recovery_codes"][0].as_str().unwrap();
    for hidden in [secret, recovery, made.body["token"].as_str().unwrap(), PASSWORD] {
        assert!(!kept.contains(hidden), "{hidden} in {kept}");
    }
}

#[test]
fn the_right_password_locks_nobody_out() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let (_, codes) = enrol(&app, &lan);
    let again = json!({ "password": PASSWORD });
    for _ in 0..8 {
        lan.post("/api/v1/me/totp", &again).expect(409);
    }
    attempt(&app, &address("lan"), PASSWORD, Some(&codes[0])).expect(200);
    // A wrong code is a guess, and counted whatever the password was.
    for _ in 0..5 {
        let wrong = json!({ "password": PASSWORD, "code": "000000" });
        lan.post("/api/v1/me/totp/remove", &wrong).expect(422);
    }
    attempt(&app, &address("lan"), PASSWORD, Some(&codes[1])).expect(429);
}
