//! Answers over HTTP that are streams of events rather than one JSON text: who must accept
//! them, and what they keep alive.

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::StreamExt;

use super::{malformed, methods};
use crate::api::json_rpc;

/// Answers at most this long are looked at for an error about a method.
const ERROR_BYTES_MAX: u64 = 1024;

const LISTEN: &str = "subscriptions/listen";

/// The refusal of a request that only a stream can answer.
pub(super) fn refuse_without_stream(headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    let method = headers.get("mcp-method").and_then(|method| method.to_str().ok());
    if method != Some(LISTEN) {
        return None;
    }
    let why = "subscriptions/listen is answered by an event stream: the request must have \
               'Accept: application/json, text/event-stream'";
    let error = malformed::error(body, json_rpc::INVALID_REQUEST, why);
    Some(json_rpc::response(StatusCode::NOT_ACCEPTABLE, error))
}

/// Keeps `kept` for as long as the answer is under way, if it is a stream.
pub(super) fn keep_while_streaming<T: Send + 'static>(response: Response, kept: T) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| !kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    response.map(|body| {
        let kept = std::sync::Mutex::new(kept);
        Body::from_stream(body.into_data_stream().inspect(move |_| _ = &kept))
    })
}

/// Makes an error about a method readable, where the answer is one.
pub(super) async fn explained(response: Response) -> Response {
    let length = HttpBody::size_hint(response.body()).exact();
    if length.is_none_or(|length| length > ERROR_BYTES_MAX) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, ERROR_BYTES_MAX as usize).await else {
        return Response::from_parts(parts, Body::empty());
    };
    match methods::explain_answer(&body) {
        Some(answer) => Response::from_parts(parts, Body::from(answer)),
        None => Response::from_parts(parts, Body::from(body)),
    }
}
