//! The gRPC listeners: a public one where it is configured, and in a cluster one for
//! peers, which programs may call too.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::Router;
use tonic::{Request, Status};

use super::error::ServeError;
use super::listen::bind;
use super::node::RunningNode;
use crate::api::grpc;
use crate::config::{Backend, Config};
use crate::store::raft::{Peers, rpc};

/// How long calls under way may take to finish after the listener has stopped accepting.
const DRAIN_PUBLIC: Duration = Duration::from_secs(10);
/// The streams of peers never end by themselves. When they are stopped, the store has
/// closed and sends nothing more on them.
const DRAIN_PEERS: Duration = Duration::from_millis(500);

/// How long a silent connection is idle before it is pinged, and then how long the answer
/// may take. After both, what a vanished peer or program held is freed.
const PEERS_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// GrpcListeners that are bound and do not serve yet.
pub struct GrpcListeners {
    public: Option<TcpListener>,
    peers: Option<TcpListener>,
}

/// GrpcListeners that serve.
pub struct GrpcServers {
    public: Option<GrpcServer>,
    peers: Option<GrpcServer>,
    /// Ends the streams of programs, which would never end by themselves.
    end_calls: CancellationToken,
}

struct GrpcServer {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl GrpcListeners {
    /// Listens on the addresses that `config` names.
    pub async fn bind(config: &Config) -> Result<GrpcListeners, ServeError> {
        let public = match &config.grpc_addr {
            Some(addr) => Some(bind("SIDECAR_GRPC_ADDR", &addr.host, addr.port).await?),
            None => None,
        };
        let peers = match config.state_backend {
            Backend::Raft => {
                let addr = &config.raft_addr;
                Some(bind("SIDECAR_RAFT_ADDR", &addr.host, addr.port).await?)
            }
            Backend::Sqlite | Backend::Memory | Backend::Redis => None,
        };
        Ok(GrpcListeners { public, peers })
    }

    /// Begins to serve `node`, and its peers if it has any.
    pub fn serve(self, config: &Config, node: &RunningNode, peers: Option<Peers>) -> GrpcServers {
        let end_calls = CancellationToken::new();
        let api = || grpc::api(node.service.clone(), (*node.access).clone(), end_calls.clone());
        let public = self
            .public
            .map(|listener| GrpcServer::start(listener, grpc::transport().add_service(api())));
        let accepts_remote = config.cluster_secret.is_some() || config.insecure;
        let interceptor = PeerInterceptor { accepts_remote };
        let peers = peers.map(|peers| InterceptedService::new(peers, interceptor));
        let peers = self.peers.map(|listener| {
            let routes = rpc::server_builder(PEERS_KEEP_ALIVE).add_service(api());
            GrpcServer::start(listener, routes.add_optional_service(peers))
        });
        GrpcServers { public, peers, end_calls }
    }
}

/// Decides which machines may call the peer service at all. Whether a caller is a member
/// of the cluster is checked behind it.
#[derive(Clone, Copy)]
struct PeerInterceptor {
    /// The peer service asks for a secret, or the operator wants none.
    accepts_remote: bool,
}

impl Interceptor for PeerInterceptor {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let local = request.remote_addr().is_some_and(|addr| {
            // `::ffff:127.0.0.1` is the loopback address too.
            addr.ip().to_canonical().is_loopback()
        });
        if self.accepts_remote || local {
            return Ok(request);
        }
        Err(Status::permission_denied(
            "this node has no cluster secret and accepts peers on its own machine only; set the \
             same SIDECAR_CLUSTER_SECRET (or SIDECAR_CLUSTER_SECRET_FILE) on each node, or \
             SIDECAR_INSECURE=true",
        ))
    }
}

impl GrpcServer {
    fn start(listener: TcpListener, routes: Router) -> GrpcServer {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = routes.serve_with_incoming_shutdown(grpc::incoming(listener), stopped);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "gRPC listener failed");
            }
        });
        GrpcServer { stop, task: AbortOnDropHandle::new(task) }
    }

    /// Accepts no more calls, and gives those under way `drain` to finish.
    async fn stop(self, drain: Duration) {
        self.stop.cancel();
        // Dropping the task closes the connections that are left.
        let _ = tokio::time::timeout(drain, self.task).await;
    }
}

impl GrpcServers {
    /// Lets the calls of programs finish. Their calls on the address for peers end too,
    /// but new ones still reach the store, which refuses them.
    pub async fn stop_public(&mut self) {
        self.end_calls.cancel();
        if let Some(server) = self.public.take() {
            server.stop(DRAIN_PUBLIC).await;
        }
    }

    /// Stops serving peers. Nothing that needs the other nodes may follow.
    pub async fn stop_peers(&mut self) {
        if let Some(server) = self.peers.take() {
            server.stop(DRAIN_PEERS).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::server::TcpConnectInfo;

    use super::*;

    fn admits(accepts_remote: bool, from: Option<&str>) -> bool {
        let mut request = Request::new(());
        let remote_addr = from.map(|ip| (ip.parse::<std::net::IpAddr>().unwrap(), 1).into());
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        PeerInterceptor { accepts_remote }.call(request).is_ok()
    }

    #[test]
    fn without_a_secret_only_this_machine_may_call_as_a_peer() {
        for local in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(admits(false, Some(local)), "{local}");
        }
        for remote in ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"] {
            assert!(!admits(false, Some(remote)), "{remote}");
            assert!(admits(true, Some(remote)), "{remote}");
        }
        assert!(!admits(false, None), "a caller without an address");
    }
}
