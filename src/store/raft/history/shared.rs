//! What a node's history consists of, shared by its handle and its tasks: the
//! recent events, the archive and the peers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::archive::{Archive, ArchiveError, EventRun, size_of};
use super::options::Options;
use super::recent::RecentEvents;
use super::source::HistorySource;
use crate::machine::{Event, Meta, Revision};

/// The most events and bytes that one batch brings to the archive.
const BATCH_EVENTS_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// How long the first event waits for others: waking the archive for each one would cost
/// more than applying it. Meanwhile the log and memory have it.
const GATHER: Duration = Duration::from_millis(100);

pub(super) struct HistoryShared {
    recent: Mutex<RecentEvents>,
    pub archive: Archive,
    pub source: Arc<dyn HistorySource>,
    pub options: Options,
    /// There are new events to archive, or a snapshot has replaced the state.
    pub changed: Notify,
    /// Memory is full, so that what waits must be archived at once.
    is_full: Notify,
    pub tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl HistoryShared {
    pub fn new(
        archive: Archive,
        source: Arc<dyn HistorySource>,
        meta: &Meta,
        options: Options,
    ) -> HistoryShared {
        HistoryShared {
            recent: Mutex::new(RecentEvents::after(meta)),
            archive,
            source,
            options,
            changed: Notify::new(),
            is_full: Notify::new(),
            tasks: Mutex::default(),
        }
    }

    pub fn recent(&self) -> MutexGuard<'_, RecentEvents> {
        // A panic cannot leave it half changed.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once there has been time for more events to come, or memory is full.
    pub async fn gather(&self) {
        let _ = timeout(GATHER, self.is_full.notified()).await;
    }

    /// Archives one batch of recent events. Returns whether more of them wait.
    pub async fn archive_batch(&self) -> Result<bool, ArchiveError> {
        let tip = {
            let mut recent = self.recent();
            std::mem::take(&mut recent.tip_changed).then(|| recent.tip.clone())
        };
        if let Some(tip) = tip
            && let Err(error) = self.archive.adopt(tip).await
        {
            self.recent().tip_changed = true;
            return Err(error);
        }
        let wanted = self.archive.wanted().await?;
        let Some((run, is_last)) = self.batch(wanted) else { return Ok(false) };
        self.archive.append(run).await?;
        Ok(!is_last)
    }

    /// The next events to archive, and whether no other waits behind them.
    fn batch(&self, wanted: Revision) -> Option<(EventRun, bool)> {
        let recent = self.recent();
        let first = recent.window.oldest().max(wanted);
        let before = recent.chain_before(first)?;
        let mut bytes = 0;
        let mut events: Vec<Event> = Vec::new();
        for event in recent.window.iter_after(Revision(first.0 - 1)).take(BATCH_EVENTS_MAX) {
            bytes += size_of(event);
            events.push(Event::clone(event));
            if bytes >= BATCH_BYTES_MAX {
                break;
            }
        }
        let is_last = events.last()?.revision == recent.window.newest();
        Some((EventRun { before, events }, is_last))
    }

    /// Waits until memory is below its cap again, as the module promises.
    pub async fn wait_for_room(&self) {
        let mut durable = self.archive.durable();
        self.is_full.notify_one();
        loop {
            let reached = *durable.borrow_and_update();
            if !self.recent().evict(&self.options, reached) {
                return;
            }
            // Wait once for each revision at which the archive is stuck, and not
            // again for every command that comes meanwhile.
            if !self.recent().is_stuck(reached) {
                let progress = durable.wait_for(|durable| *durable > reached);
                match timeout(self.options.stall, progress).await {
                    Ok(Ok(_)) => continue,
                    Ok(Err(_closed)) => return,
                    Err(_stalled) if !self.source.has_peers() => continue,
                    Err(_stalled) => tracing::error!(
                        durable = reached.0,
                        "the archive does not move: events are let go unarchived"
                    ),
                }
            }
            self.recent().evict_unarchived(&self.options, reached);
            return;
        }
    }
}
