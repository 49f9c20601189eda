//! SLA policies: how much time each target has at each priority, whose questions get it, when to warn, what pauses, what
//! a warning and a breach set off, what a reopening means.
//!
//! Invariants of a checked policy: some target, none of zero, none longer than a year, warnings before the due, no clock
//! that never runs, escalations that happen and do something, at most one at each moment of a clock.
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::matching::Conditions;
use super::problem::{SpecProblem, SpecRule};

/// The longest target. Beyond it a typing error is likelier than a promise, and every due stays within ten years.
const MAX_DAYS: u32 = 366;
const MAX_MINUTES: u32 = MAX_DAYS * 24 * 60;

/// What a clock promises.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    FirstResponse,
    NextResponse,
    Resolution,
}

impl TargetKind {
    pub const ALL: [TargetKind; 3] = [
        TargetKind::FirstResponse,
        TargetKind::NextResponse,
        TargetKind::Resolution,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            TargetKind::FirstResponse => "first_response",
            TargetKind::NextResponse => "next_response",
            TargetKind::Resolution => "resolution",
        }
    }

    pub fn parse(text: &str) -> Option<TargetKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Ordered by urgency: `Low < Urgent`.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Low,
    Normal,
    High,
    Urgent,
}

impl Priority {
    pub const ALL: [Priority; 4] = [Priority::Low, Priority::Normal, Priority::High, Priority::Urgent];

    pub fn as_str(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Urgent => "urgent",
        }
    }

    /// 1 for low to 4 for urgent, so that a database can order by urgency.
    pub fn rank(self) -> i16 {
        match self {
            Priority::Low => 1,
            Priority::Normal => 2,
            Priority::High => 3,
            Priority::Urgent => 4,
        }
    }

    /// The priority of a stored rank; one that nobody stores counts as the nearest.
    pub fn of_rank(rank: i16) -> Priority {
        match rank {
            ..=1 => Priority::Low,
            2 => Priority::Normal,
            3 => Priority::High,
            4.. => Priority::Urgent,
        }
    }

    pub fn parse(text: &str) -> Option<Priority> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == text)
    }
}

/// The size of a target, e.g. `{"business_minutes": 60}`. Days are counted by the Civil Code, see
/// [`super::Timeline::end_of_business_day_after`].
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    BusinessMinutes(u32),
    BusinessDays(u32),
    CalendarDays(u32),
}

impl Amount {
    pub fn unit(self) -> &'static str {
        match self {
            Amount::BusinessMinutes(_) => "business_minutes",
            Amount::BusinessDays(_) => "business_days",
            Amount::CalendarDays(_) => "calendar_days",
        }
    }
}

/// What a reopening does to the clocks of the target. The first verdict is kept in every case.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum ReopenRule {
    /// The same clock goes on with what it had left; the time in between does not count.
    Continue,
    /// The clock begins again with the full target and takes the place of the first one.
    Restart,
    /// A further clock with the full target stands beside the first one, as a second cycle.
    NewCycle,
}

impl ReopenRule {
    pub const ALL: [ReopenRule; 3] = [ReopenRule::Continue, ReopenRule::Restart, ReopenRule::NewCycle];

    pub fn as_str(self) -> &'static str {
        match self {
            ReopenRule::Continue => "continue",
            ReopenRule::Restart => "restart",
            ReopenRule::NewCycle => "new_cycle",
        }
    }

    pub fn parse(text: &str) -> Option<ReopenRule> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }
}

/// Where an open ticket is, as far as its clocks care.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum HeldState {
    Queued,
    Assigned,
    /// For the asker.
    Waiting,
}

impl HeldState {
    pub const ALL: [HeldState; 3] = [HeldState::Queued, HeldState::Assigned, HeldState::Waiting];
}

/// At which point of a clock an escalation is taken.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    Warning,
    Breach,
}

/// Whom an escalation tells, beside those whom every warning and breach tells.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Notified {
    Assignee,
    QueueMembers,
    Supervisors,
    Admins,
}

/// What is done when a clock warns or breaks. Each is done once per clock, in the transaction that notices.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    pub target: TargetKind,
    pub on: Moment,
    /// Which of the warning thresholds; the first one where it is not said. Not for a breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub notify: BTreeSet<Notified>,
    /// By one step; an urgent ticket stays urgent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raise_priority: bool,
    /// Code of the queue that the ticket goes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
}

/// What the asker of a late question is told until it is answered: an apology with a new date, each time.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct StatusUpdate {
    /// From the breach of the resolution on, and the time that each new date gives.
    pub every: Amount,
}

/// A policy as written and stored.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// A target or priority that is not named has no clock.
    pub targets: Targets,
    /// Which questions get it; all of them where nothing is said.
    #[serde(default)]
    pub conditions: Conditions,
    /// Policies are asked from the lowest number to the highest; a question gets the first whose conditions hold.
    pub precedence: u32,
    /// Warn when so many percent of a target are used up: 1 to 99, ascending.
    pub warn_at_percent: Vec<u8>,
    /// By state: the targets whose clocks pause while the ticket is in it.
    pub pauses: BTreeMap<HeldState, BTreeSet<TargetKind>>,
    pub reopen: ReopenRule,
    /// A resolved ticket closes by itself after so many business days.
    pub close_after_business_days: u32,
    #[serde(default)]
    pub escalations: Vec<Escalation>,
    #[serde(default)]
    pub status_update: Option<StatusUpdate>,
}

/// By target and priority. What is not named has no clock.
pub type Targets = BTreeMap<TargetKind, BTreeMap<Priority, Amount>>;

/// An amount that can be promised; `pointer` is where it stands, without its unit.
pub fn check_amount(pointer: String, amount: Amount) -> Option<SpecProblem> {
    let (count, most) = match amount {
        Amount::BusinessMinutes(count) => (count, MAX_MINUTES),
        Amount::BusinessDays(count) | Amount::CalendarDays(count) => (count, MAX_DAYS),
    };
    if count == 0 {
        let message = "a target of nothing would be broken before it begins; leave it out instead";
        return Some(SpecProblem::new(pointer, SpecRule::ZeroAmount, message));
    }
    (count > most).then(|| SpecProblem::new(pointer, SpecRule::AmountTooLarge, format!("at most {most}")))
}

/// Targets of a policy or of an agreement, at `/targets`.
pub fn check_targets(targets: &Targets, problems: &mut Vec<SpecProblem>) {
    if targets.values().all(BTreeMap::is_empty) {
        let message = "name an amount for at least one target and priority";
        problems.push(SpecProblem::new("/targets", SpecRule::NoTarget, message));
    }
    for (pointer, amount) in amounts_of(targets) {
        problems.extend(check_amount(pointer, amount));
    }
}

/// Every amount of targets, with where it stands.
pub fn amounts_of(targets: &Targets) -> Vec<(String, Amount)> {
    let each = targets.iter().flat_map(|(kind, by_priority)| {
        by_priority
            .iter()
            .map(move |(priority, amount)| (kind, priority, *amount))
    });
    each.map(|(kind, priority, amount)| {
        let (kind, priority, unit) = (kind.as_str(), priority.as_str(), amount.unit());
        (format!("/targets/{kind}/{priority}/{unit}"), amount)
    })
    .collect()
}

impl PolicySpec {
    pub fn target(&self, kind: TargetKind, priority: Priority) -> Option<Amount> {
        self.targets.get(&kind)?.get(&priority).copied()
    }

    pub fn pauses_in(&self, state: HeldState, kind: TargetKind) -> bool {
        self.pauses
            .get(&state)
            .is_some_and(|targets| targets.contains(&kind))
    }

    /// Every amount that is counted by the policy's calendar, with where it stands.
    pub fn amounts(&self) -> Vec<(String, Amount)> {
        let mut amounts = amounts_of(&self.targets);
        let closing = Amount::BusinessDays(self.close_after_business_days);
        amounts.push(("/close_after_business_days".to_owned(), closing));
        if let Some(StatusUpdate { every }) = self.status_update {
            amounts.push((format!("/status_update/every/{}", every.unit()), every));
        }
        amounts
    }

    /// Collects all problems that the policy alone shows; `policies::check` asks what it needs others for.
    pub fn check(&self) -> Result<(), Vec<SpecProblem>> {
        let mut problems = Vec::new();
        check_targets(&self.targets, &mut problems);
        self.conditions.check(&mut problems);
        self.check_warnings(&mut problems);
        self.check_pauses(&mut problems);
        for position in 0..self.escalations.len() {
            self.check_escalation(position, &mut problems);
        }
        if let Some(StatusUpdate { every }) = self.status_update {
            check_status_update(every, &mut problems);
        }
        if !(1..=MAX_DAYS).contains(&self.close_after_business_days) {
            let pointer = "/close_after_business_days";
            problems.push(SpecProblem::new(
                pointer,
                SpecRule::BadCloseAfter,
                format!("from 1 to {MAX_DAYS}"),
            ));
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems),
        }
    }

    fn check_warnings(&self, problems: &mut Vec<SpecProblem>) {
        let mut reached = 0;
        for (position, percent) in self.warn_at_percent.iter().enumerate() {
            if !(1..=99).contains(percent) || *percent <= reached {
                let message = "from 1 to 99, each greater than the one before";
                let pointer = format!("/warn_at_percent/{position}");
                problems.push(SpecProblem::new(pointer, SpecRule::BadPercent, message));
            }
            reached = reached.max(*percent);
        }
    }

    /// A target may be named that the policy lacks: an agreement can promise it, and it has to pause then too.
    fn check_pauses(&self, problems: &mut Vec<SpecProblem>) {
        for target in TargetKind::ALL {
            let always = HeldState::ALL.iter().all(|state| self.pauses_in(*state, target));
            if always {
                let message = format!("{} would pause in every state and never run", target.as_str());
                problems.push(SpecProblem::new("/pauses", SpecRule::NeverRuns, message));
            }
        }
    }

    fn check_escalation(&self, position: usize, problems: &mut Vec<SpecProblem>) {
        let Some(step) = self.escalations.get(position) else {
            return;
        };
        let mut refuse = |member: &str, code, message: &str| {
            let pointer = format!("/escalations/{position}{member}");
            problems.push(SpecProblem::new(pointer, code, message));
        };
        if self.targets.get(&step.target).is_none_or(BTreeMap::is_empty) {
            refuse(
                "/target",
                SpecRule::MissingTarget,
                "the policy has no such target",
            );
        }
        match (step.on, step.percent) {
            (Moment::Breach, Some(_)) => refuse(
                "/percent",
                SpecRule::PercentOnBreach,
                "a breach is at 100 percent",
            ),
            (Moment::Warning, Some(percent)) if !self.warn_at_percent.contains(&percent) => {
                refuse("/percent", SpecRule::UnknownPercent, "not one of warn_at_percent");
            }
            (Moment::Warning, None) if self.warn_at_percent.is_empty() => {
                refuse("/on", SpecRule::NoWarning, "the policy never warns");
            }
            _ => {}
        }
        if step.notify.is_empty() && !step.raise_priority && step.transfer.is_none() {
            refuse(
                "",
                SpecRule::EmptyEscalation,
                "it tells nobody and changes nothing",
            );
        }
        let moment = |step: &Escalation| {
            let first = self.warn_at_percent.first().copied();
            (
                step.target,
                step.on,
                step.percent.or(first.filter(|_| step.on == Moment::Warning)),
            )
        };
        let same = |earlier: &Escalation| moment(earlier) == moment(step);
        if self.escalations.iter().take(position).any(same) {
            let message = "an earlier one is taken at the same moment; say all that is done then in one";
            refuse("", SpecRule::DuplicateEscalation, message);
        }
    }
}

/// Askers are told every day at most.
fn check_status_update(every: Amount, problems: &mut Vec<SpecProblem>) {
    const WORKING_DAY_MINUTES: u32 = 480;
    let pointer = format!("/status_update/every/{}", every.unit());
    let problem = check_amount(pointer.clone(), every);
    let too_often = matches!(every, Amount::BusinessMinutes(1..WORKING_DAY_MINUTES)).then(|| {
        let message = format!("at least a working day, {WORKING_DAY_MINUTES} minutes");
        SpecProblem::new(pointer, SpecRule::TooOften, message)
    });
    problems.extend(problem.or(too_often));
}
