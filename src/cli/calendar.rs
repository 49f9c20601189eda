//! `giaidap calendar`: what the clock makes of a stored calendar.
use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::Serialize;

use super::{Desk, out};
use crate::calendars;
use crate::config::Config;
use crate::error::{Error, FieldCode};
use crate::rules::Rules;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show a calendar in force as JSON
    Show(Show),
    /// When a target that starts at an instant is used up
    Due(Due),
    /// How many business seconds lie between two instants
    Elapsed(Elapsed),
}

#[derive(Debug, clap::Args)]
pub struct Show {
    #[arg(default_value = "vn-government")]
    calendar: String,
    /// The same: the answer is JSON in any case
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Due {
    #[arg(long, default_value = "vn-government")]
    calendar: String,
    /// Start, RFC 3339 with offset, e.g. 2019-11-22T16:30:00+07:00
    #[arg(long)]
    from: DateTime<FixedOffset>,
    /// Size of the target in business seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=315_619_200))]
    business_seconds: i64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Elapsed {
    #[arg(long, default_value = "vn-government")]
    calendar: String,
    /// Start, RFC 3339 with offset
    #[arg(long)]
    from: DateTime<FixedOffset>,
    /// End, RFC 3339 with offset
    #[arg(long)]
    to: DateTime<FixedOffset>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct DueAnswer {
    due_at: String,
    calendar_version: i64,
}

#[derive(Serialize)]
struct ElapsedAnswer {
    business_seconds: i64,
    calendar_version: i64,
}

#[derive(Serialize)]
struct Shown {
    code: String,
    version: i64,
    #[serde(flatten)]
    definition: serde_json::Value,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    match command {
        Command::Show(args) => show(args, &desk).await,
        Command::Due(args) => due(args, &desk).await,
        Command::Elapsed(args) => elapsed(args, &desk).await,
    }
}

async fn show(args: Show, desk: &Desk) -> anyhow::Result<()> {
    let record = desk
        .read(move |conn| calendars::get_calendar(conn, &args.calendar))
        .await?;
    out::json(&Shown {
        code: record.code,
        version: record.version,
        definition: record.definition.0,
    })
}

async fn due(args: Due, desk: &Desk) -> anyhow::Result<()> {
    let from = args.from.with_timezone(&Utc);
    let (due_at, calendar_version) = desk
        .read(move |conn| {
            let record = calendars::get_calendar(conn, &args.calendar)?;
            let timeline = Rules::default().timeline(conn, record.version_id)?;
            let too_far = || FieldCode::OutOfRange {
                expected: "a due within ten years of the start".into(),
            };
            let due = timeline.due(from, args.business_seconds).ok();
            let due = due.ok_or_else(|| Error::invalid_parameter("business-seconds", too_far()))?;
            Ok((due, record.version))
        })
        .await?;
    let local = due_at
        .with_timezone(args.from.offset())
        .to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if args.json {
        return out::json(&DueAnswer {
            due_at: local,
            calendar_version,
        });
    }
    out::line(&local);
    Ok(())
}

async fn elapsed(args: Elapsed, desk: &Desk) -> anyhow::Result<()> {
    let (from, to) = (args.from.with_timezone(&Utc), args.to.with_timezone(&Utc));
    let (business_seconds, calendar_version) = desk
        .read(move |conn| {
            let record = calendars::get_calendar(conn, &args.calendar)?;
            let timeline = Rules::default().timeline(conn, record.version_id)?;
            Ok((timeline.elapsed(from, to), record.version))
        })
        .await?;
    if args.json {
        return out::json(&ElapsedAnswer {
            business_seconds,
            calendar_version,
        });
    }
    out::line(&business_seconds.to_string());
    Ok(())
}
