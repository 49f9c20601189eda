//! Recounts by real processes: killed halfway, and two at once.
use diesel::prelude::*;
use giaidap::clock::Clock;
use giaidap::config::Overrides;
use giaidap::store::schema::{clocks, ticket_events};

use super::{account, change, patch};
use crate::support::app::block_on;
use crate::support::database::Backend;
use crate::support::process::ServerProcess;
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, file};

const MANY: i64 = 2_000;

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
    let mut interrupted = 0;
    for _ in 0..3 {
        let mut server = ServerProcess::start(&app.database.url, &app.app.config.storage);
        let before = progress(&app).1.len();
        wait_for("some tickets", || {
            (progress(&app).1.len() > before || account(&app).4).then_some(())
        });
        server.kill();
        let (rows, events) = progress(&app);
        interrupted += i64::from(!events.is_empty() && events.len() < usize::try_from(MANY).unwrap());
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
    assert!(
        interrupted > 0,
        "the recount was never under way when the server was killed"
    );
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
