//! The gRPC server: its bounds on messages, streams and connections, which
//! keep one client from using up the memory of the node.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::authorization::Authorize;
use super::handlers::GrpcService;
use crate::access::Access;
use crate::proto::sidecar::sidecar_server::SidecarServer;
use crate::service::Service;

/// The largest message, unless a value may be larger than this: a transaction
/// of several large values fits.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a message may hold besides its largest value.
const MESSAGE_BYTES_REST: usize = 1024 * 1024;
/// Calls in flight on one connection; more wait at the client.
const STREAMS_MAX: u32 = 1024;
/// How much a client may send ahead, in one call and on one connection: a
/// large value then takes one round trip.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// After this long without traffic a connection is pinged, and it is closed
/// if no answer arrives within the same time again.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The service as gRPC, behind `access`. Once `stop` is cancelled, watches and
/// pipelines end by themselves, so that a server that drains can finish.
pub fn api(
    service: Service,
    access: Access,
    stop: CancellationToken,
) -> Authorize<SidecarServer<GrpcService>> {
    let value_bytes_max = service.limits().value_bytes_max;
    let message_bytes_max =
        MESSAGE_BYTES_MAX.max(value_bytes_max.saturating_add(MESSAGE_BYTES_REST));
    let server = SidecarServer::new(GrpcService::new(service, stop));
    Authorize::new(server.max_decoding_message_size(message_bytes_max), access)
}

/// A server with the bounds of this API. Add [`api`] to it, and whatever else
/// is to be reached at the same address.
pub fn transport() -> Server {
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE))
}

/// The connections of `listener`, for [`transport`]. Small replies are sent at
/// once.
pub fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEP_ALIVE))
}
