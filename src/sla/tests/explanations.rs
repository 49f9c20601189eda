//! Why time counted or not: the pieces tile each stretch and sum up to the clock, over random calendars and by name.
use chrono::NaiveDate;
use proptest::prelude::*;

use super::laws::{WALKED, after, calendars};
use super::*;
use crate::sla::calendar::{ExceptionKind, ExceptionName};
use crate::sla::{Amount, Clock, ClockEvent, DayAccount, DayKind, Piece, Skipped};

fn pieces<'a>(days: &'a [DayAccount<'_>]) -> Vec<&'a Piece> {
    days.iter().flat_map(|day| &day.pieces).collect()
}

fn counted(days: &[DayAccount<'_>]) -> i64 {
    days.iter().map(DayAccount::business_seconds).sum()
}

/// In order, disjoint, without a hole, from the first second to the last.
fn tile(days: &[DayAccount<'_>], from: Instant, to: Instant) -> Result<(), TestCaseError> {
    let mut reached = from.timestamp();
    for piece in pieces(days) {
        prop_assert_eq!(piece.from.timestamp(), reached);
        prop_assert!(piece.seconds() > 0);
        reached = piece.to.timestamp();
    }
    prop_assert_eq!(reached, to.timestamp().max(from.timestamp()));
    prop_assert!(
        days.iter()
            .zip(days.iter().skip(1))
            .all(|(one, next)| one.date < next.date)
    );
    Ok(())
}

proptest! {
    #[test]
    fn the_pieces_tile_every_stretch_and_agree_with_the_compiled_intervals(
        (spec, first) in calendars(),
        from in -WALKED..2 * WALKED,
        length in 0..WALKED,
    ) {
        let line = line(&spec);
        let (from, to) = (after(first, from), after(first, from + length));
        let days = line.account(from, to);
        tile(&days, from, to)?;
        prop_assert_eq!(counted(&days), line.elapsed(from, to));
        for piece in pieces(&days) {
            let worked = if piece.skipped.is_none() { piece.seconds() } else { 0 };
            prop_assert_eq!(line.elapsed(piece.from, piece.to), worked);
        }
        // What was skipped lies on its own date by the wall clock.
        for day in &days {
            for piece in day.pieces.iter().filter(|piece| piece.skipped.is_some()) {
                prop_assert_eq!(line.local_date(piece.from), day.date);
            }
        }
    }

    #[test]
    fn the_segments_of_a_clock_sum_up_to_its_figures(
        (spec, first) in calendars(),
        from in 0..WALKED / 2,
        minutes in 1..1_500_u32,
        steps in prop::collection::vec(0..2 * 86_400_i64, 0..6),
        ask in 0..WALKED,
    ) {
        let line = line(&spec);
        let mut at = from;
        let mut events = Vec::new();
        for (position, step) in steps.iter().enumerate() {
            at += step + 1;
            let event = match position {
                5 => ClockEvent::Stop,
                _ if position % 2 == 0 => ClockEvent::Pause,
                _ => ClockEvent::Resume,
            };
            events.push((after(first, at), event));
        }
        let clock = Clock::replay(Amount::BusinessMinutes(minutes), after(first, from), &events).unwrap();
        let now = after(first, from.max(ask));
        let figures = clock.figures(&line, now).unwrap();
        let (mut consumed, mut paused) = (0, 0);
        for segment in clock.explain(&line, now) {
            let days = line.account(segment.from, segment.to);
            tile(&days, segment.from, segment.to)?;
            prop_assert_eq!(counted(&days), segment.business_seconds);
            if segment.running { consumed += counted(&days) } else { paused += counted(&days) }
        }
        prop_assert_eq!(consumed, figures.consumed_business_seconds);
        prop_assert_eq!(paused, figures.paused_business_seconds);
        // What lies ahead is what remains.
        if let (Some(due), crate::sla::ClockState::Running) = (figures.due_at, figures.state) {
            prop_assert_eq!(counted(&line.account(now, due)), figures.remaining_business_seconds);
        }
    }

    #[test]
    fn the_days_of_a_target_end_on_the_date_of_its_due(
        (spec, first) in calendars(),
        from in 0..WALKED,
        days in 0..40_u32,
        calendar_days in any::<bool>(),
    ) {
        let line = line(&spec);
        let start = after(first, from);
        let amount = if calendar_days { Amount::CalendarDays(days) } else { Amount::BusinessDays(days) };
        let steps = line.day_steps(start, amount);
        prop_assume!(steps.is_ok());
        let steps = steps.unwrap();
        let numbers: Vec<u32> = steps.iter().filter_map(|step| step.number).collect();
        prop_assert_eq!(numbers, (1..=days).collect::<Vec<u32>>());
        let due = amount.due_from(&line, start).unwrap();
        if let Some(last) = steps.last() {
            prop_assert!(line.is_working_date(last.date));
            let end = if calendar_days { line.end_of_calendar_day_after(start, days) } else {
                line.end_of_business_day_after(start, days)
            };
            prop_assert_eq!(end.unwrap(), due);
            if calendar_days {
                let midnight = crate::sla::window::end_of_date(line.calendar().time_zone(), last.date);
                prop_assert_eq!(midnight, Some(due.timestamp()));
            } else {
                // A night shift ends on the next date, in a long night by its clock two dates later.
                let due_date = line.local_date(due - chrono::Duration::seconds(1));
                prop_assert!((0..=2).contains(&(due_date - last.date).num_days()));
            }
        }
    }
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn shape(days: &[DayAccount<'_>]) -> Vec<(String, DayKind, i64)> {
    days.iter()
        .map(|day| (day.date.to_string(), day.kind, day.business_seconds()))
        .collect()
}

#[test]
fn the_swap_of_29_april_2019_names_the_day_off_and_the_make_up_saturday() {
    let mut spec = vietnam();
    for exception in &mut spec.exceptions {
        exception.kind = Some(match exception.date.as_str() {
            "2019-04-29" => ExceptionKind::Swap,
            "2019-05-04" => ExceptionKind::MakeUp,
            _ => ExceptionKind::Statutory,
        });
        exception.name = Some(ExceptionName {
            vi: Some(format!("Ngày {}", exception.date)),
            en: None,
        });
    }
    let line = line(&spec);
    let days = line.account(vn("2019-04-26 16:30"), vn("2019-05-06 09:00"));
    let expected = [
        ("2019-04-26", DayKind::WorkingDay, HOUR),
        ("2019-04-27", DayKind::Weekend, 0),
        ("2019-04-28", DayKind::Weekend, 0),
        ("2019-04-29", DayKind::ClosedDay, 0),
        ("2019-04-30", DayKind::ClosedDay, 0),
        ("2019-05-01", DayKind::ClosedDay, 0),
        ("2019-05-02", DayKind::WorkingDay, 8 * HOUR),
        ("2019-05-03", DayKind::WorkingDay, 8 * HOUR),
        ("2019-05-04", DayKind::MakeUpDay, 8 * HOUR),
        ("2019-05-05", DayKind::Weekend, 0),
        ("2019-05-06", DayKind::WorkingDay, HOUR),
    ];
    assert_eq!(
        shape(&days),
        expected.map(|(date, kind, seconds)| (date.to_owned(), kind, seconds))
    );
    assert_eq!(days[3].exception.unwrap().date, date("2019-04-29"));
    let reasons: Vec<Option<Skipped>> = days[6].pieces.iter().map(|piece| piece.skipped).collect();
    let day = [
        Some(Skipped::BeforeOpening),
        None,
        Some(Skipped::Break),
        None,
        Some(Skipped::AfterClosing),
    ];
    assert_eq!(reasons, day);
}

#[test]
fn a_night_shift_belongs_to_the_date_on_which_it_opens() {
    let mut spec = calendar("Asia/Ho_Chi_Minh", "2019-01-01", every_day(&[("22:00", "06:00")]));
    spec.exceptions.push(exception("2019-04-30", &[]));
    let line = line(&spec);
    let days = line.account(vn("2019-04-29 00:00"), vn("2019-05-02 00:00"));
    let expected = [
        // The tail of Sunday's shift, then of Monday's own; the holiday takes the evening shift, not the morning's tail.
        ("2019-04-28", DayKind::WorkingDay, 6 * HOUR),
        ("2019-04-29", DayKind::WorkingDay, 8 * HOUR),
        ("2019-04-30", DayKind::ClosedDay, 0),
        ("2019-05-01", DayKind::WorkingDay, 2 * HOUR),
    ];
    assert_eq!(
        shape(&days),
        expected.map(|(date, kind, seconds)| (date.to_owned(), kind, seconds))
    );
    assert_eq!(days[2].pieces[0].from, vn("2019-04-30 06:00"));
}

#[test]
fn hours_in_which_neighbouring_shifts_overlap_count_once_for_the_earlier() {
    let mut spec = calendar("Asia/Ho_Chi_Minh", "2019-01-01", WeeklySpec::default());
    spec.patterns[0].weekly.mon = intervals(&[("20:00", "09:00")]);
    spec.patterns[0].weekly.tue = intervals(&[("08:00", "12:00")]);
    let line = line(&spec);
    let days = line.account(vn("2019-04-29 12:00"), vn("2019-04-30 12:00"));
    let seconds: Vec<i64> = days.iter().map(DayAccount::business_seconds).collect();
    assert_eq!(seconds, [13 * HOUR, 3 * HOUR]);
}

#[test]
fn a_day_of_changed_clocks_is_as_long_as_it_was() {
    let line = line(&calendar(
        "Europe/London",
        "2019-01-01",
        every_day(&[("00:00", "24:00")]),
    ));
    for (from, to, hours) in [
        ("2019-03-31T00:00:00+00:00", "2019-04-01T00:00:00+01:00", 23),
        ("2019-10-27T00:00:00+01:00", "2019-10-28T00:00:00+00:00", 25),
    ] {
        let days = line.account(at(from), at(to));
        assert_eq!(days.len(), 1);
        assert_eq!(days[0].business_seconds(), hours * HOUR);
    }
}

#[test]
fn changed_hours_a_weekday_without_hours_and_the_time_before_all_hours_say_what_they_are() {
    let mut spec = calendar("Asia/Ho_Chi_Minh", "2019-01-01", weekdays(OFFICE));
    spec.patterns[0].weekly.wed = Vec::new();
    spec.exceptions
        .push(exception("2019-04-30", &[("08:00", "12:00")]));
    let line = line(&spec);
    let kinds = |from, to| shape(&line.account(vn(from), vn(to)));
    let week = kinds("2019-04-30 00:00", "2019-05-02 00:00");
    assert_eq!(
        (week[0].1, week[1].1),
        (DayKind::ChangedHours, DayKind::WeekdayWithoutHours)
    );
    let before = kinds("2018-12-31 00:00", "2019-01-02 00:00");
    assert_eq!(
        (before[0].1, before[1].1),
        (DayKind::NoHoursDecided, DayKind::WorkingDay)
    );
}

#[test]
fn a_term_in_calendar_days_that_ends_on_a_day_off_goes_on_to_the_next_working_day() {
    let line = line(&vietnam());
    let steps = line
        .day_steps(vn("2019-04-26 10:00"), Amount::CalendarDays(3))
        .unwrap();
    let dates: Vec<(String, Option<u32>)> = steps
        .iter()
        .map(|step| (step.date.to_string(), step.number))
        .collect();
    let expected = [
        ("2019-04-27", Some(1)),
        ("2019-04-28", Some(2)),
        ("2019-04-29", Some(3)),
        ("2019-04-30", None),
        ("2019-05-01", None),
        ("2019-05-02", None),
    ];
    assert_eq!(dates, expected.map(|(date, number)| (date.to_owned(), number)));
    assert!(
        line.day_steps(vn("2019-04-26 10:00"), Amount::BusinessMinutes(5))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_empty_stretch_has_nothing_to_explain() {
    let line = line(&vietnam());
    let noon = vn("2019-04-26 10:00");
    assert!(line.account(noon, noon).is_empty());
    assert!(line.account(noon, vn("2019-04-25 10:00")).is_empty());
}
