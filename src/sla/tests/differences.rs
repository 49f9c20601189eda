use super::*;
use crate::sla::Difference;
use crate::sla::calendar::Calendar;

fn office() -> CalendarSpec {
    calendar("Asia/Ho_Chi_Minh", "2019-01-01", weekdays(OFFICE))
}

fn with(mut spec: CalendarSpec, exceptions: &[(&str, &[(&str, &str)])]) -> CalendarSpec {
    spec.exceptions
        .extend(exceptions.iter().map(|(date, pairs)| exception(date, pairs)));
    spec
}

fn checked(spec: &CalendarSpec) -> Calendar {
    spec.check().unwrap()
}

fn difference(one: &CalendarSpec, other: &CalendarSpec) -> Option<Difference> {
    let there = Difference::between(&checked(one), &checked(other));
    let back = Difference::between(&checked(other), &checked(one));
    assert_eq!(there, back, "whichever comes first");
    there
}

fn span(first: &str, last: Option<&str>) -> Option<Difference> {
    Some(Difference {
        first: Some(first.parse().unwrap()),
        last: last.map(|date| date.parse().unwrap()),
    })
}

/// What the difference promises: outside of it every second counts alike.
fn assert_touches_what_differs(one: &CalendarSpec, other: &CalendarSpec, from: Instant, until: Instant) {
    let difference = difference(one, other);
    let (one, other) = (Timeline::new(checked(one)), Timeline::new(checked(other)));
    let mut hour = from;
    while hour < until {
        let next = hour + chrono::TimeDelta::hours(1);
        if one.elapsed(hour, next) != other.elapsed(hour, next) {
            assert!(
                difference.is_some_and(|span| span.touches(hour, Some(next))),
                "{hour}"
            );
        }
        hour = next;
    }
}

#[test]
fn the_first_and_the_last_date_that_differ_bound_the_difference() {
    let changed = with(
        office(),
        &[
            ("2019-11-25", &[]),
            ("2019-12-31", &[]),
            ("2019-11-28", &[("08:00", "12:00")]),
        ],
    );
    assert_eq!(
        difference(&office(), &changed),
        span("2019-11-25", Some("2019-12-31"))
    );
    assert_eq!(difference(&changed, &changed), None);
    // A day off that is off anyway, hours that are those of the day, another order: nothing that counts.
    let same = with(office(), &[("2019-11-24", &[]), ("2019-11-25", OFFICE)]);
    assert_eq!(difference(&office(), &same), None);
    let turned = with(
        office(),
        &[
            ("2019-12-31", &[]),
            ("2019-11-28", &[("08:00", "12:00")]),
            ("2019-11-25", &[]),
        ],
    );
    assert_eq!(difference(&changed, &turned), None);
}

#[test]
fn a_pattern_without_an_end_differs_without_an_end() {
    let mut longer = office();
    longer.patterns.push(PatternSpec {
        valid_from: "2019-06-01".into(),
        weekly: weekdays(&[("07:00", "17:00")]),
    });
    assert_eq!(difference(&office(), &longer), span("2019-06-01", None));
    let open = difference(&office(), &longer).unwrap();
    assert!(open.touches(vn("2090-01-01 08:00"), None));
    assert!(!open.touches(vn("2019-02-01 08:00"), Some(vn("2019-05-01 08:00"))));
    // Back to the old hours in September: it ends on the day before.
    let mut summer = longer.clone();
    summer.patterns.push(PatternSpec {
        valid_from: "2019-09-01".into(),
        weekly: weekdays(OFFICE),
    });
    assert_eq!(
        difference(&office(), &summer),
        span("2019-06-01", Some("2019-08-31"))
    );
    // With a single date after it the end is that date; with one before it the beginning is.
    let longest = with(summer, &[("2019-12-31", &[]), ("2019-01-02", &[])]);
    assert_eq!(
        difference(&office(), &longest),
        span("2019-01-02", Some("2019-12-31"))
    );
    let unending = with(longer, &[("2019-12-31", &[])]);
    assert_eq!(difference(&office(), &unending), span("2019-06-01", None));
}

#[test]
fn another_time_zone_differs_everywhere() {
    let mut moved = office();
    moved.time_zone = "Asia/Tokyo".into();
    let all = difference(&office(), &moved).unwrap();
    assert_eq!((all.first, all.last), (None, None));
    assert!(all.touches(vn("1990-01-01 08:00"), Some(vn("1990-01-01 08:01"))));
    assert!(all.touches(vn("2090-01-01 08:00"), None));
}

#[test]
fn a_night_shift_on_the_border_reaches_into_the_day_after() {
    let nights = calendar("Asia/Ho_Chi_Minh", "2019-01-01", every_day(&[("22:00", "06:00")]));
    let off = with(nights.clone(), &[("2019-11-25", &[])]);
    let border = difference(&nights, &off);
    assert_eq!(border, span("2019-11-25", Some("2019-11-25")));
    // The shift of the 25th ends at 06:00 on the 26th; whoever asks at 05:00 gets another answer.
    assert!(
        border
            .unwrap()
            .touches(vn("2019-11-26 05:00"), Some(vn("2019-11-26 05:30")))
    );
    assert!(!border.unwrap().touches(vn("2019-11-29 00:00"), None));
    assert!(
        !border
            .unwrap()
            .touches(vn("2019-11-01 00:00"), Some(vn("2019-11-23 23:00")))
    );
    assert_touches_what_differs(&nights, &off, vn("2019-11-20 00:00"), vn("2019-11-30 00:00"));
}

#[test]
fn a_make_up_day_that_opens_before_seven_lies_on_the_utc_date_before() {
    // 06:00 to 07:00 in Việt Nam is 23:00 to 24:00 of the day before in UTC.
    let early = with(office(), &[("2019-11-30", &[("06:00", "07:00")])]);
    let make_up = difference(&office(), &early);
    assert_eq!(make_up, span("2019-11-30", Some("2019-11-30")));
    let clock = (vn("2019-11-29 17:30"), Some(at("2019-11-29T23:59:59Z")));
    assert!(make_up.unwrap().touches(clock.0, clock.1));
    assert_touches_what_differs(&office(), &early, vn("2019-11-25 00:00"), vn("2019-12-05 00:00"));
    // The same far in the east and in the west, where local dates are a day off the UTC date at either end.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let mut one = calendar(zone, "2019-01-01", every_day(&[("00:00", "24:00")]));
        let mut other = with(one.clone(), &[("2019-11-30", &[])]);
        assert_touches_what_differs(
            &one,
            &other,
            at("2019-11-25T00:00:00Z"),
            at("2019-12-05T00:00:00Z"),
        );
        one.patterns[0].weekly = every_day(&[("22:00", "06:00")]);
        other.patterns[0].weekly = every_day(&[("22:00", "06:00")]);
        assert_touches_what_differs(
            &one,
            &other,
            at("2019-11-25T00:00:00Z"),
            at("2019-12-05T00:00:00Z"),
        );
    }
}
