//! Cycles of escalations: steps that hand a question from queue to queue until it is back where it was.
//!
//! Pure graph search. A step of a policy leads from every queue in which a question can be under it to the step's queue.
//! Steps follow each other where one question can be under all their policies; its queue changes on the way, nothing
//! else. Steps of one policy alone are a ladder, not a cycle: each is taken once per clock, and its author sees them all.
use std::collections::{BTreeSet, HashSet, VecDeque};

use super::matching::Conditions;
use super::policy::PolicySpec;

/// Beyond so many combinations conditions are no longer narrowed, so that the search ends soon; it may then refuse what
/// could just be allowed, never the reverse.
const NARROWED_STATES: usize = 5_000;

/// A policy as far as its transfers go.
#[derive(Clone, Debug)]
pub struct Transfers {
    pub code: String,
    conditions: Conditions,
    queues: Option<BTreeSet<String>>,
    /// Position of the escalation, and the queue that it leads to.
    steps: Vec<(usize, String)>,
}

/// The way of a question back to where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Position of the escalation of the changed policy that closes it.
    pub escalation: usize,
    /// Queues in turn, the first once more at the end.
    pub queues: Vec<String>,
    /// The policy by which each step is taken.
    pub policies: Vec<String>,
}

impl Cycle {
    /// `technology -(p1)-> security -(p2)-> technology`
    pub fn path(&self) -> String {
        let mut text = String::new();
        for (position, queue) in self.queues.iter().enumerate() {
            if let Some(policy) = position.checked_sub(1).and_then(|step| self.policies.get(step)) {
                text.push_str(&format!(" -({policy})-> "));
            }
            text.push_str(queue);
        }
        text
    }
}

impl Transfers {
    pub fn of(code: &str, spec: &PolicySpec) -> Transfers {
        let mut conditions = spec.conditions.clone();
        let queues = conditions.queue.take();
        Transfers {
            code: code.to_owned(),
            conditions,
            queues: queues.map(BTreeSet::from_iter),
            steps: spec
                .escalations
                .iter()
                .enumerate()
                .filter_map(|(position, step)| Some((position, step.transfer.clone()?)))
                .collect(),
        }
    }

    fn can_hold_in(&self, queue: &str) -> bool {
        self.queues.as_ref().is_none_or(|queues| queues.contains(queue))
    }

    /// The only queue in which a question can be under it.
    fn only_queue(&self) -> Option<&String> {
        let queues = self.queues.as_ref()?;
        queues.first().filter(|_| queues.len() == 1)
    }
}

/// A place of the search: where the question is, what it must be, by which way it came.
struct Reached {
    queue: String,
    conditions: Conditions,
    /// Some step was another policy's.
    by_others: bool,
    /// Index of the place before, and the policy whose step led here.
    from: Option<(usize, String)>,
}

/// A cycle that goes through the changed policy; the others are free of cycles among themselves. `changed` is not one of
/// `others`.
pub fn find_cycle(changed: &Transfers, others: &[Transfers]) -> Option<Cycle> {
    changed
        .steps
        .iter()
        .find_map(|(position, queue)| match changed.only_queue() {
            Some(only) if only == queue => Some(Cycle {
                escalation: *position,
                queues: vec![only.clone(), queue.clone()],
                policies: vec![changed.code.clone()],
            }),
            _ => walk_back(changed, others, *position, queue),
        })
}

/// From the queue that a step leads to, breadth first, back to a queue from which the step can be taken.
fn walk_back(changed: &Transfers, others: &[Transfers], escalation: usize, first: &str) -> Option<Cycle> {
    let mut places = vec![Reached {
        queue: first.to_owned(),
        conditions: changed.conditions.clone(),
        by_others: false,
        from: None,
    }];
    let mut seen: HashSet<(String, Conditions, bool)> = HashSet::new();
    let mut waiting = VecDeque::from([0]);
    while let Some(index) = waiting.pop_front() {
        let place = places.get(index)?;
        if place.by_others && place.queue != first && changed.can_hold_in(&place.queue) {
            return Some(way_to(&places, index, changed, escalation));
        }
        let mut next = Vec::new();
        for policy in others.iter().chain([changed]) {
            if !policy.can_hold_in(&place.queue) {
                continue;
            }
            let Some(narrowed) = place.conditions.intersection(&policy.conditions) else {
                continue;
            };
            let is_narrowed = seen.len() < NARROWED_STATES;
            for (_, to) in policy.steps.iter().filter(|(_, to)| *to != place.queue) {
                next.push(Reached {
                    queue: to.clone(),
                    conditions: if is_narrowed {
                        narrowed.clone()
                    } else {
                        place.conditions.clone()
                    },
                    by_others: place.by_others || policy.code != changed.code,
                    from: Some((index, policy.code.clone())),
                });
            }
        }
        for reached in next {
            if seen.insert((
                reached.queue.clone(),
                reached.conditions.clone(),
                reached.by_others,
            )) {
                waiting.push_back(places.len());
                places.push(reached);
            }
        }
    }
    None
}

fn way_to(places: &[Reached], last: usize, changed: &Transfers, escalation: usize) -> Cycle {
    let (mut queues, mut policies) = (Vec::new(), Vec::new());
    let mut at = places.get(last);
    while let Some(place) = at {
        queues.push(place.queue.clone());
        at = place.from.as_ref().and_then(|(before, policy)| {
            policies.push(policy.clone());
            places.get(*before)
        });
    }
    // The step itself comes first: it leads from where the way ends.
    queues.extend(queues.first().cloned());
    policies.push(changed.code.clone());
    queues.reverse();
    policies.reverse();
    Cycle {
        escalation,
        queues,
        policies,
    }
}
