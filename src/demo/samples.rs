//! The 40 sample questions that ship with the product (data/sample_questions.jsonl; all of them invented).
use anyhow::Context;
use chrono::{DateTime, FixedOffset};
use serde::Deserialize;

use crate::sla::{Instant, Priority};

const SAMPLES: &str = include_str!("../../data/sample_questions.jsonl");

/// One question, as its organisation files it.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    pub id: String,
    filed_at: DateTime<FixedOffset>,
    pub channel: String,
    pub organisation_code: String,
    pub unit: String,
    pub topic: String,
    pub priority: Priority,
    /// The queue that shall answer it; where the topic routes elsewhere, the supervisor transfers it.
    pub expected_group: String,
    pub subject: String,
    pub body: String,
}

impl Question {
    pub fn filed_at(&self) -> Instant {
        self.filed_at.to_utc()
    }
}

/// All of them, in the order of filing.
pub fn all() -> anyhow::Result<Vec<Question>> {
    let mut questions = SAMPLES
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str)
        .collect::<serde_json::Result<Vec<Question>>>()
        .context("the sample questions cannot be read")?;
    questions.sort_by_key(Question::filed_at);
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::nfc;

    #[test]
    fn there_are_forty_and_one_of_them_is_decomposed() {
        let questions = all().unwrap();
        assert_eq!(questions.len(), 40);
        let decomposed: Vec<&str> = questions
            .iter()
            .filter(|question| nfc(&question.subject) != question.subject)
            .map(|question| question.id.as_str())
            .collect();
        // As some systems send it (NFD); the API has to compose it.
        assert_eq!(decomposed, ["Q026"]);
    }
}
