//! Lists: pages without gaps or repeats, every filter and sort, and who sees what.
use std::collections::BTreeSet;

use giaidap::http::routes::{ROUTES, Route};
use serde_json::{Value, json};

use crate::support::contract::Contract;
use crate::support::desk::path_of;
use crate::support::things::{OF_EACH, Things};
use crate::support::{Client, TestApp, file, question};

/// Numbers of a page's tickets, as counted: 3 for GD-2019-000003.
fn numbers(page: &Value) -> Vec<u32> {
    let number = |item: &Value| {
        item["number"]
            .as_str()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    page["items"].as_array().unwrap().iter().map(number).collect()
}

fn list(caller: &Client, query: &str) -> Vec<u32> {
    numbers(&caller.get(&format!("/api/v1/tickets?{query}")).expect(200).body)
}

/// The path that `Link: <…>; rel="next"` names.
fn next_path(link: Option<&str>) -> Option<String> {
    let (path, rel) = link?.strip_prefix('<')?.split_once('>')?;
    assert_eq!(rel, "; rel=\"next\"");
    Some(path.to_owned())
}

/// All items, page by page along the Link header; each page must be full but the last.
fn follow(caller: &Client, first: &str, limit: usize, mut between: impl FnMut()) -> Vec<Value> {
    let mut items = Vec::new();
    let mut path = Some(first.to_owned());
    while let Some(here) = path {
        let page = caller.get(&here).expect(200);
        let shown = page.body["items"].as_array().unwrap();
        path = next_path(page.header("link"));
        assert_eq!(path.is_some(), page.body["next_cursor"].is_string(), "{here}");
        if let (Some(path), Some(cursor)) = (&path, page.body["next_cursor"].as_str()) {
            assert!(path.contains(&format!("cursor={cursor}")), "{path}");
            assert_eq!(shown.len(), limit, "{here}");
        }
        items.extend(shown.iter().cloned());
        between();
    }
    items
}

fn file_with(organisation: &Client, member: &str, value: Value) -> Value {
    let mut body = question();
    body[member] = value;
    organisation.post("/api/v1/tickets", &body).expect(201).body
}

#[test]
fn pages_have_no_gaps_and_no_repeats_while_questions_come_in() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    // Three questions at each of four instants: instants alone do not order them.
    for minute in 30..34 {
        app.at(&format!("2019-11-22T16:{minute}:00+07:00"));
        for _ in 0..3 {
            file_with(&hue, "priority", json!("normal"));
        }
    }
    app.at("2019-11-22T17:00:00+07:00");
    let original: Vec<u32> = (1..=12).collect();
    for sort in ["filed_at", "-filed_at", "due_at", "-updated_at"] {
        for limit in [1, 5, 12] {
            let first =
                format!("/api/v1/tickets?sort={sort}&limit={limit}&filed_to=2019-11-22T17:00:00%2B07:00");
            let file = || drop(file_with(&hue, "priority", json!("normal")));
            let items = follow(&sup, &first, limit, file);
            let mut seen = numbers(&json!({ "items": items }));
            assert_eq!(seen.len(), 12, "{sort} {limit}: {seen:?}");
            if sort.starts_with('-') {
                assert_eq!(seen.first(), Some(&12));
                seen.reverse();
            }
            assert_eq!(seen, original, "{sort} {limit}");
        }
    }
    // Unfiltered, the newest first: what comes in meanwhile is newer than the first page and stays out.
    let before: BTreeSet<u32> = list(&sup, "limit=200").into_iter().collect();
    let file = || drop(file_with(&hue, "priority", json!("normal")));
    let items = follow(&sup, "/api/v1/tickets?limit=7", 7, file);
    let seen = numbers(&json!({ "items": items }));
    assert_eq!(seen.iter().copied().collect::<BTreeSet<u32>>(), before);
    assert_eq!(seen.len(), before.len());
}

/// Lists in a form that is not ours, which knows no pages.
const WHOLE: [&str; 2] = ["list_open311_services", "list_open311_requests"];

/// The routes of lists, by what the contract says: whatever takes a `limit`.
pub fn paged() -> Vec<&'static Route> {
    let takes_limit = |route: &&Route| {
        let queries = Contract::global().queries(route.method, route.path);
        queries.iter().any(|query| query["name"] == "limit")
    };
    ROUTES.iter().filter(takes_limit).collect()
}

#[test]
fn every_list_can_be_followed_to_its_end() {
    let named: BTreeSet<&str> = paged().iter().map(|route| route.operation).collect();
    let lists = ROUTES.iter().map(|route| route.operation);
    let lists = lists.filter(|name| name.starts_with("list_") && !WHOLE.contains(name));
    assert_eq!(
        named,
        lists.collect(),
        "a list without pages, or pages that are no list"
    );
    let things = Things::new();
    let admin = &things.admin;
    for route in paged() {
        let list = things.path_of_old(route);
        let all = admin.get(&format!("{list}?limit=200")).expect(200).body;
        let count = all["items"].as_array().unwrap().len();
        assert!(count >= OF_EACH, "{list} has {count}: add more to `Things`");
        assert_eq!(all["next_cursor"], Value::Null);
        let paged = follow(admin, &format!("{list}?limit=2"), 2, || {});
        assert_eq!(Value::from(paged), all["items"], "{list}");
    }
    for (list, count) in [("organisations", 123), ("topics", 25), ("queues", 5)] {
        let all = admin.get(&format!("/api/v1/{list}?limit=200")).expect(200).body;
        assert_eq!(all["items"].as_array().unwrap().len(), count, "{list}");
    }
    let filtered = follow(
        admin,
        "/api/v1/organisations?kind=province&active_on=2019-11-22&limit=10",
        10,
        || {},
    );
    assert_eq!(filtered.len(), 63, "the provinces of 2019");
    let found = follow(admin, "/api/v1/organisations?q=thua%20thien&limit=1", 1, || {});
    assert_eq!(found[0]["code"], "H57");
}

#[test]
fn each_filter_finds_what_it_names_and_nothing_else() {
    let app = TestApp::start();
    let (hue, hai_duong, sup) = (app.organisation("H57"), app.organisation("H23"), app.supervisor());
    let lan = app.agent("lan", &["technology"]);
    file_with(&hue, "priority", json!("urgent")); // 1: stays queued
    app.at("2019-11-22T16:40:00+07:00");
    let second = file_with(&hue, "external_ref", json!("Số 12/STTTT")); // 2: Lan works on it
    app.at("2019-11-22T16:50:00+07:00");
    let third = file_with(&hai_duong, "topic", json!("SUCO")); // 3: waits for its asker
    app.at("2019-11-22T17:00:00+07:00");
    let fourth = file_with(&hai_duong, "priority", json!("low")); // 4: answered
    lan.call(&format!("{}/claim", path_of(&second))).expect(200);
    sup.call(&format!("{}/claim", path_of(&third))).expect(200);
    sup.post(&format!("{}/wait", path_of(&third)), &json!({ "message": "?" }))
        .expect(200);
    sup.call(&format!("{}/claim", path_of(&fourth))).expect(200);
    let answer = json!({ "outcome": "answered", "message": "Trả lời." });
    sup.post(&format!("{}/resolve", path_of(&fourth)), &answer)
        .expect(200);
    let me = lan.get("/api/v1/me").expect(200).body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let security = third["queue"]["code"].as_str().unwrap();
    let technology = sup.get("/api/v1/queues/technology").expect(200).body["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let first_due = sup.get("/api/v1/tickets/GD-2019-000001").expect(200).body["clocks"][0]["due_at"].clone();
    let cases: Vec<(String, Vec<u32>)> = vec![
        ("".into(), vec![4, 3, 2, 1]),
        ("state=queued".into(), vec![1]),
        ("state=queued,assigned".into(), vec![2, 1]),
        ("state=waiting&state=resolved".into(), vec![4, 3]),
        ("state=closed".into(), vec![]),
        (format!("queue={security}"), vec![3]),
        (format!("queue={technology}"), vec![4, 2, 1]),
        ("topic=SUCO".into(), vec![3]),
        ("topic=NGSP&state=assigned".into(), vec![2]),
        ("organisation=H57".into(), vec![2, 1]),
        ("organisation=H23".into(), vec![4, 3]),
        ("organisation=000.00.00.H57".into(), vec![2, 1]),
        ("assignee=none".into(), vec![1]),
        ("assignee=me".into(), vec![4, 3]),
        (format!("assignee={me}"), vec![2]),
        ("priority=urgent".into(), vec![1]),
        ("priority=low".into(), vec![4]),
        ("external_ref=S%E1%BB%91%2012/STTTT".into(), vec![2]),
        ("external_ref=S%E1%BB%91%2012".into(), vec![]),
        ("breached=true".into(), vec![]),
        ("breached=false".into(), vec![4, 3, 2, 1]),
        ("filed_from=2019-11-22T16:40:00%2B07:00".into(), vec![4, 3, 2]),
        ("filed_to=2019-11-22T16:40:00%2B07:00".into(), vec![1]),
        (
            "filed_from=2019-11-22T09:40:00Z&filed_to=2019-11-22T09:50:00.000001Z".into(),
            vec![3, 2],
        ),
        (format!("due_before={}", first_due.as_str().unwrap()), vec![]),
        ("due_before=2100-01-01T00:00:00Z".into(), vec![2, 1]),
        ("sort=filed_at".into(), vec![1, 2, 3, 4]),
        ("sort=-filed_at".into(), vec![4, 3, 2, 1]),
        ("sort=-updated_at".into(), vec![4, 3, 2, 1]),
        ("sort=due_at&state=queued,assigned".into(), vec![1, 2]),
    ];
    let mut wrong = Vec::new();
    for (query, expected) in cases {
        let found = list(&sup, &query);
        if found != expected {
            wrong.push(format!("{query}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    app.at("2019-11-26T16:40:00+07:00").settle();
    assert_eq!(
        list(&sup, "breached=true"),
        [3, 2, 1].into_iter().filter(|n| *n != 3).collect::<Vec<u32>>()
    );
}

#[test]
fn tickets_without_a_running_clock_come_last_by_due() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let low = file_with(&hue, "priority", json!("low"));
    file_with(&hue, "priority", json!("urgent"));
    file_with(&hue, "priority", json!("high"));
    let cancelled = file_with(&hue, "priority", json!("urgent"));
    hue.post(
        &format!("{}/cancel", path_of(&cancelled)),
        &json!({ "reason": "x" }),
    )
    .expect(200);
    assert_eq!(list(&sup, "sort=due_at"), [2, 3, 1, 4]);
    sup.call(&format!("{}/claim", path_of(&low))).expect(200);
    sup.post(&format!("{}/wait", path_of(&low)), &json!({ "message": "?" }))
        .expect(200);
    let paged = follow(&sup, "/api/v1/tickets?sort=due_at&limit=1", 1, || {});
    let mut last = numbers(&json!({ "items": paged }));
    assert_eq!(last.drain(..2).collect::<Vec<u32>>(), [2, 3]);
    last.sort_unstable();
    assert_eq!(last, [1, 4]);
}

#[test]
fn an_agent_sees_the_tickets_of_their_queues_and_their_own() {
    let app = TestApp::start();
    let (hue, sup) = (app.organisation("H57"), app.supervisor());
    let lan = app.agent("lan", &["technology"]);
    let mai = app.agent("mai", &["technology", "security"]);
    let newcomer = app.agent("moi", &[]);
    file_with(&hue, "topic", json!("NGSP"));
    let second = file_with(&hue, "topic", json!("SUCO"));
    assert_eq!(list(&lan, ""), [1]);
    assert_eq!(list(&mai, ""), [2, 1]);
    assert_eq!(list(&newcomer, ""), [0_u32; 0]);
    assert_eq!(list(&lan, "queue=security"), [0_u32; 0]);
    // What a supervisor gives them is theirs, whatever queue holds it.
    sup.post(
        &format!("{}/assign", path_of(&second)),
        &json!({ "assignee": "lan@centre.example" }),
    )
    .expect(200);
    assert_eq!(list(&lan, ""), [2, 1]);
    assert_eq!(list(&lan, "assignee=me"), [2]);
    let auditor = app.auditor();
    assert_eq!(list(&auditor, ""), [2, 1]);
}

#[test]
fn the_status_page_shows_the_newest_messages_and_says_that_there_are_earlier_ones() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    let ticket = file(&hue);
    let link = ticket["status_link"].as_str().unwrap();
    let link = link.trim_start_matches("https://giaidap.example");
    let messages = format!("/api/v1/tickets/{}/messages", ticket["number"].as_str().unwrap());
    let say = |number: usize| {
        hue.post(&messages, &json!({ "body": format!("Bổ sung số {number}.") }))
            .expect(201);
    };
    for number in 1..=200 {
        say(number);
    }
    let all = app.anonymous().get(link).expect(200).text;
    let left_out = "các trao đổi trước đó không hiển thị";
    assert!(all.contains("Bổ sung số 1.") && !all.contains(left_out), "{all}");
    say(201);
    let page = app.anonymous().get(link).expect(200).text;
    assert!(
        page.contains(left_out) && !page.contains("Bổ sung số 1."),
        "{page}"
    );
    let place = |number: usize| page.find(&format!("Bổ sung số {number}.")).unwrap();
    assert!(place(2) < place(3) && place(3) < place(200) && place(200) < place(201));
}

#[test]
fn a_topic_and_a_queue_are_sent_once_to_who_keeps_their_tag() {
    let app = TestApp::start();
    let hue = app.organisation("H57");
    for path in ["/api/v1/topics/NGSP", "/api/v1/queues/technology"] {
        let first = hue.get(path).expect(200);
        let tag = first.header("etag").unwrap().to_owned();
        assert_eq!(hue.with("If-None-Match", &tag).get(path).expect(304).text, "");
        hue.with("If-None-Match", "\"other\"").get(path).expect(200);
        app.sql("UPDATE topics SET name_en = name_en || '!', version = version + 1");
        app.sql("UPDATE queues SET name_en = name_en || '!'");
        let changed = hue.with("If-None-Match", &tag).get(path).expect(200);
        assert_ne!(changed.header("etag"), Some(tag.as_str()));
    }
}
