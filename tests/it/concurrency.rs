//! Many clients at once, on one server and on two: every question is claimed once, numbered once, confirmed once, and
//! of two operations that exclude each other exactly one happens.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use giaidap::identity::Principal;
use giaidap::store::schema::{clocks, ticket_events, tickets};
use giaidap::store::{Json, Ts};
use giaidap::tickets::operations;
use giaidap::tx::Tx;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::app::block_on;
use crate::support::client::Reply;
use crate::support::database::Backend;
use crate::support::numbers::assert_gapless;
use crate::support::process::ServerProcess;
use crate::support::threads::at_once;
use crate::support::{Client, TestApp, question};

const CLIENTS: usize = 16;

/// File so many questions from many threads, on these servers in turn; the numbers, sorted.
fn file_many(organisation: &Client, urls: &[&str], count: usize) -> Vec<String> {
    let per_client = count.div_ceil(CLIENTS);
    let filed = at_once(CLIENTS, |client| {
        let mine = organisation.on(urls[client % urls.len()]);
        let first = client * per_client;
        (first..count.min(first + per_client))
            .map(|number| {
                let mut asked = question();
                // Several people and all priorities, so that neither rows nor order are all the same.
                asked["requester"]["email"] = json!(format!("person{}@hue.example", number % 7));
                asked["requester"]["phone"] = json!(format!("{}", number % 3));
                asked["priority"] = json!(["low", "normal", "high", "urgent"][number % 4]);
                let ticket = mine.post("/api/v1/tickets", &asked).expect(201).body;
                ticket["number"].as_str().unwrap().to_owned()
            })
            .collect::<Vec<_>>()
    });
    let mut numbers: Vec<String> = filed.into_iter().flatten().collect();
    numbers.sort();
    numbers
}

fn expected_numbers(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("GD-2019-{number:06}")).collect()
}

/// Every client takes the next question until none waits; what each was given.
fn claim_all(agents: &[Client], urls: &[&str]) -> Vec<Vec<String>> {
    at_once(agents.len(), |number| {
        let agent = agents[number].on(urls[number % urls.len()]);
        let mut mine = Vec::new();
        loop {
            let reply = agent.call("/api/v1/queues/technology/next");
            match reply.status {
                200 => mine.push(reply.body["number"].as_str().unwrap().to_owned()),
                204 => return mine,
                _ => panic!("{} {}", reply.status, reply.text),
            }
        }
    })
}

fn agents(app: &TestApp) -> Vec<Client> {
    (0..CLIENTS)
        .map(|number| app.agent(&format!("agent{number}"), &["technology"]))
        .collect()
}

/// Each question has one claim in its history and belongs to whom the server said.
fn assert_claimed_once(app: &TestApp, claimed: Vec<Vec<String>>, count: usize) {
    let mut numbers: Vec<String> = claimed.into_iter().flatten().collect();
    numbers.sort();
    assert_eq!(numbers, expected_numbers(count));
    let stored: Vec<(String, String, i64)> = app.read(|conn| {
        Ok(tickets::table
            .inner_join(ticket_events::table)
            .filter(ticket_events::kind.eq("ticket_claimed"))
            .order(tickets::number)
            .select((tickets::number, tickets::state, tickets::version))
            .load(conn)?)
    });
    let expected: Vec<_> = numbers
        .into_iter()
        .map(|number| (number, "assigned".to_owned(), 2))
        .collect();
    assert_eq!(stored, expected);
}

#[test]
fn sixteen_clients_of_one_server_claim_each_question_exactly_once() {
    let app = TestApp::start();
    let urls = [app.url.as_str()];
    file_many(&app.organisation("H57"), &urls, 200);
    let claimed = claim_all(&agents(&app), &urls);
    assert_claimed_once(&app, claimed, 200);
}

#[test]
fn sixteen_clients_of_two_servers_claim_each_question_exactly_once() {
    let app = TestApp::start();
    let other = app.replica();
    let urls = [app.url.as_str(), other.url.as_str()];
    file_many(&app.organisation("H57"), &urls, 200);
    let claimed = claim_all(&agents(&app), &urls);
    assert_claimed_once(&app, claimed, 200);
}

/// On SQLite the second writer waits for the first; on PostgreSQL rows that the other is taking are skipped.
#[test]
fn two_server_processes_share_one_database() {
    let app = TestApp::start();
    let folder = TempDir::new().unwrap();
    let servers = [
        ServerProcess::start(&app.database.url, folder.path()),
        ServerProcess::start(&app.database.url, folder.path()),
    ];
    let urls: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
    let (hue, agents) = (app.organisation("H57"), agents(&app));
    let numbers = file_many(&hue, &urls, 96);
    assert_eq!(numbers.len(), 96);
    assert_gapless(numbers.iter().map(String::as_str));
    let mut claimed: Vec<String> = claim_all(&agents, &urls).into_iter().flatten().collect();
    claimed.sort();
    assert_eq!(claimed, numbers);
}

#[test]
fn numbers_of_questions_filed_at_once_have_no_gap_and_each_is_confirmed_once() {
    let app = TestApp::start();
    let other = app.replica();
    let numbers = file_many(&app.organisation("H57"), &[&app.url, &other.url], 160);
    assert_eq!(numbers, expected_numbers(160));
    let clocks_per_ticket: Vec<(i64, i64)> = app.read(|conn| {
        Ok(clocks::table
            .group_by(clocks::ticket_id)
            .select((clocks::ticket_id, diesel::dsl::count_star()))
            .load(conn)?)
    });
    assert_eq!(clocks_per_ticket.len(), 160);
    assert!(clocks_per_ticket.iter().all(|(_, count)| *count == 2));

    at_once(2, |replica| [&app, &other][replica].settle());
    let mut confirmed: Vec<String> = app
        .smtp
        .received()
        .iter()
        .map(|mail| {
            mail.subject
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    confirmed.sort();
    assert_eq!(confirmed, numbers);
}

/// People who write from several programs at once, with data that differs, in every order.
#[test]
fn filings_that_change_the_same_people_do_not_block_each_other() {
    let app = TestApp::start();
    let other = app.replica();
    let hue = app.organisation("H57");
    at_once(CLIENTS, |client| {
        let mine = hue.on([&app.url, &other.url][client % 2]);
        for round in 0..6 {
            let person = if client % 4 < 2 { round % 3 } else { 2 - round % 3 };
            let mut asked = question();
            asked["requester"]["email"] = json!(format!("person{person}@hue.example"));
            asked["requester"]["phone"] = json!(format!("{client}-{round}"));
            mine.post("/api/v1/tickets", &asked).expect(201);
        }
    });
    assert_no_deadlock(&app);
}

/// PostgreSQL counts the transactions that it had to break. SQLite cannot have any.
fn assert_no_deadlock(app: &TestApp) {
    #[derive(QueryableByName)]
    struct Deadlocks {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        deadlocks: i64,
    }
    if app.database.backend == Backend::Postgres {
        let found: Deadlocks = app.read(|conn| {
            let question = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
            Ok(diesel::sql_query(question).get_result(conn)?)
        });
        assert_eq!(found.deadlocks, 0);
    }
}

#[test]
fn a_question_sent_sixteen_times_at_once_under_one_key_is_filed_once() {
    let app = TestApp::start();
    let other = app.replica();
    let hue = app.organisation("H57");
    for round in 0..5 {
        let keyed = hue.with("Idempotency-Key", &format!("round-{round}"));
        let replies = at_once(CLIENTS, |client| {
            keyed
                .on([&app.url, &other.url][client % 2])
                .post("/api/v1/tickets", &question())
        });
        let first = replies.iter().filter(|reply| is_first(reply, 201)).count();
        assert_eq!(first, 1, "{:?}", statuses(&replies));
        let again = keyed.post("/api/v1/tickets", &question()).expect(201);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        for reply in &replies {
            assert_first_replay_or_in_progress(reply, 201, &again);
        }
    }
    let filed: i64 = app.read(|conn| Ok(tickets::table.count().get_result(conn)?));
    assert_eq!(filed, 5);
}

#[test]
fn an_operation_sent_sixteen_times_at_once_under_one_key_happens_once() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    file_many(&hue, &[&app.url], CLIENTS);
    let keyed = lan.with("Idempotency-Key", "next-1");
    let replies = at_once(CLIENTS, |client| {
        keyed
            .on([&app.url, &other.url][client % 2])
            .call("/api/v1/queues/technology/next")
    });
    let again = keyed.call("/api/v1/queues/technology/next").expect(200);
    for reply in &replies {
        assert_first_replay_or_in_progress(reply, 200, &again);
    }
    let claimed = lan.get("/api/v1/tickets?state=assigned").expect(200).body;
    assert_eq!(claimed["items"].as_array().unwrap().len(), 1);
}

fn is_first(reply: &Reply, status: u16) -> bool {
    reply.status == status && reply.header("idempotency-replayed").is_none()
}

fn assert_first_replay_or_in_progress(reply: &Reply, status: u16, known: &Reply) {
    if reply.status == status {
        assert_eq!(reply.text, known.text);
    } else {
        assert_eq!(
            (reply.status, reply.problem()),
            (409, "request-in-progress"),
            "{}",
            reply.text
        );
        assert!(reply.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    }
}

fn statuses(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.status).collect()
}

/// A ticket in a state, and its address.
fn ticket_in(state: &str, hue: &Client, lan: &Client) -> String {
    let ticket = hue.post("/api/v1/tickets", &question()).expect(201).body;
    let path = format!("/api/v1/tickets/{}", ticket["number"].as_str().unwrap());
    if state != "queued" {
        lan.call(&format!("{path}/claim")).expect(200);
    }
    if state == "resolved" {
        resolve(lan, &path).expect(200);
    }
    path
}

fn resolve(client: &Client, path: &str) -> Reply {
    client.post(
        &format!("{path}/resolve"),
        &json!({ "outcome": "answered", "message": "Đã có hướng dẫn." }),
    )
}

fn version(reply: &Reply) -> i64 {
    reply.version()
}

fn kinds(client: &Client, path: &str) -> Vec<String> {
    let events = client.get(&format!("{path}/events?limit=200")).expect(200).body;
    let items: &Vec<Value> = events["items"].as_array().unwrap();
    items
        .iter()
        .map(|event| event["kind"].as_str().unwrap().to_owned())
        .collect()
}

type Operation<'a> = &'a (dyn Fn(&str, &str) -> Reply + Sync);

/// Let operations run against each other on fresh tickets, a few times; each is given a server and the ticket's path.
/// Exactly one wins, the ticket is one version older, and its history tells the winner's story only.
fn race(
    app: &TestApp,
    other: &TestApp,
    (hue, lan): (&Client, &Client),
    state: &str,
    operations: &[(Operation<'_>, &str)],
) -> BTreeSet<usize> {
    let mut winners = BTreeSet::new();
    for round in 0..6 {
        let path = ticket_in(state, hue, lan);
        let before = version(&lan.get(&path).expect(200));
        let told = kinds(lan, &path);
        let replies = at_once(operations.len(), |number| {
            let url = [&app.url, &other.url][(number + round) % 2];
            (operations[number].0)(url, &path)
        });
        let won: Vec<usize> = (0..replies.len())
            .filter(|number| replies[*number].status < 300)
            .collect();
        assert_eq!(won.len(), 1, "{:?}", statuses(&replies));
        for reply in replies.iter().filter(|reply| reply.status >= 300) {
            assert!(
                [409, 412].contains(&reply.status),
                "{} {}",
                reply.status,
                reply.text
            );
        }
        assert_eq!(version(&lan.get(&path).expect(200)), before + 1);
        let mut expected = told;
        expected.extend(operations[won[0]].1.split(' ').map(str::to_owned));
        assert_eq!(kinds(lan, &path), expected);
        winners.insert(won[0]);
    }
    winners
}

#[test]
fn of_two_claims_of_one_question_exactly_one_wins() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let agents = agents(&app);
    let claims: Vec<_> = agents
        .iter()
        .map(|agent| move |url: &str, path: &str| agent.on(url).call(&format!("{path}/claim")))
        .collect();
    let operations: Vec<(Operation<'_>, &str)> = claims
        .iter()
        .map(|claim| (claim as Operation<'_>, "ticket_claimed"))
        .collect();
    race(&app, &other, (&hue, &lan), "queued", &operations);
}

#[test]
fn a_question_is_either_resolved_or_cancelled() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let resolve: Operation<'_> = &|url, path| resolve(&lan.on(url), path);
    let cancel: Operation<'_> = &|url, path| {
        hue.on(url)
            .post(&format!("{path}/cancel"), &json!({ "reason": "Hỏi nhầm." }))
    };
    let operations = [(resolve, "ticket_resolved"), (cancel, "ticket_cancelled")];
    race(&app, &other, (&hue, &lan), "assigned", &operations);
}

#[test]
fn an_answered_question_is_either_closed_or_asked_again() {
    let app = TestApp::start();
    let other = app.replica();
    let (hue, lan) = (app.organisation("H57"), app.agent("lan", &["technology"]));
    let message: Operation<'_> = &|url, path| {
        hue.on(url)
            .post(&format!("{path}/messages"), &json!({ "body": "Chưa rõ." }))
    };
    let close: Operation<'_> = &|url, path| hue.on(url).call(&format!("{path}/close"));
    let operations = [
        (message, "message_posted ticket_reopened"),
        (close, "ticket_closed"),
    ];
    race(&app, &other, (&hue, &lan), "resolved", &operations);
}

/// Both are possible one after the other; whoever says what they saw is told that it has changed.
#[test]
fn of_two_changes_to_the_same_version_exactly_one_wins() {
    let app = TestApp::start();
    let other = app.replica();
    let hue = app.organisation("H57");
    // Sees the ticket wherever it ends.
    let lan = app.agent("lan", &["technology", "standing"]);
    let sup = app.supervisor().with("If-Match", "\"2\"");
    app.agent("minh", &["technology"]);
    let assign: Operation<'_> = &|url, path| {
        sup.on(url).post(
            &format!("{path}/assign"),
            &json!({ "assignee": "minh@centre.example" }),
        )
    };
    let transfer: Operation<'_> = &|url, path| {
        let body = json!({ "queue": "standing", "reason": "Không thuộc nhóm." });
        sup.on(url).post(&format!("{path}/transfer"), &body)
    };
    let operations = [(assign, "ticket_assigned"), (transfer, "ticket_transferred")];
    race(&app, &other, (&hue, &lan), "assigned", &operations);
}

/// Workers of two replicas find warnings and breaches while agents work on the same tickets.
#[test]
fn workers_and_clients_do_not_block_each_other() {
    let app = TestApp::start();
    let other = app.replica();
    let hue = app.organisation("H57");
    let agents: Vec<Client> = ["lan", "minh"]
        .map(|name| app.agent(name, &["technology"]))
        .into();
    file_many(&hue, &[&app.url, &other.url], 48);
    let (working, clients) = (AtomicBool::new(true), 8);
    at_once(clients + 2, |number| {
        if number >= clients {
            // The clock of both is one; each turn brings further warnings and breaches.
            for day in 25..=29 {
                for hour in [9, 12, 16] {
                    app.at(&format!("2019-11-{day}T{hour:02}:30:00+07:00"));
                    block_on([&app, &other][number - clients].app.settle()).unwrap();
                }
            }
            working.store(false, Ordering::Relaxed);
            return;
        }
        let agent = agents[number % 2].on([&app.url, &other.url][number / 2 % 2]);
        while working.load(Ordering::Relaxed) {
            let taken = agent.call("/api/v1/queues/technology/next");
            if taken.status == 204 {
                break;
            }
            let path = format!(
                "/api/v1/tickets/{}",
                taken.expect(200).body["number"].as_str().unwrap()
            );
            let message = json!({ "body": "Đang xem xét." });
            agent.post(&format!("{path}/messages"), &message).expect(201);
            if number % 2 == 0 {
                resolve(&agent, &path).expect(200);
            } else {
                agent.call(&format!("{path}/release")).expect(200);
            }
        }
    });
    app.settle();
    assert_no_deadlock(&app);
    assert_each_notice_once(&app);
}

/// A clock has at most one warning and one breach in its ticket's history, and those that it says it had.
fn assert_each_notice_once(app: &TestApp) {
    let marks: Vec<(i64, String, Option<Ts>, Option<Ts>)> = app.read(|conn| {
        Ok(clocks::table
            .select((
                clocks::ticket_id,
                clocks::target,
                clocks::warned_at,
                clocks::breached_at,
            ))
            .load(conn)?)
    });
    let events: Vec<(i64, String, Json)> = app.read(|conn| {
        Ok(ticket_events::table
            .filter(ticket_events::kind.like("clock_%"))
            .select((ticket_events::ticket_id, ticket_events::kind, ticket_events::data))
            .load(conn)?)
    });
    let mut told: BTreeMap<(i64, String, String), usize> = BTreeMap::new();
    for (ticket, kind, data) in events {
        *told
            .entry((ticket, data.0["target"].as_str().unwrap().to_owned(), kind))
            .or_default() += 1;
    }
    let mut expected = BTreeMap::new();
    for (ticket, target, warned_at, breached_at) in marks {
        for (mark, kind) in [(warned_at, "clock_warning"), (breached_at, "clock_breached")] {
            if mark.is_some() {
                expected.insert((ticket, target.clone(), kind.to_owned()), 1);
            }
        }
    }
    assert_eq!(told, expected);
    assert!(!expected.is_empty());
}

/// A request takes its time when it arrives; then it may wait, for its body or for a lock.
#[test]
fn a_request_that_is_overtaken_by_a_later_one_leaves_sound_clocks() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let number = crate::support::file(&hue)["number"].as_str().unwrap().to_owned();
    let transfer_at = |at: &str, queue: &'static str| {
        let (desk, now, number) = (
            app.app.desk.clone(),
            crate::support::app::instant(at),
            number.clone(),
        );
        app.write(move |conn| {
            let mut tx = Tx {
                conn,
                principal: &Principal::System,
                now,
                desk: &desk,
            };
            operations::transfer(&mut tx, &number, queue, "Thuộc nhóm khác.")
        })
    };
    transfer_at("2019-11-25T10:00:00+07:00", "security");
    transfer_at("2019-11-25T09:00:00+07:00", "policy");

    app.at("2019-11-25T11:00:00+07:00");
    let supervisor = app.supervisor();
    let path = format!("/api/v1/tickets/{number}");
    let cancelled = supervisor
        .post(&format!("{path}/cancel"), &json!({ "reason": "Trùng câu hỏi." }))
        .expect(200);
    assert_eq!(cancelled.body["queue"]["code"], "policy");
    assert_eq!(cancelled.body["clocks"][0]["state"], "stopped");
}
