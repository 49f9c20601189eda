//! The loops that carry out what requests left behind: mails, warnings and breaches, status updates, closings,
//! old idempotency records, files that nobody needs, tickets whose
//! time is over.
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

/// How long each loop waits when there is nothing to do, and after an error.
const OUTBOX_INTERVAL: Duration = Duration::from_secs(1);
const NOTICES_INTERVAL: Duration = Duration::from_secs(5);
const STATUS_UPDATES_INTERVAL: Duration = Duration::from_secs(30);
const CLOSINGS_INTERVAL: Duration = Duration::from_secs(5);
const RECOUNT_INTERVAL: Duration = Duration::from_secs(2);
const ATTACHMENTS_INTERVAL: Duration = Duration::from_secs(60);
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// The running loops. Dropping this aborts them; the leases of what was being carried then run out by themselves.
pub struct Workers {
    loops: JoinSet<&'static str>,
    shutdown: CancellationToken,
}

impl Workers {
    /// Start every loop on the present async runtime.
    pub fn start(
        store: &Store,
        desk: &Arc<Desk>,
        clock: &Clock,
        carrier: &Carrier,
        vault: &Vault,
        shutdown: &CancellationToken,
    ) -> Workers {
        // A series that appears with its first failure hides that failure from `increase()`.
        for worker in [
            "outbox",
            "notices",
            "status_updates",
            "closings",
            "recount",
            "idempotency",
            "attachments",
            "retention",
        ] {
            metrics::counter!("giaidap_worker_failures_total", "worker" => worker).absolute(0);
        }
        for outcome in ["sent", "again", "dead"] {
            metrics::counter!("giaidap_deliveries_total", "outcome" => outcome).absolute(0);
        }
        let mut workers = Workers {
            loops: JoinSet::new(),
            shutdown: shutdown.clone(),
        };
        let (s, c, mails) = (store.clone(), clock.clone(), carrier.clone());
        workers.add("outbox", OUTBOX_INTERVAL, move || {
            let (s, c, mails) = (s.clone(), c.clone(), mails.clone());
            async move { mails.step(&s, &c, MAILS_AT_ONCE).await }
        });
        let (s, c, d) = (store.clone(), clock.clone(), Arc::clone(desk));
        workers.add("notices", NOTICES_INTERVAL, move || {
            let (s, d, now) = (s.clone(), Arc::clone(&d), c.now());
            async move { notice_step(&s, &d, now).await }
        });
        let (s, c, d) = (store.clone(), clock.clone(), Arc::clone(desk));
        workers.add("status_updates", STATUS_UPDATES_INTERVAL, move || {
            let (s, d, now) = (s.clone(), Arc::clone(&d), c.now());
            async move { status_update_step(&s, &d, now).await }
        });
        let (s, c, d) = (store.clone(), clock.clone(), Arc::clone(desk));
        workers.add("closings", CLOSINGS_INTERVAL, move || {
            let (s, d, now) = (s.clone(), Arc::clone(&d), c.now());
            async move { close_step(&s, &d, now).await }
        });
        let (s, c, d) = (store.clone(), clock.clone(), Arc::clone(desk));
        workers.add("recount", RECOUNT_INTERVAL, move || {
            let (s, d, now) = (s.clone(), Arc::clone(&d), c.now());
            async move { recount_step(&s, &d, now).await }
        });
        let (s, c) = (store.clone(), clock.clone());
        workers.add("idempotency", SWEEP_INTERVAL, move || {
            let (s, now) = (s.clone(), c.now());
            async move { s.write(move |conn| sweep(conn, now)).await }
        });
        let (s, c, v) = (store.clone(), clock.clone(), vault.clone());
        workers.add("attachments", ATTACHMENTS_INTERVAL, move || {
            let (s, v, now) = (s.clone(), v.clone(), c.now());
            async move { sweep_step(&s, &v, now).await }
        });
        let (s, c, d) = (store.clone(), clock.clone(), Arc::clone(desk));
        workers.add("retention", RETENTION_INTERVAL, move || {
            let (s, d, now) = (s.clone(), Arc::clone(&d), c.now());
            async move { retention_step(&s, &d, now).await }
        });
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

/// Do all that is to be done at the clock's present time: one worker's life in a call, for tests and the demo, which
/// turn the clock by hand.
pub async fn settle(
    store: &Store,
    desk: &Arc<Desk>,
    clock: &Clock,
    carrier: &Carrier,
    vault: &Vault,
) -> Result<()> {
    let now = clock.now();
    store.write(move |conn| sweep(conn, now)).await?;
    loop {
        let now = clock.now();
        let recounted = recount_step(store, desk, now).await?;
        let noticed = notice_step(store, desk, now).await?;
        let updated = status_update_step(store, desk, now).await?;
        let closed = close_step(store, desk, now).await?;
        let carried = carrier.step(store, clock, MAILS_AT_ONCE).await?;
        let anonymised = retention_step(store, desk, now).await?;
        let swept = sweep_step(store, vault, now).await?;
        if recounted + noticed + updated + closed + carried + anonymised + swept == 0 {
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
