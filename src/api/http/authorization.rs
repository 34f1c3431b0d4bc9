//! The guard: applies the access policy to each request, and says no in a
//! form that both people and MCP clients can read.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

use super::Peer;
use crate::access::{Access, Denied, FORWARDED_HEADERS, RequestOrigin};

/// Lets a request through with its [`crate::access::Caller`], or answers 401
/// or 403.
pub async fn admit(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let visitor = RequestOrigin {
        peer: request.extensions().get::<Peer>().and_then(|peer| peer.ip),
        forwarded: FORWARDED_HEADERS.iter().any(|name| headers.contains_key(*name)),
        authorization: text(headers, header::AUTHORIZATION.as_str()),
        host: authority.or_else(|| text(headers, header::HOST.as_str())),
        origin: text(headers, header::ORIGIN.as_str()),
    };
    match access.admit(visitor) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denied) => denial(&denied),
    }
}

/// A header's text. What is no text, or given twice, fits nothing.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    match values.next() {
        None => Some(value.to_str().unwrap_or("\u{fffd}")),
        Some(_) => Some("\u{fffd}"),
    }
}

fn denial(denied: &Denied) -> Response {
    match denied {
        Denied::Unauthenticated(why) => {
            let mut response = refusal(StatusCode::UNAUTHORIZED, why);
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
        Denied::Forbidden(why) => refusal(StatusCode::FORBIDDEN, why),
    }
}

/// A JSON-RPC error without an id, as MCP has it for requests that are turned
/// away before they are read.
fn refusal(status: StatusCode, why: &str) -> Response {
    const INVALID_REQUEST: i32 = -32600;
    let error = json!({"code": INVALID_REQUEST, "message": why});
    let body = json!({"jsonrpc": "2.0", "id": null, "error": error});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
