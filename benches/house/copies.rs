//! Many tickets in little time: the rows of one that was filed, copied by the database itself.
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};

use super::{Bench, Place};

/// What the copies are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Waiting in their queue, due in 2100.
    Open,
    /// Answered and closed: what a desk's history is made of.
    Closed,
}

/// What is said differently on the two databases, for the `n`-th copy.
struct Words {
    series: String,
    uid: &'static str,
    far: &'static str,
    never: &'static str,
    /// A minute earlier for each copy, so that a list by date has something to order.
    filed_at: &'static str,
}

impl Bench {
    /// Add `count` copies of the first ticket, whose own clocks and mails end.
    pub fn copy_first_ticket(&self, count: usize, copies: Copies) {
        let statements = statements(&self.words(count), copies).join("; ");
        let done = match &self.place {
            Place::Folder { .. } => SqliteConnection::establish(self.url.trim_start_matches("sqlite://"))
                .unwrap_or_else(|cause| panic!("{cause}"))
                .batch_execute(&format!(
                    "PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE; {statements}; COMMIT"
                )),
            Place::Schema { .. } => PgConnection::establish(&self.url)
                .unwrap_or_else(|cause| panic!("{cause}"))
                .batch_execute(&format!("{statements}; ANALYZE")),
        };
        done.unwrap_or_else(|cause| panic!("{cause}"));
    }

    fn words(&self, count: usize) -> Words {
        match self.place {
            Place::Folder { .. } => Words {
                series: format!(
                    "(WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n <= {count}) SELECT n FROM s) AS s"
                ),
                uid: "printf('00000000-0001-7000-8000-%012d', n)",
                far: "'2100-01-01T00:00:00.000000Z'",
                never: "'9999-12-31T00:00:00.000000Z'",
                filed_at: "strftime('%Y-%m-%dT%H:%M:%f000Z', filed_at, '-' || n || ' minutes')",
            },
            Place::Schema { .. } => Words {
                series: format!("generate_series(2, {count} + 1) AS s(n)"),
                uid: "('00000000-0001-7000-8000-' || lpad(n::text, 12, '0'))::uuid",
                far: "timestamptz '2100-01-01Z'",
                never: "timestamptz '9999-12-31Z'",
                filed_at: "filed_at - n * interval '1 minute'",
            },
        }
    }
}

fn statements(words: &Words, copies: Copies) -> Vec<String> {
    let Words {
        series,
        uid,
        far,
        never,
        filed_at,
    } = words;
    let (state, urgency) = match copies {
        Copies::Open => ("state", far),
        Copies::Closed => ("'closed'", never),
    };
    // A clock that has stopped has no open segment and no notice to come.
    let clock = match copies {
        Copies::Open => {
            format!("state, started_at, segment_from, segment_running, segment_reason, {far}, NULL, {far}")
        }
        Copies::Closed => {
            "'met', started_at, NULL, segment_running, segment_reason, due_at, started_at, NULL".into()
        }
    };
    vec![
        format!(
            "INSERT INTO tickets (id, uid, number, link_token, subject, body, state, priority, channel, \
             organisation_id, requester_id, queue_id, topic_id, external_ref, tags, custom_fields, \
             policy_version_id, urgency_at, breached, filed_at, updated_at, status_updates, version) \
             SELECT 1000000 + n, {uid}, 'X-' || n, 'link-' || n, subject, body, {state}, priority, channel, \
             organisation_id, requester_id, queue_id, topic_id, external_ref, tags, custom_fields, \
             policy_version_id, {urgency}, breached, {filed_at}, updated_at, 0, 1 FROM tickets, {series} WHERE id = 1"
        ),
        format!(
            "INSERT INTO clocks (ticket_id, target, cycle, amount, calendar_version_id, policy_version_id, state, \
             started_at, segment_from, segment_running, segment_reason, due_at, stopped_at, next_notice_at, \
             remaining_seconds, consumed_seconds, warned_percent) SELECT 1000000 + n, target, cycle, amount, \
             calendar_version_id, policy_version_id, {clock}, remaining_seconds, consumed_seconds, 0 \
             FROM clocks, {series} WHERE ticket_id = 1"
        ),
        "DELETE FROM deliveries".into(),
        "UPDATE clocks SET stopped_at = started_at, next_notice_at = NULL WHERE ticket_id = 1".into(),
    ]
}
