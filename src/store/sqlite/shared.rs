//! What the writer, the readers and the store's handle know in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::machine::{Chain, ClusterMs, Meta, Revision};
use crate::store::clock::Clock;
use crate::store::queue::Queue;

pub(super) struct Shared {
    pub(super) queue: Queue,
    clock: Clock,
    /// The latest time that was handed out here. The file's own clock bounds
    /// it from below too, but not while a reader only looks.
    handed_out_ms: AtomicU64,
    revision: watch::Sender<Revision>,
    standing: Mutex<Standing>,
}

/// What health tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) revision: Revision,
    pub(super) chain: Chain,
    /// Why the last commit failed, if it did.
    pub(super) fault: Option<String>,
}

impl Shared {
    pub(super) fn new(clock: Clock, meta: &Meta) -> Shared {
        Shared {
            queue: Queue::new(),
            clock,
            handed_out_ms: AtomicU64::new(meta.clock.0),
            revision: watch::Sender::new(meta.revision),
            standing: Mutex::new(Standing {
                revision: meta.revision,
                chain: meta.chain,
                fault: None,
            }),
        }
    }

    /// The wall clock, which never falls here although an administrator may
    /// set it back.
    pub(super) fn now(&self) -> ClusterMs {
        let wall_ms = self.clock.wall_ms();
        ClusterMs(self.handed_out_ms.fetch_max(wall_ms, Ordering::AcqRel).max(wall_ms))
    }

    /// Tells those who watch that `meta` is committed.
    pub(super) fn publish(&self, meta: &Meta) {
        let mut standing = self.standing();
        if meta.revision > standing.revision {
            standing.revision = meta.revision;
            standing.chain = meta.chain;
            // Under the lock, so that the watched number never falls.
            self.revision.send_replace(meta.revision);
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Revision> {
        let watcher = self.revision.subscribe();
        self.queue.nudge();
        watcher
    }

    pub(super) fn is_watched(&self) -> bool {
        self.revision.receiver_count() > 0
    }

    /// Keeps why the last commit failed, or that it did not.
    pub(super) fn set_fault(&self, fault: Option<String>) {
        self.standing().fault = fault;
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        // Nothing under the lock can leave it half changed.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
