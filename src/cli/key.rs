//! `giaidap key`.
use super::credential::{self, Span};
use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity::{self, Scope};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key for a program of an organisation; it is shown once, alone on the last line
    Create(Create),
    /// List keys by their public halves
    List(List),
    /// End a key at once
    Revoke(Revoke),
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
    #[command(flatten)]
    span: Span,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of the organisation with this code
    #[arg(long, value_name = "CODE")]
    organisation: Option<String>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The public half: what stands between the first and the second `_`
    #[arg(value_name = "PUBLIC")]
    public: String,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create(args, config).await,
        Command::List(args) => list(args, config).await,
        Command::Revoke(args) => revoke(args, config).await,
    }
}

async fn create(args: Create, config: &Config) -> anyhow::Result<()> {
    let name = checked_name(&args.name)?;
    let desk = Desk::open(config).await?;
    let life = args.span.from(desk.clock.now());
    let scopes = if args.scopes.is_empty() {
        Scope::OF_CLIENTS.to_vec()
    } else {
        args.scopes
    };
    let organisation = args.organisation;
    let secret = desk
        .write(move |conn| identity::create_key(conn, &organisation, &name, &scopes, life))
        .await?;
    out::line(secret.reveal());
    Ok(())
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let found = desk
        .read(move |conn| identity::list_keys(conn, args.organisation.as_deref()))
        .await?;
    credential::show(&found, desk.clock.now(), args.json)
}

async fn revoke(args: Revoke, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    desk.write(move |conn| identity::revoke(conn, &args.public, now))
        .await?;
    out::line("It is revoked.");
    Ok(())
}
