//! The route `/mcp`: MCP's Streamable HTTP transport without server-side
//! sessions, so that any node can answer any request. It reads the body within
//! bounds, and answers plain calls by the fast path and the rest by rmcp.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures::StreamExt;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::accepted::Accepted;
use super::in_flight::{self, MessageKind};
use super::tools::{TOOLSET_HEADER, Toolset};
use super::{call_result, fast_path, malformed, streams, too_deep};
use crate::api::json_rpc;
use crate::service::Service;

/// How requests are treated.
#[derive(Clone, Debug)]
pub struct Options {
    /// The largest request, in bytes.
    pub body_bytes_max: usize,
    /// How many bytes of requests may be in memory at once. Further requests are
    /// answered 503.
    pub bodies_bytes_max: usize,
    /// How long a client may take to send a request's body.
    pub body_timeout: Duration,
    /// The tools that clients are offered, if the operator has chosen them.
    pub toolset: Option<Toolset>,
    /// Whether plain calls take the fast path. The answers are the same.
    pub fast_path: bool,
    /// Lets streamed answers end when it is cancelled.
    pub shutdown: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            body_bytes_max: 4 * 1024 * 1024,
            bodies_bytes_max: 256 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            toolset: None,
            fast_path: true,
            shutdown: CancellationToken::new(),
        }
    }
}

/// The header that names the revision of the protocol.
const PROTOCOL_VERSION: &str = "mcp-protocol-version";

/// How long a client whose request was refused for its size may pause before
/// its connection is closed.
const LINGER: Duration = Duration::from_secs(1);

/// The route `/mcp`, served by `handler` and, for plain calls, by `service` alone.
/// Expects a [`crate::access::Caller`] in each request.
pub fn routes<H>(service: Service, handler: H, options: Options) -> Router
where
    H: ServerHandler + Clone,
{
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // `http::authorization` has checked both, by the operator's lists.
        .disable_allowed_hosts()
        .disable_allowed_origins()
        // Streams end by themselves when the server stops, so that each has a last message.
        .with_max_request_body_bytes(options.body_bytes_max);
    let rmcp = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let bodies = Arc::new(Semaphore::new(options.bodies_bytes_max));
    let endpoint = Endpoint { service, rmcp, options: Arc::new(options), bodies };
    let answer = any(answer::<H>);
    Router::new().route("/mcp", answer.clone()).route("/mcp/", answer).with_state(endpoint)
}

#[derive(Clone)]
struct Endpoint<H> {
    service: Service,
    rmcp: StreamableHttpService<H, NeverSessionManager>,
    options: Arc<Options>,
    bodies: Arc<Semaphore>,
}

/// What a client can read, and which tools it is offered.
#[derive(Clone, Copy)]
struct ClientWishes {
    accepted: Accepted,
    toolset: Toolset,
}

async fn answer<H>(State(endpoint): State<Endpoint<H>>, request: Request) -> Response
where
    H: ServerHandler + Clone,
{
    if request.method() != Method::POST {
        return only_post();
    }
    let wishes = match endpoint.wishes(request.headers()) {
        Ok(wishes) => wishes,
        Err((status, why)) => return json_rpc::refusal(status, &why),
    };
    let most = endpoint.options.body_bytes_max;
    let announced = content_length(&request).unwrap_or(most);
    if announced > most {
        tokio::spawn(discard(request.into_body().into_data_stream(), most));
        return endpoint.too_large();
    }
    let Ok(mut room) = endpoint.bodies.try_acquire_many(announced.max(1) as u32) else {
        let why = "the server is busy: too many large requests at once; try again";
        return json_rpc::refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    let (parts, body) = request.into_parts();
    let reading = read(body, most);
    let body = match tokio::time::timeout(endpoint.options.body_timeout, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(BodyError::TooLarge)) => return endpoint.too_large(),
        Ok(Err(BodyError::Broken(why))) => {
            let why = format!("the request's body could not be read: {why}");
            return json_rpc::refusal(StatusCode::BAD_REQUEST, &why);
        }
        Err(_) => {
            return json_rpc::refusal(
                StatusCode::REQUEST_TIMEOUT,
                "the request's body came too slowly",
            );
        }
    };
    // What was reserved but not used is released at once, since a call may wait
    // for long. A body without an announced length reserves the most there may be.
    drop(room.split(room.num_permits().saturating_sub(body.len())));
    if let Some(response) = too_deep::refuse(&parts.headers, &body) {
        return response;
    }
    if endpoint.options.fast_path
        && let Some(call) = fast_path::recognise(&parts, &body, wishes.toolset)
    {
        return call.answer(&endpoint.service, &parts).await;
    }
    let may_be_kept = may_be_kept(&parts.headers);
    let mut response = endpoint.call_rmcp(parts, body.clone(), wishes).await;
    if may_be_kept {
        response.headers_mut().append(header::VARY, HeaderValue::from_static(TOOLSET_HEADER));
    }
    // rmcp gives this status, in plain text, also to a body that it cannot read.
    if response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE
        && let Some(error) = malformed::refuse(&body)
    {
        return json_rpc::response(StatusCode::BAD_REQUEST, error);
    }
    response
}

/// Whether a client may keep the answer, as clients of the newest revision keep lists:
/// what is listed depends on the tools that a header chooses. They name the method in
/// another header.
fn may_be_kept(headers: &HeaderMap) -> bool {
    if !call_result::is_typed(headers) {
        return false;
    }
    let method = headers.get("mcp-method").and_then(|method| method.to_str().ok());
    method.is_some_and(|method| method.ends_with("/list") || method == "server/discover")
}

/// Nothing but messages is served here: without sessions there is no stream to
/// open, and none to end.
fn only_post() -> Response {
    let why = "MCP messages are sent here by POST; this server opens no stream of its own";
    let mut response = json_rpc::refusal(StatusCode::METHOD_NOT_ALLOWED, why);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

impl<H: ServerHandler + Clone> Endpoint<H> {
    /// What the headers say about answers and tools. Refuses a client that could not read
    /// an answer, or sends no JSON.
    fn wishes(&self, headers: &HeaderMap) -> Result<ClientWishes, (StatusCode, String)> {
        let Some(accepted) = Accepted::by(headers) else {
            let why = "the answers are application/json, which the Accept header leaves out";
            return Err((StatusCode::NOT_ACCEPTABLE, why.into()));
        };
        if !malformed::is_json(headers) {
            let why = "Content-Type must be application/json";
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why.into()));
        }
        let chosen = headers.get(TOOLSET_HEADER).map(|names| names.to_str());
        let chosen = chosen.transpose().unwrap_or(Some("\u{fffd}"));
        let toolset = Toolset::offered(self.options.toolset, chosen)
            .map_err(|error| (StatusCode::BAD_REQUEST, format!("X-MCP-Toolsets: {error}")))?;
        Ok(ClientWishes { accepted, toolset })
    }

    /// Lets rmcp answer a message. If it is a call, another request may cancel it
    /// meanwhile.
    async fn call_rmcp(&self, mut parts: Parts, body: Bytes, wishes: ClientWishes) -> Response {
        if !wishes.accepted.stream
            && let Some(refusal) = streams::refuse_without_stream(&parts.headers, &body)
        {
            return refusal;
        }
        Accepted::widen(&mut parts.headers);
        parts.extensions.insert(wishes.accepted);
        parts.extensions.insert(wishes.toolset);
        let newest = || self.service.local_revision();
        let begins_after = streams::begins_after(&parts.headers, &body, newest);
        let version = parts.headers.get(PROTOCOL_VERSION).cloned();
        let kind = in_flight::track(&self.service, &parts.headers, &body);
        if let MessageKind::Call(call) = &kind {
            parts.extensions.insert(call.clone());
        }
        let response = self.rmcp(Request::from_parts(parts, Body::from(body))).await;
        let mut response = streams::explained(response, version).await;
        if let Some(revision) = begins_after {
            response = streams::acknowledged_after(response, revision);
        }
        match kind {
            MessageKind::Initialize(session) if response.status().is_success() => {
                in_flight::add_session(response.headers_mut(), session);
                response
            }
            MessageKind::Call(call) => streams::keep_while_streaming(response, call),
            MessageKind::Initialize(_) | MessageKind::Other => response,
        }
    }

    async fn rmcp(&self, request: Request) -> Response {
        self.rmcp.handle(request).await.map(Body::new).into_response()
    }

    fn too_large(&self) -> Response {
        let most = self.options.body_bytes_max;
        json_rpc::refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("a request takes up to {most} bytes"),
        )
    }
}

fn content_length(request: &Request) -> Option<usize> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

enum BodyError {
    TooLarge,
    Broken(String),
}

async fn read(body: Body, most: usize) -> Result<Bytes, BodyError> {
    let mut frames = body.into_data_stream();
    let mut parts: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| BodyError::Broken(error.to_string()))?;
        bytes += frame.len();
        if bytes > most {
            tokio::spawn(discard(frames, most));
            return Err(BodyError::TooLarge);
        }
        parts.push(frame);
    }
    // There is nearly always one frame, which then need not be copied.
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(parts.concat().into()),
    }
}

/// Reads and drops what a refused client still sends: a client that is sending
/// when its connection is closed loses the answer (RFC 9112, section 9.6). Ends
/// after `bytes_max` more bytes, or after a pause of [`LINGER`].
async fn discard(mut frames: BodyDataStream, bytes_max: usize) {
    let mut bytes = 0;
    while bytes <= bytes_max {
        match tokio::time::timeout(LINGER, frames.next()).await {
            Ok(Some(Ok(frame))) => bytes += frame.len(),
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}
