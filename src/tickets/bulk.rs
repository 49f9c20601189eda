//! Many requests in one: each by itself, or all or none.
//!
//! Each, in the order of the items: questions that stand together go through the intake, which batches them; everything
//! else runs in a short transaction of its own, so that no writer waits for the whole. All: one transaction, undone by the
//! first failure; its tickets are locked in the order of their keys, so that two such requests cannot lock each other out.
//! An item has its own idempotency key or none; here none is made up.
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::stream::{self, StreamExt};

use super::acts::Act;
use super::db;
use super::filing::{Filing, file_batch};
use super::intake::Intake;
use crate::error::{Error, Result};
use crate::idempotency::{self, Answer, Key};
use crate::identity::{Principal, standing};
use crate::store::{Backend, Db, Store};
use crate::tx::{Desk, Tx};

/// Items other than questions that wait for SQLite's writer at once; it takes them in their order, and commits them
/// together.
const ACTS_AT_ONCE: usize = 16;

/// One checked item.
#[derive(Clone)]
pub enum Item {
    File(Box<Filing>),
    Act(ToDo),
}

/// An act with its ticket.
#[derive(Clone)]
pub struct ToDo {
    pub ticket: String,
    /// The versions that the caller decided on.
    pub versions: Option<Vec<i64>>,
    pub act: Act,
    pub key: Option<Key>,
}

/// Carries out an act and shapes the answer, as the act's own route does.
pub type Doing = fn(&mut Tx<'_>, &str, Option<&[i64]>, &Act) -> Result<Answer>;

/// Who asks, when, and how an act is answered.
#[derive(Clone)]
pub struct Asker {
    pub principal: Arc<Principal>,
    pub now: DateTime<Utc>,
    pub desk: Arc<Desk>,
    pub doing: Doing,
}

impl Asker {
    fn carry_out(&self, conn: &mut Db, todo: &ToDo) -> Result<Answer> {
        let principal = standing::renew(conn, &self.principal)?;
        idempotency::once(conn, todo.key.as_ref(), self.now, |conn| {
            let mut tx = Tx {
                conn,
                principal: &principal,
                now: self.now,
                desk: &self.desk,
            };
            (self.doing)(&mut tx, &todo.ticket, todo.versions.as_deref(), &todo.act)
        })
    }
}

/// Every item by itself; an answer or a refusal for each, in their order. What is refused already stays so.
pub async fn each(
    store: &Store,
    intake: &Intake,
    asker: &Asker,
    items: Vec<Result<Item>>,
) -> Vec<Result<Answer>> {
    let mut answers = Vec::with_capacity(items.len());
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        let mut questions = Vec::new();
        while let Some(Ok(Item::File(filing))) = items.next_if(is_question) {
            questions.push(*filing);
        }
        answers.extend(intake.file_in_order(questions).await);
        let mut run = Vec::new();
        while let Some(item) = items.next_if(|item| !is_question(item)) {
            run.push(item);
        }
        let at_once = match store.backend() {
            Backend::Sqlite => ACTS_AT_ONCE,
            // Of two connections nobody knows which is first, and two items may be about one ticket.
            Backend::Postgres => 1,
        };
        let run = stream::iter(run).map(|item| alone(store, intake, asker, item));
        let mut answered = run.buffered(at_once);
        while let Some(answer) = answered.next().await {
            answers.push(answer);
        }
    }
    answers
}

fn is_question(item: &Result<Item>) -> bool {
    matches!(item, Ok(Item::File(_)))
}

async fn alone(store: &Store, intake: &Intake, asker: &Asker, item: Result<Item>) -> Result<Answer> {
    match item? {
        Item::File(filing) => intake.file(*filing).await,
        Item::Act(todo) => {
            let asker = asker.clone();
            store.write(move |conn| asker.carry_out(conn, &todo)).await
        }
    }
}

/// All items in the open transaction, in their order; or the first that fails, after which the transaction must not be
/// committed.
pub fn all(conn: &mut Db, asker: &Asker, items: &[Item]) -> std::result::Result<Vec<Answer>, (usize, Error)> {
    let unplaced = |error| (0, error);
    let keys: Vec<Key> = items.iter().filter_map(|item| item.key().cloned()).collect();
    idempotency::lock_keys(conn, &keys).map_err(unplaced)?;
    let tickets: Vec<&str> = items.iter().filter_map(Item::ticket).collect();
    db::lock_tickets_in_order(conn, &tickets).map_err(unplaced)?;
    let mut answers = Vec::with_capacity(items.len());
    for run in items.chunk_by(|one, other| one.ticket().is_none() && other.ticket().is_none()) {
        let first = answers.len();
        let filings: Vec<Filing> = run.iter().filter_map(Item::filing).cloned().collect();
        let filed = file_batch(conn, &asker.desk, &filings).map_err(|error| (first, error))?;
        for (position, answer) in (first..).zip(filed) {
            answers.push(answer.map_err(|error| (position, error))?);
        }
        for item in run {
            if let Item::Act(todo) = item {
                let position = answers.len();
                answers.push(asker.carry_out(conn, todo).map_err(|error| (position, error))?);
            }
        }
    }
    Ok(answers)
}

impl Item {
    pub fn key(&self) -> Option<&Key> {
        match self {
            Item::File(filing) => filing.key.as_ref(),
            Item::Act(todo) => todo.key.as_ref(),
        }
    }

    fn ticket(&self) -> Option<&str> {
        match self {
            Item::File(_) => None,
            Item::Act(todo) => Some(&todo.ticket),
        }
    }

    fn filing(&self) -> Option<&Filing> {
        match self {
            Item::File(filing) => Some(filing),
            Item::Act(_) => None,
        }
    }
}
