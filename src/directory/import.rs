//! The directory from a CSV file: read whole, checked whole, shown as what it would change, and written in one
//! transaction or not at all. The seed, the command line and the API take this one way. Organisations that the file does
//! not name stay as they are; what a line leaves as it is is not written.
use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::change::broken_agreements;
use super::db::{self, Organisation, OrganisationRow};
use super::file::{self, COLUMNS, Line, LineProblem};
use super::{merged, succession};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::policies::db::lock_policies;
use crate::store::{Db, Ts};
use crate::text::fold;
use crate::tx::Desk;

/// What is wrong with a file.
#[derive(Debug)]
pub enum ImportError {
    Lines(Vec<LineProblem>),
    Store(Error),
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportError::Store(error) => error.fmt(f),
            ImportError::Lines(problems) => {
                let lines = problems
                    .iter()
                    .map(|problem| format!("line {}: {}", problem.line, problem.in_words()));
                f.write_str(&lines.collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

impl std::error::Error for ImportError {}

impl From<Error> for ImportError {
    fn from(error: Error) -> Self {
        ImportError::Store(error)
    }
}

impl From<ImportError> for Error {
    /// `/lines/7/valid_from` is that cell of the seventh line of the file.
    fn from(refused: ImportError) -> Self {
        let problems = match refused {
            ImportError::Store(error) => return error,
            ImportError::Lines(problems) => problems,
        };
        let errors = problems.into_iter().map(|problem| {
            let column = problem.column.map(|column| format!("/{column}"));
            let pointer = format!("/lines/{}{}", problem.line, column.unwrap_or_default());
            let code = problem.code;
            let code = match problem.with {
                Some(with) => {
                    let text = format!("Line {}: {}", problem.line, problem.message);
                    FieldCode::Clash { code, text, with }
                }
                None => {
                    let text = format!("Line {}: {}.", problem.line, problem.message);
                    FieldCode::Domain { code, text }
                }
            };
            FieldError::pointer(pointer, code)
        });
        Error::Invalid(errors.collect())
    }
}

/// What a file would do to the directory.
#[derive(Debug, Clone, Serialize)]
pub struct ImportPlan {
    pub added: Vec<Added>,
    pub changed: Vec<Changed>,
    /// Lines that say what is there already.
    pub unchanged: usize,
    #[serde(skip)]
    wanted: Vec<Entry>,
}

impl ImportPlan {
    /// How many organisations the file names.
    pub fn lines(&self) -> usize {
        self.added.len() + self.changed.len() + self.unchanged
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Added {
    pub line: u64,
    pub code: String,
    pub name: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Changed {
    pub line: u64,
    pub code: String,
    pub fields: Vec<CellChange>,
}

/// A cell as it was and as it would be, in the words of the file.
#[derive(Debug, Clone, Serialize)]
pub struct CellChange {
    pub column: &'static str,
    pub old: String,
    pub new: String,
}

/// An organisation with its links as codes.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub line: u64,
    is_new: bool,
    pub row: OrganisationRow,
    pub successor: Option<String>,
    pub parent: Option<String>,
}

impl Entry {
    fn record(&self) -> [String; 13] {
        let row = &self.row;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let date = |date: Option<NaiveDate>| date.map(|date| date.to_string()).unwrap_or_default();
        [
            row.code.clone(),
            row.kind.clone(),
            row.name_vi.clone(),
            row.name_en.clone(),
            row.short_name.clone(),
            text(&row.gso_code),
            text(&row.egov_code),
            date(row.valid_from),
            date(row.valid_to),
            text(&self.successor),
            text(&self.parent),
            if row.pilot { "1" } else { "0" }.to_owned(),
            row.source.clone(),
        ]
    }
}

/// The whole directory as it is, by code.
pub(super) struct Present {
    pub entries: Vec<Entry>,
    positions: HashMap<String, usize>,
}

impl Present {
    fn load(conn: &mut Db) -> Result<Present> {
        let all = super::list_all(conn, &super::OrganisationFilter::default())?;
        let codes: HashMap<i64, String> = all.iter().map(|found| (found.id, found.code.clone())).collect();
        let link = |id: Option<i64>| id.and_then(|id| codes.get(&id).cloned());
        let entries: Vec<Entry> = all
            .iter()
            .map(|found| Entry {
                line: 0,
                is_new: false,
                successor: link(found.successor_id),
                parent: link(found.parent_id),
                row: row_of(found),
            })
            .collect();
        let positions = entries.iter().enumerate();
        let positions = positions
            .map(|(position, entry)| (entry.row.code.clone(), position))
            .collect();
        Ok(Present { entries, positions })
    }

    pub fn get(&self, code: &str) -> Option<&Entry> {
        self.entries.get(*self.positions.get(code)?)
    }
}

pub(super) fn row_of(found: &Organisation) -> OrganisationRow {
    OrganisationRow {
        code: found.code.clone(),
        kind: found.kind.clone(),
        name_vi: found.name_vi.clone(),
        name_en: found.name_en.clone(),
        short_name: found.short_name.clone(),
        gso_code: found.gso_code.clone(),
        egov_code: found.egov_code.clone(),
        valid_from: found.valid_from,
        valid_to: found.valid_to,
        pilot: found.pilot,
        source: found.source.clone(),
        search_text: String::new(),
        updated_at: Ts::from(DateTime::<Utc>::UNIX_EPOCH),
    }
}

/// What search goes by.
pub(super) fn search_text(row: &OrganisationRow) -> String {
    fold(&format!(
        "{} {} {} {}",
        row.code, row.name_vi, row.name_en, row.short_name
    ))
}

/// What this file would change, or all that is wrong with it.
pub fn plan(
    conn: &mut Db,
    desk: &Desk,
    bytes: &[u8],
    now: DateTime<Utc>,
) -> std::result::Result<ImportPlan, ImportError> {
    let plan = plan_without_agreements(conn, bytes)?;
    check_agreements(conn, desk, &plan, now)?;
    Ok(plan)
}

/// The same where nobody has an agreement yet.
fn plan_without_agreements(conn: &mut Db, bytes: &[u8]) -> std::result::Result<ImportPlan, ImportError> {
    let lines = file::read(bytes).map_err(ImportError::Lines)?;
    let present = Present::load(conn)?;
    let named: HashSet<String> = lines.iter().map(|line| line.code.clone()).collect();
    let wanted: Vec<Entry> = lines
        .into_iter()
        .map(|line| wanted(line, &present, &named))
        .collect();
    merged::check(&wanted, &present)?;
    let mut plan = ImportPlan {
        added: Vec::new(),
        changed: Vec::new(),
        unchanged: 0,
        wanted: Vec::new(),
    };
    for entry in wanted {
        let (line, code) = (entry.line, entry.row.code.clone());
        let Some(known) = present.get(&code) else {
            let name = entry.row.name_vi.clone();
            plan.added.push(Added { line, code, name });
            plan.wanted.push(entry);
            continue;
        };
        let fields = differences(known, &entry);
        if fields.is_empty() {
            plan.unchanged += 1;
        } else {
            plan.changed.push(Changed { line, code, fields });
            plan.wanted.push(entry);
        }
    }
    Ok(plan)
}

/// As `change` does for one: other policies must not break what was agreed.
fn check_agreements(
    conn: &mut Db,
    desk: &Desk,
    plan: &ImportPlan,
    now: DateTime<Utc>,
) -> std::result::Result<(), ImportError> {
    let mut problems = Vec::new();
    for entry in plan.wanted.iter().filter(|entry| !entry.is_new) {
        let (kind, pilot) = (entry.row.kind.clone(), entry.row.pilot);
        let Some(present) = db::find_organisation_by_code(conn, &entry.row.code)? else {
            continue;
        };
        if (&kind, pilot) == (&present.kind, present.pilot) {
            continue;
        }
        let column = if kind == present.kind { "pilot" } else { "kind" };
        let changed = Organisation {
            kind,
            pilot,
            ..present
        };
        for code in broken_agreements(conn, desk, &changed, now)? {
            problems.extend(LineProblem::of_field(entry.line, column, code));
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ImportError::Lines(problems)),
    }
}

fn differences(known: &Entry, wanted: &Entry) -> Vec<CellChange> {
    let cells = COLUMNS.into_iter().zip(known.record()).zip(wanted.record());
    cells
        .filter(|((_, old), new)| old != new)
        .map(|((column, old), new)| CellChange { column, old, new })
        .collect()
}

/// The organisation as the line wants it: what its file has no column for is as it is, of a new one as its code says,
/// which may be that of another line.
fn wanted(line: Line, present: &Present, named: &HashSet<String>) -> Entry {
    let known = present.get(&line.code);
    let row = known.map(|known| &known.row);
    let is_there = |code: &&str| present.get(code).is_some() || named.contains(*code);
    let by_code = || super::parent_code(&line.code).filter(is_there);
    let parent = match (line.parent_code, known) {
        (Some(given), _) => given,
        (None, Some(known)) => known.parent.clone(),
        (None, None) => by_code().map(str::to_owned),
    };
    let name_vi = line.name_vi;
    let name = |given: Option<String>, known: Option<&String>| {
        given
            .or_else(|| known.cloned())
            .unwrap_or_else(|| name_vi.clone())
    };
    Entry {
        line: line.line,
        is_new: known.is_none(),
        successor: line
            .successor_code
            .unwrap_or_else(|| known.and_then(|known| known.successor.clone())),
        parent,
        row: OrganisationRow {
            kind: line.kind,
            name_en: name(line.name_en, row.map(|row| &row.name_en)),
            short_name: name(line.short_name, row.map(|row| &row.short_name)),
            gso_code: line
                .gso_code
                .unwrap_or_else(|| row.and_then(|row| row.gso_code.clone())),
            egov_code: line
                .egov_code
                .unwrap_or_else(|| row.and_then(|row| row.egov_code.clone())),
            valid_from: line
                .valid_from
                .unwrap_or_else(|| row.and_then(|row| row.valid_from)),
            valid_to: line.valid_to.unwrap_or_else(|| row.and_then(|row| row.valid_to)),
            pilot: line.pilot.unwrap_or_else(|| row.is_some_and(|row| row.pilot)),
            source: line
                .source
                .or_else(|| row.map(|row| row.source.clone()))
                .unwrap_or_default(),
            search_text: String::new(),
            updated_at: Ts::from(DateTime::<Utc>::UNIX_EPOCH),
            code: line.code,
            name_vi,
        },
    }
}

/// An organisation as it was, with its successor from now on.
type Succession = (Organisation, Option<Organisation>);

/// Write what a plan says, made in the same transaction under the directory's lock. Gives the successions that it changed.
fn apply(conn: &mut Db, plan: &ImportPlan, now: DateTime<Utc>) -> Result<Vec<Succession>> {
    for entry in &plan.wanted {
        let row = OrganisationRow {
            search_text: search_text(&entry.row),
            updated_at: Ts::from(now),
            ..entry.row.clone()
        };
        match entry.is_new {
            true => {
                db::insert_organisation(conn, &row)?;
            }
            false => db::update_organisation(conn, &row)?,
        }
    }
    let mut changed = Vec::new();
    // Only now are all there that are named.
    for entry in &plan.wanted {
        let present = super::get_organisation(conn, &entry.row.code)?;
        let successor = found(conn, entry.successor.as_deref())?;
        let parent_id = found(conn, entry.parent.as_deref())?.map(|parent| parent.id);
        let successor_id = successor.as_ref().map(|successor| successor.id);
        db::set_links(conn, &entry.row.code, successor_id, parent_id)?;
        if present.successor_id != successor_id {
            changed.push((present, successor));
        }
    }
    Ok(changed)
}

/// What the routes for one organisation log: whose programs see what from now on.
fn log_succession((present, successor): &Succession) {
    if present.successor_id.is_some() {
        succession::log_taken_back(present.uid);
    }
    if let Some(successor) = successor {
        succession::log_succession(present.uid, successor.uid);
    }
}

fn found(conn: &mut Db, code: Option<&str>) -> Result<Option<Organisation>> {
    let found = code.map(|code| db::find_organisation_by_code(conn, code));
    Ok(found.transpose()?.flatten())
}

/// Locks of what `apply` writes. Whoever saves a calendar or a policy meanwhile must see what kind of organisation an
/// agreement is with.
pub fn lock(conn: &mut Db) -> Result<()> {
    lock_policies(conn)?;
    db::lock_directory(conn)
}

/// Add or change organisations by code.
pub fn import_organisations(
    conn: &mut Db,
    desk: &Desk,
    bytes: &[u8],
    now: DateTime<Utc>,
) -> std::result::Result<ImportPlan, ImportError> {
    lock(conn)?;
    let plan = plan(conn, desk, bytes, now)?;
    for succession in apply(conn, &plan, now)? {
        log_succession(&succession);
    }
    Ok(plan)
}

/// The directory of an empty database, which nobody decided here.
pub fn load_first(conn: &mut Db, bytes: &[u8], now: DateTime<Utc>) -> std::result::Result<(), ImportError> {
    let plan = plan_without_agreements(conn, bytes)?;
    apply(conn, &plan, now)?;
    Ok(())
}

/// The whole directory as a file that `plan` finds nothing to change in.
pub fn export(conn: &mut Db) -> Result<String> {
    let present = Present::load(conn)?;
    let records: Vec<[String; 13]> = present.entries.iter().map(Entry::record).collect();
    file::write(&records)
}
