//! The interface from the peer service to the store, for everything beyond
//! openraft's own messages. Proposals and events are bytes here; the store decodes
//! them.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;
use tokio::time::Instant;

use crate::proto::peer::HistoryQuestion;
use crate::store::cluster::CallId;
use crate::store::raft::consensus::entry::LogId;
use crate::store::raft::consensus::types::{NodeId, Peer};

/// Answers the calls of peers.
#[async_trait]
pub trait PeerHandler: Send + Sync + 'static {
    /// The node's wall clock in milliseconds since the Unix epoch; 0 if it does not
    /// tell it.
    fn wall_ms(&self) -> u64 {
        0
    }

    /// Proposes what `from` forwarded, and returns the reply. The future is dropped
    /// when the peer's connection breaks, so it must be safe to drop at any await.
    ///
    /// # Errors
    /// [`PeerRefusal::Unknown`] if the proposal may have entered the log. Every other
    /// refusal promises that it has not and will not.
    async fn forwarded(
        &self,
        from: NodeId,
        proposal: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, PeerRefusal>;

    /// Confirms with a quorum that this node leads and returns what a follower
    /// needs to answer a linearizable read.
    ///
    /// # Errors
    /// When this node does not lead or cannot confirm it.
    async fn read_index(&self) -> Result<ReadIndex, PeerRefusal>;

    /// A run of the history that ends with the revision `to` and goes back to `from`,
    /// or less far if older events are missing or would be too much for one call:
    /// first the 32 bytes of the chain value before the run, then each event.
    ///
    /// # Errors
    /// When the history cannot be read.
    async fn history(
        &self,
        from: u64,
        to: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, PeerRefusal>>, PeerRefusal>;

    /// Answers a question about the history from what this node itself has, once it
    /// has applied the revision that the question names.
    ///
    /// # Errors
    /// When it has not applied that much in time, or lacks the events.
    async fn ask_history(&self, question: HistoryQuestion) -> Result<Bytes, PeerRefusal>;

    /// A client has told a peer that `call` is cancelled. A node without clients of
    /// its own ignores that.
    fn cancelled(&self, _call: &CallId) {}
}

/// The position in the log that a linearizable read must have applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadIndex {
    /// The leader that confirmed its leadership.
    pub node: NodeId,
    /// The read waits until this entry is applied.
    pub read: LogId,
    /// The last entry that the leader itself had applied.
    pub applied: Option<LogId>,
    /// The leader's cluster time, in milliseconds.
    pub cluster_ms: u64,
}

/// Why a peer did not do what it was asked to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PeerRefusal {
    /// The peer does not lead.
    #[error("not the leader")]
    NotLeader {
        /// The leader, if the peer knows it.
        leader: Option<(NodeId, Peer)>,
    },
    /// The peer could not accept the call, and nothing has entered the log.
    #[error("{code:?}: {message}")]
    Refused {
        code: PeerRefusalCode,
        /// An explanation for people.
        message: String,
    },
    /// The peer accepted the call, and its outcome is not known.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// The kinds of refusal that callers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerRefusalCode {
    /// The peer is overloaded or has no quorum. A later call may succeed.
    Busy,
    /// The peer is stopping. Another node may accept the call.
    Closing,
    /// The peer cannot decode the bytes.
    Invalid,
    /// The peer's disk or program failed.
    Fault,
}

impl PeerRefusal {
    /// A refusal with a code and an explanation.
    pub fn refused(code: PeerRefusalCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused { code, message }
    }
}
