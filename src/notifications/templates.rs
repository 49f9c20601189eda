//! The wording of every mail, in Vietnamese and English.
//!
//! The templates live in `data/templates` and are compiled in. Whatever they say, a rendered subject starts with
//! `[number]` (replies are threaded by it), is one line, and everything is NFC. Values are data: a brace or a tag in
//! a question's subject is shown as it was written, in the text and, escaped, in the HTML. Text and HTML carry the
//! same paragraphs; the HTML loads nothing from anywhere.

use std::fmt;

use chrono::{DateTime, Offset, Utc};
use chrono_tz::Tz;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::deadline;
use crate::language::Language;

/// Longest part of a question's subject that goes into the subject line, in characters.
const SUBJECT_LINE_CHARACTERS: usize = 120;

macro_rules! mail_kinds {
    ($($kind:ident $name:literal),+ $(,)?) => {
        /// What happened, as far as a mail tells it.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            diesel::AsExpression, diesel::FromSqlRow,
        )]
        #[diesel(sql_type = diesel::sql_types::Text)]
        #[serde(rename_all = "snake_case")]
        pub enum MailKind { $($kind),+ }

        impl MailKind {
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            const fn source(self, language: Language) -> &'static str {
                match (self, language) { $(
                    (Self::$kind, Language::Vi) =>
                        include_str!(concat!("../../data/templates/vi/", $name, ".txt")),
                    (Self::$kind, Language::En) =>
                        include_str!(concat!("../../data/templates/en/", $name, ".txt")),
                )+ }
            }
        }
    };
}

mail_kinds! {
    Received "received",
    Assigned "assigned",
    Answered "answered",
    NeedInfo "need_info",
    Warning "warning",
    Overdue "overdue",
    OverdueApology "overdue_apology",
    Closed "closed",
    Cancelled "cancelled",
    Reopened "reopened",
    Message "message",
    RequesterWrote "requester_wrote",
}

impl MailKind {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for MailKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a mail says. Stored as JSON in the outbox, so fields are only ever added, with a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailData {
    pub ticket_number: String,
    pub subject: String,
    pub organisation: String,
    #[serde(default)]
    pub due_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub agent_name: Option<String>,
    pub link: String,
    /// Who signs. Absent: the answer centre's own name in the language of the mail.
    #[serde(default)]
    pub owner: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMail {
    pub subject: String,
    pub text: String,
    pub html: String,
}

#[derive(Debug, thiserror::Error)]
#[error("mail template {name}: {source}")]
pub struct TemplateError {
    name: String,
    source: minijinja::Error,
}

/// Every template, compiled once. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    time_zone: Tz,
}

const LAYOUT: &str = "layout.html";

impl Templates {
    /// `time_zone` is the zone in which people read deadlines.
    pub fn new(time_zone: Tz) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        // A misspelt variable is an error of ours, never an empty place in a letter.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut add = |name: String, source: &'static str| {
            environment
                .add_template_owned(name.clone(), source)
                .map_err(|source| TemplateError { name, source })
        };
        add(
            LAYOUT.to_owned(),
            include_str!("../../data/templates/layout.html"),
        )?;
        for language in Language::ALL {
            for &kind in MailKind::ALL {
                let source = kind.source(language);
                let (subject, body) = source.split_once('\n').unwrap_or((source, ""));
                let subject = subject.strip_prefix("Subject: ").unwrap_or(subject);
                add(subject_template(kind, language), subject)?;
                add(body_template(kind, language), body)?;
            }
        }
        Ok(Self {
            environment,
            time_zone,
        })
    }

    pub fn render(
        &self,
        kind: MailKind,
        language: Language,
        data: &MailData,
    ) -> Result<RenderedMail, TemplateError> {
        let number = single_line(&data.ticket_number);
        let subject = single_line(&data.subject);
        let link = single_line(&data.link).replace(' ', "");
        let owner = data
            .owner
            .as_deref()
            .map(single_line)
            .filter(|owner| !owner.is_empty());
        let owner = owner.unwrap_or_else(|| default_owner(language).to_owned());
        let agent_name = data
            .agent_name
            .as_deref()
            .map(single_line)
            .filter(|name| !name.is_empty());
        let values = |subject: &str| {
            context! {
                ticket_number => number.as_str(),
                subject => subject,
                organisation => single_line(&data.organisation),
                due_at => data.due_at.map(|due_at| format_due_at(due_at, self.time_zone, language)),
                agent_name => agent_name.as_deref(),
                link => link.as_str(),
                owner => owner.as_str(),
            }
        };

        let short_subject = cut(&subject, SUBJECT_LINE_CHARACTERS);
        let rest = self.fill(&subject_template(kind, language), values(&short_subject))?;
        let title = single_line(&format!("[{number}] {rest}"));

        let body = self.fill(&body_template(kind, language), values(&subject))?;
        let body: String = body.nfc().collect();
        let paragraphs: Vec<&str> = body
            .split("\n\n")
            .map(str::trim)
            .filter(|paragraph| !paragraph.is_empty())
            .collect();

        let text = format!("{}\n\n{owner}\n", paragraphs.join("\n\n"));
        let html = self.fill(
            LAYOUT,
            context! {
                language => language.as_str(),
                title => title.as_str(),
                paragraphs => paragraphs.iter().map(|text| split_links(text, &link)).collect::<Value>(),
                owner => owner.as_str(),
            },
        )?;
        Ok(RenderedMail {
            subject: title,
            text,
            html,
        })
    }

    fn fill(&self, name: &str, values: Value) -> Result<String, TemplateError> {
        let filled = self
            .environment
            .get_template(name)
            .and_then(|template| template.render(values));
        filled.map_err(|source| TemplateError {
            name: name.to_owned(),
            source,
        })
    }
}

fn subject_template(kind: MailKind, language: Language) -> String {
    format!("{language}/{kind}.subject")
}

fn body_template(kind: MailKind, language: Language) -> String {
    format!("{language}/{kind}.txt")
}

/// The name under which the centre signs where the operator has set none.
pub const fn default_owner(language: Language) -> &'static str {
    match language {
        Language::Vi => "Trung tâm giải đáp về Chính phủ điện tử",
        Language::En => "E-Government Answer Centre",
    }
}

/// The paragraph in parts for the layout, so that only our own link becomes an anchor. Another scheme than HTTP
/// stays plain text: nothing that arrives as data can become a `javascript:` address.
fn split_links(paragraph: &str, link: &str) -> Value {
    let part = |text: &str, is_link: bool| context! { text => text, is_link => is_link };
    if !(link.starts_with("https://") || link.starts_with("http://")) {
        return vec![part(paragraph, false)].into();
    }
    let mut parts = Vec::new();
    for (index, text) in paragraph.split(link).enumerate() {
        if index > 0 {
            parts.push(part(link, true));
        }
        if !text.is_empty() {
            parts.push(part(text, false));
        }
    }
    parts.into()
}

/// `16:30, 22/11/2019` or `22 Nov 2019, 16:30 (GMT+7)`, in the zone of the reader.
pub fn format_due_at(due_at: DateTime<Utc>, time_zone: Tz, language: Language) -> String {
    let (date, time) = (
        deadline::date(due_at, time_zone),
        deadline::minute(due_at, time_zone),
    );
    match language {
        Language::Vi => format!("{time}, {}", date.format("%d/%m/%Y")),
        Language::En => {
            let local = due_at.with_timezone(&time_zone);
            let offset = offset_label(local.offset().fix().local_minus_utc());
            format!("{}, {time} ({offset})", date.format("%-d %b %Y"))
        }
    }
}

/// `GMT+7`, `GMT-3:30`, `GMT`.
fn offset_label(offset_seconds: i32) -> String {
    let minutes = offset_seconds.abs() / 60;
    let sign = if offset_seconds < 0 { '-' } else { '+' };
    match (minutes / 60, minutes % 60) {
        (0, 0) => "GMT".to_owned(),
        (hours, 0) => format!("GMT{sign}{hours}"),
        (hours, minutes) => format!("GMT{sign}{hours}:{minutes:02}"),
    }
}

/// NFC text on one line. Control characters become spaces, so that a line break can neither end a header nor glue
/// two words; marks that reverse the reading direction vanish, so that a subject cannot disguise what follows it
/// (Unicode TR 36, section 2.5).
pub(super) fn single_line(text: &str) -> String {
    let visible = text.nfc().filter(|character| !is_direction_mark(*character));
    let spaced: String = visible
        .map(|character| if breaks_a_line(character) { ' ' } else { character })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn breaks_a_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// At most `limit` characters, the ellipsis included. Never between a letter and its marks.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().take(limit).collect();
    // The character at the limit gives way to the ellipsis; where it was a mark, its letter goes with it.
    while kept.pop().is_some_and(is_combining_mark) {}
    let kept: String = kept.into_iter().collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests;
