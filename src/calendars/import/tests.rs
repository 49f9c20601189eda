use proptest::prelude::*;

use super::*;
use crate::calendars::Name;
use crate::language::Language;

/// A calendar with a summer pattern and one exception of each shape.
fn calendar() -> CalendarSpec {
    serde_json::from_str(
        r#"{"time_zone": "Asia/Ho_Chi_Minh",
            "patterns": [
                {"valid_from": "2019-04-16", "weekly": {"mon": [["07:00","11:30"],["13:00","16:30"]], "tue": [["07:00","11:30"]]}},
                {"valid_from": "2018-01-01", "weekly": {"mon": [["08:00","12:00"],["13:30","17:30"]]}}],
            "exceptions": [
                {"date": "2019-04-29", "intervals": [], "name": {"vi": "Nghỉ hoán đổi; dài, \\ dài", "en": "Day off in exchange"},
                 "legal_basis": "Công văn 6519/VPCP-KGVX ngày 11/7/2018, điểm a, b, c và d của khoản thứ nhất",
                 "kind": "swap", "certainty": "confirmed", "source": "x"},
                {"date": "2019-05-04", "intervals": [["08:00","12:00"],["13:30","17:30"]], "kind": "make_up"},
                {"date": "2019-05-06", "intervals": [["22:00","06:00:30"]], "name": {"en": "Night"}},
                {"date": "2019-05-07", "intervals": [], "kind": "make_up", "certainty": "projected"},
                {"date": "2019-05-08", "intervals": [], "name": {"vi": "Ngày \"trích dẫn\""}, "kind": "other"}]}"#,
    )
    .unwrap()
}

fn plan(file: &str, format: Format) -> Result<ImportPlan, Vec<LineProblem>> {
    plan_import(&calendar(), file.as_bytes(), format, &(2019..=2020), false)
}

fn events(inner: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{inner}\r\nEND:VCALENDAR\r\n")
}

fn event(inner: &str) -> String {
    events(&format!("BEGIN:VEVENT\r\n{inner}\r\nEND:VEVENT"))
}

fn dates(plan: &ImportPlan) -> Vec<&str> {
    let set = plan.change.set_exceptions.iter();
    set.map(|exception| exception.date.as_str()).collect()
}

#[track_caller]
fn refused(file: &str, format: Format) -> (u64, &'static str) {
    let problems = plan(file, format).unwrap_err();
    (problems[0].line, problems[0].code.as_str())
}

#[test]
fn what_was_exported_changes_nothing_when_it_is_imported() {
    let subject = ical::Subject {
        uid: "0190f3a2-7c11-7c3e-9b1a-2f5d8e7a0301".into(),
        name: Name {
            vi: "Lịch".into(),
            en: "Calendar".into(),
        },
        version: 3,
        created_at: "2019-11-22T09:30:00Z".parse().unwrap(),
    };
    for language in Language::ALL {
        let file = ical::write(&subject, &calendar(), language);
        assert!(file.split("\r\n").all(|line| line.len() <= 75), "{file}");
        assert!(!file.replace("\r\n", "").contains('\n'));
        let plan = plan(&file, Format::ICalendar).unwrap();
        assert_eq!((plan.unchanged, &plan.change), (5, &CalendarChange::default()));
    }
    let file = csv::write(&calendar()).unwrap();
    let plan = plan(&file, Format::Csv).unwrap();
    assert_eq!((plan.unchanged, &plan.change), (5, &CalendarChange::default()));
}

#[test]
fn an_all_day_event_is_a_day_off_and_a_longer_one_each_of_its_days() {
    let one = plan(
        &event("DTSTART;VALUE=DATE:20190902\r\nSUMMARY:Quốc khánh"),
        Format::ICalendar,
    )
    .unwrap();
    let [exception] = one.change.set_exceptions.as_slice() else {
        panic!("{one:?}")
    };
    assert_eq!(
        (exception.date.as_str(), exception.intervals.len()),
        ("2019-09-02", 0)
    );
    let name = exception.name.clone().unwrap();
    assert_eq!((name.vi.as_deref(), name.en), (Some("Quốc khánh"), None));
    for length in ["DTEND;VALUE=DATE:20200126", "DURATION:P3D"] {
        let tet = event(&format!(
            "DTSTART;VALUE=DATE:20200123\r\n{length}\r\nSUMMARY;LANGUAGE=en-GB:T\r\n ết"
        ));
        let plan = plan(&tet, Format::ICalendar).unwrap();
        assert_eq!(dates(&plan), ["2020-01-23", "2020-01-24", "2020-01-25"]);
        assert_eq!(
            plan.change.set_exceptions[0].name.clone().unwrap().en.as_deref(),
            Some("Tết")
        );
    }
    let week = event("DTSTART:20200120\r\nDURATION:P1W\r\nEXDATE;VALUE=DATE:20300101");
    assert_eq!(dates(&plan(&week, Format::ICalendar).unwrap()).len(), 7);
}

#[test]
fn a_make_up_day_without_hours_is_worked_like_a_monday_of_its_season() {
    for mark in ["CATEGORIES:HOLIDAYS,make-up", "X-GIAIDAP-KIND:make_up"] {
        for (date, open) in [("20190413", "08:00"), ("20190511", "07:00")] {
            let file = event(&format!("DTSTART;VALUE=DATE:{date}\r\n{mark}"));
            let plan = plan(&file, Format::ICalendar).unwrap();
            let exception = &plan.change.set_exceptions[0];
            assert_eq!(
                (exception.intervals[0].0.as_str(), exception.intervals.len()),
                (open, 2)
            );
            assert_eq!(exception.kind, Some(ExceptionKind::MakeUp));
        }
    }
    let own = event("DTSTART;VALUE=DATE:20190511\r\nCATEGORIES:MAKE-UP\r\nX-GIAIDAP-INTERVALS:09:00-11:00");
    let plan = plan(&own, Format::ICalendar).unwrap();
    assert_eq!(
        plan.change.set_exceptions[0].intervals,
        [IntervalSpec::new("09:00", "11:00")]
    );
}

#[test]
fn a_file_that_says_less_keeps_what_is_known() {
    let same = plan(&event("DTSTART;VALUE=DATE:20190429"), Format::ICalendar).unwrap();
    assert_eq!((same.unchanged, same.changed), (1, 0));
    let renamed = plan(
        &event(
            "DTSTART;VALUE=DATE:20190429\r\nSUMMARY:Tên khác\r\nDESCRIPTION:Ghi chú\\nCăn cứ: Quyết định 1",
        ),
        Format::ICalendar,
    )
    .unwrap();
    let exception = &renamed.change.set_exceptions[0];
    let name = exception.name.clone().unwrap();
    assert_eq!(
        (name.vi.as_deref(), name.en.as_deref()),
        (Some("Tên khác"), Some("Day off in exchange"))
    );
    assert_eq!(exception.legal_basis.as_deref(), Some("Quyết định 1"));
    assert_eq!(exception.kind, Some(ExceptionKind::Swap));
    // Other hours are another matter: the old words do not go with them.
    let worked = plan(
        "date,kind,intervals\n2019-04-29,half_day,08:00-12:00\n",
        Format::Csv,
    )
    .unwrap();
    let exception = &worked.change.set_exceptions[0];
    assert_eq!(
        (&exception.name, &exception.legal_basis, worked.changed),
        (&None, &None, 1)
    );
}

#[test]
fn cancelled_days_go_and_with_replace_also_those_that_the_file_does_not_name() {
    let cancelled = event("DTSTART;VALUE=DATE:20190429\r\nSTATUS:CANCELLED");
    let one = plan(&cancelled, Format::ICalendar).unwrap();
    assert_eq!(one.change.remove_exceptions, ["2019-04-29"]);
    let never_there = event("DTSTART;VALUE=DATE:20190430\r\nSTATUS:CANCELLED");
    assert_eq!(plan(&never_there, Format::ICalendar).unwrap().unchanged, 1);
    let file = "date\n2019-04-29\n2020-01-01\n";
    let replaced = |years: Years| {
        let plan = plan_import(&calendar(), file.as_bytes(), Format::Csv, &years, true).unwrap();
        (plan.added, plan.changed, plan.removed, plan.unchanged)
    };
    assert_eq!(replaced(2019..=2019), (1, 0, 4, 1));
    assert_eq!(replaced(2020..=2020), (1, 0, 0, 1));
}

#[test]
fn yearly_holidays_are_written_out_for_the_years_asked_for() {
    let file = event("DTSTART;VALUE=DATE:20100430\r\nRRULE:FREQ=YEARLY\r\nEXDATE;VALUE=DATE:20190430");
    assert_eq!(dates(&plan(&file, Format::ICalendar).unwrap()), ["2020-04-30"]);
}

#[test]
fn a_wrong_icalendar_file_is_refused_by_the_line() {
    let at = |inner: &str| refused(&event(inner), Format::ICalendar);
    assert_eq!(at("DTSTART:20190429T080000Z"), (4, "timed_event"));
    assert_eq!(
        at("DTSTART;TZID=Asia/Hue:20190429T080000"),
        (4, "unknown_time_zone")
    );
    assert_eq!(at("DTSTART;VALUE=DATE:20190230"), (4, "bad_date"));
    assert_eq!(at("DTSTART;VALUE=DATE:18000101"), (3, "bad_date"));
    assert_eq!(at("SUMMARY:x"), (3, "bad_event"));
    assert_eq!(at("DTSTART:20190429\r\nDTSTART:20190430"), (5, "bad_event"));
    assert_eq!(at("DTSTART:20190429\r\nDTEND:20190429"), (5, "bad_event"));
    assert_eq!(at("DTSTART:20190429\r\nDURATION:PT1H"), (5, "timed_event"));
    assert_eq!(at("DTSTART:20190429\r\nDURATION:P400D"), (5, "too_many_days"));
    assert_eq!(
        at("DTSTART:20190429\r\nRRULE:FREQ=SECONDLY"),
        (5, "unsupported_recurrence")
    );
    assert_eq!(
        at("DTSTART:20190429\r\nRRULE:FREQ=YEARLY;COUNT=1000000000"),
        (5, "unsupported_recurrence")
    );
    assert_eq!(
        at("DTSTART:20190429\r\nRDATE:20190501"),
        (5, "unsupported_recurrence")
    );
    assert_eq!(
        at("DTSTART:20190429\r\nX-GIAIDAP-KIND:feast"),
        (5, "unknown_value")
    );
    assert_eq!(
        at("DTSTART:20190429\r\nX-GIAIDAP-INTERVALS:8"),
        (5, "bad_intervals")
    );
    assert_eq!(
        at("DTSTART:20190429\r\nX-GIAIDAP-INTERVALS:08:00-25:00"),
        (3, "bad_time")
    );
    assert_eq!(
        at("DTSTART:20190429\r\nCATEGORIES:CHANGED-HOURS"),
        (3, "bad_intervals")
    );
    assert_eq!(at("DTSTART:20190429\r\nno line"), (5, "bad_line"));
    let long = format!("DTSTART:20190902\r\nSUMMARY:{}", "x".repeat(201));
    assert_eq!(at(&long), (3, "text_too_long"));
    assert_eq!(refused("", Format::ICalendar), (1, "not_icalendar"));
    assert_eq!(
        refused("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", Format::ICalendar),
        (2, "bad_line")
    );
    let twice = events(
        "BEGIN:VEVENT\nDTSTART:20190902\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART:20190902\nCATEGORIES:MAKE-UP\nEND:VEVENT",
    );
    assert_eq!(refused(&twice, Format::ICalendar), (6, "conflicting_day"));
    let same = twice.replace("CATEGORIES:MAKE-UP\n", "");
    assert_eq!(plan(&same, Format::ICalendar).unwrap().added, 1);
}

#[test]
fn a_file_of_too_many_events_or_days_is_refused() {
    let one = "BEGIN:VEVENT\nDTSTART:20190902\nEND:VEVENT\n";
    assert_eq!(
        plan(&events(&one.repeat(5000)), Format::ICalendar).unwrap().added,
        1
    );
    assert_eq!(
        refused(&events(&one.repeat(50_000)), Format::ICalendar),
        (15_003, "too_many_events")
    );
    let long = "BEGIN:VEVENT\nDTSTART:20190101\nDURATION:P366D\nEND:VEVENT\n";
    assert_eq!(
        refused(&events(&long.repeat(28)), Format::ICalendar).1,
        "too_many_days"
    );
    let lines = "2019-09-02\n".repeat(10_001);
    assert_eq!(
        refused(&format!("date\n{lines}"), Format::Csv),
        (10_002, "too_many_days")
    );
}

#[test]
fn a_decision_in_csv_is_read_with_either_separator_and_either_form_of_date() {
    let file = "\u{feff}Date;Kind;intervals;name_vi;certainty\r\n\
                02/09/2019;statutory;;Quốc khánh;confirmed\r\n\
                2019-09-07;make_up;;Làm bù;\r\n\
                2019-12-31;half_day;08:00-12:00;;projected\r\n";
    let plan = plan(file, Format::Csv).unwrap();
    assert_eq!(dates(&plan), ["2019-09-02", "2019-09-07", "2019-12-31"]);
    assert_eq!(
        plan.days.iter().map(|day| day.line).collect::<Vec<_>>(),
        [Some(2), Some(3), Some(4)]
    );
    let [national, make_up, half] = plan.change.set_exceptions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(
        (national.kind, national.intervals.len()),
        (Some(ExceptionKind::Statutory), 0)
    );
    assert_eq!(make_up.intervals.len(), 2);
    assert_eq!((half.kind, half.certainty), (None, Some(Certainty::Projected)));
}

#[test]
fn a_wrong_csv_file_is_refused_by_the_line() {
    let at = |file: &str| refused(file, Format::Csv);
    assert_eq!(at(""), (1, "missing_column"));
    assert_eq!(at("kind\nday_off\n"), (1, "missing_column"));
    assert_eq!(at("date,colour\n2019-04-29,x\n"), (1, "unknown_column"));
    assert_eq!(at("date,date\n2019-04-29,x\n"), (1, "unknown_column"));
    assert_eq!(at("date\n2019-02-29\n"), (2, "bad_date"));
    assert_eq!(at("date\n29/2/2020\n"), (2, "bad_date"));
    assert_eq!(at("date,kind\n2019-04-30,\n,day_off\n"), (3, "bad_date"));
    assert_eq!(at("date,kind\n2019-04-30\n"), (2, "bad_line"));
    assert_eq!(at("date,kind\n2019-04-30,feast\n"), (2, "unknown_value"));
    assert_eq!(at("date,certainty\n2019-04-30,sure\n"), (2, "unknown_value"));
    assert_eq!(at("date,kind\n2019-04-30,half_day\n"), (2, "bad_intervals"));
    assert_eq!(
        at("date,intervals\n2019-04-30,08:00-12:00\n"),
        (2, "bad_intervals")
    );
    assert_eq!(
        at("date,kind,intervals\n2019-04-30,changed_hours,\"08:00-12:00,11:00-13:00\"\n"),
        (2, "overlapping_intervals")
    );
    assert_eq!(
        at("date,kind\n2019-09-02,\n2019-09-02,make_up\n"),
        (3, "conflicting_day")
    );
    // Of the lines after it none would be read.
    assert_eq!(
        at("date,name_vi\n2019-04-29,a\n2019-04-30,\"b\n2019-05-01,c\n"),
        (3, "bad_line")
    );
    assert_eq!(
        at("date;name_vi\r\n2019-04-30;\"b \"\"c\"\"\r\n"),
        (2, "bad_line")
    );
    assert_eq!(at("\"date\n2019-04-30\n"), (1, "bad_line"));
    let fine = "date,name_vi,name_en\n2019-04-30,\"a \"\"b\"\", c\",d\"e\n2019-05-01,\"\",\"f\ng\"\n";
    assert_eq!(plan(fine, Format::Csv).unwrap().days.len(), 2);
    let problems = plan_import(
        &calendar(),
        b"date,name_vi\n2019-04-30,\xff\n",
        Format::Csv,
        &(2019..=2019),
        false,
    );
    assert_eq!(problems.unwrap_err()[0].code.as_str(), "bad_encoding");
}

fn line_of_a_file() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "BEGIN:VCALENDAR",
        "END:VCALENDAR",
        "BEGIN:VEVENT",
        "END:VEVENT",
        "DTSTART;VALUE=DATE:20190429",
        "DTSTART:20200229",
        "DTEND:20191231",
        "DURATION:P9W",
        "RRULE:FREQ=YEARLY",
        "RRULE:FREQ=YEARLY;BYMONTH=2;BYDAY=-5MO",
        "EXDATE:20200229,x",
        "CATEGORIES:MAKE-UP",
        "X-GIAIDAP-INTERVALS:08:00-12:00",
        "STATUS:CANCELLED",
        "SUMMARY;LANGUAGE=\"en",
        " fold",
        "date,kind,intervals",
        "2019-04-29,make_up,",
        "\"",
        "\\",
        ":",
        ";=:",
    ]);
    prop_oneof![4 => words.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    /// Whatever is uploaded comes to a plan or a refusal; a plan's change makes a sound calendar.
    #[test]
    fn no_file_panics(lines in prop::collection::vec(line_of_a_file(), 0..30), noise in any::<Vec<u8>>(), wrapped: bool) {
        let mut file = lines.join("\n");
        if wrapped {
            file = events(&file);
        }
        for bytes in [file.as_bytes(), &noise] {
            for format in [Format::ICalendar, Format::Csv] {
                if let Ok(plan) = plan_import(&calendar(), bytes, format, &(2019..=2021), wrapped) {
                    prop_assert!(plan.change.applied_to(&calendar()).check().is_ok());
                }
            }
        }
    }
}
