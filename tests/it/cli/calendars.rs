//! Calendars at the command line.
use serde_json::Value;

use super::Binary;
use crate::support::app::seeded_database;

#[test]
fn a_calendar_answers_at_the_command_line_as_over_the_api() {
    let database = seeded_database();
    let binary = Binary::on(&database.url);
    let shown = binary.json(&["calendar", "show"]);
    assert_eq!(
        (&shown["code"], &shown["version"]),
        (&"vn-government".into(), &1.into())
    );
    let from = "2019-11-22T16:30:00+07:00";
    let due = ["calendar", "due", "--from", from, "--business-seconds", "14400"];
    assert_eq!(binary.out(&due), "2019-11-25T11:00:00+07:00\n");
    let answer = binary.json(&[&due[..], &["--json"]].concat());
    assert_eq!(
        answer,
        serde_json::json!({ "due_at": "2019-11-25T11:00:00+07:00", "calendar_version": 1 })
    );
    let elapsed = [
        "calendar",
        "elapsed",
        "--from",
        from,
        "--to",
        "2019-11-25T11:00:00+07:00",
    ];
    assert_eq!(binary.out(&elapsed), "14400\n");
    assert_eq!(
        binary.json(&[&elapsed[..], &["--json"]].concat())["business_seconds"],
        14_400
    );
    assert!(
        binary
            .failure(&["calendar", "show", "none"])
            .contains("no such calendar")
    );
    let never = [
        "calendar",
        "due",
        "--from",
        from,
        "--business-seconds",
        "315619200",
    ];
    assert!(binary.failure(&never).contains("business-seconds"));
    // What clap refuses is its own affair, but it refuses.
    for bad in ["2019-11-22", "2019-11-22T16:30:00", "yesterday"] {
        let refused = binary.run(&["calendar", "due", "--from", bad, "--business-seconds", "60"]);
        assert_eq!(refused.status.code(), Some(2), "{bad}");
    }
}

#[test]
fn calendars_and_their_versions_are_listed_and_shown() {
    let database = seeded_database();
    let binary = Binary::on(&database.url);
    let file = binary.storage.path().join("one.csv");
    std::fs::write(&file, "date,name_vi\n2020-03-02,Nghỉ đột xuất\n").unwrap();
    let apply = ["--apply", "--reason", "Công điện 12/CĐ-TTg"];
    binary.out(&[&["calendar", "import", file.to_str().unwrap()][..], &apply].concat());

    let calendars = binary.json(&["calendar", "list", "--json"]);
    assert_eq!(
        (
            &calendars[0]["code"],
            &calendars[0]["version"],
            &calendars[0]["is_default"]
        ),
        (&"vn-government".into(), &2.into(), &true.into())
    );
    let listed = binary.out(&["calendar", "list"]);
    assert!(
        listed.starts_with("vn-government") && listed.contains("(default)"),
        "{listed}"
    );
    let versions = binary.json(&["calendar", "versions", "--json"]);
    assert_eq!(
        (
            &versions[0]["version"],
            &versions[0]["in_force"],
            &versions[0]["reason"]
        ),
        (&2.into(), &true.into(), &"Công điện 12/CĐ-TTg".into())
    );
    assert_eq!(
        (&versions[1]["version"], &versions[1]["in_force"]),
        (&1.into(), &false.into())
    );
    let lines = binary.out(&["calendar", "versions"]);
    assert_eq!(lines.lines().count(), 2);
    assert!(
        lines.starts_with("*   2") && lines.contains("Công điện 12/CĐ-TTg"),
        "{lines}"
    );

    let knows = |shown: &Value| {
        let mut exceptions = shown["exceptions"].as_array().unwrap().iter();
        exceptions.any(|exception| exception["date"] == "2020-03-02")
    };
    assert!(knows(&binary.json(&["calendar", "show"])));
    let first = binary.json(&["calendar", "show", "vn-government", "--version", "1", "--json"]);
    assert!(!knows(&first) && first["version"] == 1);

    for unknown in [
        &["calendar", "show", "none"][..],
        &["calendar", "versions", "none"],
        &["calendar", "export", "none"],
        &["calendar", "import", file.to_str().unwrap(), "--calendar", "none"],
    ] {
        assert_eq!(
            binary.failure(unknown),
            "there is no such calendar",
            "{unknown:?}"
        );
    }
    let no_version = binary.failure(&["calendar", "show", "--version", "9"]);
    assert!(no_version.contains("no such version"), "{no_version}");
}

#[test]
fn a_file_of_holidays_is_shown_applied_once_and_read_back_as_it_was_written() {
    let database = seeded_database();
    let binary = Binary::on(&database.url);
    let in_storage = |name: &str, content: &str| {
        let path = binary.storage.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let version = || binary.json(&["calendar", "show"])["version"].as_i64().unwrap();
    let holidays = in_storage(
        "2020.csv",
        "date,kind,intervals,name_vi\n2020-03-02,day_off,,Nghỉ đột xuất\n2020-03-07,make_up,08:00-12:00,Làm bù\n",
    );
    let import = ["calendar", "import", &holidays, "--from", "2020"];
    let shown = binary.out(&import);
    assert!(shown.contains("+ 2020-03-02"), "{shown}");
    assert!(shown.contains("+ 2020-03-07  08:00-12:00  Làm bù"), "{shown}");
    assert!(shown.contains("2 added, 0 changed, 0 removed"), "{shown}");
    assert!(
        shown.contains("Nothing was changed; version 1 is in force."),
        "{shown}"
    );
    assert_eq!(version(), 1, "only shown");

    let apply = [&import[..], &["--apply", "--reason", "Công điện 12/CĐ-TTg"]].concat();
    let applied = binary.out(&apply);
    assert!(applied.contains("Version 2 is in force."), "{applied}");
    let again = binary.json(&[&apply[..], &["--json"]].concat());
    assert_eq!(
        (&again["base_version"], &again["version"], &again["added"]),
        (&2.into(), &Value::Null, &0.into()),
        "the same file again changes nothing"
    );
    assert_eq!(version(), 2);

    // What is exported says what is there, in both formats.
    for format in ["csv", "ics"] {
        let exported = binary.out(&["calendar", "export", "--format", format]);
        let file = in_storage(&format!("exported.{format}"), &exported);
        let read = binary.json(&[
            "calendar",
            "import",
            &file,
            "--from",
            "2019",
            "--to",
            "2020",
            "--replace",
            "--json",
        ]);
        assert_eq!(
            (&read["added"], &read["changed"], &read["removed"]),
            (&0.into(), &0.into(), &0.into()),
            "{format}: {read}"
        );
    }
    let english = binary.out(&["calendar", "export", "--language", "en"]);
    assert!(english.starts_with("BEGIN:VCALENDAR"), "{english}");

    let broken = in_storage("broken.csv", "date,name_vi\n2020-02-30,Nghỉ\n");
    let refused = binary.failure(&["calendar", "import", &broken]);
    assert!(refused.contains("/lines/2"), "{refused}");
    let no_calendar = in_storage("broken.ics", "Đây không phải là lịch.\n");
    binary.failure(&["calendar", "import", &no_calendar]);
    let other = in_storage("holidays.txt", "date\n2020-03-03\n");
    let refused = binary.failure(&["calendar", "import", &other]);
    assert!(refused.contains(".ics") && refused.contains(".csv"), "{refused}");
    let missing = binary.failure(&["calendar", "import", "nowhere.csv"]);
    assert!(missing.contains("nowhere.csv"), "{missing}");
    let backwards = [&import[..], &["--to", "2019"]].concat();
    assert!(binary.failure(&backwards).contains("--to"));
    for reason in ["", "  ", "a\nb", &"x".repeat(501)] {
        let refused = binary.failure(&[&import[..], &["--apply", "--reason", reason]].concat());
        assert!(refused.starts_with("--reason must have 1 to 500"), "{refused}");
    }
    // A change without a reason, and a reason without a change, are refused before anything is opened.
    for half in [&["--apply"][..], &["--reason", "x"]] {
        let refused = binary.run(&[&import[..], half].concat());
        assert_eq!(refused.status.code(), Some(2), "{half:?}");
    }
    assert_eq!(version(), 2);
}
