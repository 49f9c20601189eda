//! The plan that a database makes for a statement, and what is wrong with it.
use diesel::prelude::*;
use diesel::sql_types::Text;
use giaidap::store::Db;

use super::LARGE;
use crate::support::database::Backend;

/// Rows that may be sorted for one page: those of one organisation or agent, not those of the house.
const SORTABLE: f64 = 5_000.0;

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

pub(super) fn plan(conn: &mut Db, sql: &str) -> Vec<String> {
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
pub(super) fn fault(what: &str, sql: &str, plan: &[String], backend: Backend) -> Option<String> {
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
pub(super) fn walks_from_the_start(plan: &[String]) -> Option<String> {
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
