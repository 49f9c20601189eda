//! `giaidap key`.
use chrono::{Duration, SecondsFormat};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ipnet::IpNet;

use super::credential::{self, Revoke, Span};
use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity::clients::keys::{self, MAX_OVERLAP_HOURS, Rotation};
use crate::identity::{self, Scope, clients};
use crate::store::Db;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key for a program of an organisation; it is shown once, alone on the last line
    Create(Create),
    /// List keys by their public halves
    List(List),
    /// Make the key that takes another one's place, with the same scopes; the old one ends after the overlap
    Rotate(Rotate),
    /// End a key at once, and those that its program made with it
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
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scopes_of_keys())]
    scopes: Vec<Scope>,
    /// Where the program's keys may come from besides what it has, e.g. 10.1.0.0/16; may be repeated [default: anywhere]
    #[arg(long = "network", value_name = "CIDR", value_parser = network)]
    networks: Vec<IpNet>,
    /// The program also sees the tickets of the organisation's units
    #[arg(long)]
    include_units: bool,
    #[command(flatten)]
    span: Span,
}

#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// The public half: what stands between the first and the second `_`
    #[arg(value_name = "PUBLIC")]
    public: String,
    /// How long the old key goes on
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=MAX_OVERLAP_HOURS))]
    overlap_hours: i64,
    /// Days until the new key ends by itself [default: as long as the old one was given for]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=3660))]
    expires_in_days: Option<i64>,
}

/// Keys have fewer than people's tokens.
fn scopes_of_keys() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::OF_CLIENTS.map(Scope::as_str)).try_map(|name| {
        let mut known = Scope::OF_CLIENTS.into_iter();
        known
            .find(|scope| scope.as_str() == name)
            .ok_or("no scope of keys")
    })
}

fn network(text: &str) -> Result<IpNet, String> {
    clients::parse_network(text).ok_or_else(|| "a network such as 10.1.0.0/16 or 2001:db8::/32".to_owned())
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

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create(args, config).await,
        Command::List(args) => list(args, config).await,
        Command::Rotate(args) => rotate(args, config).await,
        Command::Revoke(args) => credential::revoke(args, config).await,
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
    let (organisation, networks, include_units) = (args.organisation, args.networks, args.include_units);
    let work = move |conn: &mut Db| {
        let secret = identity::create_key(conn, &organisation, &name, &scopes, life)?;
        if include_units || !networks.is_empty() {
            clients::grant(conn, &organisation, &name, &networks, include_units, life.from)?;
        }
        Ok(secret)
    };
    let secret = desk.write(work).await?;
    out::line(secret.reveal());
    Ok(())
}

async fn rotate(args: Rotate, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let rotation = Rotation {
        overlap: Duration::hours(args.overlap_hours),
        expires_at: args.expires_in_days.map(|days| now + Duration::days(days)),
    };
    let rotated = desk
        .write(move |conn| keys::rotate_by_public_half(conn, &args.public, &rotation, now))
        .await?;
    if let Some(end) = rotated.replaced.expires_at {
        let end = end.0.to_rfc3339_opts(SecondsFormat::Secs, true);
        out::line(&format!("{} ends at {end}.", rotated.replaced.lookup));
    }
    out::line(rotated.secret.reveal());
    Ok(())
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let found = desk
        .read(move |conn| identity::list_keys(conn, args.organisation.as_deref()))
        .await?;
    credential::show(&found, desk.clock.now(), args.json)
}
