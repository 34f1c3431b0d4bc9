//! Trying again while Redis is away for a moment: readers with a deadline, and the
//! pauses of the writer, which knows itself when it may try again.

use std::time::Duration;

use backon::{BackoffBuilder, ConstantBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::RedisFault;
use super::shared::RedisShared;
use crate::store::error::StoreError;

/// The pause between two attempts to read.
const READ_PAUSE: Duration = Duration::from_millis(50);

/// The first pause of a writer. It is about as long as another sidecar's commit
/// takes.
const WRITE_PAUSE_MIN: Duration = Duration::from_millis(1);

/// The longest pause of a writer. It is so short that a Redis which is back is soon
/// noticed.
const WRITE_PAUSE_MAX: Duration = Duration::from_millis(200);

/// Repeats `read` until it succeeds, or until `deadline`.
///
/// # Errors
/// Redis cannot be read before the deadline, refuses the read, or holds data that
/// is not ours.
pub async fn read_until<'a, T, F>(
    shared: &RedisShared,
    deadline: Instant,
    read: impl Fn() -> F,
) -> Result<T, StoreError>
where
    T: 'a,
    F: Future<Output = Result<T, RedisFault>> + Send + 'a,
{
    // Boxed, because the future that connects is large.
    let attempt = || -> BoxFuture<'a, Result<T, RedisFault>> { Box::pin(read()) };
    let reading = attempt
        .retry(ConstantBuilder::default().with_delay(READ_PAUSE).without_max_times())
        .when(RedisFault::is_temporary)
        .notify(|fault, _| shared.set_fault(fault));
    match timeout_at(deadline, reading).await {
        Ok(Ok(found)) => {
            shared.clear_fault();
            Ok(found)
        }
        Ok(Err(fault)) => Err(fault.unsent()),
        Err(_) => Err(StoreError::Unavailable(shared.why_late())),
    }
}

/// Pauses between the attempts of a writer, which grow from one to the next.
pub struct Pauses(ExponentialBackoff);

impl Pauses {
    pub fn new() -> Pauses {
        // The jitter keeps sidecars that have met once from meeting again.
        let pauses = ExponentialBuilder::default()
            .with_min_delay(WRITE_PAUSE_MIN)
            .with_max_delay(WRITE_PAUSE_MAX)
            .with_jitter()
            .without_max_times()
            .build();
        Pauses(pauses)
    }

    /// Sleeps for the next pause.
    pub async fn next(&mut self) {
        sleep(self.0.next().unwrap_or(WRITE_PAUSE_MAX)).await;
    }
}
