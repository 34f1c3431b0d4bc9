//! Requests that nest deeper than the parser follows. They are read without
//! recursion, just far enough to answer them by their id.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json_rpc;
use super::tools::{self, ToolResult};
use crate::limits;
use crate::service::ServiceError;

/// How deep a request may nest, as serde_json follows it.
const REQUEST_DEPTH_MAX: usize = 127;

/// Of these, what the request itself takes around an argument.
const ENVELOPE_DEPTH: usize = 3;

/// Begins the names that serde_json keeps for itself: an object with such a
/// member would come out as something else than it went in.
const RESERVED: &[u8] = b"$serde_json::private::";

#[derive(Deserialize)]
struct ShallowEnvelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params {
    name: String,
}

/// An answer to a request that must not be parsed, or nothing.
pub(super) fn refuse(headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    let deep = limits::depth(body);
    let why = if deep > REQUEST_DEPTH_MAX {
        let most = REQUEST_DEPTH_MAX - ENVELOPE_DEPTH;
        let got = deep.saturating_sub(ENVELOPE_DEPTH);
        format!("arguments may nest {most} deep, got {got}")
    } else {
        reserved(body)?.to_string()
    };
    let Ok(envelope) = serde_json::from_slice::<ShallowEnvelope<'_>>(body) else {
        return Some(response(
            StatusCode::BAD_REQUEST,
            json_rpc::error(None, json_rpc::PARSE_ERROR, &why),
        ));
    };
    let id = envelope.id.map(RawValue::get);
    let tool = envelope
        .params
        .filter(|_| envelope.method == "tools/call")
        .and_then(|params| serde_json::from_str::<Params>(params.get()).ok())
        .and_then(|params| tools::find(&params.name));
    Some(match (tool, id) {
        (Some(tool), Some(id)) => {
            let result = ToolResult::failed(tool.name, &ServiceError::invalid(why));
            let body = json_rpc::result(id, &result, json_rpc::is_typed(headers));
            response(StatusCode::OK, body)
        }
        _ => {
            response(StatusCode::BAD_REQUEST, json_rpc::error(id, json_rpc::INVALID_REQUEST, &why))
        }
    })
}

/// Why a message with a reserved name must not be parsed.
pub(super) fn reserved(body: &[u8]) -> Option<&'static str> {
    let is_there = body.windows(RESERVED.len()).any(|window| window == RESERVED);
    is_there.then_some("names that begin with '$serde_json::private::' are reserved")
}

pub(super) fn response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
