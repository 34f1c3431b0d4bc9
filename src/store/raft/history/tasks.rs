//! The two tasks behind a history: one feeds its archive with what was
//! applied, one fills what is missing there from peers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::archive::{ArchiveError, Run, Span, size_of};
use super::{FEED_AGAIN, HistoryShared};
use crate::machine::{Event, Revision};

/// Events and bytes that the archive is fed at once.
const FEED_EVENTS_MAX: usize = 256;
const FEED_BYTES_MAX: usize = 1 << 20;
/// After a failed fetch: at first this long, doubled each time, at most that.
const FETCH_AGAIN_MIN: Duration = Duration::from_millis(50);
const FETCH_AGAIN_MAX: Duration = Duration::from_secs(10);

/// Feeds the archive for as long as the node runs.
pub(super) async fn feed(shared: Arc<HistoryShared>) {
    let mut durable = shared.archive.durable();
    loop {
        match shared.feed_some().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(ArchiveError::Closed) => return,
            // Logged by the archive.
            Err(_) => {
                sleep(FEED_AGAIN).await;
                continue;
            }
        }
        tokio::select! {
            () = shared.fresh.notified() => {}
            // It may have been opened anew, and want again what it was given.
            moved = durable.changed() => if moved.is_err() { return },
        }
        let durable = *durable.borrow_and_update();
        shared.recent().evict(&shared.options, durable);
    }
}

/// Fills holes for as long as the node runs.
pub(super) async fn fill(shared: Arc<HistoryShared>) {
    let mut hole = shared.archive.hole();
    let mut turn = 0;
    loop {
        let Ok(found) = hole.wait_for(Option::is_some).await.map(|hole| *hole) else { return };
        let Some(found) = found else { continue };
        match shared.fill_some(found, turn).await {
            Ok(()) => turn = 0,
            Err(error) => {
                tracing::debug!(turn, %error, "fetching history failed");
                let wait = FETCH_AGAIN_MIN.saturating_mul(1 << turn.min(10));
                sleep(wait.min(FETCH_AGAIN_MAX)).await;
                turn += 1;
            }
        }
    }
}

impl HistoryShared {
    /// Feeds a batch; says whether there was one.
    pub(super) async fn feed_some(&self) -> Result<bool, ArchiveError> {
        let tip = {
            let mut recent = self.recent();
            std::mem::take(&mut recent.moved).then(|| recent.tip.clone())
        };
        if let Some(tip) = tip
            && let Err(error) = self.archive.adopt(tip).await
        {
            self.recent().moved = true;
            return Err(error);
        }
        let wanted = self.archive.wanted().await?;
        let Some(run) = self.batch(wanted) else { return Ok(false) };
        self.archive.append(run).await?;
        Ok(true)
    }

    fn batch(&self, wanted: Revision) -> Option<Run> {
        let recent = self.recent();
        let first = recent.window.oldest().max(wanted);
        let before = recent.chain_before(first)?;
        let mut bytes = 0;
        let mut events: Vec<Event> = Vec::new();
        for event in recent.window.iter_after(Revision(first.0 - 1)).take(FEED_EVENTS_MAX) {
            bytes += size_of(event);
            events.push(Event::clone(event));
            if bytes >= FEED_BYTES_MAX {
                break;
            }
        }
        (!events.is_empty()).then_some(Run { before, events })
    }

    /// Fetches and stores the upper end of a hole.
    async fn fill_some(&self, hole: Span, turn: u32) -> Result<(), String> {
        let first = hole.last.0.saturating_sub(self.options.fetch_events - 1);
        let span = Span { first: hole.first.max(Revision(first)), last: hole.last };
        let fetched = timeout(self.options.fetch, self.source.fetch(span, turn)).await;
        let run = fetched.map_err(|late| late.to_string())?.map_err(|error| error.to_string())?;
        match self.archive.fill(run).await {
            Err(error @ ArchiveError::Refused(_)) => {
                tracing::warn!(first = span.first.0, last = span.last.0, %error, "fetched history");
                Err(error.to_string())
            }
            filled => filled.map_err(|error| error.to_string()),
        }
    }
}
