//! `[bulk]`: requests that carry many.
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

/// 1,000 questions of 8 kB each.
const DEFAULT_BYTES: usize = 8 << 20;

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct BulkOverrides {
    /// Largest body of POST /api/v1/tickets/bulk in bytes [default: 8388608]
    #[arg(long, global = true, env = "GIAIDAP_MAX_BULK_BYTES", value_name = "BYTES")]
    pub max_bulk_bytes: Option<usize>,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct Bulk {
    pub max_bulk_bytes: usize,
}

impl Bulk {
    pub(super) fn settle(given: BulkOverrides, file: BulkOverrides) -> Result<Bulk, ConfigError> {
        let max_bulk_bytes = given
            .max_bulk_bytes
            .or(file.max_bulk_bytes)
            .unwrap_or(DEFAULT_BYTES);
        match max_bulk_bytes {
            0 => Err(invalid("max_bulk_bytes", "must be greater than 0".to_owned())),
            _ => Ok(Bulk { max_bulk_bytes }),
        }
    }
}
