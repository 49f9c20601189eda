//! Whoever guesses waits: by address of mail, by network, at once and on two replicas.
use chrono::Duration;
use giaidap::config::{NetworkOverrides, Overrides};
use giaidap::identity::Role;
use serde_json::json;

use super::{LOGIN, OTHER_PASSWORD, PASSWORD, address, attempt, pass, person};
use crate::support::TestApp;
use crate::support::threads::at_once;

#[test]
fn five_failures_make_wait_a_minute_that_doubles_up_to_an_hour() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    let lan = address("lan");
    for _ in 0..5 {
        attempt(&app, &lan, OTHER_PASSWORD, None).expect(401);
    }
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let refused = attempt(&app, &lan, PASSWORD, None).expect(429);
        assert_eq!(refused.problem(), "too-many-attempts");
        assert_eq!(
            refused.header("retry-after"),
            Some((minutes * 60).to_string().as_str())
        );
        // Waiting is not made longer by trying meanwhile.
        pass(&app, Duration::seconds(minutes * 60 - 1));
        let refused = attempt(&app, &lan, PASSWORD, None).expect(429);
        assert_eq!(refused.header("retry-after"), Some("1"));
        pass(&app, Duration::seconds(1));
        attempt(&app, &lan, OTHER_PASSWORD, None).expect(401);
    }
    pass(&app, Duration::hours(1));
    attempt(&app, &lan, PASSWORD, None).expect(200);
    // Forgiven: it begins anew.
    for _ in 0..5 {
        attempt(&app, &lan, OTHER_PASSWORD, None).expect(401);
    }
    attempt(&app, &lan, PASSWORD, None).expect(429);
}

#[test]
fn an_address_of_nobody_waits_like_any_other_and_is_not_stored() {
    let app = TestApp::start();
    for _ in 0..5 {
        attempt(&app, "nobody@centre.example", PASSWORD, None).expect(401);
    }
    // In whatever case it is written.
    attempt(&app, "Nobody@centre.example", PASSWORD, None).expect(429);
    assert_eq!(app.rows_in("login_failures"), 2);
    let named = "(SELECT * FROM login_failures WHERE subject LIKE '%centre%') AS named";
    assert_eq!(app.rows_in(named), 0);
    pass(&app, Duration::hours(25));
    app.settle();
    assert_eq!(app.rows_in("login_failures"), 0);
}

#[test]
fn who_is_right_before_the_fifth_time_begins_anew() {
    let app = TestApp::start();
    person(&app, Role::Agent, "lan");
    for _ in 0..3 {
        for _ in 0..4 {
            attempt(&app, &address("lan"), OTHER_PASSWORD, None).expect(401);
        }
        attempt(&app, &address("lan"), PASSWORD, None).expect(200);
    }
}

#[test]
fn a_network_that_tries_many_addresses_waits_and_others_do_not() {
    let app = TestApp::start_with(&Overrides {
        network: NetworkOverrides {
            trusted_proxies: Some(vec!["127.0.0.1".into()]),
            ..NetworkOverrides::default()
        },
        ..Overrides::default()
    });
    person(&app, Role::Agent, "lan");
    let from = |source: &str, email: &str, password: &str| {
        let visitor = app.anonymous().with("X-Forwarded-For", source);
        visitor.post(LOGIN, &json!({ "email": email, "password": password }))
    };
    for number in 0..50 {
        let source = format!("2001:db8::{number:x}");
        from(&source, &format!("n{number}@centre.example"), PASSWORD).expect(401);
    }
    let refused = from("2001:db8::ffff", &address("lan"), PASSWORD).expect(429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    from("2001:db8:0:1::1", &address("lan"), PASSWORD).expect(200);
    from("10.0.0.1", &address("lan"), PASSWORD).expect(200);
    pass(&app, Duration::minutes(1));
    from("2001:db8::ffff", &address("lan"), PASSWORD).expect(200);
}

#[test]
fn many_at_once_on_two_replicas_get_no_further_than_one_after_the_other() {
    let app = TestApp::start();
    let replica = app.replica();
    person(&app, Role::Agent, "lan");
    let statuses = at_once(20, |number| {
        let server = if number % 2 == 0 { &app } else { &replica };
        attempt(server, &address("lan"), OTHER_PASSWORD, None).status
    });
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((looked_at, refused), (5, 15), "{statuses:?}");
    attempt(&replica, &address("lan"), PASSWORD, None).expect(429);
}
