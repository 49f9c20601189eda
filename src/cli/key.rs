//! `giaidap key`.
use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity::{self, Scope};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key for a program of an organisation; it is shown once, alone on the last line
    Create(Create),
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Code of the organisation, e.g. H57
    #[arg(long, value_name = "CODE")]
    organisation: String,
    /// Name of the program; history shows it. A further key of the same name is the same program's, for changing over
    #[arg(long)]
    name: String,
    /// What the key may do; may be repeated [default: all]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let Command::Create(args) = command;
    let name = checked_name(&args.name)?;
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let scopes = if args.scopes.is_empty() {
        Scope::ALL.to_vec()
    } else {
        args.scopes
    };
    let organisation = args.organisation;
    let secret = desk
        .write(move |conn| identity::create_key(conn, &organisation, &name, &scopes, now))
        .await?;
    out::line(secret.reveal());
    Ok(())
}
