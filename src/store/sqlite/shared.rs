//! What the writer, the readers and the store's handle share.

use tokio::sync::watch;

use crate::machine::command::StateLimits;
use crate::machine::{ClusterMs, Meta, Revision};
use crate::store::clock::Clock;
use crate::store::progress::{SteadyClock, StoreProgress};
use crate::store::queue::CommandQueue;

pub(super) struct SqliteShared {
    pub(super) queue: CommandQueue,
    pub(super) progress: StoreProgress,
    /// Commands also respect the clock in the file, which may be ahead of this one.
    clock: SteadyClock,
}

impl SqliteShared {
    pub(super) fn new(clock: Clock, meta: &Meta, limits: StateLimits) -> SqliteShared {
        SqliteShared {
            queue: CommandQueue::new(),
            progress: StoreProgress::at(meta, limits),
            clock: SteadyClock::new(clock, meta.clock),
        }
    }

    pub(super) fn now(&self) -> ClusterMs {
        self.clock.now()
    }

    /// Watches the revision. The writer is woken, because it checks the file more
    /// often while somebody watches.
    pub(super) fn watch(&self) -> watch::Receiver<Revision> {
        let watcher = self.progress.watch();
        self.queue.nudge();
        watcher
    }
}
