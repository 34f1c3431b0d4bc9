//! The connections to one peer. Tonic's channel connects each one when it is first
//! used, and again after it broke.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tower::service_fn;

use super::authentication::{PeerCredentials, PeerIdentity};
use super::options::Options;
use crate::proto::peer::peer_client;
use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::host::Dial;

/// The size limit of one message. The log's reader limits an append to about 4 MiB
/// plus the one entry that exceeds the limit; the rest is a margin.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How much one stream may send unacknowledged: a whole append, so that it need not
/// wait for window updates.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Like [`STREAM_WINDOW_BYTES`], for all streams of one connection.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// Calls one peer with this node's credentials.
pub type PeerClient = peer_client::PeerClient<InterceptedService<Channel, PeerCredentials>>;

/// The connections to one peer, separated so that urgent messages do not wait for
/// large ones.
#[derive(Clone, Debug)]
pub(super) struct PeerConnections {
    pub addr: String,
    /// For heartbeats, votes and read indexes: they are small, and late ones cost
    /// elections.
    pub control: PeerClient,
    /// For appends, forwarded proposals and cancellations.
    pub log: PeerClient,
    /// For snapshots and history, which are large and not urgent.
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
        let credentials = PeerCredentials::new(identity, Some(target));
        let connect = || client(channel(options, dial, addr), credentials.clone());
        Self { addr: addr.to_owned(), control: connect(), log: connect(), bulk: connect() }
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

/// A server with the settings that peers rely on: windows that fit an append, and
/// keep-alive, which frees what a vanished peer has held.
pub fn server_builder(keep_alive: Duration) -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(keep_alive))
        .http2_keepalive_timeout(Some(keep_alive))
        .tcp_nodelay(true)
}

fn client(channel: Channel, credentials: PeerCredentials) -> PeerClient {
    peer_client::PeerClient::with_interceptor(channel, credentials)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

fn channel(options: &Options, dial: &Arc<dyn Dial>, addr: &str) -> Channel {
    let addr: Arc<str> = addr.into();
    // This name serves only as the `:authority` of HTTP/2; `dial` gets the address.
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
