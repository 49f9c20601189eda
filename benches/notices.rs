//! What noticing costs beside few and beside many open clocks: the worker's step with nothing due, and with 200 tickets
//! whose two clocks are both late. On SQLite always, on PostgreSQL where `BENCH_POSTGRES_URL` names one.
//!
//! Prints medians; the two sizes take turns on the same machine, so that their ratio can be read.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
mod house;

use std::time::{Duration, Instant};

use chrono::{DateTime, Days, Utc};
use giaidap::tickets::notices::notice_step;

use house::copies::Copies;
use house::{Bench, postgres_url};

const SIZES: [usize; 2] = [1_000, 1_000_000];
const DUE: usize = 200;
const ROUNDS: usize = 7;

fn main() {
    let mut pairs = vec![(
        "sqlite",
        SIZES.map(|size| with_open_clocks(Bench::on_sqlite(), size)),
    )];
    if let Some(url) = postgres_url() {
        let benches = SIZES.map(|size| with_open_clocks(Bench::on_postgres(url.clone()), size));
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

/// So many open clocks that are due in 2100, on half as many tickets.
fn with_open_clocks(bench: Bench, size: usize) -> Bench {
    bench.file_in_one_transaction(bench.filings(1, first_filing()));
    bench.copy_first_ticket(size / 2, Copies::Open);
    bench
}
