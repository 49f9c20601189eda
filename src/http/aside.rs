//! Work that grows with what a caller sent, done beside the threads that serve connections: one large body must not keep
//! everybody else's answer waiting. The database's own work is put aside by `Store`, passwords by `identity::passwords`.
use crate::error::{Error, Result};

/// What is no larger is read within less time than a way to another thread and back is worth.
const SMALL_BYTES: usize = 4 << 10;

/// Do this on a thread that may be kept busy.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        work()
    })
    .await
    .map_err(|panicked| Error::internal("the reading of a request panicked", panicked))?
}

/// The same for what reads so many bytes, except where these are few.
pub async fn read<T: Send + 'static>(
    bytes: usize,
    reading: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match bytes <= SMALL_BYTES {
        true => reading(),
        false => run(reading).await,
    }
}
