//! Bad input is a problem that names what is wrong, and nothing of it is written.
use serde_json::Value;

use crate::support::client::Reply;
use crate::support::{Client, TestApp, question};

mod addresses;
mod bytes;
mod fields;
mod headers;
mod hostile;

const TICKETS: &str = "/api/v1/tickets";

/// Bodies with `place code` of each wrong field.
type Refusals<'a> = Vec<(Value, &'a [&'a str])>;

/// Bytes and their media type, with the status, the problem and the wrong fields of the answer.
type Unreadable<'a> = (Vec<u8>, &'a str, u16, &'a str, &'a [&'a str]);

/// `place code` of each wrong field.
fn faults(reply: &Reply) -> Vec<String> {
    let mut faults: Vec<String> = reply
        .field_errors()
        .into_iter()
        .map(|(place, code)| format!("{place} {code}"))
        .collect();
    faults.sort();
    faults
}

/// Post each body and expect exactly these faults, and no row more than before.
#[track_caller]
fn assert_refused(app: &TestApp, caller: &Client, path: &str, cases: Refusals) {
    let before = app.footprint();
    let mut wrong = Vec::new();
    for (body, expected) in cases {
        let reply = caller.post(path, &body);
        let shown: String = body.to_string().chars().take(120).collect();
        if reply.status != 422 || reply.problem() != "invalid-input" || faults(&reply) != expected {
            let got = faults(&reply);
            wrong.push(format!(
                "{path} {shown}\n    {} {got:?} instead of {expected:?}",
                reply.status
            ));
        }
        for error in reply.body["errors"].as_array().into_iter().flatten() {
            assert!(!error["detail"].as_str().unwrap().is_empty());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(app.footprint(), before, "something was written");
}

fn with(member: &str, value: Value) -> Value {
    let mut body = question();
    body[member] = value;
    body
}

fn with_requester(member: &str, value: Value) -> Value {
    let mut body = question();
    body["requester"][member] = value;
    body
}

fn without(member: &str) -> Value {
    let mut body = question();
    body.as_object_mut().unwrap().remove(member);
    body
}
