//! The built program as a process of its own: what only a real end of a process, or a second process on the same
//! database, can show.
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};

use super::threads::wait_for;

/// `giaidap serve` on a free port, with the system's clock and a folder of mails; killed when dropped.
pub struct ServerProcess {
    pub url: String,
    child: Child,
    log: Option<JoinHandle<String>>,
}

/// How long a server may wait for what a busy machine does not let others do. Statements have longer: tests let some of
/// them stand still.
const PATIENCE_OF_SERVERS: [(&str, &str); 9] = [
    ("GIAIDAP_HEAD_TIMEOUT_MS", "60000"),
    ("GIAIDAP_BODY_TIMEOUT_MS", "60000"),
    ("GIAIDAP_CONNECTION_WAIT_MS", "60000"),
    ("GIAIDAP_LOCK_WAIT_MS", "60000"),
    ("GIAIDAP_STATEMENT_TIMEOUT_MS", "600000"),
    ("GIAIDAP_SMTP_TIMEOUT_MS", "60000"),
    ("GIAIDAP_PROVIDER_TIMEOUT_MS", "60000"),
    ("GIAIDAP_COLLECTOR_TIMEOUT_MS", "60000"),
    ("GIAIDAP_SHUTDOWN_TIMEOUT_MS", "60000"),
];

/// The program with the settings of a test: this database, this folder, nothing from the environment.
pub fn giaidap(database: &str, storage: &Path) -> Command {
    logging(database, storage, "warn")
}

fn logging(database: &str, storage: &Path, log: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_giaidap"));
    command
        .env_clear()
        .envs(PATIENCE_OF_SERVERS)
        .args([
            "--database",
            database,
            "--pool-size",
            "4",
            "--log",
            log,
            "--storage",
        ])
        .arg(storage)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl ServerProcess {
    /// Serves when this returns.
    pub fn start(database: &str, storage: &Path) -> ServerProcess {
        ServerProcess::start_with(database, storage, "warn", &[])
    }

    /// The same with another log filter and further settings, as the environment has them.
    pub fn start_with(database: &str, storage: &Path, log: &str, settings: &[(&str, &str)]) -> ServerProcess {
        let mut child = logging(database, storage, log)
            .envs(settings.iter().copied())
            .args(["--listen", "127.0.0.1:0", "serve"])
            .spawn()
            .unwrap();
        let log = read_all(child.stderr.take().unwrap());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) else {
            let _ = child.kill();
            panic!("the server did not start: {line}{}", log.join().unwrap());
        };
        let url = url.to_owned();
        // The rest is read so that the process never waits for us.
        drop(read_all(lines));
        ServerProcess {
            url,
            child,
            log: Some(log),
        }
    }

    /// `kill -9`: no destructor, no flush, no goodbye.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ask it to end, as an orchestrator does.
    pub fn terminate(&self) {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Its exit status and all that it logged.
    pub fn wait(&mut self) -> (ExitStatus, String) {
        let status = wait_for("the end of the server", || self.child.try_wait().unwrap());
        (
            status,
            self.log
                .take()
                .map_or_else(String::new, |log| log.join().unwrap()),
        )
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(log) = self.log.take().filter(|_| thread::panicking()) {
            eprintln!("the server said:\n{}", log.join().unwrap_or_default());
        }
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        text
    })
}
