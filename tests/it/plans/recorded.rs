//! What runs on every connection, as Diesel's own hook tells it, with its values put in their places.
use std::sync::Mutex;

use diesel::connection::{Instrumentation, InstrumentationEvent};

use crate::support::database::Backend;

pub(super) static RECORDED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Keeps what runs on one connection, with the database that it is connected to.
#[derive(Default)]
pub(super) struct Recorder {
    url: String,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => self.url = url.to_owned(),
            InstrumentationEvent::StartQuery { query, .. } => {
                RECORDED
                    .lock()
                    .unwrap()
                    .push((self.url.clone(), query.to_string()));
            }
            _ => {}
        }
    }
}

/// A recorded statement with its values in their places.
pub(super) fn with_values(recorded: &str, backend: Backend) -> String {
    let (sql, binds) = recorded.rsplit_once(" -- binds: ").unwrap();
    let values: Vec<String> = items(binds).iter().map(|item| literal(item, backend)).collect();
    let mut filled = String::new();
    let mut rest = sql;
    let mark = if backend == Backend::Sqlite { '?' } else { '$' };
    let mut next = 0;
    while let Some((before, after)) = rest.split_once(mark) {
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let position = after[..digits].parse().unwrap_or(next + 1);
        filled.push_str(before);
        filled.push_str(&values[position - 1]);
        next = position;
        rest = &after[digits..];
    }
    filled + rest
}

/// The members of a list as Rust prints it.
fn items(list: &str) -> Vec<String> {
    let inner = list
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
        .unwrap();
    let (mut items, mut item, mut depth, mut quoted, mut escaped) =
        (Vec::new(), String::new(), 0, false, false);
    for c in inner.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        item.push(c);
    }
    items.push(item);
    items
        .iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn literal(item: &str, backend: Backend) -> String {
    let typed = |text: &str, kind: &str| match backend {
        Backend::Sqlite => format!("'{text}'"),
        Backend::Postgres => format!("'{text}'::{kind}"),
    };
    let inside = |name: &str| {
        item.strip_prefix(name)
            .and_then(|item| item.strip_prefix('(')?.strip_suffix(')'))
    };
    if let Some(inner) = inside("Some") {
        return literal(inner, backend);
    }
    if let Some(instant) = inside("Ts") {
        let instant = chrono::DateTime::parse_from_rfc3339(instant).unwrap();
        return typed(
            &instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            "timestamptz",
        );
    }
    if let Some(uid) = inside("Uid") {
        return typed(uid, "uuid");
    }
    match item.chars().next().unwrap() {
        '"' => {
            let text: String = serde_json::from_str(item).unwrap();
            format!("'{}'", text.replace('\'', "''"))
        }
        '[' => match items(item).as_slice() {
            [] => "ARRAY[]::bigint[]".to_owned(),
            members => {
                let members: Vec<_> = members.iter().map(|member| literal(member, backend)).collect();
                format!("ARRAY[{}]", members.join(", "))
            }
        },
        _ if item == "None" => "NULL".to_owned(),
        _ if chrono::NaiveDate::parse_from_str(item, "%Y-%m-%d").is_ok() => typed(item, "date"),
        c if c.is_ascii_uppercase() => format!("'{}'", item.to_lowercase()),
        _ => item.to_owned(),
    }
}
