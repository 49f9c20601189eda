//! The index behind searches: an FTS5 table on SQLite, a `tsvector` with a GIN index on PostgreSQL. Each gets the words
//! that `search` made, not a text that it would take apart by rules of its own.
use std::fmt::Write as _;

use diesel::expression::{ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::sqlite::Sqlite;

use super::{Document, Needle, SIGN};
use crate::error::Result;
use crate::store::schema::messages;
use crate::store::{Db, MultiBackend};

/// So many tickets are fetched and sorted; of more, the index of the order is walked and each asked.
const RARE: i64 = 5_000;

impl Document {
    fn for_fts5(&self) -> String {
        let mut text = self.words.join(" ");
        for mark in &self.marks {
            text.push(' ');
            text.push_str(mark);
        }
        text
    }

    /// The text form of a `tsvector`: lexemes in quotes (none has one in it), each with its place. Marks have none.
    fn for_postgres(&self) -> String {
        let mut text = String::with_capacity(self.words.len() * 12);
        for (place, word) in (1..).zip(&self.words) {
            if !word.starts_with(SIGN) {
                let place: usize = place;
                let _ = write!(text, "'{word}':{place} ");
            }
        }
        for mark in &self.marks {
            let _ = write!(text, "'{mark}' ");
        }
        text
    }
}

/// Insert or replace what is indexed of these tickets.
pub fn store_documents(conn: &mut Db, documents: &[Document]) -> Result<()> {
    match conn {
        Db::Pg(pg) => {
            let (ids, words) = documents
                .iter()
                .map(|document| (document.ticket_id, document.for_postgres()))
                .unzip();
            StoreAll { ids, words }.execute(pg)?;
        }
        Db::Lite(lite) => {
            for document in documents {
                let row = StoreOne {
                    id: document.ticket_id,
                    words: document.for_fts5(),
                };
                row.execute(lite)?;
            }
        }
    }
    Ok(())
}

/// PostgreSQL: all in one statement. Written out because Diesel does not prepare literal SQL.
struct StoreAll {
    ids: Vec<i64>,
    words: Vec<String>,
}

impl QueryId for StoreAll {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<PgConnection> for StoreAll {}

impl QueryFragment<Pg> for StoreAll {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("INSERT INTO ticket_texts (ticket_id, words) SELECT id, words::tsvector FROM unnest(");
        out.push_bind_param::<Array<BigInt>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.words)?;
        out.push_sql(") AS given (id, words) ON CONFLICT (ticket_id) DO UPDATE SET words = excluded.words");
        Ok(())
    }
}

/// SQLite: FTS5 takes its rows one by one in any case.
struct StoreOne {
    id: i64,
    words: String,
}

impl QueryId for StoreOne {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<SqliteConnection> for StoreOne {}

impl QueryFragment<Sqlite> for StoreOne {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("INSERT OR REPLACE INTO ticket_texts (rowid, words) VALUES (");
        out.push_bind_param::<BigInt, _>(&self.id)?;
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(&self.words)?;
        out.push_sql(")");
        Ok(())
    }
}

/// The oldest public messages of a ticket, up to so many bytes and some.
pub fn list_public_texts(conn: &mut Db, ticket_id: i64, bytes: usize) -> Result<Vec<String>> {
    const AT_ONCE: i64 = 100;
    let (mut texts, mut after, mut length) = (Vec::new(), 0, 0);
    loop {
        let page: Vec<(i64, String)> = messages::table
            .filter(
                messages::ticket_id
                    .eq(ticket_id)
                    .and(messages::internal.eq(false)),
            )
            .filter(messages::id.gt(after))
            .order(messages::id)
            .limit(AT_ONCE)
            .select((messages::id, messages::body))
            .load(conn)?;
        let Some((last, _)) = page.last() else {
            return Ok(texts);
        };
        after = *last;
        for (_, text) in page {
            length += text.len();
            texts.push(text);
        }
        if length > bytes {
            return Ok(texts);
        }
    }
}

/// A question in the words of FTS5: everything in quotation marks, which no word has in it.
fn for_fts5(needles: &[Needle]) -> String {
    let one = |needle: &Needle| match needle {
        Needle::Word(word) => format!("\"{word}\""),
        Needle::Start(word) => format!("\"{word}\" *"),
        Needle::Phrase(words) => format!("\"{}\"", words.join(" ")),
        Needle::Mark(marks) => format!("(\"{}\")", marks.join("\" OR \"")),
    };
    needles.iter().map(one).collect::<Vec<_>>().join(" AND ")
}

/// The same as a `tsquery`, lexemes as they are.
fn for_postgres(needles: &[Needle]) -> String {
    let one = |needle: &Needle| match needle {
        Needle::Word(word) => format!("'{word}'"),
        Needle::Start(word) => format!("'{word}':*"),
        Needle::Phrase(words) => format!("('{}')", words.join("' <-> '")),
        Needle::Mark(marks) => format!("('{}')", marks.join("' | '")),
    };
    needles.iter().map(one).collect::<Vec<_>>().join(" & ")
}

/// The condition on `tickets` that a ticket has all the needles.
pub struct Found {
    /// Before and after the words.
    sql: (&'static str, &'static str),
    words: String,
}

impl Found {
    /// Its key is among those that the index gives: for what is rare.
    pub fn among_keys(conn: &Db, needles: &[Needle]) -> Found {
        match conn {
            Db::Pg(_) => Found {
                sql: (
                    "tickets.id IN (SELECT ticket_id FROM ticket_texts WHERE words @@ CAST(",
                    " AS tsquery))",
                ),
                words: for_postgres(needles),
            },
            Db::Lite(_) => Found {
                sql: (
                    "tickets.id IN (SELECT rowid FROM ticket_texts WHERE ticket_texts MATCH ",
                    ")",
                ),
                words: for_fts5(needles),
            },
        }
    }

    /// The index is asked for each ticket. PostgreSQL knows by its statistics which of both is better; SQLite is told.
    pub fn ticket_by_ticket(conn: &Db, needles: &[Needle]) -> Found {
        match conn {
            Db::Pg(_) => Found::among_keys(conn, needles),
            Db::Lite(_) => Found {
                sql: (
                    "EXISTS (SELECT 1 FROM ticket_texts WHERE ticket_texts.rowid = tickets.id AND ticket_texts MATCH ",
                    ")",
                ),
                words: for_fts5(needles),
            },
        }
    }
}

impl Expression for Found {
    type SqlType = Bool;
}

impl<Source> AppearsOnTable<Source> for Found {}

impl<Source> SelectableExpression<Source> for Found {}

impl ValidGrouping<()> for Found {
    type IsAggregate = is_aggregate::No;
}

impl QueryId for Found {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<MultiBackend> for Found {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql(self.sql.0);
        out.push_bind_param::<Text, _>(&self.words)?;
        out.push_sql(self.sql.1);
        Ok(())
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Have few tickets all the needles?
pub fn is_rare(conn: &mut Db, needles: &[Needle]) -> Result<bool> {
    let counted: Count = match conn {
        Db::Pg(pg) => diesel::sql_query(
            "SELECT count(*) AS count FROM (SELECT 1 FROM ticket_texts WHERE words @@ CAST($1 AS tsquery) LIMIT $2) AS found",
        )
        .bind::<Text, _>(for_postgres(needles))
        .bind::<BigInt, _>(RARE + 1)
        .get_result(pg)?,
        Db::Lite(lite) => diesel::sql_query(
            "SELECT count(*) AS count FROM (SELECT 1 FROM ticket_texts WHERE ticket_texts MATCH ? LIMIT ?)",
        )
        .bind::<Text, _>(for_fts5(needles))
        .bind::<BigInt, _>(RARE + 1)
        .get_result(lite)?,
    };
    Ok(counted.count <= RARE)
}
