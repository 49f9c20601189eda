//! All-day events as days. A category or property of ours marks the days that are worked; see docs/CALENDARS.md.
//!
//! Refuses: timed events, recurrences other than those of [`Yearly`], events without a date, ends that are not after the
//! beginning, more than [`MAX_EVENTS`] events or [`MAX_DAYS`] days, anything that is not iCalendar.
use chrono::{Days, NaiveDate};

use super::lines::{ContentLine, read_lines};
use super::property;
use super::recurrence::Yearly;
use crate::broken_rule::HouseRule;
use crate::calendars::import::{
    Day, Hours, ImportedDay, LineProblem, MAX_DAYS, Years, one_line, parse_certainty, parse_hours, parse_kind,
};
use crate::sla::SpecRule;
use crate::sla::calendar::ExceptionKind;

/// Events that a file may have. A calendar of all holidays of a lifetime has fewer.
pub const MAX_EVENTS: usize = 5000;
/// Days that one event may last.
const MAX_LENGTH: u64 = 366;
/// Problems that are worth reading at once.
const MAX_PROBLEMS: usize = 50;

pub fn read(bytes: &[u8], years: &Years) -> Result<Vec<ImportedDay>, Vec<LineProblem>> {
    let lines = read_lines(bytes).map_err(|problem| vec![problem])?;
    let events = find_events(lines).map_err(|problem| vec![problem])?;
    let (mut days, mut problems) = (Vec::new(), Vec::new());
    for event in &events {
        match event.days(years) {
            Ok(more) => days.extend(more),
            Err(problem) => problems.push(problem),
        }
        if days.len() > MAX_DAYS {
            let message = format!("with this event the file names more than {MAX_DAYS} days");
            return Err(vec![LineProblem::new(
                event.line,
                HouseRule::TooManyDays,
                message,
            )]);
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

/// A `VEVENT` with its own properties; those of an alarm in it are left out.
struct Event {
    line: u64,
    lines: Vec<ContentLine>,
}

/// Components that are no events (time zones, tasks) are passed over.
fn find_events(lines: Vec<ContentLine>) -> Result<Vec<Event>, LineProblem> {
    let begins = lines
        .first()
        .is_some_and(|line| line.name == "BEGIN" && line.value.trim().eq_ignore_ascii_case("VCALENDAR"));
    if !begins {
        let message = "an iCalendar file begins with BEGIN:VCALENDAR";
        return Err(LineProblem::new(1, HouseRule::NotIcalendar, message));
    }
    let last = lines.last().map_or(1, |line| line.line);
    let mut open: Vec<String> = Vec::new();
    let mut events: Vec<Event> = Vec::new();
    for line in lines {
        let component = line.value.trim().to_ascii_uppercase();
        match line.name.as_str() {
            "BEGIN" => {
                if component == "VEVENT" {
                    if events.len() == MAX_EVENTS {
                        let message = format!("more than {MAX_EVENTS} events");
                        return Err(line.refuse(HouseRule::TooManyEvents, message));
                    }
                    events.push(Event {
                        line: line.line,
                        lines: Vec::new(),
                    });
                }
                open.push(component);
            }
            "END" if open.last() == Some(&component) => {
                open.pop();
            }
            "END" => {
                return Err(line.refuse(HouseRule::BadLine, format!("END:{component} without its BEGIN")));
            }
            _ => {
                let is_event = open.last().is_some_and(|component| component == "VEVENT");
                if let Some(event) = events.last_mut().filter(|_| is_event) {
                    event.lines.push(line);
                }
            }
        }
    }
    match open.pop() {
        None => Ok(events),
        Some(component) => {
            let message = format!("the file ends before END:{component}");
            Err(LineProblem::new(last, HouseRule::BadLine, message))
        }
    }
}

impl Event {
    fn find(&self, name: &str) -> Option<&ContentLine> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// One that may stand once.
    fn only(&self, name: &str) -> Result<Option<&ContentLine>, LineProblem> {
        let mut found = self.lines.iter().filter(|line| line.name == name);
        let first = found.next();
        match found.next() {
            Some(second) => {
                Err(second.refuse(HouseRule::BadEvent, format!("a second {name} in the same event")))
            }
            None => Ok(first),
        }
    }

    fn days(&self, years: &Years) -> Result<Vec<ImportedDay>, LineProblem> {
        for unsupported in ["RDATE", "EXRULE", "RECURRENCE-ID"] {
            if let Some(line) = self.find(unsupported) {
                return Err(line.refuse(
                    HouseRule::UnsupportedRecurrence,
                    format!("{unsupported} is not supported; write the days as events of their own"),
                ));
            }
        }
        let start_line = self
            .only("DTSTART")?
            .ok_or_else(|| LineProblem::new(self.line, HouseRule::BadEvent, "the event has no DTSTART"))?;
        let start = date_of(start_line)?;
        let length = self.length(start)?;
        let starts = match self.only("RRULE")? {
            None => vec![start],
            Some(line) => {
                let rule = Yearly::parse(line.value.trim())
                    .map_err(|reason| line.refuse(HouseRule::UnsupportedRecurrence, reason))?;
                rule.occurrences(start, years)
            }
        };
        let left_out = self.left_out()?;
        let day = match self.find("STATUS").map(|line| line.value.trim()) {
            Some(status) if status.eq_ignore_ascii_case("CANCELLED") => None,
            _ => Some(self.content()?),
        };
        let dates = starts
            .into_iter()
            .filter(|start| !left_out.contains(start))
            .flat_map(|start| {
                (0..length).filter_map(move |offset| start.checked_add_days(Days::new(offset)))
            });
        let imported = dates.map(|date| ImportedDay {
            line: self.line,
            date,
            day: day.clone(),
        });
        Ok(imported.collect())
    }

    /// In days. An end is exclusive (RFC 5545, section 3.6.1); without one a date lasts a day.
    fn length(&self, start: NaiveDate) -> Result<u64, LineProblem> {
        let (end, duration) = (self.only("DTEND")?, self.only("DURATION")?);
        let (line, length) = match (end, duration) {
            (None, None) => return Ok(1),
            (Some(line), None) => {
                let days = date_of(line)?.signed_duration_since(start).num_days();
                (line, u64::try_from(days).unwrap_or(0))
            }
            (None, Some(line)) => {
                let days = whole_days(line.value.trim());
                let message = "an all-day event lasts whole days or weeks, e.g. P3D";
                (
                    line,
                    days.ok_or_else(|| line.refuse(HouseRule::TimedEvent, message))?,
                )
            }
            (Some(_), Some(line)) => {
                return Err(line.refuse(HouseRule::BadEvent, "DTEND and DURATION exclude each other"));
            }
        };
        match length {
            0 => Err(line.refuse(
                HouseRule::BadEvent,
                "the event ends before it begins; an end is the day after",
            )),
            1..=MAX_LENGTH => Ok(length),
            _ => Err(line.refuse(
                HouseRule::TooManyDays,
                format!("an event of more than {MAX_LENGTH} days"),
            )),
        }
    }

    fn left_out(&self) -> Result<Vec<NaiveDate>, LineProblem> {
        let mut dates = Vec::new();
        for line in self.lines.iter().filter(|line| line.name == "EXDATE") {
            for text in line.value.split(',') {
                let date = parse_date(text.trim());
                dates.push(
                    date.ok_or_else(|| line.refuse(SpecRule::BadDate, format!("`{text}` is no date")))?,
                );
            }
        }
        Ok(dates)
    }

    fn content(&self) -> Result<Day, LineProblem> {
        let is_category = |wanted: &str| {
            let categories = self.lines.iter().filter(|line| line.name == "CATEGORIES");
            categories
                .flat_map(|line| line.value.split(','))
                .any(|category| category.trim().replace('_', "-").eq_ignore_ascii_case(wanted))
        };
        let kind = match self.only(property::KIND)? {
            None if is_category("MAKE-UP") => Some(ExceptionKind::MakeUp),
            None => None,
            Some(line) => Some(parse_kind(line.value.trim()).ok_or_else(|| {
                let message = "not statutory, compensatory, swap, make_up or other";
                line.refuse(HouseRule::UnknownValue, message)
            })?),
        };
        let hours = match self.only(property::INTERVALS)? {
            Some(line) => parse_hours(line.text().trim()).ok_or_else(|| {
                let message = "hours are written 08:00-12:00,13:30-17:30 or off";
                line.refuse(HouseRule::BadIntervals, message)
            })?,
            None if kind == Some(ExceptionKind::MakeUp) => Hours::LikeMonday,
            None if is_category("CHANGED-HOURS") => {
                let message = format!("an event of changed hours needs {}", property::INTERVALS);
                return Err(LineProblem::new(self.line, HouseRule::BadIntervals, message));
            }
            None => Hours::Off,
        };
        let certainty = match self.only(property::CERTAINTY)? {
            None => None,
            Some(line) => Some(parse_certainty(line.value.trim()).ok_or_else(|| {
                line.refuse(HouseRule::UnknownValue, "not confirmed, projected or uncertain")
            })?),
        };
        let text = |name: &str| self.find(name).and_then(|line| one_line(&line.text()));
        let (name_vi, name_en) = self.names();
        Ok(Day {
            hours,
            kind,
            name_vi,
            name_en,
            legal_basis: text(property::LEGAL_BASIS).or_else(|| self.described_basis()),
            certainty,
            source: text(property::SOURCE),
        })
    }

    /// In both languages where the file is ours; else the summary, in Vietnamese unless it says that it is English.
    fn names(&self) -> (Option<String>, Option<String>) {
        let text = |name: &str| self.find(name).and_then(|line| one_line(&line.text()));
        let own = (text(property::NAME_VI), text(property::NAME_EN));
        if own != (None, None) {
            return own;
        }
        let (mut vi, mut en) = own;
        for line in self.lines.iter().filter(|line| line.name == "SUMMARY") {
            if line.parameter(property::UNNAMED).is_some() {
                continue;
            }
            let language = line
                .parameter("LANGUAGE")
                .unwrap_or_default()
                .to_ascii_lowercase();
            let is_english = language == "en" || language.starts_with("en-");
            let name = if is_english { &mut en } else { &mut vi };
            *name = name.take().or_else(|| one_line(&line.text()));
        }
        (vi, en)
    }

    /// What people can write in a calendar program, where there are no properties of ours.
    fn described_basis(&self) -> Option<String> {
        let description = self.find("DESCRIPTION")?.text();
        let after = |line: &str| {
            let (label, rest) = line.split_once(':')?;
            ["căn cứ", "legal basis"]
                .contains(&label.trim().to_lowercase().as_str())
                .then(|| one_line(rest))?
        };
        description.lines().find_map(after)
    }
}

/// The date of an all-day property.
fn date_of(line: &ContentLine) -> Result<NaiveDate, LineProblem> {
    let value = line.value.trim();
    if let Some(zone) = line.parameter("TZID")
        && zone.parse::<chrono_tz::Tz>().is_err()
    {
        return Err(line.refuse(
            SpecRule::UnknownTimeZone,
            format!("`{zone}` is not the name of an IANA time zone"),
        ));
    }
    if value.contains('T') {
        let message = "only all-day events are days; this one has a time of day";
        return Err(line.refuse(HouseRule::TimedEvent, message));
    }
    parse_date(value).ok_or_else(|| {
        line.refuse(
            SpecRule::BadDate,
            format!("`{value}` is no date of the form 20190429"),
        )
    })
}

/// `YYYYMMDD`.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let is_eight_digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    NaiveDate::parse_from_str(text, "%Y%m%d")
        .ok()
        .filter(|_| is_eight_digits)
}

/// `P3D`, `P2W`.
fn whole_days(text: &str) -> Option<u64> {
    let amount = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    if let Some(weeks) = amount.strip_suffix('W') {
        return weeks.parse::<u32>().ok().map(|weeks| u64::from(weeks) * 7);
    }
    amount.strip_suffix('D')?.parse::<u32>().ok().map(u64::from)
}
