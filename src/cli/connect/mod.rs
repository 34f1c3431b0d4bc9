//! `connect`: MCP on standard input and output, answered by running nodes.
//! Carries messages and nothing else; while one node is down it asks the next.
//!
//! A message moves on to another node only where it never reached the first,
//! so that nothing is carried out twice.

mod requests;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};

use super::Failure;
use super::client::{Client, ClientError};
use super::target::{Credentials, endpoint};
use requests::CarriedRequests;

/// Messages under way at once; an agent has a few.
const IN_FLIGHT_MAX: usize = 64;

/// As much as a node takes as one body.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Longer than any tool waits (55 s), shorter than clients' patience.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// How often all nodes are asked before a message is given up: together with
/// the pause, long enough for a node to be started again.
const ROUNDS: usize = 10;
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// JSON-RPC's code for an error that is none of its own.
const SERVER_ERROR: i64 = -32000;
/// And that for a message that is not JSON.
const PARSE_ERROR: i64 = -32700;

/// Speak MCP on standard input and output, answered by running nodes
///
/// For MCP clients that only start programs. Name several nodes: when one is
/// down, the next is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Nodes' MCP URLs, such as http://127.0.0.1:8000/mcp
    #[arg(required = true, value_name = "URL")]
    nodes: Vec<String>,
    #[command(flatten)]
    credentials: Credentials,
}

struct Bridge {
    client: Client,
    nodes: Vec<String>,
    /// The node that answered last.
    preferred: AtomicUsize,
}

/// Runs the command until standard input ends.
pub async fn run(args: Args) -> Result<ExitCode, Failure> {
    let client = args.credentials.client().map_err(Failure::usage)?;
    let nodes = args.nodes.iter().map(|node| endpoint(node)).collect();
    let bridge = Arc::new(Bridge { client, nodes, preferred: AtomicUsize::new(0) });
    let (answers, written) = mpsc::channel::<String>(IN_FLIGHT_MAX);
    let writer = tokio::spawn(write_lines(written));
    let slots = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let requests = CarriedRequests::default();
    let mut input = BufReader::new(tokio::io::stdin());
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line).await;
        match read.map_err(|error| Failure::run(format!("standard input: {error}")))? {
            0 => break,
            length if length as u64 > LINE_BYTES_MAX => {
                return Err(Failure::run(format!("a message of over {LINE_BYTES_MAX} bytes")));
            }
            _ => {}
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(slot) = slots.clone().acquire_owned().await else { break };
        let (bridge, answers, line) = (bridge.clone(), answers.clone(), line.clone());
        let message: Value = match serde_json::from_slice(&line) {
            Ok(message) => message,
            Err(error) => {
                let answer = failure(Value::Null, PARSE_ERROR, &error.to_string());
                // Fails only once the client has gone.
                let _ = answers.send(answer).await;
                continue;
            }
        };
        if requests.cancel(&message) {
            continue;
        }
        let request = requests.begin(&message);
        tokio::spawn(async move {
            // Dropping what is under way closes its connection, by which the
            // node knows; a call that was cancelled is not answered.
            let answer = request.token.run_until_cancelled(bridge.carry(&message, &line)).await;
            if let Some(answer) = answer.flatten() {
                let _ = answers.send(answer).await;
            }
            drop((request, slot));
        });
    }
    drop(answers);
    requests.hang_up();
    // Answers still under way keep the channel open.
    match writer.await {
        Ok(Ok(())) | Err(_) => Ok(ExitCode::SUCCESS),
        Ok(Err(error)) => Err(Failure::run(format!("standard output: {error}"))),
    }
}

impl Bridge {
    /// One message to a node, and its answer, if it gets one.
    async fn carry(&self, message: &Value, line: &[u8]) -> Option<String> {
        let id = message.get("id").cloned().filter(|id| !id.is_null());
        match self.ask(message, line).await {
            Ok(body) => {
                id?;
                match compact(&body) {
                    Ok(answer) => Some(answer),
                    Err(text) => Some(failure(message["id"].clone(), SERVER_ERROR, &text)),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "message not carried");
                id.map(|id| failure(id, SERVER_ERROR, &error.to_string()))
            }
        }
    }

    /// Asks the preferred node, and the others while it cannot be reached.
    async fn ask(&self, message: &Value, line: &[u8]) -> Result<Bytes, ClientError> {
        let headers = headers(message);
        let text = String::from_utf8_lossy(line.trim_ascii()).into_owned();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut attempt = 0;
        loop {
            let at = (first + attempt) % self.nodes.len();
            let url = &self.nodes[at];
            match self.client.post(url, &headers, text.clone(), ANSWER_TIMEOUT).await {
                // Errors that belong to this message come with its id.
                Ok((status, body)) if status.is_success() || answers(&body, message) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(body);
                }
                Ok((status, body)) => {
                    return Err(ClientError::Refused {
                        url: url.clone(),
                        status,
                        text: reason(&body),
                    });
                }
                Err(error @ ClientError::Unreachable { .. }) => {
                    attempt += 1;
                    if attempt >= ROUNDS * self.nodes.len() {
                        return Err(error);
                    }
                    if attempt % self.nodes.len() == 0 {
                        tokio::time::sleep(ROUND_PAUSE).await;
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the HTTP transport of MCP asks for beside the message: the revision,
/// and since 2026-07-28 the method and the name of what is called.
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

/// One line, whatever the node's layout.
fn compact(body: &[u8]) -> Result<String, String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(answer) => Ok(answer.to_string()),
        Err(error) => Err(format!("the node's answer is not JSON: {error}")),
    }
}

/// Whether `body` is the answer to `message`, and not to the HTTP request alone.
fn answers(body: &[u8], message: &Value) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|answer| !answer["id"].is_null() && answer["id"] == message["id"])
}

/// Why a node turned a request away, in its own words.
fn reason(body: &[u8]) -> String {
    let message = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|answer| answer["error"]["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned())
}

fn failure(id: Value, code: i64, message: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}).to_string()
}

async fn write_lines(mut lines: mpsc::Receiver<String>) -> std::io::Result<()> {
    let mut output = tokio::io::stdout();
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        output.write_all(line.as_bytes()).await?;
        output.flush().await?;
    }
    Ok(())
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
    fn only_an_answer_with_the_messages_id_is_its_answer() {
        let message = json!({"jsonrpc": "2.0", "id": 3, "method": "ping"});
        assert!(answers(br#"{"jsonrpc":"2.0","id":3,"error":{}}"#, &message));
        let refused = br#"{"jsonrpc":"2.0","id":null,"error":{"message":"no token"}}"#;
        assert!(!answers(refused, &message));
        assert_eq!(reason(refused), "no token");
        assert_eq!(reason(b"plain\n"), "plain");
    }

    #[test]
    fn answers_fit_a_line() {
        assert_eq!(compact(b"{\n \"a\": 1.00\n}").unwrap(), "{\"a\":1.00}");
        assert!(compact(b"<html>").is_err());
    }
}
