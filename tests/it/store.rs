//! The ground under everything: both schemas are one, a write is whole or absent, and the store outlives what happens
//! to its database.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use giaidap::config::{Overrides, Waiting, WaitingOverrides};
use giaidap::error::{Error, FieldCode};
use giaidap::identity::Principal;
use giaidap::store::schema::{ticket_numbers, tickets};
use giaidap::store::{Db, Store, StoreSettings};
use giaidap::tickets::filing::{FileTicket, Filing};
use serde_json::json;

use crate::support::app::{block_on, seeded_database};
use crate::support::database::{Backend, TestDatabase, setting};
use crate::support::process::giaidap;
use crate::support::threads::{at_once, wait_for};
use crate::support::{TestApp, file, question};

/// Tables with their columns: name, type, whether it may be null.
type Picture = BTreeMap<String, Vec<(String, String, bool)>>;

fn migrations(backend: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(backend)
}

/// What Diesel believes, in the words of its macro.
fn picture_of_schema_rs() -> Picture {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/schema.rs")).unwrap();
    let mut tables = Picture::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|head| head.split_once(" (")) {
            table = name.to_owned();
        } else if let Some((column, kind)) = line.strip_suffix(',').and_then(|line| line.split_once(" -> ")) {
            let inner = kind
                .strip_prefix("Nullable<")
                .and_then(|kind| kind.strip_suffix('>'));
            let column = (
                column.to_owned(),
                inner.unwrap_or(kind).to_owned(),
                inner.is_some(),
            );
            tables.entry(table.clone()).or_default().push(column);
        }
    }
    tables
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

/// What the database has. Its own bookkeeping of migrations is not ours.
fn picture_of_database(url: &str) -> Picture {
    let columns: Vec<Column> = match Backend::chosen() {
        Backend::Postgres => diesel::sql_query(
            "SELECT table_name::text AS table_name, column_name::text AS column_name, data_type::text AS kind, \
             is_nullable = 'YES' AS nullable FROM information_schema.columns WHERE table_schema = 'public' \
             ORDER BY table_name, ordinal_position",
        )
        .load(&mut PgConnection::establish(url).unwrap()),
        // An INTEGER PRIMARY KEY is never null, though the pragma does not say so.
        Backend::Sqlite => diesel::sql_query(
            "SELECT t.name AS table_name, c.name AS column_name, lower(c.type) AS kind, \
             c.\"notnull\" = 0 AND c.pk = 0 AS nullable FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid",
        )
        .load(&mut SqliteConnection::establish(url).unwrap()),
    }
    .unwrap();
    let mut tables = Picture::new();
    for column in columns
        .into_iter()
        .filter(|column| column.table_name != "__diesel_schema_migrations")
        .filter(|column| !is_text_index(&column.table_name))
    {
        let told = (column.column_name, column.kind, column.nullable);
        tables.entry(column.table_name).or_default().push(told);
    }
    tables
}

/// The index of texts is each database's own: a `tsvector` with its key, and an FTS5 table with what it keeps behind it.
/// Diesel knows of neither; `tickets::search` writes its statements out.
fn is_text_index(table: &str) -> bool {
    table.starts_with("ticket_texts")
}

/// The type that a column of this Diesel type has in the database under test.
fn native(kind: &str, is_key: bool) -> &'static str {
    let (postgres, sqlite) = match kind {
        "BigInt" => ("bigint", if is_key { "integer" } else { "bigint" }),
        "Integer" => ("integer", "integer"),
        "SmallInt" => ("smallint", "smallint"),
        "Bool" => ("boolean", "boolean"),
        "Text" => ("text", "text"),
        "Date" => ("date", "date"),
        "TsUtc" => ("timestamp with time zone", "text"),
        "DbUuid" => ("uuid", "text"),
        "DbJson" => ("jsonb", "text"),
        other => panic!("a type without a native one: {other}"),
    };
    match Backend::chosen() {
        Backend::Postgres => postgres,
        Backend::Sqlite => sqlite,
    }
}

fn expected_picture() -> Picture {
    let mut expected = picture_of_schema_rs();
    for columns in expected.values_mut() {
        for (name, kind, _) in columns {
            *kind = native(kind, name == "id").to_owned();
        }
    }
    expected
}

#[test]
fn the_database_has_the_tables_and_columns_that_the_code_believes_in() {
    let app = TestApp::start();
    let found = picture_of_database(&app.database.url);
    let expected = expected_picture();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (table, columns) in expected {
        assert_eq!(found[&table], columns, "{table}");
    }
}

/// Statements without comments and layout, in SQLite's words.
fn statements(backend: &str) -> Vec<String> {
    let mut folders: Vec<PathBuf> = fs::read_dir(migrations(backend))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let mut text = String::new();
    for line in folders.iter().flat_map(|folder| {
        let up = fs::read_to_string(folder.join("up.sql")).unwrap();
        up.lines().map(str::to_owned).collect::<Vec<_>>()
    }) {
        text.push_str(line.split("--").next().unwrap());
        text.push(' ');
    }
    let text = text
        .replace(
            "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
            "INTEGER PRIMARY KEY AUTOINCREMENT",
        )
        .replace("TIMESTAMPTZ", "TEXT")
        .replace("JSONB", "TEXT")
        .replace("UUID", "TEXT");
    let one_line = |statement: &str| statement.split_whitespace().collect::<Vec<_>>().join(" ");
    text.split(';')
        .map(one_line)
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[test]
fn both_backends_have_the_same_tables_constraints_and_indexes() {
    let (sqlite, postgres) = (statements("sqlite"), statements("postgres"));
    let without_text_index = |statements: Vec<String>, own: &[&str]| {
        let (index, rest): (Vec<String>, Vec<String>) = statements
            .into_iter()
            .partition(|statement| statement.contains("ticket_texts"));
        assert_eq!(index.len(), own.len());
        for (statement, beginning) in index.iter().zip(own) {
            assert!(statement.starts_with(beginning), "{statement}");
        }
        rest
    };
    // The one difference, which docs/decisions/0016 tells of.
    let sqlite = without_text_index(sqlite, &["CREATE VIRTUAL TABLE ticket_texts USING fts5 ("]);
    let postgres = without_text_index(
        postgres,
        &[
            "CREATE TABLE ticket_texts (",
            "CREATE INDEX ticket_texts_words ON ticket_texts USING gin (",
        ],
    );
    assert!(sqlite.len() > 30);
    for (sqlite, postgres) in sqlite.iter().zip(&postgres) {
        assert_eq!(sqlite, postgres);
    }
    assert_eq!(sqlite.len(), postgres.len());
}

#[test]
fn the_schema_can_be_taken_back_and_made_again() {
    let database = seeded_database();
    let again = match database.backend {
        Backend::Sqlite => {
            let files = FileBasedMigrations::from_path(migrations("sqlite")).unwrap();
            let mut conn = SqliteConnection::establish(&database.url).unwrap();
            conn.batch_execute("PRAGMA foreign_keys=ON").unwrap();
            conn.revert_all_migrations(files.clone()).unwrap();
            assert_eq!(picture_of_database(&database.url), Picture::new());
            conn.run_pending_migrations(files).unwrap().len()
        }
        Backend::Postgres => {
            let files = FileBasedMigrations::from_path(migrations("postgres")).unwrap();
            let mut conn = PgConnection::establish(&database.url).unwrap();
            conn.revert_all_migrations(files.clone()).unwrap();
            assert_eq!(picture_of_database(&database.url), Picture::new());
            conn.run_pending_migrations(files).unwrap().len()
        }
    };
    assert_eq!(again, fs::read_dir(migrations("sqlite")).unwrap().count());
    assert_eq!(picture_of_database(&database.url), expected_picture());
}

fn empty_database() -> TestDatabase {
    TestDatabase::from_template("empty", |url| {
        let settings = StoreSettings {
            url: url.to_owned(),
            pool_size: 1,
            allow_plaintext: false,
            waiting: Waiting::default(),
        };
        drop(Store::open(&settings).unwrap());
    })
}

#[test]
fn of_processes_that_migrate_at_once_one_does_it_and_none_fails() {
    let database = empty_database();
    let folder = tempfile::tempdir().unwrap();
    let outputs: Vec<Output> = at_once(4, |_| {
        giaidap(&database.url, folder.path())
            .args(["migrate", "--json"])
            .output()
            .unwrap()
    });
    let mut loaded = 0;
    let mut ran = 0;
    for output in &outputs {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told = String::from_utf8_lossy(&output.stdout);
        let told: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
        ran += told["migrations"].as_u64().unwrap();
        loaded += u64::from(told["reference_data_loaded"].as_bool().unwrap());
    }
    assert_eq!(loaded, 1);
    assert_eq!(ran, fs::read_dir(migrations("sqlite")).unwrap().count() as u64);
    assert_eq!(picture_of_database(&database.url), expected_picture());
}

/// Years that no test files in.
fn years(app: &TestApp) -> Vec<i32> {
    app.read(|conn| {
        let all = ticket_numbers::table.filter(ticket_numbers::year.lt(1000));
        Ok(all
            .order(ticket_numbers::year)
            .select(ticket_numbers::year)
            .load(conn)?)
    })
}

fn write_year(
    app: &TestApp,
    year: i32,
    end: impl FnOnce(&mut Db) -> giaidap::error::Result<()> + Send + 'static,
) -> giaidap::error::Result<()> {
    block_on(app.app.store.write(move |conn| {
        let row = (ticket_numbers::year.eq(year), ticket_numbers::last.eq(0_i64));
        diesel::insert_into(ticket_numbers::table)
            .values(row)
            .execute(conn)?;
        end(conn)
    }))
}

#[test]
fn a_write_that_fails_leaves_nothing_and_its_neighbours_stay() {
    let app = TestApp::start();
    let results = at_once(24, |number| {
        let year = i32::try_from(number).unwrap();
        write_year(&app, year, move |conn| match number % 4 {
            0 => Err(Error::invalid_pointer("/year", FieldCode::NotAllowed)),
            1 => {
                // One that is in the middle of a savepoint of its own.
                <Db as Connection>::TransactionManager::begin_transaction(conn)?;
                panic!("a defect in an operation")
            }
            _ => Ok(()),
        })
    });
    for (number, result) in results.iter().enumerate() {
        match number % 4 {
            0 => assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}"),
            1 => assert!(matches!(result, Err(Error::Internal { .. })), "{result:?}"),
            _ => assert!(result.is_ok(), "{result:?}"),
        }
    }
    let expected: Vec<i32> = (0..24).filter(|year| year % 4 > 1).collect();
    assert_eq!(years(&app), expected);
    // A failing statement ends PostgreSQL's transaction; only its own.
    assert!(write_year(&app, 2, |_| Ok(())).is_err(), "the year is taken");
    write_year(&app, 24, |_| Ok(())).unwrap();
    assert_eq!(years(&app).len(), expected.len() + 1);
}

#[test]
fn a_question_whose_filing_panics_does_not_take_the_intake_with_it() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let filed = at_once(12, |number| {
        if number % 3 > 0 {
            return Some(file(&hue)["number"].as_str().unwrap().to_owned());
        }
        let filing = Filing {
            principal: Arc::new(Principal::System),
            question: FileTicket {
                subject: "Hỏi".into(),
                body: "Hỏi".into(),
                organisation: Some("H57".into()),
                ..FileTicket::default()
            },
            key: None,
            filed_at: app.app.clock.now(),
            answering: Arc::new(|_| panic!("a defect in an answer")),
        };
        let failed = block_on(app.app.intake.file(filing)).unwrap_err();
        assert!(matches!(failed, Error::Internal { .. }), "{failed:?}");
        None
    });
    let mut filed: Vec<String> = filed.into_iter().flatten().collect();
    filed.push(file(&hue)["number"].as_str().unwrap().to_owned());
    filed.sort();
    let expected: Vec<String> = (1..=9).map(|number| format!("GD-2019-{number:06}")).collect();
    assert_eq!(filed, expected);
    let stored: i64 = app.read(|conn| Ok(tickets::table.count().get_result(conn)?));
    assert_eq!(stored, 9);
}

/// Another program holds what filing needs, for a moment: filing waits, reading does not.
#[test]
fn a_write_waits_for_another_program_and_reading_goes_on() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let first = file(&hue);
    let path = format!("/api/v1/tickets/{}", first["number"].as_str().unwrap());
    let mut other: Box<dyn FnMut(&str)> = match app.database.backend {
        Backend::Sqlite => {
            let mut conn = SqliteConnection::establish(&app.database.url).unwrap();
            conn.batch_execute("PRAGMA busy_timeout=60000").unwrap();
            Box::new(move |sql| conn.batch_execute(sql).unwrap())
        }
        Backend::Postgres => {
            let mut conn = PgConnection::establish(&app.database.url).unwrap();
            Box::new(move |sql| conn.batch_execute(sql).unwrap())
        }
    };
    other(match app.database.backend {
        Backend::Sqlite => "BEGIN IMMEDIATE",
        Backend::Postgres => "BEGIN; LOCK TABLE ticket_numbers IN EXCLUSIVE MODE",
    });
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..4).map(|_| scope.spawn(|| file(&hue))).collect();
        for _ in 0..20 {
            hue.get(&path).expect(200);
        }
        assert!(waiting.iter().all(|filing| !filing.is_finished()));
        other("COMMIT");
        let mut numbers: Vec<String> = waiting
            .into_iter()
            .map(|filing| filing.join().unwrap()["number"].as_str().unwrap().to_owned())
            .collect();
        numbers.sort();
        let expected: Vec<String> = (2..=5).map(|number| format!("GD-2019-{number:06}")).collect();
        assert_eq!(numbers, expected);
    });
}

/// The cluster's own door to a database, through which a test does it harm.
struct Harm {
    admin: PgConnection,
    name: String,
}

impl Harm {
    /// SQLite has no server to lose; its tests are the locks above and the crashes in `crash.rs`.
    fn of(app: &TestApp) -> Option<Harm> {
        (app.database.backend == Backend::Postgres).then(|| {
            let cluster = setting("TEST_POSTGRES_URL").unwrap();
            let path = app.database.url.split('?').next().unwrap();
            Harm {
                admin: PgConnection::establish(&cluster).unwrap(),
                name: path.rsplit('/').next().unwrap().to_owned(),
            }
        })
    }

    /// They are gone when this returns; a session that dies later, at a COMMIT, would leave its outcome unknown.
    fn end_all_sessions(&mut self) {
        let ended = diesel::sql_query(
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = $1",
        )
        .bind::<Text, _>(&self.name)
        .execute(&mut self.admin)
        .unwrap();
        assert!(ended > 0);
    }

    fn allow_sessions(&mut self, allowed: bool) {
        let sql = format!(r#"ALTER DATABASE "{}" ALLOW_CONNECTIONS {allowed}"#, self.name);
        self.admin.batch_execute(&sql).unwrap();
    }
}

#[test]
fn requests_after_a_lost_session_are_served_or_told_to_come_back() {
    let app = TestApp::start();
    let Some(mut harm) = Harm::of(&app) else { return };
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let path = format!("/api/v1/tickets/{}", file(&hue)["number"].as_str().unwrap());
    let read = || lan.get(&path);
    let note = || lan.post(&format!("{path}/notes"), &json!({ "body": "Ghi chú." }));
    let filing = || hue.post("/api/v1/tickets", &question());
    for request in [&read as &(dyn Fn() -> _ + Sync), &note, &filing] {
        // So that the pool has a session for each.
        at_once(8, |_| request());
        harm.end_all_sessions();
        let replies = at_once(8, |_| request());
        for reply in replies {
            if reply.status >= 300 {
                assert_eq!(
                    (reply.status, reply.problem()),
                    (503, "unavailable"),
                    "{}",
                    reply.text
                );
                assert!(reply.header("retry-after").is_some());
            }
        }
        wait_for("the pool to have sound sessions only", || {
            (0..8).all(|_| request().status < 300).then_some(())
        });
    }
}

#[test]
fn a_server_without_its_database_says_that_it_is_not_ready_and_recovers() {
    // Nobody can have a connection, however long they wait.
    let app = TestApp::start_with(&Overrides {
        waiting: WaitingOverrides {
            connection_wait_ms: Some(1000),
            ..WaitingOverrides::default()
        },
        ..Overrides::default()
    });
    let Some(mut harm) = Harm::of(&app) else { return };
    let (hue, anonymous) = (app.organisation("H57"), app.anonymous());
    anonymous.get("/readyz").expect(200);
    harm.allow_sessions(false);
    harm.end_all_sessions();
    let (not_ready, not_filed) = std::thread::scope(|scope| {
        let ready = scope.spawn(|| {
            wait_for("the server to notice", || {
                Some(anonymous.get("/readyz")).filter(|reply| reply.status == 503)
            })
        });
        let filing = scope.spawn(|| hue.post("/api/v1/tickets", &question()));
        (ready.join().unwrap(), filing.join().unwrap())
    });
    assert_eq!(not_ready.body["status"], "unavailable");
    assert!(
        !not_ready.text.contains(&harm.name),
        "nothing of the inside is told: {}",
        not_ready.text
    );
    assert_eq!(
        (not_filed.status, not_filed.problem()),
        (503, "unavailable"),
        "{}",
        not_filed.text
    );
    anonymous.get("/healthz").expect(200);
    harm.allow_sessions(true);
    wait_for("the server to be ready", || {
        (anonymous.get("/readyz").status == 200).then_some(())
    });
    file(&hue);
}
