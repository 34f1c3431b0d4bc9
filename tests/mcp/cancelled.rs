//! Calls that wait, and clients that go away or cancel them: such a call is granted
//! nothing, and other callers are served.

use std::time::Duration;

use mcp_state_sidecar::access::{self, Access};
use mcp_state_sidecar::api;
use mcp_state_sidecar::service::{Options, Service};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::node::{Node, OLDER, Reply, latest};

pub const SOON: Duration = Duration::from_secs(10);

fn wait_for_work(id: u64) -> Value {
    let arguments = json!({"agent_id": "gone", "wait_seconds": 50});
    let params = json!({"name": "workflow_claim_next", "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// A POST on its own connection, whose answer has not been read yet.
pub async fn open(node: &Node, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(node.addr).await.expect("the node listens");
    let mut request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nConnection: close\r\n",
        node.addr
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

pub async fn waiting(node: &Node, number: usize) {
    let deadline = Instant::now() + SOON;
    while node.service.load().1 != number {
        assert!(Instant::now() < deadline, "{:?} calls, not {number}", node.service.load());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Checks that a run that is created now is granted to nobody.
pub async fn assert_nobody_takes(node: &Node) {
    let created = node.call("workflow_create", json!({"name": "n"})).await;
    let run_id = &created["structuredContent"]["run_id"];
    let status = node.call("workflow_status", json!({"run_id": run_id})).await;
    assert_eq!(status["structuredContent"]["status"], "created", "{status}");
}

#[tokio::test]
async fn a_client_that_closes_its_connection_is_granted_nothing() {
    let node = Node::start().await;
    let older = open(&node, &[], &wait_for_work(1).to_string()).await;
    let arguments = json!({"agent_id": "gone", "wait_seconds": 50});
    let call = json!({"name": "workflow_claim_next", "arguments": arguments});
    let (headers, body) = latest("tools/call", call);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let newest = open(&node, &headers, &body).await;
    waiting(&node, 2).await;
    drop((older, newest));
    waiting(&node, 0).await;
    assert_nobody_takes(&node).await;
}

#[tokio::test]
async fn a_client_cancels_its_own_call_from_another_connection() {
    let node = Node::start().await;
    let introduce = |version: &str| {
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}})
        .to_string()
    };
    let introduced = node.post(&[], introduce(OLDER[2]).as_bytes()).await;
    let session = session(&introduced).expect("a session");
    let other = node.post(&[], introduce(OLDER[2]).as_bytes()).await;
    let other = self::session(&other).expect("a session");
    assert_ne!(session, other);
    let named = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", OLDER[2])];
    let mut call = open(&node, &named, &wait_for_work(7).to_string()).await;
    waiting(&node, 1).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7}})
    .to_string();
    let stranger = [("Mcp-Session-Id", other.as_str())];
    for strangers in [&stranger[..], &[]] {
        assert_eq!(node.post(strangers, cancel.as_bytes()).await.status, 202);
    }
    tokio::task::yield_now().await;
    assert_eq!(node.service.load().1, 1, "it was not theirs to cancel");
    assert_eq!(node.post(&named, cancel.as_bytes()).await.status, 202);
    waiting(&node, 0).await;
    assert_nobody_takes(&node).await;
    let mut answer = String::new();
    call.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.contains("the call was cancelled"), "{answer}");
}

fn session(reply: &Reply) -> Option<String> {
    let lines = reply.head.lines();
    lines.filter_map(|line| line.strip_prefix("mcp-session-id: ")).map(str::to_owned).next()
}

#[tokio::test]
async fn others_are_served_while_the_most_calls_wait() {
    let store = std::sync::Arc::new(mcp_state_sidecar::store::memory::MemoryStore::new(
        mcp_state_sidecar::store::clock::system(),
    ));
    let options = Options { waiting_max: 20, ..Options::default() };
    let service = Service::new(store.clone(), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let mcp = api::mcp::endpoint::Options::default();
    let routes = api::routes(&service, Access::new(access::Options::default()), mcp);
    let shutdown = CancellationToken::new();
    let options = api::http::Options { connections_max: 24, ..Default::default() };
    let served = tokio::spawn(api::http::serve(listener, routes, options, shutdown.clone()));
    let node = Node::around(addr, service, store, shutdown, served);
    let mut calls = Vec::new();
    for id in 0..20 {
        calls.push(open(&node, &[], &wait_for_work(id).to_string()).await);
    }
    waiting(&node, 20).await;
    let refused = node.older(OLDER[2], wait_for_work(20)).await.json();
    let error = &refused["result"]["structuredContent"]["error"];
    assert_eq!(error["code"], "unavailable", "{refused}");
    assert_eq!(node.send("GET", "/healthz", &[], b"").await.status, 200);
    assert_eq!(node.send("GET", "/readyz", &[], b"").await.status, 200);
    let lease = json!({"resource_id": "r", "holder_id": "h", "ttl_seconds": 60});
    let acquired = node.call("lease_acquire", lease).await;
    assert_eq!(acquired["structuredContent"]["acquired"], true, "{acquired}");
    for _ in 0..4 {
        calls.push(TcpStream::connect(addr).await.expect("connects"));
    }
    // The listener accepts connections in order.
    let turned_away = node.send("GET", "/healthz", &[], b"").await;
    assert_eq!(turned_away.status, 503, "{}", turned_away.body);
    drop(calls);
    waiting(&node, 0).await;
    node.assert_serving().await;
}
