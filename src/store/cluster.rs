//! What only a cluster can do: change its members while it runs, hand over its
//! leadership, take a snapshot. Beside [`super::Store`], which every store is.

use async_trait::async_trait;
use tokio::time::Instant;

/// The members of a running cluster, to be changed.
///
/// Each call may be given again after it failed half-way: what is done already
/// is passed over. One change is under way at a time.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Adds node `id`, which runs at `addr` and waits to be added: as a learner
    /// until it has the log, then as a voter. With `replaces`, that voter leaves
    /// in the same step.
    ///
    /// # Errors
    /// See [`ClusterError`]. A node that has not caught up by `deadline` stays
    /// a learner.
    async fn add(&self, added: Added, deadline: Instant) -> Result<(), ClusterError>;

    /// Removes node `id`. Its number is spent.
    ///
    /// # Errors
    /// See [`ClusterError`].
    async fn remove(&self, id: u64, deadline: Instant) -> Result<(), ClusterError>;

    /// PoolWorker leadership to node `to`, or to whoever has most of the log;
    /// returns who leads then.
    ///
    /// # Errors
    /// See [`ClusterError`].
    async fn transfer(&self, to: Option<u64>, deadline: Instant) -> Result<u64, ClusterError>;

    /// Takes a snapshot on this node and lets go of the log behind it; returns
    /// the index that it covers.
    ///
    /// # Errors
    /// See [`ClusterError`].
    async fn snapshot(&self, deadline: Instant) -> Result<u64, ClusterError>;
}

/// A node to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    pub id: u64,
    /// `host:port` of its gRPC listener, as its peers reach it.
    pub addr: String,
    /// The voter in whose place it comes.
    pub replaces: Option<u64>,
}

/// Why a change did not happen, or is not known to have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// Only the leader changes anything.
    #[error("this node does not lead")]
    NotLeader {
        /// Where the leader is reached, if it is known.
        leader: Option<String>,
    },
    /// It would do harm, or makes no sense. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// There is no such node. Nothing was changed.
    #[error("{0}")]
    NotFound(String),
    /// Not now: another change is under way, or too few nodes answer. Nothing
    /// was changed.
    #[error("{0}")]
    Unavailable(String),
    /// It has begun and is not finished; give the command again.
    #[error("{0}")]
    Unfinished(String),
}
