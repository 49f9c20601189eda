//! `giaidap calendar`: stored calendars with their versions, files of them, and what the clock makes of them.
use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde::Serialize;

use super::{Desk, out};
use crate::calendars::apply::{Application, apply_change};
use crate::calendars::import::{self, DayEffect, Effect, Format, ImportPlan, Years};
use crate::calendars::versions::{self, VersionRecord};
use crate::calendars::{self, CalendarRecord};
use crate::config::Config;
use crate::error::{Conflict, Error, FieldCode};
use crate::identity::Principal;
use crate::language::Language;
use crate::rules::Rules;
use crate::store::Db;
use crate::store::page::MAX_LIMIT;
use crate::text::{breaks_a_line, nfc};
use crate::tx::{self, Tx};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List calendars by code
    List(List),
    /// Show a calendar as JSON
    Show(Show),
    /// List the versions of a calendar, newest first
    Versions(Versions),
    /// Write a calendar's exceptions as iCalendar or CSV
    Export(Export),
    /// Say what a file of holidays would change, or make that change (formats: docs/CALENDARS.md)
    Import(Import),
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
pub struct Export {
    #[arg(default_value = "vn-government")]
    calendar: String,
    #[arg(long, value_parser = ["ics", "csv"], default_value = "ics")]
    format: String,
    /// Language of the summaries in iCalendar
    #[arg(long, value_parser = ["vi", "en"], default_value = "vi")]
    language: String,
}

#[derive(Debug, clap::Args)]
pub struct Import {
    /// `.ics` or `.csv`
    file: PathBuf,
    #[arg(long, default_value = "vn-government")]
    calendar: String,
    /// First year for which yearly events are written out [default: this year]
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i32).range(1900..=2199))]
    from: Option<i32>,
    /// Last year [default: the year after `from`]
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(i32).range(1900..=2199))]
    to: Option<i32>,
    /// Exceptions of these years that the file does not name go
    #[arg(long)]
    replace: bool,
    /// Make the change; else it is only shown
    #[arg(long, requires = "reason")]
    apply: bool,
    /// The decision that the change rests on, kept with the new version
    #[arg(long, value_name = "TEXT", requires = "apply")]
    reason: Option<String>,
    /// Print the result as JSON
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
}

#[derive(Serialize)]
struct VersionLine {
    version: i64,
    author: String,
    reason: String,
    created_at: String,
    in_force: bool,
}

#[derive(Serialize)]
struct Imported {
    base_version: i64,
    /// The version that was made.
    version: Option<i64>,
    #[serde(flatten)]
    plan: ImportPlan,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    match command {
        Command::List(args) => list(args, &desk).await,
        Command::Show(args) => show(args, &desk).await,
        Command::Versions(args) => list_versions(args, &desk).await,
        Command::Export(args) => export(args, &desk).await,
        Command::Import(args) => import(args, &desk).await,
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
            false => format!("  (no day off known in {})", years.join(", ")),
        };
        out::line(&format!(
            "{:<24} {:>4} {}{mark}{undecided}",
            line.code, line.version, line.name
        ));
    }
    Ok(())
}

fn line_of(record: CalendarRecord, now: DateTime<Utc>) -> crate::error::Result<CalendarLine> {
    Ok(CalendarLine {
        undecided_years: record.undecided_years(now)?,
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

async fn export(args: Export, desk: &Desk) -> anyhow::Result<()> {
    let language = Language::parse(&args.language).unwrap_or_default();
    let file = desk
        .read(move |conn| {
            let record = calendars::get_calendar(conn, &args.calendar)?;
            match args.format.as_str() {
                "csv" => calendars::csv::write(&versions::definition_of(&record)?),
                _ => versions::export_ical(conn, &record, language),
            }
        })
        .await?;
    // The last line break comes with the printing; iCalendar readers take either.
    out::line(file.trim_end());
    Ok(())
}

async fn import(args: Import, desk: &Desk) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(&args.file).with_context(|| format!("`{}` cannot be read", args.file.display()))?;
    let extension = args
        .file
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    let format = match extension.as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("ics") => Format::ICalendar,
        Some("csv") => Format::Csv,
        _ => anyhow::bail!("`{}` ends neither in .ics nor in .csv", args.file.display()),
    };
    let reason_is_fitting = |reason: &String| {
        (1..=500).contains(&reason.trim().chars().count()) && !reason.chars().any(breaks_a_line)
    };
    anyhow::ensure!(
        args.reason.as_ref().is_none_or(reason_is_fitting),
        "--reason must have 1 to 500 characters and no control characters"
    );
    let rules = tx::Desk::new(&desk.config);
    let now = desk.clock.now();
    let first = args.from.or(args.to).unwrap_or_else(|| rules.year_of(now));
    let years = first..=args.to.unwrap_or(first + 1);
    anyhow::ensure!(
        !years.is_empty() && years.end() - years.start() < import::MAX_YEARS,
        "--to must not be before --from, and at most {} years are written out",
        import::MAX_YEARS
    );
    let json = args.json;
    let work = move |conn: &mut Db| import_into(conn, &args, &bytes, format, &years, (&rules, now));
    let imported = desk.write(work).await?;
    if json {
        return out::json(&imported);
    }
    for day in &imported.plan.days {
        out::line(&day_line(day));
    }
    let plan = &imported.plan;
    out::line(&format!(
        "{} added, {} changed, {} removed, {} unchanged.",
        plan.added, plan.changed, plan.removed, plan.unchanged
    ));
    out::line(&match imported.version {
        Some(version) => format!("Version {version} is in force."),
        None => format!(
            "Nothing was changed; version {} is in force.",
            imported.base_version
        ),
    });
    Ok(())
}

fn import_into(
    conn: &mut Db,
    args: &Import,
    bytes: &[u8],
    format: Format,
    years: &Years,
    (desk, now): (&tx::Desk, DateTime<Utc>),
) -> crate::error::Result<Imported> {
    let record = calendars::get_calendar(conn, &args.calendar)?;
    let present = versions::definition_of(&record)?;
    let plan =
        import::plan_import(&present, bytes, format, years, args.replace).map_err(import::line_errors)?;
    let base_version = record.version;
    let Some(reason) = args
        .reason
        .as_deref()
        .filter(|_| args.apply)
        .map(|reason| nfc(reason.trim()))
    else {
        return Ok(Imported {
            base_version,
            version: None,
            plan,
        });
    };
    let asked = Application {
        change: plan.change.clone(),
        name: None,
        reason,
        expected: Some(vec![base_version]),
    };
    let principal = Principal::System;
    let mut tx = Tx {
        conn,
        principal: &principal,
        now,
        desk,
    };
    let version = match apply_change(&mut tx, &args.calendar, &asked) {
        Ok(changed) => Some(changed.version),
        // A file that says what is known already is no mistake.
        Err(Error::Conflict(Conflict::NothingChanged)) => None,
        Err(error) => return Err(error),
    };
    Ok(Imported {
        base_version,
        version,
        plan,
    })
}

fn day_line(day: &DayEffect) -> String {
    let sign = match day.effect {
        Effect::Added => '+',
        Effect::Changed => '~',
        Effect::Removed => '-',
    };
    let Some(exception) = &day.exception else {
        return format!("{sign} {}", day.date);
    };
    let name = exception.name.clone().unwrap_or_default();
    let name = name.vi.or(name.en).unwrap_or_default();
    let hours = import::written_hours(&exception.intervals);
    format!("{sign} {}  {hours}  {name}", day.date)
        .trim_end()
        .to_owned()
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
