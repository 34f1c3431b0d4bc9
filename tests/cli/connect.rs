//! `connect`: it carries messages to nodes that are up, and what a client cancels or subscribes
//! to is the same as at a node itself.

use std::path::Path;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use support::command_line::{PATIENCE, PROGRAM};

use crate::cut::CutProxy;
use crate::node::get;
use crate::pipe::{Pipe, serve};

const REVISION: &str = "mcp-state-sidecar/revision";

/// A node, and a client that is connected to it by these addresses.
fn connected(dir: &Path, node: u16) -> Pipe {
    Pipe::start(dir, &["connect", &format!("127.0.0.1:{node}")])
}

fn latest(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

#[test]
fn connect_carries_messages_to_a_node_that_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let url = format!("http://127.0.0.1:{port}/mcp");
    // The first node cannot be reached, so the second is called.
    let mut pipe = Pipe::start(dir.path(), &["connect", "http://127.0.0.1:0/mcp", &url]);
    pipe.initialize();
    assert_eq!(pipe.call("state_set", json!({"key": "k", "value": 1.50}))["ok"], true);
    assert_eq!(pipe.call("state_get", json!({"key": "k"}))["found"], true);
    assert_eq!(pipe.hang_up(), Some(0));
}

#[test]
fn connect_passes_on_what_a_node_tells_before_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let url = format!("http://127.0.0.1:{port}/mcp");
    let mut pipe = Pipe::start(dir.path(), &["connect", &url]);
    pipe.initialize();
    let params = json!({"name": "workflow_claim_next", "_meta": {"progressToken": "t"},
        "arguments": {"agent_id": "a", "wait_seconds": 3}});
    pipe.send(&json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": params}));
    let progress = pipe.receive();
    assert_eq!(progress["method"], "notifications/progress", "{progress}");
    let answer = pipe.receive();
    assert_eq!(answer["result"]["structuredContent"]["claimed"], false, "{answer}");
    let params = json!({"notifications": {"resourceSubscriptions": ["state://kv/k"]}, "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}});
    let listen = json!({"jsonrpc": "2.0", "id": 9, "method": "subscriptions/listen",
        "params": params});
    pipe.send(&listen);
    let acknowledged = pipe.receive();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    let arguments = json!({"key": "k", "value": 1});
    let params = json!({"name": "state_set", "arguments": arguments});
    pipe.send(&json!({"jsonrpc": "2.0", "id": 10, "method": "tools/call", "params": params}));
    let (first, second) = (pipe.receive(), pipe.receive());
    let updated = if first["id"] == 10 { second } else { first };
    assert_eq!(updated["params"]["uri"], "state://kv/k", "{updated}");
    assert_eq!(pipe.hang_up(), Some(0), "a subscription does not keep it from ending");
}

#[test]
fn connect_cancels_what_its_client_cancels() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let url = format!("http://127.0.0.1:{port}/mcp");
    let mut pipe = Pipe::start(dir.path(), &["connect", &url]);
    pipe.initialize();
    let arguments = json!({"agent_id": "gone", "wait_seconds": 50});
    let params = json!({"name": "workflow_claim_next", "arguments": arguments});
    pipe.send(&json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": params}));
    let waiting = |number: u64| {
        let deadline = Instant::now() + PATIENCE;
        let line = format!("sidecar_calls_waiting {number}\n");
        while !get(port, "/metrics").contains(&line) {
            assert!(Instant::now() < deadline, "there were never {number} calls waiting");
        }
    };
    waiting(1);
    let params = json!({"requestId": 8});
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    waiting(0);
    let created = pipe.call("workflow_create", json!({"name": "n"}));
    let found = pipe.call("workflow_discover", json!({"claimable": true}));
    assert_eq!(found["runs"][0]["run_id"], created["run_id"], "{found}");
    assert_eq!(pipe.hang_up(), Some(0));
}

#[test]
fn a_grant_whose_answer_crosses_its_cancellation_is_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let mut pipe = connected(dir.path(), port);
    pipe.initialize();
    let created = pipe.call("workflow_create", json!({"name": "n"}));
    let params = json!({"name": "workflow_claim_next", "arguments": {"agent_id": "gone"}});
    pipe.send(&json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": params}));
    let claimed = pipe.receive();
    assert_eq!(claimed["result"]["structuredContent"]["claimed"], true, "{claimed}");
    let params = json!({"requestId": 8});
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    let deadline = Instant::now() + PATIENCE;
    let status = json!({"run_id": created["run_id"]});
    while pipe.call("workflow_status", status.clone())["status"] != "created" {
        assert!(Instant::now() < deadline, "the run was not given back");
    }
}

#[test]
fn a_subscription_goes_on_after_its_connection_broke() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let mut direct = connected(dir.path(), port);
    direct.initialize();
    let proxy = CutProxy::before(port);
    let mut pipe = connected(dir.path(), proxy.port());
    let key = |name: &str| format!("state://kv/{name}");
    let notifications = json!({"resourceSubscriptions": [key("a"), key("b")]});
    pipe.send(&latest(9, "subscriptions/listen", json!({"notifications": notifications})));
    let acknowledged = pipe.receive();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    // Once before anything has changed, and once after.
    for name in ["a", "b", "a"] {
        proxy.cut();
        let set = direct.call("state_set", json!({"key": name, "value": 1}));
        let told = pipe.receive();
        assert_eq!(told["method"], "notifications/resources/updated", "{told}");
        assert_eq!(told["params"]["uri"], key(name), "{told}");
        assert_eq!(told["params"]["_meta"][REVISION], set["revision"], "{told}");
    }
    assert_eq!(pipe.hang_up(), Some(0));
}

#[test]
fn a_subscription_goes_on_at_the_next_node_when_one_stops() {
    let dir = tempfile::tempdir().unwrap();
    // They share a file.
    let (mut first, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let (_second, other) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let nodes = [port, other].map(|port| format!("127.0.0.1:{port}"));
    let mut pipe = Pipe::start(dir.path(), &["connect", &nodes[0], &nodes[1]]);
    let notifications = json!({"resourceSubscriptions": ["state://kv/k"]});
    pipe.send(&latest(9, "subscriptions/listen", json!({"notifications": notifications})));
    let acknowledged = pipe.receive();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    first.signal(Signal::TERM);
    assert_eq!(first.ended(), Some(0));
    let mut direct = connected(dir.path(), other);
    direct.initialize();
    direct.call("state_set", json!({"key": "k", "value": 1}));
    let told = pipe.receive();
    assert_eq!(told["method"], "notifications/resources/updated", "{told}");
    // The client ends it by cancelling, and nothing follows.
    let params = json!({"requestId": 9});
    pipe.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    pipe.initialize();
    assert_eq!(pipe.hang_up(), Some(0));
}

#[test]
fn names_that_are_not_ascii_reach_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let mut pipe = connected(dir.path(), port);
    let set = json!({"name": "state_set", "arguments": {"key": "\u{fc}", "value": 1}});
    pipe.send(&latest(1, "tools/call", set));
    assert_eq!(pipe.receive()["result"]["structuredContent"]["ok"], true);
    pipe.send(&latest(2, "resources/read", json!({"uri": "state://kv/\u{fc}"})));
    let read = pipe.receive();
    let text = read["result"]["contents"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("\"found\":true"), "{read}");
}

#[test]
fn lines_that_are_no_messages_are_answered_as_by_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let (_node, port) = serve(&PROGRAM, dir.path(), &[], &["serve"]);
    let mut itself = Pipe::start(dir.path(), &["stdio"]);
    let mut carried = connected(dir.path(), port);
    for (line, code) in [
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        ("\"ping\"", -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"_meta":1}}"#, -32600),
        ("{", -32700),
    ] {
        itself.send_line(line);
        carried.send_line(line);
        let answer = itself.receive();
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
        assert_eq!(carried.receive(), answer, "{line}");
    }
    // An answer to a question that nobody asked is none itself answered.
    carried.send_line(r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    carried.initialize();
    assert_eq!(carried.hang_up(), Some(0));
}
