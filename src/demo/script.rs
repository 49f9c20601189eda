//! Who does what when: the life of every sample question, planned before anybody acts. Pure, and the same for the same
//! seed, questions, routing, policy and calendar.
//!
//! The seed decides the pace, the agents' hands and which questions are late, asked back, referred and so on; how many
//! there are of each kind is fixed, so that every demo shows everything. Plans say when an act falls at the earliest:
//! whom the queue gives which question is the product's decision, and the player waits for it.
use std::collections::HashMap;

use super::chance::Chance;
use super::samples::Question;
use crate::sla::{self, HeldState, Instant, NoWorkingTime, PolicySpec, Priority, TargetKind, Timeline};
use crate::tickets::Outcome;

/// Asks about a citizen's own case, which the centre does not handle.
const OUT_OF_SCOPE: &str = "Q040";

/// How many questions of each kind a demo shows.
const ANSWERED_LATE: usize = 4;
const FIRST_REPLY_LATE: usize = 2;
const CUT_CLOSE: usize = 6;
const ASKED_BACK: usize = 7;
const HANDED_OUT: usize = 4;
const REFERRED: usize = 4;
const RAISED: usize = 2;
const CLOSED_BY_ASKER: usize = 6;
const REOPENED: usize = 1;

/// The life of one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub filed_at: Instant,
    /// Where the supervisor sends it, and when, if its topic routes it to the wrong queue.
    pub transfer: Option<Transfer>,
    /// When somebody takes it from its queue.
    pub taken_at: Instant,
    /// The supervisor names the agent instead of waiting for one to take it.
    pub handed_out: bool,
    /// Which member of the queue acts, counted around.
    pub hand: usize,
    /// What happens once somebody has it, in this order.
    pub acts: Vec<Act>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub at: Instant,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Not before; an act also waits for the one before it.
    pub at: Instant,
    pub kind: ActKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// The agent says that the question is being worked on.
    Reply,
    /// The agent asks for more; the clocks pause.
    AskBack,
    /// The asker gives it.
    GiveMore,
    /// The agent notes for colleagues why the question goes to the Task Force.
    Note,
    Resolve(Outcome),
    /// The asker is content and closes; otherwise the question closes by itself.
    Close,
    /// The asker is not content.
    Reopen,
    /// The agent says why the centre cannot help, and who can.
    Decline,
    Cancel,
}

/// How much of a target is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Easy,
    /// After the warning.
    Close,
    /// After the due.
    Late,
}

impl Pace {
    fn permille(self, chance: &mut Chance) -> i64 {
        match self {
            Pace::Easy => chance.between(200, 700),
            Pace::Close => chance.between(800, 950),
            Pace::Late => chance.between(1100, 1400),
        }
    }
}

/// What the questions are planned by.
pub struct Rules<'a> {
    pub policy: &'a PolicySpec,
    pub timeline: &'a Timeline,
    /// Topic to the queue that it routes to.
    pub routes: &'a HashMap<String, String>,
}

/// The plans of the questions, in their order.
pub fn write(questions: &[Question], rules: &Rules<'_>, seed: u64) -> Result<Vec<Plan>, NoWorkingTime> {
    let mut chance = Chance::new(seed);
    let parts = Parts::draw(questions, &mut chance);
    questions
        .iter()
        .enumerate()
        .map(|(index, question)| plan(question, &parts.of(index), rules, &mut chance))
        .collect()
}

/// Which questions play which part, by their position.
struct Parts {
    late: Vec<usize>,
    reply_late: Vec<usize>,
    close: Vec<usize>,
    asked_back: Vec<usize>,
    handed_out: Vec<usize>,
    referred: Vec<usize>,
    raised: Vec<usize>,
    closed_by_asker: Vec<usize>,
    reopened: Vec<usize>,
}

impl Parts {
    fn draw(questions: &[Question], chance: &mut Chance) -> Parts {
        let candidates = |fits: &dyn Fn(&Question) -> bool| -> Vec<usize> {
            let answered = questions.iter().enumerate();
            answered
                .filter(|(_, question)| question.id != OUT_OF_SCOPE && fits(question))
                .map(|(index, _)| index)
                .collect()
        };
        // An incident that waits for days would show a centre that nobody wants.
        let patient = candidates(&|question| question.priority != Priority::Urgent);
        let any = candidates(&|_| true);
        let mut paced = chance.draw(patient, ANSWERED_LATE + FIRST_REPLY_LATE + CUT_CLOSE);
        let mut ended = chance.draw(any.clone(), CLOSED_BY_ASKER + REOPENED);
        let mut settled = chance.draw(any.clone(), REFERRED + RAISED);
        let late = take(&mut paced, ANSWERED_LATE);
        let reply_late = take(&mut paced, FIRST_REPLY_LATE);
        let closed_by_asker = take(&mut ended, CLOSED_BY_ASKER);
        let referred = take(&mut settled, REFERRED);
        Parts {
            late,
            reply_late,
            close: paced,
            asked_back: chance.draw(any.clone(), ASKED_BACK),
            handed_out: chance.draw(any, HANDED_OUT),
            referred,
            raised: settled,
            closed_by_asker,
            reopened: ended,
        }
    }

    fn of(&self, index: usize) -> Part {
        let pace = if self.late.contains(&index) {
            Pace::Late
        } else if self.close.contains(&index) {
            Pace::Close
        } else {
            Pace::Easy
        };
        let outcome = if self.referred.contains(&index) {
            Outcome::Referred
        } else if self.raised.contains(&index) {
            Outcome::Raised
        } else {
            Outcome::Answered
        };
        Part {
            pace,
            reply_pace: if self.reply_late.contains(&index) {
                Pace::Late
            } else {
                Pace::Easy
            },
            asked_back: self.asked_back.contains(&index),
            handed_out: self.handed_out.contains(&index),
            outcome,
            closed_by_asker: self.closed_by_asker.contains(&index),
            reopened: self.reopened.contains(&index),
        }
    }
}

fn take(from: &mut Vec<usize>, count: usize) -> Vec<usize> {
    from.drain(..count.min(from.len())).collect()
}

struct Part {
    pace: Pace,
    reply_pace: Pace,
    asked_back: bool,
    handed_out: bool,
    outcome: Outcome,
    closed_by_asker: bool,
    reopened: bool,
}

fn plan(
    question: &Question,
    part: &Part,
    rules: &Rules<'_>,
    chance: &mut Chance,
) -> Result<Plan, NoWorkingTime> {
    let (timeline, filed_at) = (rules.timeline, question.filed_at());
    let reply_due = due(rules, TargetKind::FirstResponse, question)?;
    let reply_at = partway(timeline, filed_at, reply_due, part.reply_pace.permille(chance))?;
    let taken_at = partway(timeline, filed_at, reply_at, chance.between(400, 800))?;
    let routed_to = rules.routes.get(&question.topic);
    let transfer = match routed_to {
        Some(queue) if *queue != question.expected_group => Some(Transfer {
            at: partway(timeline, filed_at, taken_at, 500)?,
            to: question.expected_group.clone(),
        }),
        _ => None,
    };
    let hand = usize::try_from(chance.between(0, 1000)).unwrap_or(0);
    let acts = if question.id == OUT_OF_SCOPE {
        let cancelled_at = timeline.due(reply_at, chance.between(300, 900))?;
        vec![
            act(reply_at, ActKind::Decline),
            act(cancelled_at, ActKind::Cancel),
        ]
    } else {
        acts(question, part, reply_at, rules, chance)?
    };
    Ok(Plan {
        filed_at,
        transfer,
        taken_at,
        handed_out: part.handed_out,
        hand,
        acts,
    })
}

fn act(at: Instant, kind: ActKind) -> Act {
    Act { at, kind }
}

fn acts(
    question: &Question,
    part: &Part,
    reply_at: Instant,
    rules: &Rules<'_>,
    chance: &mut Chance,
) -> Result<Vec<Act>, NoWorkingTime> {
    let timeline = rules.timeline;
    let mut acts = Vec::new();
    let mut answer_from = reply_at;
    let mut answer_due = due(rules, TargetKind::Resolution, question)?;
    if part.asked_back {
        let days = u32::try_from(chance.between(1, 4)).unwrap_or(1);
        let replied_on = timeline.end_of_business_day_after(reply_at, days)?;
        let given_at = timeline.due(replied_on, chance.between(600, 9000))?;
        acts.push(act(reply_at, ActKind::AskBack));
        acts.push(act(given_at, ActKind::GiveMore));
        answer_from = given_at;
        answer_due = due_after_pause(rules, question, reply_at, given_at)?.unwrap_or(answer_due);
    } else {
        acts.push(act(reply_at, ActKind::Reply));
    }
    let permille = part.pace.permille(chance);
    let resolved_at = partway(timeline, answer_from, answer_due, permille)?;
    if part.outcome == Outcome::Raised {
        acts.push(act(
            partway(timeline, answer_from, resolved_at, 500)?,
            ActKind::Note,
        ));
    }
    acts.push(act(resolved_at, ActKind::Resolve(part.outcome)));
    if part.reopened {
        let reopened_at = timeline.due(resolved_at, chance.between(4, 10) * 3600)?;
        let again_at = timeline.due(reopened_at, chance.between(2, 6) * 1800)?;
        acts.push(act(reopened_at, ActKind::Reopen));
        acts.push(act(again_at, ActKind::Resolve(part.outcome)));
    }
    if part.closed_by_asker {
        let (content_after, last) = (chance.between(1, 20) * 1800, acts.last().map(|act| act.at));
        let closed_at = timeline.due(last.unwrap_or(resolved_at), content_after)?;
        acts.push(act(closed_at, ActKind::Close));
    }
    Ok(acts)
}

/// The question's due, unless a pause moves it. A policy without this target leaves the demo two business days.
fn due(rules: &Rules<'_>, target: TargetKind, question: &Question) -> Result<Instant, NoWorkingTime> {
    match rules.policy.target(target, question.priority) {
        Some(amount) => amount.due_from(rules.timeline, question.filed_at()),
        None => rules.timeline.end_of_business_day_after(question.filed_at(), 2),
    }
}

/// The resolution's due after the asker was asked back, as the clock will say; `None` where the policy has no such
/// target or does not pause it.
fn due_after_pause(
    rules: &Rules<'_>,
    question: &Question,
    asked_at: Instant,
    given_at: Instant,
) -> Result<Option<Instant>, NoWorkingTime> {
    let target = TargetKind::Resolution;
    let amount = rules.policy.target(target, question.priority);
    let (Some(amount), true) = (amount, rules.policy.pauses_in(HeldState::Waiting, target)) else {
        return Ok(None);
    };
    let mut clock = sla::Clock::start(amount, question.filed_at());
    if clock.pause(asked_at).is_err() || clock.resume(given_at).is_err() {
        return Ok(None);
    }
    Ok(clock.figures(rules.timeline, given_at)?.due_at)
}

/// So much of the working time between two instants, in thousandths; more than 1000 is after the end.
fn partway(timeline: &Timeline, from: Instant, to: Instant, permille: i64) -> Result<Instant, NoWorkingTime> {
    let seconds = timeline.elapsed(from, to).saturating_mul(permille) / 1000;
    // A whole minute at least, because two things that people do never fall together.
    timeline.due(from, seconds.max(60))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::demo::samples;

    fn shipped() -> (PolicySpec, Timeline) {
        let policy = serde_json::from_str(include_str!("../../data/policies/default.json")).unwrap();
        let calendar = include_str!("../../data/calendars/vn-government.json");
        let mut calendar: Value = serde_json::from_str(calendar).unwrap();
        let fields = calendar.as_object_mut().unwrap();
        fields.remove("code");
        fields.remove("name");
        let spec: sla::CalendarSpec = serde_json::from_value(calendar).unwrap();
        (policy, Timeline::new(spec.check().unwrap()))
    }

    fn plans(seed: u64) -> Vec<Plan> {
        let (policy, timeline) = shipped();
        let questions = samples::all().unwrap();
        // Topics that are not in it route to the right queue, as nearly all do.
        let routes = HashMap::from([("QLVB".to_owned(), "technology".to_owned())]);
        let rules = Rules {
            policy: &policy,
            timeline: &timeline,
            routes: &routes,
        };
        write(&questions, &rules, seed).unwrap()
    }

    fn count(plans: &[Plan], kind: ActKind) -> usize {
        let acts = plans.iter().flat_map(|plan| &plan.acts);
        acts.filter(|act| act.kind == kind).count()
    }

    #[test]
    fn a_seed_gives_the_same_script_and_another_seed_another() {
        assert_eq!(plans(1), plans(1));
        assert_ne!(plans(1), plans(2));
    }

    #[test]
    fn every_script_shows_everything() {
        for seed in 0..50 {
            let plans = plans(seed);
            assert_eq!(plans.len(), 40);
            assert_eq!(count(&plans, ActKind::AskBack), ASKED_BACK);
            assert_eq!(count(&plans, ActKind::GiveMore), ASKED_BACK);
            assert_eq!(count(&plans, ActKind::Close), CLOSED_BY_ASKER);
            assert_eq!(count(&plans, ActKind::Reopen), REOPENED);
            assert_eq!(count(&plans, ActKind::Note), RAISED);
            assert_eq!(count(&plans, ActKind::Cancel), 1);
            let resolved = |outcome| count(&plans, ActKind::Resolve(outcome));
            assert!(resolved(Outcome::Referred) >= REFERRED && resolved(Outcome::Raised) >= RAISED);
            assert_eq!(plans.iter().filter(|plan| plan.handed_out).count(), HANDED_OUT);
            assert_eq!(plans.iter().filter(|plan| plan.transfer.is_some()).count(), 1);
        }
    }

    #[test]
    fn acts_follow_each_other_in_working_hours() {
        let (_, timeline) = shipped();
        for plan in plans(11) {
            assert!(plan.filed_at < plan.taken_at);
            let mut last = plan.taken_at;
            for act in plan.acts {
                assert!(act.at > last, "{act:?} after {last}");
                // A due at closing time is the last instant of that day.
                assert!(timeline.is_open(act.at - chrono::Duration::seconds(1)), "{act:?}");
                last = act.at;
            }
        }
    }

    #[test]
    fn nobody_works_in_the_tet_holidays() {
        let questions = samples::all().unwrap();
        let index = questions
            .iter()
            .position(|question| question.id == "Q032")
            .unwrap();
        let reopening: Instant = "2020-01-30T08:00:00+07:00".parse().unwrap();
        for seed in 0..20 {
            let acts = plans(seed).swap_remove(index).acts;
            assert!(
                acts.iter().all(|act| act.at > reopening
                    || act.at < questions[index].filed_at() + chrono::Duration::minutes(40)),
                "{acts:?}"
            );
        }
    }
}
