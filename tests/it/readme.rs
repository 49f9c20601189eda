//! The README's walk of a new user, run as it stands there against the built binary.
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::support::database::TestDatabase;

/// The `sh` blocks of the README, in order.
fn walk() -> String {
    let readme = include_str!("../../README.md");
    let mut blocks = Vec::new();
    for block in readme.split("```sh\n").skip(1) {
        blocks.push(block.split("```").next().unwrap());
    }
    assert!(blocks.len() >= 4, "the README lost its walk");
    blocks.join("\n")
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_walk_of_the_readme_works_as_it_is_written() {
    let database = TestDatabase::from_template("empty", |_| {});
    let folder = tempfile::tempdir().unwrap();
    let listen = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let binary = env!("CARGO_BIN_EXE_giaidap");
    let settings = [
        ("GIAIDAP_DATABASE", database.url.as_str()),
        ("GIAIDAP_LISTEN", listen.as_str()),
        ("GIAIDAP_LOG", "error"),
    ];
    let server = Command::new(binary)
        .current_dir(folder.path())
        .envs(settings)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(server);
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains(&listen));

    // `cargo run` stands for the binary that is built already; curl fails where the server refuses.
    let prelude = format!(
        "set -euo pipefail\ncargo() {{ while [ \"$1\" != -- ]; do shift; done; shift; '{binary}' \"$@\"; }}\n\
         curl() {{ command curl --fail-with-body \"$@\"; echo; }}\n"
    );
    let script = prelude + &walk().replace("127.0.0.1:8080", &listen);
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .envs(settings)
        .output()
        .unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    for expected in [
        "\"state\":\"queued\"",
        "\"state\":\"assigned\"",
        "\"state\":\"resolved\"",
        "Thực hiện theo hướng dẫn kèm theo.",
        "\"kind\":\"ticket_resolved\"",
        "\"due_at\":\"2019-11-25T04:00:00Z\"",
        "2019-11-25T11:00:00+07:00",
    ] {
        assert!(out.contains(expected), "no {expected} in\n{out}\n{err}");
    }
}
