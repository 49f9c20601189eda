//! Where the bytes of attachments lie: a folder, or a bucket of an S3-compatible store. Keys are made here from the
//! attachment's identity; nothing that a client sent is part of one.
//!
//! An object appears whole or not at all, and is durable when it is there. Writing keeps a few megabytes in memory,
//! whatever the size of the file.
use std::io::ErrorKind;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;

use crate::config::{AttachmentStore, Bucket};
use crate::error::{Error, Result};
use crate::store::Uid;

/// What is written at a time: the least that S3 takes as a part of an upload.
const PART_BYTES: usize = 5 << 20;

#[derive(Clone)]
pub struct Vault {
    store: Arc<dyn ObjectStore>,
    /// Of the folder; a bucket has none.
    folder: Option<PathBuf>,
    prefix: String,
}

/// An object that is being written; not there before `finish`.
pub struct Writing(BufWriter);

impl Vault {
    pub fn open(place: &AttachmentStore) -> anyhow::Result<Vault> {
        match place {
            AttachmentStore::Folder(folder) => {
                std::fs::create_dir_all(folder)?;
                let store = LocalFileSystem::new_with_prefix(folder)?.with_fsync(true);
                Ok(Vault {
                    store: Arc::new(store),
                    folder: Some(folder.clone()),
                    prefix: String::new(),
                })
            }
            AttachmentStore::S3(bucket) => Ok(Vault {
                store: open_bucket(bucket)?,
                folder: None,
                prefix: bucket.prefix.clone(),
            }),
        }
    }

    /// Spread over 256 folders by the identity's last, random digits; a folder of its own each, so that what an
    /// interrupted write left beside it goes with it.
    fn folder_of(uid: Uid) -> String {
        let digits = uid.0.simple().to_string();
        let spread = digits.get(30..).unwrap_or_default();
        format!("{spread}/{digits}")
    }

    fn key(&self, uid: Uid) -> Path {
        let folder = Vault::folder_of(uid);
        match self.prefix.as_str() {
            "" => Path::from(format!("{folder}/content")),
            prefix => Path::from(format!("{prefix}/{folder}/content")),
        }
    }

    pub fn write(&self, uid: Uid) -> Writing {
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), self.key(uid), PART_BYTES);
        Writing(writer.with_max_concurrency(1))
    }

    /// The bytes of an object of this size, whole or a part of them. `ContentMissing` where it is not as it was stored.
    pub async fn read(
        &self,
        uid: Uid,
        size: u64,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>> {
        let options = GetOptions {
            range: range.map(Into::into),
            ..GetOptions::default()
        };
        let found = match self.store.get_opts(&self.key(uid), options).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(missing(uid, "it is not there")),
            Err(cause) => return Err(away(cause)),
        };
        if found.meta.size != size {
            return Err(missing(uid, "it has another size"));
        }
        Ok(found.into_stream().boxed())
    }

    /// Take an object away, and what an interrupted write of it left. One that is not there is fine.
    pub async fn remove(&self, uid: Uid) -> Result<()> {
        match self.store.delete(&self.key(uid)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(cause) => return Err(away(cause)),
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let own = folder.join(Vault::folder_of(uid));
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(own))
            .await
            .map_err(away)?;
        match removed {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(away(cause)),
            _ => Ok(()),
        }
    }

    /// How many objects there are.
    pub async fn count(&self) -> Result<usize> {
        let prefix = (!self.prefix.is_empty()).then(|| Path::from(self.prefix.as_str()));
        let objects: Vec<_> = self
            .store
            .list(prefix.as_ref())
            .try_collect()
            .await
            .map_err(away)?;
        Ok(objects.len())
    }
}

impl Writing {
    pub async fn put(&mut self, piece: Bytes) -> Result<()> {
        self.0.put(piece).await.map_err(away)
    }

    pub async fn finish(mut self) -> Result<()> {
        self.0.shutdown().await.map_err(away)
    }

    /// Give the parts up that a bucket has taken already. What cannot be given up is the bucket's own rule's to clear.
    pub async fn abort(mut self) {
        if let Err(cause) = self.0.abort().await {
            tracing::debug!(%cause, "an upload could not be given up");
        }
    }
}

fn away(cause: impl std::fmt::Display) -> Error {
    Error::unavailable("the store of attachments is not ready", cause)
}

/// Somebody must hear of it: what was acknowledged is lost.
fn missing(uid: Uid, what: &str) -> Error {
    tracing::error!(attachment = %uid, what, "the content of an attachment is missing");
    Error::ContentMissing
}

#[cfg(feature = "s3")]
fn open_bucket(bucket: &Bucket) -> anyhow::Result<Arc<dyn ObjectStore>> {
    use object_store::ClientOptions;
    use object_store::aws::AmazonS3Builder;

    // The same cipher implementation as for mails; already installed is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&bucket.name)
        .with_region(&bucket.region);
    if let Some(key) = &bucket.credentials {
        builder = builder
            .with_access_key_id(&key.id)
            .with_secret_access_key(&key.secret);
    }
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint);
        if endpoint.starts_with("http://") {
            builder = builder.with_client_options(ClientOptions::new().with_allow_http(true));
        }
    }
    Ok(Arc::new(builder.build()?))
}

/// `config` refuses a bucket in such a build already.
#[cfg(not(feature = "s3"))]
fn open_bucket(bucket: &Bucket) -> anyhow::Result<Arc<dyn ObjectStore>> {
    anyhow::bail!("this build has no S3 for the bucket `{}`", bucket.name)
}
