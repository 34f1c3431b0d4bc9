//! `serve` and `stdio`: a node from its start to its stop.

use std::future::pending;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::error::ServeError;
use super::grpc::GrpcListeners;
use super::listen::bind;
use super::node::RunningNode;
use super::signals::StopSignals;
use super::stores;
use crate::access::Access;
use crate::api::{self, http, mcp};
use crate::config::{Backend, Config};
use crate::store::raft::membership::view::Expelled;

/// Serves HTTP, and gRPC where it is configured, until SIGTERM or SIGINT.
///
/// # Errors
/// The node cannot start, or a second signal stopped it before it had finished.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let stop = stop_at_signal()?;
    // Addresses come first: a port that is taken is the most common mistake, and nothing
    // has been changed yet.
    let http = bind("SIDECAR_PORT", &config.host, config.port).await?;
    let grpc = GrpcListeners::bind(&config).await?;
    let opened = stores::open(&config).await?;
    let node = RunningNode::new(&config, opened.store, stop.clone());
    let mut grpc = grpc.serve(&config, &node, opened.peers);
    let expulsion = watch_expulsion(opened.expelled, stop.clone());
    let expulsion = AbortOnDropHandle::new(tokio::spawn(expulsion));
    log_start(&config, &http);
    let options = mcp::endpoint::Options {
        toolset: config.tools,
        shutdown: stop.clone(),
        ..Default::default()
    };
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
            // An operator removed the node on purpose, so stopping is no failure.
            Some(Ok(Expelled::Removed)) | Some(Err(_)) | None => Ok(()),
            Some(Ok(why @ Expelled::Wiped)) => Err(ServeError::Expelled(why)),
        }
    };
    until_second_signal(work, stop).await
}

/// Speaks MCP on standard input and output until the client hangs up, or until SIGTERM
/// or SIGINT.
///
/// # Errors
/// The store cannot be opened, or the client does not speak MCP.
pub async fn stdio(config: Config) -> Result<(), ServeError> {
    let stop = stop_at_signal()?;
    let opened = stores::open(&config).await?;
    let node = RunningNode::new(&config, opened.store, stop.clone());
    let toolset = config.tools.unwrap_or_default();
    let work = async {
        let served = mcp::serve_stdio(node.service.clone(), toolset, stop.clone()).await;
        node.close().await;
        served.map_err(ServeError::Stdio)
    };
    until_second_signal(work, stop.clone()).await
}

/// Stops the node once its cluster goes on without it, and returns the reason.
async fn watch_expulsion(
    expelled: Option<watch::Receiver<Option<Expelled>>>,
    stop: CancellationToken,
) -> Expelled {
    let Some(mut expelled) = expelled else { return pending().await };
    let reason = expelled.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
    // Without a reason the store has closed, and there is nothing left to expel.
    let Some(reason) = reason else { return pending().await };
    stop.cancel();
    reason
}

/// Logs what a person who has just started the node wants to know.
fn log_start(config: &Config, http: &TcpListener) {
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
    if config.refuses_remote_callers() {
        tracing::info!("callers on other machines are refused until SIDECAR_TOKEN is set");
    }
    if config.insecure {
        tracing::warn!("SIDECAR_INSECURE: callers and peers are served without token or secret");
    }
}

/// A token that the first SIGTERM or SIGINT cancels.
fn stop_at_signal() -> Result<CancellationToken, ServeError> {
    let stop = CancellationToken::new();
    let mut signals = StopSignals::listen().map_err(ServeError::Signals)?;
    let cancel = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping");
        cancel.cancel();
    });
    Ok(stop)
}

/// Does `work`, unless a second signal ends it at once.
async fn until_second_signal(
    work: impl Future<Output = Result<(), ServeError>>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let second = async {
        stop.cancelled().await;
        // A listener that existed before the first signal would report that one.
        match StopSignals::listen() {
            Ok(mut signals) => signals.next().await,
            Err(_) => pending().await,
        }
    };
    tokio::select! {
        result = work => result,
        () = second => Err(ServeError::StoppedTwice),
    }
}

/// A listener that panicked has failed too.
fn flatten(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> std::io::Result<()> {
    ended.unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
}
