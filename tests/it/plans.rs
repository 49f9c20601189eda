//! The statements that the application really runs, recorded while it answers requests on 100,000 tickets, and the plan
//! that the database makes for each: an index serves it, no large table is read from end to end, none is sorted.
//!
//! Recorded by Diesel's own hook with their values, and explained with these in place, as both databases see them when
//! they run (SQLite plans again with the values bound, PostgreSQL makes a plan of its own for them).
use std::collections::BTreeMap;
use std::sync::Mutex;

use diesel::connection::{
    Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation,
};
use diesel::prelude::*;
use diesel::sql_types::Text;
use giaidap::store::Db;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::database::Backend;
use crate::support::desk::agreement;
use crate::support::{Client, TestApp, file};

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
/// Rows that may be sorted for one page: those of one organisation or agent, not those of the house.
const SORTABLE: f64 = 5_000.0;

/// Ends the name of a request for a further page.
const NEXT_PAGE: &str = ", next page";

static RECORDED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Keeps what runs on one connection, with the database that it is connected to.
#[derive(Default)]
struct Recorder {
    url: String,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => self.url = url.to_owned(),
            InstrumentationEvent::StartQuery { query, .. } => {
                RECORDED
                    .lock()
                    .unwrap()
                    .push((self.url.clone(), query.to_string()));
            }
            _ => {}
        }
    }
}

/// 100,000 tickets like the one that was filed, over a year of all states, with two clocks, an event, a message and a
/// mail each; some warnings, closings, status updates and mails are due. Agreements of many years.
fn seed(app: &TestApp) {
    let sqlite = app.database.backend == Backend::Sqlite;
    let pick = |on_sqlite: &str, on_postgres: &str| if sqlite { on_sqlite } else { on_postgres }.to_owned();
    let series = pick(
        "(WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < 100000) SELECT n FROM s) AS s",
        "generate_series(2, 100000) AS s(n)",
    );
    let uid = |kind: u8, number: &str| match sqlite {
        true => format!("printf('00000000-000{kind}-7000-8000-%012d', {number})"),
        false => format!("('00000000-000{kind}-7000-8000-' || lpad(({number})::text, 12, '0'))::uuid"),
    };
    let at = |minutes: &str| match sqlite {
        true => {
            format!("strftime('%Y-%m-%dT%H:%M:00.000000Z', '2019-01-01', '+' || ({minutes}) || ' minutes')")
        }
        false => format!("timestamptz '2019-01-01Z' + ({minutes}) * interval '1 minute'"),
    };
    // Every 5 minutes; from 10 December on, something is due in 10 rows of 100,000.
    let filed = at("n * 5");
    let soon = at("500000 + n");
    let day = pick("date('1850-01-01', '+' || n || ' days')", "date '1850-01-01' + n");
    let number = pick("printf('GD-2018-%06d', n)", "'GD-2018-' || lpad(n::text, 6, '0')");
    let statements = [
        format!(
            "INSERT INTO tickets (id, uid, number, link_token, subject, body, state, priority, channel, \
             organisation_id, requester_id, queue_id, topic_id, assignee_id, external_ref, tags, custom_fields, \
             policy_version_id, urgency_at, breached, filed_at, updated_at, closes_at, status_update_at, status_updates, version) \
             SELECT n, {}, {number}, 'link-' || n, subject, body, \
             CASE WHEN n % 20 = 0 THEN 'queued' WHEN n % 20 = 1 THEN 'assigned' WHEN n % 20 = 2 THEN 'waiting' \
             WHEN n % 20 < 5 THEN 'resolved' ELSE 'closed' END, 1 + n % 4, channel, 1 + n % 120, requester_id, \
             1 + n % 5, topic_id, CASE WHEN n % 20 = 0 THEN NULL ELSE 1 + n % 40 END, 'ref-' || n, tags, \
             custom_fields, policy_version_id, {soon}, n % 50 = 0, {filed}, {filed}, \
             CASE WHEN n % 20 IN (3, 4) THEN {soon} END, CASE WHEN n % 100 = 0 THEN {soon} END, 0, 1 FROM tickets, {series} WHERE id = 1",
            uid(1, "n")
        ),
        format!(
            "INSERT INTO clocks (ticket_id, target, cycle, amount, calendar_version_id, policy_version_id, state, \
             started_at, segment_from, segment_running, segment_reason, due_at, remaining_seconds, consumed_seconds, \
             warned_percent, next_notice_at) SELECT n, target, 1, amount, calendar_version_id, policy_version_id, state, {filed}, \
             {filed}, segment_running, segment_reason, {soon}, remaining_seconds, consumed_seconds, 0, \
             CASE WHEN n % 20 < 2 THEN {soon} END FROM clocks, {series} WHERE ticket_id = 1"
        ),
        format!(
            "INSERT INTO ticket_events (uid, ticket_id, kind, internal, actor_kind, actor_name, data, at) \
             SELECT {}, n, kind, internal, actor_kind, actor_name, data, {filed} FROM ticket_events, {series} \
             WHERE ticket_id = 1",
            uid(2, "n")
        ),
        format!(
            "INSERT INTO messages (uid, ticket_id, internal, author_kind, author_name, body, created_at) \
             SELECT {}, n, n % 3 = 0, 'system', 'x', 'x', {filed} FROM {series}",
            uid(3, "n")
        ),
        format!(
            "INSERT INTO deliveries (uid, ticket_id, dedupe_key, channel, kind, recipient, recipient_name, language, \
             payload, message_id, thread_id, state, attempts, next_attempt_at, created_at) \
             SELECT {}, n, 'key-' || n, channel, kind, recipient, recipient_name, language, payload, message_id, \
             thread_id, CASE WHEN n % 100 = 0 THEN 'pending' WHEN n % 100 = 1 THEN 'dead' ELSE 'sent' END, 1, \
             CASE WHEN n % 100 = 0 THEN {soon} END, {filed} FROM deliveries, {series} WHERE ticket_id = 1",
            uid(4, "n")
        ),
        "INSERT INTO clock_segments (clock_id, from_at, to_at, running, reason, queue_id, calendar_version_id, carried) \
             SELECT id, started_at, started_at, true, 'filed', 1, calendar_version_id, false FROM clocks \
             WHERE ticket_id > 1"
            .to_owned(),
        format!(
            "INSERT INTO agreements (uid, organisation_id, name_vi, name_en, targets, valid_from, valid_to, author, \
             created_at, updated_at, version) SELECT {}, 1 + n % 120, 'x', 'x', targets, {day}, {day}, 'x', {filed}, \
             {filed}, 1 FROM agreements, {series} WHERE id = 1 AND n <= 50000",
            uid(5, "n")
        ),
        format!(
            "INSERT INTO idempotency_records (owner_kind, owner_id, key, request_hash, status, headers, body, created_at) \
             SELECT 'client', 1, 'key-' || n, 'x', 201, '[]', '', {soon} FROM {series} WHERE n % 5 = 0"
        ),
    ];
    // Every text has `chung` and `thuong`, a hundred have `hiem`; half of them one tag, fifty another.
    let mark = |tag: &str| {
        let digest = Sha256::digest(format!("{tag}\0").as_bytes());
        digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let texts = pick(
        "INSERT INTO ticket_texts (rowid, words) SELECT n, 'chung thuong' || CASE WHEN n % 1000 = 0 THEN ' hiem' ELSE '' END \
         || CASE WHEN n % 2 = 0 THEN ' §tCOMMON' ELSE '' END || CASE WHEN n % 2000 = 0 THEN ' §tSELDOM' ELSE '' END \
         || ' §p' || topic_id || ' §o' || (1 + n % 120) || ' §r' || requester_id FROM tickets, SERIES WHERE id = 1",
        "INSERT INTO ticket_texts (ticket_id, words) SELECT n, ('''chung'':1 ''thuong'':2' || CASE WHEN n % 1000 = 0 \
         THEN ' ''hiem'':3' ELSE '' END || CASE WHEN n % 2 = 0 THEN ' ''§tCOMMON''' ELSE '' END || CASE WHEN n % 2000 = 0 \
         THEN ' ''§tSELDOM''' ELSE '' END || ' ''§p' || topic_id || ''' ''§o' || (1 + n % 120) || ''' ''§r' || requester_id \
         || '''')::tsvector FROM tickets, SERIES WHERE id = 1",
    );
    let texts = texts
        .replace("SERIES", &series)
        .replace("COMMON", &mark("common"))
        .replace("SELDOM", &mark("seldom"));
    let statements: Vec<String> = statements.into_iter().chain([texts]).collect();
    // Without the checks of foreign keys, which take longer than everything else: these rows name what exists, or what
    // no plan depends on.
    if sqlite {
        let mut conn = SqliteConnection::establish(&app.database.url).unwrap();
        let all = format!(
            "PRAGMA foreign_keys=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-400000; BEGIN IMMEDIATE; {}; COMMIT",
            statements.join("; ")
        );
        conn.batch_execute(&all).unwrap();
    } else {
        let mut conn = PgConnection::establish(&app.database.url).unwrap();
        let all = format!(
            "SET session_replication_role = replica; BEGIN; {}; COMMIT; \
             SELECT setval(pg_get_serial_sequence('tickets', 'id'), 100000); ANALYZE",
            statements.join("; ")
        );
        conn.batch_execute(&all).unwrap();
    }
}

/// A recorded statement with its values in their places.
fn with_values(recorded: &str, backend: Backend) -> String {
    let (sql, binds) = recorded.rsplit_once(" -- binds: ").unwrap();
    let values: Vec<String> = items(binds).iter().map(|item| literal(item, backend)).collect();
    let mut filled = String::new();
    let mut rest = sql;
    let mark = if backend == Backend::Sqlite { '?' } else { '$' };
    let mut next = 0;
    while let Some((before, after)) = rest.split_once(mark) {
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let position = after[..digits].parse().unwrap_or(next + 1);
        filled.push_str(before);
        filled.push_str(&values[position - 1]);
        next = position;
        rest = &after[digits..];
    }
    filled + rest
}

/// The members of a list as Rust prints it.
fn items(list: &str) -> Vec<String> {
    let inner = list
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
        .unwrap();
    let (mut items, mut item, mut depth, mut quoted, mut escaped) =
        (Vec::new(), String::new(), 0, false, false);
    for c in inner.chars() {
        match c {
            '"' if !escaped => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                items.push(std::mem::take(&mut item));
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        item.push(c);
    }
    items.push(item);
    items
        .iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

fn literal(item: &str, backend: Backend) -> String {
    let typed = |text: &str, kind: &str| match backend {
        Backend::Sqlite => format!("'{text}'"),
        Backend::Postgres => format!("'{text}'::{kind}"),
    };
    let inside = |name: &str| {
        item.strip_prefix(name)
            .and_then(|item| item.strip_prefix('(')?.strip_suffix(')'))
    };
    if let Some(inner) = inside("Some") {
        return literal(inner, backend);
    }
    if let Some(instant) = inside("Ts") {
        let instant = chrono::DateTime::parse_from_rfc3339(instant).unwrap();
        return typed(
            &instant.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            "timestamptz",
        );
    }
    if let Some(uid) = inside("Uid") {
        return typed(uid, "uuid");
    }
    match item.chars().next().unwrap() {
        '"' => {
            let text: String = serde_json::from_str(item).unwrap();
            format!("'{}'", text.replace('\'', "''"))
        }
        '[' => match items(item).as_slice() {
            [] => "ARRAY[]::bigint[]".to_owned(),
            members => {
                let members: Vec<_> = members.iter().map(|member| literal(member, backend)).collect();
                format!("ARRAY[{}]", members.join(", "))
            }
        },
        _ if item == "None" => "NULL".to_owned(),
        _ if chrono::NaiveDate::parse_from_str(item, "%Y-%m-%d").is_ok() => typed(item, "date"),
        c if c.is_ascii_uppercase() => format!("'{}'", item.to_lowercase()),
        _ => item.to_owned(),
    }
}

#[derive(QueryableByName)]
struct PostgresLine {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

#[derive(QueryableByName)]
struct SqliteLine {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn plan(conn: &mut Db, sql: &str) -> Vec<String> {
    let failed = |cause: diesel::result::Error| -> ! { panic!("{cause}: {sql}") };
    match conn {
        Db::Pg(pg) => diesel::sql_query(format!("EXPLAIN {sql}"))
            .load::<PostgresLine>(pg)
            .unwrap_or_else(|cause| failed(cause))
            .into_iter()
            .map(|row| row.line)
            .collect(),
        Db::Lite(lite) => diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}"))
            .load::<SqliteLine>(lite)
            .unwrap_or_else(|cause| failed(cause))
            .into_iter()
            .map(|row| row.detail)
            .collect(),
    }
}

/// What is wrong with a plan, if anything.
fn fault(what: &str, sql: &str, plan: &[String], backend: Backend) -> Option<String> {
    let is_large = |line: &str, before: &str| {
        let table = line
            .split(before)
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        table.is_some_and(|table| LARGE.contains(&table))
    };
    match backend {
        Backend::Postgres => plan.iter().find_map(|line| {
            if line.contains("Seq Scan on") && is_large(line, "Seq Scan on ") {
                return Some(format!("reads a whole table: {}", line.trim()));
            }
            let rows = line
                .split("rows=")
                .nth(1)?
                .split(' ')
                .next()?
                .parse::<f64>()
                .ok()?;
            let sorts = line
                .trim_start()
                .trim_start_matches("->")
                .trim_start()
                .starts_with("Sort ");
            (sorts && rows > SORTABLE).then(|| format!("sorts a large part: {}", line.trim()))
        }),
        Backend::Sqlite => {
            let by_key = LARGE
                .iter()
                .any(|table| sql.contains(&format!("ORDER BY `{table}`.`id` DESC LIMIT")));
            let whole = plan.iter().filter(|_| !by_key).find(|line| {
                line.starts_with("SCAN ") && is_large(line, "SCAN ") && !line.contains(" INDEX ")
            });
            if let Some(line) = whole {
                return Some(format!("reads a whole table: {line}"));
            }
            // SQLite tells no numbers: a sort is small where an equality with few rows comes first.
            let few = [
                "ticket_id=?",
                "rowid=?",
                "external_ref=?",
                "organisation_id=?",
                "assignee_id=?",
            ];
            let is_few = plan.iter().any(|line| {
                line.starts_with("SEARCH ")
                    && is_large(line, "SEARCH ")
                    && few.iter().any(|column| line.contains(column))
            });
            let sorts = plan
                .iter()
                .any(|line| line.contains("USE TEMP B-TREE FOR ORDER BY"));
            // The application counts, and lets a state or queue lead only where it has few tickets.
            let is_counted = what.contains("state=merged") || what.contains("queue=resources");
            (sorts && !is_few && !is_counted).then(|| "sorts what may be a large part".to_owned())
        }
    }
}

/// A further page that finds its first row by passing over all rows of the pages before.
fn walks_from_the_start(plan: &[String]) -> Option<String> {
    let mut lines = plan.iter().map(|line| line.trim()).peekable();
    while let Some(line) = lines.next() {
        let conditional = lines.peek().is_some_and(|next| next.starts_with("Index Cond:"));
        let on_postgres =
            line.contains("Index Scan") && LARGE.iter().any(|table| line.contains(&format!(" on {table} ")));
        let on_sqlite = LARGE.iter().any(|table| {
            line.starts_with(&format!("SCAN {table}")) && !line.contains(" VIRTUAL TABLE INDEX ")
        });
        if on_sqlite || (on_postgres && !conditional) {
            return Some(format!("walks past all earlier pages: {line}"));
        }
    }
    None
}

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
    let asker = sup
        .get("/api/v1/requesters?email=lan@hue.example")
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
