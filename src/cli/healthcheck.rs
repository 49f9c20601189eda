//! `giaidap healthcheck`.
use std::process::ExitCode;
use std::time::Duration;

use super::out;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to ask [default: http://LISTEN/healthz]
    #[arg(long)]
    url: Option<String>,
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let url = args
        .url
        .clone()
        .unwrap_or_else(|| format!("http://127.0.0.1:{}/healthz", config.listen.port()));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(3)))
        .build()
        .into();
    match agent.get(&url).call() {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(cause) => {
            out::note(&format!("giaidap: {url} is not healthy: {cause}"));
            Ok(ExitCode::FAILURE)
        }
    }
}
