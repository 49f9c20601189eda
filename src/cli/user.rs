//! `giaidap user`.
use serde::Serialize;

use super::{Desk, checked_name, out};
use crate::config::Config;
use crate::identity::{self, NewUser, Role};
use crate::language::Language;
use crate::store::Uid;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a person of the centre
    Create(Create),
    /// A person has left: end their tokens, mails and assignments to come
    Deactivate(Deactivate),
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
    }
}

async fn deactivate(args: Deactivate, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    desk.write(move |conn| identity::deactivate_user(conn, &args.email, now))
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
        .write(move |conn| identity::create_user(conn, &new, now))
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
