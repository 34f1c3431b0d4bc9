//! Reading again: what a Redis that is gone for a moment does to one who only
//! reads.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::RedisFault;
use super::shared::RedisShared;
use crate::store::StoreError;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Reads, by `deadline`, however often it takes.
///
/// # Errors
/// Redis cannot be read by then, or refuses, or holds what is not ours.
pub async fn read_by<T, F>(
    shared: &RedisShared,
    deadline: Instant,
    read: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, RedisFault>> + Send,
{
    let reading = async {
        loop {
            // Boxed: what it takes to connect is a large future.
            let reading: BoxFuture<'_, _> = Box::pin(read());
            let fault = match reading.await {
                Ok(found) => {
                    shared.works();
                    return Ok(found);
                }
                Err(fault) => fault,
            };
            match fault {
                RedisFault::Unreached(_) | RedisFault::Gone(_) | RedisFault::NotNow(_) => {
                    shared.failed(&fault);
                    sleep(PAUSE).await;
                }
                RedisFault::Refused(_) | RedisFault::Damaged(_) => return Err(fault.unsent()),
            }
        }
    };
    match timeout_at(deadline, reading).await {
        Ok(read) => read,
        Err(_) => Err(StoreError::Unavailable(shared.why_late())),
    }
}
