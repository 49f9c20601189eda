//! The hot path: filing requests that wait together are filed together, one durable transaction for all, each answered
//! after the commit. Where a statement of a batch fails, its requests are filed one by one, so that
//! none suffers from a neighbour; not where the database is away, or where the commit may have gone through.
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::filing::{Filing, file_batch};
use crate::error::{Error, Result};
use crate::idempotency::Answer;
use crate::store::{Backend, Store};
use crate::tx::Desk;

/// Questions that may wait before new ones are refused with 503.
const BACKLOG: usize = 2048;

/// Tells the caller what became of the question.
type Teller = oneshot::Sender<Result<Answer>>;
type Waiting = (Filing, Teller);

#[derive(Clone)]
pub struct Intake {
    queue: SyncSender<Waiting>,
}

impl Intake {
    /// One thread on SQLite, whose writer is alone; two on PostgreSQL, so that one prepares while the other commits.
    pub fn start(store: &Store, desk: &Arc<Desk>, filings_per_commit: usize) -> Result<Intake> {
        let (queue, waiting) = sync_channel(BACKLOG);
        let waiting = Arc::new(Mutex::new(waiting));
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
        Ok(Intake { queue })
    }

    /// File a question; answered after its commit.
    pub async fn file(&self, filing: Filing) -> Result<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.queue
            .try_send((filing, sender))
            .map_err(|refused| match refused {
                TrySendError::Full(_) => {
                    Error::unavailable("too many questions are waiting", "the backlog is full")
                }
                TrySendError::Disconnected(_) => {
                    Error::unavailable("the intake has ended", "its thread is gone")
                }
            })?;
        receiver.await.map_err(Error::outcome_unknown)?
    }
}

fn file_what_waits(store: &Store, desk: &Arc<Desk>, waiting: &Mutex<Receiver<Waiting>>, at_most: usize) {
    loop {
        let (filings, senders) = match next_batch(waiting, at_most) {
            Some(batch) => batch,
            None => return,
        };
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
        for (sender, answer) in senders.into_iter().zip(answers) {
            // The caller may have gone away; the ticket stands all the same.
            let _ = sender.send(answer);
        }
    }
}

fn next_batch(waiting: &Mutex<Receiver<Waiting>>, at_most: usize) -> Option<(Vec<Filing>, Vec<Teller>)> {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let mut batch = vec![waiting.recv().ok()?];
    while batch.len() < at_most {
        match waiting.try_recv() {
            Ok(next) => batch.push(next),
            Err(_) => break,
        }
    }
    Some(batch.into_iter().unzip())
}

fn file_alone(store: &Store, desk: &Arc<Desk>, filings: &Arc<Vec<Filing>>, at: usize) -> Result<Answer> {
    let mut answers = file_together(store, desk, filings, at..at.saturating_add(1))?;
    answers
        .pop()
        .unwrap_or_else(|| Err(Error::internal("a question was not answered", at)))
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
