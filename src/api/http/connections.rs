//! The listener: accepts a bounded number of connections, closes those that
//! dawdle, and on shutdown leaves no request unanswered.

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
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::observe;

/// How connections are treated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once; more are answered 503 and closed. Well above the
    /// number of calls that may wait, so that there is room for others besides.
    pub connections_max: usize,
    /// How long a client may take to send a request's head, and how long a
    /// connection may lie idle. Above the 60 s for which clients commonly keep
    /// idle connections.
    pub head_timeout: Duration,
    /// How long after a shutdown began connections are kept for the client's
    /// next request, whose answer then asks the client to close. Cutting an idle
    /// connection at once would meet requests that are on their way.
    pub linger: Duration,
    /// How long requests under way may take to finish after that.
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
pub struct Peer {
    /// Nothing where it is not a network's.
    pub ip: Option<IpAddr>,
}

/// Connections that are turned away at once; more are closed without a word.
const TURNED_AWAY_MAX: usize = 256;

/// How long one that is turned away may take to read why.
const FAREWELL: Duration = Duration::from_secs(1);

/// What it is told.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain\r\ncontent-length: 49\r\nconnection: close\r\nretry-after: 1\r\n\r\n\
    the server is busy: too many connections at once\n";

/// Pause after a failed accept: running out of file descriptors would
/// otherwise turn into a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often samples of histograms are put into their buckets, so that they do
/// not pile up where nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves `routes` on `listener` until `shutdown` is cancelled and requests
/// under way are done, `options.linger` and `options.drain` at most.
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
    let door = Arc::new(Semaphore::new(TURNED_AWAY_MAX));
    let connections = TaskTracker::new();
    let start = |stream, place: Option<Place>| {
        let serving = connection(stream, routes.clone(), options.clone(), shutdown.clone());
        connections.spawn(async move {
            serving.await;
            drop(place);
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
                Ok(place) => start(stream, Some(place)),
                Err(_full) => turn_away(stream, &door),
            },
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closing the listener resets what the backlog holds.
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

type Place = tokio::sync::OwnedSemaphorePermit;

/// Tells a client why it is not served. Left in the backlog it would wait for an
/// answer that may never come.
fn turn_away(mut stream: TcpStream, door: &Arc<Semaphore>) {
    let Ok(place) = door.clone().try_acquire_owned() else { return };
    tokio::spawn(async move {
        let farewell = async {
            stream.write_all(TURNED_AWAY).await?;
            stream.shutdown().await?;
            // A client that still sends when its connection is closed loses the
            // answer (RFC 9112, section 9.6).
            tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
        };
        // Whoever does not read it has gone.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        drop(place);
    });
}

async fn connection(
    stream: TcpStream,
    routes: Router,
    options: Options,
    shutdown: CancellationToken,
) {
    // Answers are small and written whole: waiting to fill a packet costs
    // tens of milliseconds.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was not set");
    }
    let peer = Peer { ip: stream.peer_addr().ok().map(|addr| addr.ip()) };
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
    let idled = async {
        shutdown.cancelled().await;
        tokio::time::sleep(options.linger).await;
    };
    let result = tokio::select! {
        result = serving.as_mut() => result,
        () = idled => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}
