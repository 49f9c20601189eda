//! `[limits]`: how often, how much and how slowly a caller may send.
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct LimitsOverrides {
    /// Requests a minute of one person or program; `requests_per_minute` of a program beats it; 0: no limit [default: 60000]
    #[arg(long, global = true, env = "GIAIDAP_REQUESTS_PER_MINUTE", value_name = "N")]
    pub requests_per_minute: Option<u32>,
    /// Requests a minute of one address without a valid credential; 0: no limit [default: 600]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_ANONYMOUS_REQUESTS_PER_MINUTE",
        value_name = "N"
    )]
    pub anonymous_requests_per_minute: Option<u32>,
    /// Largest head of a request in bytes [default: 32768]
    #[arg(long, global = true, env = "GIAIDAP_MAX_HEAD_BYTES", value_name = "BYTES")]
    pub max_head_bytes: Option<usize>,
    /// Longest path with query of a request in bytes [default: 8192]
    #[arg(long, global = true, env = "GIAIDAP_MAX_ADDRESS_BYTES", value_name = "BYTES")]
    pub max_address_bytes: Option<usize>,
    /// How long the head of a request may take [default: 5000]
    #[arg(long, global = true, env = "GIAIDAP_HEAD_TIMEOUT_MS", value_name = "MS")]
    pub head_timeout_ms: Option<u64>,
    /// How long the body of a request may take [default: 20000]
    #[arg(long, global = true, env = "GIAIDAP_BODY_TIMEOUT_MS", value_name = "MS")]
    pub body_timeout_ms: Option<u64>,
    /// How long a connection may stand idle between two requests [default: 15000]
    #[arg(long, global = true, env = "GIAIDAP_IDLE_TIMEOUT_MS", value_name = "MS")]
    pub idle_timeout_ms: Option<u64>,
    /// Open connections of one web thread, of which there is one per processor [default: 10000]
    #[arg(long, global = true, env = "GIAIDAP_CONNECTIONS_PER_WORKER", value_name = "N")]
    pub connections_per_worker: Option<usize>,
    /// Questions that wait together and are filed in one commit; 1: a commit for each [default: 64]
    #[arg(long, global = true, env = "GIAIDAP_FILINGS_PER_COMMIT", value_name = "N")]
    pub filings_per_commit: Option<usize>,
}

/// The settings in force.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    pub requests_per_minute: u32,
    pub anonymous_requests_per_minute: u32,
    pub max_head_bytes: usize,
    pub max_address_bytes: usize,
    pub head_timeout_ms: u64,
    pub body_timeout_ms: u64,
    pub idle_timeout_ms: u64,
    pub connections_per_worker: usize,
    pub filings_per_commit: usize,
}

impl Limits {
    pub(super) fn settle(given: LimitsOverrides, file: LimitsOverrides) -> Result<Limits, ConfigError> {
        let limits = Limits {
            requests_per_minute: given
                .requests_per_minute
                .or(file.requests_per_minute)
                .unwrap_or(60_000),
            anonymous_requests_per_minute: given
                .anonymous_requests_per_minute
                .or(file.anonymous_requests_per_minute)
                .unwrap_or(600),
            max_head_bytes: given.max_head_bytes.or(file.max_head_bytes).unwrap_or(32 << 10),
            max_address_bytes: given
                .max_address_bytes
                .or(file.max_address_bytes)
                .unwrap_or(8 << 10),
            head_timeout_ms: given.head_timeout_ms.or(file.head_timeout_ms).unwrap_or(5000),
            body_timeout_ms: given.body_timeout_ms.or(file.body_timeout_ms).unwrap_or(20_000),
            idle_timeout_ms: given.idle_timeout_ms.or(file.idle_timeout_ms).unwrap_or(15_000),
            connections_per_worker: given
                .connections_per_worker
                .or(file.connections_per_worker)
                .unwrap_or(10_000),
            filings_per_commit: given.filings_per_commit.or(file.filings_per_commit).unwrap_or(64),
        };
        limits.check()?;
        Ok(limits)
    }

    fn check(&self) -> Result<(), ConfigError> {
        // The connection layer itself gives up at 128 KiB.
        if !(1024..=96 << 10).contains(&self.max_head_bytes) {
            return Err(invalid("max_head_bytes", "must be between 1024 and 98304".into()));
        }
        if !(256..=self.max_head_bytes).contains(&self.max_address_bytes) {
            return Err(invalid(
                "max_address_bytes",
                "must be between 256 and max_head_bytes".into(),
            ));
        }
        let timeouts = [
            ("head_timeout_ms", self.head_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("idle_timeout_ms", self.idle_timeout_ms),
        ];
        for (name, value) in timeouts {
            if !(50..=600_000).contains(&value) {
                return Err(invalid(name, "must be between 50 and 600000".into()));
            }
        }
        // A commit of more would make the others wait longer than it saves.
        if !(1..=512).contains(&self.filings_per_commit) {
            return Err(invalid("filings_per_commit", "must be between 1 and 512".into()));
        }
        if self.connections_per_worker == 0 {
            return Err(invalid("connections_per_worker", "must be at least 1".into()));
        }
        Ok(())
    }

    pub fn head_timeout(&self) -> Duration {
        Duration::from_millis(self.head_timeout_ms)
    }

    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}
