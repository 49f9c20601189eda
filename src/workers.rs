//! The loops that carry out what requests left behind: mails, warnings and breaches, status updates, closings,
//! old idempotency records, files that nobody needs, tickets whose time is over.
//!
//! Dull by design: each runs a public step until it finds nothing to do, then waits for its interval or the shutdown.
//! An error is logged, counted and tried again; only a shutdown ends a loop. A loop that ends otherwise (it panicked)
//! makes [`Workers::watch`] return an error, with which the process ends rather than serve without its workers.
//! Several replicas may run all of them: each step claims or locks what it works on.
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::attachments::Vault;
use crate::attachments::sweep::sweep_step;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::idempotency;
use crate::identity;
use crate::notifications::carrier::Carrier;
use crate::store::{Db, Store};
use crate::tickets::notices::{close_step, notice_step, status_update_step};
use crate::tickets::recount::recount_step;
use crate::tickets::retention::retention_step;
use crate::tx::Desk;

/// Mails that are sent at the same time.
const MAILS_AT_ONCE: i64 = 8;

/// What one loop carries out, in the order in which one makes work for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Recount,
    Notices,
    StatusUpdates,
    Closings,
    Outbox,
    Retention,
    Attachments,
    Sweep,
}

impl Job {
    const ALL: [Job; 8] = [
        Job::Recount,
        Job::Notices,
        Job::StatusUpdates,
        Job::Closings,
        Job::Outbox,
        Job::Retention,
        Job::Attachments,
        Job::Sweep,
    ];

    /// In metrics and log lines.
    const fn name(self) -> &'static str {
        match self {
            Job::Recount => "recount",
            Job::Notices => "notices",
            Job::StatusUpdates => "status_updates",
            Job::Closings => "closings",
            Job::Outbox => "outbox",
            Job::Retention => "retention",
            Job::Attachments => "attachments",
            Job::Sweep => "idempotency",
        }
    }

    /// The wait when there is nothing to do, and after an error.
    const fn interval(self) -> Duration {
        Duration::from_secs(match self {
            Job::Outbox => 1,
            Job::Recount => 2,
            Job::Notices | Job::Closings => 5,
            Job::StatusUpdates => 30,
            Job::Attachments => 60,
            Job::Retention => 600,
            Job::Sweep => 3600,
        })
    }

    /// One step; how much it found to do.
    async fn step(self, hands: &Hands) -> Result<usize> {
        let Hands {
            store,
            desk,
            clock,
            carrier,
            vault,
        } = hands;
        let now = clock.now();
        match self {
            Job::Recount => recount_step(store, desk, now).await,
            Job::Notices => notice_step(store, desk, now).await,
            Job::StatusUpdates => status_update_step(store, desk, now).await,
            Job::Closings => close_step(store, desk, now).await,
            Job::Outbox => carrier.step(store, clock, MAILS_AT_ONCE).await,
            Job::Retention => retention_step(store, desk, now).await,
            Job::Attachments => sweep_step(store, vault, now).await,
            Job::Sweep => store.write(move |conn| sweep(conn, now)).await,
        }
    }
}

/// What the jobs work with.
#[derive(Clone)]
pub struct Hands {
    pub store: Store,
    pub desk: Arc<Desk>,
    pub clock: Clock,
    pub carrier: Carrier,
    pub vault: Vault,
}

/// The running loops. Dropping this aborts them; the leases of what was being carried then run out by themselves.
pub struct Workers {
    loops: JoinSet<&'static str>,
    shutdown: CancellationToken,
}

impl Workers {
    /// Start every loop on the present async runtime.
    pub fn start(hands: &Hands, shutdown: &CancellationToken) -> Workers {
        for outcome in ["sent", "again", "dead"] {
            metrics::counter!("giaidap_deliveries_total", "outcome" => outcome).absolute(0);
        }
        let mut workers = Workers {
            loops: JoinSet::new(),
            shutdown: shutdown.clone(),
        };
        for job in Job::ALL {
            // A series that appears with its first failure hides that failure from `increase()`.
            metrics::counter!("giaidap_worker_failures_total", "worker" => job.name()).absolute(0);
            let hands = hands.clone();
            workers.add(job.name(), job.interval(), move || {
                let hands = hands.clone();
                async move { job.step(&hands).await }
            });
        }
        workers
    }

    fn add<S, F>(&mut self, name: &'static str, interval: Duration, step: S)
    where
        S: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<usize>> + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        self.loops.spawn(async move {
            repeat(name, interval, &shutdown, step).await;
            name
        });
    }

    /// Returns `Ok` when every loop has ended after the shutdown, and an error as soon as one dies without it. May be
    /// dropped and called again. A loop ends after its present step, which a slow mail server can draw out: give the
    /// wait after a shutdown a limit.
    pub async fn watch(&mut self) -> Result<()> {
        while let Some(ended) = self.loops.join_next().await {
            match ended {
                Ok(_) if self.shutdown.is_cancelled() => {}
                Ok(name) => return Err(Error::internal("a worker ended by itself", name)),
                Err(panicked) => return Err(Error::internal("a worker panicked", panicked)),
            }
        }
        Ok(())
    }
}

async fn repeat<S, F>(name: &'static str, interval: Duration, shutdown: &CancellationToken, mut step: S)
where
    S: FnMut() -> F,
    F: Future<Output = Result<usize>>,
{
    while !shutdown.is_cancelled() {
        let pause = match step().await {
            Ok(0) => interval,
            Ok(_) => continue,
            Err(error) => {
                metrics::counter!("giaidap_worker_failures_total", "worker" => name).increment(1);
                tracing::error!(worker = name, error = %error.log_text(), "a worker's step failed");
                interval
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Forget what is kept for a time only: answers, failed logins, logins that were not finished, ended sessions.
fn sweep(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    let swept = idempotency::sweep_step(conn, now)?;
    let swept = swept + identity::lockout::sweep_step(conn, now)?;
    let swept = swept + identity::oidc::login::sweep_step(conn, now)?;
    Ok(swept + identity::credentials::sweep_step(conn, now)?)
}

/// Do all that is to be done at the clock's present time: every worker's life in a call, for tests and the demo, which
/// turn the clock by hand.
pub async fn settle(hands: &Hands) -> Result<()> {
    loop {
        let mut done = 0;
        for job in Job::ALL {
            done += job.step(hands).await?;
        }
        if done == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn idle_workers(shutdown: &CancellationToken) -> Workers {
        Workers {
            loops: JoinSet::new(),
            shutdown: shutdown.clone(),
        }
    }

    #[tokio::test]
    async fn a_loop_survives_errors_and_ends_with_the_shutdown() {
        let shutdown = CancellationToken::new();
        let mut workers = idle_workers(&shutdown);
        let steps = Arc::new(AtomicUsize::new(0));
        let (counted, stop) = (Arc::clone(&steps), shutdown.clone());
        workers.add("test", Duration::from_millis(1), move || {
            let step = counted.fetch_add(1, Ordering::SeqCst);
            if step == 5 {
                stop.cancel();
            }
            async move {
                match step {
                    0 => Err(Error::unavailable("the database is busy", "test")),
                    1 | 2 => Ok(3),
                    _ => Ok(0),
                }
            }
        });
        workers.watch().await.unwrap();
        assert_eq!(steps.load(Ordering::SeqCst), 6);
    }

    #[tokio::test]
    async fn a_loop_that_panics_is_noticed() {
        let shutdown = CancellationToken::new();
        let mut workers = idle_workers(&shutdown);
        workers.add("sound", Duration::from_secs(60), || async { Ok(0) });
        workers.add("broken", Duration::from_secs(60), || async { panic!("broken") });
        assert!(matches!(workers.watch().await, Err(Error::Internal { .. })));
        shutdown.cancel();
        workers.watch().await.unwrap();
    }
}
