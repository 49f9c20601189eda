//! Which policy a question gets: the first, by precedence, whose conditions all hold.
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a question must be for a policy to be its own. All that are given must hold; each names what it may be.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Codes of organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<BTreeSet<String>>,
    /// Kinds of organisations: `ministry`, `agency`, `province`, `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BTreeSet<String>>,
    /// Codes of topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<BTreeSet<String>>,
    /// Codes of queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<BTreeSet<String>>,
    /// At least one of them is on the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<BTreeSet<String>>,
    /// Whether the organisation is a pilot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pilot: Option<bool>,
}

/// What conditions look at.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub organisation: &'a str,
    pub kind: &'a str,
    pub pilot: bool,
    pub topic: Option<&'a str>,
    pub queue: &'a str,
    pub channel: &'a str,
    pub tags: &'a [String],
}

/// A member of [`Conditions`].
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Organisation,
    Kind,
    Topic,
    Queue,
    Channel,
    Tag,
    Pilot,
}

impl Conditions {
    /// The conditions that the question does not fulfil; none where the policy applies.
    pub fn failing(&self, question: &Question<'_>) -> Vec<Condition> {
        let one_of = |allowed: &Option<BTreeSet<String>>, value: Option<&str>| {
            allowed
                .as_ref()
                .is_none_or(|allowed| value.is_some_and(|value| allowed.contains(value)))
        };
        let tagged = self
            .tag
            .as_ref()
            .is_none_or(|wanted| question.tags.iter().any(|tag| wanted.contains(tag)));
        [
            (
                Condition::Organisation,
                one_of(&self.organisation, Some(question.organisation)),
            ),
            (Condition::Kind, one_of(&self.kind, Some(question.kind))),
            (Condition::Topic, one_of(&self.topic, question.topic)),
            (Condition::Queue, one_of(&self.queue, Some(question.queue))),
            (Condition::Channel, one_of(&self.channel, Some(question.channel))),
            (Condition::Tag, tagged),
            (
                Condition::Pilot,
                self.pilot.is_none_or(|pilot| pilot == question.pilot),
            ),
        ]
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(condition, _)| condition)
        .collect()
    }

    pub fn hold_for(&self, question: &Question<'_>) -> bool {
        self.failing(question).is_empty()
    }
}
