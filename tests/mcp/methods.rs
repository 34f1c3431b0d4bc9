//! Methods that are not there, and parameters that cannot be read: every client is told
//! what is wrong, whichever way it came.

use serde_json::{Value, json};

use crate::node::{Node, OLDER};
use crate::pipe::Client;

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

#[tokio::test]
async fn an_unknown_method_is_answered_with_its_name_and_the_nearest() {
    let node = Node::start().await;
    let mut client = Client::start();
    client.initialize().await;
    for (method, said) in [
        ("foo/bar", "Method not found: 'foo/bar'"),
        ("prompt/list", "Method not found: 'prompt/list'; did you mean 'prompts/list'?"),
        (
            "logging/setLevel",
            "Method not found: 'logging/setLevel'; this server sends no log messages",
        ),
        (
            "subscriptions/listen",
            "Method not found: 'subscriptions/listen'; it belongs to revision",
        ),
    ] {
        let message = request(method, json!({"level": "info", "notifications": {}}));
        client.send(&message.to_string()).await;
        let over_pipe = client.receive().await;
        let over_http = node.older(OLDER[2], message).await.json();
        for answer in [over_pipe, over_http] {
            assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32601), &json!(1)));
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with(said), "{message}");
        }
    }
    let reply = node.latest("ping", json!({})).await;
    assert_eq!(reply.status, 404, "the transport's own status stays: {}", reply.body);
    assert_eq!(reply.error(), "Method not found: 'ping'; revision 2026-07-28 has no ping");
    let subscribe = request("resources/subscribe", json!({"uri": "state://kv/k"}));
    let reply = node.older(OLDER[2], subscribe).await;
    assert!(reply.error().contains("over HTTP there is no stream for it"), "{}", reply.body);
}

#[tokio::test]
async fn parameters_that_cannot_be_read_are_answered_with_what_the_method_takes() {
    let node = Node::start().await;
    let mut client = Client::start();
    // Even before the client has introduced itself.
    for (method, params, takes) in [
        ("initialize", json!({"capabilities": {}}), r#"initialize takes {"protocolVersion""#),
        ("tools/call", json!({"name": 5}), r#"tools/call takes {"name": a string"#),
        ("resources/read", json!({}), r#"resources/read takes {"uri": a string}"#),
        ("prompts/get", json!({"arguments": {}}), r#"prompts/get takes {"name": a string"#),
        ("completion/complete", json!({"ref": 1}), r#"completion/complete takes {"ref""#),
    ] {
        let message = request(method, params);
        client.send(&message.to_string()).await;
        let over_pipe = client.receive().await;
        let over_http = node.older(OLDER[2], message).await.json();
        for answer in [over_pipe, over_http] {
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
            let message = answer["error"]["message"].as_str().unwrap_or_default();
            assert!(message.starts_with(takes), "{message}");
        }
    }
    client.initialize().await;
}

#[tokio::test]
async fn unknown_metadata_changes_nothing() {
    let node = Node::start().await;
    let meta = json!({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "progressToken": "t", "com.example/anything": {"a": [1]}});
    for (method, params) in [
        ("resources/list", json!({})),
        ("resources/read", json!({"uri": "state://history"})),
        ("prompts/list", json!({})),
        ("prompts/get", json!({"name": "worker", "arguments": {"agent_id": "a"}})),
        ("tools/call", json!({"name": "state_get", "arguments": {"key": "k"}})),
    ] {
        let plain = node.older(OLDER[2], request(method, params.clone())).await;
        let mut with = params;
        with["_meta"] = meta.clone();
        let reply = node.older(OLDER[2], request(method, with)).await;
        assert_eq!((reply.status, reply.json()), (200, plain.json()), "{method}");
    }
}

#[tokio::test]
async fn clients_are_told_only_what_they_can_use() {
    let node = Node::start().await;
    let hello = request(
        "initialize",
        json!({"protocolVersion": OLDER[2], "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}),
    );
    let over_http = node.post(&[], hello.to_string().as_bytes()).await.json()["result"].clone();
    assert_eq!(over_http["capabilities"]["resources"], json!({}), "{over_http}");
    let icon = over_http["serverInfo"]["icons"][0]["src"].as_str().unwrap_or_default().to_owned();
    assert!(icon.starts_with("data:image/svg+xml,"), "{icon}");
    assert!(!icon.contains(' '), "a URI has no spaces: {icon}");
    let mut client = Client::start();
    client.send(&hello.to_string()).await;
    let over_pipe = client.receive().await["result"].clone();
    assert_eq!(over_pipe["capabilities"]["resources"], json!({"subscribe": true}));
    let discovered = node.latest("server/discover", json!({})).await.json()["result"].clone();
    assert_eq!(
        discovered["capabilities"],
        json!({"completions": {}, "prompts": {}, "tools": {},
            "extensions": {"io.modelcontextprotocol/tasks": {}},
            "resources": {"subscribe": true, "listChanged": true}})
    );
    let server = &discovered["_meta"]["io.modelcontextprotocol/serverInfo"];
    assert_eq!(server["title"], "MCP State Sidecar", "{discovered}");
    assert!(discovered["ttlMs"].as_u64() > Some(0) && discovered["cacheScope"] == "public");
}
