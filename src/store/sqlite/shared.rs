//! What the writer, the readers and the store's handle share.

use tokio::sync::watch;

use crate::machine::command::StateLimits;
use crate::machine::{ClusterMs, Meta, Revision};
use crate::store::clock::Clock;
use crate::store::health::Health;
use crate::store::progress::StoreProgress;
use crate::store::queue::CommandQueue;
use crate::store::steady_clock::SteadyClock;

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

    /// Records that `meta` is committed, by this process or by another one.
    pub(super) fn publish(&self, meta: &Meta) {
        self.clock.at_least(meta.clock);
        self.progress.publish(meta);
    }

    pub(super) fn health(&self) -> Health {
        self.progress.health("sqlite", self.clock.warning())
    }

    /// Watches the revision. The writer is woken, because it checks the file more
    /// often while somebody watches.
    pub(super) fn watch(&self) -> watch::Receiver<Revision> {
        let watcher = self.progress.watch();
        self.queue.nudge();
        watcher
    }
}
