//! What a node knows of itself and its cluster, for health and metrics.

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

/// A leader whose majority has not answered for this long may be cut off.
const QUORUM_SILENCE: Duration = Duration::from_secs(1);

/// The cluster as this node sees it now. `caught_up` is the caller's to know.
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
        warning: None,
        // The store knows.
        protocol: 0,
    }
}

/// What calls are told once consensus has stopped and cannot go on, if so.
pub fn end(raft: &RaftHandle) -> Option<StoreError> {
    let mut metrics = raft.metrics();
    let told = metrics.borrow_watched().running_state.clone().err();
    if let Some(fatal) = told {
        return Some(match fatal {
            Fatal::Stopped => StoreError::Unavailable("the node is stopping".to_owned()),
            Fatal::StorageError(_) | Fatal::Panicked => stopped(&fatal.to_string()),
        });
    }
    // A panic leaves the last metrics as they were, and nobody to change them.
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

/// Nothing is written here any more, and other nodes can do it.
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

/// A leader knows by its acknowledgements; others by reads that pass.
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
    let seen = metrics.heartbeat.as_ref();
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
            last_seen: seen
                .and_then(|seen| seen.get(id))
                .and_then(Option::as_ref)
                .map(|at| at.elapsed()),
            clock_skew_ms: None,
        })
        .collect()
}

/// The other voter that lacks least of this leader's log.
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
