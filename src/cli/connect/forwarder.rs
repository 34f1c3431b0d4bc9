//! The forwarder: carries one message to a node, and returns its answer.
//!
//! A message is sent to another node only if it never reached the first, or if carrying it
//! out twice does no harm.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::attempts::{ANSWER_TIMEOUT, Attempts};
use super::headers::headers;
use super::listen::ListenProgress;
use super::requests::CarriedRequest;
use crate::api::mcp::carried;
use crate::cli::http_client::{ClientError, NodeClient};

/// JSON-RPC's code for errors that it does not define itself.
const SERVER_ERROR: i64 = -32000;

/// The header by which nodes tell clients apart, each of which numbers its calls by itself.
const SESSION: &str = "mcp-session-id";

/// Carries messages to the nodes of a cluster.
pub(super) struct MessageForwarder {
    client: NodeClient,
    nodes: Vec<String>,
    /// The client's session, by which any node recognises a call that it cancels. It is our
    /// own, since the node that gave one may be down for the next message.
    session: String,
    /// The index of the node that answered last.
    preferred: AtomicUsize,
}

impl MessageForwarder {
    pub(super) fn new(client: NodeClient, nodes: Vec<String>) -> MessageForwarder {
        let session = format!("{:032x}", rand::random::<u128>());
        MessageForwarder { client, nodes, session, preferred: AtomicUsize::new(0) }
    }

    /// Carries one message, whose text is `text`, to a node. Only a request has an answer. What the node tells
    /// before it answers goes to `notifications`.
    pub(super) async fn carry(
        &self,
        message: &Value,
        text: &str,
        request: &CarriedRequest,
        notifications: &mpsc::Sender<String>,
    ) -> Option<String> {
        let id = message.get("method").and(message.get("id")).cloned();
        match self.post(message, text, request, notifications).await {
            Ok(body) => {
                let id = id?;
                Some(compact(&body).unwrap_or_else(|text| error_answer(id, &text)))
            }
            Err(error) => {
                tracing::warn!(%error, "message not carried");
                let id = id?;
                let text = error.to_string();
                let answer = match error {
                    ClientError::Unreachable { .. } => carried::unanswered(message, false, &text),
                    ClientError::Broken { .. } => carried::unanswered(message, true, &text),
                    ClientError::Tls { .. }
                    | ClientError::Refused { .. }
                    | ClientError::NotMcp { .. }
                    | ClientError::Invalid(_) => None,
                };
                Some(answer.unwrap_or_else(|| error_answer(id, &text)))
            }
        }
    }

    /// Calls one node after another until one has answered. A subscription goes on at the
    /// next one where it breaks off.
    async fn post(
        &self,
        message: &Value,
        text: &str,
        request: &CarriedRequest,
        notifications: &mpsc::Sender<String>,
    ) -> Result<Bytes, ClientError> {
        let mut headers = headers(message);
        headers.push((SESSION, self.session.clone()));
        let may_repeat = carried::may_repeat(message);
        let mut progress = ListenProgress::asked_by(message);
        let first = request.node().unwrap_or_else(|| self.preferred.load(Ordering::Relaxed));
        let mut attempts = Attempts::begin(first, self.nodes.len());
        loop {
            let at = attempts.node();
            request.sent_to(at);
            let answer = match &mut progress {
                None => {
                    let text = text.to_owned();
                    self.exchange(at, &headers, text, message, notifications).await
                }
                Some(progress) => self.listen(at, &headers, progress, message, notifications).await,
            };
            match answer {
                Ok(body) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(body);
                }
                Err(error) => {
                    if progress.as_mut().is_some_and(ListenProgress::take_progress) {
                        attempts.renew();
                    }
                    if !attempts.another(&error, may_repeat).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Posts the text of a message to a node, and returns the answer to the message.
    async fn exchange(
        &self,
        at: usize,
        headers: &[(&str, String)],
        text: String,
        message: &Value,
        notifications: &mpsc::Sender<String>,
    ) -> Result<Bytes, ClientError> {
        let url = &self.nodes[at];
        let post =
            self.client.post_with_notifications(url, headers, text, ANSWER_TIMEOUT, notifications);
        let (status, body) = post.await?;
        // An error with the id of the message is the answer to it.
        if status.is_success() || is_answer(&body, message) {
            return Ok(body);
        }
        Err(ClientError::Refused { url: url.clone(), status, text: error_message(&body) })
    }

    /// Has a node go on with a subscription.
    async fn listen(
        &self,
        at: usize,
        headers: &[(&str, String)],
        progress: &mut ListenProgress,
        message: &Value,
        notifications: &mpsc::Sender<String>,
    ) -> Result<Bytes, ClientError> {
        // What the client is told is noted one by one, so that nothing is lost between.
        let (sender, mut told) = mpsc::channel(1);
        let request = progress.request();
        let exchange = async {
            let answer = self.exchange(at, headers, request, message, &sender).await;
            drop(sender);
            answer
        };
        let pass_on = async {
            while let Some(notification) = told.recv().await {
                if progress.note(&notification) {
                    // Sending fails only if the client has gone.
                    let _ = notifications.send(notification).await;
                }
            }
        };
        let (answer, ()) = tokio::join!(exchange, pass_on);
        let answer = answer?;
        match is_result(&answer) {
            // The node stops, and others may go on.
            true => {
                let (url, cause) = (self.nodes[at].clone(), "the node is stopping".to_owned());
                Err(ClientError::Broken { url, cause })
            }
            false => Ok(answer),
        }
    }
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

/// Whether `body` is a result rather than an error.
fn is_result(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer.get("result").is_some())
}

/// The message of the error in `body`, or the whole body if it has another form.
fn error_message(body: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|answer| answer["error"]["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

/// An answer that reports an error.
fn error_answer(id: Value, message: &str) -> String {
    let error = json!({"code": SERVER_ERROR, "message": message});
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

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
