//! 100,000 open clocks counted anew after a holiday, with questions filed meanwhile: on SQLite always, on PostgreSQL where
//! `BENCH_POSTGRES_URL` names one (a schema of its own is made there and dropped again). Prints what it saw; the first
//! argument that is a number is that of the clocks.
//!
//! The tickets are copies of one by the database itself. One after the other files through the intake all the time, before
//! the change and during the recount, so that both latencies are of the same desk.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl};
use giaidap::app::App;
use giaidap::calendars::CalendarChange;
use giaidap::calendars::apply::{Application, apply_change};
use giaidap::clock::Clock;
use giaidap::config::{Config, Overrides};
use giaidap::http::answer;
use giaidap::identity::{self, Principal, Scope};
use giaidap::sla::calendar::ExceptionSpec;
use giaidap::store::{Backend, Db, Uid};
use giaidap::tickets::filing::{FileTicket, Filing};
use giaidap::tickets::recount::recount_step;
use giaidap::tx::Tx;

const CLOCKS: i64 = 100_000;
const BASELINE: Duration = Duration::from_secs(5);
const BODY: &str = "Tỉnh được chọn triển khai điểm theo kết luận ngày 22/10/2019. Đề nghị Trung tâm cho biết bộ tiêu \
                    chí đã được xác định chưa, tỉnh cần đăng ký những nội dung nào và gửi kế hoạch về đơn vị nào?";

fn or_stop<T, E: std::fmt::Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|cause| panic!("{cause}"))
}

struct Desk {
    app: Arc<App>,
    principal: Arc<Principal>,
}

impl Desk {
    async fn open(database: String) -> Desk {
        let given = Overrides {
            database: Some(database),
            ..Overrides::default()
        };
        let app = or_stop(App::open(or_stop(Config::load(&given)), Clock::system()).await).app;
        let now = app.clock.now();
        let make_key = move |conn: &mut Db| {
            let key = identity::create_key(conn, "H57", "bench", &Scope::OF_CLIENTS, now)?;
            identity::authenticate(conn, key.reveal(), identity::Presentation::local(now))
        };
        let principal = or_stop(app.store.write(make_key).await).principal;
        Desk {
            app: Arc::new(app),
            principal: Arc::new(principal),
        }
    }

    async fn file(&self) {
        let filing = Filing {
            principal: Arc::clone(&self.principal),
            question: FileTicket {
                subject: "Tiêu chí xác định tỉnh điểm, mẫu về Chính phủ điện tử".into(),
                body: BODY.into(),
                topic: Some("DIEMMAU".into()),
                ..FileTicket::default()
            },
            key: None,
            filed_at: self.app.clock.now(),
            answering: Arc::new(|_| Ok(answer::empty(201))),
        };
        or_stop(self.app.intake.file(filing).await);
    }

    /// Files until `until` says so; the latencies, sorted.
    async fn file_until(&self, until: impl Fn() -> bool) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while !until() {
            let begun = Instant::now();
            self.file().await;
            latencies.push(begun.elapsed());
        }
        latencies.sort_unstable();
        latencies
    }

    /// As many tickets as make up so many clocks, each like the first.
    async fn multiply(&self, clocks: i64) {
        let count = clocks / 2;
        let sqlite = self.app.store.backend() == Backend::Sqlite;
        let series = match sqlite {
            true => format!(
                "(WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s) AS s"
            ),
            false => format!("generate_series(2, {count}) AS s(n)"),
        };
        let (uid, number) = match sqlite {
            true => (
                "printf('00000000-0001-7000-8000-%012d', n)",
                "printf('GD-2018-%06d', n)",
            ),
            false => (
                "('00000000-0001-7000-8000-' || lpad(n::text, 12, '0'))::uuid",
                "'GD-2018-' || lpad(n::text, 6, '0')",
            ),
        };
        let ticket = "subject, body, state, priority, channel, organisation_id, queue_id, topic_id, tags, custom_fields, \
                      policy_version_id, urgency_at, breached, filed_at, updated_at, status_updates, version";
        let clock = "target, cycle, amount, calendar_version_id, policy_version_id, state, started_at, segment_from, \
                     segment_running, segment_reason, due_at, remaining_seconds, consumed_seconds, warn_at, \
                     warned_percent, next_notice_at";
        let mut statements = vec![
            format!(
                "INSERT INTO tickets (id, uid, number, link_token, {ticket}) \
                 SELECT n, {uid}, {number}, 'link-' || n, {ticket} FROM tickets, {series} WHERE tickets.id = 1"
            ),
            format!(
                "INSERT INTO clocks (ticket_id, {clock}) SELECT n, {clock} FROM clocks, {series} WHERE ticket_id = 1"
            ),
        ];
        if !sqlite {
            statements.push(format!(
                "SELECT setval(pg_get_serial_sequence('tickets', 'id'), {count})"
            ));
        }
        for statement in statements {
            let run = move |conn: &mut Db| Ok(diesel::sql_query(statement).execute(conn)?);
            or_stop(self.app.store.write(run).await);
        }
        if !sqlite {
            let analyse = |conn: &mut Db| Ok(diesel::sql_query("ANALYZE").execute(conn)?);
            or_stop(self.app.store.write(analyse).await);
        }
    }

    /// The next fortnight is off, so that every due moves.
    async fn announce(&self) {
        let now = self.app.clock.now();
        let day = |offset: i64| ExceptionSpec {
            date: (now + TimeDelta::days(offset)).format("%Y-%m-%d").to_string(),
            intervals: Vec::new(),
            name: None,
            legal_basis: None,
            kind: None,
            certainty: None,
            source: None,
        };
        let asked = Application {
            change: CalendarChange {
                set_exceptions: (0..14).map(day).collect(),
                ..CalendarChange::default()
            },
            name: None,
            reason: "bench".into(),
            expected: None,
        };
        let desk = Arc::clone(&self.app.desk);
        let apply = move |conn: &mut Db| {
            let mut tx = Tx {
                conn,
                principal: &Principal::System,
                now,
                desk: &desk,
            };
            apply_change(&mut tx, "vn-government", &asked)
        };
        or_stop(self.app.store.write(apply).await);
    }
}

fn at_percent(sorted: &[Duration], percent: usize) -> f64 {
    let position = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(position).map_or(0.0, Duration::as_secs_f64) * 1000.0
}

/// A line of /proc/self/status, in MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() / 1024
}

fn measure(backend: &str, database: String, clocks: i64) {
    let runtime = or_stop(tokio::runtime::Builder::new_current_thread().enable_all().build());
    runtime.block_on(async {
        let desk = Arc::new(Desk::open(database).await);
        desk.file().await;
        desk.multiply(clocks).await;
        let begun = Instant::now();
        let quiet = desk.file_until(|| begun.elapsed() >= BASELINE).await;

        // Forgets the highest use of memory so far (proc(5)).
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let before = memory("VmRSS");
        let done = Arc::new(AtomicBool::new(false));
        let (filer, ended) = (Arc::clone(&desk), Arc::clone(&done));
        let filing = tokio::spawn(async move { filer.file_until(|| ended.load(Ordering::SeqCst)).await });
        let begun = Instant::now();
        desk.announce().await;
        let mut tickets = 0;
        loop {
            let now = desk.app.clock.now();
            match or_stop(recount_step(&desk.app.store, &desk.app.desk, now).await) {
                0 => break,
                some => tickets += some,
            }
        }
        let took = begun.elapsed().as_secs_f64();
        let grown = memory("VmHWM").saturating_sub(before);
        done.store(true, Ordering::SeqCst);
        let busy = or_stop(filing.await);

        let counted = u32::try_from(tickets * 2).unwrap_or(u32::MAX);
        println!(
            "{backend}: {counted} clocks in {took:.1} s, {:.0} clocks/s; memory grew by {grown} MiB at most",
            f64::from(counted) / took
        );
        for (when, latencies) in [("without", &quiet), ("during", &busy)] {
            println!(
                "{backend}: filing {when} the recount: {} questions, p50 {:.1} ms, p99 {:.1} ms",
                latencies.len(),
                at_percent(latencies, 50),
                at_percent(latencies, 99)
            );
        }
    });
}

fn execute(url: &str, statement: &str) {
    or_stop(or_stop(PgConnection::establish(url)).batch_execute(statement));
}

#[allow(
    clippy::disallowed_methods,
    reason = "a setting of the bench, not of the application"
)]
fn postgres_url() -> Option<String> {
    std::env::var("BENCH_POSTGRES_URL").ok()
}

fn main() {
    let clocks = std::env::args()
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(CLOCKS);
    let folder = or_stop(tempfile::tempdir());
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    measure("SQLite", url, clocks);
    if let Some(url) = postgres_url() {
        let name = format!("bench_{}", Uid::new().0.simple());
        execute(&url, &format!("CREATE SCHEMA {name}"));
        let separator = if url.contains('?') { '&' } else { '?' };
        measure(
            "PostgreSQL",
            format!("{url}{separator}options=-csearch_path%3D{name}"),
            clocks,
        );
        execute(&url, &format!("DROP SCHEMA {name} CASCADE"));
    }
}
