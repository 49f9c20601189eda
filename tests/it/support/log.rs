//! What the house writes into its security log. A process has one log: where tests share one, a test looks for the ids of
//! its own people.
use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

use serde_json::Value;

static LINES: Mutex<Vec<Value>> = Mutex::new(Vec::new());

struct Keeper;

impl Write for Keeper {
    /// A line comes in one piece.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(serde_json::from_slice(bytes)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keep what is written from now on; before anything is started.
pub fn keep_security_log() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_env_filter("security=trace")
            .with_writer(|| Keeper)
            .init();
    });
}

/// Event, reason and whom it is about, of each line so far.
pub fn security_log() -> Vec<(String, Option<String>, Option<String>)> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = |line: &Value, name: &str| line[name].as_str().map(str::to_owned);
    lines
        .iter()
        .map(|line| {
            (
                text(line, "event").unwrap(),
                text(line, "reason"),
                text(line, "user"),
            )
        })
        .collect()
}

/// All of it, to look for what must not stand there.
pub fn whole_security_log() -> String {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().map(|line| format!("{line}\n")).collect()
}
