//! `/mcp`: MCP's Streamable HTTP transport without keeping sessions, so that any
//! node answers any request. Reads the body within bounds and hands it to the fast
//! lane, which hands what it does not know to rmcp.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::in_flight::{self, InFlightCalls, MessageKind};
use super::{Handler, fast_path, malformed, too_deep};
use crate::service::Service;

/// How requests are treated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Largest request, in bytes.
    pub body_bytes_max: usize,
    /// Bytes of requests held at once; more are answered 503.
    pub bodies_bytes_max: usize,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// Whether plain calls take the fast lane; the answers are the same.
    pub fast_lane: bool,
    /// Ends answers that are streamed.
    pub shutdown: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            body_bytes_max: 4 * 1024 * 1024,
            bodies_bytes_max: 256 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            fast_lane: true,
            shutdown: CancellationToken::new(),
        }
    }
}

/// How long a client whose request was refused for its size may pause before
/// its connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The route `/mcp`. Expects a [`crate::access::Caller`] in each request.
pub fn routes(service: Service, options: Options) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // The guard in front has checked both, by the operator's lists.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(options.body_bytes_max)
        .with_cancellation_token(options.shutdown.clone());
    let handler = Handler::new(service.clone());
    let rmcp = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let bodies = Arc::new(Semaphore::new(options.bodies_bytes_max));
    let underway = InFlightCalls::default();
    let endpoint = Endpoint { service, rmcp, options: Arc::new(options), bodies, underway };
    Router::new().route("/mcp", any(answer)).with_state(endpoint)
}

#[derive(Clone)]
struct Endpoint {
    service: Service,
    rmcp: StreamableHttpService<Handler, NeverSessionManager>,
    options: Arc<Options>,
    bodies: Arc<Semaphore>,
    underway: InFlightCalls,
}

async fn answer(State(endpoint): State<Endpoint>, request: Request) -> Response {
    if request.method() != Method::POST {
        return endpoint.rmcp(request).await;
    }
    let most = endpoint.options.body_bytes_max;
    let announced = content_length(&request).unwrap_or(most);
    if announced > most {
        tokio::spawn(discard(request.into_body().into_data_stream(), most));
        return endpoint.too_large();
    }
    let Ok(mut room) = endpoint.bodies.try_acquire_many(announced.max(1) as u32) else {
        let why = "the server is busy: too many large requests at once; try again";
        return refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let (parts, body) = request.into_parts();
    let reading = read(body, most);
    let body = match tokio::time::timeout(endpoint.options.body_timeout, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(Unread::TooLarge)) => return endpoint.too_large(),
        Ok(Err(Unread::Broken(why))) => {
            let why = format!("the request's body could not be read: {why}");
            return refusal(StatusCode::BAD_REQUEST, &why);
        }
        Err(_) => {
            return refusal(StatusCode::REQUEST_TIMEOUT, "the request's body came too slowly");
        }
    };
    // Calls may wait for long, and without an announced length the most that a
    // body can be is booked.
    drop(room.split(room.num_permits().saturating_sub(body.len())));
    if let Some(response) = too_deep::refuse(&parts.headers, &body) {
        return response;
    }
    if endpoint.options.fast_lane
        && let Some(call) = fast_path::recognise(&parts, &body)
    {
        return call.answer(&endpoint.service).await;
    }
    let is_json = malformed::is_json(&parts.headers);
    let response = endpoint.carry(parts, body.clone()).await;
    // rmcp says this in plain text of a body that it could not read, too.
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE
        && is_json
        && let Some(error) = malformed::refuse(&body)
    {
        return too_deep::response(StatusCode::BAD_REQUEST, error);
    }
    response
}

impl Endpoint {
    /// PoolWorker a message to rmcp. The call that it may be can be cancelled from
    /// elsewhere meanwhile.
    async fn carry(&self, mut parts: Parts, body: Bytes) -> Response {
        let noted = self.underway.note(&parts.headers, &body);
        if let MessageKind::Call(call) = &noted {
            parts.extensions.insert(call.cancelled.clone());
        }
        let mut response = self.rmcp(Request::from_parts(parts, Body::from(body))).await;
        if let MessageKind::Introduction(session) = noted
            && response.status().is_success()
        {
            in_flight::add_session(response.headers_mut(), session);
        }
        response
    }

    async fn rmcp(&self, request: Request) -> Response {
        self.rmcp.handle(request).await.map(Body::new).into_response()
    }

    fn too_large(&self) -> Response {
        let most = self.options.body_bytes_max;
        refusal(StatusCode::PAYLOAD_TOO_LARGE, &format!("a request takes up to {most} bytes"))
    }
}

fn content_length(request: &Request) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

enum Unread {
    TooLarge,
    Broken(String),
}

async fn read(body: Body, most: usize) -> Result<Bytes, Unread> {
    let mut frames = body.into_data_stream();
    let mut parts: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| Unread::Broken(error.to_string()))?;
        bytes += frame.len();
        if bytes > most {
            tokio::spawn(discard(frames, most));
            return Err(Unread::TooLarge);
        }
        parts.push(frame);
    }
    // Nearly always one frame, which then need not be copied.
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(parts.concat().into()),
    }
}

/// A client that still sends when its connection is closed loses the answer
/// (RFC 9112, section 9.6), so what comes is read for a while: up to
/// `bytes_most` more, with pauses of [`LINGER`] at most.
async fn discard(mut frames: BodyDataStream, bytes_most: usize) {
    let mut bytes = 0;
    while bytes <= bytes_most {
        match tokio::time::timeout(LINGER, frames.next()).await {
            Ok(Some(Ok(frame))) => bytes += frame.len(),
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}

/// A JSON-RPC error without an id: the request was not read.
fn refusal(status: StatusCode, why: &str) -> Response {
    const INVALID_REQUEST: i32 = -32600;
    let error = json!({"code": INVALID_REQUEST, "message": why});
    let body = json!({"jsonrpc": "2.0", "id": null, "error": error}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
