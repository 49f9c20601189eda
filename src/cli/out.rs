//! What a command prints, and how its failures read.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where commands speak to the person who called"
)]
use serde::Serialize;

use crate::error::{Conflict, Error, FieldError, Place, Resource};
use crate::http::problem;
use crate::language::Language;

/// A line of the answer, to standard output.
pub fn line(text: &str) {
    use std::io::Write as _;
    // Whoever reads may have seen enough (`| head`): nothing is left to say then.
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Something the person should know, to standard error.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// The answer for programs, on one line.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

pub fn fail(error: &anyhow::Error) {
    let causes: Vec<String> = error
        .chain()
        .map(|cause| cause.to_string().replace('\n', " "))
        .collect();
    eprintln!("giaidap: {}", causes.join(": "));
}

/// A domain error as one line for the person at the terminal.
pub fn explain(error: Error) -> anyhow::Error {
    match &error {
        Error::Invalid(fields) => {
            let lines: Vec<String> = fields.iter().map(field_line).collect();
            anyhow::anyhow!("{}", lines.join("; "))
        }
        Error::NotFound(Resource::User) => anyhow::anyhow!("there is no such user"),
        Error::NotFound(Resource::Organisation) => anyhow::anyhow!("there is no such organisation"),
        Error::NotFound(Resource::Ticket) => anyhow::anyhow!("there is no such ticket"),
        Error::NotFound(Resource::Calendar) => anyhow::anyhow!("there is no such calendar"),
        Error::NotFound(Resource::CalendarVersion) => anyhow::anyhow!("the calendar has no such version"),
        Error::Conflict(Conflict::LastAdministrator) => {
            anyhow::anyhow!("at least one active administrator must be left")
        }
        Error::Conflict(Conflict::KeyEnded) => anyhow::anyhow!("the key has ended; make a new one"),
        Error::Conflict(Conflict::TooManyKeys) => {
            anyhow::anyhow!("the program has too many keys in force; revoke those that are not used any more")
        }
        Error::Conflict(Conflict::CodeTaken) => anyhow::anyhow!("the code is taken"),
        _ => anyhow::anyhow!("{}", error.log_text()),
    }
}

fn field_line(field: &FieldError) -> String {
    let place = match &field.place {
        Place::Pointer(place) | Place::Parameter(place) => place,
    };
    format!("{place}: {}", problem::field_detail(&field.code, Language::En))
}
