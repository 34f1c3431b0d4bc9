//! The state that a node has applied, as readers see it. A state is replaced as a
//! whole, so that nobody sees a batch of entries half applied.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use openraft::alias::LogIdOf;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::types::{NodeId, TypeConfig};
use crate::machine::Revision;
use crate::store::raft::clock::cluster_clock::LogTime;
use crate::store::tables::{Tables, release};

/// The state after one log entry.
#[derive(Clone, Default)]
pub struct AppliedState {
    pub tables: Tables,
    pub log_id: Option<LogIdOf<TypeConfig>>,
    /// The nodes that were members at an earlier entry and are no longer.
    pub retired: Arc<BTreeSet<NodeId>>,
}

impl AppliedState {
    /// The time that the log has reached.
    pub fn log_time(&self) -> LogTime {
        let meta = self.tables.meta();
        LogTime { clock: meta.clock, wall: meta.wall }
    }
}

/// The newest applied state, shared with readers.
pub struct LatestState {
    applied: ArcSwap<AppliedState>,
    revision: watch::Sender<Revision>,
    /// The term of the last entry that was applied.
    term: watch::Sender<u64>,
}

impl LatestState {
    /// A state in which nothing has happened.
    pub fn new() -> LatestState {
        let (revision, _) = watch::channel(Revision::ZERO);
        let (term, _) = watch::channel(0);
        LatestState { applied: ArcSwap::default(), revision, term }
    }

    /// The newest state. It does not change while the caller holds it.
    pub fn load(&self) -> Arc<AppliedState> {
        self.applied.load_full()
    }

    /// The time that the log has reached, for the leader of `term`; none while
    /// entries of earlier terms may still be waiting to be applied.
    pub fn log_time(&self, term: u64) -> Option<LogTime> {
        let applied = self.applied.load();
        let reached = applied.log_id.is_some_and(|last| last.leader_id.term >= term);
        reached.then(|| applied.log_time())
    }

    /// Like [`LatestState::log_time`], but waits until `deadline`: a new leader
    /// applies the first entry of its term a moment after its election.
    pub async fn wait_for_log_time(&self, term: u64, deadline: Instant) -> Option<LogTime> {
        if let Some(log_time) = self.log_time(term) {
            return Some(log_time);
        }
        let mut applied_term = self.term.subscribe();
        let reached = applied_term.wait_for(|applied| *applied >= term);
        timeout_at(deadline, reached).await.ok()?.ok()?;
        self.log_time(term)
    }

    /// Replaces the state by a newer one, and wakes those who wait for its revision.
    pub fn publish(&self, applied: AppliedState) {
        let revision = applied.tables.meta().revision;
        let term = applied.log_id.map_or(0, |last| last.leader_id.term);
        let rows = applied.tables.len();
        let replaced = self.applied.swap(Arc::new(applied));
        let rows_removed = replaced.tables.len().saturating_sub(rows);
        release(replaced, rows_removed);
        raise(&self.term, term);
        raise(&self.revision, revision);
    }

    /// Follows the revision.
    pub fn revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }
}

/// Sets a watched value that never falls, and wakes its watchers if it rises.
fn raise<T: Ord + Copy>(watched: &watch::Sender<T>, value: T) {
    watched.send_if_modified(|current| {
        let rises = *current < value;
        *current = value.max(*current);
        rises
    });
}

impl Default for LatestState {
    fn default() -> LatestState {
        LatestState::new()
    }
}
