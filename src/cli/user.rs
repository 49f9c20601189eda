//! `giaidap user`.
use serde::Serialize;

use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity::passwords::{Password, Whose};
use crate::identity::{self, NewUser, Role, oidc, sign_in};
use crate::language::Language;
use crate::store::Uid;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a person of the centre
    Create(Create),
    /// A person has left: end their tokens, mails and assignments to come
    Deactivate(Deactivate),
    /// Tie a person to their subject at the OpenID provider, where that verifies no addresses
    Link(Link),
    /// Set a person's password, read from standard input; their sessions end
    Password(SetPassword),
}

#[derive(Debug, clap::Args)]
pub struct Link {
    #[arg(long)]
    email: String,
    /// What the provider calls the person: the claim `sub` of its tokens
    #[arg(long)]
    subject: String,
}

#[derive(Debug, clap::Args)]
pub struct SetPassword {
    #[arg(long)]
    email: String,
}

#[derive(Debug, clap::Args)]
pub struct Deactivate {
    #[arg(long)]
    email: String,
}

#[derive(Debug, clap::Args)]
pub struct Create {
    #[arg(long)]
    email: String,
    #[arg(long)]
    name: String,
    #[arg(long)]
    role: Role,
    /// Code of a queue that the person works; may be repeated
    #[arg(long = "queue", value_name = "CODE")]
    queues: Vec<String>,
    /// Language of mails to the person
    #[arg(long, value_parser = ["vi", "en"], default_value = "vi")]
    language: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Created {
    id: Uid,
    email: String,
    role: Role,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::Create(args) => create(args, config).await,
        Command::Deactivate(args) => deactivate(args, config).await,
        Command::Link(args) => link(args, config).await,
        Command::Password(args) => set_password(args, config).await,
    }
}

/// On standard input, because a flag would stand in the list of processes and in the shell's history.
async fn set_password(args: SetPassword, config: &Config) -> anyhow::Result<()> {
    let mut given = String::new();
    std::io::stdin().read_line(&mut given)?;
    let password = Password::new(given.trim_end_matches(['\r', '\n']));
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let account = desk
        .read(move |conn| identity::accounts::get(conn, &args.email))
        .await?;
    let whose = Whose {
        email: &account.email,
        name: &account.name,
    };
    let hash = sign_in::accept(&config.sign_in, "password", &password, whose)
        .await
        .map_err(out::explain)?;
    desk.write(move |conn| sign_in::set_password(conn, account.id, &hash, None, now))
        .await?;
    out::line("The password is set.");
    Ok(())
}

async fn link(args: Link, config: &Config) -> anyhow::Result<()> {
    let Some(provider) = &config.oidc else {
        anyhow::bail!("no OpenID provider is configured (setting `oidc.issuer`)");
    };
    let issuer = provider.issuer.clone();
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    desk.write(move |conn| oidc::link_by_hand(conn, &args.email, &issuer, &args.subject, now))
        .await?;
    out::line("The person is linked.");
    Ok(())
}

async fn deactivate(args: Deactivate, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    desk.write(move |conn| identity::accounts::deactivate(conn, &args.email, now))
        .await?;
    out::line("The account is no longer active.");
    Ok(())
}

async fn create(args: Create, config: &Config) -> anyhow::Result<()> {
    let name = checked_name(&args.name)?;
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let new = NewUser {
        email: args.email,
        name,
        role: args.role,
        language: Language::parse(&args.language).unwrap_or_default(),
        queues: args.queues,
    };
    let user = desk
        .write(move |conn| identity::create_user(conn, &new, None, now))
        .await?;
    let created = Created {
        id: user.uid,
        email: user.email,
        role: user.role,
    };
    if args.json {
        return out::json(&created);
    }
    out::line(&format!(
        "{} {} ({})",
        created.role.as_str(),
        created.email,
        created.id
    ));
    Ok(())
}
