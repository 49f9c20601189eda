use chrono::Duration;

use super::*;
use crate::sla::{
    Amount, Clock, ClockError, ClockEvent, ClockState, Figures, PolicySpec, ReopenRule, Segment,
};
use crate::sla::{Priority, TargetKind};

const FOUR_HOURS: Amount = Amount::BusinessMinutes(240);

/// Monday 25 November 2019 at a wall time.
fn monday(time: &str) -> Instant {
    vn(&format!("2019-11-25 {time}"))
}

fn tuesday(time: &str) -> Instant {
    vn(&format!("2019-11-26 {time}"))
}

fn clock(amount: Amount, started_at: Instant, events: &[(Instant, ClockEvent)]) -> Clock {
    Clock::replay(amount, started_at, events).unwrap()
}

fn figures(clock: &Clock, now: Instant) -> Figures {
    clock.figures(&line(&vietnam()), now).unwrap()
}

#[test]
fn a_running_clock_counts_business_seconds_down() {
    let clock = Clock::start(FOUR_HOURS, monday("09:00"));
    let now = figures(&clock, monday("13:45"));
    let expected = Figures {
        state: ClockState::Running,
        due_at: Some(monday("14:30")),
        consumed_business_seconds: 3 * HOUR + 900,
        paused_business_seconds: 0,
        remaining_business_seconds: 2_700,
        target_business_seconds: 4 * HOUR,
        breached_at: None,
        met_at: None,
    };
    assert_eq!(now, expected);
    let before = figures(&clock, monday("07:00"));
    assert_eq!(
        (before.state, before.remaining_business_seconds),
        (ClockState::Running, 4 * HOUR)
    );
}

#[test]
fn a_clock_stopped_exactly_at_its_due_is_met_and_a_second_later_breached() {
    let stopped = |at| clock(FOUR_HOURS, monday("09:00"), &[(at, ClockEvent::Stop)]);
    let met = figures(&stopped(monday("14:30")), tuesday("08:00"));
    assert_eq!(
        (met.state, met.met_at, met.breached_at),
        (ClockState::Met, Some(monday("14:30")), None)
    );
    let late = figures(&stopped(monday("14:30:01")), tuesday("08:00"));
    assert_eq!(
        (late.state, late.met_at, late.breached_at),
        (ClockState::Breached, None, Some(monday("14:30")))
    );
    // Running, the same seconds decide.
    let running = Clock::start(FOUR_HOURS, monday("09:00"));
    assert_eq!(figures(&running, monday("14:30")).state, ClockState::Running);
    assert_eq!(figures(&running, monday("14:30:01")).state, ClockState::Breached);
    // Due at closing time: an answer in the evening is late, although no business second has passed.
    let evening = clock(
        Amount::BusinessMinutes(480),
        monday("08:00"),
        &[(monday("20:00"), ClockEvent::Stop)],
    );
    let evening = figures(&evening, tuesday("08:00"));
    assert_eq!(
        (evening.state, evening.breached_at),
        (ClockState::Breached, Some(monday("17:30")))
    );
    assert_eq!(evening.consumed_business_seconds, evening.target_business_seconds);
}

#[test]
fn a_breach_is_the_due_instant_however_late_anybody_looks() {
    let clock = Clock::start(FOUR_HOURS, monday("09:00"));
    for late in [monday("14:31"), tuesday("10:00"), vn("2021-01-01 00:00")] {
        let figures = figures(&clock, late);
        assert_eq!(
            (figures.state, figures.breached_at),
            (ClockState::Breached, Some(monday("14:30")))
        );
        assert_eq!(figures.remaining_business_seconds, 0);
    }
}

#[test]
fn a_paused_clock_has_no_due_and_keeps_its_remaining_seconds() {
    let mut clock = Clock::start(FOUR_HOURS, monday("09:00"));
    clock.pause(monday("10:00")).unwrap();
    for now in [monday("10:00"), monday("16:00"), vn("2019-12-24 10:00")] {
        let figures = figures(&clock, now);
        assert_eq!((figures.state, figures.due_at), (ClockState::Paused, None));
        assert_eq!(figures.remaining_business_seconds, 3 * HOUR);
    }
    clock.resume(tuesday("16:00")).unwrap();
    let figures = figures(&clock, tuesday("16:00"));
    assert_eq!(
        (figures.state, figures.due_at),
        (ClockState::Running, Some(vn("2019-11-27 09:30")))
    );
    assert_eq!(
        figures.paused_business_seconds,
        2 * HOUR + 4 * HOUR + 4 * HOUR + 2 * HOUR + HOUR / 2
    );
}

#[test]
fn a_pause_that_begins_at_or_after_the_due_never_moves_it() {
    for begin in ["14:30", "14:31", "20:00"] {
        let pause = [
            (monday(begin), ClockEvent::Pause),
            (tuesday("10:00"), ClockEvent::Resume),
        ];
        let clock = clock(FOUR_HOURS, monday("09:00"), &pause);
        for now in [monday("23:00"), tuesday("11:00")] {
            let figures = figures(&clock, now);
            assert_eq!(
                (figures.state, figures.due_at),
                (ClockState::Breached, Some(monday("14:30"))),
                "{begin}"
            );
        }
    }
    let pause = [
        (monday("14:29:59"), ClockEvent::Pause),
        (tuesday("10:00"), ClockEvent::Resume),
    ];
    assert_eq!(
        figures(&clock(FOUR_HOURS, monday("09:00"), &pause), tuesday("10:00")).due_at,
        Some(tuesday("10:00:01"))
    );
}

// GLPI issues 6902 and 15605: a change of priority forgot the pauses.
#[test]
fn priority_changes_after_a_pause_and_the_paused_time_stays_paused() {
    let events = [
        (monday("10:00"), ClockEvent::Pause),
        (monday("15:00"), ClockEvent::Resume),
    ];
    let mut clock = clock(FOUR_HOURS, monday("09:00"), &events);
    let before = figures(&clock, monday("16:00"));
    assert_eq!(before.due_at, Some(tuesday("08:30")));
    clock.retarget(Amount::BusinessMinutes(150)).unwrap();
    let after = figures(&clock, monday("16:00"));
    assert_eq!(after.due_at, Some(monday("16:30")));
    assert_eq!(after.consumed_business_seconds, before.consumed_business_seconds);
    assert_eq!(after.paused_business_seconds, before.paused_business_seconds);
    assert_eq!(after.remaining_business_seconds, HOUR / 2);
    // While it is paused, too.
    clock.pause(monday("16:15")).unwrap();
    clock.retarget(FOUR_HOURS).unwrap();
    assert_eq!(
        figures(&clock, monday("17:00")).remaining_business_seconds,
        4 * HOUR - 2 * HOUR - 900
    );
}

// Zammad issue 5177: the shorter update target took the place of the first response's due.
#[test]
fn an_update_target_shorter_than_first_response_keeps_its_own_due() {
    let mut policy: PolicySpec =
        serde_json::from_str(include_str!("../../../data/policies/default.json")).unwrap();
    let update = [(Priority::Normal, Amount::BusinessMinutes(30))].into();
    policy.targets.insert(TargetKind::NextResponse, update);
    let start = |kind| Clock::start(policy.target(kind, Priority::Normal).unwrap(), monday("09:00"));
    let due = |kind| figures(&start(kind), monday("09:00")).due_at;
    assert_eq!(due(TargetKind::NextResponse), Some(monday("09:30")));
    assert_eq!(due(TargetKind::FirstResponse), Some(tuesday("09:00")));
    assert_eq!(due(TargetKind::Resolution), Some(vn("2019-12-02 17:30")));
}

// Zammad issue 3140 and Chatwoot issue 10178: clocks of answered tickets went on and breached.
#[test]
fn a_response_clock_stops_for_good_when_the_agent_has_answered() {
    let mut clock = Clock::start(FOUR_HOURS, monday("09:00"));
    clock.stop(monday("10:00")).unwrap();
    let answered = figures(&clock, monday("10:00"));
    let years_later = figures(&clock, vn("2025-01-01 00:00"));
    assert_eq!(answered, years_later);
    assert_eq!(
        (answered.state, answered.met_at),
        (ClockState::Met, Some(monday("10:00")))
    );
    let refused = Err(ClockError::Stopped {
        stopped_at: monday("10:00"),
    });
    assert_eq!(clock.pause(monday("11:00")), refused);
    assert_eq!(clock.resume(monday("11:00")), refused);
    assert_eq!(
        clock.retarget(Amount::BusinessMinutes(1)),
        refused,
        "a verdict is never rewritten"
    );
    assert_eq!(
        clock.stop(monday("16:00")),
        Ok(()),
        "a second answer changes nothing"
    );
    assert_eq!(figures(&clock, tuesday("16:00")), answered);
}

// Frappe Helpdesk issues 2449 and 1554: a hold before the first response threw away the time before it.
#[test]
fn a_hold_before_the_first_response_keeps_the_time_before_it_and_leaves_out_the_time_in_it() {
    let events = [
        (monday("10:00"), ClockEvent::Pause),
        (monday("14:00"), ClockEvent::Resume),
    ];
    let held = clock(FOUR_HOURS, monday("09:00"), &events);
    let figures = figures(&held, monday("14:30"));
    assert_eq!(figures.consumed_business_seconds, HOUR + HOUR / 2);
    assert_eq!(figures.paused_business_seconds, 2 * HOUR + HOUR / 2);
    assert_eq!(figures.due_at, Some(monday("17:00")));
}

// Zammad issue 534: the holiday is announced while the clock runs.
#[test]
fn a_holiday_announced_after_filing_moves_a_clocks_due_and_not_its_history() {
    let clock = Clock::start(Amount::BusinessMinutes(480), monday("15:30"));
    let mut announced = vietnam();
    announced.exceptions.push(exception("2019-11-26", &[]));
    let before = figures(&clock, monday("17:30"));
    let after = clock.figures(&line(&announced), monday("17:30")).unwrap();
    assert_eq!(before.due_at, Some(tuesday("15:30")));
    assert_eq!(after.due_at, Some(vn("2019-11-27 15:30")));
    assert_eq!(after.consumed_business_seconds, before.consumed_business_seconds);
}

// GLPI issue 5213: what becomes of the clock of a ticket that is reopened.
#[test]
fn a_reopened_ticket_continues_restarts_or_begins_a_new_cycle_and_keeps_its_first_verdict() {
    let mut first = Clock::start(FOUR_HOURS, monday("09:00"));
    assert_eq!(
        first.reopen(ReopenRule::Continue, monday("10:00")),
        Err(ClockError::NotStopped)
    );
    first.stop(monday("11:00")).unwrap();
    let verdict = figures(&first, tuesday("09:00"));
    let reopened = |rule| figures(&first.reopen(rule, tuesday("09:00")).unwrap(), tuesday("10:00"));
    let continued = reopened(ReopenRule::Continue);
    assert_eq!(
        (continued.due_at, continued.consumed_business_seconds),
        (Some(tuesday("11:00")), 3 * HOUR)
    );
    for rule in [ReopenRule::Restart, ReopenRule::NewCycle] {
        let again = reopened(rule);
        assert_eq!(
            (again.due_at, again.consumed_business_seconds),
            (Some(tuesday("14:30")), HOUR)
        );
    }
    assert_eq!(figures(&first, tuesday("10:00")), verdict);
    assert_eq!(verdict.state, ClockState::Met);
    assert!(
        first.reopen(ReopenRule::Continue, monday("10:59")).is_err(),
        "before it was resolved"
    );
}

#[test]
fn a_breached_clock_that_continues_after_a_reopening_stays_breached() {
    let late = clock(
        FOUR_HOURS,
        monday("09:00"),
        &[(monday("16:00"), ClockEvent::Stop)],
    );
    let continued = late.reopen(ReopenRule::Continue, tuesday("09:00")).unwrap();
    let figures = figures(&continued, tuesday("09:00"));
    assert_eq!(
        (figures.state, figures.breached_at),
        (ClockState::Breached, Some(monday("14:30")))
    );
}

#[test]
fn a_day_target_is_due_later_by_the_business_seconds_of_its_pauses() {
    let days = Amount::BusinessDays(2);
    let with =
        |events: &[(Instant, ClockEvent)]| figures(&clock(days, monday("09:00"), events), monday("09:00"));
    let plain = with(&[]);
    assert_eq!(plain.due_at, Some(vn("2019-11-27 17:30")));
    assert_eq!(
        plain.target_business_seconds,
        (7 + 8 + 8) * HOUR + HOUR / 2 - HOUR / 2
    );
    let due = |events: &[(Instant, ClockEvent)]| {
        figures(&clock(days, monday("09:00"), events), tuesday("17:00")).due_at
    };
    let hour = [
        (monday("10:00"), ClockEvent::Pause),
        (monday("11:00"), ClockEvent::Resume),
    ];
    assert_eq!(due(&hour), Some(vn("2019-11-28 09:00")));
    let lunch = [
        (monday("12:00"), ClockEvent::Pause),
        (monday("13:30"), ClockEvent::Resume),
    ];
    assert_eq!(
        due(&lunch),
        Some(vn("2019-11-27 17:30")),
        "a pause without business seconds moves nothing"
    );
    let two = [
        hour,
        [
            (tuesday("08:00"), ClockEvent::Pause),
            (tuesday("17:00"), ClockEvent::Resume),
        ],
    ]
    .concat();
    assert_eq!(due(&two), Some(vn("2019-11-29 08:30")), "1 h and 7.5 h");
}

#[test]
fn a_calendar_day_target_is_never_due_inside_a_pause() {
    let clock = |pause, resume| {
        clock(
            Amount::CalendarDays(1),
            monday("09:00"),
            &[(pause, ClockEvent::Pause), (resume, ClockEvent::Resume)],
        )
    };
    let due = |pause, resume| figures(&clock(pause, resume), vn("2019-12-20 09:00")).due_at;
    let wednesday = |time: &str| vn(&format!("2019-11-27 {time}"));
    assert_eq!(
        due(monday("12:00"), monday("13:00")),
        Some(wednesday("00:00")),
        "nothing lost"
    );
    assert_eq!(
        due(tuesday("16:30"), tuesday("17:30")),
        Some(wednesday("09:00")),
        "an hour lost"
    );
    assert_eq!(
        due(tuesday("20:00"), wednesday("07:00")),
        Some(wednesday("07:00")),
        "midnight lay in the pause"
    );
    assert_eq!(
        due(tuesday("20:00"), wednesday("12:30")),
        Some(wednesday("12:30"))
    );
}

#[test]
fn time_before_the_first_segment_and_between_segments_does_not_count() {
    let part = |from, to, running| Segment { from, to, running };
    let segments = vec![
        part(monday("09:00"), Some(monday("10:00")), true),
        part(monday("11:00"), Some(monday("12:00")), false),
        part(monday("15:30"), None, true),
    ];
    let clock = Clock::from_segments(FOUR_HOURS, segments.clone(), None).unwrap();
    let now = figures(&clock, monday("16:30"));
    assert_eq!(
        (now.consumed_business_seconds, now.paused_business_seconds),
        (2 * HOUR, HOUR)
    );
    assert_eq!(now.due_at, Some(tuesday("09:00")));
    let in_the_gap = figures(&clock, monday("10:30"));
    assert_eq!((in_the_gap.state, in_the_gap.due_at), (ClockState::Paused, None));
    let mut bad = segments.clone();
    bad.reverse();
    assert_eq!(
        Clock::from_segments(FOUR_HOURS, bad, None),
        Err(ClockError::BadSegments)
    );
    assert_eq!(
        Clock::from_segments(FOUR_HOURS, segments, Some(tuesday("08:00"))),
        Err(ClockError::BadSegments)
    );
    assert_eq!(
        Clock::from_segments(FOUR_HOURS, vec![], None),
        Err(ClockError::BadSegments)
    );
}

#[test]
fn figures_of_the_past_can_be_asked_again() {
    let at_ten = figures(&Clock::start(FOUR_HOURS, monday("09:00")), monday("09:59"));
    let events = [
        (monday("10:00"), ClockEvent::Pause),
        (monday("15:00"), ClockEvent::Resume),
        (tuesday("09:00"), ClockEvent::Stop),
    ];
    let clock = clock(FOUR_HOURS, monday("09:00"), &events);
    assert_eq!(figures(&clock, monday("09:59")), at_ten);
    assert_eq!(figures(&clock, monday("14:59")).state, ClockState::Paused);
    assert_eq!(figures(&clock, tuesday("08:31")).state, ClockState::Breached);
    assert_eq!(
        figures(&clock, tuesday("23:00")).breached_at,
        Some(tuesday("08:30"))
    );
}

#[test]
fn events_out_of_order_are_refused_one_by_one_and_sorted_by_a_replay() {
    let mut live = Clock::start(FOUR_HOURS, monday("09:00"));
    assert!(matches!(
        live.pause(monday("08:59")),
        Err(ClockError::OutOfOrder { .. })
    ));
    live.pause(monday("10:00")).unwrap();
    live.pause(monday("10:30")).unwrap();
    assert!(matches!(
        live.resume(monday("09:30")),
        Err(ClockError::OutOfOrder { .. })
    ));
    live.resume(monday("11:00")).unwrap();
    live.stop(monday("11:30")).unwrap();
    let events = [
        (monday("11:30"), ClockEvent::Stop),
        (monday("11:00"), ClockEvent::Resume),
        (monday("10:30"), ClockEvent::Pause),
        (monday("10:00"), ClockEvent::Pause),
    ];
    assert_eq!(clock(FOUR_HOURS, monday("09:00"), &events), live);
}

#[test]
fn a_warning_comes_at_its_percent_and_not_while_paused_or_after_the_answer() {
    let line = line(&vietnam());
    let mut clock = Clock::start(FOUR_HOURS, monday("09:00"));
    let warn = |clock: &Clock| clock.warn_at(&line, 75).unwrap();
    assert_eq!(warn(&clock), Some(monday("12:00")));
    clock.pause(monday("10:00")).unwrap();
    assert_eq!(warn(&clock), None);
    clock.resume(monday("15:00")).unwrap();
    assert_eq!(warn(&clock), Some(monday("17:00")));
    let mut answered_after = clock.clone();
    answered_after.stop(monday("17:10")).unwrap();
    assert_eq!(warn(&answered_after), Some(monday("17:00")));
    clock.stop(monday("16:00")).unwrap();
    assert_eq!(warn(&clock), None, "answered before");
    let days = Clock::start(Amount::BusinessDays(1), monday("17:30"));
    assert_eq!(warn(&days), Some(tuesday("15:30")), "75 % of 8 h");
    let minute = Clock::start(Amount::BusinessMinutes(1), monday("09:00"));
    assert_eq!(
        minute.warn_at(&line, 99).unwrap(),
        Some(monday("09:01")),
        "59.4 s, rounded up"
    );
    assert_eq!(days.warn_at(&line, 1).unwrap(), Some(tuesday("08:04:48")));
}

#[test]
fn a_clock_without_working_time_is_an_error_and_one_without_segments_promises_nothing() {
    let exhausted = line(&calendar("UTC", "2100-01-01", every_day(OFFICE)));
    let clock = Clock::start(FOUR_HOURS, monday("09:00"));
    assert!(clock.figures(&exhausted, monday("10:00")).is_err());
    assert!(clock.warn_at(&exhausted, 75).is_err());
    let empty = Clock {
        amount: FOUR_HOURS,
        before: None,
        segments: vec![],
        stopped_at: None,
    };
    assert_eq!(figures(&empty, monday("10:00")).due_at, None);
    assert_eq!(empty.warn_at(&exhausted, 75), Ok(None));
}

#[test]
fn a_clock_paused_for_more_than_ten_years_is_due_after_it_is_resumed() {
    let line = line(&vietnam());
    let mut clock = Clock::start(FOUR_HOURS, monday("09:00"));
    clock.pause(monday("10:00")).unwrap();
    clock.resume(monday("10:00") + Duration::days(15 * 364)).unwrap();
    let due = clock
        .figures(&line, vn("2034-12-01 00:00"))
        .unwrap()
        .due_at
        .unwrap();
    assert_eq!(due, monday("14:30") + Duration::days(15 * 364));
}

#[test]
fn a_clock_survives_being_stored_as_json() {
    let mut clock = Clock::start(FOUR_HOURS, monday("09:00"));
    clock.pause(monday("10:00")).unwrap();
    let stored = serde_json::to_string(&clock).unwrap();
    assert!(
        stored.contains(r#""amount":{"business_minutes":240}"#),
        "{stored}"
    );
    assert_eq!(serde_json::from_str::<Clock>(&stored).unwrap(), clock);
    assert_eq!(
        serde_json::to_value(ClockState::Met).unwrap(),
        ClockState::Met.as_str()
    );
}
