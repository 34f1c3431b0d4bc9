//! The two tasks behind a history: one archives what was applied, the other
//! fetches from peers what the archive lacks.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::archive::{ArchiveError, RevisionSpan};
use super::shared::HistoryShared;
use crate::machine::Revision;

/// How long archiving waits after the archive reported an error.
pub(super) const ARCHIVE_RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// How long fetching waits after a first failure; the wait doubles with each
/// further one, up to [`FETCH_RETRY_MAX`].
const FETCH_RETRY_MIN: Duration = Duration::from_millis(50);
const FETCH_RETRY_MAX: Duration = Duration::from_secs(10);

/// Archives recent events for as long as the node runs.
pub(super) async fn archive_events(shared: Arc<HistoryShared>) {
    let mut durable = shared.archive.durable();
    loop {
        match shared.archive_batch().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(ArchiveError::Closed) => return,
            // The archive has logged it.
            Err(_) => {
                sleep(ARCHIVE_RETRY_INTERVAL).await;
                continue;
            }
        }
        tokio::select! {
            () = shared.changed.notified() => shared.gather().await,
            // An archive that was reopened may need events that it had before.
            changed = durable.changed() => if changed.is_err() { return },
        }
        let durable = *durable.borrow_and_update();
        shared.recent().evict(&shared.options, durable);
    }
}

/// Fetches what the archive lacks for as long as the node runs.
pub(super) async fn fill_holes(shared: Arc<HistoryShared>) {
    let mut hole = shared.archive.hole();
    let mut attempt = 0;
    loop {
        let Ok(found) = hole.wait_for(Option::is_some).await.map(|hole| *hole) else { return };
        let Some(found) = found else { continue };
        match fill_part(&shared, found, attempt).await {
            Ok(()) => attempt = 0,
            Err(error) => {
                tracing::debug!(attempt, %error, "fetching history failed");
                let wait = FETCH_RETRY_MIN.saturating_mul(1 << attempt.min(10));
                sleep(wait.min(FETCH_RETRY_MAX)).await;
                attempt += 1;
            }
        }
    }
}

/// Fetches and stores the upper end of a hole.
async fn fill_part(shared: &HistoryShared, hole: RevisionSpan, attempt: u32) -> Result<(), String> {
    let first = hole.last.0.saturating_sub(shared.options.fetch_events - 1);
    let span = RevisionSpan { first: hole.first.max(Revision(first)), last: hole.last };
    let fetched = timeout(shared.options.fetch, shared.source.fetch(span, attempt)).await;
    let run = fetched.map_err(|late| late.to_string())?.map_err(|error| error.to_string())?;
    match shared.archive.fill(run).await {
        Err(error @ ArchiveError::Refused(_)) => {
            tracing::warn!(first = span.first.0, last = span.last.0, %error, "fetched history");
            Err(error.to_string())
        }
        filled => filled.map_err(|error| error.to_string()),
    }
}
