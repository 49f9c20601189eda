//! What the README and the guides below docs/ tell a reader to type, run as it stands there against the built binary.
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::database::TestDatabase;

/// `cargo run` and `giaidap` stand for the binary that is built already; curl fails where the server refuses.
const PRELUDE: &str = r#"set -euo pipefail
giaidap() { "$BINARY" "$@"; }
cargo() { while [ "$1" != -- ]; do shift; done; shift; "$BINARY" "$@"; }
curl() { command curl --fail-with-body "$@" || return; echo; }
"#;

/// What the guides take as given: a token of an administrator, a key of an organisation, a password, files.
const BELONGINGS: &str = r#"
NEW_PASSWORD='mười hai con ngựa ô'
TOKEN=$(giaidap token create --user admin@localhost --name walk | tail -n 1)
KEY=$(giaidap key create --organisation H57 --name walk | tail -n 1)
printf '%%PDF-1.4\n%%%%EOF\n' > 'Công văn 12.pdf'
echo 'một dòng' > log.txt
"#;

/// The `sh` blocks of a document, in order. One that is called `sh refused` has to be; `sh by-hand` needs what only a
/// person has, such as the code of an authenticator.
fn walk(document: &str) -> String {
    let mut script = PRELUDE.to_owned();
    for block in document.split("```sh").skip(1) {
        let (kind, rest) = block.split_once('\n').unwrap();
        let commands = rest.split("```").next().unwrap();
        script += &match kind {
            "" => commands.to_owned(),
            " by-hand" => String::new(),
            " refused" => format!("if {{ {commands} }}; then echo 'it was not refused' >&2; exit 1; fi\n"),
            other => panic!("a block of `sh{other}`"),
        };
    }
    script
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Run the walk against a server of its own and look for these words in what it prints.
fn take(document: &str, expected: &[&str]) {
    take_with("", document, expected);
}

fn take_with(belongings: &str, document: &str, expected: &[&str]) {
    let database = TestDatabase::from_template("empty", |_| {});
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_giaidap");
    let settings = [
        ("BINARY", binary),
        ("GIAIDAP_DATABASE", database.url.as_str()),
        ("GIAIDAP_LOG", "error"),
    ];
    let server = Command::new(binary)
        .current_dir(folder.path())
        .envs(settings)
        .env("GIAIDAP_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(server);
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let greeting = lines.next().unwrap().unwrap();
    let listen = greeting
        .split_whitespace()
        .find_map(|word| word.strip_prefix("http://"))
        .unwrap_or_else(|| panic!("the server did not start: {greeting}"))
        .to_owned();

    let script = walk(&format!("```sh\n{belongings}```{document}"))
        .replace("127.0.0.1:8080", &listen)
        .replace("https://giaidap.example.vn", &format!("http://{listen}"));
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .envs(settings)
        .env("GIAIDAP_LISTEN", &listen)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    for expected in expected {
        assert!(out.contains(expected), "no {expected} in\n{out}\n{err}");
    }
}

#[test]
fn the_walk_of_the_readme_works_as_it_is_written() {
    let expected = [
        "\"state\":\"queued\"",
        "\"state\":\"assigned\"",
        "\"state\":\"resolved\"",
        "Thực hiện theo hướng dẫn kèm theo.",
        "\"kind\":\"ticket_resolved\"",
        "\"due_at\":\"2019-11-25T04:00:00Z\"",
        "2019-11-25T11:00:00+07:00",
    ];
    take(include_str!("../../README.md"), &expected);
}

#[test]
fn every_command_of_the_guide_for_integrators_works_as_it_is_written() {
    let guide = include_str!("../../docs/API.md");
    let expected = [
        "\"scopes\":[\"tickets:read\",\"tickets:write\"]",
        "\"external_ref\":\"1234/STTTT-CNTT\"",
        "idempotency-replayed: true",
        "\"target\":\"first_response\"",
        "\"due_at\":\"2019-11-25T04:00:00Z\"",
        "Bổ sung: tỉnh đã có LGSP phiên bản 2.",
        "\"kind\":\"ticket_filed\"",
        "\"name\":\"packets.csv\"",
        "\nmã gói tin,thời điểm\n",
        "\"next_cursor\":null",
        "HTTP/1.1 304 Not Modified",
        "\"state\":\"cancelled\"",
        "urn:giaidap:problem:invalid-input",
        "\"pointer\":\"/body\",\"code\":\"required\"",
    ];
    take(guide, &expected);
    // A curl line outside the blocks that are run would rot.
    let outside = guide.split("```").step_by(2).collect::<String>();
    assert!(!outside.contains("curl"), "a curl line that nobody runs");
}

/// The guides of single parts, each against a new server.
#[test]
fn every_command_of_the_guides_works_as_it_is_written() {
    macro_rules! guide {
        ($name:literal) => {
            ($name, include_str!(concat!("../../docs/", $name)))
        };
    }
    for ((name, guide), expected) in [
        (
            guide!("DIRECTORY.md"),
            &["\"passes_on\":\"2027-01-01\"", "\"applied\":true"][..],
        ),
        (guide!("API-CLIENTS.md"), &["\"secret\":\"gdk_"]),
        (guide!("IDENTITY.md"), &["\"email\":\"admin@localhost\""]),
        (guide!("LISTS.md"), &["\"relation\":\"exact\"", "\"results\""]),
        (guide!("ATTACHMENTS.md"), &["\"name\":\"log.txt\""]),
        (
            guide!("CUSTOM-FIELDS.md"),
            &["\"1\"", "Số hồ sơ", "Dossier number"],
        ),
        (
            guide!("OPEN311.md"),
            &["service_request_id", "<service_requests>"],
        ),
    ] {
        println!("{name}");
        take_with(BELONGINGS, guide, expected);
        let outside = guide.split("```").step_by(2).collect::<String>();
        assert!(
            !outside.contains("curl -"),
            "{name}: a curl line that nobody runs"
        );
    }
}
