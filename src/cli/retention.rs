//! `giaidap retention`.
use super::{Desk, out};
use crate::config::Config;
use crate::tickets::retention;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// How many tickets would lose their texts, persons and files now; changes nothing
    Preview(Preview),
}

#[derive(Debug, clap::Args)]
pub struct Preview {
    /// Days after the end of a ticket [default: the setting retention.ticket_days]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let Command::Preview(args) = command;
    let Some(days) = args.days.or(config.retention.ticket_days) else {
        out::line("Tickets are kept for ever: retention.ticket_days is not set.");
        return Ok(());
    };
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let found = desk.read(move |conn| retention::preview(conn, days, now)).await?;
    let oldest = match found.oldest_closed_at {
        Some(at) => format!(
            ", the oldest closed on {}",
            at.with_timezone(&config.time_zone).date_naive()
        ),
        None => String::new(),
    };
    out::line(&format!(
        "{} tickets ended more than {days} days ago{oldest}.",
        found.tickets
    ));
    Ok(())
}
