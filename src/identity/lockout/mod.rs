//! Guessing slows down (docs/decisions/0014): each attempt is counted before it is looked at, for the address of mail and
//! for the network that it comes from, so that many at once get no further than one after the other. Who was right takes
//! their count back. An address that belongs to nobody is counted like any other.
mod db;

use std::net::IpAddr;

use chrono::{DateTime, Duration, Utc};
use data_encoding::HEXLOWER;
use ipnet::{IpNet, Ipv6Net};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::store::{Db, Store};

/// Failures of one address of mail before it has to wait.
const OF_ACCOUNT: i64 = 5;
/// Failures from one network: an office may share one address.
const OF_NETWORK: i64 = 50;
/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::minutes(1);
const LONGEST_WAIT: Duration = Duration::hours(1);
/// After so long without another one, failures are forgotten.
const MEMORY: Duration = Duration::hours(24);

/// Whose failures are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    hash: String,
    free: i64,
}

impl Subject {
    fn network(address: IpAddr) -> Self {
        // A caller has a whole /64 (RFC 6177), so that a single IPv6 address says little.
        let network = match address {
            IpAddr::V6(v6) => Ipv6Net::new(v6, 64).map_or(IpNet::from(address), |net| IpNet::V6(net.trunc())),
            IpAddr::V4(_) => IpNet::from(address),
        };
        Subject {
            hash: hash(&format!("network {network}")),
            free: OF_NETWORK,
        }
    }

    fn account(email: &str) -> Self {
        Subject {
            hash: hash(&format!("account {}", email.trim().to_lowercase())),
            free: OF_ACCOUNT,
        }
    }

    fn wait_after(&self, failures: i64) -> Option<Duration> {
        let beyond = u32::try_from((failures - self.free).min(16)).ok()?;
        Some((FIRST_WAIT * (1 << beyond)).min(LONGEST_WAIT))
    }
}

fn hash(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

/// One attempt that has been counted as a failure, until it is known to be none.
#[derive(Debug, Clone)]
pub struct Attempt {
    network: Subject,
    account: Subject,
}

impl Attempt {
    /// Count an attempt, or refuse it unseen while its account or network has to wait.
    pub async fn begin(store: &Store, email: &str, from: IpAddr, now: DateTime<Utc>) -> Result<Attempt> {
        let attempt = Attempt {
            network: Subject::network(from),
            account: Subject::account(email),
        };
        let counted = attempt.clone();
        store
            .write(move |conn| {
                // In this order everywhere, so that two transactions never wait for each other.
                count(conn, &counted.network, now)?;
                count(conn, &counted.account, now)
            })
            .await?;
        Ok(attempt)
    }

    /// It was no failure.
    pub fn take_back(&self, conn: &mut Db) -> Result<()> {
        db::take_back(conn, &self.network.hash)?;
        db::take_back(conn, &self.account.hash)
    }

    /// It was no failure, and it was the person with all that they need: what failed before is forgotten.
    pub fn forgive(&self, conn: &mut Db) -> Result<()> {
        db::take_back(conn, &self.network.hash)?;
        db::clear(conn, &self.account.hash)
    }
}

fn count(conn: &mut Db, subject: &Subject, now: DateTime<Utc>) -> Result<()> {
    let known = db::lock(conn, &subject.hash, now)?;
    if let Some(until) = known.blocked_until.filter(|until| until.0 > now) {
        let millis = (until.0 - now).num_milliseconds();
        return Err(Error::TooManyAttempts {
            retry_after: u64::try_from(millis).unwrap_or_default().div_ceil(1000).max(1),
        });
    }
    let before = match now - known.last_at.0 < MEMORY {
        true => known.failures,
        false => 0,
    };
    let failures = before.saturating_add(1);
    db::set(
        conn,
        &subject.hash,
        failures,
        now,
        subject.wait_after(failures).map(|wait| now + wait),
    )
}

/// Forget what failed for this address of mail.
pub fn clear(conn: &mut Db, email: &str) -> Result<()> {
    db::clear(conn, &Subject::account(email).hash)
}

/// Worker's step: forget what is old.
pub fn sweep_step(conn: &mut Db, now: DateTime<Utc>) -> Result<usize> {
    db::delete_older_than(conn, now - MEMORY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_a_minute_to_an_hour() {
        let account = Subject::account("lan@centre.example");
        let minutes: Vec<Option<i64>> = [1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 100, i64::MAX]
            .into_iter()
            .map(|failures| account.wait_after(failures).map(|wait| wait.num_minutes()))
            .collect();
        let waits = [1, 2, 4, 8, 16, 32, 60, 60, 60].map(Some);
        assert_eq!(minutes[..2], [None, None]);
        assert_eq!(minutes[2..11], waits);
    }

    #[test]
    fn an_address_is_the_same_in_any_case_and_a_network_is_all_its_callers() {
        assert_eq!(
            Subject::account(" Lan@Centre.example"),
            Subject::account("lan@centre.example")
        );
        let network = |text: &str| Subject::network(text.parse().unwrap()).hash;
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}
