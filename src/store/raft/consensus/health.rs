//! What a node knows about itself and its cluster, for health checks and metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::FutureExt;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::Fatal;
use openraft::metrics::RaftMetrics;
use openraft::{Instant, ServerState};

use super::leadership::RaftHandle;
use super::types::{NodeId, TypeConfig};
use crate::store::{ClusterHealth, Member, Role, StoreError};

/// A leader that no majority has answered for this long may be cut off.
const QUORUM_SILENCE: Duration = Duration::from_secs(1);

/// The cluster as this node sees it now. The caller knows whether the node has
/// caught up.
pub fn cluster(raft: &RaftHandle, cluster_name: &str, caught_up: bool) -> ClusterHealth {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let applied_index = metrics.last_applied.as_ref().map_or(0, |id| id.index);
    ClusterHealth {
        cluster_name: cluster_name.to_owned(),
        node_id: metrics.id,
        role: role(metrics.state),
        leader: metrics.current_leader,
        term: metrics.current_term,
        last_log_index: metrics.last_log_index.unwrap_or(0),
        committed_index: metrics
            .cluster_committed
            .as_ref()
            .map_or(applied_index, |id| id.index.max(applied_index)),
        applied_index,
        snapshot_index: metrics.snapshot.as_ref().map_or(0, |id| id.index),
        quorum: has_quorum(&metrics, caught_up),
        caught_up,
        members: members(&metrics),
        // The store fills this in.
        protocol: 0,
    }
}

/// The error for every call once consensus has stopped for good; none while it
/// runs.
pub fn stop_error(raft: &RaftHandle) -> Option<StoreError> {
    let mut metrics = raft.metrics();
    let fatal = metrics.borrow_watched().running_state.clone().err();
    if let Some(fatal) = fatal {
        return Some(match fatal {
            Fatal::Stopped => StoreError::Unavailable("the node is stopping".to_owned()),
            Fatal::StorageError(_) | Fatal::Panicked => stopped(&fatal.to_string()),
        });
    }
    // After a panic the last metrics still say that consensus runs, but their
    // channel is closed.
    loop {
        match metrics.changed().now_or_never() {
            Some(Ok(())) => {}
            Some(Err(_gone)) => {
                return Some(stopped("consensus panicked; the log says where"));
            }
            None => return None,
        }
    }
}

/// This node writes nothing any more, but the other nodes do.
fn stopped(why: &str) -> StoreError {
    StoreError::Unavailable(format!("this node has stopped at a fault: {why}"))
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner | ServerState::Shutdown => Role::Learner,
    }
}

/// A leader knows by acknowledgements whether it has a quorum; any other node
/// knows by reads that succeed.
fn has_quorum(metrics: &RaftMetrics<TypeConfig>, caught_up: bool) -> bool {
    if metrics.current_leader != Some(metrics.id) {
        return caught_up;
    }
    let voters = metrics.membership_config.membership().voter_ids().count();
    let silence = metrics.last_quorum_acked.as_ref().map(|at| at.elapsed());
    voters == 1 || silence.is_some_and(|silence| silence < QUORUM_SILENCE)
}

fn members(metrics: &RaftMetrics<TypeConfig>) -> Vec<Member> {
    let membership = metrics.membership_config.membership();
    let voters: Vec<NodeId> = membership.voter_ids().collect();
    let heartbeats = metrics.heartbeat.as_ref();
    let no_lags = BTreeMap::new();
    let lags = metrics.replication.as_ref().unwrap_or(&no_lags);
    membership
        .nodes()
        .map(|(id, peer)| Member {
            id: *id,
            addr: peer.addr.clone(),
            url: peer.url.clone(),
            voter: voters.contains(id),
            lag: lags.get(id).map(|matched| {
                let matched = matched.as_ref().map_or(0, |log_id| log_id.index);
                metrics.last_log_index.unwrap_or(0).saturating_sub(matched)
            }),
            last_seen: heartbeats
                .and_then(|heartbeats| heartbeats.get(id))
                .and_then(Option::as_ref)
                .map(|at| at.elapsed()),
            clock_skew_ms: None,
        })
        .collect()
}

/// The voter, other than this leader, that lacks the least of its log.
pub fn most_up_to_date_voter(raft: &RaftHandle) -> Option<NodeId> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let replication = metrics.replication.as_ref()?;
    let voters: Vec<NodeId> = metrics.membership_config.membership().voter_ids().collect();
    replication
        .iter()
        .filter(|(id, _)| **id != metrics.id && voters.contains(id))
        .max_by_key(|(_, matched)| **matched)
        .map(|(id, _)| *id)
}
