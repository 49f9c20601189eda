//! `[retention]`: how long what people wrote is kept.
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct RetentionOverrides {
    /// Days after which a closed or cancelled ticket loses its texts, persons and files [default: keep for ever]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_RETENTION_TICKET_DAYS",
        value_name = "DAYS"
    )]
    #[serde(rename = "ticket_days")]
    pub retention_ticket_days: Option<u32>,
}

/// The settings in force.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Retention {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_days: Option<u32>,
}

impl Retention {
    pub(super) fn settle(
        given: RetentionOverrides,
        file: RetentionOverrides,
    ) -> Result<Retention, ConfigError> {
        let ticket_days = given.retention_ticket_days.or(file.retention_ticket_days);
        match ticket_days {
            Some(days) if !(1..=36_500).contains(&days) => Err(invalid(
                "retention.ticket_days",
                "must be between 1 and 36500".into(),
            )),
            _ => Ok(Retention { ticket_days }),
        }
    }
}
