//! `[sign_in]`: passwords, second factors and sessions of the centre's people.
use chrono::Duration;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, invalid};
use crate::identity::Role;
use crate::identity::sessions::SessionLife;

#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct SignInOverrides {
    /// Hours after which a session ends, however busy it is [default: 12]
    #[arg(long, global = true, env = "GIAIDAP_SESSION_HOURS", value_name = "HOURS")]
    pub session_hours: Option<u32>,
    /// Minutes after which a session that nobody uses ends [default: 60]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_SESSION_IDLE_MINUTES",
        value_name = "MINUTES"
    )]
    pub session_idle_minutes: Option<u32>,
    /// Characters that a new password must have at least [default: 12]
    #[arg(long, global = true, env = "GIAIDAP_PASSWORD_MIN_LENGTH", value_name = "N")]
    pub password_min_length: Option<u32>,
    /// Roles that may do nothing but set up a second factor until they have one, comma separated [default: none]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_REQUIRE_SECOND_FACTOR",
        value_name = "ROLE",
        value_delimiter = ','
    )]
    pub require_second_factor: Option<Vec<Role>>,
}

/// The settings in force.
#[derive(Debug, Clone, Serialize)]
pub struct SignIn {
    pub session_hours: u32,
    pub session_idle_minutes: u32,
    pub password_min_length: u32,
    pub require_second_factor: Vec<Role>,
}

impl SignIn {
    pub(super) fn settle(given: SignInOverrides, file: SignInOverrides) -> Result<SignIn, ConfigError> {
        let settled = SignIn {
            session_hours: given.session_hours.or(file.session_hours).unwrap_or(12),
            session_idle_minutes: given
                .session_idle_minutes
                .or(file.session_idle_minutes)
                .unwrap_or(60),
            password_min_length: given
                .password_min_length
                .or(file.password_min_length)
                .unwrap_or(12),
            require_second_factor: given
                .require_second_factor
                .or(file.require_second_factor)
                .unwrap_or_default(),
        };
        settled.check()?;
        Ok(settled)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if !(1..=720).contains(&self.session_hours) {
            return Err(invalid("session_hours", "must be between 1 and 720".into()));
        }
        // Less than the precision of `last_used_at` twice over would end sessions that are in use.
        if !(2..=43_200).contains(&self.session_idle_minutes) {
            return Err(invalid(
                "session_idle_minutes",
                "must be between 2 and 43200".into(),
            ));
        }
        if !(8..=64).contains(&self.password_min_length) {
            return Err(invalid("password_min_length", "must be between 8 and 64".into()));
        }
        Ok(())
    }

    pub fn session_life(&self) -> SessionLife {
        SessionLife {
            absolute: Duration::hours(i64::from(self.session_hours)),
            idle: Duration::minutes(i64::from(self.session_idle_minutes)),
        }
    }
}
