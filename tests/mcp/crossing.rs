//! Cancellations that come before their call, after its answer, or to another node of
//! the cluster than the call: the two requests travel on connections of their own.

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::mcp::endpoint;
use mcp_state_sidecar::api::mcp::tools::Toolset;
use mcp_state_sidecar::service::Options;
use mcp_state_sidecar::store::Store;
use serde_json::{Value, json};
use support::cluster::Cluster;
use support::raft_calls::until;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::cancelled::{SOON, assert_nobody_takes, open, waiting};
use crate::node::{Node, OLDER};

const SESSION: &str = "0123456789abcdef0123456789abcdef";
const HEADERS: [(&str, &str); 2] =
    [("Mcp-Session-Id", SESSION), ("MCP-Protocol-Version", OLDER[2])];

fn message(id: u64, tool: &str, arguments: Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

/// Calls a tool in the session, and returns the structured result.
async fn call(node: &Node, id: u64, tool: &str, arguments: Value) -> Value {
    let reply = node.post(&HEADERS, message(id, tool, arguments).as_bytes()).await;
    reply.json()["result"]["structuredContent"].clone()
}

async fn cancel(node: &Node, id: u64) {
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": id}});
    assert_eq!(node.post(&HEADERS, cancel.to_string().as_bytes()).await.status, 202);
}

fn was_cancelled(result: &Value) -> bool {
    result["error"]["message"] == "unavailable: the call was cancelled"
}

async fn create(node: &Node) -> Value {
    let created = node.call("workflow_create", json!({"name": "n"})).await;
    created["structuredContent"]["run_id"].clone()
}

async fn status(node: &Node, run_id: &Value) -> Value {
    let status = node.call("workflow_status", json!({"run_id": run_id})).await;
    status["structuredContent"]["status"].clone()
}

/// Waits until the run is nobody's.
async fn given_back(node: &Node, run_id: &Value) {
    let deadline = Instant::now() + SOON;
    while status(node, run_id).await != "created" {
        assert!(Instant::now() < deadline, "the run was not given back");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cancellation_that_overtakes_its_call_cancels_it() {
    let node = Node::start().await;
    let run_id = create(&node).await;
    for (id, wait_seconds) in [(1, json!(0)), (2, json!(50))] {
        cancel(&node, id).await;
        let claim = json!({"agent_id": "gone", "wait_seconds": wait_seconds});
        let answer = call(&node, id, "workflow_claim_next", claim).await;
        assert!(was_cancelled(&answer), "{answer}");
    }
    cancel(&node, 3).await;
    let claim = json!({"agent_id": "gone", "run_id": run_id});
    let answer = call(&node, 3, "workflow_claim", claim).await;
    assert!(was_cancelled(&answer), "{answer}");
    assert_eq!(status(&node, &run_id).await, "created");
    // What was cancelled was that call, not the id for ever.
    let claimed = call(&node, 3, "workflow_claim_next", json!({"agent_id": "a"})).await;
    assert_eq!(claimed["run_id"], run_id, "{claimed}");
}

#[tokio::test]
async fn a_grant_whose_answer_crosses_its_cancellation_is_given_back() {
    let node = Node::start().await;
    let run_id = create(&node).await;
    // The first is a plain call, and the second one may wait.
    for (id, arguments) in
        [(1, json!({"agent_id": "gone"})), (2, json!({"agent_id": "gone", "wait_seconds": 1}))]
    {
        let claimed = call(&node, id, "workflow_claim_next", arguments).await;
        assert_eq!(claimed["run_id"], run_id, "{claimed}");
        cancel(&node, id).await;
        given_back(&node, &run_id).await;
    }
    let lease = json!({"resource_id": "r", "holder_id": "gone", "ttl_seconds": 60});
    let acquired = call(&node, 3, "lease_acquire", lease).await;
    assert_eq!(acquired["acquired"], true, "{acquired}");
    cancel(&node, 3).await;
    let wait = json!({"resource_id": "r", "holder_id": "h", "ttl_seconds": 60, "wait_seconds": 10});
    let acquired = node.call("lease_acquire", wait).await;
    assert_eq!(acquired["structuredContent"]["acquired"], true, "{acquired}");
}

#[tokio::test]
async fn names_that_are_too_long_to_be_remembered_cancel_nothing() {
    const LONGEST: usize = 256;
    let node = Node::start().await;
    let run_id = create(&node).await;
    // The request's id is counted as JSON, with its quotes.
    for (session, id, is_kept) in
        [(LONGEST + 1, 7, true), (32, LONGEST - 1, true), (LONGEST, LONGEST - 2, false)]
    {
        let (session, id) = ("s".repeat(session), "i".repeat(id));
        let headers = [("Mcp-Session-Id", session.as_str()), HEADERS[1]];
        let params = json!({"name": "workflow_claim_next", "arguments": {"agent_id": "a"}});
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let claimed = node.post(&headers, call.to_string().as_bytes()).await.json();
        let claimed = &claimed["result"]["structuredContent"];
        assert_eq!(claimed["run_id"], run_id, "{claimed}");
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": id}});
        node.post(&headers, cancel.to_string().as_bytes()).await;
        if is_kept {
            let token = &claimed["claim_token"];
            let release = json!({"run_id": run_id, "agent_id": "a", "claim_token": token});
            let released = node.call("workflow_release", release).await;
            assert_eq!(released["structuredContent"]["ok"], true, "{released}");
        }
        given_back(&node, &run_id).await;
    }
}

#[tokio::test]
async fn a_grant_that_is_in_use_is_kept() {
    let node = Node::start().await;
    let used = create(&node).await;
    let claimed = call(&node, 1, "workflow_claim_next", json!({"agent_id": "a"})).await;
    assert_eq!(claimed["run_id"], used, "{claimed}");
    let token = &claimed["claim_token"];
    let alive = json!({"run_id": used, "agent_id": "a", "claim_token": token});
    let alive = call(&node, 2, "workflow_heartbeat", alive).await;
    assert_eq!(alive["ok"], true, "{alive}");
    cancel(&node, 1).await;
    // By the time that this one is given back, the other would have been as well.
    let unused = create(&node).await;
    let claimed = call(&node, 3, "workflow_claim_next", json!({"agent_id": "a"})).await;
    assert_eq!(claimed["run_id"], unused, "{claimed}");
    cancel(&node, 3).await;
    given_back(&node, &unused).await;
    assert_ne!(status(&node, &used).await, "created");
}

/// Serves MCP on every node of a cluster.
async fn serve(cluster: &Cluster) -> Vec<Node> {
    let mut nodes = Vec::new();
    for store in cluster.stores() {
        // A node that has only just started does not know whom to tell.
        until("it knows all members", || async {
            store.health().await.cluster.unwrap().members.len() == 3
        })
        .await;
        let options = Options { clock: cluster.clock.clone(), ..Options::default() };
        let toolset = Some(Toolset::all());
        let mcp = endpoint::Options { toolset, ..Default::default() };
        nodes.push(Node::over(store, options, access::Options::default(), mcp).await);
    }
    nodes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_reaches_its_call_on_another_node() {
    let cluster = Cluster::start().await;
    let nodes = serve(&cluster).await;
    for (id, there) in [(1, 1), (2, 2)] {
        let wait = json!({"agent_id": "gone", "wait_seconds": 50});
        let waits = message(id, "workflow_claim_next", wait);
        let mut call = open(&nodes[0], &HEADERS, &waits).await;
        waiting(&nodes[0], 1).await;
        cancel(&nodes[there], id).await;
        waiting(&nodes[0], 0).await;
        let mut answer = String::new();
        call.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.contains("the call was cancelled"), "{answer}");
    }
    assert_nobody_takes(&nodes[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancellations_and_calls_cross_between_nodes() {
    let cluster = Cluster::start().await;
    let nodes = serve(&cluster).await;
    let run_id = create(&nodes[0]).await;
    let claim = json!({"agent_id": "gone", "run_id": run_id});
    let claimed = call(&nodes[0], 1, "workflow_claim", claim).await;
    assert_eq!(claimed["claimed"], true, "{claimed}");
    cancel(&nodes[1], 1).await;
    given_back(&nodes[2], &run_id).await;
    // Nothing tells when a cancellation has reached the other node, so this repeats
    // with other ids until one has overtaken its call.
    let deadline = Instant::now() + SOON;
    let lease = json!({"resource_id": "r", "holder_id": "gone", "ttl_seconds": 60});
    for id in 2.. {
        cancel(&nodes[1], id).await;
        let answer = call(&nodes[0], id, "lease_acquire", lease.clone()).await;
        if was_cancelled(&answer) {
            break;
        }
        assert!(Instant::now() < deadline, "no cancellation has come first: {answer}");
    }
}
