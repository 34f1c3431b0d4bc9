//! Progress of calls that wait, and of no others.

use serde_json::{Value, json};

use crate::node::{Node, OLDER};
use crate::pipe::Client;
use crate::stream::EventStream;

fn call(id: u64, tool: &str, mut arguments: Value, token: Option<Value>) -> Value {
    let mut params = json!({"name": tool, "arguments": arguments.take()});
    if let Some(token) = token {
        params["_meta"] = json!({"progressToken": token});
    }
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

const WAITING: (&str, u64) = ("workflow_claim_next", 5);

fn waiting_call(token: Option<Value>) -> Value {
    call(7, WAITING.0, json!({"agent_id": "a", "wait_seconds": WAITING.1}), token)
}

/// Checks one notification, and returns its progress.
fn progress(message: &Value, token: &Value, before: f64) -> f64 {
    assert_eq!(message["method"], "notifications/progress", "{message}");
    assert_eq!(&message["params"]["progressToken"], token);
    assert_eq!(message["params"]["total"].as_f64(), Some(WAITING.1 as f64));
    let said = message["params"]["message"].as_str().unwrap_or_default();
    assert!(said.starts_with("workflow_claim_next has waited for "), "{said}");
    let progress = message["params"]["progress"].as_f64().expect("a number");
    assert!(progress > before, "{progress} after {before}");
    progress
}

#[tokio::test]
async fn a_call_that_waits_over_http_is_answered_by_a_stream_with_its_progress() {
    let node = Node::start().await;
    let token = json!("t");
    let body = waiting_call(Some(token.clone())).to_string();
    let mut stream = EventStream::open(&node, &[("MCP-Protocol-Version", OLDER[2])], &body).await;
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    let (mut last, mut count) = (0.0, 0);
    let answer = loop {
        let message = stream.next().await.expect("an answer at the end");
        if message["id"] == 7 {
            break message;
        }
        last = progress(&message, &token, last);
        count += 1;
    };
    assert!(count >= 1, "no progress");
    assert_eq!(answer["result"]["structuredContent"]["claimed"], false, "{answer}");
    assert_eq!(stream.next().await, None, "nothing follows the answer");
}

#[tokio::test]
async fn a_call_that_waits_on_a_pipe_tells_its_progress() {
    let mut client = Client::start();
    client.initialize().await;
    let token = json!(3);
    client.send(&waiting_call(Some(token.clone())).to_string()).await;
    progress(&client.receive().await, &token, 0.0);
    client.call("workflow_create", json!({"name": "n"})).await;
}

#[tokio::test]
async fn all_other_calls_are_answered_by_one_json_text() {
    let node = Node::start().await;
    let version = ("MCP-Protocol-Version", OLDER[2]);
    let token = Some(json!("t"));
    let quick = call(1, "state_get", json!({"key": "k"}), token.clone()).to_string();
    node.call("workflow_create", json!({"name": "n"})).await;
    let granted = waiting_call(token.clone()).to_string();
    let only_json = ("Accept", "application/json");
    for (headers, body) in [
        (vec![version], quick),
        (vec![version], granted),
        (vec![version], waiting_call(None).to_string()),
    ] {
        let reply = node.post(&headers, body.as_bytes()).await;
        assert!(reply.head.contains("content-type: application/json"), "{}", reply.head);
        assert!(reply.json()["result"].is_object(), "{}", reply.body);
    }
    let reply = node.post(&[version, only_json], waiting_call(token).to_string().as_bytes()).await;
    assert!(!reply.head.contains("text/event-stream"), "{}", reply.head);
}

#[tokio::test]
async fn a_call_can_be_cancelled_after_its_first_progress() {
    let node = Node::start().await;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": OLDER[2], "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}});
    let head = node.post(&[], hello.to_string().as_bytes()).await.head;
    let session = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    let session = session.expect("a session").to_owned();
    let headers = [("MCP-Protocol-Version", OLDER[2]), ("Mcp-Session-Id", session.as_str())];
    let arguments = json!({"agent_id": "a", "wait_seconds": 50});
    let body = call(7, "workflow_claim_next", arguments, Some(json!(1))).to_string();
    let mut stream = EventStream::open(&node, &headers, &body).await;
    let first = stream.next().await.expect("progress");
    assert_eq!(first["method"], "notifications/progress");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7}});
    assert_eq!(node.post(&headers, cancel.to_string().as_bytes()).await.status, 202);
    let answer = loop {
        match stream.next().await {
            Some(message) if message["id"] == 7 => break message,
            Some(_) => {}
            None => panic!("the stream ended without an answer"),
        }
    };
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}
