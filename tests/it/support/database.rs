//! A migrated database for one test, on the backend that `TEST_DATABASE` names; gone when the value is dropped.
//!
//! Migrating takes longer than most tests, so it happens once: a template is migrated by the first test to arrive
//! and copied for every other. Runners start a process per test, so the turn is taken by a lock that processes
//! share. A template belongs to the test executable and the migration files it was made with; it is never stale.
//! There is no default backend and no skipping: a test that cannot have its database fails.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use data_encoding::HEXLOWER;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::postgres;

/// The two backends that the store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    /// The backend named by `TEST_DATABASE`. A missing or other value is a mistake of the caller, not a default.
    pub fn chosen() -> Self {
        Self::named(setting("TEST_DATABASE").as_deref())
    }

    pub fn named(name: Option<&str>) -> Self {
        match name {
            Some("sqlite") => Self::Sqlite,
            Some("postgres") => Self::Postgres,
            other => panic!(
                "TEST_DATABASE must be sqlite or postgres, not {other:?}: run bin/test, or set it for cargo nextest run"
            ),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A database that only one test sees.
pub struct TestDatabase {
    pub url: String,
    pub backend: Backend,
    _storage: Storage,
}

/// What is taken away again when the test is over.
#[expect(dead_code, reason = "held for their Drop")]
enum Storage {
    Folder(TempDir),
    Postgres(postgres::Database),
}

impl TestDatabase {
    /// A copy of the database that `migrate` makes of an empty one, given its URL. All callers of one run must
    /// pass the same `migrate`; who wants another starting point names another template.
    pub fn create(migrate: impl Fn(&str)) -> Self {
        Self::from_template("migrated", migrate)
    }

    /// Like [`TestDatabase::create`], from the template of this name.
    pub fn from_template(template: &str, migrate: impl Fn(&str)) -> Self {
        Self::on(Backend::chosen(), template, migrate)
    }

    fn on(backend: Backend, template: &str, migrate: impl Fn(&str)) -> Self {
        let fingerprint = fingerprint(backend);
        let (url, storage) = match backend {
            Backend::Sqlite => {
                let folder = copy_of_sqlite_template(template, &fingerprint, &migrate);
                (
                    sqlite_url(&folder.path().join("test.sqlite")),
                    Storage::Folder(folder),
                )
            }
            Backend::Postgres => {
                let database = postgres::Database::create(template, &fingerprint, &migrate);
                (database.url(), Storage::Postgres(database))
            }
        };
        Self {
            url,
            backend,
            _storage: storage,
        }
    }
}

/// An environment setting of the test run.
#[expect(
    clippy::disallowed_methods,
    reason = "settings of the test run, not of the application"
)]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Names what a template was made with: the migration files and this executable, which carries the callback, the
/// embedded migrations and the reference data. Size and modification time stand for the executable: hashing its
/// contents would cost every test more than the copy does.
fn fingerprint(backend: Backend) -> String {
    let mut digest = Sha256::new();
    let mut files = files_below(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(backend.name()),
    );
    files.sort();
    for file in files {
        let contents = fs::read(&file).unwrap();
        digest.update(format!("{}\n{}\n", file.display(), contents.len()));
        digest.update(contents);
    }
    let executable = fs::metadata(std::env::current_exe().unwrap()).unwrap();
    let modified = executable.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    digest.update(format!("{} {}", executable.len(), modified.as_nanos()));
    HEXLOWER.encode(&digest.finalize()[..8])
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    // A backend without migrations has none to hash; its tests then fail on the missing tables.
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

pub fn sqlite_url(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

fn copy_of_sqlite_template(template: &str, fingerprint: &str, migrate: &dyn Fn(&str)) -> TempDir {
    let shelf = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(shelf).unwrap();
    // Held until the copy is made, so that nobody clears the template away in between; closing the file unlocks.
    let turn = File::create(shelf.join(format!("template_{template}.lock"))).unwrap();
    turn.lock().unwrap();
    let made = shelf.join(format!("template_{template}_{fingerprint}.sqlite"));
    if !made.exists() {
        remove_sqlite_templates(shelf, &format!("template_{template}_"));
        let workshop = tempfile::tempdir_in(shelf).unwrap();
        let draft = workshop.path().join("draft.sqlite");
        migrate(&sqlite_url(&draft));
        empty_write_ahead_log(&draft);
        // The rename is the last step: a callback that panics leaves no template behind.
        fs::rename(&draft, &made).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    fs::copy(&made, folder.path().join("test.sqlite")).unwrap();
    folder
}

/// Every build has templates of its own; without this the folder would grow by one per build.
fn remove_sqlite_templates(shelf: &Path, prefix: &str) {
    for entry in fs::read_dir(shelf).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(prefix) && name.ends_with(".sqlite") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

#[derive(QueryableByName)]
struct Checkpoint {
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// Moves everything into the main file, which alone is copied.
fn empty_write_ahead_log(path: &Path) {
    let mut connection = SqliteConnection::establish(&sqlite_url(path)).unwrap();
    let checkpoint: Checkpoint = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)")
        .get_result(&mut connection)
        .unwrap();
    assert_eq!(
        checkpoint.busy, 0,
        "the migrating callback must close its connections before it returns"
    );
}
