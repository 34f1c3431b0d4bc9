//! The listener: accepts a bounded number of connections, closes those that are
//! too slow or idle for too long, and answers every request before it ends.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::observe;

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections there may be; further ones are answered 503 and
    /// closed. This is well above the number of calls that may wait, so that those
    /// leave room for others.
    pub connections_max: usize,
    /// How long a client may take to send a request's head, and how long a
    /// connection may be idle. This is more than the 60 s for which clients commonly
    /// keep idle connections, so that the client closes them first.
    pub head_timeout: Duration,
    /// How long connections stay open after a shutdown has begun. The answer to the
    /// client's next request asks it to close the connection. Closing an idle
    /// connection at once would lose requests that are on their way.
    pub linger: Duration,
    /// How long requests in flight may take to finish after that.
    pub drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            connections_max: 8192,
            head_timeout: Duration::from_secs(75),
            linger: Duration::from_millis(500),
            drain: Duration::from_secs(10),
        }
    }
}

/// The other end of the connection on which a request came.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress {
    /// `None` if the connection does not come from a network.
    pub ip: Option<IpAddr>,
}

/// How many connections may be in the course of being refused; further ones are
/// closed without an answer.
const REFUSING_MAX: usize = 256;

/// How long a refused client may take to read the answer.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The answer to a refused client.
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain\r\ncontent-length: 49\r\nconnection: close\r\nretry-after: 1\r\n\r\n\
    the server is busy: too many connections at once\n";

/// The pause after a failed accept. Without it, running out of file descriptors
/// would become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often the samples of histograms are put into their buckets, so that they do
/// not accumulate when nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves `routes` on `listener` until `shutdown` is cancelled and the requests in
/// flight are finished, which may take up to `options.linger` and `options.drain`.
///
/// # Errors
/// The listener's socket cannot be drained at the end; a failing accept is
/// logged and tried again.
pub async fn serve(
    listener: TcpListener,
    routes: Router,
    options: Options,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(options.connections_max));
    let refusing = Arc::new(Semaphore::new(REFUSING_MAX));
    let connections = TaskTracker::new();
    let start = |stream, permit: Option<OwnedSemaphorePermit>| {
        let serving = connection(stream, routes.clone(), options.clone(), shutdown.clone());
        connections.spawn(async move {
            serving.await;
            drop(permit);
        });
    };
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            _ = upkeep.tick() => {
                observe::install().run_upkeep();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => match room.clone().try_acquire_owned() {
                Ok(permit) => start(stream, Some(permit)),
                Err(_full) => refuse(stream, &refusing),
            },
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closing the listener would reset the connections that are still in the
    // backlog.
    let backlog = listener.into_std()?;
    while let Ok((stream, _)) = backlog.accept() {
        stream.set_nonblocking(true)?;
        start(TcpStream::from_std(stream)?, None);
    }
    drop(backlog);
    connections.close();
    let patience = options.linger + options.drain;
    if tokio::time::timeout(patience, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "gave up waiting for requests to finish");
    }
    Ok(())
}

/// Tells a client why it is not served. If its connection were left in the backlog,
/// it would wait for an answer that may never come.
fn refuse(mut stream: TcpStream, refusing: &Arc<Semaphore>) {
    let Ok(permit) = refusing.clone().try_acquire_owned() else { return };
    tokio::spawn(async move {
        let answer = async {
            stream.write_all(REFUSAL).await?;
            stream.shutdown().await?;
            // A client that still sends when its connection is closed loses the
            // answer (RFC 9112, section 9.6).
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        };
        // A client that does not read the answer is gone.
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, answer).await;
        drop(permit);
    });
}

async fn connection(
    stream: TcpStream,
    routes: Router,
    options: Options,
    shutdown: CancellationToken,
) {
    // Answers are small and written whole. Waiting to fill a packet would cost tens
    // of milliseconds.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was not set");
    }
    let peer = PeerAddress { ip: stream.peer_addr().ok().map(|addr| addr.ip()) };
    let stopping = shutdown.clone();
    let service = routes
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            request.map(axum::body::Body::new)
        })
        .map_response(move |mut response: Response| {
            if stopping.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response
        });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(serving);
    let shut_down = async {
        shutdown.cancelled().await;
        tokio::time::sleep(options.linger).await;
    };
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = shut_down => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}
