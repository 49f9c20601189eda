//! The directory as a file would leave it, held to the rules that the API holds each change of one organisation to
//! (`lives`): organisations that the file does not name have their part in it.
use std::collections::HashMap;

use super::file::LineProblem;
use super::import::{Entry, ImportError, Present};
use super::lives::{self, Life, Part, leads_back};
use crate::broken_rule::HouseRule;
use crate::error::Result;

type All<'a> = HashMap<&'a str, &'a Entry>;

pub(super) fn check(wanted: &[Entry], present: &Present) -> std::result::Result<(), ImportError> {
    let mut all = All::new();
    let known = present.entries.iter().chain(wanted);
    all.extend(known.map(|entry| (entry.row.code.as_str(), entry)));
    let mut problems = unknown_links(wanted, &all);
    if problems.is_empty() {
        problems.extend(circle(wanted, &all)?);
    }
    if problems.is_empty() {
        problems.extend(misfits(wanted, present, &all));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ImportError::Lines(problems)),
    }
}

fn unknown_links(wanted: &[Entry], all: &All<'_>) -> Vec<LineProblem> {
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
                    HouseRule::UnknownOrganisation,
                    message,
                ));
            }
        }
    }
    problems
}

/// The first line that begins a circle.
fn circle<'a>(wanted: &'a [Entry], all: &All<'a>) -> Result<Option<LineProblem>> {
    let successor: fn(&'a Entry) -> Option<&'a str> = |entry| entry.successor.as_deref();
    let parent: fn(&'a Entry) -> Option<&'a str> = |entry| entry.parent.as_deref();
    for entry in wanted {
        let code = entry.row.code.as_str();
        let is_circle = |link: fn(&'a Entry) -> Option<&'a str>| {
            leads_back(code, |at| Ok(all.get(at).copied().and_then(link)))
        };
        if is_circle(successor)? {
            let message = match successor(entry).unwrap_or_default() {
                own if own == code => format!("`{code}` cannot be its own successor"),
                first => format!("the successors of `{code}` lead back to it through `{first}`"),
            };
            let column = "successor_code";
            return Ok(Some(LineProblem::new(
                entry.line,
                column,
                HouseRule::SuccessionCycle,
                message,
            )));
        }
        if is_circle(parent)? {
            let message = format!("`{code}` cannot be a part of itself, however long the way");
            return Ok(Some(LineProblem::new(
                entry.line,
                "parent_code",
                HouseRule::ParentCycle,
                message,
            )));
        }
    }
    Ok(None)
}

/// Of each line that changes from when to when an organisation lives or who carries it on, the first rule that it breaks.
fn misfits(wanted: &[Entry], present: &Present, all: &All<'_>) -> Vec<LineProblem> {
    let mut predecessors: HashMap<&str, Vec<Life<'_>>> = HashMap::new();
    for entry in all.values() {
        if let Some(successor) = entry.successor.as_deref() {
            predecessors
                .entry(successor)
                .or_default()
                .push(Life::from(&entry.row));
        }
    }
    for found in predecessors.values_mut() {
        found.sort_by_key(|life| life.code);
    }
    let concerned = |entry: &&Entry| {
        present
            .get(&entry.row.code)
            .is_none_or(|known| moves(known, entry))
    };
    let found = wanted.iter().filter(concerned).filter_map(|entry| {
        let successor = entry.successor.as_deref().and_then(|code| all.get(code));
        let successor = successor.map(|successor| Life::from(&successor.row));
        let before = predecessors.get(entry.row.code.as_str());
        let before = before.map(Vec::as_slice).unwrap_or_default();
        let life = Life::from(&entry.row);
        let misfit = lives::check_dates(life)
            .and_then(|()| lives::check_successions(life, successor, before))
            .err()?;
        let column = match misfit.part {
            Part::First => "valid_from",
            Part::Last => "valid_to",
            Part::Successor => "successor_code",
        };
        Some(LineProblem {
            with: misfit.with,
            ..LineProblem::new(entry.line, column, misfit.code, misfit.text)
        })
    });
    found.collect()
}

fn moves(known: &Entry, wanted: &Entry) -> bool {
    (known.row.valid_from, known.row.valid_to) != (wanted.row.valid_from, wanted.row.valid_to)
        || known.successor != wanted.successor
}
