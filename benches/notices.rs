//! What noticing costs beside few and beside many open clocks: the worker's step with nothing due, and with 200 tickets
//! whose two clocks are both late. On SQLite always, on PostgreSQL where `BENCH_POSTGRES_URL` names one.
//!
//! Prints medians; the two sizes take turns on the same machine, so that their ratio can be read.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
mod house;

use std::time::{Duration, Instant};

use chrono::{DateTime, Days, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use giaidap::tickets::notices::notice_step;

use house::{Bench, postgres_url};

const SIZES: [usize; 2] = [1_000, 1_000_000];
const DUE: usize = 200;
const ROUNDS: usize = 7;

fn main() {
    let mut pairs = vec![(
        "sqlite",
        SIZES.map(|size| with_open_clocks(Bench::on_sqlite(), size, true)),
    )];
    if let Some(url) = postgres_url() {
        let benches = SIZES.map(|size| with_open_clocks(Bench::on_postgres(url.clone()), size, false));
        pairs.push(("postgres", benches));
    }
    for (backend, benches) in &pairs {
        let mut idle = SIZES.map(|_| Vec::new());
        let mut busy = SIZES.map(|_| Vec::new());
        for round in 0..ROUNDS {
            for (position, bench) in benches.iter().enumerate() {
                let filed_at = first_filing() + Days::new(30 * u64::try_from(round).unwrap_or(0));
                bench.file_in_one_transaction(bench.filings(DUE, filed_at));
                if let (Some(idle), Some(busy)) = (idle.get_mut(position), busy.get_mut(position)) {
                    idle.push(notice(bench, filed_at, 0));
                    busy.push(notice(bench, filed_at + Days::new(20), DUE));
                }
            }
        }
        for (title, times) in [("nothing due", &mut idle), ("200 tickets due", &mut busy)] {
            let medians = times.each_mut().map(|times| median(times));
            let [few, many] = medians.map(|time| time.as_secs_f64() * 1e3);
            println!(
                "{backend}: {title}: {few:.2} ms beside {} open clocks, {many:.2} ms beside {} (ratio {:.2})",
                SIZES[0],
                SIZES[1],
                many / few
            );
        }
    }
}

fn first_filing() -> DateTime<Utc> {
    DateTime::from_timestamp(1_546_398_000, 0).unwrap_or_default()
}

fn notice(bench: &Bench, now: DateTime<Utc>, expected: usize) -> Duration {
    let started = Instant::now();
    let noticed = bench
        .runtime
        .block_on(notice_step(&bench.app.store, &bench.app.desk, now));
    let took = started.elapsed();
    assert_eq!(noticed.unwrap_or_else(|cause| panic!("{cause}")), expected);
    took
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// So many open clocks that are due in 2100, on half as many tickets like one that was filed.
fn with_open_clocks(bench: Bench, size: usize, sqlite: bool) -> Bench {
    bench.file_in_one_transaction(bench.filings(1, first_filing()));
    let tickets = size / 2;
    let (series, uid, far) = match sqlite {
        true => (
            format!(
                "(WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n <= {tickets}) SELECT n FROM s) AS s"
            ),
            "printf('00000000-0001-7000-8000-%012d', n)",
            "'2100-01-01T00:00:00.000000Z'",
        ),
        false => (
            format!("generate_series(2, {tickets} + 1) AS s(n)"),
            "('00000000-0001-7000-8000-' || lpad(n::text, 12, '0'))::uuid",
            "timestamptz '2100-01-01Z'",
        ),
    };
    let statements = [
        format!(
            "INSERT INTO tickets (id, uid, number, link_token, subject, body, state, priority, channel, \
             organisation_id, requester_id, queue_id, topic_id, external_ref, tags, custom_fields, \
             policy_version_id, urgency_at, breached, filed_at, updated_at, status_updates, version) \
             SELECT 1000000 + n, {uid}, 'X-' || n, 'link-' || n, subject, body, state, priority, channel, \
             organisation_id, requester_id, queue_id, topic_id, external_ref, tags, custom_fields, \
             policy_version_id, {far}, breached, filed_at, updated_at, 0, 1 FROM tickets, {series} WHERE id = 1"
        ),
        format!(
            "INSERT INTO clocks (ticket_id, target, cycle, amount, calendar_version_id, policy_version_id, state, \
             started_at, segment_from, segment_running, segment_reason, due_at, remaining_seconds, consumed_seconds, \
             warned_percent, next_notice_at) SELECT 1000000 + n, target, cycle, amount, calendar_version_id, \
             policy_version_id, state, started_at, segment_from, segment_running, segment_reason, {far}, \
             remaining_seconds, consumed_seconds, 0, {far} FROM clocks, {series} WHERE ticket_id = 1"
        ),
        "DELETE FROM deliveries".into(),
        "UPDATE clocks SET stopped_at = started_at, next_notice_at = NULL WHERE ticket_id = 1".into(),
    ]
    .join("; ");
    let done = match sqlite {
        true => SqliteConnection::establish(bench.url.trim_start_matches("sqlite://"))
            .unwrap_or_else(|cause| panic!("{cause}"))
            .batch_execute(&format!(
                "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE; {statements}; COMMIT"
            )),
        false => PgConnection::establish(&bench.url)
            .unwrap_or_else(|cause| panic!("{cause}"))
            .batch_execute(&format!("{statements}; ANALYZE")),
    };
    done.unwrap_or_else(|cause| panic!("{cause}"));
    bench
}
