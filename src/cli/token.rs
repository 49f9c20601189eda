//! `giaidap token`.
use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a personal token; it is shown once, alone on the last line
    Create(Create),
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Address of the user
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// What the token is for
    #[arg(long, default_value = "command line")]
    name: String,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let Command::Create(args) = command;
    let name = checked_name(&args.name)?;
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let secret = desk
        .write(move |conn| identity::create_token(conn, &args.user, &name, now))
        .await?;
    out::line(secret.reveal());
    Ok(())
}
