//! The standing of a store that is shared with other processes: how far it
//! has got as this one knows, why it cannot be used, and waking those who wait
//! for it to get further. Beside it the clock that such a store hands out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Health;
use super::clock::Clock;
use crate::machine::{Chain, ClusterMs, Meta, Revision};

/// How far the store has got.
pub(super) struct StoreProgress {
    state_bytes_max: Option<u64>,
    revision: watch::Sender<Revision>,
    known: Mutex<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    revision: Revision,
    chain: Chain,
    state_bytes: u64,
    fault: Option<String>,
}

impl StoreProgress {
    /// Of a state at `meta`, which may become so large.
    pub fn at(meta: &Meta, state_bytes_max: Option<u64>) -> StoreProgress {
        let known = Mutex::new(Known::of(meta));
        StoreProgress { state_bytes_max, revision: watch::Sender::new(meta.revision), known }
    }

    /// How large the state may become, if there is a limit.
    pub fn state_bytes_max(&self) -> Option<u64> {
        self.state_bytes_max
    }

    /// Tells those who watch that `meta` is committed.
    pub fn publish(&self, meta: &Meta) {
        let mut known = self.known();
        if meta.revision > known.revision {
            let fault = known.fault.take();
            *known = Known { fault, ..Known::of(meta) };
            // Under the lock, so that the watched number never falls.
            self.revision.send_replace(meta.revision);
        }
    }

    /// Tells those who watch that there is something to look at.
    pub fn told(&self, revision: Revision) {
        let _known = self.known();
        self.revision.send_if_modified(|seen| {
            let newer = *seen < revision;
            *seen = revision.max(*seen);
            newer
        });
    }

    /// Takes back what was published: the store has lost it.
    pub fn went_back(&self, meta: &Meta) {
        let mut known = self.known();
        let fault = known.fault.take();
        *known = Known { fault, ..Known::of(meta) };
        self.revision.send_replace(meta.revision);
    }

    pub fn watch(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    pub fn is_watched(&self) -> bool {
        self.revision.receiver_count() > 0
    }

    pub fn revision(&self) -> Revision {
        self.known().revision
    }

    /// Keeps why the store cannot be used, or that it can; gives what was kept
    /// before.
    pub fn set_fault(&self, fault: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.known().fault, fault)
    }

    pub fn fault(&self) -> Option<String> {
        self.known().fault.clone()
    }

    pub fn health(&self, backend: &'static str) -> Health {
        let Known { revision, chain, state_bytes, fault } = self.known().clone();
        let state_bytes_max = self.state_bytes_max;
        Health { backend, fault, revision, chain, state_bytes, state_bytes_max, cluster: None }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing under the lock can leave it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn of(meta: &Meta) -> Known {
        let Meta { revision, chain, state_bytes, .. } = *meta;
        Known { revision, chain, state_bytes, fault: None }
    }
}

/// A wall clock that never falls here, although an administrator may set it
/// back.
pub(super) struct SteadyClock {
    clock: Clock,
    handed_out_ms: AtomicU64,
}

impl SteadyClock {
    /// A clock that is never before `from`.
    pub fn new(clock: Clock, from: ClusterMs) -> SteadyClock {
        SteadyClock { clock, handed_out_ms: AtomicU64::new(from.0) }
    }

    pub fn now(&self) -> ClusterMs {
        let wall_ms = self.clock.wall_ms();
        ClusterMs(self.handed_out_ms.fetch_max(wall_ms, Ordering::AcqRel).max(wall_ms))
    }
}
