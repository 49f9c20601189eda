//! How often a caller may ask, per process: a brake on loops that ran away and on guessing, not a quota to be sold.
//! Whoever proves who they are is counted as person or program, anybody else by address (IPv6 by /64, which is what one
//! household has). Memory is bounded: idle callers are forgotten, and beyond `MOST_ADDRESSES` strangers share counters.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::Clock as Pulse;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::config::Limits;
use crate::error::{Error, Result};
use crate::idempotency::Owner;
use crate::identity::Principal;

/// Addresses that are counted each by itself, at most.
const MOST_ADDRESSES: usize = 100_000;

/// After so many requests idle callers are forgotten, beside the regular sweep.
const SWEEP_EVERY: u32 = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    Person(i64),
    Program(i64),
    V4(u32),
    V6(u64),
    /// Addresses that share a counter while there are too many of them.
    Crowd(u8),
}

/// The application's clock, as the limiter reads it.
#[derive(Debug, Clone)]
struct Watch(Clock);

impl Pulse for Watch {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

type Limiter = RateLimiter<Caller, DashMapStateStore<Caller>, Watch, StateInformationMiddleware>;

/// The counters of this process.
pub struct Brakes {
    clock: Clock,
    owners_per_minute: u32,
    anonymous_per_minute: u32,
    /// By the permitted number: programs may have their own.
    owners: RwLock<BTreeMap<u32, Arc<Limiter>>>,
    strangers: Option<Limiter>,
    crowded: AtomicBool,
    asked: AtomicU32,
}

/// Where a caller stands after this request.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    limit: u32,
    remaining: u32,
    /// Until all of the limit is there again.
    reset_seconds: u64,
    /// Refused, and possible again after these.
    retry_after_seconds: Option<u64>,
}

impl Standing {
    pub fn verdict(&self) -> Result<()> {
        match self.retry_after_seconds {
            Some(retry_after_seconds) => Err(Error::TooManyRequests { retry_after_seconds }),
            None => Ok(()),
        }
    }

    /// The headers that draft-ietf-httpapi-ratelimit-headers-07 names, which clients read today; later drafts fold them
    /// into structured fields that hardly any client knows.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let limit = self.limit;
        let said = [
            ("ratelimit-limit", limit.to_string()),
            ("ratelimit-remaining", self.remaining.to_string()),
            ("ratelimit-reset", self.reset_seconds.to_string()),
            ("ratelimit-policy", format!("{limit};w=60")),
        ];
        for (name, value) in said {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

impl Brakes {
    pub fn new(limits: &Limits, clock: &Clock) -> Brakes {
        Brakes {
            clock: clock.clone(),
            owners_per_minute: limits.requests_per_minute,
            anonymous_per_minute: limits.anonymous_requests_per_minute,
            owners: RwLock::default(),
            strangers: limiter(limits.anonymous_requests_per_minute, clock),
            crowded: AtomicBool::new(false),
            asked: AtomicU32::new(0),
        }
    }

    /// Count a request of somebody known; `None` where nothing limits them.
    pub fn count(&self, principal: &Principal) -> Option<Standing> {
        let Owner { id, .. } = principal.owner()?;
        let (caller, own) = match principal.client() {
            Some(client) => (Caller::Program(id), client.requests_per_minute),
            None => (Caller::Person(id), None),
        };
        let permitted = own.and_then(|own| u32::try_from(own).ok());
        let permitted = permitted.unwrap_or(self.owners_per_minute);
        let limiter = self.limiter_of_owners(permitted)?;
        self.sweep_now_and_then();
        Some(self.ask(&limiter, permitted, &caller))
    }

    /// Count a request of nobody known, by its address.
    pub fn count_stranger(&self, address: IpAddr) -> Option<Standing> {
        let limiter = self.strangers.as_ref()?;
        self.sweep_now_and_then();
        let caller = match address {
            IpAddr::V4(address) => Caller::V4(address.to_bits()),
            IpAddr::V6(address) => Caller::V6(u64::try_from(address.to_bits() >> 64).unwrap_or(0)),
        };
        let caller = match self.crowded.load(Ordering::Relaxed) {
            true => Caller::Crowd(crowd(&caller)),
            false => caller,
        };
        Some(self.ask(limiter, self.anonymous_per_minute, &caller))
    }

    /// Forget who has not asked for a minute: their counters stand where a new one would begin.
    pub fn forget_idle(&self) {
        if let Some(strangers) = &self.strangers {
            strangers.retain_recent();
            strangers.shrink_to_fit();
            self.crowded
                .store(strangers.len() > MOST_ADDRESSES, Ordering::Relaxed);
        }
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        for limiter in owners.values() {
            limiter.retain_recent();
        }
        owners.retain(|_, limiter| !limiter.is_empty());
    }

    fn sweep_now_and_then(&self) {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.forget_idle();
        }
    }

    fn limiter_of_owners(&self, permitted: u32) -> Option<Arc<Limiter>> {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = owners.get(&permitted) {
            return Some(Arc::clone(known));
        }
        drop(owners);
        let fresh = Arc::new(limiter(permitted, &self.clock)?);
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(owners.entry(permitted).or_insert(fresh)))
    }

    fn ask(&self, limiter: &Limiter, limit: u32, caller: &Caller) -> Standing {
        let (remaining, retry_after_seconds) = match limiter.check_key(caller) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refused) => {
                let wait = refused.wait_time_from(Watch(self.clock.clone()).now());
                (0, Some(whole_seconds(wait).max(1)))
            }
        };
        let used = u64::from(limit.saturating_sub(remaining));
        Standing {
            limit,
            remaining,
            reset_seconds: (used * 60).div_ceil(u64::from(limit.max(1))),
            retry_after_seconds,
        }
    }
}

/// So many a minute, all of them at once where nothing was asked before; `None` for 0.
fn limiter(per_minute: u32, clock: &Clock) -> Option<Limiter> {
    let quota = Quota::per_minute(NonZeroU32::new(per_minute)?);
    let watch = Watch(clock.clone());
    Some(RateLimiter::new(quota, DashMapStateStore::default(), watch))
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn crowd(caller: &Caller) -> u8 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    caller.hash(&mut hasher);
    hasher.finish().to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brakes(anonymous: u32) -> (Brakes, Clock) {
        let clock = Clock::manual(chrono::DateTime::from_timestamp(1_574_415_000, 0).unwrap());
        let limits = Limits {
            requests_per_minute: 5,
            anonymous_requests_per_minute: anonymous,
            max_head_bytes: 0,
            max_address_bytes: 0,
            head_timeout_ms: 0,
            body_timeout_ms: 0,
            idle_timeout_ms: 0,
            connections_per_worker: 0,
            filings_per_commit: 0,
        };
        (Brakes::new(&limits, &clock), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_limit_is_a_burst_that_comes_back_evenly() {
        let (brakes, clock) = brakes(6);
        let here = address("192.0.2.1");
        for left in (0..6).rev() {
            let standing = brakes.count_stranger(here).unwrap();
            assert_eq!((standing.remaining, standing.verdict().is_ok()), (left, true));
        }
        let refused = brakes.count_stranger(here).unwrap();
        assert_eq!((refused.remaining, refused.retry_after_seconds), (0, Some(10)));
        assert_eq!(refused.reset_seconds, 60);
        assert!(
            brakes
                .count_stranger(address("192.0.2.2"))
                .unwrap()
                .verdict()
                .is_ok()
        );
        clock.set(clock.now() + chrono::Duration::seconds(10));
        assert!(brakes.count_stranger(here).unwrap().verdict().is_ok());
        assert!(brakes.count_stranger(here).unwrap().verdict().is_err());
        clock.set(clock.now() + chrono::Duration::seconds(60));
        assert_eq!(brakes.count_stranger(here).unwrap().remaining, 5);
    }

    #[test]
    fn the_addresses_of_one_household_are_one_caller() {
        let (brakes, _) = brakes(1);
        assert!(
            brakes
                .count_stranger(address("2001:db8:0:1::1"))
                .unwrap()
                .verdict()
                .is_ok()
        );
        assert!(
            brakes
                .count_stranger(address("2001:db8:0:1:ffff::2"))
                .unwrap()
                .verdict()
                .is_err()
        );
        assert!(
            brakes
                .count_stranger(address("2001:db8:0:2::1"))
                .unwrap()
                .verdict()
                .is_ok()
        );
    }

    #[test]
    fn the_idle_are_forgotten_and_too_many_strangers_share() {
        let (brakes, clock) = brakes(60);
        let strangers = |brakes: &Brakes| brakes.strangers.as_ref().unwrap().len();
        for n in 0..120_000_u32 {
            brakes.count_stranger(IpAddr::V4(n.into()));
        }
        let crowd = strangers(&brakes);
        assert!(
            (MOST_ADDRESSES..MOST_ADDRESSES + 2 * 4096 + 256).contains(&crowd),
            "{crowd}"
        );
        clock.set(clock.now() + chrono::Duration::minutes(2));
        brakes.forget_idle();
        assert_eq!(strangers(&brakes), 0);
        assert!(!brakes.crowded.load(Ordering::Relaxed));
    }

    #[test]
    fn nothing_limits_where_the_limit_is_off() {
        assert!(brakes(0).0.count_stranger(address("192.0.2.1")).is_none());
    }
}
