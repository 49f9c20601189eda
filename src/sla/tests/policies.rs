use crate::sla::{Amount, HeldState, PolicySpec, Priority, ReopenRule, TargetKind};

const SHIPPED: &str = include_str!("../../../data/policies/default.json");

#[test]
fn the_shipped_policy_is_sound_and_says_what_was_agreed() {
    let policy: PolicySpec = serde_json::from_str(SHIPPED).unwrap();
    assert_eq!(policy.check(), Ok(()));
    let expected = [
        (Priority::Urgent, 1, 1),
        (Priority::High, 4, 3),
        (Priority::Normal, 8, 5),
        (Priority::Low, 16, 10),
    ];
    for (priority, hours, days) in expected {
        let first_response = Some(Amount::BusinessMinutes(hours * 60));
        assert_eq!(policy.target(TargetKind::FirstResponse, priority), first_response);
        assert_eq!(
            policy.target(TargetKind::Resolution, priority),
            Some(Amount::BusinessDays(days))
        );
        assert_eq!(policy.target(TargetKind::NextResponse, priority), None);
    }
    assert_eq!(
        (
            policy.warn_at_percent.as_slice(),
            policy.close_after_business_days
        ),
        (&[75_u8][..], 5)
    );
    assert!(
        policy.pauses_in(HeldState::Waiting, TargetKind::Resolution)
            && policy.pauses_in(HeldState::Waiting, TargetKind::FirstResponse)
    );
    assert_eq!(policy.reopen, ReopenRule::Continue);
    let again: serde_json::Value = serde_json::to_value(&policy).unwrap();
    assert_eq!(again, serde_json::from_str::<serde_json::Value>(SHIPPED).unwrap());
}

#[test]
fn a_policy_of_nothing_or_of_eternity_is_refused_with_all_its_problems() {
    let mut policy: PolicySpec = serde_json::from_str(SHIPPED).unwrap();
    let targets = policy.targets.get_mut(&TargetKind::Resolution).unwrap();
    targets.insert(Priority::Urgent, Amount::CalendarDays(0));
    targets.insert(Priority::Low, Amount::BusinessDays(367));
    policy.warn_at_percent = vec![50, 50, 100];
    policy.close_after_business_days = 0;
    let problems = policy.check().unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.pointer.as_str(), problem.code.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("/targets/resolution/low/business_days", "amount_too_large"),
            ("/targets/resolution/urgent/calendar_days", "zero_amount"),
            ("/warn_at_percent/1", "bad_percent"),
            ("/warn_at_percent/2", "bad_percent"),
            ("/close_after_business_days", "bad_close_after"),
        ]
    );
    assert!(serde_json::from_str::<PolicySpec>(&SHIPPED.replace("warn_at_percent", "warn_at")).is_err());
    assert!(serde_json::from_str::<PolicySpec>(&SHIPPED.replace("urgent", "critical")).is_err());
}

#[test]
fn names_are_the_same_in_json_and_in_code_and_priorities_are_ordered_by_urgency() {
    for kind in TargetKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(TargetKind::parse(kind.as_str()), Some(kind));
    }
    for priority in Priority::ALL {
        assert_eq!(serde_json::to_value(priority).unwrap(), priority.as_str());
        assert_eq!(Priority::parse(priority.as_str()), Some(priority));
    }
    for rule in ReopenRule::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.as_str());
        assert_eq!(ReopenRule::parse(rule.as_str()), Some(rule));
    }
    assert!(
        Priority::Low < Priority::Normal
            && Priority::Normal < Priority::High
            && Priority::High < Priority::Urgent
    );
    assert_eq!(
        serde_json::to_string(&Amount::BusinessMinutes(60)).unwrap(),
        r#"{"business_minutes":60}"#
    );
}
