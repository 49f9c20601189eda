//! The demo, as a person starts it: the built binary plays the sample questions and says what came of it.

use std::path::Path;
use std::process::{Command, Output};

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde_json::Value;

use crate::support::database::{Backend, TestDatabase, sqlite_url};

/// One run of the demo, with what it left behind.
struct Run {
    stdout: String,
    mails: usize,
    /// Deliveries that were not sent, and tickets that are not at rest.
    unsent: i64,
    unsettled: i64,
}

fn demo(storage: &Path, database: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_giaidap"));
    command
        .args(["demo", "--exit", "--seed", "7", "--listen", "127.0.0.1:0"])
        .arg("--storage")
        .arg(storage)
        .current_dir(storage)
        // What the caller of the tests has set must not decide where the demo writes.
        .env_remove("DATABASE_URL")
        .env_remove("GIAIDAP_DATABASE")
        .env_remove("GIAIDAP_CONFIG");
    if let Some(url) = database {
        command.args(["--database", url]);
    }
    command.output().unwrap()
}

fn play() -> Run {
    let storage = tempfile::tempdir().unwrap();
    let given = match Backend::chosen() {
        // The demo's own default.
        Backend::Sqlite => None,
        Backend::Postgres => Some(TestDatabase::from_template("empty", |_| {})),
    };
    let output = demo(
        storage.path(),
        given.as_ref().map(|database| database.url.as_str()),
    );
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let folders: Vec<_> = std::fs::read_dir(storage.path()).unwrap().collect();
    assert_eq!(folders.len(), 1, "one folder of its own: {folders:?}");
    let folder = folders[0].as_ref().unwrap().path();
    let url = given.as_ref().map_or_else(
        || sqlite_url(&folder.join("giaidap.db")),
        |database| database.url.clone(),
    );
    let mails = std::fs::read_dir(folder.join("mails")).unwrap();
    Run {
        stdout: String::from_utf8(output.stdout).unwrap(),
        mails: mails
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .count(),
        unsent: count(
            &url,
            "SELECT count(*) AS count FROM deliveries WHERE state <> 'sent'",
        ),
        unsettled: count(
            &url,
            "SELECT count(*) AS count FROM tickets WHERE state NOT IN ('closed', 'cancelled')",
        ),
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(url: &str, sql: &str) -> i64 {
    let query = diesel::sql_query(sql);
    let found: Count = match Backend::chosen() {
        Backend::Sqlite => query.get_result(&mut SqliteConnection::establish(url).unwrap()),
        Backend::Postgres => query.get_result(&mut PgConnection::establish(url).unwrap()),
    }
    .unwrap();
    found.count
}

#[test]
fn a_seed_gives_the_same_demo_and_every_question_comes_to_rest() {
    let (first, second) = (play(), play());
    assert_eq!(first.stdout, second.stdout);

    let figures: Value = serde_json::from_str(first.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(figures["filed"], 40);
    assert_eq!(figures["answered"], 39, "all but the one that is out of scope");
    let (met, breached) = (
        figures["met"].as_u64().unwrap(),
        figures["breached"].as_u64().unwrap(),
    );
    assert!(
        breached > 0 && met > breached && met + breached == 39,
        "{figures}"
    );
    assert_eq!(figures["mails"], first.mails);
    assert!(first.mails > 100, "{figures}");
    assert_eq!((first.unsent, first.unsettled), (0, 0));

    let rows = first.stdout.lines().filter(|line| line.starts_with("GD-20"));
    assert_eq!(rows.count(), 40);
}

#[test]
fn a_database_that_holds_tickets_is_refused_with_one_line() {
    let storage = tempfile::tempdir().unwrap();
    let given = TestDatabase::from_template("empty", |_| {});
    assert!(demo(storage.path(), Some(&given.url)).status.success());
    let before = std::fs::read_dir(storage.path()).unwrap().count();

    let again = demo(storage.path(), Some(&given.url));
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8(again.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("already holds tickets"), "{said}");
    assert!(again.stdout.is_empty());
    assert_eq!(std::fs::read_dir(storage.path()).unwrap().count(), before);
}
