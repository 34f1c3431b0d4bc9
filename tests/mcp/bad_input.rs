//! Bad input of every kind gets a clear error, changes nothing, and leaves the
//! node serving.

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::mcp::endpoint;
use serde_json::{Value, json};

use crate::node::{Node, OLDER, Reply, latest};

/// Checks at the end of a test that nothing was changed and the node still serves.
async fn assert_harmless(node: &Node) {
    node.assert_serving().await;
    node.assert_unchanged().await;
}

/// Checks that a request was refused in the form of JSON-RPC, although its id is not known.
fn assert_refusal(reply: &Reply, why: &str) {
    let refusal = reply.json();
    assert_eq!(refusal["jsonrpc"], "2.0", "{refusal}");
    assert_eq!(refusal.get("id"), Some(&json!(null)), "{refusal}");
    assert!(refusal["error"]["code"].is_i64(), "{refusal}");
    assert!(reply.error().contains(why), "{refusal}");
}

fn call(name: &str, arguments: Value) -> Value {
    let params = json!({"name": name, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

#[tokio::test]
async fn an_unknown_tool() {
    let node = Node::start().await;
    let reply = node.older(OLDER[2], call("state_sett", json!({"key": "k"}))).await.json();
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    let message = reply["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(message, "Unknown tool: 'state_sett'; did you mean 'state_set'?");
    let reply = node.latest("tools/call", json!({"name": "nonsense"})).await.json();
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    assert_harmless(&node).await;
}

#[tokio::test]
async fn missing_and_wrong_arguments() {
    let node = Node::start().await;
    for (arguments, text) in [
        (json!({"key": "k"}), "value is required"),
        (json!({"key": ["k"], "value": 1}), "key must be a string, got a list of 1"),
        (json!({"key": "k", "value": 1, "ttl": 1}), "did you mean 'ttl_seconds'?"),
        (json!({"key": "k".repeat(2000), "value": 1}), "key takes up to 1024 bytes, got 2000"),
        (json!({"key": "k", "value": "v".repeat(1 << 20)}), "value takes up to 1048576 bytes"),
    ] {
        let result = node.call("state_set", arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        let got = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(got.contains(text), "{got}");
    }
    let no_object = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "state_set", "arguments": [1]}});
    let reply = node.older(OLDER[2], no_object).await.json();
    assert_eq!(reply["error"]["code"], -32602, "{reply}");
    assert_harmless(&node).await;
}

#[tokio::test]
async fn a_wait_after_a_future_revision_is_refused() {
    let node = Node::start().await;
    let wait = json!({"key": "k", "after_revision": 99_999_999, "timeout_seconds": 30});
    let result = node.call("state_wait", wait).await;
    let error = &result["structuredContent"]["error"];
    assert_eq!(error["code"], "invalid_argument", "{result}");
    let message = "after_revision: 99999999 is ahead of the present revision 0";
    assert_eq!(error["message"], message, "{result}");
    assert_harmless(&node).await;
}

#[tokio::test]
async fn json_too_deep() {
    let node = Node::start().await;
    for depth in [125, 128, 129, 1000, 1_000_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"state_set","arguments":{{"key":"k","value":{nested}}}}}}}"#
        );
        let reply = node.post(&[("MCP-Protocol-Version", OLDER[2])], body.as_bytes()).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let reply = reply.json();
        assert_eq!(reply["id"], 5, "{reply}");
        assert_eq!(reply["result"]["isError"], true, "{reply}");
        let error = &reply["result"]["structuredContent"]["error"];
        assert_eq!(error["code"], "invalid_argument", "{reply}");
        let text = format!("got {depth}");
        assert!(error["message"].as_str().is_some_and(|m| m.contains(&text)), "{error}");
    }
    let open = "[".repeat(100_000);
    let reply = node.post(&[], open.as_bytes()).await;
    assert_eq!((reply.status, reply.json()["error"]["code"].as_i64()), (400, Some(-32700)));
    assert_harmless(&node).await;
    let nested = format!("{}{}", "[".repeat(124), "]".repeat(124));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"state_set","arguments":{{"key":"k","value":{nested}}}}}}}"#
    );
    let reply = node.post(&[], body.as_bytes()).await.json();
    assert_eq!(reply["result"]["structuredContent"]["ok"], true, "{reply}");
    let read = node.call("state_get", json!({"key": "k"})).await;
    assert_eq!(read["structuredContent"]["value"].to_string(), nested);
}

#[tokio::test]
async fn names_that_the_parser_reserves() {
    let node = Node::start().await;
    for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        let result = node.call("state_set", json!({"key": "k", "value": {name: "1"}})).await;
        assert_eq!(result["isError"], true, "{result}");
    }
    assert_harmless(&node).await;
}

#[tokio::test]
async fn members_that_cannot_be_read_are_named() {
    let node = Node::start().await;
    for meta in [json!("str"), json!([1]), json!(5)] {
        let mut message = call("state_set", json!({"key": "k", "value": 1}));
        message["params"]["_meta"] = meta;
        let reply = node.older(OLDER[2], message).await;
        assert_eq!(reply.error(), "Invalid Request: params._meta must be an object");
        assert_eq!(reply.json()["id"], 1);
    }
    let capabilities = json!({"roots": true});
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": OLDER[2], "capabilities": capabilities,
        "clientInfo": {"name": "a", "version": "1"}}});
    let reply = node.older(OLDER[2], initialize).await;
    assert!(reply.error().contains("; capabilities.roots: "), "{}", reply.body);
    assert_harmless(&node).await;
}

#[tokio::test]
async fn bytes_that_are_not_a_message() {
    let node = Node::start().await;
    let invalid_utf8 = [
        br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"state_set","arguments":{"key":""#.as_slice(),
        b"\xff\xfe",
        br#"","value":1}}}"#,
    ]
    .concat();
    let whole = call("state_set", json!({"key": "k", "value": 1})).to_string();
    let truncated = &whole.as_bytes()[..whole.len() - 3];
    let bodies: [&[u8]; 8] = [
        &invalid_utf8,
        truncated,
        b"",
        b"null",
        b"42",
        b"not json",
        br#"{"jsonrpc":"1.0","id":1,"method":"tools/call"}"#,
        br#"{"id":1}"#,
    ];
    for body in bodies {
        let reply = node.post(&[], body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
        let error = &reply.json()["error"];
        assert!(matches!(error["code"].as_i64(), Some(-32700 | -32600)), "{error}");
    }
    let batch = format!("[{whole},{whole}]");
    let reply = node.post(&[], batch.as_bytes()).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert_eq!(reply.error(), "Invalid Request: batches are not supported");
    assert_harmless(&node).await;
}

#[tokio::test]
async fn a_body_that_ends_too_soon_or_is_too_long() {
    let node = Node::start().await;
    let whole = call("state_set", json!({"key": "k", "value": 1})).to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: \
         application/json, text/event-stream\r\nConnection: close\r\n",
        node.addr
    );
    let mut stream = tokio::net::TcpStream::connect(node.addr).await.expect("listens");
    let short = format!("{head}Content-Length: {}\r\n\r\n{}", whole.len() + 10, whole);
    tokio::io::AsyncWriteExt::write_all(&mut stream, short.as_bytes()).await.expect("sent");
    drop(stream);

    let announced = format!("{head}Content-Length: 5000000\r\n\r\n");
    assert_eq!(node.send_raw(announced.as_bytes()).await.status, 413);
    let long = "x".repeat(5_000_000);
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let reply = node.send_raw(chunked.as_bytes()).await;
    assert_eq!(reply.status, 413, "a client that is still sending gets the answer too");
    let announced = format!("{head}Content-Length: {}\r\n\r\n{long}", long.len());
    assert_eq!(node.send_raw(announced.as_bytes()).await.status, 413);
    let garbage = node.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    assert_eq!(garbage.status, 400);
    assert_harmless(&node).await;
}

#[tokio::test]
async fn a_waiting_call_reserves_no_more_than_its_body() {
    // A body of unknown length reserves the largest size until it has been read.
    // There is room for one such body and a short one.
    let largest = endpoint::Options::default().body_bytes_max;
    let room = endpoint::Options { bodies_bytes_max: largest + 1024, ..Default::default() };
    let node = Node::with(access::Options::default(), room).await;
    let chunked = |arguments| {
        let body = call("state_wait", arguments).to_string();
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: \
             application/json, text/event-stream\r\nConnection: close\r\nTransfer-Encoding: \
             chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            node.addr,
            body.len()
        )
    };
    let long = chunked(json!({"key": "k", "timeout_seconds": 55}));
    let meanwhile = async {
        while node.service.load().1 == 0 {
            tokio::task::yield_now().await;
        }
        let other = chunked(json!({"key": "other", "timeout_seconds": 0}));
        let reply = node.send_raw(other.as_bytes()).await;
        // This change also ends the first call.
        node.shutdown.cancel();
        reply
    };
    let (waited, other) = tokio::join!(node.send_raw(long.as_bytes()), meanwhile);
    assert_eq!((waited.status, other.status), (200, 200), "{}", other.body);
}

#[tokio::test]
async fn unknown_protocol_versions() {
    let node = Node::start().await;
    let set = call("state_set", json!({"key": "k", "value": 1})).to_string();
    for version in ["1999-01-01", "2099-01-01", "nonsense", "", "\u{fc}"] {
        let reply = node.post(&[("MCP-Protocol-Version", version)], set.as_bytes()).await;
        assert_eq!(reply.status, 400, "{version}: {}", reply.body);
        assert_refusal(&reply, &format!("got '{version}', expected one of 2024-11-05, "));
    }
    let (headers, body) =
        latest("tools/call", json!({"name": "state_set", "arguments": {"key": "k", "value": 1}}));
    let body = body.replace("2026-07-28", "2030-01-01");
    let mut sent: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    sent[0].1 = "2030-01-01";
    let reply = node.post(&sent, body.as_bytes()).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    assert!(reply.error().contains("rotocol"), "{}", reply.body);
    assert_harmless(&node).await;
}

#[tokio::test]
async fn headers_that_do_not_fit() {
    let node = Node::start().await;
    let set = call("state_set", json!({"key": "k", "value": 1})).to_string();
    let status =
        async |headers: &[(&str, &str)]| -> Reply { node.post(headers, set.as_bytes()).await };
    for kind in ["text/plain", "", "application/jsonp"] {
        let reply = status(&[("Content-Type", kind)]).await;
        assert_eq!(reply.status, 415, "{kind}");
        assert_refusal(&reply, "Content-Type must be application/json");
    }
    let no_kind = node.send("POST", "/mcp", &[], set.as_bytes()).await;
    assert_refusal(&no_kind, "Content-Type must be application/json");
    let reply = status(&[("Accept", "text/html")]).await;
    assert_eq!(reply.status, 406);
    assert_refusal(&reply, "which the Accept header leaves out");
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    assert_eq!(node.post(&[("Accept", "")], ping.as_bytes()).await.status, 200);
    let (headers, body) =
        latest("tools/call", json!({"name": "state_set", "arguments": {"key": "k", "value": 1}}));
    for (at, wrong) in [(0, "2025-11-25"), (1, "tools/list"), (2, "state_get")] {
        let mut sent: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        sent[at].1 = wrong;
        let reply = node.post(&sent, body.as_bytes()).await;
        assert_eq!(reply.status, 400, "{wrong}: {}", reply.body);
    }
    assert_harmless(&node).await;
}

#[tokio::test]
async fn unknown_methods_and_unrequested_answers() {
    let node = Node::start().await;
    let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/burn"});
    let reply = node.older(OLDER[2], unknown).await.json();
    assert_eq!(reply["error"]["code"], -32601, "{reply}");
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {}});
    let reply = node.older(OLDER[2], answer).await;
    assert_eq!(reply.status, 400);
    assert_refusal(&reply, "does not accept JSON-RPC responses");
    for method in ["tools/list", "prompts/list", "resources/templates/list", "resources/list"] {
        let beyond = json!({"jsonrpc": "2.0", "id": 1, "method": method,
            "params": {"cursor": "zzz"}});
        let reply = node.older(OLDER[2], beyond).await.json();
        assert_eq!(reply["error"]["code"], -32602, "{method}: {reply}");
        assert!(reply["error"]["message"].as_str().is_some_and(|m| m.starts_with("cursor")));
    }
    assert_harmless(&node).await;
}
