//! `giaidap organisation`.
use std::path::PathBuf;

use anyhow::Context;
use chrono::NaiveDate;
use serde::Serialize;

use super::{Desk, out, read_date};
use crate::broken_rule::HouseRule;
use crate::config::Config;
use crate::directory::{self, ImportError, Organisation, OrganisationFilter};
use crate::error::{Error, FieldCode};
use crate::store::Db;
use crate::tx;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List organisations by code
    List(List),
    /// Add or replace organisations from a CSV file (columns as in data/organisations.csv); all or nothing
    Import(Import),
}

#[derive(Debug, clap::Args)]
pub struct List {
    /// Only those in force on this day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = read_date)]
    active_on: Option<NaiveDate>,
    /// ministry, agency, province or other
    #[arg(long, value_parser = directory::KINDS)]
    kind: Option<String>,
    /// Part of a name, with or without accents
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Import {
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    code: &'a str,
    kind: &'a str,
    name: &'a str,
    valid_from: Option<NaiveDate>,
    valid_to: Option<NaiveDate>,
}

#[derive(Serialize)]
struct Imported {
    imported: usize,
}

pub async fn run(command: Command, config: &Config) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list(args, config).await,
        Command::Import(args) => import(args, config).await,
    }
}

async fn list(args: List, config: &Config) -> anyhow::Result<()> {
    let desk = Desk::open(config).await?;
    let filter = OrganisationFilter {
        active_on: args.active_on,
        kind: args.kind,
        parent_id: None,
        q: args.q,
    };
    let found = desk.read(move |conn| directory::list_all(conn, &filter)).await?;
    if args.json {
        let lines: Vec<Line<'_>> = found.iter().map(line_of).collect();
        return out::json(&lines);
    }
    for organisation in &found {
        let until = organisation
            .valid_to
            .map(|date| format!("  (to {date})"))
            .unwrap_or_default();
        out::line(&format!(
            "{:<10} {:<9} {}{until}",
            organisation.code, organisation.kind, organisation.name_vi
        ));
    }
    Ok(())
}

fn line_of(organisation: &Organisation) -> Line<'_> {
    Line {
        code: &organisation.code,
        kind: &organisation.kind,
        name: &organisation.name_vi,
        valid_from: organisation.valid_from,
        valid_to: organisation.valid_to,
    }
}

async fn import(args: Import, config: &Config) -> anyhow::Result<()> {
    let bytes =
        std::fs::read(&args.file).with_context(|| format!("`{}` cannot be read", args.file.display()))?;
    let desk = Desk::open(config).await?;
    let now = desk.clock.now();
    let rules = tx::Desk::new(&desk.config);
    let work = move |conn: &mut Db| match directory::import_organisations(conn, &rules, &bytes, now) {
        Err(ImportError::Store(error)) => Err(error),
        // An error fails the transaction, so that nothing of the file stays.
        Err(refused) => {
            let text = refused.to_string();
            Err(Error::invalid_parameter(
                "file",
                FieldCode::Domain {
                    code: HouseRule::BadLine.into(),
                    text,
                },
            ))
        }
        Ok(plan) => Ok(plan.lines()),
    };
    let imported = desk.write(work).await?;
    if args.json {
        return out::json(&Imported { imported });
    }
    out::line(&format!("{imported} organisations imported."));
    Ok(())
}
