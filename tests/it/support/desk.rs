//! What many tests say of a ticket: its path, its clocks, its history; and a look at the tables behind the API.
use diesel::RunQueryDsl;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use serde_json::{Value, json};

use super::TestApp;
use super::client::Client;

/// Tables that a request may write to. A refused request leaves all of them as they were.
pub const WRITTEN_TABLES: [&str; 19] = [
    "agreements",
    "attachments",
    "calendar_versions",
    "calendars",
    "clock_segments",
    "clocks",
    "deliveries",
    "idempotency_records",
    "messages",
    "operational_targets",
    "organisations",
    "recounts",
    "requesters",
    "sla_policies",
    "sla_policy_versions",
    "ticket_events",
    "ticket_numbers",
    "ticket_texts",
    "tickets",
];

impl TestApp {
    /// A statement that means the same on both backends, for what no operation does.
    pub fn sql(&self, statement: &str) {
        let statement = statement.to_owned();
        let changed = self.write(move |conn| Ok(diesel::sql_query(statement).execute(conn)?));
        assert!(changed > 0, "the statement changed nothing");
    }

    pub fn rows_in(&self, table: &'static str) -> i64 {
        self.read(move |conn| {
            Ok(diesel::select(sql::<BigInt>(&format!("(SELECT count(*) FROM {table})"))).get_result(conn)?)
        })
    }

    /// How many rows each table has that a request may write to.
    pub fn footprint(&self) -> Vec<(&'static str, i64)> {
        WRITTEN_TABLES.map(|table| (table, self.rows_in(table))).to_vec()
    }
}

/// A sound policy with these conditions, that answers in an hour and resolves in two days.
pub fn policy(code: &str, precedence: u32, conditions: Value) -> Value {
    json!({
        "code": code,
        "name": { "vi": "Chính sách thử", "en": "A policy" },
        "calendar": "vn-government",
        "reason": "Theo kế hoạch.",
        "targets": {
            "first_response": { "normal": { "business_minutes": 60 } },
            "resolution": { "normal": { "business_days": 2 } },
        },
        "conditions": conditions,
        "precedence": precedence,
        "warn_at_percent": [50, 80],
        "pauses": { "waiting": ["resolution"] },
        "reopen": "continue",
        "close_after_business_days": 5,
    })
}

/// An agreement of an organisation for one year: three hours to the first answer.
pub fn agreement(organisation: &str, valid_from: &str) -> Value {
    let year = &valid_from[..4];
    json!({
        "organisation": organisation,
        "name": { "vi": "Thỏa thuận phục vụ", "en": "Service agreement" },
        "targets": { "first_response": { "normal": { "business_minutes": 180 } } },
        "valid_from": valid_from,
        "valid_to": format!("{year}-12-31"),
    })
}

/// `/api/v1/tickets/<number>`.
pub fn path_of(ticket: &Value) -> String {
    format!("/api/v1/tickets/{}", ticket["number"].as_str().unwrap())
}

/// The ticket's latest clock for this target.
#[track_caller]
pub fn clock<'a>(ticket: &'a Value, target: &str) -> &'a Value {
    let clocks = ticket["clocks"].as_array().unwrap();
    clocks.iter().rfind(|clock| clock["target"] == target).unwrap()
}

/// The ticket's history as this actor sees it, oldest first.
#[track_caller]
pub fn events(actor: &Client, path: &str) -> Vec<Value> {
    let events = actor.get(&format!("{path}/events?limit=200")).expect(200).body;
    events["items"].as_array().unwrap().clone()
}

/// Kinds of the history, oldest first.
#[track_caller]
pub fn kinds(actor: &Client, path: &str) -> Vec<String> {
    let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
    events(actor, path).iter().map(kind).collect()
}

/// A problem without what differs from request to request.
pub fn without_request_id(body: &Value) -> Value {
    let mut body = body.clone();
    body.as_object_mut().unwrap().remove("request_id");
    body
}
