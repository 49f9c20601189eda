//! Agreements: an organisation's own targets, by the day on which it files.

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde_json::{Value, json};

use crate::support::database::Backend;
use crate::support::desk::{agreement, clock};
use crate::support::threads::wait_for;
use crate::support::{TestApp, file};

const AGREEMENTS: &str = "/api/v1/agreements";

#[test]
fn which_agreement_counts_is_decided_by_the_day_of_filing_in_viet_nam() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let made = admin
        .post(AGREEMENTS, &agreement("H57", "2020-01-01"))
        .expect(201);
    assert_eq!(made.version(), 1);
    let response_minutes =
        |ticket: &Value| clock(ticket, "first_response")["remaining_business_seconds"].clone();
    for (at, seconds) in [
        // 23:59 on New Year's Eve in Việt Nam, and one minute later; UTC is seven hours behind.
        ("2019-12-31T16:59:59Z", 480 * 60),
        ("2019-12-31T17:00:00Z", 180 * 60),
        ("2020-12-31T16:59:59Z", 180 * 60),
        ("2020-12-31T17:00:00Z", 480 * 60),
    ] {
        app.at(at);
        let own = json!({ "priority": "normal" });
        let foretold = hue.post("/api/v1/sla-policies/match", &own).expect(200).body;
        let agreed = seconds == 180 * 60;
        assert_eq!(foretold["agreement"]["id"] == made.body["id"], agreed, "{at}");
        assert_eq!(
            foretold["targets"]["first_response"]["normal"],
            json!({ "business_minutes": seconds / 60 })
        );
        assert_eq!(response_minutes(&file(&hue)), seconds, "{at}");
        assert_eq!(
            response_minutes(&file(&app.key_of(
                "H26",
                at,
                &giaidap::identity::Scope::OF_CLIENTS
            ))),
            480 * 60
        );
    }
}

#[test]
fn a_program_sees_the_agreements_of_its_own_organisation_only() {
    let app = TestApp::start();
    let (admin, hue, foreign) = (app.admin(), app.organisation("H57"), app.organisation("H26"));
    let first = admin
        .post(AGREEMENTS, &agreement("H57", "2020-01-01"))
        .expect(201)
        .body;
    let second = admin
        .post(AGREEMENTS, &agreement("H26", "2021-01-01"))
        .expect(201)
        .body;
    let ids = |caller: &crate::support::Client, query: &str| -> Vec<Value> {
        let list = caller.get(&format!("{AGREEMENTS}{query}")).expect(200).body;
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].clone()).collect()
    };
    let (first_id, second_id) = (first["id"].clone(), second["id"].clone());
    assert_eq!(ids(&admin, ""), [first_id.clone(), second_id.clone()]);
    assert_eq!(ids(&admin, "?organisation=H26"), std::slice::from_ref(&second_id));
    assert_eq!(
        ids(&admin, "?active_on=2020-12-31"),
        std::slice::from_ref(&first_id)
    );
    assert_eq!(ids(&hue, ""), std::slice::from_ref(&first_id));
    assert!(ids(&hue, "?organisation=H26").is_empty());
    let path = format!("{AGREEMENTS}/{}", first_id.as_str().unwrap());
    let shown = hue.get(&path).expect(200);
    assert_eq!(shown.body["author"], Value::Null);
    hue.with("If-None-Match", shown.header("etag").unwrap())
        .get(&path)
        .expect(304);
    foreign.get(&path).expect(404);
    admin.get(&format!("{AGREEMENTS}/none")).expect(404);
}

#[test]
fn what_is_wrong_with_an_agreement_is_said_where_it_stands() {
    let app = TestApp::start();
    let admin = app.admin();
    admin
        .post(AGREEMENTS, &agreement("H57", "2020-01-01"))
        .expect(201);
    file(&app.organisation("H26"));
    let with = |organisation: &str, member: &str, value: Value| {
        let mut body = agreement(organisation, "2022-01-01");
        body[member] = value;
        body
    };
    let late = |from: &str| with("H26", "valid_from", json!(from));
    for (body, pointer, code) in [
        (
            with("H99", "valid_to", json!("2022-01-01")),
            "/organisation",
            "unknown_code",
        ),
        (
            with("H57", "valid_to", json!("2021-12-31")),
            "/valid_to",
            "bad_period",
        ),
        (
            with("H57", "valid_from", json!("2022-02-30")),
            "/valid_from",
            "out_of_range",
        ),
        (
            with("H57", "valid_from", json!("2020-12-31")),
            "/valid_from",
            "overlapping_period",
        ),
        (with("H57", "targets", json!({})), "/targets", "no_target"),
        (late("2019-11-22"), "/valid_from", "tickets_filed"),
        (
            with(
                "H57",
                "targets",
                json!({ "resolution": { "low": { "calendar_days": 0 } } }),
            ),
            "/targets/resolution/low/calendar_days",
            "zero_amount",
        ),
    ] {
        let refused = admin.post(AGREEMENTS, &body).expect(422);
        assert_eq!(
            refused.field_errors(),
            [(pointer.to_owned(), code.to_owned())],
            "{body}"
        );
    }
    admin.post(AGREEMENTS, &late("2019-11-23")).expect(201);
    assert_eq!(app.rows_in("agreements"), 2);
}

#[test]
fn an_agreement_ends_early_but_not_before_a_question_that_was_filed_under_it() {
    let app = TestApp::start();
    let (admin, hue) = (app.admin(), app.organisation("H57"));
    let made = admin
        .post(AGREEMENTS, &agreement("H57", "2020-01-01"))
        .expect(201)
        .body;
    let path = format!("{AGREEMENTS}/{}/end", made["id"].as_str().unwrap());
    app.at("2020-03-10T09:00:00+07:00");
    file(&hue);
    let end = |on: &str| json!({ "valid_to": on, "reason": "Hai bên thống nhất." });
    for (on, code) in [
        ("2020-03-09", "tickets_filed"),
        ("2019-12-31", "bad_period"),
        ("2021-01-01", "bad_period"),
    ] {
        let refused = admin.post(&path, &end(on)).expect(422);
        assert_eq!(
            refused.field_errors(),
            [("/valid_to".to_owned(), code.to_owned())],
            "{on}"
        );
    }
    let ended = admin
        .with("If-Match", "\"1\"")
        .post(&path, &end("2020-03-10"))
        .expect(200);
    assert_eq!(
        (&ended.body["valid_to"], &ended.body["version"]),
        (&json!("2020-03-10"), &json!(2))
    );
    admin
        .with("If-Match", "\"1\"")
        .post(&path, &end("2020-03-10"))
        .expect(412);
    admin
        .post(AGREEMENTS, &agreement("H57", "2020-03-11"))
        .expect(201);
}

#[test]
fn of_two_agreements_for_one_time_made_at_once_one_is_refused() {
    let app = TestApp::start();
    let other = app.replica();
    let admin = app.admin();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let make = |client: crate::support::Client| {
            scope.spawn(move || client.post(AGREEMENTS, &agreement("H57", "2020-01-01")).status)
        };
        let both = [make(admin.clone()), make(admin.on(&other.url))];
        both.map(|thread| thread.join().unwrap()).to_vec()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
}

/// Runs `request` while another session has begun this and not ended it, and ends it when the request waits for it.
fn while_begun<T: Send>(app: &TestApp, begun: &str, request: impl FnOnce() -> T + Send) -> T {
    let mut other = PgConnection::establish(&app.database.url).unwrap();
    other.batch_execute(&format!("BEGIN; {begun}")).unwrap();
    std::thread::scope(|scope| {
        let answer = scope.spawn(request);
        let waiting = sql::<BigInt>(
            "(SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock')",
        );
        wait_for("a session that waits", || {
            assert!(!answer.is_finished(), "nobody waited");
            let sessions: i64 = diesel::select(waiting.clone()).get_result(&mut other).unwrap();
            (sessions > 0).then_some(())
        });
        other.batch_execute("COMMIT").unwrap();
        answer.join().unwrap()
    })
}

/// On SQLite one writes after the other.
#[test]
fn who_files_while_an_agreement_is_being_made_on_another_server_files_under_it() {
    let app = TestApp::start();
    if app.database.backend == Backend::Sqlite {
        return;
    }
    let hue = app.organisation("H57");
    let made = "SELECT id FROM organisations WHERE code = 'H57' FOR UPDATE; \
        INSERT INTO agreements (uid, organisation_id, name_vi, name_en, targets, valid_from, author, created_at, \
        updated_at, version) SELECT gen_random_uuid(), id, 'x', 'x', \
        '{\"first_response\": {\"normal\": {\"business_minutes\": 180}}}', '2019-11-22', 'x', now(), now(), 1 \
        FROM organisations WHERE code = 'H57'";
    let ticket = while_begun(&app, made, || file(&hue));
    let first = clock(&ticket, "first_response");
    assert_eq!(first["remaining_business_seconds"], 180 * 60);
}

#[test]
fn an_agreement_does_not_begin_before_a_question_that_is_being_filed_on_another_server() {
    let app = TestApp::start();
    if app.database.backend == Backend::Sqlite {
        return;
    }
    let admin = app.admin();
    app.at("2019-11-21T09:00:00+07:00");
    file(&app.organisation("H57"));
    app.at("2019-11-22T09:00:00+07:00");
    let filing = "INSERT INTO tickets (uid, number, link_token, subject, body, state, priority, channel, \
        organisation_id, queue_id, tags, custom_fields, policy_version_id, urgency_at, breached, filed_at, \
        updated_at, status_updates, version) SELECT gen_random_uuid(), 'GD-2019-999999', 'x', subject, body, state, \
        priority, channel, organisation_id, queue_id, tags, custom_fields, policy_version_id, urgency_at, breached, \
        '2019-11-22T02:00:00Z', updated_at, 0, 1 FROM tickets";
    let today = json!({
        "organisation": "H57",
        "name": { "vi": "Thỏa thuận", "en": "Agreement" },
        "targets": { "first_response": { "normal": { "business_minutes": 180 } } },
        "valid_from": "2019-11-22",
    });
    let refused = while_begun(&app, filing, || admin.post(AGREEMENTS, &today)).expect(422);
    assert_eq!(
        refused.field_errors(),
        [("/valid_from".to_owned(), "tickets_filed".to_owned())]
    );
}
