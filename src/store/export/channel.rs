//! The channel of an export: parts on their way from a thread that reads them to
//! a caller that may be slow. It bounds how much is between the two, and it
//! reports a thread that ended early as an error instead of as the end.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::parts::Part;
use crate::store::error::StoreError;

/// A batch is sent when it has this many parts or about this many bytes: so
/// little that handling one does not occupy a caller's thread for long.
const BATCH_PARTS_MAX: usize = 1_000;
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// How many batches may wait for the caller.
const BATCHES_MAX: usize = 4;

/// The export ends if the caller receives nothing for this long: it has gone or
/// hangs, and an export that never ended would keep an old state alive.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// The sending end, for a thread that may block.
pub(in crate::store) struct PartSender {
    batch: Vec<Part>,
    bytes: usize,
    sender: mpsc::Sender<Sent>,
    runtime: Handle,
    stop: CancellationToken,
    receive_timeout: Duration,
}

enum Sent {
    Parts(Vec<Part>),
    Failed(StoreError),
    /// The last message. If it is missing, the thread died before the end.
    Whole,
}

/// The two ends of an export. When `stop` is cancelled, sending fails.
///
/// It must be called within a runtime, whose timer it uses.
pub(in crate::store) fn channel(
    stop: CancellationToken,
) -> (PartSender, BoxStream<'static, Result<Vec<Part>, StoreError>>) {
    let (sender, receiver) = mpsc::channel(BATCHES_MAX);
    let runtime = Handle::current();
    let receive_timeout = RECEIVE_TIMEOUT;
    let parts = PartSender { batch: Vec::new(), bytes: 0, sender, runtime, stop, receive_timeout };
    (parts, stream(receiver))
}

impl PartSender {
    /// Adds one part to the batch, and sends the batch if it is full.
    ///
    /// # Errors
    /// Nobody receives any longer: stop reading.
    pub(in crate::store) fn push(&mut self, part: Part) -> Result<(), StoreError> {
        self.bytes += part.bytes();
        self.batch.push(part);
        if self.batch.len() < BATCH_PARTS_MAX && self.bytes < BATCH_BYTES_MAX {
            return Ok(());
        }
        self.flush()
    }

    /// Ends the export the way that `read` has ended: whole or with an error.
    pub(in crate::store) fn end(mut self, read: Result<(), StoreError>) {
        let last = match read.and_then(|()| self.flush()) {
            Ok(()) => Sent::Whole,
            Err(error) => Sent::Failed(error),
        };
        // This fails if the caller has gone, and then nobody needs to know.
        let _ = self.send(last);
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Unavailable("the store is closing".into()));
        }
        self.bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.send(Sent::Parts(batch))
    }

    fn send(&self, sent: Sent) -> Result<(), StoreError> {
        let sending = self.stop.run_until_cancelled(self.sender.send(sent));
        let gone = |why: &str| StoreError::Unavailable(why.into());
        match self.runtime.block_on(async { timeout(self.receive_timeout, sending).await }) {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(_))) => Err(gone("nobody takes the export any longer")),
            Ok(None) => Err(gone("the store is closing")),
            Err(_) => Err(gone("the export was not taken for a minute")),
        }
    }
}

fn stream(receiver: mpsc::Receiver<Sent>) -> BoxStream<'static, Result<Vec<Part>, StoreError>> {
    let parts = stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Sent::Parts(parts)) => Some((Ok(parts), Some(receiver))),
            Some(Sent::Failed(error)) => Some((Err(error), None)),
            Some(Sent::Whole) => None,
            // The thread panicked, or gave up on a full channel.
            None => {
                let error = StoreError::Unavailable("the export was broken off".into());
                Some((Err(error), None))
            }
        }
    });
    parts.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::row::KeyRow;
    use crate::machine::{Json, Revision, Row};

    fn part() -> Part {
        let row = KeyRow { value: Json::new("1"), revision: Revision(1), expires_at: None };
        Part::Row(Row::Key("k".into(), row))
    }

    #[tokio::test]
    async fn a_thread_that_dies_is_an_error_and_not_the_end() {
        let (mut sender, mut parts) = channel(CancellationToken::new());
        let dying = tokio::task::spawn_blocking(move || {
            sender.push(part()).unwrap();
            sender.flush().unwrap();
            panic!("the test wants this thread to die");
        });
        assert_eq!(parts.next().await.unwrap().unwrap(), [part()]);
        assert!(matches!(parts.next().await, Some(Err(StoreError::Unavailable(_)))));
        assert!(parts.next().await.is_none());
        dying.await.unwrap_err();
    }

    #[tokio::test]
    async fn everything_that_was_pushed_comes_out_in_batches() {
        let (mut sender, parts) = channel(CancellationToken::new());
        tokio::task::spawn_blocking(move || {
            let pushed = (0..=BATCH_PARTS_MAX).try_for_each(|_| sender.push(part()));
            sender.end(pushed);
        });
        let sizes: Vec<usize> = parts.map(|parts| parts.unwrap().len()).collect().await;
        assert_eq!(sizes, [BATCH_PARTS_MAX, 1]);
    }

    #[tokio::test]
    async fn a_caller_that_receives_nothing_is_given_up() {
        let (mut sender, parts) = channel(CancellationToken::new());
        sender.receive_timeout = Duration::from_millis(10);
        let pushing = tokio::task::spawn_blocking(move || {
            let error = loop {
                if let Err(error) = sender.push(part()) {
                    break error;
                }
            };
            sender.end(Err(error.clone()));
            error
        });
        let error = pushing.await.unwrap();
        assert!(error.to_string().contains("a minute"), "{error}");
        assert!(parts.map(|parts| parts.is_err()).any(|error| async move { error }).await);
    }

    #[tokio::test]
    async fn a_store_that_closes_ends_the_export() {
        let stop = CancellationToken::new();
        let (mut sender, mut parts) = channel(stop.clone());
        stop.cancel();
        tokio::task::spawn_blocking(move || {
            let pushed = sender.push(part());
            sender.end(pushed);
        });
        assert!(matches!(parts.next().await, Some(Err(StoreError::Unavailable(_)))));
    }
}
