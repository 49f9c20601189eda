//! The real process, killed without warning in the middle of its work and started again on what it left: nothing that
//! it acknowledged is lost, nothing is there by half, and no mail speaks of what never was.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use diesel::prelude::*;
use giaidap::clock::Clock;
use giaidap::config::Overrides;
use giaidap::store::Uid;
use giaidap::store::schema::{clocks, deliveries, idempotency_records, ticket_events, tickets};
use serde_json::{Value, json};

use crate::support::app::block_on;
use crate::support::client::Reply;
use crate::support::mail::ReceivedMail;
use crate::support::numbers::assert_gapless;
use crate::support::process::ServerProcess;
use crate::support::smtp::Behaviour;
use crate::support::threads::{at_once, wait_for};
use crate::support::{Client, TestApp, question};

const CLIENTS: usize = 16;

/// Looks at the database and the mail folder that the processes work on; itself it serves nobody.
struct House {
    app: TestApp,
    hue: Client,
}

/// One request to file; its `external_ref` is its name, so that we find what came of it.
struct Asked {
    client: Client,
    body: Value,
    reply: Option<Reply>,
}

impl Asked {
    fn name(&self) -> &str {
        self.body["external_ref"].as_str().unwrap()
    }

    fn is_keyed(&self) -> bool {
        self.name().starts_with("keyed")
    }

    fn acknowledged(&self) -> Option<&Reply> {
        self.reply.as_ref().filter(|reply| reply.status == 201)
    }
}

impl House {
    fn new() -> House {
        House::mailing(&Overrides {
            mail_transport: Some("folder".into()),
            ..Overrides::default()
        })
    }

    fn mailing(transport: &Overrides) -> House {
        let app = TestApp::start_with(transport);
        let hue = app.organisation("H57");
        House { app, hue }
    }

    fn serve(&self) -> ServerProcess {
        ServerProcess::start(&self.app.database.url, &self.app.app.config.storage)
    }

    /// Mails that somebody carries, alive or not.
    fn mails_carried(&self) -> i64 {
        self.app.read(|conn| {
            let pending = deliveries::table.filter(deliveries::state.eq("pending"));
            let carried = pending.filter(deliveries::locked_until.is_not_null());
            Ok(carried.count().get_result(conn)?)
        })
    }

    fn mails_waiting(&self) -> i64 {
        self.app.read(|conn| {
            let pending = deliveries::table.filter(deliveries::state.eq("pending"));
            let waiting = pending.filter(deliveries::locked_until.is_null());
            Ok(waiting.count().get_result(conn)?)
        })
    }

    fn mail_folder(&self) -> PathBuf {
        self.app.app.config.storage.join("mails")
    }

    /// 16 clients file until the server is gone; `end` is called once, when so many have been acknowledged.
    fn file_until_the_end(
        &self,
        url: &str,
        round: usize,
        acknowledged: usize,
        end: impl FnMut() + Send,
    ) -> Vec<Asked> {
        let (answered, end) = (AtomicUsize::new(0), Mutex::new(end));
        let asked = at_once(CLIENTS, |number| {
            let mut asked = Vec::new();
            loop {
                let kind = if number % 2 == 0 { "keyed" } else { "plain" };
                let name = format!("{kind}-{round}-{number}-{}", asked.len());
                let mut body = question();
                body["external_ref"] = json!(name);
                body["requester"]["email"] = json!(format!("person{number}@hue.example"));
                let client = match kind {
                    "keyed" => self.hue.on(url).with("Idempotency-Key", &name),
                    _ => self.hue.on(url),
                };
                let reply = client.try_post("/api/v1/tickets", &body);
                let gone = reply.is_none();
                let is_filed = reply.as_ref().is_some_and(|reply| reply.status == 201);
                asked.push(Asked { client, body, reply });
                if is_filed && answered.fetch_add(1, Ordering::SeqCst) + 1 == acknowledged {
                    (end.lock().unwrap())();
                }
                if gone {
                    return asked;
                }
            }
        });
        asked.into_iter().flatten().collect()
    }

    /// Everything that was filed is complete, and numbered without a gap.
    fn assert_whole(&self) {
        // Of one moment: PostgreSQL may still be committing what the dead process had sent.
        let whole = self.app.app.store.read_snapshot(|conn| {
            let filed: Vec<(i64, String, Option<String>)> = tickets::table
                .order(tickets::number)
                .select((tickets::id, tickets::number, tickets::external_ref))
                .load(conn)?;
            let clocks: Vec<i64> = clocks::table
                .order(clocks::ticket_id)
                .select(clocks::ticket_id)
                .load(conn)?;
            let events: Vec<(i64, String)> = ticket_events::table
                .order(ticket_events::ticket_id)
                .select((ticket_events::ticket_id, ticket_events::kind))
                .load(conn)?;
            let mails: Vec<i64> = deliveries::table
                .order(deliveries::ticket_id)
                .select(deliveries::ticket_id)
                .load(conn)?;
            let records: Vec<String> = idempotency_records::table
                .select(idempotency_records::key)
                .load(conn)?;
            Ok((filed, clocks, events, mails, records))
        });
        let (filed, clocks, events, mails, records) = block_on(whole).unwrap();
        assert_gapless(filed.iter().map(|(_, number, _)| number.as_str()));
        let mut ids: Vec<i64> = filed.iter().map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        assert_eq!(clocks, ids.iter().flat_map(|id| [*id, *id]).collect::<Vec<_>>());
        assert_eq!(
            events,
            ids.iter()
                .map(|id| (*id, "ticket_filed".to_owned()))
                .collect::<Vec<_>>()
        );
        assert_eq!(mails, ids);
        let names: BTreeSet<String> = filed.iter().filter_map(|(_, _, name)| name.clone()).collect();
        assert_eq!(names.len(), filed.len(), "no request was filed twice");
        let keyed: BTreeSet<String> = names
            .into_iter()
            .filter(|name| name.starts_with("keyed"))
            .collect();
        assert_eq!(records.into_iter().collect::<BTreeSet<_>>(), keyed);
    }

    /// Every mail in the folder is whole and of a delivery that the database knows.
    fn assert_mails_are_whole(&self) -> BTreeSet<String> {
        let known: BTreeMap<String, String> = self.app.read(|conn| {
            let rows: Vec<(Uid, String)> = deliveries::table
                .inner_join(tickets::table)
                .select((deliveries::uid, tickets::number))
                .load(conn)?;
            Ok(rows
                .into_iter()
                .map(|(uid, number)| (uid.to_string(), number))
                .collect())
        });
        let mut found = BTreeSet::new();
        for path in mails_in(&self.mail_folder()) {
            let uid = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let data = fs::read_to_string(&path).unwrap();
            let end = format!("--giaidap-{}--", uid.replace('-', ""));
            assert!(data.trim_end().ends_with(&end), "{} is cut off", path.display());
            let mail = ReceivedMail::read(String::new(), Vec::new(), data);
            let number = known.get(&uid).unwrap_or_else(|| panic!("nobody wrote {uid}"));
            assert!(
                mail.subject.starts_with(&format!("[{number}]")),
                "{}",
                mail.subject
            );
            found.insert(uid);
        }
        found
    }

    /// An hour later, when the leases of the dead have run out: every mail is sent, in one file.
    fn assert_every_mail_is_sent_in_the_end(&self) {
        let expected = self.assert_every_delivery_is_sent_in_the_end();
        assert_eq!(self.assert_mails_are_whole(), expected);
        let all = fs::read_dir(self.mail_folder()).unwrap().count();
        assert_eq!(all, expected.len(), "nothing unfinished stays behind");
    }

    fn assert_every_delivery_is_sent_in_the_end(&self) -> BTreeSet<String> {
        self.app
            .app
            .clock
            .set(Clock::system().now() + TimeDelta::hours(1));
        self.app.settle();
        let rows: Vec<(Uid, String)> = self.app.read(|conn| {
            Ok(deliveries::table
                .select((deliveries::uid, deliveries::state))
                .load(conn)?)
        });
        assert!(rows.iter().all(|(_, state)| state == "sent"), "{rows:?}");
        rows.iter().map(|(uid, _)| uid.to_string()).collect()
    }
}

fn mails_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_else(|_| Vec::new())
        .into_iter()
        .filter(|path: &PathBuf| path.extension().is_some_and(|extension| extension == "eml"))
        .collect()
}

#[test]
fn a_server_killed_while_filing_loses_nothing_that_it_acknowledged() {
    let house = House::new();
    for (round, acknowledged) in [40, 7, 90].into_iter().enumerate() {
        let server = Mutex::new(house.serve());
        let url = server.lock().unwrap().url.clone();
        let asked = house.file_until_the_end(&url, round, acknowledged, || server.lock().unwrap().kill());
        house.assert_whole();
        house.assert_mails_are_whole();

        let server = house.serve();
        for asked in &asked {
            let client = asked.client.on(&server.url);
            if let Some(reply) = asked.acknowledged() {
                let number = reply.body["number"].as_str().unwrap();
                let found = client.get(&format!("/api/v1/tickets/{number}")).expect(200).body;
                assert_eq!(found["external_ref"], asked.name());
                assert_eq!(found["clocks"].as_array().unwrap().len(), 2);
            }
            if asked.is_keyed() {
                // Whether it was acknowledged, done without an answer, or never begun: asking again is safe.
                let again = client.post("/api/v1/tickets", &asked.body).expect(201);
                if let Some(reply) = asked.acknowledged() {
                    assert_eq!(again.header("idempotency-replayed"), Some("true"));
                    assert_eq!(again.text, reply.text);
                }
            }
        }
        house.assert_whole();
    }
    house.assert_every_mail_is_sent_in_the_end();
}

#[test]
fn a_server_killed_while_sending_sends_every_mail_in_the_end() {
    let house = House::new();
    let mut server = house.serve();
    let url = server.url.clone();
    at_once(CLIENTS, |client| {
        for name in 0..10 {
            let mut body = question();
            body["external_ref"] = json!(format!("plain-{client}-{name}"));
            house.hue.on(&url).post("/api/v1/tickets", &body).expect(201);
        }
    });
    for _ in 0..4 {
        let before = mails_in(&house.mail_folder()).len();
        wait_for("further mails", || {
            let more = mails_in(&house.mail_folder()).len() > before;
            (more || house.mails_waiting() == 0).then_some(())
        });
        server.kill();
        house.assert_mails_are_whole();
        server = house.serve();
    }
    server.kill();
    house.assert_whole();
    house.assert_every_mail_is_sent_in_the_end();
}

/// The kill surely falls while mails are under way: the mail server does not answer for one of them.
#[test]
fn a_server_killed_while_a_mail_is_handed_over_hands_over_the_same_mail_again() {
    let house = House::mailing(&Overrides::default());
    let smtp = &house.app.smtp;
    let transport = format!("smtp://127.0.0.1:{}", smtp.port());
    for round in 0..3 {
        let slow = format!("slow{round}@hue.example");
        smtp.behave(&slow, Behaviour::Hang);
        let mut server = ServerProcess::start_with(
            &house.app.database.url,
            &house.app.app.config.storage,
            "warn",
            &[
                ("GIAIDAP_MAIL_TRANSPORT", &transport),
                ("GIAIDAP_MAIL_FROM", &house.app.app.config.mail_from),
            ],
        );
        for number in 0..8 {
            let mut body = question();
            body["external_ref"] = json!(format!("plain-{round}-{number}"));
            if number == 4 {
                body["requester"]["email"] = json!(slow);
            }
            house
                .hue
                .on(&server.url)
                .post("/api/v1/tickets", &body)
                .expect(201);
        }
        smtp.wait_until_hanging(&slow);
        server.kill();
        smtp.behave(&slow, Behaviour::Accept);
        assert!(house.mails_carried() > 0, "nothing was under way");
        house.assert_whole();
    }
    house.assert_every_delivery_is_sent_in_the_end();
    let mut mails: BTreeMap<String, String> = BTreeMap::new();
    for mail in smtp.received() {
        let id = mail.header("message-id").unwrap().to_owned();
        let first = mails.entry(id).or_insert_with(|| mail.data.clone());
        assert!(*first == mail.data, "a repeat is another mail");
    }
    assert_eq!(mails.len(), 24);
}

#[test]
fn a_server_that_is_asked_to_end_answers_what_it_accepted() {
    let house = House::new();
    for round in 0..3 {
        let mut server = house.serve();
        let asked = house.file_until_the_end(&server.url, round, 40, || server.terminate());
        let (status, log) = server.wait();
        assert!(status.success(), "{status} {log}");
        assert!(!log.contains("ERROR"), "{log}");
        let acknowledged: BTreeSet<String> = asked
            .iter()
            .filter(|asked| asked.acknowledged().is_some())
            .map(|asked| asked.name().to_owned())
            .collect();
        let filed: Vec<Option<String>> = house
            .app
            .read(|conn| Ok(tickets::table.select(tickets::external_ref).load(conn)?));
        let this_round: BTreeSet<String> = filed
            .into_iter()
            .flatten()
            .filter(|name| name.split('-').nth(1) == Some(&round.to_string()))
            .collect();
        assert_eq!(this_round, acknowledged, "what was done was answered");
        house.assert_whole();
    }
}
