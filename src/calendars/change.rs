//! A proposed change of a calendar: what is asked for, and the whole calendar that would come of it. Previews and imports
//! speak of changes; only applying one makes a version.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::field_errors;
use crate::error::{Error, FieldCode, FieldError, Result};
use crate::sla::calendar::{CalendarSpec, ExceptionSpec, PatternSpec};
use crate::sla::{Calendar, SpecProblem};
use crate::text::nfc;

/// Bounds of a whole calendar.
pub const MOST_PATTERNS: u64 = 200;
pub const MOST_EXCEPTIONS: u64 = 10_000;

/// What is to be different. Members that are left out stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Vec<PatternSpec>>,
    /// In the place of all exceptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exceptions: Option<Vec<ExceptionSpec>>,
    /// Beside those that there are, or in the place of that of the same date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_exceptions: Vec<ExceptionSpec>,
    /// Dates that follow their weekday again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_exceptions: Vec<String>,
}

impl CalendarChange {
    /// The calendar as it would be, in the order in which calendars are stored. Whether that is a sound calendar, its own check says.
    pub fn applied_to(&self, present: &CalendarSpec) -> CalendarSpec {
        let exceptions = self.exceptions.as_ref().unwrap_or(&present.exceptions);
        let mut by_date: BTreeMap<&str, Vec<&ExceptionSpec>> = BTreeMap::new();
        for exception in exceptions {
            by_date.entry(&exception.date).or_default().push(exception);
        }
        for date in &self.remove_exceptions {
            by_date.remove(date.as_str());
        }
        for exception in &self.set_exceptions {
            by_date.remove(exception.date.as_str());
        }
        for exception in &self.set_exceptions {
            // A date that is set twice stays twice, for the check to refuse.
            by_date.entry(&exception.date).or_default().push(exception);
        }
        in_order(CalendarSpec {
            time_zone: self
                .time_zone
                .clone()
                .unwrap_or_else(|| present.time_zone.clone()),
            patterns: self.patterns.clone().unwrap_or_else(|| present.patterns.clone()),
            exceptions: by_date.into_values().flatten().cloned().collect(),
        })
    }
}

impl CalendarChange {
    /// The member that says most about the hours, for what is wrong with all of them together.
    pub fn pointer(&self) -> &'static str {
        if self.patterns.is_some() {
            "/patterns"
        } else if self.exceptions.is_some() {
            "/exceptions"
        } else if !self.set_exceptions.is_empty() {
            "/set_exceptions"
        } else if !self.remove_exceptions.is_empty() {
            "/remove_exceptions"
        } else if self.time_zone.is_some() {
            "/time_zone"
        } else {
            "/patterns"
        }
    }

    /// Free texts in NFC and on one line; refused with a pointer where they cannot be.
    pub fn clean(&mut self) -> Result<()> {
        clean_texts(self.exceptions.as_deref_mut().unwrap_or_default(), "/exceptions")?;
        clean_texts(&mut self.set_exceptions, "/set_exceptions")
    }

    /// The calendar as it would be, checked whole. What is wrong is named where it stands in the change.
    pub fn checked(&self, present: &CalendarSpec) -> Result<(CalendarSpec, Calendar)> {
        let replaced = CalendarSpec {
            time_zone: self.time_zone.as_ref().unwrap_or(&present.time_zone).clone(),
            patterns: self.patterns.as_ref().unwrap_or(&present.patterns).clone(),
            exceptions: self.exceptions.clone().unwrap_or_default(),
        };
        let set = CalendarSpec {
            exceptions: self.set_exceptions.clone(),
            ..present.clone()
        };
        let mut problems = replaced.check().err().unwrap_or_default();
        problems.extend(
            set.check()
                .err()
                .unwrap_or_default()
                .into_iter()
                .map(|problem| SpecProblem {
                    pointer: problem.pointer.replacen("/exceptions", "/set_exceptions", 1),
                    ..problem
                }),
        );
        if !problems.is_empty() {
            return Err(field_errors(problems));
        }
        self.check_removals(present)?;
        let whole = self.applied_to(present);
        if is_more(whole.exceptions.len(), MOST_EXCEPTIONS) {
            let code = FieldCode::TooLong { max: MOST_EXCEPTIONS };
            return Err(Error::invalid_pointer("/set_exceptions", code));
        }
        let calendar = whole.check().map_err(field_errors)?;
        Ok((whole, calendar))
    }

    /// Whoever takes away what is not there is mistaken in the date.
    fn check_removals(&self, present: &CalendarSpec) -> Result<()> {
        let exceptions = self.exceptions.as_ref().unwrap_or(&present.exceptions);
        let dates: BTreeSet<&str> = exceptions
            .iter()
            .map(|exception| exception.date.as_str())
            .collect();
        let known = |date: &String| dates.contains(date.as_str());
        let errors: Vec<FieldError> = self
            .remove_exceptions
            .iter()
            .enumerate()
            .filter(|(_, date)| !known(date))
            .map(|(index, _)| {
                FieldError::pointer(format!("/remove_exceptions/{index}"), FieldCode::UnknownCode)
            })
            .collect();
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Error::Invalid(errors)),
        }
    }
}

/// The order in which patterns and exceptions are given says nothing, so they are stored by date, which compares as text.
pub fn in_order(mut spec: CalendarSpec) -> CalendarSpec {
    spec.patterns
        .sort_by(|one, other| one.valid_from.cmp(&other.valid_from));
    spec.exceptions.sort_by(|one, other| one.date.cmp(&other.date));
    spec
}

fn is_more(length: usize, max: u64) -> bool {
    u64::try_from(length).is_ok_and(|length| length > max)
}

/// The free texts of exceptions, which stand at this pointer: in NFC, on one line, no longer than the contract says.
pub fn clean_texts(exceptions: &mut [ExceptionSpec], at: &str) -> Result<()> {
    let mut errors = Vec::new();
    for (index, exception) in exceptions.iter_mut().enumerate() {
        let (vi, en) = match &mut exception.name {
            Some(name) => (name.vi.as_mut(), name.en.as_mut()),
            None => (None, None),
        };
        let texts = [
            ("name/vi", vi, 200),
            ("name/en", en, 200),
            ("legal_basis", exception.legal_basis.as_mut(), 500),
            ("source", exception.source.as_mut(), 500),
        ];
        for (member, text, max) in texts {
            let Some(text) = text else { continue };
            *text = nfc(text.trim());
            let code = match text.chars().any(char::is_control) {
                true => FieldCode::ControlCharacter,
                false if is_more(text.chars().count(), max) => FieldCode::TooLong { max },
                false => continue,
            };
            errors.push(FieldError::pointer(format!("{at}/{index}/{member}"), code));
        }
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Error::Invalid(errors)),
    }
}
