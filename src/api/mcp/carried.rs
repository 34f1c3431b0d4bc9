//! Messages as `connect` carries them to nodes: which of them may be sent to another
//! node when no answer comes, and the answer to a call of which nobody knows what
//! became.

use serde_json::Value;

use super::call_result::{self, TYPED_FROM};
use super::tools::{self, ToolAccess, ToolResult};
use crate::service::ServiceError;

/// Whether carrying out `message` twice does no harm: it writes nothing, or an
/// idempotency key makes it safe.
pub fn may_repeat(message: &Value) -> bool {
    if message["method"] != "tools/call" {
        return true;
    }
    let params = &message["params"];
    let tool = params["name"].as_str().and_then(tools::find);
    tool.is_some_and(|tool| tool.access == ToolAccess::Read)
        || params["arguments"]["idempotency_key"].is_string()
}

/// The answer to a call that a node may or may not have carried out; `None` if
/// `message` is no call.
pub fn outcome_unknown(message: &Value, why: &str) -> Option<String> {
    if message["method"] != "tools/call" {
        return None;
    }
    let params = &message["params"];
    let version = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    let error = ServiceError::unknown(format!("outcome unknown: {why}"));
    let result = ToolResult::failed(params["name"].as_str().unwrap_or_default(), &error);
    let typed = version.is_some_and(|version| version >= TYPED_FROM);
    Some(call_result::answer(&message["id"].to_string(), &result, typed))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
    }

    #[test]
    fn only_what_does_no_harm_twice_is_repeated() {
        assert!(may_repeat(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})));
        assert!(may_repeat(&call("state_get", json!({"key": "k"}))));
        assert!(may_repeat(&call("state_set", json!({"idempotency_key": "once"}))));
        for once in ["state_set", "workflow_claim_next", "a_tool_of_a_later_release"] {
            assert!(!may_repeat(&call(once, json!({}))), "{once}");
        }
    }

    #[test]
    fn a_lost_answer_is_told_as_a_node_tells_it() {
        let answer =
            outcome_unknown(&call("state_set", json!({})), "the connection broke").unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["id"], 7);
        assert_eq!(answer["result"]["isError"], true);
        let error = &answer["result"]["structuredContent"]["error"];
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&json!("outcome_unknown"), &json!(true))
        );
        assert_eq!(outcome_unknown(&json!({"method": "ping"}), "why"), None);
    }
}
