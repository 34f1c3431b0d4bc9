//! The forwarder: carries one message to a node, and returns its answer.
//!
//! A message is sent to another node only if it never reached the first, or if carrying it
//! out twice does no harm.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::api::mcp::carried;
use crate::cli::http_client::{ClientError, NodeClient};

/// How long an answer may take. It is longer than any tool waits (55 s), and shorter than
/// clients usually wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// How often all nodes are tried before a message fails. Together with the pause, that is
/// long enough for a node to restart.
const ROUNDS: usize = 10;
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// JSON-RPC's code for errors that it does not define itself.
const SERVER_ERROR: i64 = -32000;
/// JSON-RPC's code for a message that is not JSON.
pub(super) const PARSE_ERROR: i64 = -32700;

/// Carries messages to the nodes of a cluster.
pub(super) struct MessageForwarder {
    client: NodeClient,
    nodes: Vec<String>,
    /// The index of the node that answered last.
    preferred: AtomicUsize,
}

impl MessageForwarder {
    pub(super) fn new(client: NodeClient, nodes: Vec<String>) -> MessageForwarder {
        MessageForwarder { client, nodes, preferred: AtomicUsize::new(0) }
    }

    /// Carries one message to a node. A notification has no answer. What the node tells
    /// before it answers goes to `notifications`.
    pub(super) async fn carry(
        &self,
        message: &Value,
        line: &[u8],
        notifications: &mpsc::Sender<String>,
    ) -> Option<String> {
        let id = message.get("id").cloned().filter(|id| !id.is_null());
        match self.post(message, line, notifications).await {
            Ok(body) => {
                id?;
                match compact(&body) {
                    Ok(answer) => Some(answer),
                    Err(text) => Some(error_answer(message["id"].clone(), SERVER_ERROR, &text)),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "message not carried");
                let id = id?;
                let text = error.to_string();
                let answer = match error {
                    ClientError::Unreachable { .. } => carried::unanswered(message, false, &text),
                    ClientError::Broken { .. } => carried::unanswered(message, true, &text),
                    _ => None,
                };
                Some(answer.unwrap_or_else(|| error_answer(id, SERVER_ERROR, &text)))
            }
        }
    }

    /// Calls the preferred node, and the others while it cannot be reached.
    async fn post(
        &self,
        message: &Value,
        line: &[u8],
        notifications: &mpsc::Sender<String>,
    ) -> Result<Bytes, ClientError> {
        let headers = headers(message);
        let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        let (may_repeat, begun) = (carried::may_repeat(message), Instant::now());
        let first = self.preferred.load(Ordering::Relaxed);
        let mut attempt = 0;
        loop {
            let at = (first + attempt) % self.nodes.len();
            let url = &self.nodes[at];
            let post = self.client.post_with_notifications(
                url,
                &headers,
                text.clone(),
                ANSWER_TIMEOUT,
                notifications,
            );
            match post.await {
                // An error with the id of the message is the answer to it.
                Ok((status, body)) if status.is_success() || is_answer(&body, message) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(body);
                }
                Ok((status, body)) => {
                    return Err(ClientError::Refused {
                        url: url.clone(),
                        status,
                        text: error_message(&body),
                    });
                }
                Err(error) => {
                    let in_time = begun.elapsed() < ANSWER_TIMEOUT;
                    let again = match error {
                        ClientError::Unreachable { .. } => true,
                        ClientError::Broken { .. } => may_repeat && in_time,
                        _ => false,
                    };
                    attempt += 1;
                    if !again || attempt >= ROUNDS * self.nodes.len() {
                        return Err(error);
                    }
                    if attempt % self.nodes.len() == 0 {
                        tokio::time::sleep(ROUND_PAUSE).await;
                    }
                }
            }
        }
    }
}

/// The headers that MCP's HTTP transport requires: the revision, and since 2026-07-28 the
/// method and the name of what is called.
fn headers(message: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let params = &message["params"];
    let Some(revision) = text(&params["_meta"]["io.modelcontextprotocol/protocolVersion"]) else {
        return Vec::new();
    };
    let method = text(&message["method"]);
    let name = match method.as_deref() {
        Some("tools/call" | "prompts/get") => text(&params["name"]),
        Some("resources/read") => text(&params["uri"]),
        _ => None,
    };
    let plain = |text: &String| text.chars().all(|c| c.is_ascii_graphic());
    let mut headers = vec![("mcp-protocol-version", revision)];
    headers.extend(method.map(|method| ("mcp-method", method)));
    headers.extend(name.filter(plain).map(|name| ("mcp-name", name)));
    headers
}

/// Writes the answer in one line, however the node formats it.
fn compact(body: &[u8]) -> Result<String, String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => Ok(answer.to_string()),
        Err(error) => Err(format!("the answer of the node is not JSON: {error}")),
    }
}

/// Whether `body` answers `message`, and not only the HTTP request.
fn is_answer(body: &[u8], message: &Value) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|answer| !answer["id"].is_null() && answer["id"] == message["id"])
}

/// The message of the error in `body`, or the whole body if it has another form.
fn error_message(body: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|answer| answer["error"]["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

/// An answer that reports an error.
pub(super) fn error_answer(id: Value, code: i64, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_newest_revision_get_its_headers() {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "state_get", "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
        let expected = [
            ("mcp-protocol-version", "2026-07-28".to_owned()),
            ("mcp-method", "tools/call".to_owned()),
            ("mcp-name", "state_get".to_owned()),
        ];
        assert_eq!(headers(&message), expected);
        assert!(headers(&json!({"method": "tools/call", "params": {"name": "x"}})).is_empty());
    }

    #[test]
    fn only_a_body_with_the_id_of_the_message_answers_it() {
        let message = json!({"jsonrpc": "2.0", "id": 3, "method": "ping"});
        assert!(is_answer(br#"{"jsonrpc":"2.0","id":3,"error":{}}"#, &message));
        let refused = br#"{"jsonrpc":"2.0","id":null,"error":{"message":"no token"}}"#;
        assert!(!is_answer(refused, &message));
        assert_eq!(error_message(refused), "no token");
        assert_eq!(error_message(b"plain\n"), "plain");
    }

    #[test]
    fn answers_are_written_in_one_line() {
        assert_eq!(compact(b"{\n \"a\": 1.00\n}").unwrap(), "{\"a\":1.00}");
        assert!(compact(b"<html>").is_err());
    }
}
