//! The demo: the sample questions, played through the product's own HTTP API at their own dates on a manual clock.
//!
//! In reading order: what is asked (`samples`), who does what when (`script`, pure and seeded by `chance`), who they are
//! (`cast`) and what they say (`texts`), the caller of the API (`client`), the play itself (`player`) and what it came
//! to (`summary`). The demo does nothing that a caller of the API could not do, except to turn the clock.
mod cast;
mod chance;
mod client;
mod player;
mod samples;
mod script;
pub mod summary;
mod texts;

pub use client::Client;
pub use player::{Play, Played};

/// When the first question is filed: where the clock begins.
pub fn first_instant() -> anyhow::Result<crate::sla::Instant> {
    let questions = samples::all()?;
    let first = questions.first().map(samples::Question::filed_at);
    anyhow::Context::context(first, "there are no sample questions")
}
