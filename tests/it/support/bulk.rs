//! Many tickets at once, as one filed ticket is, by the database itself.
use super::TestApp;
use super::database::Backend;

/// Statements that make tickets 2 to `count` of ticket 1, with its clocks.
fn copies(backend: Backend, count: i64) -> Vec<String> {
    let sqlite = backend == Backend::Sqlite;
    let pick = |on_sqlite: &str, on_postgres: &str| if sqlite { on_sqlite } else { on_postgres }.to_owned();
    let series = match sqlite {
        true => format!(
            "(WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s) AS s"
        ),
        false => format!("generate_series(2, {count}) AS s(n)"),
    };
    let uid = pick(
        "printf('00000000-0001-7000-8000-%012d', n)",
        "('00000000-0001-7000-8000-' || lpad(n::text, 12, '0'))::uuid",
    );
    let number = pick("printf('GD-2018-%06d', n)", "'GD-2018-' || lpad(n::text, 6, '0')");
    let mut statements = vec![
        format!(
            "INSERT INTO tickets (id, uid, number, link_token, subject, body, state, priority, channel, \
             organisation_id, requester_id, queue_id, topic_id, tags, custom_fields, policy_version_id, urgency_at, \
             breached, filed_at, updated_at, status_updates, version) SELECT n, {uid}, {number}, 'link-' || n, subject, \
             body, state, priority, channel, organisation_id, requester_id, queue_id, topic_id, tags, custom_fields, \
             policy_version_id, urgency_at, breached, filed_at, updated_at, status_updates, version \
             FROM tickets, {series} WHERE id = 1"
        ),
        format!(
            "INSERT INTO clocks (ticket_id, target, cycle, amount, calendar_version_id, policy_version_id, state, \
             started_at, segment_from, segment_running, segment_reason, due_at, remaining_seconds, consumed_seconds, \
             warn_at, warned_percent, next_notice_at) SELECT n, target, cycle, amount, calendar_version_id, \
             policy_version_id, state, started_at, segment_from, segment_running, segment_reason, due_at, \
             remaining_seconds, consumed_seconds, warn_at, warned_percent, next_notice_at FROM clocks, {series} \
             WHERE ticket_id = 1"
        ),
    ];
    if !sqlite {
        statements.push(format!(
            "SELECT setval(pg_get_serial_sequence('tickets', 'id'), {count})"
        ));
    }
    statements
}

impl TestApp {
    /// Have `count` tickets in all, each like the only one that there is.
    pub fn multiply(&self, count: i64) {
        for statement in copies(self.database.backend, count) {
            self.sql(&statement);
        }
    }
}
