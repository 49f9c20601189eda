//! The hot path: filing requests that wait together are filed together, one durable transaction for all, each answered
//! after the commit. What is handed over together is filed in its order. Where a statement of a batch fails, its requests
//! are filed one by one, so that none suffers from a neighbour; not where the database is away, or where the commit may
//! have gone through.
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::filing::{Filing, file_batch};
use crate::error::{Error, Result};
use crate::idempotency::Answer;
use crate::store::{Backend, Store};
use crate::tx::Desk;

/// Requests that may wait before new ones are refused with 503.
const BACKLOG: usize = 2048;

/// Questions that stay together and in their order, and whom to tell what became of them.
struct Run {
    filings: Vec<Filing>,
    teller: oneshot::Sender<Vec<Result<Answer>>>,
}

/// Who waits, in their order.
struct Line {
    runs: Receiver<Run>,
    /// The next one, which was too much for the last batch.
    held: Option<Run>,
}

#[derive(Clone)]
pub struct Intake {
    queue: SyncSender<Run>,
    filings_per_commit: usize,
}

impl Intake {
    /// One thread on SQLite, whose writer is alone; two on PostgreSQL, so that one prepares while the other commits.
    pub fn start(store: &Store, desk: &Arc<Desk>, filings_per_commit: usize) -> Result<Intake> {
        let (queue, runs) = sync_channel(BACKLOG);
        let waiting = Arc::new(Mutex::new(Line { runs, held: None }));
        let threads = match store.backend() {
            Backend::Sqlite => 1,
            Backend::Postgres => 2,
        };
        for number in 1..=threads {
            let (store, desk, waiting) = (store.clone(), Arc::clone(desk), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name(format!("intake-{number}"))
                .spawn(move || file_what_waits(&store, &desk, &waiting, filings_per_commit))
                .map_err(|cause| Error::internal("the intake cannot start", cause))?;
        }
        Ok(Intake {
            queue,
            filings_per_commit,
        })
    }

    /// File a question; answered after its commit.
    pub async fn file(&self, filing: Filing) -> Result<Answer> {
        let mut answers = self.file_together(vec![filing]).await?;
        answers.pop().unwrap_or_else(|| Err(unanswered(0)))
    }

    /// File questions one after the other, as many at once as one commit takes; an answer for each.
    pub async fn file_in_order(&self, filings: Vec<Filing>) -> Vec<Result<Answer>> {
        let mut answers = Vec::with_capacity(filings.len());
        for run in filings.chunks(self.filings_per_commit.max(1)) {
            match self.file_together(run.to_vec()).await {
                Ok(of_run) => answers.extend(of_run),
                Err(error) => answers.extend(run.iter().map(|_| Err(error.clone()))),
            }
        }
        answers
    }

    async fn file_together(&self, filings: Vec<Filing>) -> Result<Vec<Result<Answer>>> {
        let (teller, told) = oneshot::channel();
        self.queue
            .try_send(Run { filings, teller })
            .map_err(|refused| match refused {
                TrySendError::Full(_) => {
                    Error::unavailable("too many questions are waiting", "the backlog is full")
                }
                TrySendError::Disconnected(_) => {
                    Error::unavailable("the intake has ended", "its thread is gone")
                }
            })?;
        told.await.map_err(Error::outcome_unknown)
    }
}

fn unanswered(at: usize) -> Error {
    Error::internal("a question was not answered", at)
}

fn file_what_waits(store: &Store, desk: &Arc<Desk>, waiting: &Mutex<Line>, at_most: usize) {
    while let Some(batch) = next_batch(waiting, at_most) {
        let (mut filings, mut tellers) = (Vec::new(), Vec::new());
        for run in batch {
            tellers.push((run.filings.len(), run.teller));
            filings.extend(run.filings);
        }
        let filings = Arc::new(filings);
        let answers = match file_together(store, desk, &filings, 0..filings.len()) {
            Ok(answers) => answers,
            Err(error) if filings.len() == 1 || !error.is_worth_repeating_alone() => {
                filings.iter().map(|_| Err(error.clone())).collect()
            }
            Err(error) => {
                tracing::debug!(error = %error.log_text(), "a batch failed; filing one by one");
                (0..filings.len())
                    .map(|at| file_alone(store, desk, &filings, at))
                    .collect()
            }
        };
        let mut answers = answers.into_iter();
        for (count, teller) in tellers {
            // The caller may have gone away; the tickets stand all the same.
            let _ = teller.send(answers.by_ref().take(count).collect());
        }
    }
}

/// `None` once nobody can ask any more.
fn next_batch(waiting: &Mutex<Line>, at_most: usize) -> Option<Vec<Run>> {
    let mut line = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let first = match line.held.take() {
        Some(held) => held,
        None => line.runs.recv().ok()?,
    };
    let mut count = first.filings.len();
    let mut batch = vec![first];
    while count < at_most {
        let Ok(next) = line.runs.try_recv() else { break };
        count += next.filings.len();
        if count > at_most {
            line.held = Some(next);
            break;
        }
        batch.push(next);
    }
    Some(batch)
}

fn file_alone(store: &Store, desk: &Arc<Desk>, filings: &Arc<Vec<Filing>>, at: usize) -> Result<Answer> {
    let mut answers = file_together(store, desk, filings, at..at.saturating_add(1))?;
    answers.pop().unwrap_or_else(|| Err(unanswered(at)))
}

fn file_together(
    store: &Store,
    desk: &Arc<Desk>,
    filings: &Arc<Vec<Filing>>,
    range: std::ops::Range<usize>,
) -> Result<Vec<Result<Answer>>> {
    let (desk, filings) = (Arc::clone(desk), Arc::clone(filings));
    store.write_blocking(move |conn| file_batch(conn, &desk, filings.get(range).unwrap_or_default()))
}
