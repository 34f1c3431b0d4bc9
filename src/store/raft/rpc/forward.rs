//! Forwards a follower's proposals to the leader, and tells callers whether a
//! proposal may have entered the log. Callers decide whether to try again, and with
//! which leader.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tokio::time::Instant;

use super::forward_stream::{ForwardOutcome, ForwardStream};
use super::handler::{PeerRefusal, PeerRefusalCode};
use super::network::PeerNetwork;
use crate::store::raft::consensus::types::{NodeId, Peer};

/// Why a forwarded proposal has no reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ForwardError {
    /// The peer does not lead, so the proposal never entered its log.
    #[error("the peer does not lead")]
    NotLeader {
        /// The leader, if the peer knows it.
        leader: Option<(NodeId, Peer)>,
    },
    /// The proposal never left this node.
    #[error("the leader cannot be reached")]
    Unsent,
    /// The leader refused the proposal, which never entered the log.
    #[error("the leader refused: {code:?}: {message}")]
    Refused {
        code: PeerRefusalCode,
        /// An explanation for people.
        message: String,
    },
    /// The proposal may or may not have been applied, now or later.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Forwards proposals over one stream to each leader. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Forwarder {
    network: PeerNetwork,
    /// Bounded by the members of the cluster; a broken stream is replaced.
    streams: Arc<Mutex<HashMap<NodeId, Arc<ForwardStream>>>>,
}

impl Forwarder {
    /// A forwarder over the connections of `network`.
    pub fn new(network: PeerNetwork) -> Self {
        Self { network, streams: Arc::default() }
    }

    /// Has `leader`, at the address of `peer`, propose `proposal`, and returns the
    /// reply. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Every error but [`ForwardError::Unknown`] means that the proposal was not applied
    /// and never will be.
    pub async fn submit(
        &self,
        leader: NodeId,
        peer: &Peer,
        proposal: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, ForwardError> {
        let stream = self.stream(leader, peer);
        let outcome = match stream.send(proposal, deadline).await {
            // The stream was broken before this proposal came, so try a new one.
            ForwardOutcome::Unsent(proposal) if stream.is_broken() && Instant::now() < deadline => {
                self.stream(leader, peer).send(proposal, deadline).await
            }
            outcome => outcome,
        };
        match outcome {
            ForwardOutcome::Answered(Ok(reply)) => Ok(reply),
            ForwardOutcome::Answered(Err(refusal)) => Err(refusal.into()),
            ForwardOutcome::Unsent(_) => Err(ForwardError::Unsent),
            ForwardOutcome::Unanswered if Instant::now() >= deadline => {
                Err(ForwardError::Unknown("the deadline passed".into()))
            }
            ForwardOutcome::Unanswered => {
                let text = "the connection to the leader broke";
                Err(ForwardError::Unknown(text.into()))
            }
        }
    }

    fn stream(&self, leader: NodeId, peer: &Peer) -> Arc<ForwardStream> {
        // A panic cannot leave a map half changed.
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |stream: &&Arc<ForwardStream>| !stream.is_broken() && stream.addr == peer.addr;
        if let Some(stream) = streams.get(&leader).filter(usable) {
            return stream.clone();
        }
        let client = self.network.connections(leader, peer).log.clone();
        let open_timeout = self.network.ack_timeout();
        let stream = Arc::new(ForwardStream::open(client, peer.addr.clone(), open_timeout));
        streams.insert(leader, stream.clone());
        stream
    }
}

impl From<PeerRefusal> for ForwardError {
    fn from(refusal: PeerRefusal) -> Self {
        match refusal {
            PeerRefusal::NotLeader { leader } => Self::NotLeader { leader },
            PeerRefusal::Refused { code, message } => Self::Refused { code, message },
            PeerRefusal::Unknown(text) => Self::Unknown(text),
        }
    }
}
