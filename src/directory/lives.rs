//! From when to when organisations live, and how the life of one is carried on by another's. Pure: the API, which changes
//! one organisation, and a file, which changes many at once, ask the same questions here.
//!
//! Invariants: no organisation ends before it begins; whoever has a successor has a last day, on the day after which the
//! successor is alive; whoever follows successors or parents comes to an end.
use std::collections::HashSet;
use std::hash::Hash;

use chrono::NaiveDate;

use super::db::{Organisation, OrganisationRow};
use crate::broken_rule::HouseRule;
use crate::error::{Error, FieldCode, Result};

/// First and last day; none: not known, and not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life<'a> {
    pub code: &'a str,
    pub first: Option<NaiveDate>,
    pub last: Option<NaiveDate>,
}

impl<'a> From<&'a Organisation> for Life<'a> {
    fn from(found: &'a Organisation) -> Self {
        Life {
            code: &found.code,
            first: found.valid_from,
            last: found.valid_to,
        }
    }
}

impl<'a> From<&'a OrganisationRow> for Life<'a> {
    fn from(row: &'a OrganisationRow) -> Self {
        Life {
            code: &row.code,
            first: row.valid_from,
            last: row.valid_to,
        }
    }
}

/// What of an organisation does not fit; callers know its name in what they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    First,
    Last,
    Successor,
}

/// What does not fit, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub part: Part,
    pub code: HouseRule,
    pub text: &'static str,
    /// What it clashes with.
    pub with: Option<String>,
}

impl Misfit {
    fn new(part: Part, code: HouseRule, text: &'static str) -> Misfit {
        Misfit {
            part,
            code,
            text,
            with: None,
        }
    }

    pub fn into_error(self, pointer: &str) -> Error {
        let (code, text) = (self.code.into(), self.text.to_owned());
        let code = match self.with {
            Some(with) => FieldCode::Clash { code, text, with },
            None => FieldCode::Domain { code, text },
        };
        Error::invalid_pointer(pointer, code)
    }
}

type Fits = std::result::Result<(), Misfit>;

pub(super) fn check_dates(life: Life<'_>) -> Fits {
    match (life.first, life.last) {
        (Some(first), Some(last)) if last < first => {
            let text = "the last day is before the first";
            Err(Misfit::new(Part::Last, HouseRule::EndsBeforeItBegins, text))
        }
        _ => Ok(()),
    }
}

/// The closed organisation has an end, and its successor is alive on the day after.
pub(super) fn check_end(closed: Life<'_>, successor: Life<'_>) -> Fits {
    check_dates(closed)?;
    let Some(first) = closed.last.and_then(|last| last.succ_opt()) else {
        let text = "an organisation that has a successor has a last day; the two are taken back together";
        return Err(Misfit::new(Part::Last, HouseRule::SuccessionWithoutEnd, text));
    };
    let is_alive =
        successor.first.is_none_or(|from| from <= first) && successor.last.is_none_or(|to| first <= to);
    match is_alive {
        true => Ok(()),
        false => {
            let text = "the successor does not exist on the day after the last";
            Err(Misfit {
                with: Some(format!("{} {first}", successor.code)),
                ..Misfit::new(Part::Successor, HouseRule::SuccessorNotAlive, text)
            })
        }
    }
}

/// Whom an organisation succeeded ended before it did: on the day after it was there to take the tickets.
pub(super) fn check_predecessors(closed: Life<'_>, predecessors: &[Life<'_>]) -> Fits {
    let Some(last) = closed.last else { return Ok(()) };
    let late = predecessors
        .iter()
        .find(|other| other.last.is_some_and(|end| end >= last));
    let Some(late) = late else { return Ok(()) };
    let text = "a predecessor ends on this day or later";
    Err(Misfit {
        with: Some(late.code.to_owned()),
        ..Misfit::new(Part::Last, HouseRule::BeforePredecessor, text)
    })
}

/// These dates leave no gap in the successions that the organisation has a part in.
pub(super) fn check_successions(
    life: Life<'_>,
    successor: Option<Life<'_>>,
    predecessors: &[Life<'_>],
) -> Fits {
    if let Some(successor) = successor {
        check_end(life, successor)?;
    }
    check_predecessors(life, predecessors)?;
    for predecessor in predecessors.iter().filter(|other| other.last.is_some()) {
        check_end(*predecessor, life).map_err(|misfit| Misfit {
            part: Part::First,
            ..misfit
        })?;
    }
    Ok(())
}

/// Whether steps from here come back.
pub(super) fn leads_back<K: Copy + Eq + Hash>(
    start: K,
    mut next: impl FnMut(K) -> Result<Option<K>>,
) -> Result<bool> {
    let mut seen = HashSet::new();
    let mut at = next(start)?;
    while let Some(here) = at.filter(|here| seen.insert(*here)) {
        if here == start {
            return Ok(true);
        }
        at = next(here)?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_successor_has_an_end_and_the_successor_lives_on_the_day_after() {
        let day = |text: &str| (!text.is_empty()).then(|| text.parse::<NaiveDate>().unwrap());
        let life = |code, first, last| Life {
            code,
            first: day(first),
            last: day(last),
        };
        for (closed, successor, expected) in [
            (("", "2020-01-31"), ("2020-02-01", ""), None),
            (("", "2020-01-31"), ("", "2020-02-01"), None),
            (
                ("", "2020-01-31"),
                ("2020-02-02", ""),
                Some("successor_not_alive"),
            ),
            (
                ("", "2020-01-31"),
                ("", "2020-01-31"),
                Some("successor_not_alive"),
            ),
            (("", ""), ("", ""), Some("succession_without_end")),
            (
                ("2020-02-01", "2020-01-31"),
                ("", ""),
                Some("ends_before_it_begins"),
            ),
        ] {
            let fits = check_end(life("A", closed.0, closed.1), life("B", successor.0, successor.1));
            assert_eq!(
                fits.err().map(|misfit| misfit.code.as_str()),
                expected,
                "{closed:?} {successor:?}"
            );
        }
    }

    #[test]
    fn a_way_that_leads_into_a_circle_further_on_ends_and_does_not_lead_back() {
        let steps = [1, 2, 1];
        let next = |at: usize| Ok(steps.get(at).copied());
        assert!(!leads_back(0, next).unwrap());
        assert!(leads_back(1, next).unwrap());
        assert!(!leads_back(3, next).unwrap());
    }
}
