//! The peer network: how nodes of one cluster reach one another.
//!
//! [`PeerNetwork`] is what openraft sends through and [`peer_service`] what answers
//! on the other side; [`Forwarder`] carries a follower's proposals to the
//! leader. Each peer is reached over three long-lived connections, so that a
//! snapshot delays no append and an append no heartbeat. Bytes in, bytes out:
//! what a proposal, a snapshot or an event says is for others.

pub(crate) mod append_stream;
pub(crate) mod authentication;
pub(crate) mod client;
pub(crate) mod connections;
pub(crate) mod conversion;
pub(crate) mod dial;
pub(crate) mod forward;
pub(crate) mod forward_server;
pub(crate) mod forward_stream;
pub(crate) mod handler;
pub(crate) mod interceptor;
pub(crate) mod node_handler;
pub(crate) mod server;
pub(crate) mod snapshot;

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

use super::consensus::types::{NodeId, Peer, TypeConfig};
pub use super::rpc::authentication::{
    PeerCredentials, PeerIdentity, SPEAKS, SPEAKS_STEPWISE, SecretError,
};
pub use super::rpc::client::RemotePeer;
use super::rpc::connections::PeerConnections;
pub use super::rpc::connections::{MESSAGE_BYTES_MAX, PeerClient, listener};
pub use super::rpc::dial::{Dial, Duplex, Tcp};
pub use super::rpc::forward::{ForwardError, Forwarder};
pub use super::rpc::handler::{PeerHandler, PeerRefusal, PeerRefusalCode, ReadIndex};
pub use super::rpc::interceptor::{PeerAuthenticator, Sender, expelled};
pub use super::rpc::server::{PeerService, peer_service};
use crate::proto::peer;

/// How patient the network is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Until a connection counts as failed. Within a cluster a handshake takes
    /// a millisecond; a lost packet is sent again after one second.
    pub connect_timeout: Duration,
    /// Until an append that is not acknowledged breaks its stream, to be tried
    /// again on a new one. Openraft waits without end, so a peer that accepts
    /// and never answers would otherwise not be replicated to until it
    /// restarts. Well above the slowest sync that is still worth waiting for.
    pub ack_timeout: Duration,
    /// Silence on a connection before it is asked whether it lives, and again
    /// until it counts as dead: frees what waits on a machine that vanished
    /// without closing its connections.
    pub keep_alive: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(1_500),
            ack_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(2),
        }
    }
}

/// Reaches peers. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct PeerNetwork {
    shared: Arc<PeerNetworkShared>,
}

#[derive(Debug)]
struct PeerNetworkShared {
    identity: PeerIdentity,
    options: Options,
    dial: Arc<dyn Dial>,
    /// Bounded by the members that the cluster ever had in this run.
    peers: Mutex<HashMap<NodeId, Arc<PeerConnections>>>,
}

/// Why a call to a peer brought no answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// It cannot be reached, or turned this node away.
    #[error("peer {peer} cannot be called")]
    Call {
        /// The peer.
        peer: NodeId,
        /// What the transport or the peer says.
        #[source]
        source: Box<Status>,
    },
    /// Its answer makes no sense.
    #[error("peer {peer} answered nonsense: {reason}")]
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
    /// It answered that it will not.
    #[error(transparent)]
    Refused(#[from] PeerRefusal),
}

impl PeerNetwork {
    /// A network over TCP for the node `identity`.
    pub fn new(identity: PeerIdentity, options: Options) -> Self {
        Self::with_dial(identity, options, Arc::new(Tcp))
    }

    /// A network over connections that `dial` makes.
    pub fn with_dial(identity: PeerIdentity, options: Options, dial: Arc<dyn Dial>) -> Self {
        let peers = Mutex::default();
        Self { shared: Arc::new(PeerNetworkShared { identity, options, dial, peers }) }
    }

    /// Asks the leader for the point that a linearizable read must have applied.
    ///
    /// # Errors
    /// When the peer is not reached by `deadline` or does not lead.
    pub async fn read_index(
        &self,
        leader: NodeId,
        peer: &Peer,
        deadline: Instant,
    ) -> Result<ReadIndex, CallError> {
        let mut client = self.lanes(leader, peer).control.clone();
        let call = client.read_index(peer::ReadIndexRequest {});
        let reply = answered(leader, deadline, call).await?;
        let index = conversion::read_index_in(reply)
            .map_err(|error| CallError::Answer { peer: leader, reason: error.to_string() })?;
        Ok(index?)
    }

    /// A run of the history from `target`, as [`PeerHandler::history`] gives it.
    /// Whether it fits the chain is for the caller to check.
    ///
    /// # Errors
    /// When the peer is not reached by `deadline`; each item may fail likewise.
    pub async fn history(
        &self,
        target: NodeId,
        peer: &Peer,
        (from, to): (u64, u64),
        deadline: Instant,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes, CallError>> + Send>>, CallError> {
        let mut client = self.lanes(target, peer).bulk.clone();
        let call = client.fetch_history(peer::HistoryRange { from, to });
        let chunks = answered(target, deadline, call).await?;
        let events = chunks
            .map_ok(|chunk| stream::iter(chunk.events).map(Ok::<_, Status>))
            .try_flatten()
            .map_err(move |status| call_error(target, status));
        Ok(Box::pin(events))
    }

    /// Puts a question about the history to `target`.
    ///
    /// # Errors
    /// When the peer is not reached by `deadline` or lacks the answer too.
    pub async fn ask_history(
        &self,
        target: NodeId,
        peer: &Peer,
        question: peer::HistoryQuestion,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let mut client = self.lanes(target, peer).bulk.clone();
        Ok(answered(target, deadline, client.ask_history(question)).await?.answer)
    }

    /// Asks whoever listens at `addr` who it is: for joining a cluster of which
    /// only an address is known.
    ///
    /// # Errors
    /// When nobody answers by `deadline` or it is of another cluster.
    pub async fn hello(
        &self,
        addr: &str,
        deadline: Instant,
    ) -> Result<peer::HelloReply, CallError> {
        /// No node: errors about a peer whose id is not known name it.
        const NOBODY: NodeId = 0;
        let mut client = connections::connect_unnamed(
            &self.shared.identity,
            &self.shared.options,
            &self.shared.dial,
            addr,
        );
        answered(NOBODY, deadline, client.hello(peer::HelloRequest {})).await
    }

    /// The connections to `target`; new ones when it has moved.
    fn lanes(&self, target: NodeId, peer: &Peer) -> Arc<PeerConnections> {
        let shared = &self.shared;
        // A panic while inserting leaves a map that is still a map.
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = peers.get(&target).filter(|l| l.addr == peer.addr) {
            return lanes.clone();
        }
        let lanes = Arc::new(PeerConnections::connect(
            &shared.identity,
            &shared.options,
            &shared.dial,
            target,
            &peer.addr,
        ));
        peers.insert(target, lanes.clone());
        lanes
    }

    fn remote(&self, target: NodeId, peer: &Peer, heartbeats: bool) -> RemotePeer {
        let me = self.shared.identity.node();
        let ack_timeout = self.shared.options.ack_timeout;
        RemotePeer::new(me, target, self.lanes(target, peer), heartbeats, ack_timeout)
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
