//! `giaidap token`.
use super::credential::{self, Revoke, Span};
use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a personal token; it is shown once, alone on the last line
    Create(Create),
    /// List tokens by their public halves
    List(List),
    /// End a token at once, and those that were made with it
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub struct Create {
    /// Address of the user
    #[arg(long, value_name = "EMAIL")]
    user: String,
    /// What the token is for
    #[arg(long, default_value = "command line")]
    name: String,
    #[command(flatten)]
    span: Span,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of the user with this address
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create(args, config).await,
        Command::List(args) => list(args, config).await,
        Command::Revoke(args) => credential::revoke(args, config).await,
    }
}

async fn create(args: Create, config: &Config) -> anyhow::Result<()> {
    let name = checked_name(&args.name)?;
    let desk = Desk::open(config).await?;
    let life = args.span.from(desk.clock.now());
    let secret = desk
        .write(move |conn| identity::create_token(conn, &args.user, &name, life))
        .await?;
    out::line(secret.reveal());
    Ok(())
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let found = desk
        .read(move |conn| identity::list_tokens(conn, args.user.as_deref()))
        .await?;
    credential::show(&found, desk.clock.now(), args.json)
}
