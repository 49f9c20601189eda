use chrono::{Duration, TimeZone, Utc};

use super::*;
use crate::sla::NoWorkingTime;

#[test]
fn the_contract_example_runs_over_the_weekend() {
    let line = line(&vietnam());
    assert_eq!(
        line.due(vn("2019-11-22 16:30"), 14_400).unwrap(),
        vn("2019-11-25 11:00")
    );
    assert_eq!(
        line.elapsed(vn("2019-11-22 16:30"), vn("2019-11-25 11:00")),
        14_400
    );
}

#[test]
fn nothing_asked_is_due_at_once_and_nothing_lies_in_an_empty_span() {
    let line = line(&vietnam());
    let sunday = vn("2019-11-24 10:00");
    assert_eq!(line.due(sunday, 0).unwrap(), sunday);
    assert_eq!(line.due(sunday, -5).unwrap(), sunday);
    assert_eq!(line.elapsed(sunday, sunday), 0);
    assert_eq!(line.elapsed(vn("2019-11-25 17:00"), vn("2019-11-25 08:00")), 0);
}

#[test]
fn a_target_used_up_at_closing_time_is_due_at_closing_time() {
    let line = line(&vietnam());
    assert_eq!(
        line.due(vn("2019-11-22 16:30"), HOUR).unwrap(),
        vn("2019-11-22 17:30")
    );
    assert_eq!(
        line.due(vn("2019-11-22 16:30"), HOUR + 1).unwrap(),
        vn("2019-11-25 08:00:01")
    );
    assert_eq!(
        line.due(vn("2019-11-22 08:00"), 4 * HOUR).unwrap(),
        vn("2019-11-22 12:00")
    );
    assert_eq!(
        line.due(vn("2019-11-22 17:30"), 1).unwrap(),
        vn("2019-11-25 08:00:01")
    );
}

// osTicket issue 6739: a schedule of one weekday ran out of its look-ahead window.
#[test]
fn only_tuesday_is_a_working_day() {
    let weekly = WeeklySpec {
        tue: intervals(&[("09:00", "10:00")]),
        ..WeeklySpec::default()
    };
    let line = line(&calendar("Asia/Ho_Chi_Minh", "2019-01-01", weekly));
    assert_eq!(
        line.due(vn("2019-11-20 08:00"), HOUR).unwrap(),
        vn("2019-11-26 10:00")
    );
    assert_eq!(
        line.due(vn("2019-11-20 08:00"), 100 * HOUR).unwrap(),
        vn("2021-10-19 10:00")
    );
    assert_eq!(
        line.next_opening(vn("2019-11-26 10:00")),
        Some(vn("2019-12-03 09:00"))
    );
}

// django-helpdesk: a holiday must never make a due earlier.
#[test]
fn a_ticket_filed_during_a_holiday_starts_at_the_next_opening() {
    let (with, without) = (
        vietnam(),
        calendar("Asia/Ho_Chi_Minh", "2019-01-01", weekdays(OFFICE)),
    );
    let (with, without) = (line(&with), line(&without));
    let tet = vn("2019-02-05 09:15");
    assert!(!with.is_open(tet));
    assert_eq!(with.next_opening(tet), Some(vn("2019-02-11 08:00")));
    assert_eq!(with.due(tet, HOUR).unwrap(), vn("2019-02-11 09:00"));
    for hours in 0..24 * 14 {
        let filed = vn("2019-01-30 00:30") + Duration::hours(hours);
        assert!(
            with.due(filed, 4 * HOUR).unwrap() >= without.due(filed, 4 * HOUR).unwrap(),
            "{filed}"
        );
    }
}

// Zammad issue 534: the holiday is announced after the ticket was filed.
#[test]
fn a_holiday_announced_after_filing_moves_the_due_by_its_business_seconds() {
    let before = calendar("Asia/Ho_Chi_Minh", "2019-01-01", weekdays(OFFICE));
    let mut after = before.clone();
    after
        .exceptions
        .push(exception("2019-11-26", &[("08:00", "12:00")]));
    let (before, after) = (line(&before), line(&after));
    let filed = vn("2019-11-25 09:00");
    let old = before.due(filed, 16 * HOUR).unwrap();
    let new = after.due(filed, 16 * HOUR).unwrap();
    assert_eq!((old, new), (vn("2019-11-27 09:00"), vn("2019-11-27 14:30")));
    assert_eq!(after.elapsed(old, new), 4 * HOUR, "the lost afternoon");
}

#[test]
fn monday_29_april_2019_was_off_and_saturday_4_may_worked() {
    let line = line(&vietnam());
    let day = |day: &str| line.is_working_date(day.parse().unwrap());
    assert!(!day("2019-04-29") && !day("2019-04-30") && !day("2019-05-01") && day("2019-05-02"));
    assert!(day("2019-05-04") && !day("2019-05-05") && !day("2019-04-27"));
    assert_eq!(
        line.due(vn("2019-04-26 17:00"), HOUR).unwrap(),
        vn("2019-05-02 08:30")
    );
    assert_eq!(
        line.due(vn("2019-05-03 17:00"), HOUR).unwrap(),
        vn("2019-05-04 08:30")
    );
    assert_eq!(
        line.elapsed(vn("2019-04-29 00:00"), vn("2019-05-06 00:00")),
        3 * 8 * HOUR
    );
}

#[test]
fn a_make_up_day_may_open_before_seven_when_utc_is_still_on_the_date_before() {
    let mut spec = vietnam();
    spec.exceptions
        .push(exception("2019-11-23", &[("05:30", "06:45")]));
    let line = line(&spec);
    assert_eq!(
        line.next_opening(vn("2019-11-22 17:30")),
        Some(vn("2019-11-23 05:30"))
    );
    assert_eq!(
        line.elapsed(at("2019-11-22T22:00:00Z"), at("2019-11-23T00:00:00Z")),
        75 * 60
    );
    assert!(line.is_working_date("2019-11-23".parse().unwrap()));
    assert!(!line.is_working_date("2019-11-24".parse().unwrap()));
}

#[test]
fn a_holiday_takes_the_night_shift_that_opens_that_evening_and_leaves_the_tail_of_the_one_before() {
    let mut spec = calendar("Asia/Ho_Chi_Minh", "2019-01-01", every_day(&[("22:00", "06:00")]));
    spec.exceptions.push(exception("2019-11-26", &[]));
    let line = line(&spec);
    assert!(
        line.is_open(vn("2019-11-26 05:59:59")),
        "Monday's shift ends on the holiday's morning"
    );
    assert!(!line.is_open(vn("2019-11-26 06:00")));
    assert!(
        !line.is_open(vn("2019-11-26 22:00")),
        "the holiday's own shift does not open"
    );
    assert!(!line.is_open(vn("2019-11-27 03:00")));
    assert!(line.is_open(vn("2019-11-27 22:00")));
    assert_eq!(
        line.due(vn("2019-11-26 05:00"), HOUR + 1).unwrap(),
        vn("2019-11-27 22:00:01")
    );
    assert_eq!(
        line.elapsed(vn("2019-11-25 12:00"), vn("2019-11-28 12:00")),
        16 * HOUR
    );
}

#[test]
fn overlapping_shifts_of_neighbouring_dates_are_joined_and_counted_once() {
    let line = line(&calendar(
        "UTC",
        "2019-01-01",
        every_day(&[("04:00", "10:00"), ("20:00", "06:00")]),
    ));
    assert_eq!(
        line.elapsed(at("2019-06-01T20:00:00Z"), at("2019-06-02T10:00:00Z")),
        14 * HOUR
    );
    assert_eq!(
        line.due(at("2019-06-01T20:00:00Z"), 14 * HOUR).unwrap(),
        at("2019-06-02T10:00:00Z")
    );
    assert_eq!(
        line.elapsed(at("2019-06-01T00:00:00Z"), at("2019-06-08T00:00:00Z")),
        7 * 14 * HOUR
    );
}

#[test]
fn a_day_may_close_at_24_and_a_whole_week_has_no_seam() {
    let line = line(&calendar(
        "Asia/Ho_Chi_Minh",
        "2019-01-01",
        every_day(&[("00:00", "24:00")]),
    ));
    assert_eq!(
        line.elapsed(vn("2019-03-01 00:00"), vn("2019-03-08 00:00")),
        7 * 24 * HOUR
    );
    assert_eq!(
        line.due(vn("2019-03-01 23:59:59"), 2).unwrap(),
        vn("2019-03-02 00:00:01")
    );
    assert_eq!(
        line.elapsed(at("2020-01-01T00:00:00Z"), at("2120-01-01T00:00:00Z")),
        36_525 * 24 * HOUR - 24 * HOUR
    );
}

#[test]
fn seconds_of_the_wall_clock_count() {
    let line = line(&calendar(
        "UTC",
        "2019-01-01",
        every_day(&[("08:00:01", "08:00:03"), ("23:59:59", "00:00:01")]),
    ));
    assert_eq!(
        line.elapsed(at("2019-06-01T00:00:00Z"), at("2019-06-02T00:00:00Z")),
        1 + 2 + 1
    );
    assert_eq!(
        line.due(at("2019-06-01T08:00:02Z"), 2).unwrap(),
        at("2019-06-02T00:00:00Z")
    );
}

#[test]
fn fractions_of_seconds_are_dropped_so_that_elapsed_is_additive() {
    let line = line(&vietnam());
    let (a, b, c) = (
        at("2019-11-25T02:00:00.6Z"),
        at("2019-11-25T02:00:01.7Z"),
        at("2019-11-25T02:00:03.2Z"),
    );
    assert_eq!(line.elapsed(a, b) + line.elapsed(b, c), line.elapsed(a, c));
    assert_eq!(line.due(a, 10).unwrap(), at("2019-11-25T02:00:10Z"));
    // Also before 1970, where truncation and flooring part.
    let old = super::line(&calendar("UTC", "1950-01-01", every_day(&[("00:00", "24:00")])));
    assert_eq!(
        old.due(at("1960-05-05T10:00:00.9Z"), 1).unwrap(),
        at("1960-05-05T10:00:01Z")
    );
}

#[test]
fn a_newer_pattern_takes_over_on_its_date() {
    let mut spec = calendar(
        "Asia/Ho_Chi_Minh",
        "2019-04-01",
        weekdays(&[("07:00", "11:30"), ("13:30", "17:00")]),
    );
    spec.patterns.push(PatternSpec {
        valid_from: "2018-11-01".into(),
        weekly: weekdays(&[("07:30", "12:00")]),
    });
    let line = line(&spec);
    assert_eq!(
        line.next_opening(vn("2019-03-29 13:00")),
        Some(vn("2019-04-01 07:00"))
    );
    assert_eq!(
        line.elapsed(vn("2019-03-29 00:00"), vn("2019-03-30 00:00")),
        4 * HOUR + HOUR / 2
    );
    assert_eq!(
        line.elapsed(vn("2019-04-01 00:00"), vn("2019-04-02 00:00")),
        8 * HOUR
    );
    assert_eq!(
        line.elapsed(vn("2010-01-01 00:00"), vn("2018-11-01 00:00")),
        0,
        "no hours before the first pattern"
    );
    assert!(line.due(vn("2000-01-01 00:00"), 1).is_err(), "and no made-up due");
    assert_eq!(
        line.due(vn("2010-01-01 00:00"), 60).unwrap(),
        vn("2018-11-01 07:31")
    );
}

#[test]
fn the_year_ends_without_a_seam() {
    let mut spec = vietnam();
    spec.exceptions.push(exception("2020-01-01", &[]));
    let line = line(&spec);
    assert_eq!(
        line.due(vn("2019-12-31 17:00"), HOUR).unwrap(),
        vn("2020-01-02 08:30")
    );
    assert_eq!(
        line.due(vn("2020-12-31 17:00"), HOUR).unwrap(),
        vn("2021-01-01 08:30"),
        "2021 knows no exception yet"
    );
    assert_eq!(
        line.elapsed(vn("2020-02-28 00:00"), vn("2020-03-02 00:00")),
        8 * HOUR,
        "29 February 2020 was a Saturday"
    );
}

#[test]
fn dates_in_1990_and_2090_and_beyond_the_dated_years_work() {
    let line = line(&calendar("Asia/Ho_Chi_Minh", "1985-01-01", weekdays(OFFICE)));
    assert_eq!(
        line.due(vn("1990-06-01 17:00"), HOUR).unwrap(),
        vn("1990-06-04 08:30")
    );
    assert_eq!(
        line.due(vn("2090-06-02 17:00"), HOUR).unwrap(),
        vn("2090-06-05 08:30")
    );
    assert_eq!(
        line.due(vn("2203-12-30 17:00"), 200 * HOUR).unwrap(),
        vn("2204-02-03 17:00")
    );
    assert_eq!(
        line.due(vn("9990-06-01 17:00"), HOUR).unwrap(),
        vn("9990-06-04 08:30")
    );
    assert!(line.is_open(vn("5000-01-01 08:00")) && !line.is_open(vn("5000-01-01 12:00")));
}

#[test]
fn elapsed_over_absurd_spans_is_exact_and_bounded() {
    let line = line(&calendar("UTC", "1900-01-01", every_day(&[("08:00", "16:00")])));
    let day = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap();
    assert_eq!(line.elapsed(day(1), day(1900)), 0);
    for (from, to) in [
        (1, 9999),
        (1900, 2500),
        (2203, 2205),
        (2204, 2205),
        (3000, 9999),
        (1, 200_000),
    ] {
        let days = (day(to) - day(from.max(1900))).num_days();
        assert_eq!(line.elapsed(day(from), day(to)), days * 8 * HOUR, "{from}-{to}");
    }
    let (first, last) = (chrono::DateTime::<Utc>::MIN_UTC, chrono::DateTime::<Utc>::MAX_UTC);
    assert!(line.elapsed(first, last) > 0);
    assert!(line.due(last, 1).is_err());
    assert!(line.due(first, 1).is_err());
    assert!(line.due(day(2020), i64::MAX).is_err());
    assert_eq!(line.next_opening(last), None);
    assert!(line.end_of_business_day_after(last, 1).is_err());
    assert!(line.end_of_calendar_day_after(last, u32::MAX).is_err());
    assert!(line.end_of_business_day_after(first, u32::MAX).is_err());
}

#[test]
fn ten_years_without_a_working_second_are_an_error_and_one_at_the_end_of_them_is_not() {
    let start = vn("2010-06-01 09:00");
    let opens = |date: &str| {
        line(&calendar(
            "Asia/Ho_Chi_Minh",
            date,
            every_day(&[("08:00", "12:00")]),
        ))
    };
    assert_eq!(
        opens("2020-06-01").due(start, HOUR).unwrap(),
        vn("2020-06-01 09:00"),
        "ten years to the second"
    );
    assert_eq!(
        opens("2020-06-01").due(start, HOUR + 1),
        Err(NoWorkingTime { after: start })
    );
    assert_eq!(
        opens("2020-06-02").due(start, 1),
        Err(NoWorkingTime { after: start })
    );
    assert_eq!(opens("2020-06-02").next_opening(start), None);
    assert!(opens("2020-06-02").end_of_business_day_after(start, 1).is_err());
    assert!(opens("2020-06-02").end_of_calendar_day_after(start, 1).is_err());
    let message = opens("2020-06-02").due(start, 1).unwrap_err().to_string();
    assert!(message.contains("ten years after 2010-06-01"), "{message}");
}

#[test]
fn pauses_may_overlap_and_stand_in_any_order() {
    let line = line(&vietnam());
    let (from, to) = (vn("2019-11-25 08:00"), vn("2019-11-25 17:30"));
    let pauses = [
        (vn("2019-11-25 10:00"), vn("2019-11-25 11:00")),
        (vn("2019-11-25 07:00"), vn("2019-11-25 08:30")),
        (vn("2019-11-25 09:30"), vn("2019-11-25 10:30")),
        (vn("2019-11-25 16:00"), vn("2019-11-25 15:00")),
        (vn("2019-11-25 17:00"), vn("2019-11-26 09:00")),
    ];
    assert_eq!(
        line.elapsed_without(from, to, &pauses),
        8 * HOUR - HOUR / 2 - HOUR - HOUR / 2 - HOUR / 2
    );
    assert_eq!(
        line.due_with_pauses(from, HOUR, &pauses).unwrap(),
        vn("2019-11-25 09:30")
    );
    assert_eq!(
        line.due_with_pauses(from, HOUR + 1, &pauses).unwrap(),
        vn("2019-11-25 11:00:01")
    );
    assert_eq!(
        line.due_with_pauses(from, 6 * HOUR, &pauses).unwrap(),
        vn("2019-11-26 09:30")
    );
    assert_eq!(line.due_with_pauses(from, 0, &pauses).unwrap(), from);
    assert_eq!(line.elapsed_without(to, from, &pauses), 0);
}

#[test]
fn a_timeline_is_shared_between_threads_while_it_compiles() {
    let line = line(&vietnam());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for year in 2019..2060 {
                    let start = Utc.with_ymd_and_hms(year, 3, 1, 0, 0, 0).unwrap();
                    let due = line.due(start, 1_000 * HOUR).unwrap();
                    assert_eq!(line.elapsed(start, due), 1_000 * HOUR);
                }
            });
        }
    });
}
