//! `giaidap calendar`: stored calendars with their versions, and what the clock makes of them.
mod files;

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::Serialize;

use super::{Desk, out};
use crate::calendars::versions::{self, VersionRecord};
use crate::calendars::{self, CalendarRecord};
use crate::config::Config;
use crate::error::{Error, FieldCode};
use crate::rules::Rules;
use crate::store::page::MAX_LIMIT;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List calendars by code
    List(List),
    /// Show a calendar as JSON
    Show(Show),
    /// List the versions of a calendar, newest first
    Versions(Versions),
    /// Write a calendar's exceptions as iCalendar or CSV
    Export(files::Export),
    /// Say what a file of holidays would change, or make that change (formats: docs/CALENDARS.md)
    Import(files::Import),
    /// When a target that starts at an instant is used up
    Due(Due),
    /// How many business seconds lie between two instants
    Elapsed(Elapsed),
}

#[derive(Debug, clap::Args)]
pub struct Show {
    #[arg(default_value = "vn-government")]
    calendar: String,
    /// Not the one in force but this version
    #[arg(long, value_name = "N")]
    version: Option<i64>,
    /// The same: the answer is JSON in any case
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Versions {
    #[arg(default_value = "vn-government")]
    calendar: String,
    /// Print one JSON array
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

#[derive(Serialize)]
struct CalendarLine {
    code: String,
    version: i64,
    name: String,
    is_default: bool,
    undecided_years: Vec<i32>,
    unconfirmed_dates: Vec<String>,
}

#[derive(Serialize)]
struct VersionLine {
    version: i64,
    author: String,
    reason: String,
    created_at: String,
    in_force: bool,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    match command {
        Command::List(args) => list(args, &desk).await,
        Command::Show(args) => show(args, &desk).await,
        Command::Versions(args) => list_versions(args, &desk).await,
        Command::Export(args) => files::export(args, &desk).await,
        Command::Import(args) => files::import(args, &desk).await,
        Command::Due(args) => due(args, &desk).await,
        Command::Elapsed(args) => elapsed(args, &desk).await,
    }
}

async fn list(args: List, desk: &Desk) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let lines = desk
        .read(move |conn| {
            let mut lines = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let page = calendars::list_calendars(conn, cursor.as_deref(), MAX_LIMIT)?;
                for record in page.items {
                    lines.push(line_of(record, now)?);
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    return Ok(lines);
                }
            }
        })
        .await?;
    if args.json {
        return out::json(&lines);
    }
    for line in &lines {
        let mark = if line.is_default { "  (default)" } else { "" };
        let years: Vec<String> = line.undecided_years.iter().map(ToString::to_string).collect();
        let undecided = match years.is_empty() {
            true => String::new(),
            false => format!("  (no confirmed holiday known in {})", years.join(", ")),
        };
        let unconfirmed = match line.unconfirmed_dates.is_empty() {
            true => String::new(),
            false => format!("  (not confirmed: {})", line.unconfirmed_dates.join(", ")),
        };
        out::line(&format!(
            "{:<24} {:>4} {}{mark}{undecided}{unconfirmed}",
            line.code, line.version, line.name
        ));
    }
    Ok(())
}

fn line_of(record: CalendarRecord, now: DateTime<Utc>) -> crate::error::Result<CalendarLine> {
    let certainties = record.certainties(now)?;
    Ok(CalendarLine {
        undecided_years: certainties.undecided_years,
        unconfirmed_dates: certainties.unconfirmed,
        code: record.code,
        version: record.version,
        name: record.name_vi,
        is_default: record.is_default,
    })
}

async fn show(args: Show, desk: &Desk) -> anyhow::Result<()> {
    let shown = desk
        .read(move |conn| {
            let Some(version) = args.version else {
                let record = calendars::get_calendar(conn, &args.calendar)?;
                return Ok((record.code, record.version, record.definition));
            };
            let view = versions::get_version(conn, &args.calendar, version)?;
            Ok((view.calendar.code, view.record.version, view.record.definition))
        })
        .await?;
    let (code, version, definition) = shown;
    out::json(&Shown {
        code,
        version,
        definition: definition.0,
    })
}

async fn list_versions(args: Versions, desk: &Desk) -> anyhow::Result<()> {
    let (found, in_force) = desk
        .read(move |conn| {
            let mut found: Vec<VersionRecord> = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let (page, in_force) =
                    versions::list_versions(conn, &args.calendar, cursor.as_deref(), MAX_LIMIT)?;
                found.extend(page.items);
                cursor = page.next_cursor;
                if cursor.is_none() {
                    return Ok((found, in_force));
                }
            }
        })
        .await?;
    let lines = found.into_iter().map(|record| VersionLine {
        version: record.version,
        in_force: record.version == in_force,
        author: record.author,
        reason: record.reason,
        created_at: record.created_at.0.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    let lines: Vec<VersionLine> = lines.collect();
    if args.json {
        return out::json(&lines);
    }
    for line in &lines {
        let mark = if line.in_force { "*" } else { " " };
        out::line(&format!(
            "{mark}{:>4}  {}  {}: {}",
            line.version, line.created_at, line.author, line.reason
        ));
    }
    Ok(())
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
