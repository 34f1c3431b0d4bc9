//! Authorization over HTTP: applies the access policy to each request, and
//! refuses in a form that both people and MCP clients can read.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::connections::PeerAddress;
use crate::access::{Access, Denied, FORWARDED_HEADERS, RequestOrigin};
use crate::api::json_rpc;

/// Passes on a request with its [`crate::access::Caller`], or answers 401 or 403.
pub async fn admit(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let origin = RequestOrigin {
        peer: request.extensions().get::<PeerAddress>().and_then(|peer| peer.ip),
        forwarded: FORWARDED_HEADERS.iter().any(|name| headers.contains_key(*name)),
        authorization: text(headers, header::AUTHORIZATION.as_str()),
        host: authority.or_else(|| text(headers, header::HOST.as_str())),
        origin: text(headers, header::ORIGIN.as_str()),
    };
    match access.admit(origin) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denied) => denial(&denied),
    }
}

/// A header's text. A header that is not text, or is given twice, gives a text
/// that matches nothing.
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
            let mut response = json_rpc::refusal(StatusCode::UNAUTHORIZED, why);
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
        Denied::Forbidden(why) => json_rpc::refusal(StatusCode::FORBIDDEN, why),
    }
}
