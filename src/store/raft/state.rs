//! What a node has applied, as everybody but openraft's apply worker sees it:
//! a whole state at a time, swapped in, never a half-applied one.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::alias::LogIdOf;
use tokio::sync::watch;

use super::types::{NodeId, TypeConfig};
use crate::machine::{ClusterMs, Revision};
use crate::store::tables::Tables;

/// The state after some log entry.
#[derive(Clone, Default)]
pub struct Applied {
    pub tables: Tables,
    pub log_id: Option<LogIdOf<TypeConfig>>,
    /// Nodes that were members at some earlier entry and are no more.
    pub retired: Arc<BTreeSet<NodeId>>,
}

/// The newest applied state, shared with readers.
pub struct State {
    applied: ArcSwap<Applied>,
    revision: watch::Sender<Revision>,
}

impl State {
    /// A state in which nothing has happened.
    pub fn new() -> State {
        let (revision, _) = watch::channel(Revision::ZERO);
        State { applied: ArcSwap::default(), revision }
    }

    /// The newest state. It stays as it is for as long as it is held.
    pub fn load(&self) -> Arc<Applied> {
        self.applied.load_full()
    }

    /// Where the log's clock stands.
    pub fn clock(&self) -> ClusterMs {
        self.applied.load().tables.meta().clock
    }

    /// Swaps in a newer state and wakes those who wait for its revision.
    pub fn publish(&self, applied: Applied) {
        let revision = applied.tables.meta().revision;
        self.applied.store(Arc::new(applied));
        self.revision.send_if_modified(|seen| {
            let newer = *seen < revision;
            *seen = revision.max(*seen);
            newer
        });
    }

    /// Follows the revision.
    pub fn revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}

impl Default for State {
    fn default() -> State {
        State::new()
    }
}
