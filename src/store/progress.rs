//! The progress of a store that other processes share: the newest commit that
//! this process knows of, why the store cannot be used, and waking those who
//! wait for a newer commit.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::health::Health;
use crate::machine::command::StateLimits;
use crate::machine::{Chain, Meta, Revision};

/// The newest commit of a store that this process knows of.
pub(super) struct StoreProgress {
    limits: StateLimits,
    revision: watch::Sender<Revision>,
    known: Mutex<KnownState>,
}

#[derive(Clone, Debug, Default)]
struct KnownState {
    revision: Revision,
    chain: Chain,
    state_bytes: u64,
    fault: Option<String>,
}

impl StoreProgress {
    /// The progress of a state that is at `meta`.
    pub fn at(meta: &Meta, limits: StateLimits) -> StoreProgress {
        let known = Mutex::new(KnownState::of(meta));
        StoreProgress { limits, revision: watch::Sender::new(meta.revision), known }
    }

    /// What the state may hold.
    pub fn limits(&self) -> StateLimits {
        self.limits
    }

    /// Records that `meta` is committed, and wakes the watchers if it is new.
    pub fn publish(&self, meta: &Meta) {
        let mut known = self.known();
        if meta.revision > known.revision {
            let fault = known.fault.take();
            *known = KnownState { fault, ..KnownState::of(meta) };
            // Under the lock, so that the watched number never goes back.
            self.revision.send_replace(meta.revision);
        }
    }

    /// Wakes the watchers because another process has announced `revision`. The
    /// rest of that commit is not known yet.
    pub fn announce(&self, revision: Revision) {
        let _known = self.known();
        self.revision.send_if_modified(|seen| {
            let newer = *seen < revision;
            *seen = revision.max(*seen);
            newer
        });
    }

    /// Goes back to `meta`, because the store has lost commits that were
    /// published.
    pub fn rewind(&self, meta: &Meta) {
        let mut known = self.known();
        let fault = known.fault.take();
        *known = KnownState { fault, ..KnownState::of(meta) };
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

    /// Records why the store cannot be used, or with `None` that it can. Returns
    /// what was recorded before.
    pub fn set_fault(&self, fault: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.known().fault, fault)
    }

    pub fn fault(&self) -> Option<String> {
        self.known().fault.clone()
    }

    pub fn health(&self, backend: &'static str, warning: Option<String>) -> Health {
        let KnownState { revision, chain, state_bytes, fault } = self.known().clone();
        let state_bytes_max = self.limits.bytes_max;
        let cluster = None;
        Health { backend, fault, warning, revision, chain, state_bytes, state_bytes_max, cluster }
    }

    fn known(&self) -> MutexGuard<'_, KnownState> {
        // No code under the lock can panic half-way through a change.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownState {
    fn of(meta: &Meta) -> KnownState {
        let Meta { revision, chain, state_bytes, .. } = *meta;
        KnownState { revision, chain, state_bytes, fault: None }
    }
}
