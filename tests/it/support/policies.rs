//! Policies of a test, each for the questions that carry its code as a tag.
use giaidap::calendars::Name;
use giaidap::policies::{NewPolicy, create_policy};
use serde_json::{Value, json};

use super::client::Client;
use super::{TestApp, question};

/// A policy on the shipped calendar: what is not given promises, warns and pauses nothing.
pub fn with_policy(app: &TestApp, code: &str, given: Value) {
    with_policy_on(app, "vn-government", code, given);
}

pub fn with_policy_on(app: &TestApp, calendar: &str, code: &str, given: Value) {
    let mut spec = json!({
        "targets": {},
        "conditions": { "tag": [code] },
        "precedence": 10,
        "warn_at_percent": [],
        "pauses": { "waiting": ["first_response", "next_response", "resolution"] },
        "reopen": "continue",
        "close_after_business_days": 5,
    });
    for (name, value) in given.as_object().unwrap() {
        spec[name] = value.clone();
    }
    let new = NewPolicy {
        code: code.to_owned(),
        name: Name {
            vi: code.to_owned(),
            en: code.to_owned(),
        },
        calendar: calendar.to_owned(),
        spec: serde_json::from_value(spec).unwrap(),
        is_default: false,
    };
    let now = app.app.clock.now();
    app.write(move |conn| create_policy(conn, &new, "test", now).map(drop));
}

/// `question()` with these tags and without a topic's priority.
pub fn file_tagged(organisation: &Client, tags: &[&str]) -> Value {
    let mut asked = question();
    asked["tags"] = json!(tags);
    organisation.post("/api/v1/tickets", &asked).expect(201).body
}
