//! The status of a node, as `cluster status` shows it.

use std::time::Duration;

use bytes::Bytes;

use crate::proto::sidecar as proto;
use crate::store::{ClusterHealth, Health, Member, Role};

pub(super) fn status(health: &Health, uptime: Duration) -> proto::StatusReply {
    proto::StatusReply {
        release: env!("CARGO_PKG_VERSION").into(),
        backend: health.backend.into(),
        uptime_ms: millis(uptime),
        fault: health.fault.clone(),
        revision: health.revision.0,
        chain: Bytes::copy_from_slice(&health.chain.0),
        state_bytes: health.state_bytes,
        state_bytes_max: health.state_bytes_max,
        cluster: health.cluster.as_ref().map(cluster),
    }
}

fn cluster(cluster: &ClusterHealth) -> proto::Cluster {
    let role = match cluster.role {
        Role::Leader => proto::Role::Leader,
        Role::Follower => proto::Role::Follower,
        Role::Candidate => proto::Role::Candidate,
        Role::Learner => proto::Role::Learner,
    };
    proto::Cluster {
        name: cluster.cluster_name.clone(),
        node_id: cluster.node_id,
        role: role.into(),
        leader: cluster.leader,
        term: cluster.term,
        last_log_index: cluster.last_log_index,
        committed_index: cluster.committed_index,
        applied_index: cluster.applied_index,
        snapshot_index: cluster.snapshot_index,
        quorum: cluster.quorum,
        caught_up: cluster.caught_up,
        members: cluster.members.iter().map(member).collect(),
    }
}

fn member(member: &Member) -> proto::Member {
    proto::Member {
        id: member.id,
        addr: member.addr.clone(),
        url: member.url.clone(),
        voter: member.voter,
        lag: member.lag,
        last_seen_ms: member.last_seen.map(millis),
        clock_skew_ms: member.clock_skew_ms,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
