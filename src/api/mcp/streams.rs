//! Answers over HTTP as rmcp gives them: streams of events, who must accept them, what they
//! keep alive, and from where they can be continued; and errors, in the form that they
//! should have.

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use rmcp::model::ProtocolVersion;
use serde_json::Value;

use super::subscriptions::REVISION;
use super::tools::shortened;
use super::{malformed, methods};
use crate::api::json_rpc;
use crate::machine::Revision;

/// Answers at most this long are looked at for an error that can be put better.
const ERROR_BYTES_MAX: u64 = 1024;

const LISTEN: &str = "subscriptions/listen";

fn listens(headers: &HeaderMap) -> bool {
    headers.get("mcp-method").is_some_and(|method| method == LISTEN)
}

/// The refusal of a request that only a stream can answer.
pub(super) fn refuse_without_stream(headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    if !listens(headers) {
        return None;
    }
    let why = "subscriptions/listen is answered by an event stream: the request must have \
               'Accept: application/json, text/event-stream'";
    let error = malformed::error(body, json_rpc::INVALID_REQUEST, why);
    Some(json_rpc::response(StatusCode::NOT_ACCEPTABLE, error))
}

/// The revision after which a subscription tells of changes, if the request asks for one:
/// the one that it names, or else the newest, which is read before the subscription begins.
pub(super) fn begins_after(
    headers: &HeaderMap,
    body: &[u8],
    newest: impl FnOnce() -> Revision,
) -> Option<Revision> {
    if !listens(headers) {
        return None;
    }
    let request: Value = serde_json::from_slice(body).ok()?;
    Some(request["params"]["_meta"][REVISION].as_u64().map_or_else(newest, Revision))
}

/// Puts this revision into the acknowledgement of a subscription, which rmcp writes. So a
/// client whose connection breaks before there was a change knows where to go on as well.
pub(super) fn acknowledged_after(response: Response, revision: Revision) -> Response {
    if !is_stream(&response) {
        return response;
    }
    let mut to_come = Some(revision);
    response.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |frame| {
            let frame = frame?;
            let acknowledgement = to_come.and_then(|revision| with_revision(&frame, revision));
            if acknowledgement.is_some() {
                to_come = None;
            }
            Ok::<_, axum::Error>(acknowledgement.unwrap_or(frame))
        }))
    })
}

/// The event with the revision in it, if it is the acknowledgement of a subscription.
fn with_revision(event: &Bytes, revision: Revision) -> Option<Bytes> {
    let data = event.strip_prefix(b"data:")?;
    let mut message: Value = serde_json::from_slice(data).ok()?;
    if message["method"] != "notifications/subscriptions/acknowledged" {
        return None;
    }
    message["params"]["_meta"][REVISION] = revision.0.into();
    Some(format!("data: {message}\n\n").into())
}

/// Keeps `kept` for as long as the answer is under way, if it is a stream.
pub(super) fn keep_while_streaming<T: Send + 'static>(response: Response, kept: T) -> Response {
    if !is_stream(&response) {
        return response;
    }
    response.map(|body| {
        let kept = std::sync::Mutex::new(kept);
        Body::from_stream(body.into_data_stream().inspect(move |_| _ = &kept))
    })
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Puts an error of rmcp's better: it has the form of JSON-RPC and an id, tells which
/// revisions there are if the client's (`version`) is not one of them, and more about a
/// method that is not there than its name.
pub(super) async fn explained(response: Response, version: Option<HeaderValue>) -> Response {
    let length = HttpBody::size_hint(response.body()).exact();
    if length.is_none_or(|length| length > ERROR_BYTES_MAX) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, ERROR_BYTES_MAX as usize).await else {
        return Response::from_parts(parts, Body::empty());
    };
    if parts.status.is_client_error() && !parts.headers.contains_key(header::CONTENT_TYPE) {
        let why = version.as_ref().and_then(refused_version);
        let why = why.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        return json_rpc::refusal(parts.status, &why);
    }
    let better = match parts.status.is_client_error() {
        true => with_id(&body).or_else(|| methods::explain_answer(&body)),
        false => methods::explain_answer(&body),
    };
    match better {
        Some(answer) => Response::from_parts(parts, Body::from(answer)),
        None => Response::from_parts(parts, Body::from(body)),
    }
}

/// Why a client is refused that names this revision of the protocol.
fn refused_version(version: &HeaderValue) -> Option<String> {
    let known = ProtocolVersion::KNOWN_VERSIONS;
    if known.iter().any(|known| version == known.as_str()) {
        return None;
    }
    let known: Vec<&str> = known.iter().map(ProtocolVersion::as_str).collect();
    let got = String::from_utf8_lossy(version.as_bytes());
    let (got, known) = (shortened(&got), known.join(", "));
    Some(format!("MCP-Protocol-Version: got '{got}', expected one of {known}"))
}

/// The same error with an id, which JSON-RPC demands, if it has none.
fn with_id(error: &[u8]) -> Option<String> {
    let error: Value = serde_json::from_slice(error).ok()?;
    if error.get("id").is_some() {
        return None;
    }
    let code = error["error"]["code"].as_i64().and_then(|code| i32::try_from(code).ok())?;
    Some(json_rpc::error(None, code, error["error"]["message"].as_str()?))
}
