use proptest::prelude::*;
use serde_json::json;

use crate::sla::PolicySpec;
use crate::sla::escalation::{Transfers, find_cycle};

const QUEUES: [&str; 3] = ["a", "b", "c"];
const KINDS: [&str; 2] = ["ministry", "province"];

fn policy(code: &str, queues: Option<&[&str]>, kinds: Option<&[&str]>, transfers: &[&str]) -> Transfers {
    let mut conditions = json!({});
    if let Some(queues) = queues {
        conditions["queue"] = json!(queues);
    }
    if let Some(kinds) = kinds {
        conditions["kind"] = json!(kinds);
    }
    let steps: Vec<_> = transfers
        .iter()
        .map(|to| json!({ "target": "resolution", "on": "breach", "transfer": to }))
        .collect();
    let spec: PolicySpec = serde_json::from_value(json!({
        "targets": {}, "conditions": conditions, "precedence": 1, "warn_at_percent": [], "pauses": {},
        "reopen": "continue", "close_after_business_days": 1, "escalations": steps,
    }))
    .unwrap();
    Transfers::of(code, &spec)
}

#[test]
fn two_queues_that_hand_a_question_to_each_other_are_a_cycle() {
    let first = policy("first", Some(&["a"]), None, &["b"]);
    let back = policy("back", Some(&["b"]), None, &["a"]);
    let cycle = find_cycle(&back, std::slice::from_ref(&first)).unwrap();
    assert_eq!(cycle.escalation, 0);
    assert_eq!(cycle.path(), "b -(back)-> a -(first)-> b");
    let of_ministries = policy("back", Some(&["b"]), Some(&["ministry"]), &["a"]);
    assert!(find_cycle(&of_ministries, std::slice::from_ref(&first)).is_some());
    let of_provinces = policy("first", Some(&["a"]), Some(&["province"]), &["b"]);
    assert_eq!(find_cycle(&of_ministries, &[of_provinces]), None);
}

#[test]
fn a_way_round_three_queues_is_found_and_named() {
    let others = [
        policy("one", Some(&["a"]), None, &["b"]),
        policy("two", Some(&["b"]), None, &["c"]),
    ];
    let cycle = find_cycle(&policy("three", Some(&["c"]), None, &["a"]), &others).unwrap();
    assert_eq!(cycle.path(), "c -(three)-> a -(one)-> b -(two)-> c");
    assert_eq!(
        find_cycle(&policy("three", Some(&["c"]), None, &["c", "c"][..0]), &others),
        None
    );
}

#[test]
fn a_policy_of_every_queue_closes_the_cycle_of_another_that_leaves_its_queue() {
    let everywhere = policy("everywhere", None, None, &["a"]);
    let leaving = policy("leaving", Some(&["a"]), None, &["b"]);
    assert!(find_cycle(&leaving, std::slice::from_ref(&everywhere)).is_some());
    assert!(find_cycle(&everywhere, &[leaving]).is_some());
}

#[test]
fn the_steps_of_one_policy_are_a_ladder_and_a_step_to_its_only_queue_is_a_cycle() {
    assert_eq!(find_cycle(&policy("ladder", None, None, &["a", "b"]), &[]), None);
    let own = find_cycle(&policy("own", Some(&["a"]), None, &["a"]), &[]).unwrap();
    assert_eq!(own.path(), "a -(own)-> a");
}

/// Policies as plain values: which queues and kinds (by bits, 0 for no condition), and where to.
type Drawn = (u8, u8, Vec<usize>);

fn of_bits<'a>(names: &[&'a str], bits: u8) -> Option<Vec<&'a str>> {
    let chosen = names.iter().enumerate();
    let chosen = chosen.filter(|(position, _)| bits & (1 << position) != 0);
    (bits != 0).then(|| chosen.map(|(_, name)| *name).collect())
}

/// The definition itself, for one kind of question after the other: walk from queue to queue, as far as anything new
/// can come of it.
fn goes_round(policies: &[Drawn], kind: usize) -> bool {
    let holds = |policy: &Drawn, queue: usize| {
        (policy.0 == 0 || policy.0 & (1 << queue) != 0) && (policy.1 == 0 || policy.1 & (1 << kind) != 0)
    };
    let changed = &policies[0];
    if changed.1 != 0 && changed.1 & (1 << kind) == 0 {
        return false;
    }
    changed.2.iter().any(|first| {
        if changed.0 == 1 << first {
            return true;
        }
        let mut reached = std::collections::BTreeSet::from([(*first, false)]);
        for _ in 0..2 * QUEUES.len() {
            for (queue, by_others) in reached.clone() {
                for (index, policy) in policies
                    .iter()
                    .enumerate()
                    .filter(|(_, policy)| holds(policy, queue))
                {
                    let next = policy.2.iter().filter(|to| **to != queue);
                    reached.extend(next.map(|to| (*to, by_others || index != 0)));
                }
            }
        }
        let closes =
            |(queue, by_others): &(usize, bool)| *by_others && queue != first && holds(changed, *queue);
        reached.iter().any(closes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cycle_is_found_exactly_where_some_question_can_go_round(
        policies in proptest::collection::vec(
            (0_u8..8, 0_u8..4, proptest::collection::vec(0_usize..3, 0..3)),
            1..5,
        ),
    ) {
        let built: Vec<Transfers> = policies
            .iter()
            .enumerate()
            .map(|(index, (queues, kinds, transfers))| {
                let to: Vec<&str> = transfers.iter().map(|to| QUEUES[*to]).collect();
                let (queues, kinds) = (of_bits(&QUEUES, *queues), of_bits(&KINDS, *kinds));
                policy(&format!("p{index}"), queues.as_deref(), kinds.as_deref(), &to)
            })
            .collect();
        let found = find_cycle(&built[0], &built[1..]);
        let expected = (0..KINDS.len()).any(|kind| goes_round(&policies, kind));
        prop_assert_eq!(found.is_some(), expected, "{:?}", found);
        if let Some(cycle) = found {
            prop_assert_eq!(cycle.queues.first(), cycle.queues.last());
            prop_assert_eq!(cycle.queues.len(), cycle.policies.len() + 1);
        }
    }
}
