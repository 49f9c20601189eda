//! The schema's versions, embedded per backend and run under a lock: two processes may start at once.
use diesel::RunQueryDsl;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::Db;
use crate::error::{Error, Result};

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Any number that nothing else in the database uses as an advisory lock.
const MIGRATION_LOCK: i64 = 0x6769_6169_6461_7001;

/// Run what is pending inside the caller's transaction; returns how many ran.
pub(super) fn run(conn: &mut Db) -> Result<usize> {
    // SQLite needs no lock of its own: the transaction began IMMEDIATE, so the second process waits right there.
    if let Db::Pg(pg) = conn {
        // Waiting for the other process and changing a big table may both take longer than any request.
        diesel::sql_query("SET LOCAL statement_timeout = 0").execute(pg)?;
        diesel::sql_query(format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).execute(pg)?;
    }
    let source = source(conn);
    let ran = conn
        .run_pending_migrations(source)
        .map_err(|cause| Error::internal("migration failed", cause))?;
    Ok(ran.len())
}

/// Names of the migrations that have not run yet.
pub fn pending_migrations(conn: &mut Db) -> Result<Vec<String>> {
    let source = source(conn);
    let pending = conn
        .pending_migrations(source)
        .map_err(|cause| Error::internal("the schema's version cannot be read", cause))?;
    Ok(pending
        .iter()
        .map(|migration| migration.name().to_string())
        .collect())
}

fn source(conn: &Db) -> EmbeddedMigrations {
    match conn {
        Db::Pg(_) => POSTGRES,
        Db::Lite(_) => SQLITE,
    }
}
