//! JSON-RPC errors, as text and as HTTP responses, in the form in which rmcp
//! writes them.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

pub(super) const PARSE_ERROR: i32 = -32700;
pub(super) const INVALID_REQUEST: i32 = -32600;

/// A JSON-RPC error about the request `id` (JSON text), or about one whose id
/// is not known.
pub(super) fn error(id: Option<&str>, code: i32, message: &str) -> String {
    let id = id.unwrap_or("null");
    let message = serde_json::Value::from(message);
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":{message}}}}}"
    )
}

/// An HTTP response with a JSON body.
pub(super) fn response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// The refusal of a request that was not read, so that its id is not known.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    response(status, error(None, INVALID_REQUEST, why))
}
