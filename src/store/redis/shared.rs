//! What the writer, the listener and the store's handle know in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::error::Fault;
use crate::machine::{Chain, ClusterMs, Meta, Revision};
use crate::store::clock::Clock;
use crate::store::queue::Queue;

/// By what clock deadlines are judged.
#[derive(Clone)]
pub enum RedisClock {
    /// Redis's own: the one clock that all sidecars share.
    Server,
    /// Another, which whoever opened the store drives.
    Given(Clock),
}

pub(super) struct Shared {
    pub(super) queue: Queue,
    /// It is this sidecar's turn to commit.
    pub(super) turn: Notify,
    clock: RedisClock,
    handed_out_ms: AtomicU64,
    revision: watch::Sender<Revision>,
    standing: Mutex<Standing>,
}

/// What health tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) revision: Revision,
    pub(super) chain: Chain,
    /// Why the last round trip failed, if it did.
    pub(super) fault: Option<String>,
}

impl Shared {
    pub(super) fn new(clock: RedisClock, meta: &Meta) -> Arc<Shared> {
        let standing = Standing { revision: meta.revision, chain: meta.chain, fault: None };
        Arc::new(Shared {
            queue: Queue::new(),
            turn: Notify::new(),
            clock,
            handed_out_ms: AtomicU64::new(meta.clock.0),
            revision: watch::Sender::new(meta.revision),
            standing: Mutex::new(standing),
        })
    }

    /// The time, where it is not Redis's to tell. Never falls.
    pub(super) fn given_now(&self) -> Option<ClusterMs> {
        let RedisClock::Given(clock) = &self.clock else { return None };
        let wall_ms = clock.wall_ms();
        Some(ClusterMs(self.handed_out_ms.fetch_max(wall_ms, Ordering::AcqRel).max(wall_ms)))
    }

    /// Tells those who watch that `meta` is committed.
    pub(super) fn publish(&self, meta: &Meta) {
        let mut standing = self.standing();
        standing.fault = None;
        if meta.revision > standing.revision {
            standing.revision = meta.revision;
            standing.chain = meta.chain;
            // Under the lock, so that the watched number never falls.
            self.revision.send_replace(meta.revision);
        }
    }

    /// Tells those who watch that there is something to look at.
    pub(super) fn told(&self, revision: Revision) {
        let _standing = self.standing();
        self.revision.send_if_modified(|seen| {
            let newer = *seen < revision;
            *seen = revision.max(*seen);
            newer
        });
    }

    /// Takes back what was published: Redis has lost it.
    pub(super) fn went_back(&self, meta: &Meta) {
        let mut standing = self.standing();
        standing.revision = meta.revision;
        standing.chain = meta.chain;
        self.revision.send_replace(meta.revision);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Keeps why Redis cannot be used, and says so once.
    pub(super) fn failed(&self, fault: &Fault) {
        let fault = fault.to_string();
        let mut standing = self.standing();
        if standing.fault.is_none() {
            tracing::warn!(%fault, "redis cannot be used");
        }
        standing.fault = Some(fault);
    }

    /// Redis has answered.
    pub(super) fn works(&self) {
        let mut standing = self.standing();
        if let Some(fault) = standing.fault.take() {
            tracing::info!(%fault, "redis can be used again");
        }
    }

    /// Why a call that was never begun ended.
    pub(super) fn why_late(&self) -> String {
        match &self.standing().fault {
            Some(fault) => format!("redis: {fault}"),
            None => "other commands, or other sidecars, came first until the deadline".into(),
        }
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        // Nothing under the lock can leave it half changed.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
