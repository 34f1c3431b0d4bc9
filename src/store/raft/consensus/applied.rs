//! What a node has applied, as everybody but openraft's apply worker sees it:
//! a whole state at a time, swapped in, never a half-applied one.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::alias::LogIdOf;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::types::{NodeId, TypeConfig};
use crate::machine::Revision;
use crate::store::raft::clock::cluster_clock::Logged;
use crate::store::tables::{Tables, release};

/// The state after some log entry.
#[derive(Clone, Default)]
pub struct AppliedState {
    pub tables: Tables,
    pub log_id: Option<LogIdOf<TypeConfig>>,
    /// Nodes that were members at some earlier entry and are no more.
    pub retired: Arc<BTreeSet<NodeId>>,
}

impl AppliedState {
    /// Where the log's clocks stand.
    pub fn logged(&self) -> Logged {
        let meta = self.tables.meta();
        Logged { clock: meta.clock, wall: meta.wall }
    }
}

/// The newest applied state, shared with readers.
pub struct LatestState {
    applied: ArcSwap<AppliedState>,
    revision: watch::Sender<Revision>,
    /// Of the last entry that was applied.
    term: watch::Sender<u64>,
}

impl LatestState {
    /// A state in which nothing has happened.
    pub fn new() -> LatestState {
        let (revision, _) = watch::channel(Revision::ZERO);
        let (term, _) = watch::channel(0);
        LatestState { applied: ArcSwap::default(), revision, term }
    }

    /// The newest state. It stays as it is for as long as it is held.
    pub fn load(&self) -> Arc<AppliedState> {
        self.applied.load_full()
    }

    /// Where the log's clocks stand for the leader of `term`: none while there
    /// may be entries of earlier terms that are not applied yet.
    pub fn logged(&self, term: u64) -> Option<Logged> {
        let applied = self.applied.load();
        let reached = applied.log_id.is_some_and(|last| last.leader_id.term >= term);
        reached.then(|| applied.logged())
    }

    /// As [`LatestState::logged`], waiting for it: a leader's first entry is applied
    /// a moment after it came into office.
    pub async fn logged_by(&self, term: u64, deadline: Instant) -> Option<Logged> {
        if let Some(logged) = self.logged(term) {
            return Some(logged);
        }
        let mut seen = self.term.subscribe();
        let reached = timeout_at(deadline, seen.wait_for(|seen| *seen >= term)).await;
        reached.ok()?.ok()?;
        self.logged(term)
    }

    /// Swaps in a newer state and wakes those who wait for its revision.
    pub fn publish(&self, applied: AppliedState) {
        let revision = applied.tables.meta().revision;
        let term = applied.log_id.map_or(0, |last| last.leader_id.term);
        let rows = applied.tables.len();
        let replaced = self.applied.swap(Arc::new(applied));
        let gone = replaced.tables.len().saturating_sub(rows);
        release(replaced, gone);
        self.term.send_if_modified(|seen| {
            let newer = *seen < term;
            *seen = term.max(*seen);
            newer
        });
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

impl Default for LatestState {
    fn default() -> LatestState {
        LatestState::new()
    }
}
