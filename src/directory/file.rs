//! The directory as a CSV file: one line an organisation, by its code. A header names the columns in any order; `code`,
//! `kind` and `name_vi` must be there. Comma or semicolon, with or without a byte order mark, any line ends. Pure: bytes
//! in, lines or problems out, and the reverse.
//!
//! A column that the file does not have says nothing; an empty cell says that there is nothing, but the English and the
//! short name, which are then the Vietnamese one.
use std::collections::HashMap;
use std::fmt::Display;

use chrono::{Datelike, NaiveDate};

use super::lives::{self, Life};
use super::{CODE_IN_WORDS, KINDS, canonical_code, is_code};
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::csv_file::{Lines, delimiter, open_quote};
use crate::error::{Error, FieldCode, Result};
use crate::sla::SpecRule;
use crate::sla::calendar::{FIRST_YEAR, LAST_YEAR, read_date};
use crate::text::{breaks_a_line, nfc, shows_nothing};

pub const COLUMNS: [&str; 13] = [
    "code",
    "kind",
    "name_vi",
    "name_en",
    "short_name",
    "gso_code",
    "egov_code",
    "valid_from",
    "valid_to",
    "successor_code",
    "parent_code",
    "pilot",
    "source",
];
const REQUIRED: [&str; 3] = ["code", "kind", "name_vi"];
/// Problems that are worth reading at once.
const MAX_PROBLEMS: usize = 50;

/// A wrong place of a file; lines count from 1 with the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    pub line: u64,
    pub column: Option<&'static str>,
    pub code: BrokenRule,
    pub message: String,
    /// What it clashes with.
    pub with: Option<String>,
}

impl LineProblem {
    pub fn new(
        line: u64,
        column: &'static str,
        code: impl Into<BrokenRule>,
        message: impl Into<String>,
    ) -> Self {
        LineProblem {
            line,
            column: Some(column),
            code: code.into(),
            message: message.into(),
            with: None,
        }
    }

    /// What the check of a field found, at a cell of a line.
    pub fn of_field(line: u64, column: &'static str, found: FieldCode) -> Option<Self> {
        match found {
            FieldCode::Domain { code, text } => Some(LineProblem::new(line, column, code, text)),
            FieldCode::Clash { code, text, with } => Some(LineProblem {
                with: Some(with),
                ..LineProblem::new(line, column, code, text)
            }),
            _ => None,
        }
    }

    /// For a person at the command line.
    pub fn in_words(&self) -> String {
        match &self.with {
            Some(with) => format!("{}: {with}", self.message),
            None => self.message.clone(),
        }
    }

    fn of_line(line: u64, code: impl Into<BrokenRule>, message: impl Into<String>) -> Self {
        LineProblem {
            line,
            column: None,
            code: code.into(),
            message: message.into(),
            with: None,
        }
    }
}

/// What a line says; `None` where the file has no such column.
#[derive(Debug, Clone)]
pub struct Line {
    pub line: u64,
    pub code: String,
    pub kind: String,
    pub name_vi: String,
    pub name_en: Option<String>,
    pub short_name: Option<String>,
    pub gso_code: Option<Option<String>>,
    pub egov_code: Option<Option<String>>,
    pub valid_from: Option<Option<NaiveDate>>,
    pub valid_to: Option<Option<NaiveDate>>,
    pub successor_code: Option<Option<String>>,
    pub parent_code: Option<Option<String>>,
    pub pilot: Option<bool>,
    pub source: Option<String>,
}

type Problems = Vec<LineProblem>;

/// For `fuzz/`.
#[cfg(any(test, feature = "fuzzing"))]
pub fn is_readable(file: &[u8]) -> bool {
    read(file).is_ok()
}

pub fn read(bytes: &[u8]) -> std::result::Result<Vec<Line>, Problems> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let lines = Lines::of(bytes);
    if let Some(begin) = open_quote(bytes, delimiter(bytes)) {
        let message = "this quotation mark is never closed";
        return Err(vec![LineProblem::of_line(
            lines.of_byte(begin),
            HouseRule::BadLine,
            message,
        )]);
    }
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .has_headers(false)
        .from_reader(bytes);
    let mut records = reader.records();
    let Some(header) = records.next() else {
        let message = format!("a header is needed: {}", COLUMNS.join(","));
        return Err(vec![LineProblem::of_line(1, HouseRule::MissingHeader, message)]);
    };
    let header = header.map_err(|cause| vec![unreadable(&cause, &lines)])?;
    let columns = read_header(&header)?;
    let (mut read, mut problems, mut first) = (Vec::new(), Problems::new(), HashMap::new());
    for record in records {
        let record = match record {
            Ok(record) => record,
            // What follows a line that cannot be read is not to be trusted.
            Err(cause) => {
                problems.push(unreadable(&cause, &lines));
                break;
            }
        };
        let line = lines.at(record.position());
        if let Some(organisation) = read_line(&record, &columns, line, &mut problems) {
            if let Some(before) = first.insert(organisation.code.clone(), line) {
                let message = format!("code `{}` stands on line {before} already", organisation.code);
                problems.push(LineProblem::new(line, "code", HouseRule::DuplicateCode, message));
            }
            read.push(organisation);
        }
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    match problems.is_empty() {
        true => Ok(read),
        false => Err(problems),
    }
}

fn unreadable(cause: &csv::Error, lines: &Lines<'_>) -> LineProblem {
    let line = lines.at(cause.position());
    match cause.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let message = format!("{len} cells instead of {expected_len}");
            LineProblem::of_line(line, HouseRule::BadLine, message)
        }
        csv::ErrorKind::Utf8 { .. } => LineProblem::of_line(line, HouseRule::BadEncoding, "not UTF-8"),
        _ => LineProblem::of_line(line, HouseRule::BadLine, "this line cannot be read"),
    }
}

type Columns = HashMap<&'static str, usize>;

fn read_header(header: &csv::StringRecord) -> std::result::Result<Columns, Problems> {
    let mut columns = Columns::new();
    let mut problems = Problems::new();
    for (position, given) in header.iter().enumerate() {
        let given = given.trim().to_ascii_lowercase();
        let Some(known) = COLUMNS.into_iter().find(|column| *column == given) else {
            let message = format!("no column `{given}`, only {}", COLUMNS.join(", "));
            problems.push(LineProblem::of_line(1, HouseRule::UnknownColumn, message));
            continue;
        };
        if columns.insert(known, position).is_some() {
            let message = format!("two columns `{known}`");
            problems.push(LineProblem::new(1, known, HouseRule::UnknownColumn, message));
        }
    }
    let missing = REQUIRED
        .into_iter()
        .filter(|column| !columns.contains_key(column));
    problems.extend(missing.map(|column| {
        let message = format!("no column `{column}`");
        LineProblem::new(1, column, HouseRule::MissingHeader, message)
    }));
    match problems.is_empty() {
        true => Ok(columns),
        false => Err(problems),
    }
}

/// One record with its columns, and where what is wrong with it goes.
struct Cells<'a> {
    record: &'a csv::StringRecord,
    columns: &'a Columns,
    line: u64,
    problems: &'a mut Problems,
}

impl Cells<'_> {
    fn refuse(&mut self, column: &'static str, code: impl Into<BrokenRule>, message: impl Into<String>) {
        self.problems
            .push(LineProblem::new(self.line, column, code, message));
    }

    /// The cell in NFC without white space around it; `None` where there is no such column.
    fn text(&mut self, column: &'static str, max: usize) -> Option<String> {
        let position = self.columns.get(column)?;
        let text = nfc(self.record.get(*position)?.trim());
        if text.chars().count() > max {
            self.refuse(
                column,
                HouseRule::TextTooLong,
                format!("{column} has more than {max} characters"),
            );
        } else if text.chars().any(breaks_a_line) {
            self.refuse(
                column,
                HouseRule::ControlCharacter,
                format!("{column} holds a control character"),
            );
        }
        Some(text)
    }

    /// A text that may be empty, which then is none.
    fn optional(&mut self, column: &'static str) -> Option<Option<String>> {
        let text = self.text(column, 40)?;
        Some(Some(text).filter(|text| !shows_nothing(text)))
    }

    /// A name that is the Vietnamese one where its cell is empty.
    fn name(&mut self, column: &'static str, name_vi: &str) -> Option<String> {
        let text = self.text(column, 200)?;
        match shows_nothing(&text) {
            true => Some(name_vi.to_owned()),
            false => Some(text),
        }
    }

    fn code(&mut self, column: &'static str) -> Option<Option<String>> {
        let code = self.optional(column)?;
        Some(code.map(|code| canonical_code(&code)))
    }

    fn date(&mut self, column: &'static str) -> Option<Option<NaiveDate>> {
        let text = self.optional(column)?;
        let Some(text) = text else { return Some(None) };
        let date = read_date(&text).filter(|date| (FIRST_YEAR..=LAST_YEAR).contains(&date.year()));
        if date.is_none() {
            let message = format!("{column} `{text}` must be a date such as 2025-07-01");
            self.refuse(column, SpecRule::BadDate, message);
        }
        Some(date)
    }

    fn pilot(&mut self) -> Option<bool> {
        let text = self.text("pilot", 5)?;
        match text.to_ascii_lowercase().as_str() {
            "" | "0" | "false" => Some(false),
            "1" | "true" => Some(true),
            _ => {
                self.refuse(
                    "pilot",
                    HouseRule::UnknownValue,
                    format!("pilot `{text}` must be 0 or 1"),
                );
                None
            }
        }
    }
}

/// `None` where it has no code to go by.
fn read_line(
    record: &csv::StringRecord,
    columns: &Columns,
    line: u64,
    problems: &mut Problems,
) -> Option<Line> {
    let mut cells = Cells {
        record,
        columns,
        line,
        problems,
    };
    let code = canonical_code(&cells.text("code", 40)?);
    if !is_code(&code) {
        let message = format!("code `{code}` must be {CODE_IN_WORDS}");
        cells.refuse("code", HouseRule::BadCode, message);
    }
    let kind = cells.text("kind", 40)?;
    if !KINDS.contains(&kind.as_str()) {
        let message = format!("kind `{kind}` must be ministry, agency, province or other");
        cells.refuse("kind", HouseRule::UnknownValue, message);
    }
    let name_vi = cells.text("name_vi", 200)?;
    if shows_nothing(&name_vi) {
        cells.refuse("name_vi", HouseRule::EmptyName, "name_vi is empty");
    }
    let (valid_from, valid_to) = (cells.date("valid_from"), cells.date("valid_to"));
    let life = Life {
        code: &code,
        first: valid_from.flatten(),
        last: valid_to.flatten(),
    };
    if let Err(misfit) = lives::check_dates(life) {
        cells.refuse("valid_to", misfit.code, misfit.text);
    }
    Some(Line {
        line,
        name_en: cells.name("name_en", &name_vi),
        short_name: cells.name("short_name", &name_vi),
        gso_code: cells.optional("gso_code"),
        egov_code: cells.code("egov_code"),
        valid_from,
        valid_to,
        successor_code: cells.code("successor_code"),
        parent_code: cells.code("parent_code"),
        pilot: cells.pilot(),
        source: cells.text("source", 500),
        code,
        kind,
        name_vi,
    })
}

/// Records in the order of `COLUMNS`, so that reading them again changes nothing.
pub fn write(records: &[[String; 13]]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(unwritten)?;
    for record in records {
        writer.write_record(record).map_err(unwritten)?;
    }
    let bytes = writer.into_inner().map_err(unwritten)?;
    String::from_utf8(bytes).map_err(unwritten)
}

fn unwritten(cause: impl Display) -> Error {
    Error::internal("the directory cannot be written as CSV", cause)
}
