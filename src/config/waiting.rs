//! `[waiting]`: how long the server waits for others before it gives up and says so.
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct WaitingOverrides {
    /// How long a request waits for a database connection [default: 5000]
    #[arg(long, global = true, env = "GIAIDAP_CONNECTION_WAIT_MS", value_name = "MS")]
    pub connection_wait_ms: Option<u64>,
    /// SQLite: how long a write waits while another process writes [default: 10000]
    #[arg(long, global = true, env = "GIAIDAP_LOCK_WAIT_MS", value_name = "MS")]
    pub lock_wait_ms: Option<u64>,
    /// PostgreSQL: how long one statement may take, waiting for locks included [default: 30000]
    #[arg(long, global = true, env = "GIAIDAP_STATEMENT_TIMEOUT_MS", value_name = "MS")]
    pub statement_timeout_ms: Option<u64>,
    /// How long a mail server may take to be reached, and for each of its answers [default: 20000]
    #[arg(long, global = true, env = "GIAIDAP_SMTP_TIMEOUT_MS", value_name = "MS")]
    pub smtp_timeout_ms: Option<u64>,
    /// How long the identity provider may take for one answer [default: 5000]
    #[arg(long, global = true, env = "GIAIDAP_PROVIDER_TIMEOUT_MS", value_name = "MS")]
    pub provider_timeout_ms: Option<u64>,
    /// How long a collector of traces may take to accept a batch [default: 5000]
    #[arg(long, global = true, env = "GIAIDAP_COLLECTOR_TIMEOUT_MS", value_name = "MS")]
    pub collector_timeout_ms: Option<u64>,
    /// How long a connection that is closed with a body unread still takes bytes [default: 3000]
    #[arg(long, global = true, env = "GIAIDAP_LINGER_MS", value_name = "MS")]
    pub linger_ms: Option<u64>,
    /// How long requests and workers have to finish when the server is asked to end [default: 25000]
    #[arg(long, global = true, env = "GIAIDAP_SHUTDOWN_TIMEOUT_MS", value_name = "MS")]
    pub shutdown_timeout_ms: Option<u64>,
}

/// The settings in force.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Waiting {
    pub connection_wait_ms: u64,
    pub lock_wait_ms: u64,
    pub statement_timeout_ms: u64,
    pub smtp_timeout_ms: u64,
    pub provider_timeout_ms: u64,
    pub collector_timeout_ms: u64,
    pub linger_ms: u64,
    pub shutdown_timeout_ms: u64,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting {
            connection_wait_ms: 5000,
            lock_wait_ms: 10_000,
            statement_timeout_ms: 30_000,
            smtp_timeout_ms: 20_000,
            provider_timeout_ms: 5000,
            collector_timeout_ms: 5000,
            linger_ms: 3000,
            // Less than the 30 s after which orchestrators kill.
            shutdown_timeout_ms: 25_000,
        }
    }
}

impl Waiting {
    pub(super) fn settle(given: WaitingOverrides, file: WaitingOverrides) -> Result<Waiting, ConfigError> {
        let settled = |name, given: Option<u64>, file: Option<u64>, default| {
            let value = given.or(file).unwrap_or(default);
            match value {
                50..=3_600_000 => Ok(value),
                _ => Err(invalid(name, "must be between 50 and 3600000".to_owned())),
            }
        };
        let default = Waiting::default();
        macro_rules! settle {
            ($($name:ident),+) => {
                Waiting { $($name: settled(stringify!($name), given.$name, file.$name, default.$name)?),+ }
            };
        }
        Ok(settle!(
            connection_wait_ms,
            lock_wait_ms,
            statement_timeout_ms,
            smtp_timeout_ms,
            provider_timeout_ms,
            collector_timeout_ms,
            linger_ms,
            shutdown_timeout_ms
        ))
    }

    pub fn connection_wait(&self) -> Duration {
        Duration::from_millis(self.connection_wait_ms)
    }

    pub fn lock_wait(&self) -> Duration {
        Duration::from_millis(self.lock_wait_ms)
    }

    pub fn smtp_timeout(&self) -> Duration {
        Duration::from_millis(self.smtp_timeout_ms)
    }

    pub fn provider_timeout(&self) -> Duration {
        Duration::from_millis(self.provider_timeout_ms)
    }

    pub fn collector_timeout(&self) -> Duration {
        Duration::from_millis(self.collector_timeout_ms)
    }

    /// It takes them and throws them away, so that a caller who is sending can read why.
    pub fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }

    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}
