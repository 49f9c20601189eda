//! A desk of its own for a bench: on SQLite in a folder that goes away, on PostgreSQL in a schema that does.
#![allow(dead_code, reason = "each bench uses what it needs")]
pub mod copies;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use giaidap::app::App;
use giaidap::clock::Clock;
use giaidap::config::{Config, Overrides};
use giaidap::directory::RequesterInput;
use giaidap::http::answer;
use giaidap::idempotency::Key;
use giaidap::identity::{self, Principal, Scope};
use giaidap::language::Language;
use giaidap::store::{Db, Uid};
use giaidap::tickets::filing::{Answering, FileTicket, Filing, file_batch};
use serde_json::json;
use tokio::runtime::Runtime;

const BODY: &str = "Tỉnh được chọn triển khai điểm theo kết luận ngày 22/10/2019. Đề nghị Trung tâm cho biết bộ tiêu \
                    chí đã được xác định chưa, tỉnh cần đăng ký những nội dung nào và gửi kế hoạch về đơn vị nào?";

/// An open desk with the principal that files at it.
pub struct Bench {
    pub runtime: Runtime,
    pub app: App,
    pub principal: Arc<Principal>,
    /// Of the database, as the application opened it.
    pub url: String,
    place: Place,
}

/// What is taken away again.
enum Place {
    Folder { _kept: tempfile::TempDir },
    Schema { url: String, name: String },
}

impl Bench {
    pub fn on_sqlite() -> Bench {
        let folder = tempfile::tempdir().unwrap_or_else(|cause| panic!("no temporary folder: {cause}"));
        let url = format!("sqlite://{}", folder.path().join("bench.db").display());
        Bench::open(url, Place::Folder { _kept: folder })
    }

    pub fn on_postgres(url: String) -> Bench {
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
            database: Some(database.clone()),
            ..Overrides::default()
        };
        let config = Config::load(&given).unwrap_or_else(|cause| panic!("{cause}"));
        let (app, principal) = runtime.block_on(async {
            let opened = App::open(config, Clock::system()).await;
            let app = opened.unwrap_or_else(|cause| panic!("{cause}")).app;
            let now = app.clock.now();
            let make_key = move |conn: &mut Db| {
                let key = identity::create_key(conn, "H57", "bench", &Scope::OF_CLIENTS, now)?;
                identity::authenticate(conn, key.reveal(), identity::Presentation::local(now))
            };
            let authenticated = app.store.write(make_key).await;
            let principal = authenticated.unwrap_or_else(|cause| panic!("{cause}")).principal;
            (app, Arc::new(principal))
        });
        Bench {
            runtime,
            app,
            principal,
            url: database,
            place,
        }
    }

    pub fn filings(&self, count: usize, filed_at: DateTime<Utc>) -> Vec<Filing> {
        (0..count)
            .map(|_| filing(&self.principal, &answering(&self.app), filed_at))
            .collect()
    }

    pub fn file_in_one_transaction(&self, filings: Vec<Filing>) {
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

    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> giaidap::error::Result<T> + Send + 'static,
    ) -> T {
        let answer = self.runtime.block_on(self.app.store.read(work));
        answer.unwrap_or_else(|cause| panic!("{cause}"))
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

#[allow(
    clippy::disallowed_methods,
    reason = "a setting of the bench, not of the application"
)]
pub fn postgres_url() -> Option<String> {
    std::env::var("BENCH_POSTGRES_URL").ok()
}
