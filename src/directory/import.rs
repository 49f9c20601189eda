//! The directory as a CSV file: read whole, checked whole, written in one transaction or not at all.
use std::collections::{HashMap, HashSet};
use std::io::Read;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use super::db::{self, OrganisationRow};
use crate::error::Error;
use crate::store::{Db, Ts};
use crate::text::{fold, nfc};

/// What is wrong with a file; the line counts from 1 with the header.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("line {line}: {reason}")]
    Line { line: u64, reason: String },
    #[error(transparent)]
    Store(#[from] Error),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    code: String,
    kind: String,
    name_vi: String,
    #[serde(default)]
    name_en: String,
    #[serde(default)]
    short_name: String,
    #[serde(default)]
    gso_code: String,
    #[serde(default)]
    egov_code: String,
    #[serde(default)]
    valid_from: String,
    #[serde(default)]
    valid_to: String,
    #[serde(default)]
    successor_code: String,
    #[serde(default)]
    pilot: String,
    #[serde(default)]
    source: String,
}

/// Add or replace organisations by code; returns how many lines there were. Organisations that the file does not name
/// stay as they are.
pub fn import_organisations(
    conn: &mut Db,
    file: impl Read,
    now: DateTime<Utc>,
) -> Result<usize, ImportError> {
    let lines = read_lines(file)?;
    let mut ids = HashMap::new();
    for (line, row) in &lines {
        db::upsert_organisation(conn, &checked(*line, row, now)?)?;
    }
    for (_, row) in &lines {
        if let Some(organisation) = db::find_organisation_by_code(conn, row.code.trim())? {
            ids.insert(organisation.code, organisation.id);
        }
    }
    for (line, row) in &lines {
        let successor = row.successor_code.trim();
        let successor_id = match ids.get(successor) {
            _ if successor.is_empty() => None,
            Some(id) => Some(*id),
            None => match db::find_organisation_by_code(conn, successor)? {
                Some(known) => Some(known.id),
                None => {
                    return Err(refuse(
                        *line,
                        format!("successor_code `{successor}` is not an organisation"),
                    ));
                }
            },
        };
        db::set_successor(conn, row.code.trim(), successor_id)?;
    }
    refuse_circles(conn, &lines)?;
    Ok(lines.len())
}

/// For `fuzz/`: as far as a file is read without a database.
#[cfg(feature = "fuzzing")]
pub fn is_readable(file: &[u8]) -> bool {
    let lines = read_lines(file).unwrap_or_default();
    let is_sound = |(line, row): &(u64, Line)| checked(*line, row, DateTime::UNIX_EPOCH).is_ok();
    lines.iter().all(is_sound)
}

/// Who follows the successors of an organisation must come to an end. Asked once all are written, because a circle may
/// lead through organisations that the file does not name.
fn refuse_circles(conn: &mut Db, lines: &[(u64, Line)]) -> Result<(), ImportError> {
    let all = super::list_all(conn, &super::OrganisationFilter::default())?;
    let ids: HashMap<&str, i64> = all
        .iter()
        .map(|organisation| (organisation.code.as_str(), organisation.id))
        .collect();
    let successors: HashMap<i64, i64> = all
        .iter()
        .filter_map(|organisation| Some((organisation.id, organisation.successor_id?)))
        .collect();
    for (line, row) in lines {
        let (code, successor) = (row.code.trim(), row.successor_code.trim());
        if successor == code {
            return Err(refuse(*line, format!("`{code}` cannot be its own successor")));
        }
        let start = ids.get(code);
        let mut seen = HashSet::new();
        let mut next = start.and_then(|id| successors.get(id));
        while let Some(id) = next.filter(|id| seen.insert(**id)) {
            if start == Some(id) {
                let reason = format!("the successors of `{code}` lead back to it through `{successor}`");
                return Err(refuse(*line, reason));
            }
            next = successors.get(id);
        }
    }
    Ok(())
}

fn read_lines(file: impl Read) -> Result<Vec<(u64, Line)>, ImportError> {
    let mut reader = csv::Reader::from_reader(file);
    let mut seen = HashMap::new();
    let mut lines = Vec::new();
    for record in reader.deserialize::<Line>() {
        let row = record.map_err(|cause| {
            let line = cause.position().map_or(1, csv::Position::line);
            refuse(line, cause.to_string())
        })?;
        let line = u64::try_from(lines.len()).unwrap_or(u64::MAX).saturating_add(2);
        if let Some(first) = seen.insert(row.code.trim().to_owned(), line) {
            return Err(refuse(
                line,
                format!("code `{}` stands on line {first} already", row.code.trim()),
            ));
        }
        lines.push((line, row));
    }
    Ok(lines)
}

fn checked(line: u64, row: &Line, now: DateTime<Utc>) -> Result<OrganisationRow, ImportError> {
    let code = row.code.trim();
    if code.is_empty()
        || code.len() > 40
        || code
            .chars()
            .any(|c| !(c.is_ascii_alphanumeric() || "-.".contains(c)))
    {
        return Err(refuse(
            line,
            format!("code `{code}` must be 1 to 40 letters, digits, `-` or `.`"),
        ));
    }
    if !super::KINDS.contains(&row.kind.trim()) {
        return Err(refuse(
            line,
            format!("kind `{}` must be ministry, agency, province or other", row.kind),
        ));
    }
    let name_vi = nfc(row.name_vi.trim());
    if name_vi.is_empty() {
        return Err(refuse(line, "name_vi is empty".into()));
    }
    let name_en = if row.name_en.trim().is_empty() {
        name_vi.clone()
    } else {
        nfc(row.name_en.trim())
    };
    let short_name = if row.short_name.trim().is_empty() {
        name_vi.clone()
    } else {
        nfc(row.short_name.trim())
    };
    let valid_from = date(line, "valid_from", &row.valid_from)?;
    let valid_to = date(line, "valid_to", &row.valid_to)?;
    if let (Some(from), Some(to)) = (valid_from, valid_to)
        && to < from
    {
        return Err(refuse(line, "valid_to is before valid_from".into()));
    }
    let pilot = match row.pilot.trim() {
        "" | "0" | "false" => false,
        "1" | "true" => true,
        other => return Err(refuse(line, format!("pilot `{other}` must be 0 or 1"))),
    };
    Ok(OrganisationRow {
        search_text: fold(&format!("{code} {name_vi} {name_en} {short_name}")),
        code: code.to_owned(),
        kind: row.kind.trim().to_owned(),
        name_vi,
        name_en,
        short_name,
        gso_code: optional(&row.gso_code),
        egov_code: optional(&row.egov_code),
        valid_from,
        valid_to,
        pilot,
        source: nfc(row.source.trim()),
        updated_at: Ts::from(now),
    })
}

fn optional(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn date(line: u64, field: &str, text: &str) -> Result<Option<NaiveDate>, ImportError> {
    match text.trim() {
        "" => Ok(None),
        text => match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
            Ok(date) => Ok(Some(date)),
            Err(_) => Err(refuse(
                line,
                format!("{field} `{text}` must be a date such as 2025-07-01"),
            )),
        },
    }
}

fn refuse(line: u64, reason: String) -> ImportError {
    ImportError::Line { line, reason }
}
