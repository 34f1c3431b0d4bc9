//! Messages as `connect` carries them to nodes: which of them may be sent to another
//! node when no answer comes, the answer to a call that no node has answered, and where
//! a subscription goes on.

use serde_json::Value;

use super::call_result::{self, TYPED_FROM};
pub use super::subscriptions::REVISION;
use super::tools::{self, ToolAccess, ToolResult};
use crate::service::ServiceError;

/// Whether carrying out `message` twice does no harm: it writes nothing, or an
/// idempotency key makes it safe.
pub fn may_repeat(message: &Value) -> bool {
    if message["method"] != "tools/call" {
        return true;
    }
    reads(message) || message["params"]["arguments"]["idempotency_key"].is_string()
}

fn reads(call: &Value) -> bool {
    let tool = call["params"]["name"].as_str().and_then(tools::find);
    tool.is_some_and(|tool| tool.access == ToolAccess::Read)
}

/// The answer to a call that no node has answered; `None` if `message` is no call. It
/// is an error such as nodes give, so that agents need not know another kind. `arrived`
/// says that a node may have carried out the call.
pub fn unanswered(message: &Value, arrived: bool, why: &str) -> Option<String> {
    if message["method"] != "tools/call" {
        return None;
    }
    let params = &message["params"];
    let version = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    let error = match arrived && !reads(message) {
        true => ServiceError::unknown(format!("outcome unknown: {why}")),
        false => ServiceError::unavailable(format!("unavailable: {why}")),
    };
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
    fn an_error_is_told_as_a_node_tells_it() {
        for (tool, arrived, code) in [
            ("state_set", true, "outcome_unknown"),
            ("state_set", false, "unavailable"),
            ("state_get", true, "unavailable"),
        ] {
            let answer = unanswered(&call(tool, json!({})), arrived, "it broke").unwrap();
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!((&answer["id"], &answer["result"]["isError"]), (&json!(7), &json!(true)));
            let error = &answer["result"]["structuredContent"]["error"];
            assert_eq!((&error["code"], &error["retryable"]), (&json!(code), &json!(true)));
        }
        assert_eq!(unanswered(&json!({"method": "ping"}), true, "why"), None);
    }
}
