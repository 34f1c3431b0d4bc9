//! What only a cluster can do: change its members while it runs, transfer its
//! leadership, take a snapshot, and pass on what a client said to the wrong node.
//! Everything else is in [`super::Store`].

use std::sync::Weak;

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

    /// Tells the other members that a client has cancelled `call`. Returns at once.
    /// A member that cannot be reached now is not told later.
    fn announce_cancelled(&self, call: CallId);

    /// Tells `listener` from now on what other members announce, in place of any
    /// listener before it.
    fn set_cancellation_listener(&self, listener: Weak<dyn CancellationListener>);
}

/// Learns which calls clients have cancelled at other members.
pub trait CancellationListener: Send + Sync {
    /// The client of `call`, which this node may never have seen, has cancelled it.
    fn cancelled(&self, call: &CallId);
}

/// A call as its client names it. Every client numbers its requests by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId {
    session: String,
    request_id: String,
}

/// The most bytes of a session's id, and of a request's. Clients use far fewer, and
/// many ids are remembered for a while.
const ID_BYTES_MAX: usize = 256;

impl CallId {
    /// The request `request_id`, which is JSON text, of the client in `session`;
    /// none if either is too long.
    pub fn new(session: impl Into<String>, request_id: impl Into<String>) -> Option<CallId> {
        let (session, request_id) = (session.into(), request_id.into());
        let fits = session.len().max(request_id.len()) <= ID_BYTES_MAX;
        fits.then_some(CallId { session, request_id })
    }

    pub fn session(&self) -> &str {
        &self.session
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }
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
