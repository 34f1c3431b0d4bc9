//! Subscriptions: clients are told what has changed, once, and miss nothing.

use std::time::Duration;

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::mcp::endpoint;
use mcp_state_sidecar::machine::Command;
use mcp_state_sidecar::service::{Context, Options};
use mcp_state_sidecar::store::clock::ManualClock;
use serde_json::{Value, json};
use support::redis_server;
use tokio_util::sync::CancellationToken;

use crate::node::{Node, latest};
use crate::pipe::Client;
use crate::stores;
use crate::stream::EventStream;

const REVISION: &str = "mcp-state-sidecar/revision";

fn uris(uris: &[&str]) -> Value {
    json!({"resourceSubscriptions": uris})
}

async fn set(node: &Node, key: &str) -> u64 {
    let result = node.call("state_set", json!({"key": key, "value": 1})).await;
    result["structuredContent"]["revision"].as_u64().expect("a revision")
}

/// A subscription that goes on after a revision.
async fn listen_after(node: &Node, after: u64, notifications: Value) -> EventStream {
    let params = json!({"notifications": notifications});
    let (headers, body) = latest("subscriptions/listen", params);
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    body["params"]["_meta"][REVISION] = json!(after);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut stream = EventStream::open(node, &headers, &body.to_string()).await;
    let acknowledged = stream.next().await.expect("an acknowledgment");
    assert_eq!(acknowledged["params"]["notifications"], notifications, "{acknowledged}");
    assert_eq!(acknowledged["params"]["_meta"][REVISION], after, "nothing has been told yet");
    stream
}

/// The URI of the next notification, and the revision from which to go on after it.
async fn next_update(stream: &mut EventStream) -> (String, u64) {
    let message = stream.next().await.expect("a notification");
    let revision = message["params"]["_meta"][REVISION].as_u64().expect("a revision");
    (message["params"]["uri"].as_str().unwrap_or("the list").to_owned(), revision)
}

async fn reset(node: &Node) {
    node.service.submit(Command::Reset, Context::default()).await.expect("a reset");
}

#[tokio::test]
async fn a_client_is_told_of_changes_of_what_it_asked_for_and_of_nothing_else() {
    let node = Node::start().await;
    let created = node.call("workflow_create", json!({"name": "n"})).await;
    let run_id = created["structuredContent"]["run_id"].as_str().expect("a run").to_owned();
    let run_uri = format!("state://run/{run_id}");
    let (key, lease, session) = ("state://kv/a%2Fb", "state://lease/r", "state://session/s");
    let history = "state://history?action=session_save";
    let asked = uris(&[history, key, lease, &run_uri, session]);
    let mut stream = EventStream::listen(&node, asked).await;
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    set(&node, "other").await;
    set(&node, "a/b").await;
    stream.expect_updates(vec![key]).await;
    node.call("workflow_claim", json!({"run_id": run_id, "agent_id": "a"})).await;
    stream.expect_updates(vec![&run_uri]).await;
    let acquire = json!({"resource_id": "r", "holder_id": "h", "ttl_seconds": 90});
    node.call("lease_acquire", acquire).await;
    stream.expect_updates(vec![lease]).await;
    node.call("session_save", json!({"session_id": "s", "context": {}})).await;
    stream.expect_updates(vec![session, history]).await;
}

#[tokio::test]
async fn the_list_changes_when_something_comes_to_be_or_is_gone() {
    let node = Node::start().await;
    set(&node, "there").await;
    let mut stream = EventStream::listen(&node, json!({"resourcesListChanged": true})).await;
    set(&node, "there").await;
    set(&node, "new").await;
    let message = stream.next().await.expect("a notification");
    assert_eq!(message["method"], "notifications/resources/list_changed", "{message}");
    let subscription = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(subscription, &json!(1), "{message}");
    node.call("state_delete", json!({"key": "new"})).await;
    let message = stream.next().await.expect("a notification");
    assert_eq!(message["method"], "notifications/resources/list_changed", "{message}");
}

#[tokio::test]
async fn many_changes_are_told_once_with_the_newest_revision() {
    let node = Node::start().await;
    let mut stream = EventStream::listen(&node, uris(&["state://kv/k"])).await;
    let mut newest = 0;
    for _ in 0..200 {
        newest = set(&node, "k").await;
    }
    let mut count = 0;
    loop {
        let message = stream.next().await.expect("a notification");
        count += 1;
        let revision = &message["params"]["_meta"]["mcp-state-sidecar/revision"];
        if revision.as_u64() == Some(newest) {
            break;
        }
    }
    assert!(count < 100, "{count} notifications for 200 changes");
}

#[tokio::test]
async fn a_client_that_comes_back_misses_nothing() {
    let node = Node::start().await;
    let seen = set(&node, "a").await;
    set(&node, "b").await;
    let both = uris(&["state://kv/a", "state://kv/b"]);
    let mut stream = listen_after(&node, seen, both.clone()).await;
    stream.expect_updates(vec!["state://kv/b"]).await;
    // What the history no longer holds may have been anything.
    reset(&node).await;
    let mut stream = listen_after(&node, seen, both).await;
    stream.expect_updates(vec!["state://kv/a", "state://kv/b"]).await;
}

#[tokio::test]
async fn a_client_that_was_cut_off_anywhere_misses_nothing() {
    let node = Node::start().await;
    let begin = set(&node, "other").await;
    // The order of their names is not that of their changes.
    let (b, a) = (set(&node, "b").await, set(&node, "a").await);
    let asked = uris(&["state://kv/a", "state://kv/b", "state://kv/c"]);
    let asked = json!({"resourcesListChanged": true,
        "resourceSubscriptions": asked["resourceSubscriptions"]});
    let told = async |after: u64| {
        let mut stream = listen_after(&node, after, asked.clone()).await;
        let mut told = Vec::new();
        while told.last().is_none_or(|(_, revision)| *revision < a) {
            told.push(next_update(&mut stream).await);
        }
        told
    };
    let all = told(begin).await;
    let expected = [("state://kv/b", b), ("state://kv/a", b), ("the list", a)];
    let expected = expected.map(|(uri, revision)| (uri.to_owned(), revision));
    assert_eq!(all, expected, "the creation of a concerns two, and is told with the last");
    for (at, (_, revision)) in all.iter().enumerate() {
        let rest: Vec<String> = match *revision == a {
            true => continue,
            false => told(*revision).await.into_iter().map(|(uri, _)| uri).collect(),
        };
        for (uri, _) in &all[at + 1..] {
            assert!(rest.contains(uri), "{uri} is missing after {revision}: {rest:?}");
        }
    }
}

#[tokio::test]
async fn a_client_can_go_on_from_the_acknowledgement() {
    let node = Node::start().await;
    let newest = set(&node, "a").await;
    let params = json!({"notifications": uris(&["state://kv/a"])});
    let mut stream = EventStream::latest(&node, "subscriptions/listen", params).await;
    let acknowledged = stream.next().await.expect("an acknowledgment");
    assert_eq!(acknowledged["params"]["_meta"][REVISION], newest, "{acknowledged}");
    let id = &acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    assert_eq!(id, &json!(1), "{acknowledged}");
    drop(stream);
    let changed = set(&node, "a").await;
    let mut stream = listen_after(&node, newest, uris(&["state://kv/a"])).await;
    assert_eq!(next_update(&mut stream).await, ("state://kv/a".to_owned(), changed));
}

#[tokio::test]
async fn a_client_is_told_that_the_state_was_set_back() {
    let node = Node::start().await;
    let newest = set(&node, "a").await;
    let both = uris(&["state://kv/a", "state://kv/b"]);
    let mut stream = listen_after(&node, 1_000_000, both).await;
    let (first, second) = (next_update(&mut stream).await, next_update(&mut stream).await);
    // Until it has been told everything, it would have to begin anew.
    assert_eq!(first, ("state://kv/a".to_owned(), 1_000_000));
    assert_eq!(second, ("state://kv/b".to_owned(), newest));
    let changed = set(&node, "b").await;
    assert_eq!(next_update(&mut stream).await, ("state://kv/b".to_owned(), changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_tells_of_its_changes() {
    let mut stores = vec![stores::MEMORY, stores::SQLITE, stores::RAFT];
    if redis_server::is_installed("subscriptions on Redis") {
        stores.push(stores::REDIS);
    }
    for open in stores {
        let opened = open(ManualClock::at(1_700_000_000_000)).await;
        let (access, mcp) = (access::Options::default(), endpoint::Options::default());
        let node = Node::over(opened.store.clone(), Options::default(), access, mcp).await;
        let begin = set(&node, "a").await;
        let asked = uris(&["state://kv/a", "state://kv/b"]);
        let mut stream = EventStream::listen(&node, asked.clone()).await;
        let (b, a) = (set(&node, "b").await, set(&node, "a").await);
        let expected = [("state://kv/b", b), ("state://kv/a", a)];
        let expected = expected.map(|(uri, revision)| (uri.to_owned(), revision));
        for expected in &expected {
            assert_eq!(next_update(&mut stream).await, *expected);
        }
        let mut stream = listen_after(&node, begin, asked).await;
        for expected in &expected {
            assert_eq!(next_update(&mut stream).await, *expected);
        }
        drop((stream, node));
        opened.close.await;
    }
}

#[tokio::test]
async fn a_reset_concerns_every_resource() {
    let node = Node::start().await;
    set(&node, "a").await;
    let mut stream = EventStream::listen(&node, uris(&["state://kv/a", "state://run/x"])).await;
    reset(&node).await;
    stream.expect_updates(vec!["state://kv/a", "state://run/x"]).await;
}

#[tokio::test]
async fn a_subscription_ends_gracefully_when_the_server_stops() {
    let shutdown = CancellationToken::new();
    let options = endpoint::Options { shutdown: shutdown.clone(), ..Default::default() };
    let node = Node::with(Default::default(), options).await;
    let mut stream = EventStream::listen(&node, uris(&["state://kv/k"])).await;
    shutdown.cancel();
    let last = stream.next().await.expect("a last message");
    assert_eq!(last["id"], 1, "{last}");
    assert_eq!(last["result"]["resultType"], "complete", "{last}");
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_subscription_makes_room_when_its_client_has_gone() {
    let node = Node::start().await;
    let many: Vec<String> = (0..1_000).map(|number| format!("state://kv/k{number:03}")).collect();
    let many = json!({"resourceSubscriptions": many});
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(EventStream::listen(&node, many.clone()).await);
    }
    let refused = async || {
        let params = json!({"notifications": uris(&["state://kv/one"])});
        let mut stream = EventStream::latest(&node, "subscriptions/listen", params).await;
        let acknowledged = stream.next().await.expect("an acknowledgment");
        let accepted = acknowledged["params"]["notifications"].clone();
        if accepted != json!({}) {
            return None;
        }
        stream.next().await
    };
    let error = refused().await.expect("the node is full")["error"].clone();
    assert_eq!(error["data"], json!({"code": "unavailable", "retryable": true}), "{error}");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("20000 of 20000 resources"), "{message}");
    drop(streams);
    let room = async { while refused().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(20), room).await.expect("room again");
    let many: Vec<String> = (0..1_001).map(|number| format!("state://kv/k{number}")).collect();
    let params = json!({"notifications": {"resourceSubscriptions": many}});
    let mut stream = EventStream::latest(&node, "subscriptions/listen", params).await;
    stream.next().await.expect("an acknowledgment");
    let error = stream.next().await.expect("an answer")["error"].clone();
    assert_eq!(error["code"], -32602, "{error}");
    assert_eq!(error["message"], "a subscription takes up to 1000 resources, got 1001");
}

#[tokio::test]
async fn a_uri_that_names_nothing_is_not_accepted() {
    let node = Node::start().await;
    let params = json!({"notifications": {"toolsListChanged": true,
        "resourceSubscriptions": ["state://kv/k", "file:///x", "state://kv/%zz"]}});
    let mut stream = EventStream::latest(&node, "subscriptions/listen", params).await;
    let acknowledged = stream.next().await.expect("an acknowledgment");
    assert_eq!(acknowledged["params"]["notifications"], uris(&["state://kv/k"]));
}

#[tokio::test]
async fn a_client_that_accepts_no_stream_cannot_subscribe() {
    let node = Node::start().await;
    let (headers, body) = latest("subscriptions/listen", json!({"notifications": {}}));
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    headers.push(("Accept", "application/json"));
    let reply = node.post(&headers, body.as_bytes()).await;
    assert_eq!(reply.status, 406, "{}", reply.body);
    assert!(reply.error().contains("answered by an event stream"), "{}", reply.body);
}

#[tokio::test]
async fn older_clients_subscribe_over_a_pipe() {
    let mut client = Client::start();
    client.initialize().await;
    let request = |id: u64, method: &str, uri: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {"uri": uri}}).to_string()
    };
    client.send(&request(1, "resources/subscribe", "state://kv/k")).await;
    assert_eq!(client.receive().await["result"], json!({}));
    client.send(&request(2, "resources/subscribe", "nonsense")).await;
    assert_eq!(client.receive().await["error"]["code"], -32602);
    let set = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
        "name": "state_set", "arguments": {"key": "k", "value": 1}}});
    client.send(&set.to_string()).await;
    let mut is_told = false;
    for _ in 0..2 {
        let message = client.receive().await;
        is_told |= message["method"] == "notifications/resources/updated"
            && message["params"]["uri"] == "state://kv/k";
    }
    assert!(is_told);
    client.send(&request(4, "resources/unsubscribe", "state://kv/k")).await;
    assert_eq!(client.receive().await["id"], 4);
    client.call("state_set", json!({"key": "k", "value": 2})).await;
    client.send(&request(5, "resources/read", "state://kv/k")).await;
    assert_eq!(client.receive().await["id"], 5, "nothing is told any more");
}

#[tokio::test]
async fn the_newest_clients_listen_over_a_pipe_until_they_cancel() {
    let mut client = Client::start();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let request = |id: u64, method: &str, mut params: Value| {
        params["_meta"] = meta.clone();
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
    };
    let listen =
        |id| request(id, "subscriptions/listen", json!({"notifications": uris(&["state://kv/k"])}));
    let set = |id, value: u64| {
        let arguments = json!({"key": "k", "value": value});
        request(id, "tools/call", json!({"name": "state_set", "arguments": arguments}))
    };
    client.send(&listen(1)).await;
    let acknowledged = client.receive().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    client.send(&set(2, 1)).await;
    let mut updated = 0;
    for _ in 0..2 {
        let message = client.receive().await;
        updated += usize::from(message["method"] == "notifications/resources/updated");
    }
    assert_eq!(updated, 1);
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}});
    client.send(&cancel.to_string()).await;
    client.send(&set(3, 2)).await;
    assert_eq!(client.receive().await["id"], 3);
    // A second subscription, which the end of the server ends.
    client.send(&listen(4)).await;
    client.receive().await;
    client.shutdown.cancel();
    let last = client.receive().await;
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!(4), &json!("complete")));
}
