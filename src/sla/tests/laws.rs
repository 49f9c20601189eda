//! Laws for every calendar, over random ones: the zones with the oddest changes, around the days on which they change.
use chrono::{DateTime, Days, Months, NaiveDate};
use proptest::prelude::*;

use super::reference::Reference;
use super::*;
use crate::sla::{Amount, Before, Clock, ClockEvent, ClockState, Segment};

/// Zones with a date shortly before one of their changes.
const PLACES: &[(&str, &str)] = &[
    ("Asia/Ho_Chi_Minh", "2019-04-22"),
    ("America/New_York", "2019-03-03"),
    ("America/New_York", "2019-10-27"),
    ("Europe/London", "2019-03-24"),
    ("Europe/London", "2019-10-20"),
    ("Europe/Dublin", "2019-10-20"),
    ("Australia/Lord_Howe", "2019-03-31"),
    ("Australia/Lord_Howe", "2019-09-29"),
    ("America/Havana", "2019-03-03"),
    ("America/Havana", "2019-10-27"),
    ("Asia/Kathmandu", "2019-12-25"),
    ("Pacific/Apia", "2011-12-23"),
    ("America/Sao_Paulo", "2019-02-10"),
];
const WALKED_DAYS: u64 = 21;

/// Up to five minutes of a day, paired up; perhaps with a night shift into the next morning. Half of the minutes are
/// half hours, because wall clocks change there.
fn day() -> impl Strategy<Value = Vec<IntervalSpec>> {
    let minute = prop_oneof![0_u32..=1_440, (0_u32..=48).prop_map(|half_hour| 30 * half_hour)];
    let minutes = prop::collection::btree_set(minute, 0..6);
    (minutes, prop::bool::weighted(0.25)).prop_map(|(minutes, night)| {
        let mut minutes: Vec<u32> = minutes.into_iter().collect();
        if minutes.len() % 2 == 1 {
            minutes.pop();
        }
        if night && !minutes.is_empty() && minutes.last() != Some(&1_440) {
            minutes.rotate_left(1);
        }
        let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        minutes
            .chunks(2)
            .map(|pair| IntervalSpec::new(time(pair[0]), time(pair[1])))
            .collect()
    })
}

fn week() -> impl Strategy<Value = WeeklySpec> {
    [day(), day(), day(), day(), day(), day(), day()].prop_map(|[mon, tue, wed, thu, fri, sat, sun]| {
        WeeklySpec {
            mon,
            tue,
            wed,
            thu,
            fri,
            sat,
            sun,
        }
    })
}

/// Half of the seconds lie near the beginning of the periodic part, which is where a seam would be.
fn far() -> impl Strategy<Value = i64> {
    prop_oneof![
        7_000_000_000_i64..7_800_000_000,
        7_000_000_000_i64..250_000_000_000
    ]
}

prop_compose! {
    /// A calendar with one pattern from long before and perhaps another from within the walk, and exceptions in it.
    pub(super) fn calendars()(
        place in prop::sample::select(PLACES),
        old in week(),
        mut new in week(),
        change in prop::option::of(0..WALKED_DAYS),
        exceptions in prop::collection::btree_map(0..WALKED_DAYS, day(), 0..6),
    ) -> (CalendarSpec, NaiveDate) {
        let first: NaiveDate = place.1.parse().unwrap();
        let on = |days: u64| (first + Days::new(days)).to_string();
        if WeeklySpec::default() == new {
            new.tue = intervals(&[("09:00", "10:00")]);
        }
        let mut spec = calendar(place.0, "2000-01-01", new);
        if let Some(days) = change {
            spec.patterns[0].valid_from = on(days);
            spec.patterns.push(PatternSpec { valid_from: "2000-01-01".into(), weekly: old });
        }
        spec.exceptions = exceptions
            .into_iter()
            .map(|(days, intervals)| ExceptionSpec { intervals, ..exception(&on(days), &[]) })
            .collect();
        (spec, first)
    }
}

pub(super) fn after(first: NaiveDate, seconds: i64) -> Instant {
    first.and_hms_opt(0, 0, 0).unwrap().and_utc() + chrono::Duration::seconds(seconds)
}

fn ten_years_after(at: Instant) -> Instant {
    at + Months::new(120)
}

pub(super) const WALKED: i64 = 21 * 86_400;

proptest! {
    #[test]
    fn elapsed_and_due_agree_with_a_walk_over_the_minutes(
        (spec, first) in calendars(),
        from in 0..WALKED,
        to in 0..WALKED,
        wanted in 1..200_000_i64,
        pauses in prop::collection::vec((0..WALKED, 0..3 * 86_400_i64), 0..4),
    ) {
        let line = line(&spec);
        let reference = Reference::walk(&spec, first, WALKED_DAYS);
        let (a, b) = (after(first, from), after(first, to));
        prop_assert_eq!(line.elapsed(a, b), reference.elapsed(a.timestamp(), b.timestamp()));
        let pauses: Vec<(Instant, Instant)> =
            pauses.iter().map(|(begin, length)| (after(first, *begin), after(first, begin + length))).collect();
        let walked: Vec<(i64, i64)> = pauses.iter().map(|(a, b)| (a.timestamp(), b.timestamp())).collect();
        let walk_ends = after(first, WALKED);
        for (answer, expected) in [
            (line.due(a, wanted), reference.due(a.timestamp(), wanted, &[])),
            (line.due_with_pauses(a, wanted, &pauses), reference.due(a.timestamp(), wanted, &walked)),
        ] {
            match expected {
                Some(expected) => prop_assert_eq!(answer.unwrap().timestamp(), expected),
                None => prop_assert!(answer.is_err() || answer.unwrap() > walk_ends),
            }
        }
        prop_assert_eq!(line.is_open(a), reference.elapsed(a.timestamp(), a.timestamp() + 1) == 1);
        if let Some(opening) = reference.due(a.timestamp(), 1, &[]) {
            prop_assert_eq!(line.next_opening(a).unwrap().timestamp(), opening - 1);
        }
    }

    #[test]
    fn due_and_elapsed_are_inverse_monotone_and_additive(
        (spec, first) in calendars(),
        mut at in [-WALKED..10 * WALKED, -WALKED..10 * WALKED, -WALKED..10 * WALKED],
        wanted in 1..2_000_000_i64,
        more in 0..100_000_i64,
    ) {
        let line = line(&spec);
        at.sort_unstable();
        let [a, b, c] = at.map(|seconds| after(first, seconds));
        prop_assert_eq!(line.elapsed(a, b) + line.elapsed(b, c), line.elapsed(a, c));
        prop_assert!((0..=(c - a).num_seconds()).contains(&line.elapsed(a, c)));
        let Ok(due) = line.due(a, wanted) else {
            prop_assert!(line.elapsed(a, ten_years_after(a)) < wanted, "refused although there was time");
            return Ok(());
        };
        prop_assert_eq!(line.elapsed(a, due), wanted);
        prop_assert_eq!(line.elapsed(a, due - chrono::Duration::seconds(1)), wanted - 1, "the earliest");
        prop_assert!(line.due(b, wanted).is_ok_and(|later| due <= later) || line.elapsed(b, ten_years_after(b)) < wanted);
        if let Ok(later) = line.due(a, wanted + more) {
            prop_assert!(due <= later);
            prop_assert_eq!(line.due(due, more), Ok(later), "in two steps");
        }
    }

    #[test]
    fn the_answers_do_not_depend_on_how_the_calendar_is_written_down(
        (spec, first) in calendars(),
        from in 0..WALKED,
        wanted in 1..200_000_i64,
    ) {
        let mut reversed = spec.clone();
        reversed.patterns.reverse();
        reversed.exceptions.reverse();
        reversed.exceptions.iter_mut().for_each(|exception| exception.intervals.reverse());
        let start = after(first, from);
        prop_assert_eq!(line(&spec).due(start, wanted), line(&reversed).due(start, wanted));
        let stored: CalendarSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        prop_assert_eq!(spec, stored);
    }

    #[test]
    fn a_clock_in_minutes_agrees_with_the_walk_and_its_explanation_with_its_figures(
        (spec, first) in calendars(),
        from in 0..WALKED / 2,
        minutes in 1..1_500_u32,
        steps in prop::collection::vec(0..2 * 86_400_i64, 0..6),
        ask in 0..WALKED,
        shuffle in any::<prop::sample::Index>(),
    ) {
        let line = line(&spec);
        let started_at = after(first, from);
        let mut now = from;
        let mut events: Vec<(Instant, ClockEvent)> = Vec::new();
        for (position, step) in steps.iter().enumerate() {
            now += step + 1;
            let event = if position % 2 == 0 { ClockEvent::Pause } else { ClockEvent::Resume };
            events.push((after(first, now), event));
        }
        if events.len() == 5 {
            events[4].1 = ClockEvent::Stop;
        }
        let amount = Amount::BusinessMinutes(minutes);
        let clock = Clock::replay(amount, started_at, &events).unwrap();

        // The order of recording does not matter.
        let mut recorded = events.clone();
        let middle = shuffle.index(events.len() + 1);
        recorded.rotate_left(middle % events.len().max(1));
        recorded.reverse();
        prop_assert_eq!(&clock, &Clock::replay(amount, started_at, &recorded).unwrap());

        // The explanation sums up to the figures, at any time.
        let asked = after(first, from.max(ask));
        for now in [asked, after(first, WALKED)] {
            let figures = clock.figures(&line, now).unwrap();
            let sum = |running: bool| -> i64 {
                let segments = clock.explain(&line, now);
                segments.iter().filter(|s| s.running == running).map(|s| s.business_seconds).sum()
            };
            prop_assert_eq!(sum(true), figures.consumed_business_seconds);
            prop_assert_eq!(sum(false), figures.paused_business_seconds);
            if figures.due_at.is_none() {
                prop_assert_eq!(figures.state, ClockState::Paused);
                let left = figures.target_business_seconds - figures.consumed_business_seconds;
                prop_assert_eq!(figures.remaining_business_seconds, left);
            }
            if figures.state == ClockState::Met {
                prop_assert!(figures.consumed_business_seconds <= figures.target_business_seconds);
            }
            if figures.state == ClockState::Running {
                let due = figures.due_at.unwrap();
                prop_assert_eq!(line.elapsed(now, due), figures.remaining_business_seconds);
            }
        }

        // Breached once, breached for good, and at the same instant.
        let (early, late) = (clock.figures(&line, asked).unwrap(), clock.figures(&line, after(first, WALKED)).unwrap());
        if early.breached_at.is_some() {
            prop_assert_eq!(early.breached_at, late.breached_at);
            prop_assert_eq!(late.state, ClockState::Breached);
        }

        // The due is where a walk with the same pauses arrives.
        let last = after(first, 100 * WALKED);
        let pauses: Vec<(Instant, Instant)> = clock
            .segments
            .iter()
            .filter(|segment| !segment.running)
            .map(|Segment { from, to, .. }| (*from, to.unwrap_or(last)))
            .collect();
        if let Some(due) = late.due_at {
            prop_assert_eq!(line.due_with_pauses(started_at, i64::from(minutes) * 60, &pauses), Ok(due));
            let walked: Vec<(i64, i64)> = pauses.iter().map(|(a, b)| (a.timestamp(), b.timestamp())).collect();
            let reference = Reference::walk(&spec, first, WALKED_DAYS);
            if let Some(walked) = reference.due(started_at.timestamp(), i64::from(minutes) * 60, &walked) {
                prop_assert_eq!(due.timestamp(), walked);
            }
        }
    }

    #[test]
    fn a_clock_in_days_is_later_by_the_business_seconds_of_its_pauses(
        (spec, first) in calendars(),
        from in 0..WALKED,
        days in 1..6_u32,
        calendar_days in any::<bool>(),
        pause in 0..5 * 86_400_i64,
        length in 1..5 * 86_400_i64,
    ) {
        let line = line(&spec);
        let started_at = after(first, from);
        let amount = if calendar_days { Amount::CalendarDays(days) } else { Amount::BusinessDays(days) };
        let base = amount.due_from(&line, started_at).unwrap();
        prop_assert!(base > started_at);
        let (begin, end) = (after(first, from + pause), after(first, from + pause + length));
        let mut clock = Clock::start(amount, started_at);
        clock.pause(begin).unwrap();
        clock.resume(end).unwrap();
        let due = clock.figures(&line, end).unwrap().due_at.unwrap();
        let paused = line.elapsed(begin, end);
        if begin >= base {
            prop_assert_eq!(due, base);
        } else {
            prop_assert_eq!(line.elapsed(base, due), if paused == 0 { 0 } else { paused.max(line.elapsed(base, end)) });
            prop_assert!(due >= base.min(end) && (due == base || due >= end));
            if paused > 0 && end < base {
                prop_assert_eq!(due, line.due(base, paused).unwrap());
            }
        }
    }

    #[test]
    fn a_clock_that_goes_over_to_the_same_hours_says_what_it_would_have_said(
        (spec, first) in calendars(),
        from in 0..WALKED / 2,
        amount in prop_oneof![
            (1..1_500_u32).prop_map(Amount::BusinessMinutes),
            (1..6_u32).prop_map(Amount::BusinessDays),
            (1..6_u32).prop_map(Amount::CalendarDays),
        ],
        steps in prop::collection::vec(1..2 * 86_400_i64, 0..6),
        cut in 1..WALKED,
        ask in 0..WALKED,
    ) {
        let line = line(&spec);
        let started_at = after(first, from);
        let mut now = from;
        let mut whole = Clock::start(amount, started_at);
        for (position, step) in steps.iter().enumerate() {
            now += step;
            let changed = if position % 2 == 0 { whole.pause(after(first, now)) } else { whole.resume(after(first, now)) };
            changed.unwrap();
        }
        let cut_at = after(first, from + cut);
        let asked = after(first, from + cut + ask);
        let parts = whole.explain(&line, cut_at);
        let sum = |running: bool| -> i64 {
            parts.iter().filter(|part| part.running == running).map(|part| part.business_seconds).sum()
        };
        let before = Before {
            started_at,
            consumed_business_seconds: sum(true),
            paused_business_seconds: sum(false),
        };
        let rest = whole.segments.iter().filter(|segment| segment.to.is_none_or(|to| to > cut_at));
        let segments = rest.map(|segment| Segment { from: segment.from.max(cut_at), ..*segment }).collect();
        let gone_over = Clock::from_segments(amount, segments, None).unwrap().carrying(Some(before));

        let expected = whole.figures(&line, asked).unwrap();
        // A late clock does not go over at all.
        if expected.due_at.is_some_and(|due| due <= cut_at) {
            return Ok(());
        }
        prop_assert_eq!(gone_over.figures(&line, asked).unwrap(), expected);
        let (one, other) = (whole.warn_at(&line, 75).unwrap(), gone_over.warn_at(&line, 75).unwrap());
        if one.is_some_and(|warn| warn > cut_at) {
            prop_assert_eq!(other, one);
        } else if one.is_some() {
            prop_assert_eq!(other, Some(cut_at));
        }
    }

    #[test]
    fn far_from_the_dated_years_the_laws_still_hold(
        (spec, _) in calendars(),
        // From 2191, before the periodic part begins, to the year 9892.
        mut seconds in [far(), far(), far()],
        wanted in 1..1_000_000_i64,
    ) {
        let line = line(&spec);
        seconds.sort_unstable();
        let [a, b, c] = seconds.map(|second| DateTime::from_timestamp(second, 0).unwrap());
        prop_assert_eq!(line.elapsed(a, b) + line.elapsed(b, c), line.elapsed(a, c));
        match line.due(b, wanted) {
            Ok(due) => {
                prop_assert_eq!(line.elapsed(b, due), wanted);
                prop_assert!(line.due(c, wanted).map_or(true, |later| due <= later));
            }
            Err(_) => prop_assert!(line.elapsed(b, ten_years_after(b)) < wanted),
        }
    }
}
