//! The command line: one file per command, all on the same settings. Every command works while a server runs on the
//! same database. A failure is one line on standard error and a non-zero exit; a new secret stands alone on the last
//! line of standard output.
mod calendar;
mod credential;
mod demo;
mod healthcheck;
mod key;
mod migrate;
mod organisation;
mod out;
mod report;
mod retention;
mod serve;
mod sla;
mod token;
mod user;

use std::io::IsTerminal;
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Config, LogFormat, Overrides};
use crate::error::Result;
use crate::store::{Db, Store};
use crate::{config, seed};

/// The helpdesk backend of Việt Nam's e-government answer centre
#[derive(Debug, Parser)]
#[command(name = "giaidap", version, about, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    settings: Overrides,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API with its workers (the default)
    Serve(serve::Args),
    /// Bring the database's schema and reference data up to date
    Migrate(migrate::Args),
    Demo(demo::Args),
    /// People of the centre
    #[command(subcommand)]
    User(user::Command),
    /// Personal tokens of the centre's people
    #[command(subcommand)]
    Token(token::Command),
    /// Organisations that ask
    #[command(subcommand)]
    Organisation(organisation::Command),
    /// Keys of organisations' programs
    #[command(subcommand)]
    Key(key::Command),
    /// Working calendars
    #[command(subcommand)]
    Calendar(calendar::Command),
    /// Reports
    #[command(subcommand)]
    Report(report::Command),
    /// How long what people wrote is kept
    #[command(subcommand)]
    Retention(retention::Command),
    /// The clocks of tickets
    #[command(subcommand)]
    Sla(sla::Command),
    /// Ask a running server whether it is healthy (for container health checks)
    Healthcheck(healthcheck::Args),
}

/// Parse, run, and turn a failure into one line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            out::fail(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = Config::load(&cli.settings)?;
    let command = cli.command.unwrap_or(Command::Serve(serve::Args::default()));
    if let Command::Healthcheck(args) = command {
        return healthcheck::run(&args, &config);
    }
    let is_server = matches!(command, Command::Serve(_));
    log_to_stderr(&config, is_server)?;
    actix_web::rt::System::new().block_on(async move {
        match command {
            Command::Serve(args) => leave(serve::run(args, config).await),
            Command::Migrate(args) => migrate::run(&args, config).await?,
            Command::Demo(args) => leave(demo::run(args, config).await),
            Command::User(command) => user::run(command, &config).await?,
            Command::Token(command) => token::run(command, &config).await?,
            Command::Organisation(command) => organisation::run(command, &config).await?,
            Command::Key(command) => key::run(command, &config).await?,
            Command::Calendar(command) => calendar::run(command, &config).await?,
            Command::Report(command) => report::run(command, &config).await?,
            Command::Retention(command) => retention::run(command, &config).await?,
            Command::Sla(command) => sla::run(command, &config).await?,
            Command::Healthcheck(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// End the process of a server. Its runtime would wait for mail sessions that a slow server draws out, for minutes; their
/// leases run out by themselves.
fn leave(outcome: anyhow::Result<()>) -> ! {
    // Web threads may still be ending, each dropping its handle to the system last of all, among its thread locals. The
    // last handle of all would wake the system's task, for which tokio needs a thread local that is gone by then: the
    // process would abort. This handle is never dropped, so none of theirs is the last.
    std::mem::forget(actix_web::rt::System::current());
    match outcome {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            out::fail(&error);
            std::process::exit(1)
        }
    }
}

/// Logs go to standard error, so that standard output is only what was asked for. Commands other than the server
/// (the demo too, which shows its own progress) speak up only when something is wrong, unless a filter is set.
fn log_to_stderr(config: &Config, is_server: bool) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = if is_server || config.log != config::DEFAULT_LOG {
        config.log.as_str()
    } else {
        "warn"
    };
    let filter =
        EnvFilter::try_new(filter).map_err(|cause| anyhow::anyhow!("setting `log` is not valid: {cause}"))?;
    // Of each connection that sends no HTTP or goes away it writes an error: strangers could fill a disk with them.
    let filter = match config.log.contains("actix_http") {
        true => filter,
        false => filter.add_directive("actix_http::h1::dispatcher=off".parse()?),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
    Ok(())
}

/// A name of one line, as the API would take it.
fn checked_name(given: &str) -> anyhow::Result<String> {
    let name = crate::text::nfc(given.trim());
    let is_fitting = name.chars().count() <= 200
        && !crate::text::shows_nothing(&name)
        && !name.chars().any(crate::text::breaks_a_line);
    anyhow::ensure!(
        is_fitting,
        "--name must have 1 to 200 characters and no control characters"
    );
    Ok(name)
}

/// As the API reads one: chrono's own parser would take `2025-7-1`.
fn read_date(text: &str) -> std::result::Result<NaiveDate, &'static str> {
    crate::sla::calendar::read_date(text).ok_or("a date is YYYY-MM-DD")
}

/// The database of a command that is not the server, schema and reference data up to date.
struct Desk {
    config: Config,
    store: Store,
    clock: Clock,
}

impl Desk {
    async fn open(config: &Config) -> anyhow::Result<Desk> {
        let store = Store::open(&config.database)?;
        let clock = Clock::system();
        let now = clock.now();
        let (_, seeded) = store.migrate(move |conn| seed::load(conn, now)).await?;
        if seeded.fresh {
            out::note("A new database was made and the reference data loaded.");
            if let Some(token) = seeded.admin_token {
                out::note(&format!("Administrator's token (shown once): {}", token.reveal()));
            }
        }
        Ok(Desk {
            config: config.clone(),
            store,
            clock,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.store.read(work).await.map_err(out::explain)
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        self.store.write(work).await.map_err(out::explain)
    }
}
