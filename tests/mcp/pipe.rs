//! MCP over a pipe, as editors start it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::api::mcp::serve_pipe;
use mcp_state_sidecar::api::mcp::tools::Toolset;
use mcp_state_sidecar::service::{Options, Service};
use mcp_state_sidecar::store::clock;
use mcp_state_sidecar::store::memory::MemoryStore;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Client {
    input: WriteHalf<DuplexStream>,
    output: BufReader<ReadHalf<DuplexStream>>,
    served: JoinHandle<std::io::Result<()>>,
    pub shutdown: CancellationToken,
}

impl Client {
    pub fn start() -> Client {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let service = Service::new(Arc::new(MemoryStore::new(clock::system())), Options::default());
        let shutdown = CancellationToken::new();
        let (input, output) = tokio::io::split(theirs);
        let served =
            tokio::spawn(serve_pipe(service, Toolset::all(), input, output, shutdown.clone()));
        let (output, input) = tokio::io::split(ours);
        Client { input, output: BufReader::new(output), served, shutdown }
    }

    pub async fn send(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.expect("the server reads");
    }

    pub async fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).await.expect("the server writes");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub async fn initialize(&mut self) {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"}}});
        self.send(&hello.to_string()).await;
        assert_eq!(self.receive().await["result"]["protocolVersion"], "2025-06-18");
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    }

    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        self.send(&call.to_string()).await;
        self.receive().await["result"]["structuredContent"].clone()
    }
}

#[tokio::test]
async fn a_client_on_a_pipe_may_do_everything() {
    let mut client = Client::start();
    client.initialize().await;
    let set = client.call("state_set", json!({"key": "k", "value": 1e300})).await;
    assert_eq!(set["ok"], true, "{set}");
    let reset = client.call("sidecar_reset", json!({"confirm": true})).await;
    assert_eq!(reset["ok"], true, "the user who started the process is an administrator: {reset}");
}

#[tokio::test]
async fn a_cancelled_call_is_granted_nothing() {
    let mut client = Client::start();
    client.initialize().await;
    let arguments = json!({"agent_id": "gone", "wait_seconds": 50});
    let params = json!({"name": "workflow_claim_next", "arguments": arguments});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    client.send(&call.to_string()).await;
    // This call is answered only after the one before it has begun.
    client.call("state_get", json!({"key": "k"})).await;
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 7}});
    client.send(&cancel.to_string()).await;
    client.call("state_get", json!({"key": "k"})).await;
    let created = client.call("workflow_create", json!({"name": "n"})).await;
    let found = client.call("workflow_discover", json!({"claimable": true})).await;
    assert_eq!(found["runs"][0]["run_id"], created["run_id"], "{found}");
}

#[tokio::test]
async fn a_grant_whose_answer_crosses_its_cancellation_is_given_back() {
    let mut client = Client::start();
    client.initialize().await;
    let created = client.call("workflow_create", json!({"name": "n"})).await;
    let claimed = client.call("workflow_claim_next", json!({"agent_id": "gone"})).await;
    assert_eq!(claimed["run_id"], created["run_id"], "{claimed}");
    // The call has been answered under this id, but its client has not read that yet.
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}});
    client.send(&cancel.to_string()).await;
    let arguments = json!({"agent_id": "a", "wait_seconds": 50});
    let params = json!({"name": "workflow_claim_next", "arguments": arguments});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params});
    client.send(&call.to_string()).await;
    let claimed = client.receive().await["result"]["structuredContent"].clone();
    assert_eq!(claimed["run_id"], created["run_id"], "{claimed}");
}

#[tokio::test]
async fn a_client_that_hangs_up_waits_for_nothing() {
    let mut client = Client::start();
    client.initialize().await;
    let arguments = json!({"agent_id": "gone", "wait_seconds": 50});
    let params = json!({"name": "workflow_claim_next", "arguments": arguments});
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    client.send(&call.to_string()).await;
    client.input.shutdown().await.expect("closed");
    let answer = client.receive().await;
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    client.served.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn bad_lines_do_not_end_the_connection() {
    let mut client = Client::start();
    client.initialize().await;
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"state_set","arguments":{{"key":"k","value":{}{}}}}}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    for bad in ["not json", "[]", "{}", "", r#"{"jsonrpc":"2.0","id":3}"#, &deep] {
        client.send(bad).await;
    }
    client.input.write_all(b"{\"a\":\"\xff\"}\n").await.expect("the server reads");
    client.send(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#).await;
    loop {
        let message = client.receive().await;
        if message["id"] == 7 {
            assert!(message["result"].is_object(), "{message}");
            break;
        }
        assert!(message["error"].is_object(), "{message}");
    }
    let health = client.call("sidecar_health", json!({})).await;
    assert_eq!(health["revision"], 0, "nothing was changed: {health}");
}

#[tokio::test]
async fn every_bad_line_is_answered() {
    let mut client = Client::start();
    client.initialize().await;
    let deep = format!(r#"{{"id":6,"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for (line, code, id) in [
        (b"not json".as_slice(), -32700, json!(null)),
        (b"{\"id\":\"a\",\"b\":\"\xff\"}", -32700, json!("a")),
        (br#"{"jsonrpc":"2.0","id":5,"method":"\ud800"}"#, -32700, json!(5)),
        (deep.as_bytes(), -32700, json!(6)),
        (b"[]", -32600, json!(null)),
        (br#"{"jsonrpc":"2.0","id":7}"#, -32600, json!(7)),
    ] {
        client.input.write_all(&[line, b"\n"].concat()).await.expect("the server reads");
        let answer = client.receive().await;
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{answer}");
    }
    let last = br#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#;
    client.input.write_all(last).await.expect("the server reads");
    client.input.shutdown().await.expect("closed");
    assert_eq!(client.receive().await["id"], 9, "answered without a newline");
    client.served.await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn a_client_that_has_not_introduced_itself_is_told_so() {
    let mut client = Client::start();
    // This has no answer, and does not end the connection.
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    client.send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await;
    assert_eq!(client.receive().await["result"], json!({}));
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#).await;
    let answer = client.receive().await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(2), &json!(-32600)));
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("send initialize first"), "{answer}");
    client.initialize().await;
    assert_eq!(client.call("sidecar_health", json!({})).await["status"], "ok");
}

#[tokio::test]
async fn it_ends_with_the_client_and_with_the_server() {
    let mut client = Client::start();
    client.initialize().await;
    client.input.shutdown().await.expect("closed");
    drop((client.input, client.output));
    client.served.await.expect("no panic").expect("a clean end");
    let mut client = Client::start();
    client.initialize().await;
    client.shutdown.cancel();
    client.served.await.expect("no panic").expect("a clean end");
    let client = Client::start();
    drop((client.input, client.output));
    client.served.await.expect("no panic").expect("a client that never spoke");
}

#[tokio::test]
async fn the_program_serves_its_standard_streams() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut program = tokio::process::Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"))
        .arg("stdio")
        .env("DB_PATH", dir.path().join("state.db"))
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let mut input = program.stdin.take().expect("piped");
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}});
    let set = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "state_set", "arguments": {"key": "k", "value": 1}}});
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let mut answers = BufReader::new(program.stdout.take().expect("piped")).lines();
    let mut next = async || -> Value {
        let line = answers.next_line().await.expect("readable").expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    input.write_all(format!("{hello}\n{initialized}\n").as_bytes()).await.expect("it reads");
    assert_eq!(next().await["result"]["serverInfo"]["name"], "mcp-state-sidecar");
    input.write_all(format!("{set}\n").as_bytes()).await.expect("it reads");
    assert_eq!(next().await["result"]["structuredContent"]["revision"], 1);
    drop(input);
    let ended = tokio::time::timeout(Duration::from_secs(20), program.wait()).await;
    assert!(ended.expect("it ends with its client").expect("waited for").success());
}
