//! The connections to one peer. Each connects when first used, and again after
//! it broke; tonic's channel sees to that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tower::service_fn;

use super::Options;
use super::authentication::{PeerCredentials, PeerIdentity};
use super::dial::Dial;
use crate::proto::peer::peer_client;
use crate::store::raft::consensus::types::NodeId;

/// The most that one message may hold. The log's reader caps an append at
/// about 4 MiB plus the one entry that passes the cap; the rest is room.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What may be under way unacknowledged on one stream: a whole append, so that
/// it does not wait for window updates on the way.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// As [`STREAM_WINDOW_BYTES`], for all streams of one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Calls one peer in this node's name.
pub type PeerClient = peer_client::PeerClient<InterceptedService<Channel, PeerCredentials>>;

/// The connections to one peer, by what must not wait for what.
#[derive(Clone, Debug)]
pub(super) struct PeerConnections {
    /// Where they lead.
    pub addr: String,
    /// Heartbeats, votes, read indexes: small, and late ones cost elections.
    pub control: PeerClient,
    /// Appends and forwarded proposals.
    pub log: PeerClient,
    /// Snapshots and history: large, and in no hurry.
    pub bulk: PeerClient,
}

impl PeerConnections {
    pub fn connect(
        identity: &PeerIdentity,
        options: &Options,
        dial: &Arc<dyn Dial>,
        target: NodeId,
        addr: &str,
    ) -> Self {
        let stamp = PeerCredentials::new(identity, Some(target));
        let lane = || client(channel(options, dial, addr), stamp.clone());
        Self { addr: addr.to_owned(), control: lane(), log: lane(), bulk: lane() }
    }
}

/// A client for a peer of which only the address is known.
pub(super) fn connect_unnamed(
    identity: &PeerIdentity,
    options: &Options,
    dial: &Arc<dyn Dial>,
    addr: &str,
) -> PeerClient {
    client(channel(options, dial, addr), PeerCredentials::new(identity, None))
}

/// A server with what peers count on: windows that fit an append, and
/// keep-alive, which frees what a vanished peer held.
pub fn listener(keep_alive: Duration) -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(keep_alive))
        .http2_keepalive_timeout(Some(keep_alive))
        .tcp_nodelay(true)
}

fn client(channel: Channel, stamp: PeerCredentials) -> PeerClient {
    peer_client::PeerClient::with_interceptor(channel, stamp)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

fn channel(options: &Options, dial: &Arc<dyn Dial>, addr: &str) -> Channel {
    let addr: Arc<str> = addr.into();
    // The name is for the protocol's `:authority` only; `dial` gets the address.
    let endpoint = Endpoint::from_shared(format!("http://{addr}"))
        .unwrap_or_else(|_| Endpoint::from_static("http://peer"));
    let endpoint = endpoint
        .connect_timeout(options.connect_timeout)
        .http2_keep_alive_interval(options.keep_alive)
        .keep_alive_timeout(options.keep_alive)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    let dial = dial.clone();
    let limit = options.connect_timeout;
    endpoint.connect_with_connector_lazy(service_fn(move |_: Uri| {
        let (dial, addr) = (dial.clone(), addr.clone());
        async move {
            let connecting = tokio::time::timeout(limit, dial.dial(&addr));
            connecting
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
                .flatten()
                .map(TokioIo::new)
        }
    }))
}
