//! `giaidap serve`.
use actix_web::web::Data;

use super::out;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::http::server;

#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Check the settings, print those in force with secrets masked, and exit
    #[arg(long)]
    check: bool,
}

pub async fn run(args: Args, mut config: Config) -> anyhow::Result<()> {
    if args.check {
        out::line(config.to_masked_toml().trim_end());
        return Ok(());
    }
    let listener = server::bind(&config)?;
    config.bound_to(listener.local_addr()?);
    let shutdown = server::shutdown_on_signal()?;
    let opened = App::open(config, Clock::system()).await?;
    let app = Data::new(opened.app);
    tracing::info!(migrations = opened.migrations, "database ready");
    out::line(&format!(
        "giaidap serves http://{}  (docs: /docs/, contract: /openapi.yaml)",
        listener.local_addr()?
    ));
    if let Some(token) = opened.seeded.admin_token {
        out::line("First start: the reference data was loaded. Administrator's token, shown this once:");
        out::line(token.reveal());
    }
    server::serve(app, listener, shutdown).await
}
