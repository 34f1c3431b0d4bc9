//! Requests that serde_json must not parse: those that nest too deep, and those
//! with names that it reserves. They are read without recursion, just far enough
//! to answer them under their id.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::call_result;
use super::tools::{self, ToolResult};
use crate::api::json_rpc;
use crate::limits;
use crate::service::ServiceError;

/// How deep a request may nest: serde_json fails on deeper ones.
const REQUEST_DEPTH_MAX: usize = 127;

/// How much of that depth the request itself uses around an argument.
const ENVELOPE_DEPTH: usize = 3;

/// The beginning of the names that serde_json uses internally. An object with
/// such a member would be stored as something else than was sent.
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
struct ToolName {
    name: String,
}

/// The answer to a request that must not be parsed; `None` for any other.
pub(super) fn refuse(headers: &HeaderMap, body: &[u8]) -> Option<Response> {
    let depth = limits::depth(body);
    let why = if depth > REQUEST_DEPTH_MAX {
        let most = REQUEST_DEPTH_MAX - ENVELOPE_DEPTH;
        let got = depth.saturating_sub(ENVELOPE_DEPTH);
        format!("arguments may nest {most} deep, got {got}")
    } else {
        reserved(body)?.to_string()
    };
    let Ok(envelope) = serde_json::from_slice::<ShallowEnvelope<'_>>(body) else {
        let error = json_rpc::error(None, json_rpc::PARSE_ERROR, &why);
        return Some(json_rpc::response(StatusCode::BAD_REQUEST, error));
    };
    let id = envelope.id.map(RawValue::get);
    let tool = envelope
        .params
        .filter(|_| envelope.method == "tools/call")
        .and_then(|params| serde_json::from_str::<ToolName>(params.get()).ok())
        .and_then(|params| tools::find(&params.name));
    Some(match (tool, id) {
        (Some(tool), Some(id)) => {
            let result = ToolResult::failed(tool.name, &ServiceError::invalid(why));
            let answer = call_result::answer(id, &result, call_result::is_typed(headers));
            json_rpc::response(StatusCode::OK, answer)
        }
        _ => {
            let error = json_rpc::error(id, json_rpc::INVALID_REQUEST, &why);
            json_rpc::response(StatusCode::BAD_REQUEST, error)
        }
    })
}

/// Why a message must not be parsed, if it contains a reserved name.
pub(super) fn reserved(body: &[u8]) -> Option<&'static str> {
    let is_there = body.windows(RESERVED.len()).any(|window| window == RESERVED);
    is_there.then_some("names that begin with '$serde_json::private::' are reserved")
}
