//! The real application for a test: served on a free port, its own database, a manual clock, a real SMTP server.
//! Workers do not run by themselves: `settle` does what they would do at the clock's time. Actors are clients.
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use giaidap::app::App;
use giaidap::clock::Clock;
use giaidap::config::{Config, Overrides};
use giaidap::http::server;
use giaidap::identity::{self, NewUser, Role, Scope};
use giaidap::language::Language;
use giaidap::store::{Db, Store};
use giaidap::{error, seed};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Client, Reply};
use super::database::TestDatabase;
use super::smtp::SmtpSink;
use super::threads::PATIENCE;

/// Friday, 16:30 in Việt Nam: an hour of business time before the weekend, as the office closes at 17:30; the next half
/// day comes on Monday.
pub const FRIDAY_AFTERNOON: &str = "2019-11-22T16:30:00+07:00";

pub struct TestApp {
    pub app: Data<App>,
    pub url: String,
    pub smtp: Arc<SmtpSink>,
    pub database: Arc<TestDatabase>,
    storage: Arc<TempDir>,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

pub fn instant(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
}

/// Run async code of the application in a test, which is not async.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A migrated and seeded database of its own.
pub fn seeded_database() -> TestDatabase {
    TestDatabase::create(|url| {
        let config = config(url, std::path::Path::new("unused"), 1, &Overrides::default());
        let store = Store::open(&config.database).unwrap();
        let now = instant("2019-01-01T00:00:00Z");
        block_on(store.migrate(move |conn| seed::load(conn, now))).unwrap();
    })
}

fn config(url: &str, storage: &std::path::Path, smtp_port: u16, overrides: &Overrides) -> Config {
    let mut given = overrides.clone();
    given.database = Some(url.to_owned());
    given.storage = Some(storage.to_owned());
    given.listen = given.listen.or(Some("127.0.0.1:0".parse().unwrap()));
    given.pool_size = given.pool_size.or(Some(4));
    given.mail_from = given
        .mail_from
        .or(Some("Giải đáp <giaidap@centre.example>".into()));
    given.mail_transport = given
        .mail_transport
        .or(Some(format!("smtp://127.0.0.1:{smtp_port}")));
    // Tests ask often; those of the limits set their own.
    let limit = &mut given.limits.anonymous_requests_per_minute;
    *limit = limit.or(Some(1_000_000));
    // On a machine that is busy with other things nobody is late; those of the time-outs set their own.
    let patience = u64::try_from(PATIENCE.as_millis()).ok();
    let limits = &mut given.limits;
    let waiting = &mut given.waiting;
    for timeout in [
        &mut limits.head_timeout_ms,
        &mut limits.body_timeout_ms,
        &mut waiting.connection_wait_ms,
        &mut waiting.lock_wait_ms,
        &mut waiting.statement_timeout_ms,
        &mut waiting.smtp_timeout_ms,
        &mut waiting.provider_timeout_ms,
    ] {
        *timeout = timeout.or(patience);
    }
    given.public_url = given.public_url.or(Some("https://giaidap.example".into()));
    Config::load(&given).unwrap()
}

impl TestApp {
    /// The application on a Friday afternoon.
    pub fn start() -> TestApp {
        TestApp::start_with(&Overrides::default())
    }

    pub fn start_with(overrides: &Overrides) -> TestApp {
        let clock = Clock::manual(instant(FRIDAY_AFTERNOON));
        let storage = Arc::new(TempDir::new().unwrap());
        TestApp::launch(
            Arc::new(seeded_database()),
            Arc::new(SmtpSink::start()),
            storage,
            clock,
            overrides,
        )
    }

    /// A second instance on the same database, mail server and clock: another replica.
    pub fn replica(&self) -> TestApp {
        self.replica_with(&Overrides::default())
    }

    pub fn replica_with(&self, overrides: &Overrides) -> TestApp {
        TestApp::launch(
            Arc::clone(&self.database),
            Arc::clone(&self.smtp),
            Arc::clone(&self.storage),
            self.app.clock.clone(),
            overrides,
        )
    }

    fn launch(
        database: Arc<TestDatabase>,
        smtp: Arc<SmtpSink>,
        storage: Arc<TempDir>,
        clock: Clock,
        overrides: &Overrides,
    ) -> TestApp {
        let config = config(&database.url, storage.path(), smtp.port(), overrides);
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let opened = App::open(config, clock).await.unwrap();
                let app = Data::new(opened.app);
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let address = listener.local_addr().unwrap();
                let server = server::server(app.clone(), listener).unwrap();
                sender
                    .send((app, format!("http://{address}"), server.handle()))
                    .unwrap();
                server.await.unwrap();
            });
        });
        let (app, url, server) = receiver.recv().expect("the application starts");
        TestApp {
            app,
            url,
            smtp,
            database,
            storage,
            server,
            thread: Some(thread),
        }
    }

    /// Turn the clock.
    pub fn at(&self, text: &str) -> &Self {
        self.app.clock.set(instant(text));
        self
    }

    /// Do what the workers would do now.
    pub fn settle(&self) -> &Self {
        block_on(self.app.settle()).unwrap();
        self
    }

    /// Ask the domain directly, for what no route shows.
    pub fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> error::Result<T> + Send + 'static,
    ) -> T {
        block_on(self.app.store.read(work)).unwrap()
    }

    pub fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> error::Result<T> + Send + 'static,
    ) -> T {
        block_on(self.app.store.write(work)).unwrap()
    }

    pub fn anonymous(&self) -> Client {
        Client::new(&self.url, None)
    }

    /// A person of the centre: `lan` is `lan@centre.example`, named Lan.
    pub fn staff(&self, role: Role, name: &str, queues: &[&str]) -> Client {
        let email = format!("{name}@centre.example");
        let mut letters = name.chars();
        let title = letters.next().unwrap().to_uppercase().chain(letters).collect();
        let new = NewUser {
            email: email.clone(),
            name: title,
            role,
            language: Language::Vi,
            queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
        };
        let now = self.app.clock.now();
        let token = self.write(move |conn| {
            identity::create_user(conn, &new, None, now)?;
            identity::create_token(conn, &email, "test", now)
        });
        Client::new(&self.url, Some(token.reveal()))
    }

    pub fn agent(&self, name: &str, queues: &[&str]) -> Client {
        self.staff(Role::Agent, name, queues)
    }

    pub fn supervisor(&self) -> Client {
        self.staff(Role::Supervisor, "sup", &[])
    }

    pub fn admin(&self) -> Client {
        self.staff(Role::Admin, "admin", &[])
    }

    pub fn auditor(&self) -> Client {
        self.staff(Role::Auditor, "auditor", &[])
    }

    /// A program of an organisation, with all scopes.
    pub fn organisation(&self, code: &str) -> Client {
        self.key(code, &Scope::OF_CLIENTS)
    }

    pub fn key(&self, code: &str, scopes: &[Scope]) -> Client {
        self.key_of(code, "LGSP", scopes)
    }

    /// A key of the organisation's program of this name, a further one where it has some.
    pub fn key_of(&self, code: &str, name: &str, scopes: &[Scope]) -> Client {
        let (code, name, scopes) = (code.to_owned(), name.to_owned(), scopes.to_vec());
        let now = self.app.clock.now();
        let key = self.write(move |conn| identity::create_key(conn, &code, &name, &scopes, now));
        Client::new(&self.url, Some(key.reveal()))
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // Not awaited: the answer comes to the server's own thread, which is joined below.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A question on data exchange, which goes to the queue `technology`, of somebody with an address.
pub fn question() -> Value {
    json!({
        "subject": "Kết nối LGSP với NGSP",
        "body": "Đề nghị hướng dẫn cách đăng ký dịch vụ dùng chung.",
        "topic": "NGSP",
        "priority": "normal",
        "requester": { "name": "Trần Thị Lan", "email": "lan@hue.example", "unit": "Sở TT&TT" },
    })
}

/// File `question()` and give the ticket.
pub fn file(organisation: &Client) -> Value {
    let reply: Reply = organisation.post("/api/v1/tickets", &question());
    assert_eq!(reply.status, 201, "{}", reply.text);
    reply.body
}
