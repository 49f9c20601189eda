//! What lists search by, one document per ticket: the folded words of its subject, body and public messages, and marks of
//! what seldom changes (organisation, topic, requester, channel, tags, custom fields). Both databases index the same words.
//!
//! Notes are never indexed: an organisation must not find by what it may not read. The first 300,000 bytes of a ticket's
//! folded text are searched, which keeps a document within what PostgreSQL takes (1 MiB); of a longer word its first 64
//! letters. A question is a list of needles; nothing of what people type reaches a database as syntax.
mod db;

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::db::TicketRow;
use super::lifecycle::Channel;
use crate::error::Result;
use crate::store::Db;
use crate::text::fold;

pub use db::{Found, is_rare, store_documents};

/// As many words and phrases as one question may have.
pub const MOST_NEEDLES: usize = 32;

const MOST_BYTES: usize = 300_000;
const LONGEST_WORD: usize = 64;
/// From how many letters on the last word of a question also finds what begins with it.
const SHORTEST_START: usize = 3;

/// Begins every mark, and stands between two texts so that no phrase runs over their border. No word has it, because
/// it is no letter; it is part of a word to FTS5's `ascii` tokenizer, because it is not ASCII.
const SIGN: char = '§';

/// What is known of a ticket besides its texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark<'a> {
    Organisation(i64),
    Topic(i64),
    Requester(i64),
    Channel(Channel),
    Tag(&'a str),
    Field(&'a str, &'a str),
}

impl Mark<'_> {
    fn word(self) -> String {
        match self {
            Mark::Organisation(id) => format!("{SIGN}o{id}"),
            Mark::Topic(id) => format!("{SIGN}p{id}"),
            Mark::Requester(id) => format!("{SIGN}r{id}"),
            Mark::Channel(channel) => format!("{SIGN}c{}", digest(&[channel.as_str()])),
            Mark::Tag(tag) => format!("{SIGN}t{}", digest(&[tag])),
            Mark::Field(name, value) => format!("{SIGN}f{}", digest(&[name, value])),
        }
    }
}

/// Tags and values hold any text; what stands for them is of one form and length.
fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    HEXLOWER.encode(hash.finalize().get(..16).unwrap_or_default())
}

/// A custom field's value as a filter names it: texts as they are, numbers in their shortest form.
fn field_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if !number.is_i64() && !number.is_u64() => float.to_string(),
            _ => number.to_string(),
        }),
        _ => None,
    }
}

/// What is indexed of one ticket.
pub struct Document {
    ticket_id: i64,
    /// Folded words; a `SIGN` between two texts.
    words: Vec<String>,
    marks: BTreeSet<String>,
}

impl Document {
    /// A ticket with the bodies of its public messages, oldest first.
    pub fn new<'a>(ticket: &'a TicketRow, messages: impl IntoIterator<Item = &'a str>) -> Document {
        let mut words = Vec::new();
        let mut left = MOST_BYTES;
        let own = [ticket.subject.as_str(), ticket.body.as_str()];
        for text in own.into_iter().chain(messages) {
            let folded = fold(text);
            for word in folded.split(' ').filter(|word| !word.is_empty()) {
                let word = shortened(word);
                let Some(rest) = left.checked_sub(word.len() + 1) else {
                    break;
                };
                left = rest;
                words.push(word);
            }
            words.push(SIGN.to_string());
        }
        Document {
            ticket_id: ticket.id,
            words,
            marks: marks_of(ticket),
        }
    }
}

fn shortened(word: &str) -> String {
    word.chars().take(LONGEST_WORD).collect()
}

fn marks_of(ticket: &TicketRow) -> BTreeSet<String> {
    let mut marks = BTreeSet::from([
        Mark::Organisation(ticket.organisation_id).word(),
        Mark::Channel(ticket.channel).word(),
    ]);
    marks.extend(ticket.topic_id.map(|id| Mark::Topic(id).word()));
    marks.extend(ticket.requester_id.map(|id| Mark::Requester(id).word()));
    let tags = ticket.tags.0.as_array().into_iter().flatten();
    marks.extend(tags.filter_map(Value::as_str).map(|tag| Mark::Tag(tag).word()));
    let fields = ticket.custom_fields.0.as_object().into_iter().flatten();
    marks.extend(fields.filter_map(|(name, value)| Some(Mark::Field(name, &field_text(value)?).word())));
    marks
}

/// Index the ticket as it is now.
pub fn index(conn: &mut Db, ticket: &TicketRow) -> Result<()> {
    let said = db::list_public_texts(conn, ticket.id, MOST_BYTES)?;
    let document = Document::new(ticket, said.iter().map(String::as_str));
    store_documents(conn, &[document])
}

/// One thing that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Needle {
    Word(String),
    /// A word that begins so.
    Start(String),
    Phrase(Vec<String>),
    /// One of these marks.
    Mark(Vec<String>),
}

impl Needle {
    pub fn mark(mark: Mark<'_>) -> Needle {
        Needle::Mark(vec![mark.word()])
    }

    pub fn one_of<'a>(marks: impl IntoIterator<Item = Mark<'a>>) -> Needle {
        Needle::Mark(marks.into_iter().map(Mark::word).collect())
    }
}

/// What somebody typed to search for: words that must all occur, the last one also as a beginning, and phrases between
/// quotation marks. A quotation mark without its pair is no more than a space.
pub fn needles(typed: &str) -> Vec<Needle> {
    let parts: Vec<&str> = typed.split(['"', '“', '”']).collect();
    let last = parts.len().saturating_sub(1);
    let mut needles: Vec<Needle> = Vec::new();
    for (at, part) in parts.into_iter().enumerate() {
        let folded = fold(part);
        let words: Vec<String> = folded
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(shortened)
            .collect();
        let is_quoted = at % 2 == 1 && at < last;
        match words.as_slice() {
            [] => {}
            _ if is_quoted => needles.push(Needle::Phrase(words)),
            _ => needles.extend(words.into_iter().map(Needle::Word)),
        }
        if at == last
            && !folded.is_empty()
            && let Some(Needle::Word(word)) = needles.last_mut()
            && word.chars().count() >= SHORTEST_START
        {
            let start = Needle::Start(std::mem::take(word));
            needles.pop();
            needles.push(start);
        }
    }
    let mut seen = BTreeSet::new();
    needles.retain(|needle| seen.insert(format!("{needle:?}")));
    needles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Needle {
        Needle::Word(text.to_owned())
    }

    #[test]
    fn words_phrases_and_the_beginning_of_the_last_word() {
        assert_eq!(
            needles("Hoà  \"Thủ tục\" đườ"),
            [
                word("hoa"),
                Needle::Phrase(vec!["thu".into(), "tuc".into()]),
                Needle::Start("duo".into())
            ]
        );
        assert_eq!(needles("a \"b"), [word("a"), word("b")]);
        assert_eq!(needles("NOT or hoa hoa ab"), ["not", "or", "hoa", "ab"].map(word));
        assert_eq!(
            needles("“trích dẫn”"),
            [Needle::Phrase(vec!["trich".into(), "dan".into()])]
        );
        assert_eq!(needles("\"\" !? --"), []);
    }

    #[test]
    fn a_number_is_found_by_its_shortest_form() {
        for (value, text) in [
            ("9", "9"),
            ("9.0", "9"),
            ("0.50", "0.5"),
            ("true", "true"),
            ("\"9.0\"", "9.0"),
        ] {
            let value: Value = serde_json::from_str(value).unwrap();
            assert_eq!(field_text(&value).as_deref(), Some(text));
        }
    }
}
