use super::*;
use crate::sla::calendar::{Certainty, ExceptionKind};

fn problems(spec: &CalendarSpec) -> Vec<(String, &'static str)> {
    spec.check()
        .unwrap_err()
        .into_iter()
        .map(|problem| (problem.pointer, problem.code.as_str()))
        .collect()
}

#[test]
fn the_calendar_of_the_contract_is_read_and_written_unchanged() {
    let json = serde_json::json!({
        "time_zone": "Asia/Ho_Chi_Minh",
        "patterns": [{"valid_from": "2019-01-01", "weekly": {
            "mon": [["08:00","12:00"],["13:30","17:30"]], "tue": [["08:00","12:00"],["13:30","17:30"]],
            "wed": [["08:00","12:00"],["13:30","17:30"]], "thu": [["08:00","12:00"],["13:30","17:30"]],
            "fri": [["08:00","12:00"],["13:30","17:30"]], "sat": [], "sun": []}}],
        "exceptions": [{"date": "2019-04-29", "intervals": [], "name": {"vi": "Nghỉ hoán đổi", "en": "Swapped day"},
            "legal_basis": "6519/VPCP-KGVX", "kind": "swap", "certainty": "confirmed", "source": "vbpl.vn"}]
    });
    let spec: CalendarSpec = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&spec).unwrap(), json);
    let calendar = spec.check().unwrap();
    assert_eq!(calendar.time_zone(), chrono_tz::Asia::Ho_Chi_Minh);
    let off = calendar.exception_on("2019-04-29".parse().unwrap()).unwrap();
    assert!(off.intervals.is_empty());
    assert_eq!(off.written.kind, Some(ExceptionKind::Swap));
    assert_eq!(off.written.certainty, Some(Certainty::Confirmed));
    assert_eq!(calendar.exception_on("2019-04-30".parse().unwrap()), None);
}

#[test]
fn exceptions_and_weekdays_may_be_left_out_and_unknown_fields_are_refused() {
    let short = r#"{"time_zone":"UTC","patterns":[{"valid_from":"2019-01-01","weekly":{"tue":[["09:00","10:00"]]}}]}"#;
    let spec: CalendarSpec = serde_json::from_str(short).unwrap();
    assert!(spec.check().is_ok());
    assert!(serde_json::from_str::<CalendarSpec>(&short.replace("tue", "tuesday")).is_err());
    assert!(serde_json::from_str::<CalendarSpec>(&short.replace("valid_from", "since")).is_err());
    assert!(serde_json::from_str::<CalendarSpec>(&short.replace(r#","10:00""#, "")).is_err());
}

#[test]
fn all_problems_are_collected_with_their_places() {
    let mut spec = calendar("Asia/Saigon-City", "2019-13-01", weekdays(&[]));
    spec.patterns[0].weekly.mon = intervals(&[("08:00", "12:00"), ("11:59", "13:00"), ("15:00", "15:00")]);
    spec.patterns.push(PatternSpec {
        valid_from: "2020-01-01".into(),
        weekly: weekdays(OFFICE),
    });
    spec.patterns.push(PatternSpec {
        valid_from: "2020-01-01".into(),
        weekly: WeeklySpec::default(),
    });
    spec.exceptions = vec![
        exception("2019-02-30", &[]),
        exception("2019-05-04", &[("8:00", "12:00")]),
        exception("2019-05-04", &[("24:00", "25:00")]),
    ];
    assert_eq!(
        problems(&spec),
        [
            ("/time_zone", "unknown_time_zone"),
            ("/patterns/0/weekly/mon/2", "empty_interval"),
            ("/patterns/0/weekly/mon/1", "overlapping_intervals"),
            ("/patterns/0/valid_from", "bad_date"),
            ("/patterns/2/valid_from", "duplicate_valid_from"),
            ("/patterns/2/weekly", "no_working_time"),
            ("/exceptions/0/date", "bad_date"),
            ("/exceptions/1/intervals/0/0", "bad_time"),
            ("/exceptions/2/intervals/0/0", "bad_time"),
            ("/exceptions/2/intervals/0/1", "bad_time"),
            ("/exceptions/2/date", "duplicate_date"),
        ]
        .map(|(pointer, code)| (pointer.to_owned(), code))
    );
}

#[test]
fn a_calendar_without_patterns_or_hours_is_refused() {
    let mut spec = vietnam();
    spec.patterns.clear();
    assert_eq!(problems(&spec), [("/patterns".to_owned(), "no_pattern")]);
    // The newest pattern decides, wherever it stands in the list, and exceptions do not make up for it.
    let mut spec = vietnam();
    spec.patterns.insert(
        0,
        PatternSpec {
            valid_from: "2021-01-01".into(),
            weekly: weekdays(&[]),
        },
    );
    assert_eq!(
        problems(&spec),
        [("/patterns/0/weekly".to_owned(), "no_working_time")]
    );
    let mut spec = vietnam();
    spec.patterns.push(PatternSpec {
        valid_from: "2018-01-01".into(),
        weekly: weekdays(&[]),
    });
    assert!(
        spec.check().is_ok(),
        "an older pattern may have no hours, and the order does not matter"
    );
}

#[test]
fn times_and_dates_are_read_strictly() {
    let with = |open: &str, close: &str| calendar("UTC", "2019-01-01", weekdays(&[(open, close)])).check();
    for (open, close) in [
        ("00:00", "24:00"),
        ("00:00:00", "24:00:00"),
        ("22:00", "06:00"),
        ("23:59:59", "00:00"),
    ] {
        assert!(with(open, close).is_ok(), "{open}-{close}");
    }
    for bad in [
        "",
        "8:00",
        "08:0",
        "08:60",
        "24:01",
        "24:00:01",
        "25:00",
        "08:00:60",
        "08",
        "08:00:00:00",
        "+8:00",
    ] {
        assert!(with("07:00", bad).is_err(), "{bad}");
        assert!(with(bad, "23:00").is_err(), "{bad}");
    }
    assert!(with("٠٨:٠٠", "12:00").is_err(), "only ASCII digits");
    assert!(with("24:00", "06:00").is_err(), "24:00 only closes");
    assert!(with("00:00", "00:00").is_err(), "neither nothing nor a whole day");
    let from = |date: &str| calendar("UTC", date, weekdays(OFFICE)).check();
    for bad in [
        "2019-1-1",
        "2019-02-29",
        "1899-12-31",
        "2200-01-01",
        "+2019-01-01",
        " 2019-01-01",
        "01/01/2019",
        "",
    ] {
        assert!(from(bad).is_err(), "{bad}");
    }
    assert!(from("1900-01-01").is_ok() && from("2199-12-31").is_ok() && from("2020-02-29").is_ok());
}

#[test]
fn intervals_of_a_date_may_touch_but_not_overlap_also_past_midnight() {
    let with = |pairs: &[(&str, &str)]| calendar("UTC", "2019-01-01", weekdays(pairs)).check();
    assert!(
        with(&[("12:00", "13:00"), ("08:00", "12:00")]).is_ok(),
        "unsorted and touching"
    );
    assert!(
        with(&[("22:00", "06:00"), ("00:00", "06:00")]).is_ok(),
        "the shift's tail lies on the next date"
    );
    assert!(with(&[("22:00", "06:00"), ("23:00", "23:30")]).is_err());
    let around = with(&[("08:00", "20:00"), ("09:00", "10:00"), ("11:00", "12:00")]);
    assert_eq!(
        around.unwrap_err().len(),
        2 * 5,
        "both inner intervals, on each of five weekdays"
    );
    let minutes: Vec<(String, String)> = (0..25)
        .map(|n| (format!("{:02}:00", n % 24), format!("{:02}:01", n % 24)))
        .collect();
    let minutes: Vec<(&str, &str)> = minutes
        .iter()
        .map(|(open, close)| (open.as_str(), close.as_str()))
        .collect();
    assert!(with(&minutes[..24]).is_ok());
    assert_eq!(with(&minutes).unwrap_err()[0].code.as_str(), "too_many_intervals");
}
