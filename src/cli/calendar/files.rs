//! Files of a calendar's exceptions: written, read, and applied under the version that was read.
use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::calendars::apply::{Application, apply_change};
use crate::calendars::import::{self, DayEffect, Effect, Format, ImportPlan, Years};
use crate::calendars::{self, versions};
use crate::cli::{Desk, out};
use crate::error::{Conflict, Error};
use crate::identity::Principal;
use crate::language::Language;
use crate::store::Db;
use crate::text::{breaks_a_line, nfc};
use crate::tx::{self, Tx};

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

#[derive(Serialize)]
struct Imported {
    base_version: i64,
    /// The version that was made.
    version: Option<i64>,
    #[serde(flatten)]
    plan: ImportPlan,
}

pub(super) async fn export(args: Export, desk: &Desk) -> anyhow::Result<()> {
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

pub(super) async fn import(args: Import, desk: &Desk) -> anyhow::Result<()> {
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
