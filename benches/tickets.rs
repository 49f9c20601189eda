//! What filing and reading cost inside the process, without HTTP, beside 10,000 tickets: on SQLite always, on PostgreSQL
//! where `BENCH_POSTGRES_URL` names one (a schema of its own is made there and dropped again).
//!
//! "one commit each" is the yardstick of filing: the same work with a durable transaction per question.
use std::hint::black_box;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use futures_util::future::join_all;
use giaidap::app::App;
use giaidap::clock::Clock;
use giaidap::config::{Config, Overrides};
use giaidap::directory::RequesterInput;
use giaidap::http::answer;
use giaidap::idempotency::Key;
use giaidap::identity::access::Action;
use giaidap::identity::{self, Principal, Scope};
use giaidap::language::Language;
use giaidap::store::{Db, Uid};
use giaidap::tickets::filing::{Answering, FileTicket, Filing, file_batch};
use giaidap::tickets::operations::get_for_reading;
use giaidap::tickets::view::{self, TicketQuestion, TicketView};
use serde_json::json;
use tokio::runtime::Runtime;

const SEEDED: usize = 10_000;
const BATCH: usize = 64;
const BODY: &str = "Tỉnh được chọn triển khai điểm theo kết luận ngày 22/10/2019. Đề nghị Trung tâm cho biết bộ tiêu \
                    chí đã được xác định chưa, tỉnh cần đăng ký những nội dung nào và gửi kế hoạch về đơn vị nào?";

/// An open desk with the principal that files at it.
struct Bench {
    runtime: Runtime,
    app: App,
    principal: Arc<Principal>,
    place: Place,
}

/// What is taken away again.
enum Place {
    Folder { _kept: tempfile::TempDir },
    Schema { url: String, name: String },
}

impl Bench {
    fn on_sqlite() -> Bench {
        let folder = tempfile::tempdir().unwrap_or_else(|cause| panic!("no temporary folder: {cause}"));
        let url = format!("sqlite://{}", folder.path().join("bench.db").display());
        Bench::open(url, Place::Folder { _kept: folder })
    }

    fn on_postgres(url: String) -> Bench {
        let name = format!("bench_{}", Uid::new().0.simple());
        execute(&url, &format!("CREATE SCHEMA {name}"));
        let separator = if url.contains('?') { '&' } else { '?' };
        let own = format!("{url}{separator}options=-csearch_path%3D{name}");
        Bench::open(own, Place::Schema { url, name })
    }

    fn open(database: String, place: Place) -> Bench {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap_or_else(|cause| panic!("no runtime: {cause}"));
        let given = Overrides {
            database: Some(database),
            ..Overrides::default()
        };
        let config = Config::load(&given).unwrap_or_else(|cause| panic!("{cause}"));
        let (app, principal) = runtime.block_on(async {
            let opened = App::open(config, Clock::system()).await;
            let app = opened.unwrap_or_else(|cause| panic!("{cause}")).app;
            let now = app.clock.now();
            let make_key = move |conn: &mut Db| {
                let key = identity::create_key(conn, "H57", "bench", &Scope::ALL, now)?;
                identity::authenticate(conn, key.reveal(), now)
            };
            let authenticated = app.store.write(make_key).await;
            let principal = authenticated.unwrap_or_else(|cause| panic!("{cause}")).principal;
            (app, Arc::new(principal))
        });
        let bench = Bench {
            runtime,
            app,
            principal,
            place,
        };
        for _ in 0..SEEDED.div_ceil(BATCH) {
            bench.file_in_one_transaction(bench.filings(BATCH));
        }
        bench
    }

    fn filings(&self, count: usize) -> Vec<Filing> {
        let filed_at = self.app.clock.now();
        (0..count)
            .map(|_| filing(&self.principal, &answering(&self.app), filed_at))
            .collect()
    }

    fn file_in_one_transaction(&self, filings: Vec<Filing>) {
        let desk = Arc::clone(&self.app.desk);
        let filed = self
            .app
            .store
            .write(move |conn| file_batch(conn, &desk, &filings));
        let answers = self.runtime.block_on(filed);
        for answer in answers.unwrap_or_else(|cause| panic!("{cause}")) {
            answer.unwrap_or_else(|cause| panic!("{cause}"));
        }
    }

    fn file_through_intake(&self, filings: Vec<Filing>) {
        let submitted = filings.into_iter().map(|filing| self.app.intake.file(filing));
        for answer in self.runtime.block_on(join_all(submitted)) {
            answer.unwrap_or_else(|cause| panic!("{cause}"));
        }
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> giaidap::error::Result<T> + Send + 'static,
    ) -> T {
        let answer = self.runtime.block_on(self.app.store.read(work));
        answer.unwrap_or_else(|cause| panic!("{cause}"))
    }

    fn page(&self) -> Vec<TicketView> {
        let (desk, principal) = (Arc::clone(&self.app.desk), Arc::clone(&self.principal));
        let now = self.app.clock.now();
        self.read(move |conn| {
            let newest = TicketQuestion {
                limit: 50,
                ..TicketQuestion::default()
            };
            view::list_tickets(conn, &desk, &principal, &newest, now)
        })
        .items
    }

    fn one(&self, uid: &str) -> TicketView {
        let (desk, principal) = (Arc::clone(&self.app.desk), Arc::clone(&self.principal));
        let (now, uid) = (self.app.clock.now(), uid.to_owned());
        self.read(move |conn| {
            let ticket = get_for_reading(conn, &desk, &principal, &uid, Action::ReadTicket)?;
            view::get_view(conn, &desk, ticket.id, now)
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Place::Schema { url, name } = &self.place {
            execute(url, &format!("DROP SCHEMA {name} CASCADE"));
        }
    }
}

fn execute(url: &str, statement: &str) {
    let mut conn = PgConnection::establish(url).unwrap_or_else(|cause| panic!("{cause}"));
    conn.batch_execute(statement)
        .unwrap_or_else(|cause| panic!("{statement}: {cause}"));
}

/// An answer of about the size of the API's.
fn answering(app: &App) -> Answering {
    let desk = Arc::clone(&app.desk);
    Arc::new(move |view| {
        let shown = json!({
            "id": view.ticket.uid, "number": view.ticket.number, "subject": view.ticket.subject,
            "body": view.ticket.body, "queue": view.queue, "organisation": view.organisation,
            "topic": view.topic, "filed_at": view.ticket.filed_at.0,
            "status_link": desk.status_link(&view.ticket.link_token), "remaining": view.remaining,
        });
        answer::json(201, vec![("etag".into(), "\"1\"".into())], &shown)
    })
}

fn filing(principal: &Arc<Principal>, answering: &Answering, filed_at: DateTime<Utc>) -> Filing {
    let name = Uid::new().to_string();
    let owner = principal.owner().unwrap_or_else(|| panic!("a program files"));
    Filing {
        principal: Arc::clone(principal),
        question: FileTicket {
            subject: "Tiêu chí xác định tỉnh điểm, mẫu về Chính phủ điện tử".into(),
            body: BODY.into(),
            topic: Some("DIEMMAU".into()),
            requester: Some(RequesterInput {
                name: "Nguyễn Thị Hòa".into(),
                email: Some("hoa@hue.example.vn".into()),
                unit: None,
                phone: None,
                language: Some(Language::default()),
            }),
            ..FileTicket::default()
        },
        key: Some(Key::new(owner, &name, "POST", "/api/v1/tickets", BODY.as_bytes())),
        filed_at,
        answering: Arc::clone(answering),
    }
}

fn filing_and_reading(criterion: &mut Criterion, backend: &str, bench: &Bench) {
    let mut group = criterion.benchmark_group(format!("{backend}: file"));
    group.sample_size(20);
    group.throughput(Throughput::Elements(1));
    group.bench_function("one commit each", |bencher| {
        bencher.iter_batched(
            || bench.filings(1),
            |filings| bench.file_in_one_transaction(filings),
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("64 in one transaction", |bencher| {
        bencher.iter_batched(
            || bench.filings(BATCH),
            |filings| bench.file_in_one_transaction(filings),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("64 at once through the intake", |bencher| {
        bencher.iter_batched(
            || bench.filings(BATCH),
            |filings| bench.file_through_intake(filings),
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let known: Vec<String> = bench
        .page()
        .iter()
        .map(|view| view.ticket.uid.to_string())
        .collect();
    let mut known = known.iter().cycle();
    let mut group = criterion.benchmark_group(format!("{backend}: read"));
    group.bench_function("one ticket", |bencher| {
        bencher.iter(|| black_box(known.next().map(|uid| bench.one(uid))));
    });
    group.bench_function("a page of 50", |bencher| bencher.iter(|| black_box(bench.page())));
    group.finish();
}

#[allow(
    clippy::disallowed_methods,
    reason = "a setting of the bench, not of the application"
)]
fn postgres_url() -> Option<String> {
    std::env::var("BENCH_POSTGRES_URL").ok()
}

fn benches_of_both_databases(criterion: &mut Criterion) {
    filing_and_reading(criterion, "sqlite", &Bench::on_sqlite());
    if let Some(url) = postgres_url() {
        filing_and_reading(criterion, "postgres", &Bench::on_postgres(url));
    }
}

criterion_group!(benches, benches_of_both_databases);
criterion_main!(benches);
