//! One connection enum over both databases, its manager for the pool, and the transactions.
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::{Error as PoolError, ManageConnection, Pool, R2D2Connection};
use diesel::{Connection, ConnectionError, PgConnection, SqliteConnection};

use crate::config::Waiting;
use crate::error::{Error, Result};

#[derive(diesel::MultiConnection)]
pub enum Db {
    Pg(PgConnection),
    Lite(SqliteConnection),
}

pub type DbPool = Pool<Manager>;

/// Run the same Diesel code against the concrete connection, where `MultiConnection` does not offer a feature
/// (ON CONFLICT, multi-row insert). Expands the code once per backend.
#[macro_export]
macro_rules! each_db {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::store::Db::Pg($c) => $body,
            $crate::store::Db::Lite($c) => $body,
        }
    };
}

/// Insert many rows in statements of 64, 32, … 1 rows. Diesel prepares and keeps a statement whose number of rows is
/// part of its type; a `Vec` would be parsed and planned anew each time, on PostgreSQL with one more round trip.
#[macro_export]
macro_rules! in_batches {
    ($conn:expr, $rows:expr, $c:ident, $batch:ident => $body:expr) => {{
        let mut rest = $rows;
        $crate::in_batches!(@sizes [64, 32, 16, 8, 4, 2, 1] $conn, rest, $c, $batch => $body);
        debug_assert!(rest.is_empty());
    }};
    (@sizes [$($size:literal),+] $conn:expr, $rest:ident, $c:ident, $batch:ident => $body:expr) => {
        $(while let Some(($batch, tail)) = $rest.split_first_chunk::<$size>() {
            $crate::each_db!($conn, $c => $body);
            $rest = tail;
        })+
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Why a database could not be opened; each is one clear line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("database URL must start with sqlite:// or postgres://, got `{0}`")]
    UnknownScheme(String),
    #[error("database folder `{0}` cannot be made: {1}")]
    Folder(String, std::io::Error),
    #[error(
        "PostgreSQL at `{0}` is on another host and this build has no TLS: build with `--features pg-tls`, or allow plain text with GIAIDAP_DATABASE_ALLOW_PLAINTEXT=true"
    )]
    PlaintextRefused(String),
    #[error("database cannot be opened: {0}")]
    Unreachable(String),
}

/// Opens connections of the backend that the URL names. Hand-written because the derived one offers the URL to each
/// backend in turn, so that a typo could create an empty SQLite file, and hides the real error.
#[derive(Debug, Clone)]
pub struct Manager {
    backend: Backend,
    target: String,
    waiting: Waiting,
}

impl Manager {
    pub fn new(url: &str, allow_plaintext: bool, waiting: Waiting) -> std::result::Result<Self, OpenError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if let Some(folder) = Path::new(path)
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
            {
                std::fs::create_dir_all(folder)
                    .map_err(|cause| OpenError::Folder(folder.display().to_string(), cause))?;
            }
            return Ok(Manager {
                backend: Backend::Sqlite,
                target: path.to_owned(),
                waiting,
            });
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let host = postgres_host(url);
            if !(cfg!(feature = "pg-tls") || allow_plaintext || is_local(&host)) {
                return Err(OpenError::PlaintextRefused(host));
            }
            return Ok(Manager {
                backend: Backend::Postgres,
                target: url.to_owned(),
                waiting,
            });
        }
        let scheme = url.split("://").next().unwrap_or_default();
        Err(OpenError::UnknownScheme(scheme.chars().take(40).collect()))
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Connect once, so that a wrong address fails at once and with the database's own words.
    pub fn probe(&self) -> std::result::Result<(), OpenError> {
        self.connect()
            .map(drop)
            .map_err(|cause| OpenError::Unreachable(cause.to_string().trim().to_owned()))
    }
}

/// The host part of a `postgres://user:secret@host:port/name` URL, without the secret; a socket folder or nothing is local.
fn postgres_host(url: &str) -> String {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, query) = match rest.split_once(['/', '?']) {
        Some((authority, tail)) => (authority, tail.split_once('?').map_or(tail, |(_, query)| query)),
        None => (rest, ""),
    };
    if let Some(host) = query.split('&').find_map(|pair| pair.strip_prefix("host=")) {
        return host.replace("%2F", "/");
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default().to_owned(),
        None => host.split(':').next().unwrap_or_default().to_owned(),
    }
}

fn is_local(host: &str) -> bool {
    host.is_empty()
        || host.starts_with(['/', '%'])
        || host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl ManageConnection for Manager {
    type Connection = Db;
    type Error = PoolError;

    fn connect(&self) -> std::result::Result<Db, PoolError> {
        let mut conn = match self.backend {
            Backend::Sqlite => Db::Lite(SqliteConnection::establish(&self.target)?),
            Backend::Postgres => Db::Pg(PgConnection::establish(&self.target)?),
        };
        let refused = |cause: diesel::result::Error| {
            PoolError::ConnectionError(ConnectionError::BadConnection(cause.to_string()))
        };
        match conn {
            Db::Lite(ref mut lite) => set_up_sqlite(lite, self.waiting.lock_wait()),
            Db::Pg(ref mut pg) => pg.batch_execute(&format!(
                "SET TIME ZONE 'UTC'; SET application_name='giaidap'; SET statement_timeout={}; \
                 SET idle_in_transaction_session_timeout='60s';",
                self.waiting.statement_timeout_ms
            )),
        }
        .map_err(refused)?;
        Ok(conn)
    }

    fn is_valid(&self, conn: &mut Db) -> std::result::Result<(), PoolError> {
        conn.ping().map_err(PoolError::QueryError)
    }

    fn has_broken(&self, conn: &mut Db) -> bool {
        // A panic may have left a transaction open.
        std::thread::panicking() || conn.is_broken()
    }
}

/// Turning a new file to WAL needs it alone for a moment and does not always wait for `busy_timeout` when another process
/// is just doing the same: it is tried again, for as long in all.
fn set_up_sqlite(lite: &mut SqliteConnection, patience: Duration) -> diesel::QueryResult<()> {
    const PAUSE: Duration = Duration::from_millis(50);
    let began = Instant::now();
    lite.batch_execute("PRAGMA busy_timeout=0;")?;
    while let Err(cause) = lite.batch_execute("PRAGMA journal_mode=WAL;") {
        if began.elapsed() >= patience || !cause.to_string().contains("database is locked") {
            return Err(cause);
        }
        std::thread::sleep(PAUSE);
    }
    lite.batch_execute(&format!(
        "PRAGMA busy_timeout={}; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; \
         PRAGMA cache_size=-16384; PRAGMA mmap_size=268435456; PRAGMA wal_autocheckpoint=4000;",
        patience.as_millis()
    ))
}

/// Begin a write: IMMEDIATE on SQLite, because a deferred transaction that turns from reading to writing fails at once
/// with "database is locked" and ignores the busy timeout; READ COMMITTED on PostgreSQL.
fn begin_write(conn: &mut Db) -> diesel::QueryResult<()> {
    match conn {
        Db::Pg(pg) => AnsiTransactionManager::begin_transaction(pg),
        Db::Lite(lite) => AnsiTransactionManager::begin_transaction_sql(lite, "BEGIN IMMEDIATE"),
    }
}

fn commit(conn: &mut Db) -> diesel::QueryResult<()> {
    <Db as Connection>::TransactionManager::commit_transaction(conn)
}

/// Close transactions and savepoints until only `outside` of them are open: a panic may have left some of its own. A
/// failure leaves a connection that reports itself broken, and the server rolls back by itself when it goes.
fn roll_back_to(conn: &mut Db, outside: u32) -> diesel::QueryResult<()> {
    while depth(conn)? > outside {
        <Db as Connection>::TransactionManager::rollback_transaction(conn)?;
    }
    Ok(())
}

fn roll_back(conn: &mut Db) {
    if let Err(cause) = roll_back_to(conn, 0) {
        tracing::warn!(error = %cause, "rollback failed");
    }
}

/// One write transaction around `work`; inside another it is a savepoint.
pub fn transaction<T>(conn: &mut Db, work: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
    if depth(conn)? > 0 {
        return savepoint(conn, work);
    }
    begin_write(conn)?;
    match work(conn) {
        Ok(value) => {
            commit(conn).map_err(Error::outcome_unknown)?;
            Ok(value)
        }
        Err(error) => {
            roll_back(conn);
            Err(error)
        }
    }
}

/// A savepoint inside an open transaction: what `work` wrote goes away if it fails, the rest stays.
pub fn savepoint<T>(conn: &mut Db, work: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
    type Manager = <Db as Connection>::TransactionManager;
    let outside = depth(conn)?;
    Manager::begin_transaction(conn)?;
    match work(conn) {
        Ok(value) => {
            Manager::commit_transaction(conn)?;
            Ok(value)
        }
        Err(error) => {
            // SQLite ends the whole transaction by itself where the disk is full or fails: what follows would then be
            // committed piece by piece.
            roll_back_to(conn, outside).map_err(|cause| Error::TransactionLost {
                cause: cause.to_string(),
            })?;
            Err(error)
        }
    }
}

/// How many transactions and savepoints are open.
fn depth(conn: &mut Db) -> diesel::QueryResult<u32> {
    let status = <Db as Connection>::TransactionManager::transaction_manager_status_mut(conn);
    Ok(status.transaction_depth()?.map_or(0, NonZeroU32::get))
}

/// Turn a panic into an error, for threads that others depend on.
pub fn catching_panics<T>(conn: &mut Db, work: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(|| work(conn)))
        .unwrap_or_else(|_| Err(Error::internal("a write panicked", "see the panic message")))
}

/// Diesel learns that a PostgreSQL session is lost where it executes a statement, but not where it prepares one: a
/// connection that was lost before its first use would go back to the pool as sound, again and again. Asking marks it.
pub fn find_out_if_lost(conn: &mut Db) {
    if let Db::Pg(pg) = conn
        && let Err(cause) = pg.batch_execute("SELECT 1")
    {
        tracing::warn!(error = %cause, "a database connection was lost");
    }
}

/// A read-only transaction whose questions all see one moment.
pub fn snapshot<T>(conn: &mut Db, work: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
    match conn {
        Db::Pg(pg) => {
            AnsiTransactionManager::begin_transaction_sql(
                pg,
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )?;
        }
        Db::Lite(lite) => AnsiTransactionManager::begin_transaction_sql(lite, "BEGIN DEFERRED")?,
    }
    let answer = work(conn);
    roll_back(conn);
    answer
}

impl From<OpenError> for Error {
    fn from(cause: OpenError) -> Self {
        Error::unavailable("the database cannot be opened", cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_postgres_url_is_found_without_its_secret() {
        for (url, host) in [
            ("postgres://u:p%40ss@db.example.vn:5432/g", "db.example.vn"),
            ("postgres:///g?host=%2Ftmp%2Fsock&port=5", "/tmp/sock"),
            ("postgresql://u@[::1]:5432/g", "::1"),
            ("postgres://127.0.0.1/g", "127.0.0.1"),
            ("postgres://localhost", "localhost"),
        ] {
            assert_eq!(postgres_host(url), host, "{url}");
        }
    }

    #[test]
    fn a_remote_postgres_in_plain_text_is_refused_unless_allowed() {
        let remote = "postgres://u:secret@db.example.vn/g";
        if cfg!(not(feature = "pg-tls")) {
            let refused = Manager::new(remote, false, Waiting::default())
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains("db.example.vn") && !refused.contains("secret"),
                "{refused}"
            );
        }
        assert!(Manager::new(remote, true, Waiting::default()).is_ok());
        assert!(Manager::new("postgres://u@127.0.0.1/g", false, Waiting::default()).is_ok());
    }

    #[test]
    fn an_unknown_scheme_opens_nothing() {
        assert!(matches!(
            Manager::new("giaidap.db", false, Waiting::default()),
            Err(OpenError::UnknownScheme(_))
        ));
        assert!(matches!(
            Manager::new("mysql://x/y", false, Waiting::default()),
            Err(OpenError::UnknownScheme(_))
        ));
    }
}
