//! Files where only a real process or a real store shows the truth: killed in the middle, and in a bucket over HTTP.
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use diesel::prelude::*;
use giaidap::attachments::sweep::sweep_step;
use giaidap::clock::Clock;
use giaidap::config::{AttachmentsOverrides, Overrides};
use giaidap::store::Uid;
use giaidap::store::schema::attachments;
use serde_json::json;

use crate::attachments::{PDF, form, send, sent};
use crate::support::app::block_on;
use crate::support::process::ServerProcess;
use crate::support::threads::{at_once, wait_for};
use crate::support::{TestApp, question};

const FILES: &str = "/api/v1/attachments";

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files_under(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn a_server_killed_while_files_come_in_leaves_no_bytes_without_a_row_and_no_row_without_bytes() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let storage = app.app.config.storage.clone();
    let mut acknowledged = BTreeSet::new();
    for (round, end) in [9, 3].into_iter().enumerate() {
        let server = Mutex::new(ServerProcess::start(&app.database.url, &storage));
        let url = server.lock().unwrap().url.clone();
        let answered = AtomicUsize::new(0);
        let ids = at_once(6, |number| {
            let mut ids = Vec::new();
            // Some in one piece, some in several parts.
            let text = vec![b'a'; if number % 2 == 0 { 200_000 } else { 12_000_000 }];
            let (content_type, body) = form(&[("file", &format!("{round}-{number}.txt"), &text)]);
            while let Some(reply) = hue.on(&url).try_post_raw(FILES, &content_type, &body) {
                assert_eq!(reply.status, 201, "{}", reply.text);
                ids.push(reply.body["id"].as_str().unwrap().to_owned());
                if answered.fetch_add(1, Ordering::SeqCst) + 1 == end {
                    server.lock().unwrap().kill();
                }
            }
            ids
        });
        acknowledged.extend(ids.into_iter().flatten());
    }
    let folder = storage.join("attachments");
    let (store, vault) = (&app.app.store, &app.app.vault);
    // As the sweep of any later process finds it, two hours on.
    let later = Clock::system().now() + TimeDelta::hours(2);
    while block_on(sweep_step(store, vault, later)).unwrap() > 0 {}
    let rows: Vec<(Uid, String, i64)> = app.read(|conn| {
        Ok(attachments::table
            .select((attachments::uid, attachments::state, attachments::bytes))
            .load(conn)?)
    });
    let known: BTreeSet<String> = rows.iter().map(|(uid, ..)| uid.to_string()).collect();
    assert!(known.is_superset(&acknowledged), "what was acknowledged is there");
    let objects = files_under(&folder);
    assert_eq!(objects.len(), rows.len(), "{objects:?}");
    for (uid, state, bytes) in rows {
        assert_eq!(state, "stored");
        let object = objects
            .iter()
            .find(|path| path.to_str().unwrap().contains(&uid.0.simple().to_string()));
        assert_eq!(
            object.unwrap().metadata().unwrap().len(),
            u64::try_from(bytes).unwrap()
        );
    }
}

/// moto on a free port; ended when dropped.
struct Bucket {
    server: Child,
    url: String,
}

impl Bucket {
    fn start() -> Bucket {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bin/s3-for-tests");
        let found = Command::new(script).output().unwrap();
        assert!(
            found.status.success(),
            "{}",
            String::from_utf8_lossy(&found.stderr)
        );
        let program = String::from_utf8(found.stdout).unwrap();
        let mut server = Command::new(program.trim())
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stderr.take().unwrap()).lines();
        let url = said
            .find_map(|line| Some(line.unwrap().split_once("Running on ")?.1.trim().to_owned()))
            .expect("the S3 server says where it listens");
        // The rest is read so that it never waits for us.
        std::thread::spawn(move || said.for_each(drop));
        let bucket = Bucket { server, url };
        // Make the bucket; moto takes anybody's word.
        wait_for("the S3 server", || {
            let made = ureq::put(format!("{}/files", bucket.url)).send_empty();
            made.is_ok().then_some(())
        });
        bucket
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn files_lie_in_a_bucket_as_they_lie_in_a_folder() {
    let bucket = Bucket::start();
    let app = TestApp::start_with(&Overrides {
        attachments: AttachmentsOverrides {
            attachments_store: Some("s3://files/desk".into()),
            attachments_endpoint: Some(bucket.url.clone()),
            attachments_access_key_id: Some("test".into()),
            attachments_secret_access_key: Some("test".into()),
            ..AttachmentsOverrides::default()
        },
        ..Overrides::default()
    });
    let hue = app.organisation("H57");
    let objects = || block_on(app.app.vault.count()).unwrap();
    // In parts: more than one of S3's least size.
    let long: Vec<u8> = (0..9_000_000_u32)
        .map(|n| b'a' + u8::try_from(n % 26).unwrap())
        .collect();
    let id = sent(&hue, "long.txt", &long);
    let content = format!("{FILES}/{id}/content");
    let got = hue
        .with("Range", "bytes=5242870-5242889")
        .get(&content)
        .expect(206);
    assert_eq!(got.text.as_bytes(), &long[5_242_870..5_242_890]);
    assert_eq!(hue.get(&content).expect(200).text.len(), long.len());
    let mut body = question();
    body["attachments"] = json!([id]);
    hue.post("/api/v1/tickets", &body).expect(201);
    let unused = sent(&hue, "a.pdf", PDF);
    // Refused in the middle of its parts.
    let mut broken = long.clone();
    broken.push(0);
    assert_eq!(
        send(&hue, FILES, "b.txt", &broken).expect(415).problem(),
        "attachment-type"
    );
    assert_eq!((app.rows_in("attachments"), objects()), (2, 2));
    app.at("2019-11-23T17:00:00+07:00").settle();
    hue.get(&format!("{FILES}/{unused}")).expect(404);
    assert_eq!((app.rows_in("attachments"), objects()), (1, 1));
    drop(bucket);
    assert_eq!(hue.get(&content).expect(503).problem(), "unavailable");
}
