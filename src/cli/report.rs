//! `giaidap report`.
use chrono::NaiveDate;

use super::{Desk, out, read_date};
use crate::calendars;
use crate::config::Config;
use crate::language::Language;
use crate::reports::{self, GroupBy, SlaQuestion};
use crate::tx;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Compliance and business times of the questions filed in a period (definitions: docs/REPORTS.md)
    Sla(Sla),
}

#[derive(Debug, clap::Args)]
pub struct Sla {
    /// First day, YYYY-MM-DD in the default calendar's time zone
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    from: NaiveDate,
    /// Day after the last, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    to: NaiveDate,
    #[arg(long, value_parser = ["organisation", "queue", "topic", "month"], default_value = "queue")]
    group_by: String,
    /// As the tickets stood at this instant, RFC 3339 with offset [default: now]
    #[arg(long, value_name = "INSTANT")]
    as_of: Option<chrono::DateTime<chrono::FixedOffset>>,
    /// Language of the table
    #[arg(long, value_parser = ["vi", "en"], default_value = "vi")]
    language: String,
    /// Print JSON as the API gives it
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV as the API gives it
    #[arg(long)]
    csv: bool,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let Command::Sla(args) = command;
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let as_of = args.as_of.map(|at| at.with_timezone(&chrono::Utc));
    let group_by = GroupBy::parse(&args.group_by).unwrap_or(GroupBy::Queue);
    let rules = tx::Desk::new(&desk.config);
    let work = move |conn: &mut crate::store::Db| {
        let from = calendars::midnight(conn, &rules.rules, args.from)?;
        let to = calendars::midnight(conn, &rules.rules, args.to)?;
        let question = SlaQuestion::put_at(now, from, to, as_of, group_by)?;
        reports::sla_report(conn, &rules, &question)
    };
    let report = desk.store.read_snapshot(work).await.map_err(out::explain)?;
    if args.json {
        return out::json(&report);
    }
    let text = match args.csv {
        true => report.to_csv().map_err(out::explain)?,
        false => report.to_table(Language::parse(&args.language).unwrap_or_default()),
    };
    out::line(text.trim_end());
    Ok(())
}
