//! Which policy a question gets: the first, by precedence, whose conditions all hold.
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::problem::{SpecProblem, SpecRule};

/// What a question must be for a policy to be its own. All that are given must hold; each names what it may be.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Codes of organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Vec<String>>,
    /// Kinds of organisations: `ministry`, `agency`, `province`, `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Vec<String>>,
    /// Codes of topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Vec<String>>,
    /// Codes of queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Vec<String>>,
    /// At least one of them is on the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Vec<String>>,
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
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// The most values that a condition may name, and the most characters of one.
const MOST_VALUES: usize = 200;
const LONGEST_VALUE: usize = 100;

impl Conditions {
    /// The conditions that the question does not fulfil; none where the policy applies.
    pub fn failing(&self, question: &Question<'_>) -> Vec<Condition> {
        let one_of = |allowed: &Option<Vec<String>>, value: Option<&str>| {
            allowed
                .as_ref()
                .is_none_or(|allowed| allowed.iter().any(|known| value == Some(known)))
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

    /// Whether a question of such an organisation can fulfil these conditions, whatever else it is.
    pub fn may_hold_for(&self, organisation: &str, kind: &str, pilot: bool) -> bool {
        let allows = |allowed: &Option<Vec<String>>, value: &str| {
            allowed
                .as_ref()
                .is_none_or(|allowed| allowed.iter().any(|known| known == value))
        };
        allows(&self.organisation, organisation)
            && allows(&self.kind, kind)
            && self.pilot.is_none_or(|wanted| wanted == pilot)
    }

    pub fn hold_for(&self, question: &Question<'_>) -> bool {
        self.failing(question).is_empty()
    }

    /// The conditions that name values, each with the name of its member.
    pub fn lists(&self) -> [(&'static str, Option<&Vec<String>>); 6] {
        [
            ("organisation", self.organisation.as_ref()),
            ("kind", self.kind.as_ref()),
            ("topic", self.topic.as_ref()),
            ("queue", self.queue.as_ref()),
            ("channel", self.channel.as_ref()),
            ("tag", self.tag.as_ref()),
        ]
    }

    /// Codes: `empty_condition`, `too_many_values`, `bad_value`, `duplicate_value`.
    pub fn check(&self, problems: &mut Vec<SpecProblem>) {
        for (name, values) in self.lists() {
            let Some(values) = values else { continue };
            let pointer = format!("/conditions/{name}");
            if values.is_empty() {
                let message = "no question is one of nothing; leave the condition out instead";
                problems.push(SpecProblem::new(&pointer, SpecRule::EmptyCondition, message));
            }
            if values.len() > MOST_VALUES {
                let message = format!("at most {MOST_VALUES} values");
                problems.push(SpecProblem::new(&pointer, SpecRule::TooManyValues, message));
                continue;
            }
            let mut known = BTreeSet::new();
            for (position, value) in values.iter().enumerate() {
                let pointer = format!("{pointer}/{position}");
                if !(1..=LONGEST_VALUE).contains(&value.chars().count()) {
                    let message = format!("from 1 to {LONGEST_VALUE} characters");
                    problems.push(SpecProblem::new(pointer, SpecRule::BadValue, message));
                } else if !known.insert(value) {
                    problems.push(SpecProblem::new(
                        pointer,
                        SpecRule::DuplicateValue,
                        "named already",
                    ));
                }
            }
        }
    }

    /// What a question must be for both to hold; none where no question can be that. Any two tags can be on one question,
    /// so tags are left to the first.
    pub fn intersection(&self, other: &Conditions) -> Option<Conditions> {
        let pilot = match (self.pilot, other.pilot) {
            (Some(own), Some(others)) if own != others => return None,
            (own, others) => own.or(others),
        };
        Some(Conditions {
            organisation: both(self.organisation.as_ref(), other.organisation.as_ref())?,
            kind: both(self.kind.as_ref(), other.kind.as_ref())?,
            topic: both(self.topic.as_ref(), other.topic.as_ref())?,
            queue: both(self.queue.as_ref(), other.queue.as_ref())?,
            channel: both(self.channel.as_ref(), other.channel.as_ref())?,
            tag: self.tag.clone(),
            pilot,
        })
    }

    /// Every question that fulfils these conditions fulfils the wider ones too.
    pub fn imply(&self, wider: &Conditions) -> bool {
        let pilot = wider.pilot.is_none() || wider.pilot == self.pilot;
        pilot
            && self
                .lists()
                .into_iter()
                .zip(wider.lists())
                .all(|((_, own), (_, wider))| {
                    let Some(wider) = wider else { return true };
                    own.is_some_and(|own| own.iter().all(|value| wider.contains(value)))
                })
    }
}

/// The values that two conditions on the same thing have in common. Outer none: no value at all.
fn both(own: Option<&Vec<String>>, other: Option<&Vec<String>>) -> Option<Option<Vec<String>>> {
    let (Some(own), Some(other)) = (own, other) else {
        return Some(own.or(other).cloned());
    };
    let common: Vec<String> = own
        .iter()
        .filter(|value| other.contains(value))
        .cloned()
        .collect();
    (!common.is_empty()).then_some(Some(common))
}
