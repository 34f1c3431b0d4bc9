//! The composition root: builds store, service and listeners from the
//! configuration, runs them until told to stop, and stops them in order. What
//! each part does is its own.
//!
//! The order of stopping: no new requests, those under way finish, the store
//! closes (a leader hands over first), and the peers' listener goes last,
//! because all of that needs the other nodes.

mod file_limit;
mod grpc;
mod listen;
mod stores;
pub mod transfer;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::access::{self, Access};
use crate::api::{self, http, mcp};
use crate::config::{Backend, Config};
use crate::limits::Limits;
use crate::service::{self, Service};
use crate::store::Store;
use crate::store::raft::membership::view::Expelled;
use crate::sweep;
use listen::bind;
pub use stores::OpenError;

/// For handing leadership over and syncing.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Why a node did not start, or did not stop well. One line for people.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{setting}: cannot listen on {address}: {cause}")]
    Listen { setting: &'static str, address: String, cause: std::io::Error },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("signals cannot be caught: {0}")]
    Signals(#[source] std::io::Error),
    #[error("the listener failed: {0}")]
    Listener(#[source] std::io::Error),
    #[error("standard input and output: {0}")]
    Stdio(#[source] std::io::Error),
    /// The cluster goes on without this node, and not because it was told to.
    #[error("SIDECAR_DATA_DIR: {0}")]
    Expelled(Expelled),
    #[error("stopped a second time, before the first had finished")]
    Impatient,
}

/// Serves HTTP, and gRPC where it is configured, until SIGTERM or SIGINT.
///
/// # Errors
/// The node cannot start; or it was told a second time to stop.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let stop = stop_signal()?;
    // All addresses before anything else: a port that is taken is the
    // commonest mistake, and nothing has been changed yet.
    let http = bind("SIDECAR_PORT", &config.host, config.port).await?;
    let grpc = grpc::Listeners::bind(&config).await?;
    let opened = stores::open(&config).await?;
    let node = Node::new(&config, opened.store, stop.clone());
    let mut grpc = grpc.serve(&config, &node, opened.peers);
    let expulsion = watch_expulsion(opened.expelled, stop.clone());
    let expulsion = AbortOnDropHandle::new(tokio::spawn(expulsion));
    announce(&config, &http);
    let options = mcp::endpoint::Options { shutdown: stop.clone(), ..Default::default() };
    let routes = api::routes(&node.service, Access::clone(&node.access), options);
    let served = http::serve(http, routes, node.http.clone(), stop.clone());
    let served = AbortOnDropHandle::new(tokio::spawn(served));
    let work = async {
        let served = flatten(served.await);
        grpc.stop_public().await;
        node.close().await;
        grpc.stop_peers().await;
        served.map_err(ServeError::Listener)?;
        match expulsion.now_or_never() {
            // A removal is an order like any other, and done.
            Some(Ok(Expelled::Removed)) | Some(Err(_)) | None => Ok(()),
            Some(Ok(why @ Expelled::Wiped)) => Err(ServeError::Expelled(why)),
        }
    };
    until_impatient(work, stop).await
}

/// Stops the node once its cluster goes on without it.
async fn watch_expulsion(
    expelled: Option<watch::Receiver<Option<Expelled>>>,
    stop: CancellationToken,
) -> Expelled {
    let Some(mut expelled) = expelled else { return std::future::pending().await };
    let told = expelled.wait_for(Option::is_some).await.ok().and_then(|why| *why);
    match told {
        Some(why) => {
            stop.cancel();
            why
        }
        // The store has closed, and nobody is left to be expelled.
        None => std::future::pending().await,
    }
}

/// Speaks MCP on standard input and output until the client hangs up or
/// SIGTERM or SIGINT comes.
///
/// # Errors
/// The store cannot be opened, or the client does not speak MCP.
pub async fn stdio(config: Config) -> Result<(), ServeError> {
    let stop = stop_signal()?;
    let opened = stores::open(&config).await?;
    let node = Node::new(&config, opened.store, stop.clone());
    let work = async {
        let served = mcp::serve_stdio(node.service.clone(), stop.clone()).await;
        node.close().await;
        served.map_err(ServeError::Stdio)
    };
    until_impatient(work, stop.clone()).await
}

/// What every interface shares.
struct Node {
    service: Service,
    access: Arc<Access>,
    store: Arc<dyn Store>,
    /// How callers' connections are treated.
    http: http::Options,
    sweep: JoinHandle<()>,
}

impl Node {
    fn new(config: &Config, store: Arc<dyn Store>, stop: CancellationToken) -> Node {
        let limits = Limits { value_bytes_max: config.value_bytes_max };
        let mut options = service::Options { limits, stop, ..service::Options::default() };
        let mut http = http::Options::default();
        file_limit::fit(&mut options, &mut http);
        let service = Service::new(store.clone(), options);
        let access = Arc::new(Access::new(access::Options {
            token: config.token.clone(),
            admin_token: config.admin_token.clone(),
            insecure: config.insecure,
            hosts: config.allowed_hosts.clone(),
            origins: config.allowed_origins.clone(),
        }));
        let sweep = tokio::spawn(sweep::run(store.clone(), sweep::Options::default()));
        Node { service, access, store, http, sweep }
    }

    async fn close(&self) {
        self.sweep.abort();
        if tokio::time::timeout(CLOSE_PATIENCE, self.store.close()).await.is_err() {
            tracing::warn!("the store did not close in time; it recovers at the next start");
        }
    }
}

/// What a person who has just started the node wants to know.
fn announce(config: &Config, http: &TcpListener) {
    let port = http.local_addr().map_or(config.port, |address| address.port());
    let backend = config.state_backend.as_str();
    match config.state_backend {
        Backend::Sqlite => {
            let file = config.db_path.display();
            tracing::info!(backend, %file, host = config.host, port, path = "/mcp", "serving MCP");
        }
        Backend::Memory | Backend::Redis => {
            tracing::info!(backend, host = config.host, port, path = "/mcp", "serving MCP");
        }
        Backend::Raft => {
            let node = config.node_id;
            tracing::info!(backend, node, host = config.host, port, path = "/mcp", "serving MCP");
        }
    }
    if config.refuses_strangers() {
        tracing::info!("callers beyond this machine are refused until SIDECAR_TOKEN is set");
    }
    if config.insecure {
        tracing::warn!("SIDECAR_INSECURE: callers and peers are served without token and secret");
    }
}

/// Cancelled by the first SIGTERM or SIGINT.
fn stop_signal() -> Result<CancellationToken, ServeError> {
    let stop = CancellationToken::new();
    let (cancel, mut signals) = (stop.clone(), Signals::listen()?);
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(stop)
}

/// Does `work`; a second signal ends it at once.
async fn until_impatient(
    work: impl Future<Output = Result<(), ServeError>>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let second = async {
        stop.cancelled().await;
        // Only now: a listener of signals remembers those before its first use.
        match Signals::listen() {
            Ok(mut signals) => signals.next().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        result = work => result,
        () = second => Err(ServeError::Impatient),
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Signals, ServeError> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate()).map_err(ServeError::Signals)?,
            interrupt: signal(SignalKind::interrupt()).map_err(ServeError::Signals)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A listener that panicked is a failed one.
fn flatten(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> std::io::Result<()> {
    ended.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
}
