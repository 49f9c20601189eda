//! The directory from a CSV file: read whole, checked whole, shown as what it would change, and written in one
//! transaction or not at all. The seed, the command line and the API take this one way. Organisations that the file does
//! not name stay as they are; what a line leaves as it is is not written.
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::db::{self, Organisation, OrganisationRow};
use super::file::{self, COLUMNS, Line, LineProblem};
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::store::{Db, Ts};
use crate::text::fold;

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
                    .map(|problem| format!("line {}: {}", problem.line, problem.message));
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
            let text = format!("Line {}: {}.", problem.line, problem.message);
            FieldError::pointer(
                pointer,
                FieldCode::Domain {
                    code: problem.code,
                    text,
                },
            )
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
struct Entry {
    line: u64,
    is_new: bool,
    row: OrganisationRow,
    successor: Option<String>,
    parent: Option<String>,
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
struct Present {
    entries: Vec<Entry>,
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

    fn get(&self, code: &str) -> Option<&Entry> {
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
pub fn plan(conn: &mut Db, bytes: &[u8]) -> std::result::Result<ImportPlan, ImportError> {
    let lines = file::read(bytes).map_err(ImportError::Lines)?;
    let present = Present::load(conn)?;
    let wanted: Vec<Entry> = lines.into_iter().map(|line| wanted(line, &present)).collect();
    check_links(&wanted, &present)?;
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

fn differences(known: &Entry, wanted: &Entry) -> Vec<CellChange> {
    let cells = COLUMNS.into_iter().zip(known.record()).zip(wanted.record());
    cells
        .filter(|((_, old), new)| old != new)
        .map(|((column, old), new)| CellChange { column, old, new })
        .collect()
}

/// The organisation as the line wants it: what its file has no column for is as it is, of a new one as its code says.
fn wanted(line: Line, present: &Present) -> Entry {
    let known = present.get(&line.code);
    let row = known.map(|known| &known.row);
    let by_code = || super::parent_code(&line.code).filter(|code| present.get(code).is_some());
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

/// Successors and parents exist, and following them comes to an end: also where the way leads through organisations
/// that the file does not name.
fn check_links(wanted: &[Entry], present: &Present) -> std::result::Result<(), ImportError> {
    let mut all: HashMap<&str, &Entry> = HashMap::new();
    let known = present.entries.iter().chain(wanted);
    all.extend(known.map(|entry| (entry.row.code.as_str(), entry)));
    let mut problems = Vec::new();
    for entry in wanted {
        let links = [
            ("successor_code", &entry.successor),
            ("parent_code", &entry.parent),
        ];
        for (column, code) in links {
            if let Some(code) = code.as_ref().filter(|code| !all.contains_key(code.as_str())) {
                let message = format!("{column} `{code}` is not an organisation");
                problems.push(LineProblem::new(
                    entry.line,
                    column,
                    "unknown_organisation",
                    message,
                ));
            }
        }
    }
    if problems.is_empty() {
        problems.extend(circle(wanted, &all));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ImportError::Lines(problems)),
    }
}

/// The first line that begins a circle.
fn circle(wanted: &[Entry], all: &HashMap<&str, &Entry>) -> Option<LineProblem> {
    let successor: fn(&Entry) -> Option<&str> = |entry| entry.successor.as_deref();
    let parent: fn(&Entry) -> Option<&str> = |entry| entry.parent.as_deref();
    for entry in wanted {
        let code = entry.row.code.as_str();
        if leads_back(code, all, successor) {
            let message = match successor(entry).unwrap_or_default() {
                own if own == code => format!("`{code}` cannot be its own successor"),
                first => format!("the successors of `{code}` lead back to it through `{first}`"),
            };
            return Some(LineProblem::new(
                entry.line,
                "successor_code",
                "succession_cycle",
                message,
            ));
        }
        if leads_back(code, all, parent) {
            let message = format!("`{code}` cannot be a part of itself, however long the way");
            return Some(LineProblem::new(
                entry.line,
                "parent_code",
                "parent_cycle",
                message,
            ));
        }
    }
    None
}

fn leads_back(start: &str, all: &HashMap<&str, &Entry>, next: fn(&Entry) -> Option<&str>) -> bool {
    let mut seen = HashSet::new();
    let step = |code: &str| all.get(code).and_then(|entry| next(entry));
    let mut at = step(start);
    while let Some(code) = at.filter(|code| seen.insert(*code)) {
        if code == start {
            return true;
        }
        at = step(code);
    }
    false
}

/// Write what a plan says, made in the same transaction under the directory's lock.
pub fn apply(conn: &mut Db, plan: &ImportPlan, now: DateTime<Utc>) -> Result<()> {
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
    // Only now are all there that are named.
    for entry in &plan.wanted {
        let successor_id = id_of(conn, entry.successor.as_deref())?;
        let parent_id = id_of(conn, entry.parent.as_deref())?;
        db::set_links(conn, &entry.row.code, successor_id, parent_id)?;
    }
    Ok(())
}

fn id_of(conn: &mut Db, code: Option<&str>) -> Result<Option<i64>> {
    let found = code
        .map(|code| db::find_organisation_by_code(conn, code))
        .transpose()?;
    Ok(found.flatten().map(|organisation| organisation.id))
}

/// Add or change organisations by code; returns how many lines there were.
pub fn import_organisations(
    conn: &mut Db,
    mut file: impl Read,
    now: DateTime<Utc>,
) -> std::result::Result<usize, ImportError> {
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    read.map_err(|cause| Error::internal("a directory file cannot be read", cause))?;
    db::lock_directory(conn)?;
    let plan = plan(conn, &bytes)?;
    apply(conn, &plan, now)?;
    Ok(plan.added.len() + plan.changed.len() + plan.unchanged)
}

/// The whole directory as a file that `plan` finds nothing to change in.
pub fn export(conn: &mut Db) -> Result<String> {
    let present = Present::load(conn)?;
    let records: Vec<[String; 13]> = present.entries.iter().map(Entry::record).collect();
    file::write(&records)
}
