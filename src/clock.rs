//! The only caller of the system time. `Clock::manual` is turned by tests and by the demo.
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time, truncated to microseconds, which is what both databases keep.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    manual: Option<Arc<Manual>>,
}

#[derive(Debug)]
struct Manual {
    micros: AtomicI64,
    /// The latest that it has shown as time that passed, which goes on when the clock is turned back.
    furthest: AtomicI64,
    /// Once set, the clock follows the system (the demo goes on serving in the present).
    released: AtomicBool,
}

impl Clock {
    pub fn system() -> Self {
        Clock { manual: None }
    }

    /// A clock that stands still until it is set.
    pub fn manual(at: DateTime<Utc>) -> Self {
        let manual = Manual {
            micros: AtomicI64::new(at.timestamp_micros()),
            furthest: AtomicI64::new(at.timestamp_micros()),
            released: AtomicBool::new(false),
        };
        Clock {
            manual: Some(Arc::new(manual)),
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        match &self.manual {
            Some(manual) if !manual.released.load(Ordering::Acquire) => {
                let micros = manual.micros.load(Ordering::Acquire);
                DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
            }
            _ => system_now(),
        }
    }

    /// For measuring how much time passes: never goes back, not with the system clock, nor when a manual one is turned.
    pub fn elapsed(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        match &self.manual {
            Some(manual) => {
                let now = self.now().timestamp_micros();
                let furthest = manual.furthest.fetch_max(now, Ordering::AcqRel).max(now);
                Duration::from_micros(u64::try_from(furthest).unwrap_or(0))
            }
            None => START.get_or_init(Instant::now).elapsed(),
        }
    }

    /// Turn a manual clock; the system clock cannot be turned.
    pub fn set(&self, at: DateTime<Utc>) {
        if let Some(manual) = &self.manual {
            manual.micros.store(at.timestamp_micros(), Ordering::Release);
        }
    }

    /// Let a manual clock follow the system from now on.
    pub fn release(&self) {
        if let Some(manual) = &self.manual {
            manual.released.store(true, Ordering::Release);
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else asks"
)]
fn system_now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}
