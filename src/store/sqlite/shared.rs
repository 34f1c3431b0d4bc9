//! What the writer, the readers and the store's handle know in common.

use tokio::sync::watch;

use crate::machine::{ClusterMs, Meta, Revision};
use crate::store::clock::Clock;
use crate::store::progress::{SteadyClock, StoreProgress};
use crate::store::queue::CommandQueue;

pub(super) struct SqliteShared {
    pub(super) queue: CommandQueue,
    pub(super) progress: StoreProgress,
    /// The file's own clock bounds it from below too, but not while a reader
    /// only looks.
    clock: SteadyClock,
}

impl SqliteShared {
    pub(super) fn new(clock: Clock, meta: &Meta, state_bytes_max: Option<u64>) -> SqliteShared {
        SqliteShared {
            queue: CommandQueue::new(),
            progress: StoreProgress::at(meta, state_bytes_max),
            clock: SteadyClock::new(clock, meta.clock),
        }
    }

    pub(super) fn now(&self) -> ClusterMs {
        self.clock.now()
    }

    /// Watched, the file is looked at more often: the writer learns of it.
    pub(super) fn watch(&self) -> watch::Receiver<Revision> {
        let watcher = self.progress.watch();
        self.queue.nudge();
        watcher
    }
}
