//! Every setting with its name and default, and the only reader of the environment.
//!
//! A value comes from the first of: command-line flag, environment `GIAIDAP_*` (and `DATABASE_URL` for the database),
//! TOML file (`--config` or `GIAIDAP_CONFIG`), default. Secrets print as `***`. What belongs together is a group with a
//! file of its own here, a table of its own in TOML, and plain names on the command line and in the environment.
mod attachments;
mod bulk;
mod limits;
mod mail_transport;
mod network;
pub mod oidc;
mod retention;
mod sign_in;
mod telemetry;
mod waiting;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;
use serde::{Deserialize, Serialize};

pub use attachments::{AttachmentStore, Attachments, AttachmentsOverrides, Bucket};
pub use bulk::{Bulk, BulkOverrides};
pub use limits::{Limits, LimitsOverrides};
pub use mail_transport::{MailTransport, SmtpSecurity};
pub use network::{Network, NetworkOverrides};
pub use oidc::{Oidc, OidcOverrides};
pub use retention::{Retention, RetentionOverrides};
pub use sign_in::{SignIn, SignInOverrides};
pub use telemetry::{Telemetry, TelemetryOverrides};
pub use waiting::{Waiting, WaitingOverrides};

use crate::store::StoreSettings;

/// What is logged unless somebody says otherwise: no statement, no body, no personal data.
pub const DEFAULT_LOG: &str = "info";

/// Settings as somebody gave them: on the command line, in the environment or in the file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[command(next_help_heading = "Settings")]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// Optional TOML file with the settings below (keys with underscores)
    #[arg(long, global = true, env = "GIAIDAP_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Database: sqlite://PATH or postgres://USER@HOST/NAME [default: sqlite://STORAGE/giaidap.db]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    pub database: Option<String>,
    /// Folder for the database, attachments and mails [default: giaidap-data]
    #[arg(long, global = true, env = "GIAIDAP_STORAGE", value_name = "FOLDER")]
    pub storage: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, global = true, env = "GIAIDAP_LISTEN", value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address under which people reach the server, for links in mails [default: http://LISTEN]
    #[arg(long, global = true, env = "GIAIDAP_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// folder (a folder of .eml files), smtp://[USER:PASSWORD@]HOST:PORT, smtp+starttls://… or smtps://… [default: folder]
    #[arg(
        long,
        global = true,
        env = "GIAIDAP_MAIL_TRANSPORT",
        value_name = "URL",
        hide_env_values = true
    )]
    pub mail_transport: Option<String>,
    /// Sender of all mails [default: giaidap@localhost]
    #[arg(long, global = true, env = "GIAIDAP_MAIL_FROM", value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// Name of the centre in mails [default: as the language has it]
    #[arg(long, global = true, env = "GIAIDAP_OWNER", value_name = "NAME")]
    pub owner: Option<String>,
    /// Time zone of dates that people read, and of the year in ticket numbers [default: Asia/Ho_Chi_Minh]
    #[arg(long, global = true, env = "GIAIDAP_TIME_ZONE", value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Database connections [default: 8]
    #[arg(long, global = true, env = "GIAIDAP_POOL_SIZE", value_name = "N")]
    pub pool_size: Option<u32>,
    /// Allow a PostgreSQL on another host without TLS (private networks only) [default: false]
    #[arg(long, global = true, env = "GIAIDAP_DATABASE_ALLOW_PLAINTEXT", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub database_allow_plaintext: Option<bool>,
    /// Let agents see the tickets of all queues, not only of their own [default: false]
    #[arg(long, global = true, env = "GIAIDAP_AGENTS_SEE_ALL_QUEUES", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub agents_see_all_queues: Option<bool>,
    /// Largest request body in bytes [default: 1048576]
    #[arg(long, global = true, env = "GIAIDAP_MAX_BODY_BYTES", value_name = "BYTES")]
    pub max_body_bytes: Option<usize>,
    /// Log lines: text or json [default: text]
    #[arg(long, global = true, env = "GIAIDAP_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged, as a tracing filter [default: info]
    #[arg(long, global = true, env = "GIAIDAP_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    #[command(flatten)]
    pub bulk: BulkOverrides,
    #[command(flatten)]
    pub network: NetworkOverrides,
    #[command(flatten)]
    pub oidc: OidcOverrides,
    #[command(flatten)]
    pub sign_in: SignInOverrides,
    #[command(flatten)]
    pub attachments: AttachmentsOverrides,
    #[command(flatten)]
    pub retention: RetentionOverrides,
    #[command(flatten)]
    pub limits: LimitsOverrides,
    #[command(flatten)]
    pub telemetry: TelemetryOverrides,
    #[command(flatten)]
    pub waiting: WaitingOverrides,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// The address that people on this machine reach a listening server under.
fn url_of(listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        format!("http://localhost:{}", listen.port())
    } else {
        format!("http://{listen}")
    }
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    pub database: StoreSettings,
    pub storage: PathBuf,
    pub listen: SocketAddr,
    pub public_url: String,
    pub mail_transport: MailTransport,
    pub mail_from: String,
    pub owner: Option<String>,
    pub time_zone: Tz,
    pub agents_see_all_queues: bool,
    pub max_body_bytes: usize,
    pub log_format: LogFormat,
    pub log: String,
    pub bulk: Bulk,
    pub network: Network,
    pub oidc: Option<Oidc>,
    pub sign_in: SignIn,
    pub attachments: Attachments,
    pub retention: Retention,
    pub limits: Limits,
    pub telemetry: Telemetry,
    pub waiting: Waiting,
}

/// A setting that cannot be used; one clear line that names it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("config file `{0}` cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    #[error("config file `{0}` is not valid: {1}")]
    NotToml(String, String),
    #[error("setting `{name}` is not valid: {reason}")]
    Value { name: &'static str, reason: String },
}

impl Config {
    /// Merge flags and environment (already merged by clap), file and defaults, and check the result.
    pub fn load(given: &Overrides) -> Result<Config, ConfigError> {
        let file = match &given.config {
            Some(path) => read_file(path)?,
            None => Overrides::default(),
        };
        Config::from_layers(given.clone(), file, database_url_of_environment())
    }

    fn from_layers(
        given: Overrides,
        file: Overrides,
        database_url: Option<String>,
    ) -> Result<Config, ConfigError> {
        let storage = given
            .storage
            .or(file.storage)
            .unwrap_or_else(|| PathBuf::from("giaidap-data"));
        let database = given.database.or(database_url).or(file.database);
        let listen = given
            .listen
            .or(file.listen)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080)));
        let public_url = given
            .public_url
            .or(file.public_url)
            .unwrap_or_else(|| url_of(listen));
        let zone = given
            .time_zone
            .or(file.time_zone)
            .unwrap_or_else(|| "Asia/Ho_Chi_Minh".into());
        let transport = given
            .mail_transport
            .or(file.mail_transport)
            .unwrap_or_else(|| "folder".into());
        let pool_size = given.pool_size.or(file.pool_size).unwrap_or(8);
        let max_body_bytes = given.max_body_bytes.or(file.max_body_bytes).unwrap_or(1 << 20);
        let waiting = Waiting::settle(given.waiting, file.waiting)?;
        let config = Config {
            database: StoreSettings {
                waiting,
                url: database.unwrap_or_else(|| format!("sqlite://{}", storage.join("giaidap.db").display())),
                pool_size,
                allow_plaintext: given
                    .database_allow_plaintext
                    .or(file.database_allow_plaintext)
                    .unwrap_or(false),
            },
            mail_transport: MailTransport::parse(&transport, &storage)?,
            attachments: Attachments::settle(given.attachments, file.attachments, &storage)?,
            storage,
            listen,
            public_url: public_url.trim_end_matches('/').to_owned(),
            mail_from: given
                .mail_from
                .or(file.mail_from)
                .unwrap_or_else(|| "giaidap@localhost".into()),
            owner: given.owner.or(file.owner),
            time_zone: zone
                .parse()
                .ok()
                .ok_or_else(|| invalid("time_zone", format!("unknown IANA zone `{zone}`")))?,
            agents_see_all_queues: given
                .agents_see_all_queues
                .or(file.agents_see_all_queues)
                .unwrap_or(false),
            max_body_bytes,
            log_format: given.log_format.or(file.log_format).unwrap_or(LogFormat::Text),
            log: given.log.or(file.log).unwrap_or_else(|| DEFAULT_LOG.into()),
            bulk: Bulk::settle(given.bulk, file.bulk)?,
            network: Network::settle(given.network, file.network)?,
            oidc: Oidc::settle(given.oidc, file.oidc)?,
            sign_in: SignIn::settle(given.sign_in, file.sign_in)?,
            retention: Retention::settle(given.retention, file.retention)?,
            limits: Limits::settle(given.limits, file.limits)?,
            telemetry: Telemetry::settle(given.telemetry, file.telemetry)?,
            waiting,
        };
        config.check()?;
        Ok(config)
    }

    /// Take over the address that the server really got (port 0 asks the system for one), for links too unless set.
    pub fn bound_to(&mut self, listen: SocketAddr) {
        if self.public_url == url_of(self.listen) {
            self.public_url = url_of(listen);
        }
        self.listen = listen;
    }

    fn check(&self) -> Result<(), ConfigError> {
        // Without the value: whatever was mistaken for an address may be a secret.
        let schemes = ["sqlite://", "postgres://", "postgresql://"];
        if !schemes.iter().any(|scheme| self.database.url.starts_with(scheme)) {
            return Err(invalid(
                "database",
                "must start with sqlite:// or postgres://".into(),
            ));
        }
        if !(1..=500).contains(&self.database.pool_size) {
            return Err(invalid("pool_size", "must be between 1 and 500".into()));
        }
        if !(1024..=64 << 20).contains(&self.max_body_bytes) {
            return Err(invalid(
                "max_body_bytes",
                "must be between 1024 and 67108864".into(),
            ));
        }
        if !self.public_url.starts_with("http://") && !self.public_url.starts_with("https://") {
            return Err(invalid(
                "public_url",
                "must start with http:// or https://".into(),
            ));
        }
        if self.mail_from.parse::<lettre::message::Mailbox>().is_err() {
            return Err(invalid(
                "mail_from",
                format!("`{}` is not a mail address", self.mail_from),
            ));
        }
        Ok(())
    }

    /// The settings in force as TOML, secrets masked.
    pub fn to_masked_toml(&self) -> String {
        let effective = Effective {
            database: mask_url(&self.database.url),
            storage: self.storage.display().to_string(),
            listen: self.listen,
            public_url: &self.public_url,
            mail_transport: self.mail_transport.masked(),
            mail_from: &self.mail_from,
            owner: self.owner.as_deref().unwrap_or(""),
            time_zone: self.time_zone.name(),
            pool_size: self.database.pool_size,
            database_allow_plaintext: self.database.allow_plaintext,
            agents_see_all_queues: self.agents_see_all_queues,
            max_body_bytes: self.max_body_bytes,
            log_format: self.log_format,
            log: &self.log,
            bulk: &self.bulk,
            network: &self.network,
            oidc: self.oidc.as_ref(),
            sign_in: &self.sign_in,
            attachments: &self.attachments,
            retention: &self.retention,
            limits: &self.limits,
            telemetry: &self.telemetry,
            waiting: &self.waiting,
        };
        toml::to_string(&effective).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Effective<'a> {
    database: String,
    storage: String,
    listen: SocketAddr,
    public_url: &'a str,
    mail_transport: String,
    mail_from: &'a str,
    /// Empty: the centre's own name in the language of the mail.
    owner: &'a str,
    time_zone: &'a str,
    pool_size: u32,
    database_allow_plaintext: bool,
    agents_see_all_queues: bool,
    max_body_bytes: usize,
    log_format: LogFormat,
    log: &'a str,
    bulk: &'a Bulk,
    network: &'a Network,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<&'a Oidc>,
    sign_in: &'a SignIn,
    attachments: &'a Attachments,
    retention: &'a Retention,
    limits: &'a Limits,
    telemetry: &'a Telemetry,
    waiting: &'a Waiting,
}

fn invalid(name: &'static str, reason: String) -> ConfigError {
    ConfigError::Value { name, reason }
}

fn read_file(path: &Path) -> Result<Overrides, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable(name.clone(), cause))?;
    toml::from_str(&text).map_err(|cause| ConfigError::NotToml(name, cause.to_string().trim().to_owned()))
}

#[allow(
    clippy::disallowed_methods,
    reason = "this module is the reader of the environment"
)]
fn database_url_of_environment() -> Option<String> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty())
}

/// The URL with the password between `:` and `@` replaced, also one with a `/` or `?` that should have been encoded.
pub fn mask_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "***".into();
    };
    let login_end = rest.rfind('@').unwrap_or(0);
    let behind_login = rest.get(login_end..).unwrap_or_default();
    let end = behind_login
        .find(['/', '?'])
        .map_or(rest.len(), |slash| login_end + slash);
    let (authority, tail) = rest.split_at(end);
    let masked = match authority.rsplit_once('@') {
        Some((login, host)) => match login.split_once(':') {
            Some((user, _)) => format!("{user}:***@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let tail = match tail.split_once("password=") {
        Some((before, _)) => format!("{before}password=***"),
        None => tail.to_owned(),
    };
    format!("{scheme}://{masked}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(given: Overrides, file: Overrides) -> Result<Config, ConfigError> {
        Config::from_layers(given, file, None)
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = Overrides {
            pool_size: Some(3),
            owner: Some("Tệp".into()),
            ..Overrides::default()
        };
        let given = Overrides {
            pool_size: Some(5),
            ..Overrides::default()
        };
        let merged = config(given, file).unwrap();
        assert_eq!(
            (merged.database.pool_size, merged.owner.as_deref()),
            (5, Some("Tệp"))
        );
        assert_eq!(merged.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(merged.database.url, "sqlite://giaidap-data/giaidap.db");
    }

    #[test]
    fn secrets_are_masked() {
        let given = Overrides {
            database: Some("postgres://gd:s3cret@127.0.0.1:5432/gd?sslmode=disable".into()),
            mail_transport: Some("smtps://bot:hush@mail.example.vn:465".into()),
            ..Overrides::default()
        };
        let printed = config(given, Overrides::default()).unwrap().to_masked_toml();
        assert!(
            !printed.contains("s3cret") && !printed.contains("hush"),
            "{printed}"
        );
        assert!(
            printed.contains("postgres://gd:***@127.0.0.1:5432/gd"),
            "{printed}"
        );
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (given, name) in [
            (
                Overrides {
                    time_zone: Some("Asia/Nowhere".into()),
                    ..Overrides::default()
                },
                "time_zone",
            ),
            (
                Overrides {
                    mail_transport: Some("pigeon://x".into()),
                    ..Overrides::default()
                },
                "mail_transport",
            ),
            (
                Overrides {
                    mail_transport: Some("smtp://u:p@h:25".into()),
                    ..Overrides::default()
                },
                "mail_transport",
            ),
            (
                Overrides {
                    pool_size: Some(0),
                    ..Overrides::default()
                },
                "pool_size",
            ),
            (
                Overrides {
                    public_url: Some("ftp://x".into()),
                    ..Overrides::default()
                },
                "public_url",
            ),
            (
                Overrides {
                    mail_from: Some("nobody".into()),
                    ..Overrides::default()
                },
                "mail_from",
            ),
            (
                Overrides {
                    waiting: WaitingOverrides {
                        lock_wait_ms: Some(0),
                        ..WaitingOverrides::default()
                    },
                    ..Overrides::default()
                },
                "lock_wait_ms",
            ),
        ] {
            let error = config(given, Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused() {
        assert!(toml::from_str::<Overrides>("listn = \"127.0.0.1:1\"").is_err());
    }
}
