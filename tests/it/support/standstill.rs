//! Work that stands still at a chosen point, so that a kill surely falls into the middle of it however slow the machine is.
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};

use super::TestApp;
use super::database::Backend;

/// Holds up whoever comes to the point, until it is released.
pub struct Standstill {
    table: &'static str,
    turn: Turn,
}

enum Turn {
    /// A session that holds the lock for which the others wait.
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl TestApp {
    /// Whoever inserts into this table when so many of its rows fulfil the condition stands still there, inside its
    /// transaction. On SQLite it counts for ever and holds the only place to write: end its process before the release.
    pub fn stand_still_at(&self, rows: i64, table: &'static str, condition: &str) -> Standstill {
        let reached = format!("(SELECT count(*) FROM {table} WHERE {condition}) >= {rows}");
        let turn = match self.database.backend {
            Backend::Postgres => {
                let mut session = PgConnection::establish(&self.database.url).unwrap();
                let made = format!(
                    "CREATE FUNCTION standstill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                     IF {reached} THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN NEW; END $$; \
                     CREATE TRIGGER standstill BEFORE INSERT ON {table} \
                     FOR EACH ROW EXECUTE FUNCTION standstill(); \
                     SELECT pg_advisory_lock(4711)"
                );
                session.batch_execute(&made).unwrap();
                Turn::Postgres(session)
            }
            Backend::Sqlite => {
                let mut session = SqliteConnection::establish(&self.database.url).unwrap();
                let made = format!(
                    "PRAGMA busy_timeout=60000; CREATE TRIGGER standstill BEFORE INSERT ON {table} WHEN {reached} \
                     BEGIN SELECT count(*) FROM \
                     (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s) SELECT n FROM s); END"
                );
                session.batch_execute(&made).unwrap();
                Turn::Sqlite(session)
            }
        };
        Standstill { table, turn }
    }
}

impl Standstill {
    /// When this returns nobody stands there any more; what a dead process had begun is undone.
    pub fn release(self) {
        match self.turn {
            Turn::Postgres(mut session) => {
                let gone = format!(
                    "SELECT pg_advisory_unlock(4711); DROP TRIGGER standstill ON {}; DROP FUNCTION standstill()",
                    self.table
                );
                session.batch_execute(&gone).unwrap();
            }
            Turn::Sqlite(mut session) => session.batch_execute("DROP TRIGGER standstill").unwrap(),
        }
    }
}
