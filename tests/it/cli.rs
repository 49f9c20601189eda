//! The built binary: what it prints, where, and how it fails.
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::app::seeded_database;
use crate::support::database::{Backend, TestDatabase};
use crate::support::{Client, TestApp};

struct Binary {
    database: String,
    storage: TempDir,
}

impl Binary {
    fn on(database: &str) -> Binary {
        Binary {
            database: database.to_owned(),
            storage: TempDir::new().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_giaidap"));
        command
            .env_clear()
            .env("GIAIDAP_STORAGE", self.storage.path())
            .env("GIAIDAP_DATABASE", &self.database)
            .env("RUST_BACKTRACE", "1")
            .current_dir(self.storage.path())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// What it prints where it succeeds.
    #[track_caller]
    fn out(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.out(arguments);
        assert_eq!(printed.lines().count(), 1, "{printed}");
        serde_json::from_str(&printed).unwrap()
    }

    /// The one line that says why it failed.
    #[track_caller]
    fn failure(&self, arguments: &[&str]) -> String {
        failure(&self.run(arguments))
    }
}

#[track_caller]
fn failure(output: &Output) -> String {
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(!complaint.contains("panicked"), "{complaint}");
    assert_eq!(text(&output.stdout), "", "nothing to read elsewhere");
    complaint.strip_prefix("giaidap: ").unwrap().trim_end().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn last_line(printed: &str) -> &str {
    printed.lines().last().unwrap()
}

#[test]
fn a_password_is_set_from_standard_input_and_never_shown() {
    let app = TestApp::start();
    app.agent("lan", &[]);
    let binary = Binary::on(&app.database.url);
    let set = |email: &str, typed: &str| {
        let mut child = binary
            .command(&["user", "password", "--email", email])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = format!("{typed}\n");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), typed.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let (email, password) = ("lan@centre.example", "ba con vịt ngoài ao");
    let done = set(email, password);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "The password is set.\n");
    let login = serde_json::json!({ "email": email, "password": password });
    app.anonymous().post("/api/v1/auth/login", &login).expect(200);
    for refused in ["ngắn", "", "matkhau12345", "lan@centre.example"] {
        let complaint = failure(&set(email, refused));
        assert!(complaint.contains("password"), "{complaint}");
    }
    let unknown = failure(&set("nobody@centre.example", password));
    assert!(
        unknown.contains("no such user") && !unknown.contains(password),
        "{unknown}"
    );
    app.anonymous().post("/api/v1/auth/login", &login).expect(200);
}

#[test]
fn people_tokens_and_keys_are_made_while_a_server_runs_and_work_at_once() {
    let app = TestApp::start();
    let binary = Binary::on(&app.database.url);
    let queues = ["--queue", "technology", "--queue", "security"];
    let person = [
        "user",
        "create",
        "--email",
        "Lan@centre.example",
        "--name",
        "Tr\u{1ea7}n Lan",
        "--role",
        "agent",
    ];
    let printed = binary.out(&[&person[..], &queues[..]].concat());
    assert!(printed.contains("agent lan@centre.example"), "{printed}");
    let token = binary.out(&["token", "create", "--user", "lan@centre.example"]);
    let me = Client::new(&app.url, Some(last_line(&token)))
        .get("/api/v1/me")
        .expect(200)
        .body;
    assert_eq!((&me["name"], &me["role"]), (&"Trần Lan".into(), &"agent".into()));
    let codes: Vec<&Value> = me["queues"]
        .as_array()
        .unwrap()
        .iter()
        .map(|queue| &queue["code"])
        .collect();
    assert_eq!(codes.len(), 2, "{codes:?}");

    let key = binary.out(&["key", "create", "--organisation", "H57", "--name", "LGSP"]);
    let hue = Client::new(&app.url, Some(last_line(&key)));
    let me = hue.get("/api/v1/me").expect(200).body;
    assert_eq!(me["scopes"], serde_json::json!(["tickets:read", "tickets:write"]));
    let reading = [
        "key",
        "create",
        "--organisation",
        "H57",
        "--name",
        "x",
        "--scope",
        "tickets:read",
    ];
    let reader = Client::new(&app.url, Some(last_line(&binary.out(&reading))));
    reader.get("/api/v1/tickets").expect(200);
    reader
        .post("/api/v1/tickets", &crate::support::question())
        .expect(403);

    let taken = binary.failure(&person);
    assert!(taken.contains("email"), "{taken}");
    let no_queue = [
        "user", "create", "--email", "x@y.vn", "--name", "x", "--role", "agent", "--queue", "none",
    ];
    assert!(binary.failure(&no_queue).contains("queue"));
    let no_address = ["user", "create", "--email", "x", "--name", "x", "--role", "agent"];
    assert!(binary.failure(&no_address).contains("email"));
    for name in ["", "  ", "a\nb", "a\u{7f}b", &"x".repeat(201)] {
        let person = [
            "user", "create", "--email", "x@y.vn", "--role", "agent", "--name", name,
        ];
        let token = ["token", "create", "--user", "lan@centre.example", "--name", name];
        let key = ["key", "create", "--organisation", "H57", "--name", name];
        for refused in [&person[..], &token, &key] {
            let complaint = binary.failure(refused);
            assert_eq!(
                complaint,
                "--name must have 1 to 200 characters and no control characters"
            );
        }
    }
    assert!(
        binary
            .failure(&["token", "create", "--user", "nobody@centre.example"])
            .contains("no such user")
    );
    assert!(
        binary
            .failure(&["key", "create", "--organisation", "H99", "--name", "x"])
            .contains("organisation")
    );
}

#[test]
fn a_key_is_changed_over_and_a_program_is_granted_networks_and_units() {
    let app = TestApp::start();
    let binary = Binary::on(&app.database.url);
    let create = ["key", "create", "--organisation", "H49", "--name", "LGSP"];
    let made = binary.out(
        &[
            &create[..],
            &["--expires-in-days", "400", "--scope", "tickets:read"],
        ]
        .concat(),
    );
    let old = Client::new(&app.url, Some(last_line(&made)));
    let public = last_line(&made).split('_').nth(1).unwrap().to_owned();
    let rotated = binary.out(&["key", "rotate", &public, "--overlap-hours", "48"]);
    assert!(rotated.contains(&format!("{public} ends at")), "{rotated}");
    let new = Client::new(&app.url, Some(last_line(&rotated)));
    for caller in [&old, &new] {
        let me = caller.get("/api/v1/me").expect(200).body;
        assert_eq!(me["scopes"], serde_json::json!(["tickets:read"]));
        assert!(me["key_expires_at"].is_string());
    }
    let half = last_line(&rotated).split('_').nth(1).unwrap().to_owned();
    binary.out(&["key", "rotate", &half, "--overlap-hours", "0"]);
    new.get("/api/v1/me").expect(200); // by the application's clock, which stands in 2019
    assert!(
        binary
            .failure(&["key", "rotate", "aaaaaaaaaaaaaaaa"])
            .contains("PUBLIC")
    );
    let too_long = binary.run(&["key", "rotate", &public, "--overlap-hours", "721"]);
    assert_eq!(too_long.status.code(), Some(2));

    let grants = [
        "--network",
        "10.1.2.3/8",
        "--network",
        "127.0.0.1",
        "--include-units",
    ];
    let granted = binary.out(&[&create[..], &grants].concat());
    let granted = Client::new(&app.url, Some(last_line(&granted)));
    let me = granted.get("/api/v1/me").expect(200).body;
    assert_eq!(me["networks"], serde_json::json!(["10.0.0.0/8", "127.0.0.1/32"]));
    assert_eq!(me["include_units"], true);
    binary.out(&create);
    assert_eq!(
        granted.get("/api/v1/me").expect(200).body,
        me,
        "a further key takes nothing away"
    );
    let no_network = binary.run(&[&create[..], &["--network", "10.1"]].concat());
    assert_eq!(no_network.status.code(), Some(2));
}

#[test]
fn the_command_line_tells_what_it_ends_what_it_offers_and_why_not() {
    let app = TestApp::start();
    let binary = Binary::on(&app.database.url);
    let leaked = app.organisation("H57");
    let rotated = leaked.call("/api/v1/me/key/rotate").expect(201).body;
    assert_eq!(rotated["rotated_by_program"], true);
    let public = leaked.token().split('_').nth(1).unwrap();
    let ended = binary.out(&["key", "revoke", public]);
    assert_eq!(ended.trim_end(), "It is revoked, and 1 made with it.");
    let why = binary.failure(&["key", "rotate", public]);
    assert_eq!(why, "the key has ended; make a new one");

    let help = binary.out(&["key", "create", "--help"]);
    assert!(
        help.contains("tickets:write") && !help.contains("identity:write"),
        "{help}"
    );
    let key = [
        "key",
        "create",
        "--organisation",
        "H57",
        "--name",
        "x",
        "--scope",
        "identity:write",
    ];
    assert_eq!(binary.run(&key).status.code(), Some(2));

    let agent = app.agent("lan", &[]);
    app.sql("UPDATE credentials SET kind = 'session' WHERE user_id IS NOT NULL");
    agent.get("/api/v1/me").expect(401);
    assert_eq!(binary.out(&["token", "list"]), "");

    let link = ["user", "link", "--email", "lan@centre.example", "--subject", "x"];
    assert!(binary.failure(&link).contains("oidc.issuer"));
}

#[test]
fn a_revoked_key_and_the_tokens_of_who_left_open_nothing_from_that_moment_on() {
    let app = TestApp::start();
    let binary = Binary::on(&app.database.url);
    let made = binary.out(&["key", "create", "--organisation", "H49", "--name", "LGSP"]);
    let key = Client::new(&app.url, Some(last_line(&made)));
    key.get("/api/v1/me").expect(200);
    let public = last_line(&made).split('_').nth(1).unwrap().to_owned();
    binary.out(&["key", "revoke", &public]);
    key.get("/api/v1/me").expect(401);
    let listed = binary.json(&["key", "list", "--organisation", "H49", "--json"]);
    assert_eq!(
        (&listed[0]["public"], &listed[0]["state"]),
        (&Value::from(public.as_str()), &Value::from("revoked"))
    );
    assert!(binary.failure(&["key", "revoke", &public]).contains("PUBLIC"));

    let agent = app.agent("lan", &["technology"]);
    assert!(
        binary
            .out(&["token", "list", "--user", "lan@centre.example"])
            .contains("in force")
    );
    binary.out(&["user", "deactivate", "--email", "lan@centre.example"]);
    agent.get("/api/v1/me").expect(401);

    let brief = binary.out(&[
        "token",
        "create",
        "--user",
        "admin@localhost",
        "--expires-in-days",
        "1",
    ]);
    let brief = Client::new(&app.url, Some(last_line(&brief)));
    brief.get("/api/v1/me").expect(200);
    app.at("2100-01-01T00:00:00Z");
    brief.get("/api/v1/me").expect(401);
}

#[test]
fn organisations_are_listed_and_imported_whole_or_not_at_all() {
    let database = seeded_database();
    let binary = Binary::on(&database.url);
    let count = || {
        binary
            .json(&["organisation", "list", "--json"])
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count(), 123);
    assert_eq!(binary.out(&["organisation", "list"]).lines().count(), 123);
    let provinces = [
        "organisation",
        "list",
        "--kind",
        "province",
        "--active-on",
        "2019-11-22",
        "--json",
    ];
    assert_eq!(binary.json(&provinces).as_array().unwrap().len(), 63);
    let found = binary.json(&["organisation", "list", "--q", "thua thien", "--json"]);
    assert_eq!(found[0]["code"], "H57");

    let header = "code,kind,name_vi,name_en,short_name,gso_code,egov_code,valid_from,valid_to,successor_code,pilot,source";
    let good = "X01,other,Trung tâm thử nghiệm,Test centre,Thử nghiệm,,X01,2019-01-01,,,0,a test";
    let file = |name: &str, lines: &[&str]| {
        let path = binary.storage.path().join(name);
        std::fs::write(&path, [&[header], lines].concat().join("\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let bad_lines = [
        ("X02,village,Xã,Village,Xã,,X02,,,,0,a test", "3"),
        ("X02,other,,,,,,,,,0,a test", "3"),
        ("X02,other,Xã,Village,Xã,,X02,2019-02-30,,,0,a test", "3"),
        ("X02,other,Xã,Village,Xã,,X02,,,NONE,0,a test", "3"),
        ("X02,other", "3"),
    ];
    for (bad, line) in bad_lines {
        let refused = binary.failure(&["organisation", "import", &file("bad.csv", &[good, bad])]);
        assert!(refused.contains(&format!("line {line}")), "{bad}: {refused}");
        assert_eq!(count(), 123, "{bad}");
    }
    let imported = binary.json(&["organisation", "import", &file("good.csv", &[good]), "--json"]);
    assert_eq!(imported["imported"], 1);
    assert_eq!(count(), 124);
    binary.out(&["organisation", "import", &file("good.csv", &[good])]);
    assert_eq!(count(), 124, "the same again replaces");
    let missing = binary.failure(&["organisation", "import", "nowhere.csv"]);
    assert!(missing.contains("nowhere.csv"), "{missing}");
    let latin = binary.storage.path().join("latin.csv");
    std::fs::write(
        &latin,
        [header.as_bytes(), b"\nX03,other,Hu\xe9,Hue,Hue,,X03,,,,0,t"].concat(),
    )
    .unwrap();
    let refused = binary.failure(&["organisation", "import", latin.to_str().unwrap()]);
    assert!(refused.contains("line 2"), "{refused}");
}

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

#[test]
fn the_clocks_of_a_ticket_are_explained_at_the_command_line_as_over_the_api() {
    let app = TestApp::start();
    let binary = Binary::on(&app.database.url);
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let ticket = crate::support::file(&hue);
    let number = ticket["number"].as_str().unwrap();
    app.at("2019-11-25T09:00:00+07:00");
    let path = format!("/api/v1/tickets/{number}");
    lan.call(&format!("{path}/claim")).expect(200);
    let answer = serde_json::json!({ "outcome": "answered", "message": "Trả lời." });
    lan.post(&format!("{path}/resolve"), &answer).expect(200);
    let over_api = lan.get(&format!("{path}/sla/explanation")).expect(200).body;
    let printed = binary.json(&["sla", "explain", number, "--json"]);
    assert_eq!(
        printed["clocks"], over_api["clocks"],
        "stopped clocks stay as they are"
    );
    let vi = binary.out(&["sla", "explain", number, "--target", "first_response"]);
    assert!(vi.contains("Phản hồi đầu tiên, chu kỳ 1: đúng hạn"), "{vi}");
    assert!(vi.contains("Chủ Nhật 24/11/2019: nghỉ (cuối tuần)"), "{vi}");
    assert!(!vi.contains("Giải quyết"), "{vi}");
    let en = binary.out(&["sla", "explain", number, "--language", "en", "--cycle", "1"]);
    assert!(en.contains("Sunday 24/11/2019: off (weekend)"), "{en}");
    let unknown = binary.failure(&["sla", "explain", "GD-2019-999999"]);
    assert_eq!(unknown, "there is no such ticket");
    for bad in [["--target", "someday"], ["--cycle", "0"], ["--language", "fr"]] {
        let refused = binary.run(&[&["sla", "explain", number][..], &bad].concat());
        assert_eq!(refused.status.code(), Some(2), "{bad:?}");
    }
}

#[test]
fn the_report_is_drawn_as_a_table_as_json_and_as_csv() {
    let app = TestApp::start();
    crate::support::file(&app.organisation("H57"));
    let binary = Binary::on(&app.database.url);
    let ask = ["report", "sla", "--from", "2019-11-01", "--to", "2019-12-01"];
    let with = |more: &[&str]| binary.out(&[&ask[..], more].concat());
    let table = with(&[]);
    assert!(table.lines().count() >= 3, "{table}");
    let report: Value = serde_json::from_str(&with(&["--json", "--group-by", "organisation"])).unwrap();
    assert_eq!(report["total"]["filed"], 1);
    let csv = with(&["--csv", "--group-by", "month"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("group_code,group_name_vi,"), "{csv}");
    assert!(lines[1].starts_with("2019-11,"), "{csv}");
    assert!(lines.last().unwrap().starts_with("total,"), "{csv}");
    assert_ne!(with(&["--language", "en"]), table);
    let backwards = binary.failure(&["report", "sla", "--from", "2019-12-01", "--to", "2019-11-01"]);
    assert!(backwards.contains("to"), "{backwards}");
}

#[test]
fn the_effective_settings_are_shown_without_their_secrets() {
    let binary = Binary::on("postgres://giaidap:geheim-1@db.example/giaidap");
    let mut command = binary.command(&["serve", "--check", "--listen", "127.0.0.1:9999"]);
    command.env("GIAIDAP_MAIL_TRANSPORT", "smtps://bot:geheim-2@mail.example:465");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(!printed.contains("geheim"), "{printed}");
    assert!(printed.contains("***") && printed.contains("db.example") && printed.contains("127.0.0.1:9999"));
    let unencoded = Binary::on("postgres://giaidap:geheim/4?@db.example/giaidap").out(&["serve", "--check"]);
    assert!(!unencoded.contains("geheim"), "{unencoded}");
    // A password that itself looks like an address must not slip through in a failure either.
    let refused = Binary::on("mysql://u:geheim-3@db.example/x").failure(&["serve", "--check"]);
    assert!(!refused.contains("geheim-3"), "{refused}");
}

fn config_file(binary: &Binary, content: &str) -> String {
    let path = binary.storage.path().join("giaidap.toml");
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn settings_come_from_flags_then_the_environment_then_the_file() {
    let binary = Binary::on("sqlite://x.db");
    let file = config_file(
        &binary,
        "listen = \"127.0.0.1:1111\"\npublic_url = \"https://file.example\"\n",
    );
    let check = |flags: &[&str], environment: Option<&str>| {
        let mut command = binary.command(&[&["serve", "--check", "--config", &file], flags].concat());
        if let Some(address) = environment {
            command.env("GIAIDAP_LISTEN", address);
        }
        text(&command.output().unwrap().stdout)
    };
    assert!(check(&[], None).contains("127.0.0.1:1111"));
    assert!(check(&[], Some("127.0.0.1:2222")).contains("127.0.0.1:2222"));
    let flag = check(&["--listen", "127.0.0.1:3333"], Some("127.0.0.1:2222"));
    assert!(
        flag.contains("127.0.0.1:3333") && flag.contains("https://file.example"),
        "{flag}"
    );
}

#[test]
fn what_cannot_be_used_is_one_clear_line_and_no_panic() {
    let binary = Binary::on("sqlite://x.db");
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let refused = binary.failure(&["serve", "--listen", &address]);
    assert!(refused.contains(&address), "{refused}");
    assert!(
        !Path::new(&binary.storage.path().join("x.db")).exists(),
        "an occupied port changes nothing"
    );

    for (database, says) in [
        ("mysql://localhost/x", "sqlite"),
        ("", "database"),
        ("nonsense", "sqlite"),
        ("postgres://nobody@127.0.0.1:1/none?connect_timeout=2", "database"),
        ("sqlite:///proc/nowhere/x.db", "/proc/nowhere"),
    ] {
        for command in [
            &["migrate"][..],
            &["organisation", "list"],
            &["serve", "--listen", "127.0.0.1:0"],
        ] {
            let refused = Binary::on(database).failure(command);
            assert!(refused.contains(says), "{database} {command:?}: {refused}");
        }
    }
    // A file where the storage folder should be, and one that is no database.
    let file = binary.storage.path().join("plain");
    std::fs::write(
        &file,
        "not a database, but long enough to be read as the header of one by a careless reader",
    )
    .unwrap();
    let plain = file.to_str().unwrap();
    let refused = failure(
        &binary
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .env("GIAIDAP_STORAGE", plain)
            .output()
            .unwrap(),
    );
    assert!(refused.contains(plain), "{refused}");
    let refused = Binary::on(&format!("sqlite://{plain}")).failure(&["migrate"]);
    assert!(refused.contains("not a database"), "{refused}");

    let folder = binary.storage.path().to_str().unwrap().to_owned();
    for (config, says) in [
        ("/nowhere/giaidap.toml".to_owned(), "/nowhere/giaidap.toml"),
        (folder.clone(), folder.as_str()),
        (config_file(&binary, "listen = \n"), "giaidap.toml"),
    ] {
        let refused = binary.failure(&["serve", "--check", "--config", &config]);
        assert!(refused.contains(says), "{config}: {refused}");
    }
    for (content, says) in [
        ("lisen = \"127.0.0.1:80\"", "lisen"),
        ("pool_size = \"many\"", "pool_size"),
        ("mail_transport = \"pigeon\"", "mail_transport"),
        ("listen = \"nowhere\"", "listen"),
    ] {
        let refused = binary.failure(&["serve", "--check", "--config", &config_file(&binary, content)]);
        assert!(refused.contains(says), "{content}: {refused}");
    }
}

/// A database without a single table, and what holds it.
fn empty_database() -> (String, Option<TestDatabase>, TempDir) {
    let folder = TempDir::new().unwrap();
    match Backend::chosen() {
        Backend::Sqlite => (
            format!("sqlite://{}", folder.path().join("new.db").display()),
            None,
            folder,
        ),
        Backend::Postgres => {
            let database = TestDatabase::from_template("empty", |_| {});
            (database.url.clone(), Some(database), folder)
        }
    }
}

#[test]
fn two_processes_may_migrate_an_empty_database_at_once() {
    let (url, _held, _folder) = empty_database();
    let binary = Binary::on(&url);
    let start = || {
        let mut command = binary.command(&["migrate"]);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..4).map(|_| start()).collect();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(
        binary
            .json(&["organisation", "list", "--json"])
            .as_array()
            .unwrap()
            .len(),
        123
    );
    assert_eq!(binary.json(&["calendar", "show"])["version"], 1);
}

#[test]
fn every_command_explains_itself() {
    let binary = Binary::on("sqlite://x.db");
    for command in [
        &[][..],
        &["serve"],
        &["migrate"],
        &["demo"],
        &["user", "create"],
        &["token", "create"],
        &["organisation"],
        &["organisation", "import"],
        &["key", "create"],
        &["key", "rotate"],
        &["calendar"],
        &["calendar", "list"],
        &["calendar", "show"],
        &["calendar", "versions"],
        &["calendar", "export"],
        &["calendar", "import"],
        &["calendar", "due"],
        &["calendar", "elapsed"],
        &["report", "sla"],
        &["sla", "explain"],
    ] {
        let help = binary.out(&[command, &["--help"]].concat());
        assert!(
            help.contains("Usage:") && help.contains("--database"),
            "{command:?}: {help}"
        );
    }
    assert!(binary.out(&["--version"]).starts_with("giaidap "));
    assert!(!binary.storage.path().join("x.db").exists());
}
