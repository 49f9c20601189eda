//! Taking files away: the row says `removing`, then the bytes go, then the row. Each step may be repeated, by any
//! replica, so an end in between costs nothing but another try.
use chrono::{DateTime, Duration, Utc};

use super::db;
use super::vault::Vault;
use crate::error::{Error, Result};
use crate::store::{Store, Uid};

/// After which an upload is dead; it may take ten minutes.
fn unfinished_after() -> Duration {
    Duration::hours(1)
}

/// After which a file that nobody used goes.
fn unused_after() -> Duration {
    Duration::hours(24)
}

/// Files that are removed in one step.
const BATCH: i64 = 50;

/// Worker's step: abandon what was never finished or never used, and remove what is to be removed.
pub async fn sweep_step(store: &Store, vault: &Vault, now: DateTime<Utc>) -> Result<usize> {
    let (unfinished, unused) = (now - unfinished_after(), now - unused_after());
    let abandoned = store
        .write(move |conn| db::mark_abandoned(conn, unfinished, unused, now))
        .await?;
    let removing = store.read(move |conn| db::list_removing(conn, BATCH)).await?;
    let (mut removed, mut failure) = (0, None);
    for uid in removing {
        match remove(store, vault, uid).await {
            Ok(()) => removed += 1,
            Err(error) => {
                store.write(move |conn| db::postpone(conn, uid, now)).await?;
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) if removed == 0 => Err(error),
        _ => Ok(abandoned + removed),
    }
}

async fn remove(store: &Store, vault: &Vault, uid: Uid) -> Result<()> {
    vault.remove(uid).await?;
    store.write(move |conn| db::delete_removed(conn, uid)).await?;
    Ok(())
}

/// Take away at once what nobody will use. Where that fails the sweep does it later.
pub async fn discard(store: &Store, vault: &Vault, uid: Uid, now: DateTime<Utc>) {
    let mark = store.write(move |conn| db::mark_removing(conn, uid, now)).await;
    let outcome = match mark {
        Ok(_) => remove(store, vault, uid).await,
        Err(error) => Err(error),
    };
    if let Err(error) = outcome {
        log_leftover(uid, &error);
    }
}

fn log_leftover(uid: Uid, error: &Error) {
    tracing::warn!(attachment = %uid, error = %error.log_text(), "a refused upload waits for the sweep");
}
