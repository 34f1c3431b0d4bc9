//! Health: what a store reports about itself, and what a node knows about its
//! cluster.

use std::time::Duration;

use crate::machine::{Chain, Revision};

/// What a store reports about itself.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// `sqlite`, `memory`, `redis` or `raft`.
    pub backend: &'static str,
    /// Why it cannot serve right now, if so.
    pub fault: Option<String>,
    /// What an operator should look into although everything works, if anything.
    pub warning: Option<String>,
    pub revision: Revision,
    pub chain: Chain,
    /// The size of the state; see [`crate::machine::size`].
    pub state_bytes: u64,
    /// The limit to that size for commands that this process orders, if any.
    pub state_bytes_max: Option<u64>,
    /// Set if the store is a cluster's node.
    pub cluster: Option<ClusterHealth>,
}

/// What a node knows about its cluster.
#[derive(Clone, Debug, Default)]
pub struct ClusterHealth {
    pub cluster_name: String,
    pub node_id: u64,
    pub role: Role,
    pub leader: Option<u64>,
    pub term: u64,
    pub last_log_index: u64,
    pub committed_index: u64,
    pub applied_index: u64,
    pub snapshot_index: u64,
    /// A majority answers this node, as far as it knows.
    pub quorum: bool,
    /// This node has applied everything that was committed when it last asked
    /// the leader.
    pub caught_up: bool,
    pub members: Vec<Member>,
    /// The version of the peer protocol that all members speak, as far as this
    /// node knows. Newer rules and messages are used only when every member
    /// knows them.
    pub protocol: u32,
}

/// One member as a node sees it.
#[derive(Clone, Debug, Default)]
pub struct Member {
    pub id: u64,
    /// The address of its gRPC listener.
    pub addr: String,
    /// Its MCP URL, if known.
    pub url: String,
    pub voter: bool,
    /// How many entries it is behind the leader's log. Only the leader knows.
    pub lag: Option<u64>,
    /// How long ago it last answered the leader. Only the leader knows.
    pub last_seen: Option<Duration>,
    /// By how many milliseconds its wall clock is ahead of this node's, if known.
    pub clock_skew_ms: Option<i64>,
}

/// A node's role in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    Leader,
    Follower,
    Candidate,
    #[default]
    Learner,
}

impl Role {
    /// The role's name in health reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Learner => "learner",
        }
    }
}
