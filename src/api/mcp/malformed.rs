//! Messages that are not JSON-RPC requests of MCP: the JSON-RPC error that
//! answers each says what is wrong with it.

use axum::http::{HeaderMap, header};
use rmcp::model::ClientJsonRpcMessage;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{methods, too_deep};
use crate::api::json_rpc;

#[derive(Deserialize)]
struct LooseEnvelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// The JSON-RPC error for a message that rmcp cannot read, or whose method or parameters
/// it does not recognise; `None` for any other.
pub(super) fn refuse(message: &[u8]) -> Option<String> {
    match read(message) {
        Ok(read) => {
            let refused = methods::refuse(&read)?;
            Some(error(message, refused.code.0, &refused.message))
        }
        Err(error) => Some(error),
    }
}

/// The JSON-RPC error for what is no message of JSON-RPC; `None` for any other.
pub(super) fn refuse_unreadable(message: &[u8]) -> Option<String> {
    read(message).err()
}

/// Reads a message, or tells what is wrong with it.
fn read(message: &[u8]) -> Result<ClientJsonRpcMessage, String> {
    if let Some(why) = too_deep::reserved(message) {
        return Err(error(message, json_rpc::INVALID_REQUEST, &format!("Invalid Request: {why}")));
    }
    let unreadable = match serde_json::from_slice(message) {
        Ok(read) => return Ok(read),
        Err(unreadable) => unreadable,
    };
    let (code, why) = match serde_json::from_slice::<Value>(message) {
        Err(error) => {
            (json_rpc::PARSE_ERROR, format!("Parse error: {}", parse_error(message, &error)))
        }
        Ok(value) => {
            let why = problem(&value).map_or_else(|| unreadable.to_string(), str::to_string);
            (json_rpc::INVALID_REQUEST, format!("Invalid Request: {why}"))
        }
    };
    Err(error(message, code, &why))
}

/// A JSON-RPC error about `message`, under its id if that can be found.
pub(super) fn error(message: &[u8], code: i32, why: &str) -> String {
    // Only the id is parsed, so that errors elsewhere do not matter, however deep
    // they nest.
    let text = String::from_utf8_lossy(message);
    let envelope = serde_json::from_str::<LooseEnvelope<'_>>(&text).ok();
    let id = envelope.and_then(|envelope| envelope.id).map(RawValue::get).filter(|id| is_id(id));
    json_rpc::error(id, code, why)
}

/// Whether a request announces its body as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

fn is_id(text: &str) -> bool {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::String(_)) => true,
        Ok(Value::Number(number)) => number.is_i64(),
        Ok(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | Err(_) => false,
    }
}

fn parse_error(message: &[u8], error: &serde_json::Error) -> String {
    if message.trim_ascii().is_empty() {
        return "the request is empty".into();
    }
    match std::str::from_utf8(message) {
        Err(utf8) => format!("not UTF-8 from byte {} on", utf8.valid_up_to()),
        Ok(_) => error.to_string(),
    }
}

/// Which rule of JSON-RPC or MCP a message breaks.
fn problem(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(message) => problem_of_members(message),
        Value::Array(_) => Some("batches are not supported"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Some("a message must be an object")
        }
    }
}

fn problem_of_members(message: &Map<String, Value>) -> Option<&'static str> {
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Some("jsonrpc must be \"2.0\"");
    }
    if message.get("id").is_some_and(|id| !id.is_string() && !id.is_i64()) {
        return Some("id must be a string or a whole number");
    }
    match message.get("method") {
        None if message.contains_key("result") || message.contains_key("error") => None,
        None => Some("method is required"),
        Some(Value::String(_)) => message.get("params").and_then(problem_of_params),
        Some(_) => Some("method must be a string"),
    }
}

fn problem_of_params(params: &Value) -> Option<&'static str> {
    let Value::Object(params) = params else { return Some("params must be an object") };
    let meta = params.get("_meta")?;
    (!meta.is_object()).then_some("params._meta must be an object")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_malformed_message_is_answered_with_what_is_wrong() {
        let long = format!("{{\"id\":8,\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let cases: [(&[u8], i32, &str, &str); 22] = [
            (b"", -32700, "empty", "null"),
            (b"garbage", -32700, "expected value", "null"),
            (b"{\"jsonrpc\":\"2.0\",\"id\":1", -32700, "EOF", "null"),
            (b"{\"id\":\"a\",\"method\":\"\xff\"}", -32700, "not UTF-8 from byte 20", "\"a\""),
            (br#"{"jsonrpc":"2.0","id":4,"method":"\ud800"}"#, -32700, "escape", "4"),
            (b"{\"id\":NaN}", -32700, "expected", "null"),
            (long.as_bytes(), -32700, "recursion", "8"),
            (b"[]", -32600, "batches are not supported", "null"),
            (b"[{}]", -32600, "batches are not supported", "null"),
            (b"null", -32600, "must be an object", "null"),
            (b"5", -32600, "must be an object", "null"),
            (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, "id must be", "null"),
            (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600, "id must be", "null"),
            (br#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, "jsonrpc must be", "1"),
            (br#"{"id":1,"method":"ping"}"#, -32600, "jsonrpc must be", "1"),
            (br#"{"jsonrpc":"2.0","id":1,"method":5}"#, -32600, "method must be", "1"),
            (br#"{"jsonrpc":"2.0","id":1}"#, -32600, "method is required", "1"),
            (br#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#, -32600, "params must", "1"),
            (
                br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_meta":[1]}}"#,
                -32600,
                "params._meta must be an object",
                "1",
            ),
            (b"{}", -32600, "jsonrpc must be", "null"),
            (br#"{"jsonrpc":"2.0","id":1,"method":"x/y"}"#, -32601, "not found: 'x/y'", "1"),
            (
                br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
                -32602,
                "protocolVersion",
                "1",
            ),
        ];
        for (message, code, why, id) in cases {
            let shown = String::from_utf8_lossy(&message[..message.len().min(80)]);
            let answer = refuse(message).unwrap_or_else(|| panic!("{shown} was accepted"));
            let answer: Value = serde_json::from_str(&answer).expect("JSON");
            assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
            let said = answer["error"]["message"].as_str().unwrap_or_default();
            assert!(said.contains(why), "{shown}: {answer}");
            assert_eq!(answer["id"].to_string(), id, "{shown}: {answer}");
        }
        assert_eq!(refuse(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), None);
    }
}
