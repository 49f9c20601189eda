//! Content lines (RFC 5545, section 3.1): unfolded, cut into name, parameters and value, each with the number of the line
//! on which it begins.
use crate::broken_rule::{BrokenRule, HouseRule};
use crate::calendars::import::LineProblem;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentLine {
    pub line: u64,
    /// In capitals.
    pub name: String,
    /// Names in capitals.
    pub parameters: Vec<(String, String)>,
    /// As written, escapes and all.
    pub value: String,
}

impl ContentLine {
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn refuse(&self, code: impl Into<BrokenRule>, message: impl Into<String>) -> LineProblem {
        LineProblem::new(self.line, code, message)
    }

    /// A text without its escapes (section 3.3.11).
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.value.len());
        let mut letters = self.value.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some('n' | 'N') => text.push('\n'),
                    Some(other) => text.push(other),
                    None => text.push('\\'),
                },
                other => text.push(other),
            }
        }
        text
    }
}

/// Folding cuts octets, also inside a letter (section 3.1), so it is undone before the text is decoded.
pub fn read_lines(bytes: &[u8]) -> Result<Vec<ContentLine>, LineProblem> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut unfolded: Vec<(u64, Vec<u8>)> = Vec::new();
    for (number, line) in (1_u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match (line.split_first(), unfolded.last_mut()) {
            (Some((b' ' | b'\t', rest)), Some((_, before))) => before.extend_from_slice(rest),
            (None, _) => {}
            _ => unfolded.push((number, line.to_vec())),
        }
    }
    unfolded
        .into_iter()
        .map(|(number, bytes)| {
            let text = String::from_utf8(bytes).ok();
            let text = text.ok_or_else(|| LineProblem::new(number, HouseRule::BadEncoding, "not UTF-8"))?;
            let broken = || {
                LineProblem::new(
                    number,
                    HouseRule::BadLine,
                    "not of the form NAME;PARAMETER=…:value",
                )
            };
            cut(number, &text).ok_or_else(broken)
        })
        .collect()
}

fn cut(line: u64, text: &str) -> Option<ContentLine> {
    let (head, value) = split_outside_quotes(text, ':')?;
    let mut parts = Vec::new();
    let mut rest = head;
    while let Some((part, after)) = split_outside_quotes(rest, ';') {
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    let mut parts = parts.into_iter();
    let name = parts.next().filter(|name| is_name(name))?;
    let parameter = |part: &str| {
        let (name, value) = part.split_once('=')?;
        is_name(name).then(|| (name.to_ascii_uppercase(), value.trim_matches('"').to_owned()))
    };
    Some(ContentLine {
        line,
        name: name.to_ascii_uppercase(),
        parameters: parts.map(parameter).collect::<Option<Vec<_>>>()?,
        value: value.to_owned(),
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn split_outside_quotes(text: &str, separator: char) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = text.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        !quoted && *letter == separator
    });
    let (at, _) = at?;
    let (before, after) = text.split_at_checked(at)?;
    Some((before, after.strip_prefix(separator)?))
}
