//! The fast path: a plain, valid `tools/call` is answered without rmcp's
//! parsing, validation and tasks, which cost more than most tools do.
//!
//! Its conditions are sufficient, not necessary. A request that it does not
//! recognise, because it is wrong or just unusual, goes to rmcp unchanged. Once
//! a tool has started, the request can no longer be handed over. A test sends
//! the same requests by both paths and compares the answers.

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use rmcp::model::{ClientCapabilities, Implementation};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::call_result;
use super::in_flight;
use super::tools::{self, Tool, ToolResult, Toolset};
use crate::access::Caller;
use crate::api::json_rpc;
use crate::service::Service;

/// A plain call.
pub struct FastCall<'a> {
    tool: &'static Tool,
    arguments: Map<String, Value>,
    caller: Caller,
    /// The JSON text that the client sent.
    id: &'a str,
    /// Whether the result names its type.
    typed: bool,
}

/// The revisions whose clients send no `_meta` of the protocol.
const OLDER: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// The revision whose clients name it in each request.
const STATELESS: &str = "2026-07-28";

/// A number of at most this many digits is exact, and is written just as it was
/// read.
const ID_DIGITS_MAX: usize = 15;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallEnvelope<'a> {
    jsonrpc: &'a str,
    #[serde(borrow)]
    id: &'a RawValue,
    method: &'a str,
    #[serde(borrow)]
    params: CallParameters<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallParameters<'a> {
    name: &'a str,
    arguments: Option<Map<String, Value>>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<CallMeta<'a>>,
}

/// Clients add keys of their own, such as a trace's parent or a token for
/// progress, which do not matter to a call that does not wait.
#[derive(Deserialize)]
struct CallMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a str>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<ClientCapabilities>,
    #[serde(rename = "io.modelcontextprotocol/clientInfo")]
    _info: Option<Implementation>,
}

/// The call that this POST makes, if it is a plain one of an offered tool. Its
/// client can read the answer.
pub fn recognise<'a>(parts: &Parts, body: &'a Bytes, toolset: Toolset) -> Option<FastCall<'a>> {
    let headers = &parts.headers;
    if only(headers, header::CONTENT_TYPE.as_str())? != "application/json" {
        return None;
    }
    // The authorization in front has compared the host with the configured ones.
    // rmcp also refuses a host that is missing or malformed.
    only(headers, header::HOST.as_str())?.parse::<Authority>().ok()?;
    let envelope: CallEnvelope<'_> = serde_json::from_slice(body).ok()?;
    if envelope.jsonrpc != "2.0" || envelope.method != "tools/call" {
        return None;
    }
    let params = envelope.params;
    let typed = is_typed(headers, params.name, params.meta.as_ref())?;
    let tool = toolset.find(params.name)?;
    let arguments = params.arguments.unwrap_or_default();
    // A call that waits must end when its client or the server goes away. rmcp
    // does that.
    if tool.waits(&arguments) {
        return None;
    }
    let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
    Some(FastCall { tool, arguments, caller, id: plain_id(envelope.id.get())?, typed })
}

impl FastCall<'_> {
    /// Carries out the call, unless its client cancels it. Errors of a tool are
    /// results too, so there is always one.
    pub(super) async fn answer(self, service: &Service, parts: &Parts) -> Response {
        // Nothing else is worth cancelling: it is over in a moment, and done anyway.
        let begin = || in_flight::begin(service, &parts.headers, self.id);
        let result = match self.tool.grants().then(begin).flatten() {
            None => tools::call(service, &self.caller, self.tool, self.arguments).await,
            Some(cancellable) => {
                let service = service.on_behalf_of(cancellable.clone());
                let call = tools::call(&service, &self.caller, self.tool, self.arguments);
                // The cancellation is polled first, so that nothing is granted to a
                // client that has cancelled.
                tokio::select! {
                    biased;
                    () = cancellable.cancelled() => ToolResult::cancelled(self.tool.name),
                    result = call => result,
                }
            }
        };
        json_rpc::response(StatusCode::OK, call_result::answer(self.id, &result, self.typed))
    }
}

/// Whether results name their type in the client's revision; `None` unless
/// headers and body agree on a revision.
fn is_typed(headers: &HeaderMap, tool: &str, meta: Option<&CallMeta<'_>>) -> Option<bool> {
    const VERSION: &str = "mcp-protocol-version";
    match meta.and_then(|meta| Some((meta.version?, meta))) {
        None if !headers.contains_key(VERSION) => Some(false),
        None => OLDER.contains(&only(headers, VERSION)?).then_some(false),
        Some((version, meta)) => {
            let agree = version == STATELESS
                && meta.capabilities.is_some()
                && only(headers, VERSION)? == STATELESS
                && only(headers, "mcp-method")? == "tools/call"
                && only(headers, "mcp-name")? == tool;
            agree.then_some(true)
        }
    }
}

/// The value of a header that occurs exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// An id whose text rmcp would not change: a short whole number, or a string
/// without escapes.
fn plain_id(id: &str) -> Option<&str> {
    let is_plain = match id.strip_prefix('"') {
        Some(text) => !text.contains('\\'),
        None => {
            let digits = id.strip_prefix('-').unwrap_or(id);
            let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            is_whole && digits.len() <= ID_DIGITS_MAX && id != "-0"
        }
    };
    is_plain.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_rmcp_would_rewrite_are_left_to_it() {
        for plain in ["0", "-1", "999999999999999", "\"a\"", "\"\"", "\"ü\""] {
            assert_eq!(plain_id(plain), Some(plain));
        }
        for other in ["1.0", "1e2", "-0", "-", "9007199254740993", "\"\\u0061\"", "null", "[1]"] {
            assert_eq!(plain_id(other), None, "{other}");
        }
    }
}
