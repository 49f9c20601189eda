//! Receiving a file: looked at, written to the vault while it is digested, and made known in one transaction.
//!
//! The row (`uploading`) comes before the first byte, `stored` after the last. What is refused or breaks off is taken
//! away at once; what a killed process leaves, the sweep finds by its row.
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};

use super::db::{self, Attachment, AttachmentState, NewAttachment};
use super::sniff::{FileType, HEAD_BYTES, TextCheck, sniff};
use super::vault::{Vault, Writing};
use super::{clean_name, sweep};
use crate::config::Attachments;
use crate::error::{Error, FieldCode, Resource, Result};
use crate::idempotency::Owner;
use crate::store::{Db, Store, Ts, Uid};

/// How long a sender may pause, and take in all. Far below the hour after which the sweep takes an upload for dead.
const PIECE_PATIENCE: Duration = Duration::from_secs(20);
const WHOLE_PATIENCE: Duration = Duration::from_secs(600);

/// Who sends, and where it goes.
pub struct Reception<'a> {
    pub store: &'a Store,
    pub vault: &'a Vault,
    pub settings: &'a Attachments,
    pub owner: Owner,
    pub now: DateTime<Utc>,
}

/// A file whose bytes are safe; nobody knows of it before `make_known`.
#[derive(Debug, Clone)]
pub struct Received {
    pub uid: Uid,
    pub name: String,
    pub bytes: i64,
    pub sha256: String,
}

impl Reception<'_> {
    /// Receive a file of this name. On failure nothing is left of it.
    pub async fn receive(
        &self,
        name: &str,
        pieces: impl Stream<Item = Result<Bytes>> + Unpin,
    ) -> Result<Received> {
        match tokio::time::timeout(WHOLE_PATIENCE, self.take(name, pieces)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(too_slow(WHOLE_PATIENCE)),
        }
    }

    async fn take(
        &self,
        name: &str,
        mut pieces: impl Stream<Item = Result<Bytes>> + Unpin,
    ) -> Result<Received> {
        let name = clean_name(name);
        let head = read_head(&mut pieces, self.settings.max_bytes).await?;
        if head.is_empty() {
            return Err(Error::invalid_pointer("/file", FieldCode::TooShort { min: 1 }));
        }
        let found = sniff(&head, &name, &self.settings.types).map_err(Error::AttachmentType)?;
        let uid = Uid::new();
        self.announce(uid, &name, found).await?;
        let mut guard = Unfinished::new(self, uid);
        let written = self.write(uid, found, head, pieces).await;
        match written {
            Ok((bytes, sha256)) => {
                guard.disarm();
                Ok(Received {
                    uid,
                    name,
                    bytes,
                    sha256,
                })
            }
            Err(refused) => {
                guard.disarm();
                sweep::discard(self.store, self.vault, uid, self.now).await;
                Err(refused)
            }
        }
    }

    async fn announce(&self, uid: Uid, name: &str, found: FileType) -> Result<()> {
        let (name, owner, now) = (name.to_owned(), self.owner, Ts::from(self.now));
        let work = move |conn: &mut Db| {
            db::insert(
                conn,
                &NewAttachment {
                    uid,
                    state: AttachmentState::Uploading,
                    owner_kind: owner.kind,
                    owner_id: owner.id,
                    internal: false,
                    name: &name,
                    media_type: found.media_type,
                    bytes: 0,
                    sha256: "",
                    created_at: now,
                    updated_at: now,
                },
            )
        };
        self.store.write(work).await
    }

    /// All bytes into the vault; their number and digest.
    async fn write(
        &self,
        uid: Uid,
        found: FileType,
        head: Bytes,
        mut pieces: impl Stream<Item = Result<Bytes>> + Unpin,
    ) -> Result<(i64, String)> {
        let mut writing = self.vault.write(uid);
        let mut ledger = Ledger::new(found, self.settings.max_bytes);
        let poured = pour(&mut writing, &mut ledger, head, &mut pieces).await;
        match poured.and_then(|()| ledger.close()) {
            Ok(account) => {
                writing.finish().await?;
                Ok(account)
            }
            Err(refused) => {
                writing.abort().await;
                if matches!(refused, Error::BodyTooLarge { .. }) {
                    drain(&mut pieces).await;
                }
                Err(refused)
            }
        }
    }
}

/// Takes an upload away whose request is dropped in the middle: a time-out, a connection that is gone.
struct Unfinished {
    leftover: Option<(Store, Vault, Uid, DateTime<Utc>)>,
}

impl Unfinished {
    fn new(reception: &Reception<'_>, uid: Uid) -> Self {
        let (store, vault) = (reception.store.clone(), reception.vault.clone());
        Unfinished {
            leftover: Some((store, vault, uid, reception.now)),
        }
    }

    fn disarm(&mut self) {
        self.leftover = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some((store, vault, uid, now)) = self.leftover.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { sweep::discard(&store, &vault, uid, now).await });
        }
    }
}

/// What is counted, digested and checked of each piece.
struct Ledger {
    bytes: u64,
    most: u64,
    digest: Sha256,
    text: Option<TextCheck>,
}

impl Ledger {
    fn new(found: FileType, most: u64) -> Self {
        Ledger {
            bytes: 0,
            most,
            digest: Sha256::new(),
            text: found.is_text().then(TextCheck::default),
        }
    }

    fn enter(&mut self, piece: &[u8]) -> Result<()> {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > self.most {
            return Err(too_large(self.most));
        }
        if let Some(text) = &mut self.text {
            text.push(piece).map_err(Error::AttachmentType)?;
        }
        self.digest.update(piece);
        Ok(())
    }

    fn close(self) -> Result<(i64, String)> {
        if let Some(text) = &self.text {
            text.finish().map_err(Error::AttachmentType)?;
        }
        let bytes =
            i64::try_from(self.bytes).map_err(|cause| Error::internal("a file without end", cause))?;
        Ok((bytes, HEXLOWER.encode(&self.digest.finalize())))
    }
}

async fn pour(
    writing: &mut Writing,
    ledger: &mut Ledger,
    head: Bytes,
    pieces: &mut (impl Stream<Item = Result<Bytes>> + Unpin),
) -> Result<()> {
    ledger.enter(&head)?;
    writing.put(head).await?;
    while let Some(piece) = next(pieces).await? {
        ledger.enter(&piece)?;
        writing.put(piece).await?;
    }
    Ok(())
}

async fn read_head(pieces: &mut (impl Stream<Item = Result<Bytes>> + Unpin), most: u64) -> Result<Bytes> {
    let mut head = BytesMut::new();
    while head.len() < HEAD_BYTES {
        match next(pieces).await? {
            Some(piece) => head.extend_from_slice(&piece),
            None => break,
        }
    }
    match u64::try_from(head.len()) {
        Ok(length) if length <= most => Ok(head.freeze()),
        _ => {
            drain(pieces).await;
            Err(too_large(most))
        }
    }
}

async fn next(pieces: &mut (impl Stream<Item = Result<Bytes>> + Unpin)) -> Result<Option<Bytes>> {
    match tokio::time::timeout(PIECE_PATIENCE, pieces.next()).await {
        Ok(piece) => piece.transpose(),
        Err(_) => Err(too_slow(PIECE_PATIENCE)),
    }
}

/// Read and throw away some of what is too much, so that a client that still sends can read the refusal.
async fn drain(pieces: &mut (impl Stream<Item = Result<Bytes>> + Unpin)) {
    let mut left: usize = 32 << 20;
    while let Ok(Some(piece)) = next(pieces).await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

fn too_large(most: u64) -> Error {
    Error::BodyTooLarge {
        limit: usize::try_from(most).unwrap_or(usize::MAX),
    }
}

fn too_slow(patience: Duration) -> Error {
    Error::Malformed {
        reason: format!("the file took longer than {} s", patience.as_secs()),
    }
}

/// In the transaction that answers: from now on the sender may use it.
pub fn make_known(conn: &mut Db, received: &Received, now: DateTime<Utc>) -> Result<Attachment> {
    if !db::mark_stored(conn, received.uid, received.bytes, &received.sha256, now)? {
        return Err(Error::unavailable("an upload was given up", "its row was swept"));
    }
    db::find(conn, received.uid)?.ok_or(Error::NotFound(Resource::Attachment))
}
