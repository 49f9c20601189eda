//! What the README and the guides below docs/ tell a reader to type, run as it stands there against the built binary.
use std::collections::BTreeSet;
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
printf 'date\n2027-01-04\n' > 2027.csv
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

/// What a guide takes, what its commands print, and why those that are marked `sh by-hand` are not run.
struct Guide {
    name: &'static str,
    expected: &'static [&'static str],
    by_hand: &'static [&'static str],
}

const fn guide(name: &'static str, expected: &'static [&'static str]) -> Guide {
    Guide {
        name,
        expected,
        by_hand: &[],
    }
}

const GUIDES: [Guide; 16] = [
    // Run by its own test, with what it brings itself.
    guide("API.md", &[]),
    guide("API-CLIENTS.md", &["\"secret\":\"gdk_"]),
    guide("ARCHITECTURE.md", &[]),
    guide("ATTACHMENTS.md", &["\"name\":\"log.txt\""]),
    guide(
        "CALENDARS.md",
        &[
            "BEGIN:VCALENDAR",
            "\"base_version\":1",
            "2019-05-02T16:30:00+07:00",
            "\n90000\n",
        ],
    ),
    guide("CUSTOM-FIELDS.md", &["\"1\"", "Số hồ sơ", "Dossier number"]),
    guide(
        "DIRECTORY.md",
        &["\"passes_on\":\"2027-01-01\"", "\"applied\":true"],
    ),
    Guide {
        name: "IDENTITY.md",
        expected: &["\"email\":\"admin@localhost\""],
        by_hand: &["the code of an authenticator"],
    },
    guide("LIMITS.md", &[]),
    guide("LISTS.md", &["\"relation\":\"exact\"", "\"results\""]),
    guide("OIDC.md", &[]),
    guide("OPEN311.md", &["service_request_id", "<service_requests>"]),
    Guide {
        name: "OPERATIONS.md",
        expected: &["gdt_", "gdk_", "\"items\":[]"],
        by_hand: &[
            "a mail that was refused for two days; `notices.rs` and `mail.rs` retry one",
            "programs of the databases, on the operator's own files",
        ],
    },
    guide(
        "POLICIES.md",
        &[
            "\"code\":\"provinces\"",
            "\"applies_to_open\":true",
            "\"valid_to\":\"2027-06-30\"",
        ],
    ),
    guide("REPORTS.md", &[]),
    guide("SLA.md", &["\"due_at\":\"2019-05-07T02:00:00Z\""]),
];

/// Text outside of fenced blocks, and the blocks with what stands behind their fence.
fn parts(document: &str) -> (String, Vec<(&str, &str)>) {
    let mut outside = String::new();
    let mut blocks = Vec::new();
    for (place, part) in document.split("```").enumerate() {
        match place % 2 {
            0 => outside += part,
            _ => blocks.push(part.split_once('\n').unwrap()),
        }
    }
    (outside, blocks)
}

/// Every guide below docs/, each against a new server; what is not run is marked, with the reason in its row.
#[test]
fn every_command_of_the_guides_works_as_it_is_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<String> = names.filter(|name| name.ends_with(".md")).collect();
    let named: BTreeSet<String> = GUIDES.iter().map(|guide| guide.name.to_owned()).collect();
    assert_eq!(found, named, "a guide without a row, or the reverse");
    for Guide {
        name,
        expected,
        by_hand,
    } in &GUIDES
    {
        println!("{name}");
        let guide = std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
        let (outside, blocks) = parts(&guide);
        let hidden = |text: &str| {
            let commands = ["curl ", "giaidap ", "$ "];
            text.lines()
                .any(|line| commands.iter().any(|command| line.starts_with(command)))
        };
        assert!(
            !outside.contains("curl -"),
            "{name}: a curl line that nobody runs"
        );
        for (kind, text) in &blocks {
            assert!(
                kind.starts_with("sh") || !hidden(text),
                "{name}: nobody runs {text}"
            );
        }
        let marked = blocks.iter().filter(|(kind, _)| *kind == "sh by-hand");
        assert_eq!(
            marked.count(),
            by_hand.len(),
            "{name}: a block by hand, and no reason in its row"
        );
        if *name != "API.md" && blocks.iter().any(|(kind, _)| *kind == "sh") {
            assert!(!expected.is_empty(), "{name}: what do its commands print?");
            take_with(BELONGINGS, &guide, expected);
        }
    }
}
