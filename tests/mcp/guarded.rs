//! Who may call: host names, origins, tokens, and callers from other machines.

use mcp_state_sidecar::access::{Options, Secret};
use serde_json::json;

use crate::node::Node;

const SET: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"state_set","arguments":{"key":"k","value":1}}}"#;
const RESET: &[u8] =
    br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sidecar_reset","arguments":{"confirm":true}}}"#;

#[tokio::test]
async fn forged_names_and_foreign_pages_are_refused() {
    let node = Node::guarded(Options {
        hosts: vec!["node1.example".into()],
        origins: vec!["https://app.example".into()],
        ..Options::default()
    })
    .await;
    for (header, bad) in [
        ("Host", "evil.example"),
        ("Host", "localhost.evil.example"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ] {
        let reply = node.post(&[(header, bad)], SET).await;
        assert_eq!(reply.status, 403, "{bad}: {}", reply.body);
        assert!(reply.error().contains(&bad.to_lowercase()), "{}", reply.body);
    }
    node.assert_unchanged().await;
    for (header, good) in [
        ("Host", "node1.example:8000"),
        ("Host", "localhost"),
        ("Origin", "http://localhost:5173"),
        ("Origin", "https://app.example"),
    ] {
        assert_eq!(node.post(&[(header, good)], SET).await.status, 200, "{good}");
    }
    for path in ["/healthz", "/readyz"] {
        let probe = node.send("GET", path, &[("Host", "10.0.0.7:8000")], b"").await;
        assert_eq!(probe.status, 200, "a probe may use any name");
    }
}

#[tokio::test]
async fn callers_from_other_machines_are_told_what_to_do() {
    let node = Node::start().await;
    let reply = node.post(&[("X-Forwarded-For", "192.0.2.7")], SET).await;
    assert_eq!(reply.status, 403);
    assert!(reply.error().contains("SIDECAR_TOKEN"), "{}", reply.body);
    let afar = [("X-Forwarded-For", "192.0.2.7"), ("Host", "10.0.0.5:8000")];
    let reply = node.post(&afar, SET).await;
    assert_eq!(reply.status, 403);
    assert!(reply.error().contains("SIDECAR_TOKEN"), "{}", reply.body);
    node.assert_unchanged().await;
    let node = Node::guarded(Options { insecure: true, ..Options::default() }).await;
    assert_eq!(node.post(&[("X-Forwarded-For", "192.0.2.7")], SET).await.status, 200);
    assert_eq!(node.post(&afar, SET).await.status, 200);
    let reset = node.post(&[("X-Forwarded-For", "192.0.2.7")], RESET).await.json();
    assert_eq!(reset["result"]["structuredContent"]["error"]["code"], "forbidden", "{reset}");
    let reset = node.call("sidecar_reset", json!({"confirm": true})).await;
    assert_eq!(reset["structuredContent"]["ok"], true, "a local caller administers");
}

#[tokio::test]
async fn a_configured_token_is_required_from_everybody() {
    let token = Some(Secret::new("s3cret"));
    let node = Node::guarded(Options { token, ..Options::default() }).await;
    for wrong in [None, Some("Bearer wrong"), Some("s3cret"), Some("Basic s3cret")] {
        let headers: Vec<_> = wrong.map(|value| ("Authorization", value)).into_iter().collect();
        let reply = node.post(&headers, SET).await;
        assert_eq!(reply.status, 401, "{wrong:?}");
        assert!(reply.head.contains("www-authenticate: bearer"), "{}", reply.head);
        assert!(!reply.body.contains("s3cret"), "{}", reply.body);
    }
    assert_eq!(node.send("GET", "/metrics", &[], b"").await.status, 401);
    assert_eq!(node.send("GET", "/healthz", &[], b"").await.status, 200);
    let authorized = ("Authorization", "Bearer s3cret");
    let reply = node.post(&[authorized], SET).await.json();
    assert_eq!(reply["result"]["structuredContent"]["revision"], 1, "nothing was set before");
    let afar = [authorized, ("X-Forwarded-For", "192.0.2.7"), ("Host", "node1.example")];
    assert_eq!(node.post(&afar, RESET).await.status, 200);
}
