//! A year's decision as CSV: one line a day. A header names the columns in any order; `date` must be there, the others may
//! be left out, as may any cell but the date. Comma or semicolon (what a spreadsheet writes in Vietnam), with or without a
//! byte order mark. Pure: bytes in, days or problems out.
//!
//! Refuses: no header, unknown or repeated columns, dates other than YYYY-MM-DD and dd/MM/yyyy, unknown kinds, hours that
//! are not `08:00-12:00,13:30-17:30` or `off`, kinds that need hours without them.
use std::collections::HashMap;
use std::fmt::Display;

use chrono::NaiveDate;

use super::import::{
    Day, Hours, ImportedDay, LineProblem, MAX_DAYS, name_of, one_line, parse_certainty, parse_hours,
    parse_kind, written_hours,
};
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::csv_file::{Lines, delimiter, open_quote};
use crate::error::{Error, Result};
use crate::sla::SpecRule;
use crate::sla::calendar::{CalendarSpec, ExceptionKind, ExceptionSpec};

const COLUMNS: [&str; 8] = [
    "date",
    "kind",
    "intervals",
    "name_vi",
    "name_en",
    "legal_basis",
    "certainty",
    "source",
];

pub fn read(bytes: &[u8]) -> std::result::Result<Vec<ImportedDay>, Vec<LineProblem>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let lines = Lines::of(bytes);
    if let Some(begin) = open_quote(bytes, delimiter(bytes)) {
        let line = lines.of_byte(begin);
        return Err(vec![LineProblem::new(
            line,
            HouseRule::BadLine,
            "this quotation mark is never closed",
        )]);
    }
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter(bytes))
        .has_headers(false)
        .from_reader(bytes);
    let mut records = reader.records();
    let Some(header) = records.next() else {
        let message = format!("a header is needed: {}", COLUMNS.join(","));
        return Err(vec![LineProblem::new(1, HouseRule::MissingColumn, message)]);
    };
    let header = header.map_err(|cause| vec![unreadable(&cause, &lines)])?;
    let columns = read_header(&header)?;
    let (mut days, mut problems) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Ok(record) => match read_day(&record, &columns, lines.at(record.position())) {
                Ok(day) => days.push(day),
                Err(problem) => problems.push(problem),
            },
            // What follows a line that cannot be read is not to be trusted.
            Err(cause) => {
                problems.push(unreadable(&cause, &lines));
                break;
            }
        }
        if days.len() > MAX_DAYS {
            let line = days.last().map_or(1, |day| day.line);
            let message = format!("more than {MAX_DAYS} days");
            return Err(vec![LineProblem::new(line, HouseRule::TooManyDays, message)]);
        }
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    match problems.is_empty() {
        true => Ok(days),
        false => Err(problems),
    }
}

/// Problems that are worth reading at once.
const MAX_PROBLEMS: usize = 50;

fn unreadable(cause: &::csv::Error, lines: &Lines<'_>) -> LineProblem {
    let line = lines.at(cause.position());
    match cause.kind() {
        ::csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let message = format!("{len} cells instead of {expected_len}");
            LineProblem::new(line, HouseRule::BadLine, message)
        }
        ::csv::ErrorKind::Utf8 { .. } => LineProblem::new(line, HouseRule::BadEncoding, "not UTF-8"),
        _ => LineProblem::new(line, HouseRule::BadLine, "this line cannot be read"),
    }
}

type Columns = HashMap<&'static str, usize>;

fn read_header(header: &::csv::StringRecord) -> std::result::Result<Columns, Vec<LineProblem>> {
    let mut columns = Columns::new();
    let mut problems = Vec::new();
    for (position, given) in header.iter().enumerate() {
        let given = given.trim().to_ascii_lowercase();
        let Some(known) = COLUMNS.into_iter().find(|column| *column == given) else {
            let message = format!("no column `{given}`, only {}", COLUMNS.join(", "));
            problems.push(LineProblem::new(1, HouseRule::UnknownColumn, message));
            continue;
        };
        if columns.insert(known, position).is_some() {
            problems.push(LineProblem::new(
                1,
                HouseRule::UnknownColumn,
                format!("two columns `{known}`"),
            ));
        }
    }
    if !columns.contains_key("date") {
        problems.push(LineProblem::new(1, HouseRule::MissingColumn, "no column `date`"));
    }
    match problems.is_empty() {
        true => Ok(columns),
        false => Err(problems),
    }
}

fn read_day(
    record: &::csv::StringRecord,
    columns: &Columns,
    line: u64,
) -> std::result::Result<ImportedDay, LineProblem> {
    let refuse = |code: BrokenRule, message: String| LineProblem::new(line, code, message);
    let cell = |column: &str| {
        let text = columns
            .get(column)
            .and_then(|position| record.get(*position))?
            .trim();
        (!text.is_empty()).then_some(text)
    };
    let date = cell("date").ok_or_else(|| refuse(SpecRule::BadDate.into(), "no date".into()))?;
    let date = parse_date(date).ok_or_else(|| {
        let message = format!("`{date}` is no date of the form YYYY-MM-DD or dd/MM/yyyy");
        refuse(SpecRule::BadDate.into(), message)
    })?;
    let hours = match cell("intervals") {
        None => None,
        Some(text) => Some(parse_hours(text).ok_or_else(|| {
            let message = format!("`{text}` is not of the form 08:00-12:00,13:30-17:30 or off");
            refuse(HouseRule::BadIntervals.into(), message)
        })?),
    };
    let (kind, hours) =
        read_kind(cell("kind"), hours).map_err(|(code, message)| refuse(code.into(), message))?;
    let certainty = match cell("certainty") {
        None => None,
        Some(text) => Some(parse_certainty(text).ok_or_else(|| {
            let message = format!("`{text}` is not confirmed, projected or uncertain");
            refuse(HouseRule::UnknownValue.into(), message)
        })?),
    };
    let text = |column| cell(column).and_then(one_line);
    Ok(ImportedDay {
        line,
        date,
        day: Some(Day {
            hours,
            kind,
            name_vi: text("name_vi"),
            name_en: text("name_en"),
            legal_basis: text("legal_basis"),
            certainty,
            source: text("source"),
        }),
    })
}

/// Exactly four, two and two digits: chrono alone would take signs and single digits.
fn parse_date(text: &str) -> Option<NaiveDate> {
    ["%Y-%m-%d", "%d/%m/%Y"].into_iter().find_map(|form| {
        let date = NaiveDate::parse_from_str(text, form).ok()?;
        (date.format(form).to_string() == text).then_some(date)
    })
}

type KindAndHours = (Option<ExceptionKind>, Hours);

/// The kinds of a calendar, and `day_off`, `half_day` and `changed_hours` for days that have none.
fn read_kind(
    kind: Option<&str>,
    hours: Option<Hours>,
) -> std::result::Result<KindAndHours, (HouseRule, String)> {
    let name = kind.unwrap_or("day_off").to_ascii_lowercase();
    match name.as_str() {
        "day_off" => match hours {
            None | Some(Hours::Off) => Ok((None, Hours::Off)),
            Some(_) => Err((
                HouseRule::BadIntervals,
                "a day_off has no hours; half_day and changed_hours have".into(),
            )),
        },
        "half_day" | "changed_hours" => match hours {
            Some(Hours::Given(given)) => Ok((None, Hours::Given(given))),
            _ => Err((
                HouseRule::BadIntervals,
                format!("{name} needs its hours in `intervals`"),
            )),
        },
        "make_up" => Ok((Some(ExceptionKind::MakeUp), hours.unwrap_or(Hours::LikeMonday))),
        _ => match parse_kind(&name) {
            Some(kind) => Ok((Some(kind), hours.unwrap_or(Hours::Off))),
            None => Err((
                HouseRule::UnknownValue,
                format!(
                    "`{name}` is not day_off, make_up, half_day, changed_hours, statutory, compensatory, swap or other"
                ),
            )),
        },
    }
}

/// All exceptions, so that reading them again changes nothing.
pub fn write(calendar: &CalendarSpec) -> Result<String> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(unwritten)?;
    for exception in &calendar.exceptions {
        writer.write_record(record(exception)).map_err(unwritten)?;
    }
    let bytes = writer.into_inner().map_err(unwritten)?;
    String::from_utf8(bytes).map_err(unwritten)
}

fn unwritten(cause: impl Display) -> Error {
    Error::internal("a calendar cannot be written as CSV", cause)
}

fn record(exception: &ExceptionSpec) -> [String; 8] {
    let kind = match (exception.kind, exception.intervals.is_empty()) {
        (Some(kind), _) => name_of(kind),
        (None, true) => "day_off".into(),
        (None, false) => "changed_hours".into(),
    };
    let name = exception.name.clone().unwrap_or_default();
    [
        exception.date.clone(),
        kind,
        written_hours(&exception.intervals),
        name.vi.unwrap_or_default(),
        name.en.unwrap_or_default(),
        exception.legal_basis.clone().unwrap_or_default(),
        exception.certainty.map(name_of).unwrap_or_default(),
        exception.source.clone().unwrap_or_default(),
    ]
}
