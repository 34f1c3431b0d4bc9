//! The headers that MCP's HTTP transport requires with a message.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// The revision of the protocol, and since 2026-07-28 the method and the name of what is
/// called. Before, a message has none of them.
pub(super) fn headers(message: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let params = &message["params"];
    let Some(revision) = text(&params["_meta"]["io.modelcontextprotocol/protocolVersion"]) else {
        return Vec::new();
    };
    let method = text(&message["method"]);
    let name = match method.as_deref() {
        Some("tools/call" | "prompts/get") => text(&params["name"]),
        Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => {
            text(&params["uri"])
        }
        Some("tasks/get" | "tasks/update" | "tasks/cancel") => text(&params["taskId"]),
        Some(_) | None => None,
    };
    let mut headers = vec![("mcp-protocol-version", encoded(revision))];
    headers.extend(method.map(|method| ("mcp-method", encoded(method))));
    headers.extend(name.map(|name| ("mcp-name", encoded(name))));
    headers
}

/// A text as a header, in the way of SEP-2243 where it could not stand there as it is.
fn encoded(text: String) -> String {
    const PREFIX: &str = "=?base64?";
    let is_visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let would_be_changed = text.starts_with(' ') || text.ends_with(' ') || text.starts_with(PREFIX);
    match is_visible && !would_be_changed {
        true => text,
        false => format!("{PREFIX}{}?=", BASE64_STANDARD.encode(text)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_latest(method: &str, mut params: Value) -> Vec<(&'static str, String)> {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        headers(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    #[test]
    fn messages_of_the_newest_revision_get_its_headers() {
        let expected = [
            ("mcp-protocol-version", "2026-07-28".to_owned()),
            ("mcp-method", "tools/call".to_owned()),
            ("mcp-name", "state_get".to_owned()),
        ];
        assert_eq!(of_latest("tools/call", json!({"name": "state_get"})), expected);
        assert!(headers(&json!({"method": "tools/call", "params": {"name": "x"}})).is_empty());
    }

    #[test]
    fn names_that_are_not_plain_are_encoded() {
        for (uri, header) in [
            ("state://kv/a b", "state://kv/a b"),
            ("state://kv/ü", "=?base64?c3RhdGU6Ly9rdi/DvA==?="),
            (" a", "=?base64?IGE=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            let headers = of_latest("resources/read", json!({"uri": uri}));
            assert_eq!(headers[2], ("mcp-name", header.to_owned()), "{uri}");
        }
    }
}
