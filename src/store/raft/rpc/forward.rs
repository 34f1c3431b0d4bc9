//! A follower's proposals on their way to the leader. What this promises is the
//! difference that callers live by: whether a proposal can have entered the log
//! or not. Whom to ask next, and asking again, is theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tokio::time::Instant;

use super::PeerNetwork;
use super::forward_stream::{Fate, ForwardStream};
use super::handler::{PeerRefusal, PeerRefusalCode};
use crate::store::raft::consensus::types::{NodeId, Peer};

/// Why a forwarded proposal brought no reply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ForwardError {
    /// The peer does not lead: the proposal never entered its log.
    #[error("the peer does not lead")]
    NotLeader {
        /// Who does, as far as the peer knows.
        leader: Option<(NodeId, Peer)>,
    },
    /// The proposal never left this node.
    #[error("the leader cannot be reached")]
    Unsent,
    /// The leader would not take it: it never entered the log.
    #[error("the leader refused: {code:?}: {message}")]
    Refused {
        /// What kind of refusal.
        code: PeerRefusalCode,
        /// For people.
        message: String,
    },
    /// The proposal may or may not have been applied, now or later.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Carries proposals to leaders, over one stream each. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Forwarder {
    network: PeerNetwork,
    /// Bounded by the members of the cluster; broken ones are replaced.
    links: Arc<Mutex<HashMap<NodeId, Arc<ForwardStream>>>>,
}

impl Forwarder {
    /// A forwarder over the connections of `network`.
    pub fn new(network: PeerNetwork) -> Self {
        let links = Arc::default();
        Self { network, links }
    }

    /// Has `leader`, which is reached as `peer`, propose `item`, and returns
    /// its reply. Call within a Tokio runtime.
    ///
    /// # Errors
    /// Only [`ForwardError::Unknown`] leaves open whether it was applied.
    pub async fn submit(
        &self,
        leader: NodeId,
        peer: &Peer,
        item: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, ForwardError> {
        let link = self.link(leader, peer);
        let fate = match link.send(item, deadline).await {
            // Its stream had broken before this item came: a new one may do.
            Fate::Unsent(item) if link.is_broken() && Instant::now() < deadline => {
                self.link(leader, peer).send(item, deadline).await
            }
            fate => fate,
        };
        match fate {
            Fate::Answered(Ok(reply)) => Ok(reply),
            Fate::Answered(Err(refusal)) => Err(refusal.into()),
            Fate::Unsent(_) => Err(ForwardError::Unsent),
            Fate::Unanswered if Instant::now() >= deadline => {
                Err(ForwardError::Unknown("the deadline passed".into()))
            }
            Fate::Unanswered => {
                let text = "the connection to the leader broke";
                Err(ForwardError::Unknown(text.into()))
            }
        }
    }

    fn link(&self, leader: NodeId, peer: &Peer) -> Arc<ForwardStream> {
        // A panic while inserting leaves a map that is still a map.
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let usable = |link: &&Arc<ForwardStream>| !link.is_broken() && link.addr == peer.addr;
        if let Some(link) = links.get(&leader).filter(usable) {
            return link.clone();
        }
        let client = self.network.lanes(leader, peer).log.clone();
        let patience = self.network.shared.options.ack_timeout;
        let link = Arc::new(ForwardStream::open(client, peer.addr.clone(), patience));
        links.insert(leader, link.clone());
        link
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
