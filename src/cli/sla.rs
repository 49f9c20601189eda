//! `giaidap sla`.
use super::{Desk, out};
use crate::config::Config;
use crate::identity::Principal;
use crate::language::Language;
use crate::sla::TargetKind;
use crate::tickets::sla::explanation::{self, Which};
use crate::tx;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Why the clocks of a ticket stand where they stand, second by second (docs/SLA.md)
    Explain(Explain),
}

#[derive(Debug, clap::Args)]
pub struct Explain {
    /// Number of the ticket, or its UUID
    number: String,
    /// Only the clocks of this target
    #[arg(long, value_parser = ["first_response", "next_response", "resolution"])]
    target: Option<String>,
    /// Only this cycle
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    cycle: Option<i32>,
    /// Language of the text
    #[arg(long, value_parser = ["vi", "en"], default_value = "vi")]
    language: String,
    /// Print JSON as the API gives it
    #[arg(long)]
    json: bool,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let Command::Explain(args) = command;
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let rules = tx::Desk::new(&desk.config);
    let which = Which {
        target: args.target.as_deref().and_then(TargetKind::parse),
        cycle: args.cycle,
    };
    let number = args.number;
    let work = move |conn: &mut crate::store::Db| {
        explanation::explain(conn, &rules, &Principal::System, &number, which, now)
    };
    let explanation = desk.store.read_snapshot(work).await.map_err(out::explain)?;
    if args.json {
        return out::json(&explanation);
    }
    let language = Language::parse(&args.language).unwrap_or_default();
    out::line(explanation.to_text(language).trim_end());
    Ok(())
}
