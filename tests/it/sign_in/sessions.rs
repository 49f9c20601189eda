//! Sessions are seen, ended, and end by themselves.
use chrono::Duration;
use giaidap::config::{Overrides, SignInOverrides};
use giaidap::identity::Role;
use serde_json::json;

use super::{ME, OTHER_PASSWORD, PASSWORD, address, attempt, enter, ids, pass, person, session};
use crate::support::TestApp;
use crate::support::threads::wait_for;

const SESSIONS: &str = "/api/v1/me/sessions";

#[test]
fn a_person_sees_their_own_sessions_and_ends_them_one_by_one_or_together() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    person(&app, Role::Agent, "hoa");
    let (one, two, three) = (enter(&app, "lan"), enter(&app, "lan"), enter(&app, "lan"));
    let hoa = enter(&app, "hoa");
    let shown = one.get(SESSIONS).expect(200).body;
    assert_eq!(shown["items"].as_array().unwrap().len(), 3);
    assert_eq!(shown["items"][0]["current"], true);
    assert_eq!(shown["items"][1]["current"], false);
    assert_eq!(shown["items"][0]["opened_from"], "127.0.0.1");
    assert!(!shown.to_string().contains("gds_"));
    let page = one.get(&format!("{SESSIONS}?limit=2")).expect(200).body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = one
        .get(&format!("{SESSIONS}?limit=2&cursor={cursor}"))
        .expect(200)
        .body;
    assert_eq!(ids(&rest), [ids(&shown)[2]]);

    let second = format!("{SESSIONS}/{}", ids(&shown)[1]);
    // Nobody else's.
    hoa.send("DELETE", &second, None, None).expect(404);
    one.send("DELETE", &second, None, None).expect(204);
    two.get(ME).expect(401);
    one.send("DELETE", &second, None, None).expect(404);
    three.get(ME).expect(200);
    one.send("DELETE", SESSIONS, None, None).expect(204);
    three.get(ME).expect(401);
    one.get(ME).expect(200);
    hoa.get(ME).expect(200);
    assert_eq!(ids(&one.get(SESSIONS).expect(200).body).len(), 1);
}

#[test]
fn who_logs_out_is_out_on_every_replica() {
    let app = TestApp::start();
    let replica = app.replica();
    let token = person(&app, Role::Agent, "lan");
    let lan = enter(&app, "lan");
    lan.on(&replica.url).get(ME).expect(200);
    lan.call("/api/v1/auth/logout").expect(204);
    lan.get(ME).expect(401);
    lan.on(&replica.url).get(ME).expect(401);
    // A token does not log out.
    token.call("/api/v1/auth/logout").expect(409);
    token.get(ME).expect(200);
}

#[test]
fn a_session_that_nobody_uses_ends_and_one_in_use_goes_on() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let (idle, used) = (enter(&app, "lan"), enter(&app, "lan"));
    pass(&app, Duration::minutes(59));
    let now = app.app.clock.now();
    used.get(ME).expect(200);
    wait_for("the use to be written down", || {
        let email = address("lan");
        let page = app.read(move |conn| {
            let lan = giaidap::identity::accounts::get(conn, &email)?;
            let times = (now, Duration::hours(1));
            giaidap::identity::credentials::list(conn, lan.id, None, times, None, 10)
        });
        page.items
            .iter()
            .any(|row| row.last_used_at.is_some())
            .then_some(())
    });
    pass(&app, Duration::minutes(1));
    idle.get(ME).expect(401);
    // What has ended is not shown.
    assert_eq!(ids(&used.get(SESSIONS).expect(200).body).len(), 1);
    pass(&app, Duration::minutes(58));
    used.get(ME).expect(200);
}

#[test]
fn a_session_ends_after_its_hours_however_busy_it_is() {
    let app = TestApp::start_with(&Overrides {
        sign_in: SignInOverrides {
            session_hours: Some(2),
            session_idle_minutes: Some(720),
            ..SignInOverrides::default()
        },
        ..Overrides::default()
    });
    person(&app, Role::Agent, "lan");
    let entered = attempt(&app, &address("lan"), PASSWORD, None).expect(200);
    assert_eq!(entered.body["expires_at"], "2019-11-22T11:30:00Z");
    let lan = session(&app, &entered);
    pass(&app, Duration::minutes(119));
    lan.get(ME).expect(200);
    pass(&app, Duration::minutes(1));
    lan.get(ME).expect(401);
    // Forgotten a month later.
    let before = app.rows_in("credentials");
    pass(&app, Duration::days(31));
    app.settle();
    assert_eq!(app.rows_in("credentials"), before - 1);
}

#[test]
fn a_password_that_changes_while_somebody_logs_in_lets_nobody_in_with_the_old_one() {
    let app = TestApp::start();
    let lan = person(&app, Role::Agent, "lan");
    let statuses = crate::support::threads::at_once(3, |number| match number {
        0 => {
            let body = json!({ "current": PASSWORD, "new": OTHER_PASSWORD });
            lan.put("/api/v1/me/password", &body).status
        }
        _ => attempt(&app, &address("lan"), PASSWORD, None).status,
    });
    assert_eq!(statuses[0], 204);
    // Whoever came in before was put out with the change.
    let open = lan.get(SESSIONS).expect(200).body;
    assert_eq!(ids(&open).len(), 0, "{statuses:?}");
}
