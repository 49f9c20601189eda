//! Databases on the private PostgreSQL cluster of the test run, whose superuser URL is in `TEST_POSTGRES_URL`.
//!
//! The cluster outlives the tests, because the runner starts a process for each: `bin/test` starts and stops it,
//! `bin/postgres-for-tests` does so by hand. Making the template and copying it take turns under one advisory
//! lock, so that nobody copies what is half made; PostgreSQL refuses to copy a database that has sessions.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use uuid::Uuid;

use super::database::setting;

/// Any number will do, so long as all test processes take the same one.
const TEMPLATE_TURN: i64 = 0x6769_6169_6461_7000;

/// One database of the cluster; dropped with the value, and with it every session that a test left behind.
pub struct Database {
    cluster: String,
    name: String,
}

impl Database {
    pub fn create(template: &str, fingerprint: &str, migrate: &dyn Fn(&str)) -> Self {
        let cluster = setting("TEST_POSTGRES_URL").unwrap_or_else(|| {
            panic!(
                "TEST_POSTGRES_URL is not set: run bin/test, or `export TEST_POSTGRES_URL=$(bin/postgres-for-tests start)`"
            )
        });
        let mut admin = PgConnection::establish(&cluster)
            .unwrap_or_else(|error| panic!("no PostgreSQL at TEST_POSTGRES_URL ({error}): run bin/test"));
        // Ends with this session, also when the callback panics.
        diesel::sql_query(format!("SELECT pg_advisory_lock({TEMPLATE_TURN})"))
            .execute(&mut admin)
            .unwrap();
        let made = format!("template_{template}_{fingerprint}");
        if !exists(&mut admin, &made) {
            make_template(&mut admin, &cluster, template, &made, migrate);
        }
        let name = format!("t_{}", Uuid::new_v4().simple());
        statement(
            &mut admin,
            &format!(r#"CREATE DATABASE "{name}" TEMPLATE "{made}""#),
        );
        Self { cluster, name }
    }

    pub fn url(&self) -> String {
        url_of(&self.cluster, &self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = PgConnection::establish(&self.cluster)
            .map_err(|error| error.to_string())
            .and_then(|mut admin| {
                diesel::sql_query(format!(r#"DROP DATABASE "{}" WITH (FORCE)"#, self.name))
                    .execute(&mut admin)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = dropped {
            // A second panic would abort the process and hide the first.
            eprintln!("test database {} stays behind: {error}", self.name);
        }
    }
}

/// The template gets its name as the last step, so a callback that panics leaves none behind.
fn make_template(
    admin: &mut PgConnection,
    cluster: &str,
    template: &str,
    made: &str,
    migrate: &dyn Fn(&str),
) {
    // Templates of earlier builds, on a cluster that a developer keeps running.
    drop_templates(admin, template);
    let draft = format!("draft_{template}");
    statement(
        admin,
        &format!(r#"DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)"#),
    );
    statement(admin, &format!(r#"CREATE DATABASE "{draft}""#));
    migrate(&url_of(cluster, &draft));
    // A pool of the callback may still be closing its sessions.
    statement(
        admin,
        &format!(r#"ALTER DATABASE "{draft}" ALLOW_CONNECTIONS false"#),
    );
    diesel::sql_query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
        .bind::<Text, _>(&draft)
        .execute(admin)
        .unwrap();
    statement(admin, &format!(r#"ALTER DATABASE "{draft}" RENAME TO "{made}""#));
}

/// Of all builds.
pub fn drop_templates(admin: &mut PgConnection, template: &str) {
    for name in names_starting_with(admin, &format!("template_{template}_")) {
        statement(admin, &format!(r#"DROP DATABASE "{name}" WITH (FORCE)"#));
    }
}

fn statement(admin: &mut PgConnection, sql: &str) {
    diesel::sql_query(sql)
        .execute(admin)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[derive(QueryableByName)]
struct Presence {
    #[diesel(sql_type = Bool)]
    present: bool,
}

pub fn exists(admin: &mut PgConnection, name: &str) -> bool {
    diesel::sql_query("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1) AS present")
        .bind::<Text, _>(name)
        .get_result::<Presence>(admin)
        .unwrap()
        .present
}

#[derive(QueryableByName)]
struct DatabaseName {
    #[diesel(sql_type = Text)]
    name: String,
}

fn names_starting_with(admin: &mut PgConnection, prefix: &str) -> Vec<String> {
    diesel::sql_query("SELECT datname::text AS name FROM pg_database WHERE starts_with(datname::text, $1)")
        .bind::<Text, _>(prefix)
        .load::<DatabaseName>(admin)
        .unwrap()
        .into_iter()
        .map(|row| row.name)
        .collect()
}

/// The same cluster, another database.
pub fn url_of(cluster: &str, database: &str) -> String {
    let (address, query) = cluster
        .split_once('?')
        .map_or((cluster, None), |(a, q)| (a, Some(q)));
    let (scheme, rest) = address.split_once("://").expect("TEST_POSTGRES_URL is a URL");
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    format!("{scheme}://{authority}/{database}{query}")
}
