//! What only a cluster can do: change its members while it runs, transfer its
//! leadership, and take a snapshot. Everything else is in [`super::Store`].

use async_trait::async_trait;
use tokio::time::Instant;

/// Membership changes of a running cluster.
///
/// A call that failed half-way may be repeated: steps that are already done are
/// skipped. Only one change can be under way at a time.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Adds a node that runs and waits to be added: as a learner until it has
    /// caught up with the log, then as a voter. If it replaces a voter, that
    /// voter leaves in the same step.
    ///
    /// # Errors
    /// See [`ClusterError`]. A node that has not caught up before `deadline`
    /// stays a learner.
    async fn add(&self, member: NewMember, deadline: Instant) -> Result<(), ClusterError>;

    /// Removes node `id`. The id can never be used again.
    ///
    /// # Errors
    /// See [`ClusterError`].
    async fn remove(&self, id: u64, deadline: Instant) -> Result<(), ClusterError>;

    /// Transfers leadership to node `to`, or to the node whose log is most up to
    /// date. Returns the new leader.
    ///
    /// # Errors
    /// See [`ClusterError`].
    async fn transfer(&self, to: Option<u64>, deadline: Instant) -> Result<u64, ClusterError>;

    /// Takes a snapshot on this node and purges the log up to it. Returns the
    /// last log index that the snapshot covers.
    ///
    /// # Errors
    /// See [`ClusterError`].
    async fn snapshot(&self, deadline: Instant) -> Result<u64, ClusterError>;
}

/// A node that is to join the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    pub id: u64,
    /// `host:port` of its gRPC listener, as its peers reach it.
    pub addr: String,
    /// The voter whose place it takes.
    pub replaces: Option<u64>,
}

/// Why a change did not happen, or is not known to have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Only the leader changes the membership.
    #[error("this node does not lead")]
    NotLeader {
        /// The leader's address, if it is known.
        leader: Option<String>,
    },
    /// The change would do harm or makes no sense. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// There is no such node. Nothing was changed.
    #[error("{0}")]
    NotFound(String),
    /// Another change is under way, or too few nodes answer. Nothing was
    /// changed.
    #[error("{0}")]
    Unavailable(String),
    /// The change has begun and is not finished; repeat the call.
    #[error("{0}")]
    Unfinished(String),
}
