//! Whose time it was: the segments of a ticket's clocks, each with the queue and the agent that held the ticket.
use diesel::prelude::*;
use giaidap::store::schema::{clock_segments, clocks, queues, users};
use serde_json::{Value, json};

use crate::support::database::Backend;
use crate::support::desk::{clock, path_of};
use crate::support::{Client, TestApp, file};

/// A closed segment: from, to, running, queue, agent, carried.
#[derive(Debug, PartialEq)]
struct Segment {
    from: String,
    to: String,
    running: bool,
    queue: String,
    agent: Option<String>,
    carried: bool,
}

/// Closed segments of the house's only clock of this target and cycle, in order.
fn segments(app: &TestApp, target: &'static str, cycle: i32) -> Vec<Segment> {
    app.read(move |conn| {
        let rows = clock_segments::table
            .inner_join(clocks::table)
            .inner_join(queues::table)
            .left_join(users::table)
            .filter(clocks::target.eq(target).and(clocks::cycle.eq(cycle)))
            .order(clock_segments::id)
            .select((
                clock_segments::from_at,
                clock_segments::to_at,
                clock_segments::running,
                queues::code,
                users::name.nullable(),
                clock_segments::carried,
            ))
            .load::<(
                giaidap::store::Ts,
                giaidap::store::Ts,
                bool,
                String,
                Option<String>,
                bool,
            )>(conn)?;
        let text = |at: giaidap::store::Ts| at.0.to_rfc3339();
        Ok(rows
            .into_iter()
            .map(|(from, to, running, queue, agent, carried)| Segment {
                from: text(from),
                to: text(to),
                running,
                queue,
                agent,
                carried,
            })
            .collect())
    })
}

fn business_seconds(client: &Client, from: &str, to: &str) -> i64 {
    let span = json!({ "from": from, "to": to });
    let elapsed = client.post("/api/v1/calendars/vn-government/elapsed", &span);
    elapsed.expect(200).body["business_seconds"].as_i64().unwrap()
}

fn figures(ticket: &Value) -> Vec<[Value; 4]> {
    ["first_response", "resolution"]
        .map(|target| {
            let clock = clock(ticket, target);
            ["state", "due_at", "remaining_business_seconds", "started_at"].map(|name| clock[name].clone())
        })
        .to_vec()
}

#[test]
fn every_second_is_put_down_to_who_held_the_ticket_and_no_figure_moves() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let lan = app.agent("lan", &["technology"]);
    app.agent("hung", &["technology"]);
    let eve = app.agent("eve", &["security"]);
    // Friday 16:30.
    let path = path_of(&file(&hue));
    let steps: [(&str, &Client, &str, Value); 8] = [
        ("2019-11-25T08:00:00+07:00", &lan, "claim", json!({})),
        (
            "2019-11-25T10:00:00+07:00",
            &sup,
            "assign",
            json!({ "assignee": "hung@centre.example" }),
        ),
        // To whom it is given already.
        (
            "2019-11-25T10:15:00+07:00",
            &sup,
            "assign",
            json!({ "assignee": "hung@centre.example" }),
        ),
        ("2019-11-25T10:30:00+07:00", &sup, "release", json!({})),
        (
            "2019-11-25T11:00:00+07:00",
            &sup,
            "transfer",
            json!({ "queue": "security", "reason": "x" }),
        ),
        ("2019-11-25T14:00:00+07:00", &eve, "claim", json!({})),
        // Given back and taken again in one instant.
        ("2019-11-25T15:00:00+07:00", &eve, "release", json!({})),
        ("2019-11-25T15:00:00+07:00", &eve, "claim", json!({})),
    ];
    for (at, actor, operation, body) in steps {
        app.at(at).settle();
        let before = figures(&sup.get(&path).expect(200).body);
        let after = actor.post(&format!("{path}/{operation}"), &body).expect(200).body;
        assert_eq!(figures(&after), before, "{operation} at {at}");
    }
    app.at("2019-11-25T16:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    let resolved = eve.post(&format!("{path}/resolve"), &answer).expect(200).body;

    let (technology, security) = ("technology", "security");
    let expected = [
        ("2019-11-22T09:30", "2019-11-25T01:00", technology, None),
        ("2019-11-25T01:00", "2019-11-25T03:00", technology, Some("Lan")),
        ("2019-11-25T03:00", "2019-11-25T03:30", technology, Some("Hung")),
        ("2019-11-25T03:30", "2019-11-25T04:00", technology, None),
        ("2019-11-25T04:00", "2019-11-25T07:00", security, None),
        ("2019-11-25T07:00", "2019-11-25T08:00", security, Some("Eve")),
        ("2019-11-25T08:00", "2019-11-25T09:00", security, Some("Eve")),
    ]
    .map(|(from, to, queue, agent)| Segment {
        from: format!("{from}:00+00:00"),
        to: format!("{to}:00+00:00"),
        running: true,
        queue: queue.to_owned(),
        agent: agent.map(str::to_owned),
        carried: false,
    });
    for target in ["first_response", "resolution"] {
        assert_eq!(segments(&app, target, 1), expected, "{target}");
    }
    let sum: i64 = expected
        .iter()
        .map(|segment| business_seconds(&sup, &segment.from, &segment.to))
        .sum();
    let left = clock(&resolved, "first_response")["remaining_business_seconds"]
        .as_i64()
        .unwrap();
    assert_eq!(sum, 8 * 3600 - left, "eight hours for the first response");
}

#[test]
fn time_of_waiting_is_the_agents_too_but_paused() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = path_of(&file(&hue));
    // In the very instant of filing: a segment without length is none.
    lan.call(&format!("{path}/claim")).expect(200);
    lan.post(&format!("{path}/wait"), &json!({ "message": "?" }))
        .expect(200);
    assert_eq!(segments(&app, "resolution", 1), []);
    app.at("2019-11-25T08:00:00+07:00");
    hue.post(&format!("{path}/messages"), &json!({ "body": "H57.14" }))
        .expect(201);
    let waited = segments(&app, "resolution", 1);
    assert_eq!(waited.len(), 1);
    assert_eq!(
        (waited[0].running, waited[0].agent.as_deref()),
        (false, Some("Lan"))
    );
    // The first response stopped as it started; it still can be asked, and the ticket reopened.
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    hue.post(&format!("{path}/reopen"), &json!({ "reason": "Chưa rõ." }))
        .expect(200);
}

#[test]
fn an_answer_in_the_instant_of_filing_can_be_reopened() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    continue_when_reopened(&app);
    let path = path_of(&file(&hue));
    lan.call(&format!("{path}/claim")).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    let reopened = hue
        .post(&format!("{path}/reopen"), &json!({ "reason": "Chưa rõ." }))
        .expect(200)
        .body;
    assert_eq!(clock(&reopened, "resolution")["due_at"], "2019-11-29T10:30:00Z");
}

/// Before the first ticket: compiled policies are kept.
fn continue_when_reopened(app: &TestApp) {
    let definition = match app.database.backend {
        Backend::Sqlite => "replace(definition, '\"new_cycle\"', '\"continue\"')",
        Backend::Postgres => "replace(definition::text, '\"new_cycle\"', '\"continue\"')::jsonb",
    };
    app.sql(&format!(
        "UPDATE sla_policy_versions SET definition = {definition}"
    ));
}

#[test]
fn a_clock_that_goes_on_says_which_of_its_segments_were_counted_before() {
    let app = TestApp::start();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    continue_when_reopened(&app);
    let path = path_of(&file(&hue));
    app.at("2019-11-25T08:00:00+07:00");
    lan.call(&format!("{path}/claim")).expect(200);
    app.at("2019-11-25T09:00:00+07:00");
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    app.at("2019-11-26T09:00:00+07:00");
    hue.post(&format!("{path}/reopen"), &json!({ "reason": "Chưa rõ." }))
        .expect(200);
    app.at("2019-11-26T10:00:00+07:00");
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    let (first, second) = (segments(&app, "resolution", 1), segments(&app, "resolution", 2));
    let carried = |segments: &[Segment]| segments.iter().map(|s| s.carried).collect::<Vec<_>>();
    assert_eq!(carried(&first), [false, false]);
    assert_eq!(carried(&second), [true, true, false]);
    let own: Vec<i64> = first
        .iter()
        .chain(&second)
        .filter(|segment| !segment.carried)
        .map(|segment| business_seconds(&lan, &segment.from, &segment.to))
        .collect();
    // Friday's hour in the queue, and Lan's two.
    assert_eq!(own, [3600, 3600, 3600]);
}
