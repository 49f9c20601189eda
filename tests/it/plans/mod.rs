//! The statements that the application really runs, recorded while it answers requests on 100,000 tickets, and the plan
//! that the database makes for each: an index serves it, no large table is read from end to end, none is sorted.
//!
//! Recorded by Diesel's own hook with their values, and explained with these in place, as both databases see them when
//! they run (SQLite plans again with the values bound, PostgreSQL makes a plan of its own for them).
mod explained;
mod recorded;
mod seed;
mod statements;

use std::collections::BTreeMap;

use diesel::connection::set_default_instrumentation;
use serde_json::json;

use explained::{fault, plan, walks_from_the_start};
use recorded::{RECORDED, Recorder, with_values};
use seed::seed;

use crate::support::desk::agreement;
use crate::support::{Client, TestApp, file, question};

const CALENDAR: &str = "/api/v1/calendars/vn-government";

/// Tables that grow without end.
const LARGE: [&str; 9] = [
    "tickets",
    "ticket_texts",
    "clocks",
    "clock_segments",
    "agreements",
    "ticket_events",
    "messages",
    "deliveries",
    "idempotency_records",
];
/// Ends the name of a request for a further page.
const NEXT_PAGE: &str = ", next page";

/// Runs requests and keeps the plan of everything that they ask a large table.
struct Observer<'a> {
    app: &'a TestApp,
    faults: BTreeMap<String, String>,
    explained: usize,
}

impl Observer<'_> {
    fn watch<T>(&mut self, what: &str, request: impl FnOnce() -> T) -> T {
        RECORDED.lock().unwrap().clear();
        let began = std::time::Instant::now();
        let answer = request();
        if began.elapsed().as_millis() > 300 {
            println!("{what}: {:?}", began.elapsed());
        }
        let backend = self.app.database.backend;
        let place = self.app.database.url.trim_start_matches("sqlite://");
        let recorded = std::mem::take(&mut *RECORDED.lock().unwrap());
        let statements: Vec<String> = recorded
            .into_iter()
            .filter(|(url, sql)| url == place && sql.contains(" -- binds: "))
            .map(|(_, sql)| sql)
            .filter(|sql| {
                LARGE
                    .iter()
                    .any(|table| sql.replace('"', "`").contains(&format!("`{table}`")))
            })
            .filter(|sql| !sql.starts_with("INSERT"))
            .collect();
        for sql in statements {
            if sql.starts_with("UPDATE") {
                // By their key; their values are not read back.
                let key = sql.replace('"', "`");
                assert!(
                    key.contains("`.`id` = ") || key.contains("`.`id` IN (") || key.contains("(1=0)"),
                    "{sql}"
                );
                continue;
            }
            let filled = with_values(&sql, backend);
            let lines = self.app.read(move |conn| {
                let lines = plan(conn, &filled);
                Ok((filled, lines))
            });
            self.explained += 1;
            let walks = (what.ends_with(NEXT_PAGE) && sql.contains("LIMIT"))
                .then(|| walks_from_the_start(&lines.1))
                .flatten();
            if let Some(fault) = fault(what, &sql, &lines.1, backend).or(walks) {
                let shown = lines
                    .0
                    .split_once(" FROM ")
                    .map_or(lines.0.as_str(), |(_, rest)| rest);
                self.faults.insert(
                    format!("{what}: {fault}"),
                    format!("{shown}\n  {}", lines.1.join("\n  ")),
                );
            }
        }
        answer
    }

    /// A list and its next page.
    fn list(&mut self, client: &Client, path: &str) {
        let first = self.watch(path, || client.get(path).expect(200).body);
        if let Some(cursor) = first["next_cursor"].as_str() {
            let sign = if path.contains('?') { '&' } else { '?' };
            let next = format!("{path}{sign}cursor={cursor}");
            self.watch(&format!("{path}{NEXT_PAGE}"), || client.get(&next).expect(200));
        }
    }
}

#[test]
fn an_index_serves_every_question_on_a_hundred_thousand_tickets() {
    set_default_instrumentation(|| Some(Box::new(Recorder::default()))).unwrap();
    let app = TestApp::start();
    let (hue, lan) = (
        app.organisation("H57"),
        app.agent("lan", &["technology", "standing"]),
    );
    let (sup, admin) = (app.supervisor(), app.admin());
    let reaching = app.organisation("H26");
    app.sql("UPDATE organisations SET parent_id = (SELECT id FROM organisations WHERE code = 'H26') WHERE code IN ('H23', 'H50')");
    app.sql("UPDATE clients SET include_units = true WHERE organisation_id = (SELECT id FROM organisations WHERE code = 'H26')");
    let filed = file(&hue);
    // What is counted by an earlier version is little; the clocks of all that is seeded name the second one.
    let closed =
        json!({ "set_exceptions": [{ "date": "2020-03-02", "intervals": [] }], "reason": "x" }).to_string();
    admin
        .with("If-Match", "\"1\"")
        .send(
            "PATCH",
            CALENDAR,
            Some("application/json"),
            Some(closed.as_bytes()),
        )
        .expect(200);
    app.settle();
    let agreed = admin
        .post("/api/v1/agreements", &agreement("H26", "2030-01-01"))
        .expect(201)
        .body;
    let agreed = format!("/api/v1/agreements/{}", agreed["id"].as_str().unwrap());
    let started = std::time::Instant::now();
    seed(&app);
    println!("seeded in {:?}", started.elapsed());
    app.at("2019-12-14T08:30:00+07:00");
    let mut observer = Observer {
        app: &app,
        faults: BTreeMap::new(),
        explained: 0,
    };

    // No ticket of the seed is in this queue.
    app.sql(
        "UPDATE tickets SET queue_id = 1 WHERE queue_id = (SELECT id FROM queues WHERE code = 'resources')",
    );
    let sorts = ["filed_at", "due_at", "updated_at", "priority"];
    for sort in sorts
        .iter()
        .flat_map(|sort| [(*sort).to_owned(), format!("-{sort}")])
    {
        for client in [&sup, &lan, &hue] {
            observer.list(client, &format!("/api/v1/tickets?sort={sort}"));
        }
        observer.list(&sup, &format!("/api/v1/tickets?sort={sort}&organisation=H57"));
        observer.list(
            &sup,
            &format!("/api/v1/tickets?sort={sort}&state=queued,assigned"),
        );
        observer.list(&sup, &format!("/api/v1/tickets?sort={sort}&queue=technology"));
        observer.list(&lan, &format!("/api/v1/tickets?sort={sort}&assignee=me"));
        // Each order in one direction: the other walks the same index backwards.
        if !["-filed_at", "due_at", "-updated_at", "-priority"].contains(&sort.as_str()) {
            continue;
        }
        for filter in [
            "state=closed",
            "state=merged",
            "state=queued",
            "queue=resources",
            "queue=technology&state=closed&priority=high",
            "priority=urgent",
            "priority=urgent,low",
            "breached=true",
            "topic=NGSP",
            "topic=SUCO",
            "channel=api",
            "channel=email",
            "requester=lan@hue.example",
            "requester=nobody@hue.example",
            "tag=common",
            "tag=seldom",
            "tag=none",
            "q=chung",
            "q=hiem",
            "q=chung%20thuong&tag=seldom",
            "q=chung&queue=technology",
            "q=hiem&queue=technology&state=closed",
            "q=hiem&organisation=H57",
            "custom_field.a=b",
        ] {
            observer.list(&sup, &format!("/api/v1/tickets?sort={sort}&{filter}&limit=5"));
        }
        for filter in ["q=chung", "q=hiem", "tag=common&state=closed", "topic=NGSP"] {
            observer.list(&hue, &format!("/api/v1/tickets?sort={sort}&{filter}&limit=5"));
            observer.list(
                &reaching,
                &format!("/api/v1/tickets?sort={sort}&{filter}&limit=5"),
            );
        }
        observer.list(&reaching, &format!("/api/v1/tickets?sort={sort}"));
    }
    for filter in [
        "external_ref=ref-4711",
        "breached=true",
        "priority=urgent",
        "topic=NGSP",
        "assignee=none&state=queued",
        "filed_from=2019-06-01T00:00:00Z&filed_to=2019-07-01T00:00:00Z",
        "due_before=2019-12-14T00:00:00Z&sort=due_at",
    ] {
        observer.list(&sup, &format!("/api/v1/tickets?{filter}"));
    }
    let ticket = "/api/v1/tickets/00000000-0001-7000-8000-000000004711";
    let found = observer.watch("by id", || sup.get(ticket).expect(200).body);
    let by_number = format!("/api/v1/tickets/{}", found["number"].as_str().unwrap());
    observer.watch("by number", || sup.get(&by_number).expect(200));
    let link = filed["status_link"].as_str().unwrap();
    let page = link.strip_prefix("https://giaidap.example").unwrap();
    observer.watch("status page", || app.anonymous().get(page).expect(200));
    observer.list(&sup, &format!("{ticket}/events?limit=1"));
    observer.list(&sup, &format!("{ticket}/messages?limit=1"));
    observer.list(&sup, &format!("{ticket}/notes?limit=1"));
    observer.list(&sup, "/api/v1/queues/technology/agents?limit=1");
    observer.watch("next", || lan.call("/api/v1/queues/technology/next").expect(200));
    observer.watch("filing", || file(&hue.with("Idempotency-Key", "key-1")));
    for filter in ["", "?state=dead", "?state=pending", "?ticket=GD-2018-004711"] {
        observer.list(&admin, &format!("/api/v1/deliveries{filter}"));
    }
    for client in [&admin, &hue] {
        observer.list(client, "/api/v1/agreements?limit=20");
    }
    // Those of the whole house that are valid on a date are read from end to end: a house has a few hundred.
    observer.list(&hue, "/api/v1/agreements?active_on=2019-11-22");
    observer.list(&admin, "/api/v1/agreements?organisation=H57&limit=20");
    observer.watch("agreement", || admin.get(&agreed).expect(200));
    let other = agreement("H57", "2031-01-01");
    observer.watch("an agreement", || {
        admin.post("/api/v1/agreements", &other).expect(201)
    });
    let ending = json!({ "valid_to": "2030-06-30", "reason": "x" });
    observer.watch("its end", || {
        admin.post(&format!("{agreed}/end"), &ending).expect(200)
    });
    observer.list(&admin, &format!("{CALENDAR}/versions?limit=1"));
    observer.list(&admin, &format!("{CALENDAR}/exceptions?limit=1"));
    observer.watch("an earlier version", || {
        admin.get(&format!("{CALENDAR}/versions/1")).expect(200)
    });
    let minutes = json!({ "business_minutes": { "urgent": 30 } });
    let target = "/api/v1/queues/technology/operational-target";
    observer.watch("operational target", || admin.put(target, &minutes).expect(200));
    for what in ["sla", "sla/explanation"] {
        observer.watch(what, || sup.get(&format!("{ticket}/{what}")).expect(200));
    }
    let described = json!({ "organisation": "H57", "filed_at": "2019-12-14T08:30:00+07:00" });
    observer.watch("simulation", || {
        sup.post("/api/v1/sla/simulate", &described).expect(200)
    });
    for client in [&sup, &hue] {
        observer.list(client, "/api/v1/requesters?limit=1");
    }
    let ahead = json!({ "successor": "H27", "last_day": "2030-12-31", "preview": true });
    observer.watch("succession", || {
        admin
            .post("/api/v1/organisations/H26/succession", &ahead)
            .expect(200)
    });
    // The seed's questions are all of one person, whose tickets are best read from end to end.
    let mut of_another = question();
    of_another["requester"] = json!({ "name": "Minh", "email": "minh@hue.example" });
    hue.post("/api/v1/tickets", &of_another).expect(201);
    let asker = sup
        .get("/api/v1/requesters?email=minh@hue.example")
        .expect(200)
        .body;
    let asker = asker["items"][0]["id"].as_str().unwrap().to_owned();
    observer.watch("anonymising", || {
        let path = format!("/api/v1/requesters/{asker}/anonymise");
        sup.post(&path, &json!({ "reason": "x" })).expect(200)
    });
    observer.watch("workers", || app.settle());
    println!("{} statements explained", observer.explained);
    assert!(observer.explained > 60);
    for (what, plan) in &observer.faults {
        println!("{what}\n  {plan}\n");
    }
    assert!(observer.faults.is_empty(), "{:#?}", observer.faults.keys());
}
