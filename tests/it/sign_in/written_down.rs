//! The security log: who came in, who did not, and what changed, in ids and nothing else.
use giaidap::identity::Role;
use serde_json::json;

use super::{ME, OTHER_PASSWORD, PASSWORD, address, attempt, enrol, enter, person};
use crate::support::TestApp;
use crate::support::log::{keep_security_log, security_log, whole_security_log};

#[test]
fn what_happens_to_an_account_is_written_down_by_id() {
    keep_security_log();
    let app = TestApp::start();
    let admin = app.admin();
    person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    let id = lan.get(ME).expect(200).body["id"].as_str().unwrap().to_owned();
    attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(401);
    let token = lan
        .post("/api/v1/me/tokens", &json!({ "name": "một" }))
        .expect(201)
        .body;
    let path = format!("/api/v1/me/tokens/{}", token["id"].as_str().unwrap());
    lan.send("DELETE", &path, None, None).expect(204);
    let (secret, _) = enrol(&app, &lan);
    lan.post(
        "/api/v1/me/totp/remove",
        &json!({ "password": OTHER_PASSWORD, "code": "000000" }),
    )
    .expect(422);
    let user = format!("/api/v1/users/{id}");
    let change = |body| admin.with("If-Match", "*").patch(&user, &body).expect(200);
    change(json!({ "role": "supervisor" }));
    enter_after_reset(&app, &admin, &user);
    change(json!({ "active": false }));
    change(json!({ "active": true }));

    let log = security_log();
    let of_lan: Vec<&str> = log
        .iter()
        .filter(|(_, _, user)| user.as_deref() == Some(&id))
        .map(|(event, _, _)| event.as_str())
        .collect();
    assert_eq!(
        of_lan,
        [
            "user_created",
            "token_made",
            "password_set",
            "login_succeeded",
            "login_failed",
            "token_made",
            "token_revoked",
            "second_factor_on",
            "password_refused",
            "session_ended",
            "role_changed",
            "second_factor_reset",
            "login_succeeded",
            "user_deactivated",
            "user_activated",
        ]
    );
    let whole = whole_security_log();
    for secret in [
        "lan@centre",
        "Lan",
        PASSWORD,
        OTHER_PASSWORD,
        &secret,
        "gds_",
        "gdt_",
    ] {
        assert!(!whole.contains(secret), "{secret}");
    }
}

fn enter_after_reset(app: &TestApp, admin: &crate::support::Client, user: &str) {
    admin.call(&format!("{user}/reset-second-factor")).expect(200);
    enter(app, "lan");
}

#[test]
fn each_session_and_token_that_somebody_ends_has_a_line() {
    keep_security_log();
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let (lan, one, _two) = (enter(&app, "lan"), enter(&app, "lan"), enter(&app, "lan"));
    one.post("/api/v1/me/tokens", &json!({ "name": "một" }))
        .expect(201);
    let id = lan.get(ME).expect(200).body["id"].as_str().unwrap().to_owned();
    let events = || -> Vec<String> {
        let of_lan = |(_, _, user): &(String, Option<String>, Option<String>)| user.as_deref() == Some(&id);
        let log = security_log();
        log.into_iter()
            .filter(of_lan)
            .map(|(event, _, _)| event)
            .collect()
    };
    let before = events().len();
    lan.send("DELETE", "/api/v1/me/sessions", None, None).expect(204);
    assert_eq!(
        events()[before..],
        ["session_ended", "session_ended", "token_revoked"]
    );
    // The one that is presented stays, and nothing ends twice.
    lan.send("DELETE", "/api/v1/me/sessions", None, None).expect(204);
    assert_eq!(events().len(), before + 3);
    let change = json!({ "current": PASSWORD, "new": OTHER_PASSWORD });
    enter(&app, "lan");
    lan.post("/api/v1/me/tokens", &json!({ "name": "hai" }))
        .expect(201);
    let before = events().len();
    lan.put("/api/v1/me/password", &change).expect(204);
    assert_eq!(
        events()[before..],
        ["session_ended", "token_revoked", "password_changed"]
    );
}
