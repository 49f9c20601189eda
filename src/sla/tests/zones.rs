use chrono::{DateTime, Duration, Offset, TimeZone};

use super::*;
use crate::sla::window::PERIODIC_FROM;

/// One interval on one date, and the UTC instants that it must open and close at.
struct Row {
    zone: &'static str,
    date: &'static str,
    interval: (&'static str, &'static str),
    opens: &'static str,
    closes: &'static str,
}

const fn row(
    zone: &'static str,
    date: &'static str,
    interval: (&'static str, &'static str),
    opens: &'static str,
    closes: &'static str,
) -> Row {
    Row {
        zone,
        date,
        interval,
        opens,
        closes,
    }
}

const NEW_YORK: &str = "America/New_York";
const LONDON: &str = "Europe/London";
const DUBLIN: &str = "Europe/Dublin";
const LORD_HOWE: &str = "Australia/Lord_Howe";
const HAVANA: &str = "America/Havana";
const KATHMANDU: &str = "Asia/Kathmandu";

/// Dates of change from the IANA database.
const ROWS: &[Row] = &[
    // 10 March 2019, 02:00 EST -> 03:00 EDT at 07:00Z.
    row(
        NEW_YORK,
        "2019-03-10",
        ("02:30", "03:15"),
        "2019-03-10T07:00:00Z",
        "2019-03-10T07:15:00Z",
    ),
    row(
        NEW_YORK,
        "2019-03-10",
        ("01:00", "02:00"),
        "2019-03-10T06:00:00Z",
        "2019-03-10T07:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-03-10",
        ("01:59:59", "02:00:01"),
        "2019-03-10T06:59:59Z",
        "2019-03-10T07:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-03-10",
        ("03:00", "04:00"),
        "2019-03-10T07:00:00Z",
        "2019-03-10T08:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-03-10",
        ("00:00", "24:00"),
        "2019-03-10T05:00:00Z",
        "2019-03-11T04:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-03-09",
        ("22:00", "06:00"),
        "2019-03-10T03:00:00Z",
        "2019-03-10T10:00:00Z",
    ),
    // 3 November 2019, 02:00 EDT -> 01:00 EST at 06:00Z.
    row(
        NEW_YORK,
        "2019-11-03",
        ("01:00", "01:30"),
        "2019-11-03T05:00:00Z",
        "2019-11-03T06:30:00Z",
    ),
    row(
        NEW_YORK,
        "2019-11-03",
        ("00:59:59", "01:00"),
        "2019-11-03T04:59:59Z",
        "2019-11-03T06:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-11-03",
        ("01:59:59", "02:00"),
        "2019-11-03T05:59:59Z",
        "2019-11-03T07:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-11-03",
        ("00:00", "24:00"),
        "2019-11-03T04:00:00Z",
        "2019-11-04T05:00:00Z",
    ),
    row(
        NEW_YORK,
        "2019-11-02",
        ("22:00", "06:00"),
        "2019-11-03T02:00:00Z",
        "2019-11-03T11:00:00Z",
    ),
    // Closing at the very time to which the wall clock goes back: 01:00 comes twice, and the later one closes.
    row(
        NEW_YORK,
        "2019-11-02",
        ("01:01", "01:00"),
        "2019-11-02T05:01:00Z",
        "2019-11-03T06:00:00Z",
    ),
    // 31 March and 27 October 2019, both at 01:00Z; Ireland calls its winter time the exception.
    row(
        LONDON,
        "2019-03-31",
        ("00:30", "01:30"),
        "2019-03-31T00:30:00Z",
        "2019-03-31T01:00:00Z",
    ),
    row(
        LONDON,
        "2019-03-31",
        ("01:30", "02:30"),
        "2019-03-31T01:00:00Z",
        "2019-03-31T01:30:00Z",
    ),
    row(
        LONDON,
        "2019-10-27",
        ("01:30", "02:00"),
        "2019-10-27T00:30:00Z",
        "2019-10-27T02:00:00Z",
    ),
    row(
        DUBLIN,
        "2019-03-31",
        ("01:15", "09:00"),
        "2019-03-31T01:00:00Z",
        "2019-03-31T08:00:00Z",
    ),
    row(
        DUBLIN,
        "2019-10-27",
        ("01:00", "01:00:01"),
        "2019-10-27T00:00:00Z",
        "2019-10-27T01:00:01Z",
    ),
    row(
        DUBLIN,
        "2019-10-26",
        ("23:00", "01:30"),
        "2019-10-26T22:00:00Z",
        "2019-10-27T01:30:00Z",
    ),
    // Half an hour: 6 October 2019, 02:00 (+10:30) -> 02:30 (+11) at 15:30Z; 7 April 2019, 02:00 -> 01:30 at 15:00Z.
    row(
        LORD_HOWE,
        "2019-10-06",
        ("02:00", "03:00"),
        "2019-10-05T15:30:00Z",
        "2019-10-05T16:00:00Z",
    ),
    row(
        LORD_HOWE,
        "2019-10-06",
        ("02:15", "02:45"),
        "2019-10-05T15:30:00Z",
        "2019-10-05T15:45:00Z",
    ),
    row(
        LORD_HOWE,
        "2019-04-07",
        ("01:00", "02:00"),
        "2019-04-06T14:00:00Z",
        "2019-04-06T15:30:00Z",
    ),
    row(
        LORD_HOWE,
        "2019-04-07",
        ("01:45", "01:50"),
        "2019-04-06T14:45:00Z",
        "2019-04-06T15:20:00Z",
    ),
    // At midnight: 10 March 2019, 00:00 -> 01:00 at 05:00Z; 3 November 2019, 01:00 -> 00:00 at 05:00Z.
    row(
        HAVANA,
        "2019-03-10",
        ("00:00", "02:00"),
        "2019-03-10T05:00:00Z",
        "2019-03-10T06:00:00Z",
    ),
    row(
        HAVANA,
        "2019-03-09",
        ("23:00", "24:00"),
        "2019-03-10T04:00:00Z",
        "2019-03-10T05:00:00Z",
    ),
    row(
        HAVANA,
        "2019-11-03",
        ("00:00", "01:00"),
        "2019-11-03T04:00:00Z",
        "2019-11-03T06:00:00Z",
    ),
    row(
        HAVANA,
        "2019-11-03",
        ("00:30", "00:45"),
        "2019-11-03T04:30:00Z",
        "2019-11-03T05:45:00Z",
    ),
    // 24:00 is a closing time, and 00:00 comes twice: the later one.
    row(
        HAVANA,
        "2019-11-02",
        ("23:00", "24:00"),
        "2019-11-03T03:00:00Z",
        "2019-11-03T05:00:00Z",
    ),
    // No DST; on 1 January 1986 the offset changed from +5:30 to +5:45 at 18:30Z, 00:00 -> 00:15.
    row(
        KATHMANDU,
        "2019-06-03",
        ("09:00", "17:00"),
        "2019-06-03T03:15:00Z",
        "2019-06-03T11:15:00Z",
    ),
    row(
        KATHMANDU,
        "1986-01-01",
        ("00:00", "01:00"),
        "1985-12-31T18:30:00Z",
        "1985-12-31T19:15:00Z",
    ),
    // 23:00-24:00 comes twice on 16 February 2019.
    row(
        "America/Sao_Paulo",
        "2019-02-16",
        ("23:00", "24:00"),
        "2019-02-17T01:00:00Z",
        "2019-02-17T03:00:00Z",
    ),
];

/// The row's interval alone: an exception in a calendar whose pattern begins long after it.
fn single(row: &Row) -> Timeline {
    let mut spec = calendar(row.zone, "2150-01-01", weekdays(OFFICE));
    spec.exceptions.push(exception(row.date, &[row.interval]));
    line(&spec)
}

#[test]
fn every_interval_opens_and_closes_at_its_second_around_each_change() {
    for row in ROWS {
        let line = single(row);
        let (opens, closes) = (at(row.opens), at(row.closes));
        let what = format!("{} {} {:?}", row.zone, row.date, row.interval);
        let second = Duration::seconds(1);
        let length = (closes - opens).num_seconds();
        assert_eq!(
            line.next_opening(opens - Duration::days(2)),
            Some(opens),
            "{what}"
        );
        assert_eq!(
            line.elapsed(opens - Duration::days(2), closes + Duration::days(2)),
            length,
            "{what}"
        );
        let open_at =
            [-1, 0, length - 1, length].map(|offset| line.is_open(opens + Duration::seconds(offset)));
        assert_eq!(open_at, [false, true, true, false], "{what}");
        assert_eq!(line.elapsed(opens - second, opens), 0, "{what}");
        assert_eq!(line.elapsed(opens - second, opens + second), 1, "{what}");
        assert_eq!(line.elapsed(closes - second, closes), 1, "{what}");
        assert_eq!(line.elapsed(closes, closes + second), 0, "{what}");
        assert_eq!(line.elapsed(opens + second, closes), length - 1, "{what}");
        for start in [opens - second, opens] {
            assert_eq!(line.due(start, 1), Ok(opens + second), "{what}");
            assert_eq!(line.due(start, length), Ok(closes), "{what}");
            assert!(line.due(start, length + 1).is_err(), "{what}");
        }
        assert!(line.due(closes, 1).is_err(), "{what}");
        assert!(line.is_working_date(row.date.parse().unwrap()), "{what}");
        let two_days_before = opens - Duration::days(2);
        assert_eq!(
            line.end_of_business_day_after(two_days_before, 1),
            Ok(closes),
            "{what}"
        );
    }
}

#[test]
fn half_past_two_in_the_gap_is_15_minutes_and_half_past_one_in_the_overlap_is_90() {
    let gap = calendar(NEW_YORK, "2019-01-01", every_day(&[("02:30", "03:15")]));
    let day = |spec: &CalendarSpec, from: &str, to: &str| line(spec).elapsed(at(from), at(to));
    assert_eq!(
        day(&gap, "2019-03-10T00:00:00-05:00", "2019-03-11T00:00:00-04:00"),
        15 * 60
    );
    assert_eq!(
        day(&gap, "2019-03-11T00:00:00-04:00", "2019-03-12T00:00:00-04:00"),
        45 * 60
    );
    let overlap = calendar(NEW_YORK, "2019-01-01", every_day(&[("01:00", "01:30")]));
    assert_eq!(
        day(&overlap, "2019-11-03T00:00:00-04:00", "2019-11-04T00:00:00-05:00"),
        90 * 60
    );
    assert_eq!(
        day(&overlap, "2019-11-04T00:00:00-05:00", "2019-11-05T00:00:00-05:00"),
        30 * 60
    );
}

#[test]
fn an_interval_that_a_gap_swallows_is_no_work_at_all() {
    let mut spec = calendar(NEW_YORK, "2150-01-01", weekdays(OFFICE));
    spec.exceptions
        .push(exception("2019-03-10", &[("02:00", "02:59:59")]));
    let line = line(&spec);
    assert!(!line.is_working_date("2019-03-10".parse().unwrap()));
    assert_eq!(
        line.elapsed(at("2019-03-01T00:00:00Z"), at("2019-04-01T00:00:00Z")),
        0
    );
    // Samoa had no 30 December 2011 at all.
    let samoa = super::line(&calendar(
        "Pacific/Apia",
        "2011-01-01",
        every_day(&[("08:00", "16:00")]),
    ));
    assert!(!samoa.is_working_date("2011-12-30".parse().unwrap()));
    assert_eq!(
        samoa.elapsed(at("2011-12-29T00:00:00-10:00"), at("2012-01-01T00:00:00+14:00")),
        16 * HOUR
    );
    assert_eq!(
        samoa.due(at("2011-12-29T15:00:00-10:00"), 2 * HOUR),
        Ok(at("2011-12-31T09:00:00+14:00"))
    );
}

#[test]
fn days_tile_without_holes_through_every_change_of_a_century() {
    for zone in [
        NEW_YORK,
        LONDON,
        DUBLIN,
        LORD_HOWE,
        HAVANA,
        KATHMANDU,
        "Africa/Casablanca",
        "Pacific/Apia",
    ] {
        let line = line(&calendar(
            zone,
            "1900-01-01",
            every_day(&[("00:00", "08:30"), ("08:30", "24:00")]),
        ));
        let (from, to) = (at("1950-01-01T00:00:00Z"), at("2050-01-01T00:00:00Z"));
        assert_eq!(line.elapsed(from, to), (to - from).num_seconds(), "{zone}");
    }
}

#[test]
fn no_time_zone_changes_after_the_periodic_part_begins() {
    let first = DateTime::from_timestamp(PERIODIC_FROM, 0).unwrap() - Duration::days(1_000);
    assert_eq!(
        DateTime::from_timestamp(PERIODIC_FROM, 0).unwrap().to_rfc3339(),
        "2204-01-02T00:00:00+00:00"
    );
    for zone in chrono_tz::TZ_VARIANTS {
        let offset = |days: i64| {
            zone.offset_from_utc_datetime(&(first + Duration::days(days)).naive_utc())
                .fix()
        };
        let moved = (0..40 * 366).step_by(7).find(|days| offset(*days) != offset(0));
        assert_eq!(moved, None, "{zone}");
    }
}
