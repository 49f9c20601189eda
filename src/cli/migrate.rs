//! `giaidap migrate`.
use serde::Serialize;

use super::out;
use crate::clock::Clock;
use crate::config::Config;
use crate::seed;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Migrated {
    migrations: usize,
    reference_data_loaded: bool,
}

pub async fn run(args: &Args, config: Config) -> anyhow::Result<()> {
    let store = Store::open(&config.database)?;
    let now = Clock::system().now();
    let (migrations, seeded) = store.migrate(move |conn| seed::load(conn, now)).await?;
    if args.json {
        out::json(&Migrated {
            migrations,
            reference_data_loaded: seeded.fresh,
        })?;
    } else {
        out::line(&format!("{migrations} migrations run; the schema is up to date."));
    }
    if let Some(token) = seeded.admin_token {
        out::note("The reference data was loaded. Administrator's token, shown this once:");
        out::line(token.reveal());
    }
    Ok(())
}
