//! What a node does for its peers beyond openraft's own messages: the seam to
//! the store. Bytes go in and out; what they say is the store's.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;
use tokio::time::Instant;

use crate::proto::peer::HistoryQuestion;
use crate::store::raft::consensus::entry::LogId;
use crate::store::raft::consensus::types::{NodeId, Peer};

/// Answers peers.
#[async_trait]
pub trait PeerHandler: Send + Sync + 'static {
    /// The node's wall clock, in milliseconds since the Unix epoch; 0 where it
    /// does not say.
    fn wall_ms(&self) -> u64 {
        0
    }

    /// Proposes what `from` forwarded and returns its reply. Dropped when the
    /// peer's connection breaks, so it must bear being dropped at any await.
    ///
    /// # Errors
    /// [`PeerRefusal::Unknown`] when the item may have entered the log; every other
    /// refusal promises that it has not and will not.
    async fn forwarded(
        &self,
        from: NodeId,
        item: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, PeerRefusal>;

    /// Confirms with a quorum that this node leads and returns what a follower
    /// needs to answer a linearizable read.
    ///
    /// # Errors
    /// When this node does not lead or cannot confirm it.
    async fn read_index(&self) -> Result<ReadIndex, PeerRefusal>;

    /// A run of the history that ends with the revision `to` and goes down to
    /// `from` as far as this node has it and will send at once: first the 32
    /// bytes of the chain value before it, then each event.
    ///
    /// # Errors
    /// When the history cannot be read.
    async fn history(
        &self,
        from: u64,
        to: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, PeerRefusal>>, PeerRefusal>;

    /// Answers a question about the history from what this node itself has,
    /// once it has applied the revision that it names.
    ///
    /// # Errors
    /// When it has not, or lacks the answer.
    async fn ask_history(&self, question: HistoryQuestion) -> Result<Bytes, PeerRefusal>;
}

/// The point that a linearizable read must have applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadIndex {
    /// The leader that confirmed it.
    pub node: NodeId,
    /// The read waits until this is applied.
    pub read: LogId,
    /// What the leader itself had applied.
    pub applied: Option<LogId>,
    /// The leader's cluster time, in milliseconds.
    pub cluster_ms: u64,
}

/// Why a peer did not do what was asked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PeerRefusal {
    /// It does not lead; it may know who does.
    #[error("not the leader")]
    NotLeader {
        /// Who leads, as far as it knows.
        leader: Option<(NodeId, Peer)>,
    },
    /// It could not take it: nothing has entered the log.
    #[error("{code:?}: {message}")]
    Refused {
        /// What kind of refusal.
        code: PeerRefusalCode,
        /// For people.
        message: String,
    },
    /// It took it, and what became of it is not known.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Kinds of refusal that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerRefusalCode {
    /// Too much is under way, or no quorum: later may do.
    Busy,
    /// The node is stopping: another may do.
    Closing,
    /// The bytes make no sense to it.
    Invalid,
    /// Its disk or its program failed.
    Fault,
}

impl PeerRefusal {
    /// A refusal that says `message`.
    pub fn refused(code: PeerRefusalCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused { code, message }
    }
}
