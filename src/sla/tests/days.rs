use super::*;
use crate::sla::Amount;

#[test]
fn the_starting_day_is_not_counted_and_the_nth_working_day_ends_at_its_last_closing() {
    let line = line(&vietnam());
    let after = |start: &str, days| line.end_of_business_day_after(vn(start), days).unwrap();
    for start in [
        "2019-11-25 00:00",
        "2019-11-25 08:00",
        "2019-11-25 17:30",
        "2019-11-25 23:59:59",
    ] {
        assert_eq!(after(start, 1), vn("2019-11-26 17:30"), "{start}");
    }
    assert_eq!(
        after("2019-11-22 16:30", 1),
        vn("2019-11-25 17:30"),
        "Friday to Monday"
    );
    assert_eq!(
        after("2019-11-23 10:00", 1),
        vn("2019-11-25 17:30"),
        "filed on a Saturday"
    );
    assert_eq!(after("2019-11-22 16:30", 10), vn("2019-12-06 17:30"));
    assert_eq!(
        after("2019-04-26 09:00", 1),
        vn("2019-05-02 17:30"),
        "over the holidays"
    );
    assert_eq!(
        after("2019-05-03 09:00", 1),
        vn("2019-05-04 17:30"),
        "the make-up Saturday counts"
    );
    assert_eq!(after("2019-11-25 09:00", 0), vn("2019-11-25 09:00"));
}

#[test]
fn a_half_day_counts_as_a_working_day_and_ends_at_its_own_closing() {
    let mut spec = vietnam();
    spec.exceptions
        .push(exception("2019-11-26", &[("08:00", "11:30")]));
    let line = line(&spec);
    assert_eq!(
        line.end_of_business_day_after(vn("2019-11-25 09:00"), 1).unwrap(),
        vn("2019-11-26 11:30")
    );
    assert_eq!(
        line.end_of_business_day_after(vn("2019-11-25 09:00"), 2).unwrap(),
        vn("2019-11-27 17:30")
    );
}

#[test]
fn a_night_shift_belongs_to_the_day_on_which_it_opens() {
    let line = line(&calendar(
        "Asia/Ho_Chi_Minh",
        "2019-01-01",
        weekdays(&[("22:00", "06:00")]),
    ));
    assert_eq!(
        line.end_of_business_day_after(vn("2019-11-28 23:00"), 1).unwrap(),
        vn("2019-11-30 06:00")
    );
    assert_eq!(
        line.end_of_business_day_after(vn("2019-11-30 03:00"), 1).unwrap(),
        vn("2019-12-03 06:00")
    );
}

#[test]
fn calendar_days_end_at_midnight_and_a_day_off_moves_them_to_the_next_working_day() {
    let line = line(&vietnam());
    let after = |start: &str, days| line.end_of_calendar_day_after(vn(start), days).unwrap();
    assert_eq!(after("2019-11-25 09:00", 1), vn("2019-11-27 00:00"));
    assert_eq!(
        after("2019-11-22 09:00", 1),
        vn("2019-11-26 00:00"),
        "Saturday moves to the end of Monday"
    );
    assert_eq!(
        after("2019-11-22 09:00", 3),
        vn("2019-11-26 00:00"),
        "Monday is Monday"
    );
    assert_eq!(
        after("2019-04-26 09:00", 3),
        vn("2019-05-03 00:00"),
        "29 April was off until 2 May"
    );
    assert_eq!(
        after("2019-05-02 09:00", 2),
        vn("2019-05-05 00:00"),
        "the make-up Saturday works"
    );
    assert_eq!(
        after("2019-11-25 09:00", 20),
        vn("2019-12-17 00:00"),
        "15 December is a Sunday"
    );
    assert_eq!(after("2019-11-25 09:00", 0), vn("2019-11-25 09:00"));
}

#[test]
fn the_local_date_decides_not_the_utc_date() {
    let line = line(&vietnam());
    // 00:30 on Tuesday in Viet Nam is still Monday in UTC.
    assert_eq!(
        line.end_of_business_day_after(vn("2019-11-26 00:30"), 1).unwrap(),
        vn("2019-11-27 17:30")
    );
    assert_eq!(
        line.local_date(at("2019-11-25T17:30:00Z")).to_string(),
        "2019-11-26"
    );
}

#[test]
fn an_amount_knows_its_rule() {
    let line = line(&vietnam());
    let start = vn("2019-11-22 16:30");
    assert_eq!(
        Amount::BusinessMinutes(240).due_from(&line, start).unwrap(),
        vn("2019-11-25 11:00")
    );
    assert_eq!(
        Amount::BusinessDays(2).due_from(&line, start).unwrap(),
        vn("2019-11-26 17:30")
    );
    assert_eq!(
        Amount::CalendarDays(2).due_from(&line, start).unwrap(),
        vn("2019-11-26 00:00")
    );
}
