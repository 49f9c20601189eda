//! Whether reading grows with history: one ticket and pages of 50 beside 10,000 and beside 1,000,000 tickets. On SQLite
//! always, on PostgreSQL where `BENCH_POSTGRES_URL` names one.
//!
//! Both sizes have the same open questions, the rest is closed. The sizes take turns on the same machine, so that their
//! ratios can be read; prints medians and 99th percentiles.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]
mod house;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use giaidap::identity::Principal;
use giaidap::identity::access::Action;
use giaidap::tickets::list::{self, Key, Sort, TicketFilter, TicketQuestion};
use giaidap::tickets::operations::get_for_reading;
use giaidap::tickets::view;

use house::copies::Copies;
use house::{Bench, postgres_url};

const SIZES: [usize; 2] = [10_000, 1_000_000];
const OPEN: usize = 500;
const ROUNDS: usize = 10;
const READS_A_ROUND: usize = 100;

/// What is read, with what it reads.
type Reading = (&'static str, fn(&Bench, usize, usize));

const READINGS: [Reading; 5] = [
    ("one ticket", one),
    ("page of 50, a program's newest", |bench, size, _| {
        page(bench, Arc::clone(&bench.principal), newest(), size);
    }),
    ("page of 50, the desk's newest", |bench, size, _| {
        page(bench, Arc::new(Principal::System), newest(), size);
    }),
    ("page of 50, far back in history", |bench, size, turn| {
        let back = i64::try_from((turn * 7919) % (size / 2)).unwrap_or_default();
        let filter = TicketFilter {
            filed_to: Some(first_filing() - chrono::Duration::minutes(back)),
            ..TicketFilter::default()
        };
        let older = TicketQuestion { filter, ..newest() };
        page(bench, Arc::new(Principal::System), older, size);
    }),
    ("page of 50, the most urgent", |bench, size, _| {
        let urgent = TicketQuestion {
            sort: Sort {
                key: Key::Due,
                descending: false,
            },
            ..newest()
        };
        page(bench, Arc::new(Principal::System), urgent, size);
    }),
];

fn main() {
    let mut pairs = vec![("sqlite", SIZES.map(|size| with_history(Bench::on_sqlite(), size)))];
    if let Some(url) = postgres_url() {
        let benches = SIZES.map(|size| with_history(Bench::on_postgres(url.clone()), size));
        pairs.push(("postgres", benches));
    }
    for (backend, benches) in &pairs {
        for (title, read) in READINGS {
            let mut times = SIZES.map(|_| Vec::new());
            for round in 0..ROUNDS {
                for ((bench, size), times) in benches.iter().zip(SIZES).zip(&mut times) {
                    for turn in 0..READS_A_ROUND {
                        let started = Instant::now();
                        read(bench, size, round * READS_A_ROUND + turn);
                        times.push(started.elapsed());
                    }
                }
            }
            let [few, many] = times.map(Percentiles::of);
            println!(
                "{backend}: {title}: median {:.2} and {:.2} ms (ratio {:.2}), p99 {:.2} and {:.2} ms (ratio {:.2})",
                few.median,
                many.median,
                many.median / few.median,
                few.p99,
                many.p99,
                many.p99 / few.p99
            );
        }
    }
}

struct Percentiles {
    median: f64,
    p99: f64,
}

impl Percentiles {
    fn of(mut times: Vec<Duration>) -> Percentiles {
        times.sort_unstable();
        let at = |position: usize| {
            times
                .get(position)
                .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        Percentiles {
            median: at(times.len() / 2),
            p99: at(times.len() * 99 / 100),
        }
    }
}

fn first_filing() -> DateTime<Utc> {
    DateTime::from_timestamp(1_793_000_000, 0).unwrap_or_default()
}

fn newest() -> TicketQuestion {
    TicketQuestion {
        limit: 50,
        ..TicketQuestion::default()
    }
}

fn with_history(bench: Bench, size: usize) -> Bench {
    bench.file_in_one_transaction(bench.filings(1, first_filing()));
    for _ in 0..OPEN.div_ceil(50) {
        bench.file_in_one_transaction(bench.filings(50, first_filing()));
    }
    bench.copy_first_ticket(size, Copies::Closed);
    bench
}

/// Another ticket each time, spread over all.
fn one(bench: &Bench, size: usize, turn: usize) {
    let number = format!("X-{}", 2 + (turn * 7919) % size);
    let (desk, principal) = (Arc::clone(&bench.app.desk), Arc::clone(&bench.principal));
    let now = bench.app.clock.now();
    bench.read(move |conn| {
        let ticket = get_for_reading(conn, &desk, &principal, &number, Action::ReadTicket)?;
        view::get_view(conn, &desk, ticket.id, now)
    });
}

fn page(bench: &Bench, principal: Arc<Principal>, question: TicketQuestion, size: usize) {
    let desk = Arc::clone(&bench.app.desk);
    let now = bench.app.clock.now();
    let found = bench.read(move |conn| list::list_tickets(conn, &desk, &principal, &question, now));
    assert_eq!(found.0.items.len(), 50, "beside {size}");
}
