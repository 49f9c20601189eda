//! A calendar as a file to subscribe to: one all-day event per exception, transparent, so that nobody's own calendar shows
//! them as busy for it.
use chrono::{DateTime, Days, NaiveDate, Utc};

use super::property;
use crate::calendars::Name;
use crate::calendars::import::{name_of, written_hours};
use crate::language::Language;
use crate::sla::calendar::{CalendarSpec, Certainty, ExceptionKind, ExceptionSpec};

/// Whose file it is.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Part of the events' identity, so it must not change.
    pub uid: String,
    pub name: Name,
    pub version: i64,
    pub created_at: DateTime<Utc>,
}

/// The file in the words of this language; names in the other one are kept in properties of ours.
pub fn write(subject: &Subject, calendar: &CalendarSpec, language: Language) -> String {
    let mut file = File::default();
    file.line("BEGIN:VCALENDAR");
    file.line("VERSION:2.0");
    file.line("PRODID:-//giaidap//working calendars//EN");
    file.line("CALSCALE:GREGORIAN");
    file.line("METHOD:PUBLISH");
    let name = language.choose(&subject.name.vi, &subject.name.en);
    // NAME and REFRESH-INTERVAL are RFC 7986; the X- forms are what older programs read.
    file.text("NAME", name);
    file.text("X-WR-CALNAME", name);
    file.line(&format!("X-WR-TIMEZONE:{}", calendar.time_zone));
    file.line("REFRESH-INTERVAL;VALUE=DURATION:P1D");
    file.line("X-PUBLISHED-TTL:P1D");
    for exception in &calendar.exceptions {
        let Some(date) = NaiveDate::parse_from_str(&exception.date, "%Y-%m-%d").ok() else {
            continue;
        };
        file.event(subject, exception, date, language);
    }
    file.line("END:VCALENDAR");
    file.text
}

#[derive(Default)]
struct File {
    text: String,
}

impl File {
    fn event(&mut self, subject: &Subject, exception: &ExceptionSpec, date: NaiveDate, language: Language) {
        let next = date.checked_add_days(Days::new(1)).unwrap_or(date);
        self.line("BEGIN:VEVENT");
        self.line(&format!("UID:{}.{}@giaidap", exception.date, subject.uid));
        self.line(&format!(
            "DTSTAMP:{}",
            subject.created_at.format("%Y%m%dT%H%M%SZ")
        ));
        self.line(&format!("SEQUENCE:{}", subject.version));
        self.line(&format!("DTSTART;VALUE=DATE:{}", date.format("%Y%m%d")));
        self.line(&format!("DTEND;VALUE=DATE:{}", next.format("%Y%m%d")));
        self.summary(exception, language);
        let category = match (exception.intervals.is_empty(), exception.kind) {
            (true, _) => "DAY-OFF",
            (false, Some(ExceptionKind::MakeUp)) => "MAKE-UP",
            (false, _) => "CHANGED-HOURS",
        };
        self.line(&format!("CATEGORIES:{category}"));
        self.line("TRANSP:TRANSPARENT");
        let description = description(exception, language);
        if !description.is_empty() {
            self.text("DESCRIPTION", &description);
        }
        self.own_properties(exception);
        self.line("END:VEVENT");
    }

    fn summary(&mut self, exception: &ExceptionSpec, language: Language) {
        let name = exception.name.clone().unwrap_or_default();
        let (own, other) = match language {
            Language::Vi => ((name.vi, "vi"), (name.en, "en")),
            Language::En => ((name.en, "en"), (name.vi, "vi")),
        };
        let named = [own, other]
            .into_iter()
            .find_map(|(name, tag)| Some((name?, tag)));
        match named {
            Some((name, tag)) => self.text(&format!("SUMMARY;LANGUAGE={tag}"), &name),
            None => {
                let word = match exception.intervals.is_empty() {
                    true => language.choose("Ngày nghỉ", "Day off"),
                    false => language.choose("Ngày làm việc theo giờ riêng", "Worked by hours of its own"),
                };
                self.text(
                    &format!("SUMMARY;LANGUAGE={language};{}=TRUE", property::UNNAMED),
                    word,
                );
            }
        }
    }

    fn own_properties(&mut self, exception: &ExceptionSpec) {
        let name = exception.name.clone().unwrap_or_default();
        let optional = [
            (property::KIND, exception.kind.map(name_of)),
            (property::INTERVALS, Some(written_hours(&exception.intervals))),
            (property::NAME_VI, name.vi),
            (property::NAME_EN, name.en),
            (property::LEGAL_BASIS, exception.legal_basis.clone()),
            (property::CERTAINTY, exception.certainty.map(name_of)),
            (property::SOURCE, exception.source.clone()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                self.text(name, &value);
            }
        }
    }

    /// A property of text with its escapes (RFC 5545, section 3.3.11).
    fn text(&mut self, name: &str, value: &str) {
        let mut line = format!("{name}:");
        for letter in value.chars() {
            match letter {
                '\\' | ';' | ',' => line.extend(['\\', letter]),
                '\n' => line.push_str("\\n"),
                control if control.is_control() => {}
                other => line.push(other),
            }
        }
        self.line(&line);
    }

    /// Folded at 75 octets (section 3.1), never inside a letter: some programs decode before they unfold.
    fn line(&mut self, line: &str) {
        let mut octets = 0;
        for letter in line.chars() {
            if octets + letter.len_utf8() > 75 {
                self.text.push_str("\r\n ");
                octets = 1;
            }
            self.text.push(letter);
            octets += letter.len_utf8();
        }
        self.text.push_str("\r\n");
    }
}

fn description(exception: &ExceptionSpec, language: Language) -> String {
    let mut lines = Vec::new();
    if !exception.intervals.is_empty() {
        let label = language.choose("Giờ làm việc", "Working hours");
        let hours = written_hours(&exception.intervals).replace(',', ", ");
        lines.push(format!("{label}: {hours}"));
    }
    if let Some(basis) = &exception.legal_basis {
        let label = language.choose("Căn cứ", "Legal basis");
        lines.push(format!("{label}: {basis}"));
    }
    match exception.certainty {
        Some(Certainty::Projected) => {
            lines.push(
                language
                    .choose("Dự kiến, chưa có quyết định", "Projected, not decided yet")
                    .into(),
            );
        }
        Some(Certainty::Uncertain) => {
            lines.push(language.choose("Chưa chắc chắn", "Uncertain").into());
        }
        Some(Certainty::Confirmed) | None => {}
    }
    lines.join("\n")
}
