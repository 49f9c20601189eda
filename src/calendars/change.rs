//! A proposed change of a calendar: what is asked for, and the whole calendar that would come of it. Previews and imports
//! speak of changes; only applying one makes a version.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sla::calendar::{CalendarSpec, ExceptionSpec, PatternSpec};

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
    /// The calendar as it would be, exceptions sorted by date. Whether that is a sound calendar, its own check says.
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
        CalendarSpec {
            time_zone: self
                .time_zone
                .clone()
                .unwrap_or_else(|| present.time_zone.clone()),
            patterns: self.patterns.clone().unwrap_or_else(|| present.patterns.clone()),
            exceptions: by_date.into_values().flatten().cloned().collect(),
        }
    }
}
