//! The only way to the database: `Store::read` and `Store::write` run a closure off the async threads with an open
//! connection (`write`: inside a transaction that commits before the caller is answered).
//!
//! PostgreSQL writes are pooled transactions. SQLite writes go through one writer thread that commits what is waiting
//! as a group, each request in its own savepoint (see `writer`). A commit is durable (`synchronous=FULL`) before the
//! answer. A lost connection, a full queue or a busy pool is `Error::Unavailable`, never a half-written request.
mod connection;
mod json;
mod migrations;
pub mod page;
pub mod schema;
pub mod types;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use diesel::r2d2::Pool;
use tokio::sync::Semaphore;

pub use connection::{Backend, Db, DbPool, Manager, MultiBackend, OpenError};
pub use migrations::pending_migrations;
pub use types::{Json, Ts, Uid};

use crate::config::Waiting;
use crate::error::{Error, Result};

/// Connections for the intake's threads on PostgreSQL, which take theirs without asking the gate.
const INTAKE_CONNECTIONS: u32 = 2;

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    pub url: String,
    pub pool_size: u32,
    /// Plain text to a PostgreSQL on another host is refused unless the operator says otherwise.
    pub allow_plaintext: bool,
    /// How long for a connection and for what another process holds, before a request is told to come back.
    pub waiting: Waiting,
}

/// An open database.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    pool: DbPool,
    backend: Backend,
    /// As many permits as `pool_size`, so that a blocking thread never waits inside the pool.
    gate: Arc<Semaphore>,
    patience: Duration,
    /// SQLite's single writer; on PostgreSQL writes use the pool.
    writer: Option<writer::Writer>,
}

impl Store {
    /// Open the database, check that it answers, and start SQLite's writer. Does not migrate.
    pub fn open(settings: &StoreSettings) -> std::result::Result<Store, OpenError> {
        let manager = Manager::new(&settings.url, settings.allow_plaintext, settings.waiting)?;
        let backend = manager.backend();
        manager.probe()?;
        let beside_the_gate = match backend {
            Backend::Postgres => INTAKE_CONNECTIONS,
            Backend::Sqlite => 0, // its intake writes through the writer
        };
        let pool = Pool::builder()
            .max_size(settings.pool_size.saturating_add(beside_the_gate))
            .min_idle(Some(1))
            .test_on_check_out(false) // measured: +27 % on PostgreSQL point reads; a broken connection is dropped on return
            .connection_timeout(settings.waiting.connection_wait())
            .build(manager.clone())
            .map_err(|cause| OpenError::Unreachable(cause.to_string()))?;
        let writer = match backend {
            Backend::Sqlite => Some(writer::Writer::start(manager)?),
            Backend::Postgres => None,
        };
        let permits = usize::try_from(settings.pool_size).unwrap_or(usize::MAX >> 4);
        Ok(Store {
            inner: Arc::new(Inner {
                pool,
                backend,
                gate: Arc::new(Semaphore::new(permits)),
                patience: settings.waiting.connection_wait(),
                writer,
            }),
        })
    }

    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// Run `work` with a connection; for questions only.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on_pool(work).await
    }

    /// Run `work` in a read-only snapshot: everything it reads is of one moment.
    pub async fn read_snapshot<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.on_pool(move |conn| connection::snapshot(conn, work)).await
    }

    /// Run `work` in one transaction. `Ok` means committed and durable; `Err` means that nothing was written.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.inner.writer {
            Some(writer) => writer.run(work).await,
            None => {
                self.on_pool(move |conn| connection::transaction(conn, work))
                    .await
            }
        }
    }

    /// `write` for a thread that may block (the batched intake).
    pub fn write_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match &self.inner.writer {
            Some(writer) => writer.run_blocking(work),
            // A panic must not take the calling thread, and so every later batch, with it.
            None => with_connection(&self.inner.pool, |conn| {
                connection::transaction(conn, |conn| connection::catching_panics(conn, work))
            }),
        }
    }

    /// Bring the schema up to date and run `then` in the same transaction, under a lock that admits one process at a time.
    /// Returns how many migrations ran and what `then` returned.
    pub async fn migrate<T: Send + 'static>(
        &self,
        then: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<(usize, T)> {
        self.write(move |conn| {
            let ran = migrations::run(conn)?;
            Ok((ran, then(conn)?))
        })
        .await
    }

    async fn on_pool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = tokio::time::timeout(self.inner.patience, Arc::clone(&self.inner.gate).acquire_owned())
            .await
            .map_err(|late| Error::unavailable("every database connection is busy", late))?
            .map_err(|closed| Error::unavailable("the store is closed", closed))?;
        let pool = self.inner.pool.clone();
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _entered = span.enter();
            with_connection(&pool, work)
        })
        .await
        .map_err(|panicked| Error::internal("a database task panicked", panicked))?
    }
}

fn with_connection<T>(pool: &DbPool, work: impl FnOnce(&mut Db) -> Result<T>) -> Result<T> {
    let mut conn = pool.get().map_err(pool_exhausted)?;
    let outcome = work(&mut conn);
    if matches!(outcome, Err(Error::Unavailable { .. } | Error::Internal { .. })) {
        connection::find_out_if_lost(&mut conn);
    }
    outcome
}

fn pool_exhausted(cause: r2d2::Error) -> Error {
    Error::unavailable("no database connection", cause)
}
