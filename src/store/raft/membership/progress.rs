//! How far each member has come, as the leader sees it at one moment: who votes,
//! who answers, and who lacks how much of the log. A change of the membership is
//! judged by this.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::Instant as _;
use openraft::metrics::RaftMetrics;

use crate::store::cluster::ClusterError;
use crate::store::raft::consensus::types::{NodeId, Peer, TypeConfig};

/// A member that has not answered the leader for longer counts as unreachable.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// A node that lacks no more entries than this has caught up. Under load no
/// follower ever reaches the very end of the log.
const CAUGHT_UP_ENTRIES: u64 = 1_000;

/// The members at one moment, as their leader sees them.
pub(super) struct MemberProgress {
    pub voters: BTreeSet<NodeId>,
    pub nodes: BTreeMap<NodeId, Peer>,
    /// The members that have answered lately, this node included.
    pub reachable: BTreeSet<NodeId>,
    /// How many entries of the leader's log each replication target lacks.
    pub lags: BTreeMap<NodeId, u64>,
    /// A change of the voters has begun and is not finished.
    pub is_joint: bool,
}

impl MemberProgress {
    pub fn of(metrics: &RaftMetrics<TypeConfig>) -> MemberProgress {
        let membership = metrics.membership_config.membership();
        let acked = |id: &NodeId| {
            let at = metrics.heartbeat.as_ref().and_then(|acks| acks.get(id).cloned().flatten());
            at.is_some_and(|at| at.elapsed() < SILENCE)
        };
        let last = metrics.last_log_index.unwrap_or(0);
        let lags = metrics.replication.iter().flatten().map(|(id, matched)| {
            (*id, last.saturating_sub(matched.as_ref().map_or(0, |log_id| log_id.index)))
        });
        let nodes: BTreeMap<_, _> = membership.nodes().map(|(id, p)| (*id, p.clone())).collect();
        let is_reachable = |id: &&NodeId| **id == metrics.id || acked(id);
        MemberProgress {
            voters: membership.voter_ids().collect(),
            reachable: nodes.keys().filter(is_reachable).copied().collect(),
            lags: lags.collect(),
            is_joint: membership.get_joint_config().len() > 1,
            nodes,
        }
    }

    /// Whether `node` is a member that lacks little of the log.
    pub fn has_caught_up(&self, node: NodeId) -> bool {
        self.lags.get(&node).is_some_and(|lag| *lag <= CAUGHT_UP_ENTRIES)
    }

    /// Checks that a majority of the `voters` after a change is reachable now.
    /// `joining` is a node that has just answered, although it is no member yet.
    ///
    /// # Errors
    /// When too few of them are.
    pub fn check_quorum(
        &self,
        voters: &BTreeSet<NodeId>,
        joining: Option<NodeId>,
    ) -> Result<(), ClusterError> {
        let needed = voters.len() / 2 + 1;
        let is_reachable = |id: &&NodeId| self.reachable.contains(id) || joining == Some(**id);
        let reachable = voters.iter().filter(is_reachable).count();
        if reachable >= needed {
            return Ok(());
        }
        let silent = voters.iter().filter(|id| !is_reachable(id)).map(NodeId::to_string);
        let silent: Vec<String> = silent.collect();
        Err(ClusterError::Refused(format!(
            "the cluster would lose its quorum: of the {} voters then, {needed} are needed, and \
             {reachable} answer (not: node {})",
            voters.len(),
            silent.join(", node ")
        )))
    }
}
