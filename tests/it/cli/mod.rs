//! The built binary: what it prints, where, and how it fails.
mod calendars;
mod credentials;
mod organisations;
mod reports;
mod settings;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::database::{Backend, TestDatabase};

struct Binary {
    database: String,
    storage: TempDir,
}

impl Binary {
    fn on(database: &str) -> Binary {
        Binary {
            database: database.to_owned(),
            storage: TempDir::new().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giaidap"));
        command
            .env_clear()
            .env("GIAIDAP_STORAGE", self.storage.path())
            .env("GIAIDAP_DATABASE", &self.database)
            .env("RUST_BACKTRACE", "1")
            .current_dir(self.storage.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints where it succeeds.
    #[track_caller]
    fn out(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.out(arguments);
        assert_eq!(printed.lines().count(), 1, "{printed}");
        serde_json::from_str(&printed).unwrap()
    }

    /// The one line that says why it failed.
    #[track_caller]
    fn failure(&self, arguments: &[&str]) -> String {
        failure(&self.run(arguments))
    }
}

#[track_caller]
fn failure(output: &Output) -> String {
    let told = text(&output.stderr);
    // What a first start made before it failed is in the security log.
    let complaints: Vec<&str> = told
        .lines()
        .filter(|line| !line.contains(" INFO security: "))
        .collect();
    let [complaint] = complaints[..] else {
        panic!("{told}")
    };
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    assert_eq!(text(&output.stdout), "", "nothing to read elsewhere");
    complaint.strip_prefix("giaidap: ").unwrap().trim_end().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn last_line(printed: &str) -> &str {
    printed.lines().last().unwrap()
}

/// A database without a single table, and what holds it.
fn empty_database() -> (String, Option<TestDatabase>, TempDir) {
    let folder = TempDir::new().unwrap();
    match Backend::chosen() {
        Backend::Sqlite => (
            format!("sqlite://{}", folder.path().join("new.db").display()),
            None,
            folder,
        ),
        Backend::Postgres => {
            let database = TestDatabase::from_template("empty", |_| {});
            (database.url.clone(), Some(database), folder)
        }
    }
}

#[test]
fn two_processes_may_migrate_an_empty_database_at_once() {
    let (url, _held, _folder) = empty_database();
    let binary = Binary::on(&url);
    let start = || {
        let mut command = binary.command(&["migrate"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..4).map(|_| start()).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(
        binary
            .json(&["organisation", "list", "--json"])
            .as_array()
            .unwrap()
            .len(),
        123
    );
    assert_eq!(binary.json(&["calendar", "show"])["version"], 1);
}

#[test]
fn every_command_explains_itself() {
    let binary = Binary::on("sqlite://x.db");
    for command in [
        &[][..],
        &["serve"],
        &["migrate"],
        &["demo"],
        &["user", "create"],
        &["token", "create"],
        &["organisation"],
        &["organisation", "import"],
        &["key", "create"],
        &["key", "rotate"],
        &["calendar"],
        &["calendar", "list"],
        &["calendar", "show"],
        &["calendar", "versions"],
        &["calendar", "export"],
        &["calendar", "import"],
        &["calendar", "due"],
        &["calendar", "elapsed"],
        &["report", "sla"],
        &["sla", "explain"],
    ] {
        let help = binary.out(&[command, &["--help"]].concat());
        assert!(
            help.contains("Usage:") && help.contains("--database"),
            "{command:?}: {help}"
        );
    }
    assert!(binary.out(&["--version"]).starts_with("giaidap "));
    assert!(!binary.storage.path().join("x.db").exists());
}
