//! The JSON-RPC answer to `tools/call`, as text, in the form in which rmcp
//! writes it.

use axum::http::HeaderMap;

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
