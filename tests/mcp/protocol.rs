//! Clients of every revision of the protocol find the server and its tools, and get
//! answers.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{LATEST, Node, OLDER};
use crate::schema;

fn initialize(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    }})
}

#[tokio::test]
async fn older_clients_initialize_and_call() {
    let node = Node::start().await;
    for version in OLDER {
        let reply = node.post(&[], initialize(version).to_string().as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let result = &reply.json()["result"];
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "mcp-state-sidecar");
        assert!(result["capabilities"]["tools"].is_object());
        let instructions = result["instructions"].as_str().unwrap_or_default();
        let cycle = ["create", "discover", "claim", "checkpoint", "resume"];
        let places: Vec<_> = cycle.iter().map(|step| instructions.find(step)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");

        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(node.older(version, initialized).await.status, 202);
        let call = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {
            "name": "state_set", "arguments": {"key": version, "value": 1}}});
        let reply = node.older(version, call).await.json();
        assert_eq!(reply["id"], "a");
        assert_eq!(reply["result"]["structuredContent"]["ok"], true, "{reply}");
        assert_eq!(reply["result"]["isError"], false);
        assert!(reply["result"].get("resultType").is_none(), "unknown to older clients");
    }
}

#[tokio::test]
async fn the_newest_clients_need_no_handshake() {
    let node = Node::start().await;
    let discovered = node.latest("server/discover", json!({})).await.json();
    let versions = discovered["result"]["supportedVersions"].as_array().expect("versions").clone();
    assert!(versions.contains(&json!(LATEST)), "{discovered}");
    assert!(discovered["result"]["instructions"].is_string());
    let call = json!({"name": "state_set", "arguments": {"key": "k", "value": {"a": 1}}});
    let reply = node.latest("tools/call", call).await.json();
    assert_eq!(reply["result"]["resultType"], "complete", "{reply}");
    assert_eq!(reply["result"]["structuredContent"]["ok"], true);
    let list = node.latest("tools/list", json!({})).await.json();
    assert!(list["result"]["ttlMs"].as_u64() > Some(0), "the list may be kept: {}", list["result"]);
}

#[tokio::test]
async fn the_list_of_tools_is_complete_and_well_formed() {
    let node = Node::start().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let reply = node.older(OLDER[1], list).await.json();
    let tools = reply["result"]["tools"].as_array().expect("tools").clone();
    let names: HashSet<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(names.len(), 38, "{names:?}");
    let reference = [
        "state_set",
        "state_get",
        "state_delete",
        "state_list",
        "workflow_create",
        "workflow_discover",
        "workflow_claim",
        "workflow_checkpoint",
        "workflow_resume",
        "workflow_status",
        "workflow_list",
        "lease_acquire",
        "lease_release",
        "lease_renew",
        "sidecar_health",
        "sidecar_reset",
        "session_save",
        "session_restore",
        "history_log",
    ];
    for name in reference {
        assert!(names.contains(name), "{name} of the reference is missing");
    }
    for tool in &tools {
        let name = &tool["name"];
        assert!(tool["title"].as_str().is_some_and(|t| !t.is_empty()), "{name}: title");
        assert!(tool["description"].as_str().is_some_and(|t| t.len() > 10), "{name}: description");
        for schema in [&tool["inputSchema"], &tool["outputSchema"]] {
            well_formed(name, schema);
            assert_eq!(schema["type"], "object", "{name}");
        }
        let hints = &tool["annotations"];
        // Each is told only where it differs from the protocol's default.
        let told = |hint: &str| hints.get(hint).and_then(serde_json::Value::as_bool);
        assert!(told("readOnlyHint") != Some(false), "{name}: {hints}");
        assert_eq!(hints["openWorldHint"], false, "{name}");
        let writes = told("readOnlyHint").is_none();
        assert!(told("destructiveHint") != Some(true) && told("idempotentHint") != Some(false));
        let is_told = told("destructiveHint").or(told("idempotentHint")).is_some();
        assert!(writes || !is_told, "{name}: {hints}");
        let has_key = tool["inputSchema"]["properties"].get("idempotency_key").is_some();
        assert_eq!(has_key, writes, "{name}: idempotency_key");
        assert!(
            writes
                || name == "sidecar_health"
                || name == "state_wait"
                || name == "workflow_wait"
                || tool["inputSchema"]["properties"].get("consistency").is_some(),
            "{name}"
        );
    }
}

/// Checks that every schema in it uses only keywords with which the stories can check
/// replies.
fn well_formed(tool: &Value, schema: &Value) {
    for (name, property) in schema["properties"].as_object().expect("properties") {
        for example in [json!(null), json!(1), json!("x"), json!([]), json!({}), json!(true)] {
            if let Err(why) = schema::check(property, &example) {
                assert!(!why.contains("unknown keyword"), "{tool}.{name}: {why}");
            }
        }
        for inner in [property, &property["items"]] {
            if inner.get("properties").is_some() {
                well_formed(tool, inner);
            }
        }
    }
}

#[tokio::test]
async fn numbers_and_ids_survive_both_ways() {
    let node = Node::start().await;
    let body = r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"state_set","arguments":{"key":"n","value":{"z":123456789012345678901234567890,"a":0.10}},"_meta":{"progressToken":7}}}"#;
    let reply = node.post(&[], body.as_bytes()).await;
    assert!(reply.body.contains("\"id\":9007199254740993"), "{}", reply.body);
    let body = body
        .replace("state_set", "state_get")
        .replace(r#","value":{"z":123456789012345678901234567890,"a":0.10}"#, "");
    let reply = node.post(&[], body.as_bytes()).await;
    let structured = r#""value":{"z":123456789012345678901234567890,"a":0.10}"#;
    assert!(reply.body.contains(structured), "{}", reply.body);
    let text = reply.json()["result"]["content"][0]["text"].clone();
    assert!(text.as_str().is_some_and(|text| text.contains(structured)), "{text}");
    for id in ["\"x\"", "0", "-1"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let reply = node.post(&[], body.as_bytes()).await;
        assert!(reply.body.contains(&format!("\"id\":{id}")), "{}", reply.body);
    }
}

#[tokio::test]
async fn tool_errors_are_for_the_agent() {
    let node = Node::start().await;
    let result = node.call("history_log", json!({"n": 0})).await;
    assert_eq!(result["isError"], true);
    let text = "Error calling tool 'history_log': n must be >= 1, got 0 \
                (code: invalid_argument, retryable: false)";
    assert_eq!(result["content"], json!([{"type": "text", "text": text}]));
    let error = json!({
        "code": "invalid_argument", "message": "n must be >= 1, got 0", "retryable": false});
    assert_eq!(result["structuredContent"], json!({"error": error}));
}

#[tokio::test]
async fn other_methods_than_post_are_not_allowed() {
    let node = Node::start().await;
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let reply = node.send(method, "/mcp", &[("Accept", "text/event-stream")], b"").await;
        assert_eq!(reply.status, 405, "{method}: {}", reply.body);
    }
    assert_eq!(node.send("GET", "/elsewhere", &[], b"").await.status, 404);
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let node = Node::start().await;
    assert_eq!(node.send("GET", "/healthz", &[], b"").await.status, 200);
    assert_eq!(node.send("GET", "/readyz", &[], b"").await.status, 200);
    node.call("state_set", json!({"key": "k", "value": 1})).await;
    node.call("history_log", json!({"n": 0})).await;
    node.call("workflow_create", json!({"name": "a\"b"})).await;
    let page = node.send("GET", "/metrics", &[], b"").await;
    assert_eq!(page.status, 200);
    for line in [
        "sidecar_requests_total{tool=\"state_set\",outcome=\"ok\"}",
        "sidecar_requests_total{tool=\"history_log\",outcome=\"invalid_argument\"}",
        "sidecar_request_seconds_bucket{tool=\"state_set\",le=\"0.001\"}",
        "sidecar_store_healthy{backend=\"memory\"} 1",
        "sidecar_revision 2",
        "sidecar_runs{name=\"a\\\"b\",status=\"created\"} 1",
        "# TYPE sidecar_runs_oldest_waiting_seconds gauge",
        "sidecar_runs_last_five_minutes{name=\"a\\\"b\",change=\"created\"} 1",
        "sidecar_runs_more_names 0",
    ] {
        assert!(page.body.contains(line), "{line} is not in\n{}", page.body);
    }
    node.store.close().await;
    let ready = node.send("GET", "/readyz", &[], b"").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "unavailable: the store is closed\n"));
    assert_eq!(node.send("GET", "/healthz", &[], b"").await.status, 200);
}

#[tokio::test]
async fn a_shutdown_ends_waits_and_lets_them_answer() {
    const SOON: Duration = Duration::from_secs(5);
    let node = Node::start().await;
    let addr = node.addr;
    let lease = |holder: &str| json!({"resource_id": "r", "holder_id": holder, "ttl_seconds": 90});
    node.call("lease_acquire", lease("a")).await;
    let mut second = lease("b");
    second["wait_seconds"] = json!(55);
    let (changes, work) =
        (json!({"key": "k", "timeout_seconds": 55}), json!({"agent_id": "b", "wait_seconds": 55}));
    let waiting = async {
        let (change, claim, lease) = tokio::join!(
            node.call("state_wait", changes),
            node.call("workflow_claim_next", work),
            node.call("lease_acquire", second),
        );
        assert_eq!(change["structuredContent"]["changed"], false, "{change}");
        assert_eq!(claim["structuredContent"]["claimed"], false, "{claim}");
        assert_eq!(lease["structuredContent"]["acquired"], false, "{lease}");
    };
    let stopping = async {
        while node.service.load().1 < 3 {
            tokio::task::yield_now().await;
        }
        node.shutdown.cancel();
    };
    let both = async { tokio::join!(waiting, stopping) };
    tokio::time::timeout(SOON, both).await.expect("nobody waits on");
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "the listener is closed");
    let Node { served, .. } = node;
    served.await.expect("no panic").expect("served to the end");
}
