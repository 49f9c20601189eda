//! Read-only questions about the tickets, drawn from their rows and the same whenever they are asked again.
//!
//! Owns the SLA report: how the targets of the tickets filed in a period were kept, as they stood at an instant. The
//! definitions are in docs/REPORTS.md; each rule has its test in `sla`. JSON, CSV and the terminal's table show the same
//! values. Nothing here writes, and nothing depends on whether a worker has been by.
//! Refuses periods that are empty or upside down, and an `as_of` before the period or after now.
mod csv;
mod db;
mod sla;
mod table;

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Datelike, Utc};
use chrono_tz::Tz;
use serde::Serialize;

use crate::calendars::{self, Name};
use crate::error::{Error, FieldCode, Result};
use crate::store::{Db, Ts};
use crate::text_enum;
use crate::tickets::view::Reference;
use crate::tx::Desk;

text_enum! {
    /// What a row of a report is about.
    GroupBy { Organisation "organisation", Queue "queue", Topic "topic", Month "month" }
}

/// About the tickets filed in `[from, to)`, as they stood at `as_of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlaQuestion {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub as_of: DateTime<Utc>,
    pub group_by: GroupBy,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlaReport {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub as_of: DateTime<Utc>,
    pub group_by: GroupBy,
    pub rows: Vec<SlaReportRow>,
    pub total: SlaFigures,
    /// What the figures rest on that is not certain.
    pub warnings: Vec<Warning>,
    /// In which the table shows the instants; months are cut in it.
    #[serde(skip)]
    time_zone: Tz,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Warning {
    pub code: &'static str,
    /// Code of the calendar.
    pub calendar: String,
    /// Of an undecided year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Of a day that is not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    pub text: Name,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlaReportRow {
    pub group: Reference,
    #[serde(flatten)]
    pub figures: SlaFigures,
}

/// The figures of a group, or of all tickets at once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlaFigures {
    pub filed: u64,
    pub answered: u64,
    pub first_response: TargetFigures,
    pub resolution: TargetFigures,
    pub next_response: TargetFigures,
}

/// `met + breached + open + stopped` is the number of tickets that have the target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetFigures {
    pub met: u64,
    pub breached: u64,
    pub open: u64,
    pub stopped: u64,
    pub compliance: Option<f64>,
    pub p50_business_seconds: Option<u64>,
    pub p90_business_seconds: Option<u64>,
    pub mean_business_seconds: Option<f64>,
}

impl SlaQuestion {
    /// A question that was put at `now`; without an `as_of` it is about now. A future `as_of` is refused: its figures
    /// would be a forecast, and another one when the time has come.
    pub fn put_at(
        now: DateTime<Utc>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        as_of: Option<DateTime<Utc>>,
        group_by: GroupBy,
    ) -> Result<SlaQuestion> {
        let as_of = as_of.unwrap_or(now);
        if as_of > now {
            return Err(out_of_range("as_of", "not after now"));
        }
        let question = SlaQuestion {
            from,
            to,
            as_of,
            group_by,
        };
        if from > now {
            return Err(out_of_range("from", "not after now"));
        }
        question.check()?;
        Ok(question)
    }

    fn check(&self) -> Result<()> {
        for (name, at) in [("from", self.from), ("to", self.to), ("as_of", self.as_of)] {
            // Outside these years the text that SQLite compares is no longer of one width.
            if !(1900..=2199).contains(&at.year()) {
                return Err(out_of_range(name, "an instant in the years 1900 to 2199"));
            }
        }
        if self.to <= self.from {
            return Err(out_of_range("to", "later than `from`"));
        }
        if self.as_of < self.from {
            return Err(out_of_range("as_of", "not before `from`"));
        }
        Ok(())
    }

    /// Instants as they are stored, so that a comparison in the database and one in the answer agree.
    fn as_stored(self) -> SlaQuestion {
        SlaQuestion {
            from: Ts::from(self.from).0,
            to: Ts::from(self.to).0,
            as_of: Ts::from(self.as_of).0,
            group_by: self.group_by,
        }
    }
}

fn out_of_range(parameter: &str, expected: &str) -> Error {
    let expected = expected.to_owned();
    Error::invalid_parameter(parameter, FieldCode::OutOfRange { expected })
}

/// The row that a ticket counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum GroupKey {
    Id(i64),
    NoTopic,
    Month { year: i32, month: u32 },
}

/// Draw the report. Its three reads want one moment: ask inside `Store::read_snapshot`.
pub fn sla_report(conn: &mut Db, desk: &Desk, question: &SlaQuestion) -> Result<SlaReport> {
    question.check()?;
    let question = question.as_stored();
    let names = db::list_groups(conn, question.group_by)?;
    let queue_ids: HashMap<&str, i64> = names
        .iter()
        .map(|(id, group)| (group.code.as_str(), *id))
        .collect();
    let later = db::list_later_turns(conn, &question)?;
    let mut tallies: HashMap<GroupKey, sla::Tally> = HashMap::new();
    db::each_ticket(conn, &question, |ticket| {
        let undone = later.get(&ticket.id);
        let key = match question.group_by {
            GroupBy::Organisation => GroupKey::Id(ticket.organisation_id),
            GroupBy::Queue => {
                let queue_then = undone.and_then(|turns| turns.queue_before.as_deref());
                let id = queue_then.and_then(|code| queue_ids.get(code));
                GroupKey::Id(id.copied().unwrap_or(ticket.queue_id))
            }
            GroupBy::Topic => ticket.topic_id.map_or(GroupKey::NoTopic, GroupKey::Id),
            GroupBy::Month => {
                let filed_on = ticket.filed_at.with_timezone(&desk.time_zone);
                GroupKey::Month {
                    year: filed_on.year(),
                    month: filed_on.month(),
                }
            }
        };
        let turns = undone.map(|turns| turns.resolution).unwrap_or_default();
        let case = match undone {
            Some(turns) => turns.undo_moves(&ticket.case),
            None => Cow::Borrowed(&ticket.case),
        };
        let verdicts = sla::Verdicts::of(&case, turns, question.as_of);
        tallies.entry(key).or_default().add(&verdicts);
    })?;
    let total = tallies.values().fold(sla::Tally::default(), sla::Tally::joined);
    let mut rows = tallies
        .into_iter()
        .map(|(key, tally)| {
            let group = name_of(key, &names)?;
            Ok(SlaReportRow {
                group,
                figures: tally.figures(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    rows.sort_by(|one, other| one.group.code.cmp(&other.group.code));
    Ok(SlaReport {
        from: question.from,
        to: question.to,
        as_of: question.as_of,
        group_by: question.group_by,
        rows,
        total: total.figures(),
        warnings: uncertain_days(conn, desk, &question)?,
        time_zone: desk.time_zone,
    })
}

/// What is not certain of the days off of the default calendar, or one of a policy in force, from the first filing to
/// where the dues of the last ones lie.
fn uncertain_days(conn: &mut Db, desk: &Desk, question: &SlaQuestion) -> Result<Vec<Warning>> {
    let last = question.as_of.min(question.to) + calendars::DECISION_HORIZON;
    let certainties = calendars::certainties(conn, &desk.rules, question.from, last)?;
    let warnings = certainties.into_iter().flat_map(|(calendar, certainties)| {
        let years = certainties.undecided_years.into_iter();
        let years = years.map(|year| undecided_year(&calendar, year));
        let days = certainties.unconfirmed.into_iter();
        let days = days.map(|date| unconfirmed_day(&calendar, date));
        years.chain(days).collect::<Vec<_>>()
    });
    Ok(warnings.collect())
}

fn undecided_year(calendar: &str, year: i32) -> Warning {
    Warning {
        code: "undecided_year",
        calendar: calendar.to_owned(),
        year: Some(year),
        date: None,
        text: Name {
            vi: format!(
                "Lịch `{calendar}` chưa có ngày lễ chính thức nào của năm {year}: các ngày lễ được tính là ngày làm việc."
            ),
            en: format!(
                "The calendar `{calendar}` knows no confirmed holiday in {year}: its holidays count as working days."
            ),
        },
    }
}

fn unconfirmed_day(calendar: &str, date: String) -> Warning {
    Warning {
        code: "unconfirmed_day",
        calendar: calendar.to_owned(),
        year: None,
        text: Name {
            vi: format!("Lịch `{calendar}` tính theo ngày {date}, chưa được xác nhận."),
            en: format!("The calendar `{calendar}` counts with {date}, which is not confirmed."),
        },
        date: Some(date),
    }
}

fn name_of(key: GroupKey, names: &HashMap<i64, Reference>) -> Result<Reference> {
    match key {
        GroupKey::Id(id) => names
            .get(&id)
            .cloned()
            .ok_or_else(|| Error::internal("a group of the report has no name", id)),
        GroupKey::NoTopic => Ok(Reference::new("none", "Chưa phân loại", "No topic")),
        GroupKey::Month { year, month } => Ok(month_name(year, month)),
    }
}

fn month_name(year: i32, month: u32) -> Reference {
    let english = match month {
        1 => "January",
        2 => "February",
        3 => "March",
        4 => "April",
        5 => "May",
        6 => "June",
        7 => "July",
        8 => "August",
        9 => "September",
        10 => "October",
        11 => "November",
        _ => "December",
    };
    Reference {
        code: format!("{year:04}-{month:02}"),
        name: Name {
            vi: format!("Tháng {month:02}/{year}"),
            en: format!("{english} {year}"),
        },
    }
}

#[cfg(test)]
mod tests;
