//! Recounts and notices by real processes: killed halfway, and two at once.
use std::collections::BTreeMap;

use diesel::prelude::*;
use giaidap::clock::Clock;
use giaidap::config::Overrides;
use giaidap::store::schema::{clocks, ticket_events, tickets};
use serde_json::json;

use super::{account, change, patch};
use crate::support::app::block_on;
use crate::support::database::Backend;
use crate::support::policies::{file_tagged, with_policy};
use crate::support::process::ServerProcess;
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, file};

const MANY: i64 = 2_000;
/// Each of these is a transaction of its own.
const LATE: i64 = 300;

/// Many tickets that were filed just now by the system's clock, and a week of which nobody knew that it is off.
fn house_with_a_new_holiday() -> (TestApp, Client) {
    let app = TestApp::start_with(&Overrides {
        mail_transport: Some("folder".into()),
        ..Overrides::default()
    });
    let now = Clock::system().now();
    app.app.clock.set(now);
    let (hue, admin) = (app.organisation("H57"), app.admin());
    file(&hue);
    app.multiply(MANY);
    let days: Vec<String> = (0..12)
        .map(|day| {
            (now + chrono::TimeDelta::days(day))
                .format("%Y-%m-%d")
                .to_string()
        })
        .collect();
    let days: Vec<&str> = days.iter().map(String::as_str).collect();
    patch(&admin, 1, &change(&days)).expect(200);
    (app, admin)
}

/// (ticket, whether its clocks name the newest version), one a clock; and the tickets that have an event.
fn progress(app: &TestApp) -> (Vec<(i64, bool)>, Vec<i64>) {
    let read = app.app.store.read_snapshot(|conn| {
        let rows: Vec<(i64, i64)> = clocks::table
            .order(clocks::id)
            .select((clocks::ticket_id, clocks::calendar_version_id))
            .load(conn)?;
        let newest = rows.iter().map(|(_, version)| *version).max().unwrap();
        let events = ticket_events::table
            .filter(ticket_events::kind.eq("due_moved"))
            .order(ticket_events::ticket_id)
            .select(ticket_events::ticket_id)
            .load(conn)?;
        Ok((
            rows.into_iter()
                .map(|(ticket, version)| (ticket, version == newest))
                .collect(),
            events,
        ))
    });
    block_on(read).unwrap()
}

#[test]
fn a_recount_that_is_killed_halfway_leaves_nothing_half_done_and_goes_on_after_the_restart() {
    let (app, _) = house_with_a_new_holiday();
    for halfway in [500, 1000, 1500] {
        let standstill = app.stand_still_at(halfway, "ticket_events", "kind = 'due_moved'");
        let mut server = ServerProcess::start(&app.database.url, &app.app.config.storage);
        let before = progress(&app).1.len();
        wait_for("some tickets", || (progress(&app).1.len() > before).then_some(()));
        server.kill();
        standstill.release();
        let (rows, events) = progress(&app);
        assert!(
            events.len() <= usize::try_from(halfway).unwrap(),
            "{}",
            events.len()
        );
        let done: Vec<i64> = rows
            .iter()
            .filter(|(_, newest)| *newest)
            .map(|(ticket, _)| *ticket)
            .collect();
        let mut tickets = done.clone();
        tickets.sort_unstable();
        let twice: Vec<i64> = events.iter().flat_map(|ticket| [*ticket, *ticket]).collect();
        assert_eq!(tickets, twice, "both clocks and one event, or none of it");
        assert_eq!(account(&app).0, i64::try_from(done.len()).unwrap());
    }
    let _server = ServerProcess::start(&app.database.url, &app.app.config.storage);
    wait_for("the end of the recount", || account(&app).4.then_some(()));
    assert_all_moved_once(&app);
}

#[test]
fn two_servers_that_recount_at_once_count_every_clock_once() {
    let (app, _) = house_with_a_new_holiday();
    // SQLite is for one server.
    let servers = match app.database.backend {
        Backend::Postgres => 2,
        Backend::Sqlite => 1,
    };
    let mut servers = at_once(servers, |_| {
        ServerProcess::start(&app.database.url, &app.app.config.storage)
    });
    wait_for("the end of the recount", || account(&app).4.then_some(()));
    assert_all_moved_once(&app);
    for server in &mut servers {
        server.terminate();
        let (status, log) = server.wait();
        assert!(
            status.success() && !log.contains("ERROR") && !log.contains("one by one"),
            "{log}"
        );
    }
}

fn assert_all_moved_once(app: &TestApp) {
    let (rows, events) = progress(app);
    assert!(rows.iter().all(|(_, newest)| *newest));
    assert_eq!(events, (1..=MANY).collect::<Vec<_>>());
    assert_eq!(account(app), (2 * MANY, 0, 2 * MANY, 0, true));
}

/// How long ago they were filed: of these, more than five are told of on a working day, whatever holidays come between.
const WEEKS: i64 = 12;

/// Many questions that were filed weeks ago and have been late since, of which nobody has taken notice: each is to be
/// escalated, and its asker to be told several times.
fn house_full_of_late_questions() -> TestApp {
    let app = TestApp::start_with(&Overrides {
        mail_transport: Some("folder".into()),
        ..Overrides::default()
    });
    app.app
        .clock
        .set(Clock::system().now() - chrono::TimeDelta::days(WEEKS * 7));
    let amount = json!({ "business_minutes": 60 });
    with_policy(
        &app,
        "steps",
        json!({
            "targets": { "resolution": { "normal": amount, "high": amount } },
            "warn_at_percent": [50],
            "status_update": { "every": { "calendar_days": 7 } },
            "escalations": [
                { "target": "resolution", "on": "warning", "raise_priority": true, "notify": ["supervisors"] },
                { "target": "resolution", "on": "breach", "transfer": "standing" },
            ],
        }),
    );
    file_tagged(&app.organisation("H57"), &["steps"]);
    app.multiply(LATE);
    app
}

/// Of each ticket that is no longer as it was filed: warnings, breaches, escalations, status updates and the row's own
/// count of these.
fn noticed(app: &TestApp) -> BTreeMap<i64, [i64; 5]> {
    let read = app.app.store.read_snapshot(|conn| {
        let kinds = [
            "clock_warning",
            "clock_breached",
            "ticket_escalated",
            "status_updated",
        ];
        let events: Vec<(i64, String)> = ticket_events::table
            .filter(ticket_events::kind.eq_any(kinds))
            .select((ticket_events::ticket_id, ticket_events::kind))
            .load(conn)?;
        let counts: Vec<(i64, i32)> = tickets::table
            .filter(tickets::breached.eq(true))
            .select((tickets::id, tickets::status_updates))
            .load(conn)?;
        let mut noticed: BTreeMap<i64, [i64; 5]> = BTreeMap::new();
        for (ticket, kind) in events {
            let place = kinds.iter().position(|known| **known == kind).unwrap();
            noticed.entry(ticket).or_default()[place] += 1;
        }
        for (ticket, count) in counts {
            noticed.entry(ticket).or_default()[4] = i64::from(count);
        }
        Ok(noticed)
    });
    block_on(read).unwrap()
}

#[test]
fn escalations_and_status_updates_that_are_cut_off_are_each_there_once_in_the_end() {
    let app = house_full_of_late_questions();
    let many = usize::try_from(LATE).unwrap();
    for halfway in [75, 150, 225] {
        let standstill = app.stand_still_at(halfway, "ticket_events", "kind = 'clock_warning'");
        let before = noticed(&app).len();
        let mut server = ServerProcess::start(&app.database.url, &app.app.config.storage);
        wait_for("some tickets", || (noticed(&app).len() > before).then_some(()));
        server.kill();
        standstill.release();
        let done = noticed(&app);
        assert!(done.len() < many, "the server was killed too late");
        assert_each_once(&done);
    }
    let _server = ServerProcess::start(&app.database.url, &app.app.config.storage);
    wait_for("the last ticket", || (noticed(&app).len() == many).then_some(()));
    assert_each_once(&noticed(&app));
}

/// A ticket is noticed whole: one warning, one breach, one escalation of each, and every week since then.
fn assert_each_once(noticed: &BTreeMap<i64, [i64; 5]>) {
    for (ticket, counts) in noticed {
        let [warnings, breaches, escalations, updates, counted] = *counts;
        assert_eq!(
            (warnings, breaches, escalations),
            (1, 1, 2),
            "ticket {ticket}: {counts:?}"
        );
        assert!(updates >= 5 && updates == counted, "ticket {ticket}: {counts:?}");
    }
}
