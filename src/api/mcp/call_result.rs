//! The answer to `tools/call`: as text, in the form in which rmcp writes it, and as rmcp
//! has it.

use axum::http::HeaderMap;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use super::tools::{ToolResult, push_string};

/// From this revision of the protocol on, results name their type.
pub(super) const TYPED_FROM: &str = "2026-07-28";

/// Whether the client speaks a revision in which results name their type.
pub(super) fn is_typed(headers: &HeaderMap) -> bool {
    let version = headers.get("mcp-protocol-version").and_then(|value| value.to_str().ok());
    version.is_some_and(|version| version >= TYPED_FROM)
}

/// The answer to the call `id` (JSON text).
pub(super) fn answer(id: &str, result: &ToolResult, typed: bool) -> String {
    const AROUND_BYTES: usize = 160;
    let text = result.text();
    // Quotes in the text are escaped, so it grows by about a quarter.
    let bytes = AROUND_BYTES + id.len() + result.structured.len() + text.len() + text.len() / 4;
    let mut out = String::with_capacity(bytes);
    out.push_str("{\"jsonrpc\":\"2.0\",\"id\":");
    out.push_str(id);
    out.push_str(",\"result\":{");
    if typed {
        out.push_str("\"resultType\":\"complete\",");
    }
    out.push_str("\"content\":[{\"type\":\"text\",\"text\":");
    push_string(&mut out, text);
    out.push_str("}],\"structuredContent\":");
    out.push_str(&result.structured);
    out.push_str(",\"isError\":");
    out.push_str(if result.error.is_some() { "true" } else { "false" });
    out.push_str("}}");
    out
}

/// The result as rmcp has it.
pub(super) fn rmcp_result(result: ToolResult) -> Result<CallToolResult, ErrorData> {
    let content = vec![ContentBlock::text(result.text())];
    let structured = parse(&result.structured)
        .map_err(|error| ErrorData::internal_error(format!("result is not JSON: {error}"), None))?;
    let mut reply = match result.error {
        None => CallToolResult::success(content),
        Some(_) => CallToolResult::error(content),
    };
    reply.structured_content = Some(structured);
    Ok(reply)
}

/// Parses a result without serde_json's limit on depth. A result nests a few
/// levels deeper than the deepest value that is accepted, so it has a bound.
fn parse(text: &str) -> serde_json::Result<Value> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    serde::Deserialize::deserialize(&mut parser)
}
