//! Passwords, people, tokens and keys at the command line.
use std::process::Stdio;

use serde_json::Value;

use super::{Binary, failure, last_line, text};
use crate::support::{Client, TestApp};

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
    // Ended, whatever the clock of the application says, which stands in 2019.
    new.get("/api/v1/me").expect(401);
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
    app.sql("UPDATE credentials SET kind = 'session', made_as = NULL WHERE user_id IS NOT NULL");
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
