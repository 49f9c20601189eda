//! When a failed delivery is tried again.
//!
//! Pure and deterministic: the same attempt of the same delivery always gets the same moment. The delays grow so
//! that a short fault is bridged within minutes and a server that is down over a weekend still gets its mail; after
//! the last one the delivery is dead and waits for a person.

use chrono::{DateTime, TimeDelta, Utc};

/// Delay after the first failure, the second, and so on: 30 s, 2 min, 10 min, 30 min, 2 h, 6 h, 12 h, 24 h.
const DELAYS_SECONDS: [i64; 8] = [30, 120, 600, 1_800, 7_200, 21_600, 43_200, 86_400];

/// Attempts that a delivery gets in all, the first one included.
pub const MAX_ATTEMPTS: u32 = 9;

/// The moment of the next attempt after `attempts` failed ones, or `None` when the delivery is dead.
///
/// The delay is moved by up to 10 % either way, so that the deliveries that failed together do not come back
/// together. `jitter_seed` identifies the delivery.
pub fn next_attempt(attempts: u32, now: DateTime<Utc>, jitter_seed: u64) -> Option<DateTime<Utc>> {
    let Some(failures_before_this) = attempts.checked_sub(1) else {
        return Some(now);
    };
    let delay_seconds = *DELAYS_SECONDS.get(usize::try_from(failures_before_this).ok()?)?;
    let permille = 900 + i64::try_from(scramble(jitter_seed ^ u64::from(attempts)) % 201).ok()?;
    now.checked_add_signed(TimeDelta::milliseconds(delay_seconds * permille))
}

/// SplitMix64 (Steele, Lea, Flood 2014): neighbouring seeds give unrelated values. Nothing secret depends on it.
fn scramble(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2019-11-22T09:30:00Z".parse().unwrap()
    }

    #[test]
    fn delays_grow_and_stay_within_a_tenth_of_the_plan() {
        for seed in 0..500 {
            let mut previous = TimeDelta::zero();
            for (attempts, planned) in (1..).zip(DELAYS_SECONDS) {
                let delay = next_attempt(attempts, now(), seed).unwrap() - now();
                assert!(delay >= TimeDelta::milliseconds(planned * 900));
                assert!(delay <= TimeDelta::milliseconds(planned * 1100));
                assert!(delay > previous);
                previous = delay;
            }
        }
    }

    #[test]
    fn a_delivery_is_dead_after_its_last_attempt() {
        assert!(next_attempt(MAX_ATTEMPTS - 1, now(), 7).is_some());
        assert_eq!(next_attempt(MAX_ATTEMPTS, now(), 7), None);
        assert_eq!(next_attempt(u32::MAX, now(), 7), None);
    }

    #[test]
    fn a_delivery_never_tried_is_due_at_once() {
        assert_eq!(next_attempt(0, now(), 7), Some(now()));
    }

    #[test]
    fn the_schedule_is_repeatable_and_spread_over_deliveries() {
        assert_eq!(next_attempt(3, now(), 42), next_attempt(3, now(), 42));
        let moments: std::collections::HashSet<_> =
            (0..100).map(|seed| next_attempt(3, now(), seed)).collect();
        assert!(moments.len() > 50, "{} distinct moments", moments.len());
    }
}
