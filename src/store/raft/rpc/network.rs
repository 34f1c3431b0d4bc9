//! Calls to peers: the one way in which a node reaches the others.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use openraft::network::RaftNetworkFactory;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::authentication::PeerIdentity;
use super::client::RemotePeer;
use super::connections::{PeerConnections, connect_unnamed};
use super::conversion;
use super::handler::{PeerRefusal, ReadIndex};
use super::options::Options;
use crate::proto::peer;
use crate::store::cluster::CallId;
use crate::store::raft::consensus::types::{NodeId, Peer, TypeConfig};
use crate::store::raft::host::{Dial, Tcp};

/// Connections to all peers. It is cheap to clone, and clones share the connections.
#[derive(Clone, Debug)]
pub struct PeerNetwork {
    shared: Arc<PeerNetworkShared>,
}

#[derive(Debug)]
struct PeerNetworkShared {
    identity: PeerIdentity,
    options: Options,
    dial: Arc<dyn Dial>,
    /// Bounded by the members that the cluster has had during this run.
    peers: Mutex<HashMap<NodeId, Arc<PeerConnections>>>,
}

/// Why a call to a peer failed.
#[derive(Debug, Error)]
pub enum CallError {
    /// The peer cannot be reached, or has rejected this node.
    #[error("peer {peer} cannot be called")]
    Call {
        /// The peer.
        peer: NodeId,
        /// The error of the transport or the peer.
        #[source]
        source: Box<Status>,
    },
    /// The peer's answer is invalid.
    #[error("peer {peer} sent an invalid answer: {reason}")]
    Answer {
        /// The peer.
        peer: NodeId,
        /// What is wrong with it.
        reason: String,
    },
    /// The deadline passed first.
    #[error("peer {peer} did not answer in time")]
    Deadline {
        /// The peer.
        peer: NodeId,
    },
    /// The peer refused the call.
    #[error(transparent)]
    Refused(#[from] PeerRefusal),
}

impl PeerNetwork {
    /// A network over TCP, for the node `identity`.
    pub fn new(identity: PeerIdentity, options: Options) -> Self {
        Self::with_dial(identity, options, Arc::new(Tcp))
    }

    /// A network over connections that `dial` makes.
    pub fn with_dial(identity: PeerIdentity, options: Options, dial: Arc<dyn Dial>) -> Self {
        let peers = Mutex::default();
        Self { shared: Arc::new(PeerNetworkShared { identity, options, dial, peers }) }
    }

    /// Asks the leader for the entry that a linearizable read must have applied.
    ///
    /// # Errors
    /// When the peer does not answer by `deadline` or does not lead.
    pub async fn read_index(
        &self,
        leader: NodeId,
        peer: &Peer,
        deadline: Instant,
    ) -> Result<ReadIndex, CallError> {
        let mut client = self.connections(leader, peer).control.clone();
        let call = client.read_index(peer::ReadIndexRequest {});
        let reply = answered(leader, deadline, call).await?;
        let index = conversion::decode_read_index(reply)
            .map_err(|error| CallError::Answer { peer: leader, reason: error.to_string() })?;
        Ok(index?)
    }

    /// Fetches a run of the history from `target`; see
    /// [`super::PeerHandler::history`]. The caller checks it against the chain.
    ///
    /// # Errors
    /// When the peer does not answer by `deadline`. Each item may fail as well.
    pub async fn history(
        &self,
        target: NodeId,
        peer: &Peer,
        (from, to): (u64, u64),
        deadline: Instant,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes, CallError>> + Send>>, CallError> {
        let mut client = self.connections(target, peer).bulk.clone();
        let call = client.fetch_history(peer::HistoryRange { from, to });
        let chunks = answered(target, deadline, call).await?;
        let events = chunks
            .map_ok(|chunk| stream::iter(chunk.events).map(Ok::<_, Status>))
            .try_flatten()
            .map_err(move |status| call_error(target, status));
        Ok(Box::pin(events))
    }

    /// Asks `target` a question about the history.
    ///
    /// # Errors
    /// When the peer does not answer by `deadline`, or lacks the events as well.
    pub async fn ask_history(
        &self,
        target: NodeId,
        peer: &Peer,
        question: peer::HistoryQuestion,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let mut client = self.connections(target, peer).bulk.clone();
        Ok(answered(target, deadline, client.ask_history(question)).await?.answer)
    }

    /// Tells `target` that a client has cancelled `call`.
    ///
    /// # Errors
    /// When the peer does not acknowledge by `deadline`, or is of a version that does
    /// not know of cancellations.
    pub async fn cancel(
        &self,
        target: NodeId,
        peer: &Peer,
        call: &CallId,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let mut client = self.connections(target, peer).log.clone();
        let (session, request_id) = (call.session().to_owned(), call.request_id().to_owned());
        let call = client.cancel(peer::CancelRequest { session, request_id });
        answered(target, deadline, call).await.map(|_acknowledged| ())
    }

    /// Asks the node at `addr` who it is, which need not be known before.
    ///
    /// # Errors
    /// When no node answers by `deadline`, or it belongs to another cluster.
    pub async fn hello(
        &self,
        addr: &str,
        deadline: Instant,
    ) -> Result<peer::HelloReply, CallError> {
        /// The id that errors name, since the id of the peer is not known.
        const UNKNOWN_NODE: NodeId = 0;
        let mut client =
            connect_unnamed(&self.shared.identity, &self.shared.options, &self.shared.dial, addr);
        answered(UNKNOWN_NODE, deadline, client.hello(peer::HelloRequest {})).await
    }

    /// The connections to `target`, which are new if its address has changed.
    pub(super) fn connections(&self, target: NodeId, peer: &Peer) -> Arc<PeerConnections> {
        let shared = &self.shared;
        // A panic cannot leave a map half changed.
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = peers.get(&target).filter(|known| known.addr == peer.addr) {
            return connections.clone();
        }
        let connections = Arc::new(PeerConnections::connect(
            &shared.identity,
            &shared.options,
            &shared.dial,
            target,
            &peer.addr,
        ));
        peers.insert(target, connections.clone());
        connections
    }

    /// How long an unacknowledged message may wait; see [`Options::ack_timeout`].
    pub(super) fn ack_timeout(&self) -> Duration {
        self.shared.options.ack_timeout
    }

    fn remote(&self, target: NodeId, peer: &Peer, heartbeats: bool) -> RemotePeer {
        let me = self.shared.identity.node();
        let connections = self.connections(target, peer);
        RemotePeer::new(me, target, connections, heartbeats, self.ack_timeout())
    }
}

impl RaftNetworkFactory<TypeConfig> for PeerNetwork {
    type Network = RemotePeer;

    async fn new_client(&mut self, target: NodeId, node: &Peer) -> RemotePeer {
        self.remote(target, node, false)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, node: &Peer) -> RemotePeer {
        self.remote(target, node, true)
    }
}

async fn answered<T>(
    peer: NodeId,
    deadline: Instant,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, CallError> {
    match timeout_at(deadline, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(call_error(peer, status)),
        Err(_) => Err(CallError::Deadline { peer }),
    }
}

fn call_error(peer: NodeId, status: Status) -> CallError {
    let source = Box::new(status);
    CallError::Call { peer, source }
}
