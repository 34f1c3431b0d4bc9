//! The gRPC listeners: the public one where it is configured, and in a cluster
//! the peers', which programs may use too.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::Router;
use tonic::{Request, Status};

use super::listen::bind;
use super::{Node, ServeError};
use crate::api::grpc;
use crate::config::{Backend, Config};
use crate::store::raft::{Peers, rpc};

/// How long calls under way may take to finish. Peers' streams never end by
/// themselves; by then nothing of worth is on them.
const DRAIN_PUBLIC: Duration = Duration::from_secs(10);
const DRAIN_PEERS: Duration = Duration::from_millis(500);

/// After this long without a sign of life, and as long again, what a vanished
/// peer or program held is freed.
const PEERS_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Bound, not yet serving.
pub struct Listeners {
    public: Option<TcpListener>,
    peers: Option<TcpListener>,
}

/// Serving.
pub struct Serving {
    public: Option<Server>,
    peers: Option<Server>,
    /// Ends public calls that would go on for ever.
    end_calls: CancellationToken,
}

struct Server {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Listeners {
    /// Listens wherever `config` says.
    pub async fn bind(config: &Config) -> Result<Listeners, ServeError> {
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
        Ok(Listeners { public, peers })
    }

    /// Begins to serve `node`, and its peers where it has any.
    pub fn serve(self, config: &Config, node: &Node, peers: Option<Peers>) -> Serving {
        let end_calls = CancellationToken::new();
        let api = || grpc::api(node.service.clone(), (*node.access).clone(), end_calls.clone());
        let public = self
            .public
            .map(|listener| Server::start(listener, grpc::transport().add_service(api())));
        let door = PeerInterceptor { open: config.cluster_secret.is_some() || config.insecure };
        let peers = peers.map(|peers| InterceptedService::new(peers, door));
        let peers = self.peers.map(|listener| {
            let routes = rpc::server_builder(PEERS_KEEP_ALIVE).add_service(api());
            Server::start(listener, routes.add_optional_service(peers))
        });
        Serving { public, peers, end_calls }
    }
}

/// Who may knock as a peer at all. Who is one, the peers' service finds out.
#[derive(Clone, Copy)]
struct PeerInterceptor {
    /// A secret is asked for behind it, or the operator wants none.
    open: bool,
}

impl Interceptor for PeerInterceptor {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let local = request.remote_addr().is_some_and(|addr| {
            // `::ffff:127.0.0.1` is this machine too.
            addr.ip().to_canonical().is_loopback()
        });
        if self.open || local {
            return Ok(request);
        }
        Err(Status::permission_denied(
            "this node has no cluster secret and takes peers on its own machine only; set the \
             same SIDECAR_CLUSTER_SECRET (or SIDECAR_CLUSTER_SECRET_FILE) on each node, or \
             SIDECAR_INSECURE=true",
        ))
    }
}

impl Server {
    fn start(listener: TcpListener, routes: Router) -> Server {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = routes.serve_with_incoming_shutdown(grpc::incoming(listener), stopped);
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "gRPC listener failed");
            }
        });
        Server { stop, task: AbortOnDropHandle::new(task) }
    }

    /// Takes no more calls, and gives those under way `patience`.
    async fn stop(self, patience: Duration) {
        self.stop.cancel();
        // Dropping the task breaks what is left.
        let _ = tokio::time::timeout(patience, self.task).await;
    }
}

impl Serving {
    /// Finishes what programs have under way. On the peers' address their
    /// calls end too, but new ones still reach the store, which refuses them.
    pub async fn stop_public(&mut self) {
        self.end_calls.cancel();
        if let Some(server) = self.public.take() {
            server.stop(DRAIN_PUBLIC).await;
        }
    }

    /// Leaves the cluster's network; nothing that needs it may follow.
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

    fn admits(open: bool, from: Option<&str>) -> bool {
        let mut request = Request::new(());
        let remote_addr = from.map(|ip| (ip.parse::<std::net::IpAddr>().unwrap(), 1).into());
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        PeerInterceptor { open }.call(request).is_ok()
    }

    #[test]
    fn without_a_secret_only_this_machine_may_knock_as_a_peer() {
        for here in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert!(admits(false, Some(here)), "{here}");
        }
        for away in ["192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7"] {
            assert!(!admits(false, Some(away)), "{away}");
            assert!(admits(true, Some(away)), "{away}");
        }
        assert!(!admits(false, None), "from nowhere");
    }
}
