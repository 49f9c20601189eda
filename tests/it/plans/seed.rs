//! A house of 100,000 tickets.
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use sha2::{Digest, Sha256};

use crate::support::TestApp;
use crate::support::database::Backend;
/// 100,000 tickets like the one that was filed, over a year of all states, with two clocks, an event, a message and a
/// mail each; some warnings, closings, status updates and mails are due. Agreements of many years.
pub(super) fn seed(app: &TestApp) {
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
