//! What filing and reading cost inside the process, without HTTP, beside 10,000 tickets: on SQLite always, on PostgreSQL
//! where `BENCH_POSTGRES_URL` names one (a schema of its own is made there and dropped again).
//!
//! "one commit each" is the yardstick of filing: the same work with a durable transaction per question.
mod house;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use giaidap::identity::access::Action;
use giaidap::tickets::filing::Filing;
use giaidap::tickets::list::{self, TicketQuestion};
use giaidap::tickets::operations::get_for_reading;
use giaidap::tickets::view::{self, TicketView};

use house::{Bench, postgres_url};

const SEEDED: usize = 10_000;
const BATCH: usize = 64;

/// Questions that are filed now.
fn now(bench: &Bench, count: usize) -> Vec<Filing> {
    bench.filings(count, bench.app.clock.now())
}

fn seeded(bench: Bench) -> Bench {
    for _ in 0..SEEDED.div_ceil(BATCH) {
        bench.file_in_one_transaction(now(&bench, BATCH));
    }
    bench
}

fn file_through_intake(bench: &Bench, filings: Vec<Filing>) {
    let submitted = filings.into_iter().map(|filing| bench.app.intake.file(filing));
    for answer in bench.runtime.block_on(join_all(submitted)) {
        answer.unwrap_or_else(|cause| panic!("{cause}"));
    }
}

fn page(bench: &Bench) -> Vec<TicketView> {
    let (desk, principal) = (Arc::clone(&bench.app.desk), Arc::clone(&bench.principal));
    let now = bench.app.clock.now();
    bench
        .read(move |conn| {
            let newest = TicketQuestion {
                limit: 50,
                ..TicketQuestion::default()
            };
            list::list_tickets(conn, &desk, &principal, &newest, now)
        })
        .0
        .items
}

fn one(bench: &Bench, uid: &str) -> TicketView {
    let (desk, principal) = (Arc::clone(&bench.app.desk), Arc::clone(&bench.principal));
    let (now, uid) = (bench.app.clock.now(), uid.to_owned());
    bench.read(move |conn| {
        let ticket = get_for_reading(conn, &desk, &principal, &uid, Action::ReadTicket)?;
        view::get_view(conn, &desk, ticket.id, now)
    })
}

fn filing_and_reading(criterion: &mut Criterion, backend: &str, bench: &Bench) {
    let mut group = criterion.benchmark_group(format!("{backend}: file"));
    group.sample_size(20);
    group.throughput(Throughput::Elements(1));
    group.bench_function("one commit each", |bencher| {
        bencher.iter_batched(
            || now(bench, 1),
            |filings| bench.file_in_one_transaction(filings),
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 in one transaction", |bencher| {
        bencher.iter_batched(
            || now(bench, BATCH),
            |filings| bench.file_in_one_transaction(filings),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("64 at once through the intake", |bencher| {
        bencher.iter_batched(
            || now(bench, BATCH),
            |filings| file_through_intake(bench, filings),
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let known: Vec<String> = page(bench)
        .iter()
        .map(|view| view.ticket.uid.to_string())
        .collect();
    let mut known = known.iter().cycle();
    let mut group = criterion.benchmark_group(format!("{backend}: read"));
    group.bench_function("one ticket", |bencher| {
        bencher.iter(|| black_box(known.next().map(|uid| one(bench, uid))));
    });
    group.bench_function("a page of 50", |bencher| bencher.iter(|| black_box(page(bench))));
    group.finish();
}

fn benches_of_both_databases(criterion: &mut Criterion) {
    filing_and_reading(criterion, "sqlite", &seeded(Bench::on_sqlite()));
    if let Some(url) = postgres_url() {
        filing_and_reading(criterion, "postgres", &seeded(Bench::on_postgres(url)));
    }
}

criterion_group!(benches, benches_of_both_databases);
criterion_main!(benches);
