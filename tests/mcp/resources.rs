//! Resources: the state by URI, its list page by page, and completion of names.

use mcp_state_sidecar::access;
use serde_json::{Value, json};

use crate::node::{Node, OLDER};

const ODD_KEY: &str = "team/x:ü?#%";
const ODD_URI: &str = "state://kv/team%2Fx%3A%C3%BC%3F%23%25";

/// A node with one of each kind, and the id of its run.
async fn furnished() -> (Node, String) {
    let node = Node::start().await;
    node.call("state_set", json!({"key": ODD_KEY, "value": {"a": 1}})).await;
    let lease = json!({"resource_id": "r/1", "holder_id": "h", "ttl_seconds": 90});
    node.call("lease_acquire", lease).await;
    node.call("session_save", json!({"session_id": "s", "context": {"plan": "x"}})).await;
    let created = node.call("workflow_create", json!({"name": "etl", "input": [1]})).await;
    let run_id = created["structuredContent"]["run_id"].as_str().expect("a run").to_owned();
    (node, run_id)
}

async fn read(node: &Node, uri: &str) -> Value {
    node.latest("resources/read", json!({"uri": uri})).await.json()
}

/// The JSON in the only contents of a resource.
fn contents(answer: &Value, uri: &str) -> Value {
    let contents = &answer["result"]["contents"];
    assert_eq!(contents.as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(contents[0]["uri"], uri);
    assert_eq!(contents[0]["mimeType"], "application/json");
    serde_json::from_str(contents[0]["text"].as_str().expect("text")).expect("JSON")
}

#[tokio::test]
async fn each_kind_of_resource_shows_what_its_tool_gives() {
    let (node, run_id) = furnished().await;
    let run_uri = format!("state://run/{run_id}");
    for (uri, tool, arguments) in [
        (ODD_URI, "state_get", json!({"key": ODD_KEY})),
        (&run_uri, "workflow_status", json!({"run_id": run_id})),
        ("state://session/s", "session_restore", json!({"session_id": "s"})),
        (
            "state://history?n=2&action=state_set",
            "history_log",
            json!({"n": 2, "action": "state_set"}),
        ),
    ] {
        let answer = read(&node, uri).await;
        let given = node.call(tool, arguments).await["structuredContent"].clone();
        assert_eq!(contents(&answer, uri), given, "{uri}");
        assert_eq!(
            (&answer["result"]["ttlMs"], &answer["result"]["cacheScope"]),
            (&json!(0), &json!("private"))
        );
    }
    let lease = contents(&read(&node, "state://lease/r%2F1").await, "state://lease/r%2F1");
    let listed = node.call("lease_list", json!({})).await["structuredContent"]["leases"][0].clone();
    assert_eq!(lease, listed);
    // Older clients read the same.
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read",
        "params": {"uri": ODD_URI}});
    let older = node.older(OLDER[1], message).await.json();
    assert_eq!(contents(&older, ODD_URI)["value"], json!({"a": 1}));
}

#[tokio::test]
async fn what_is_not_there_and_what_is_no_uri_are_told_apart() {
    let (node, _) = furnished().await;
    for uri in ["state://kv/none", "state://run/none", "state://session/none", "state://lease/r"] {
        let answer = read(&node, uri).await;
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read",
            "params": {"uri": uri}});
        let older = node.older(OLDER[2], message).await.json();
        for (answer, code) in [(answer, -32602), (older, -32002)] {
            let error = &answer["error"];
            assert_eq!(error["code"], code, "{answer}");
            assert_eq!(error["message"], format!("Resource not found: {uri}"));
            assert_eq!(error["data"]["uri"], uri);
        }
    }
    for (uri, why) in [
        ("file:///etc/passwd", "malformed URI 'file:///etc/passwd': it must begin with state://"),
        ("state://kv/%zz", "malformed URI 'state://kv/%zz': two hexadecimal digits"),
        ("state://history?n=0", "n must be >= 1, got 0"),
        ("state://history?action=state_sat", "did you mean 'state_set'?"),
    ] {
        let error = read(&node, uri).await["error"].clone();
        assert_eq!(error["code"], -32602, "{error}");
        assert!(error["message"].as_str().is_some_and(|said| said.contains(why)), "{error}");
    }
}

/// Lists all resources, and checks that no page is large.
async fn list_all(node: &Node) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), json!(null));
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let reply = node.latest("resources/list", params).await;
        assert!(reply.body.len() < 300_000, "{} bytes", reply.body.len());
        let result = reply.json()["result"].clone();
        let page = result["resources"].as_array().expect("resources").clone();
        assert!(page.len() <= 101, "{} resources in a page", page.len());
        all.extend(page);
        cursor = result["nextCursor"].clone();
        if cursor.is_null() {
            return all;
        }
    }
}

#[tokio::test]
async fn everything_that_exists_is_listed_once() {
    let (node, run_id) = furnished().await;
    for number in 0..250 {
        node.call("state_set", json!({"key": format!("k{number:03}"), "value": 1})).await;
    }
    let all = list_all(&node).await;
    let uris: Vec<&str> = all.iter().filter_map(|resource| resource["uri"].as_str()).collect();
    let distinct: std::collections::BTreeSet<&str> = uris.iter().copied().collect();
    assert_eq!((uris.len(), distinct.len()), (255, 255), "the history, 251 keys and one of each");
    let run_uri = format!("state://run/{run_id}");
    for uri in ["state://history", ODD_URI, "state://lease/r%2F1", "state://session/s", &run_uri] {
        assert!(distinct.contains(uri), "{uri}");
    }
    for uri in &distinct {
        assert!(read(&node, uri).await.get("error").is_none(), "{uri} is listed and not there");
    }
    let error = node.latest("resources/list", json!({"cursor": "nonsense"})).await.json();
    assert_eq!(error["error"]["code"], -32602, "{error}");
}

#[tokio::test]
async fn an_empty_state_has_a_list_and_templates() {
    let node = Node::start().await;
    let all = list_all(&node).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["uri"], "state://history");
    let templates = node.latest("resources/templates/list", json!({})).await.json();
    let list = templates["result"]["resourceTemplates"].as_array().expect("templates").clone();
    let uris: Vec<&str> = list.iter().filter_map(|t| t["uriTemplate"].as_str()).collect();
    assert_eq!(
        uris,
        [
            "state://kv/{key}",
            "state://run/{run_id}",
            "state://lease/{id}",
            "state://session/{id}",
            "state://history{?key,action,agent_id,n,before_id}"
        ]
    );
    assert!(templates["result"]["ttlMs"].as_u64() > Some(0), "{templates}");
}

async fn complete(node: &Node, about: Value, argument: &str, value: &str) -> Value {
    let params = json!({"ref": about, "argument": {"name": argument, "value": value}});
    node.latest("completion/complete", params).await.json()
}

#[tokio::test]
async fn names_are_completed() {
    let (node, run_id) = furnished().await;
    for number in 0..150 {
        node.call("state_set", json!({"key": format!("k{number:03}"), "value": 1})).await;
    }
    let template = |uri: &str| json!({"type": "ref/resource", "uri": uri});
    let prompt = |name: &str| json!({"type": "ref/prompt", "name": name});
    for (about, argument, value, expected) in [
        (template("state://kv/{key}"), "key", "team", json!([ODD_KEY])),
        (template("state://run/{run_id}"), "run_id", &run_id[..4], json!([run_id])),
        (template("state://run/{run_id}"), "run_id", "!", json!([])),
        (template("state://lease/{id}"), "id", "", json!(["r/1"])),
        (template("state://session/{id}"), "id", "s", json!(["s"])),
        (
            template("state://history{?key,action,agent_id,n,before_id}"),
            "action",
            "session_",
            json!(["session_save", "session_delete", "session_expire"]),
        ),
        (prompt("worker"), "workflow", "e", json!(["etl"])),
        (prompt("resume"), "session_id", "", json!(["s"])),
        (prompt("worker"), "agent_id", "a", json!([])),
    ] {
        let completion = complete(&node, about.clone(), argument, value).await;
        let completion = &completion["result"]["completion"];
        assert_eq!(completion["values"], expected, "{about} {argument}");
        assert_eq!(completion["hasMore"], false, "{about} {argument}");
        assert_eq!(completion["total"], expected.as_array().map(Vec::len).unwrap_or_default());
    }
    let many = complete(&node, template("state://kv/{key}"), "key", "k").await;
    let many = &many["result"]["completion"];
    assert_eq!(many["values"].as_array().map(Vec::len), Some(100));
    assert_eq!(many["hasMore"], true);
    for (about, argument, why) in [
        (template("state://nothing/{x}"), "x", "Unknown URI template"),
        (template("state://kv/{key}"), "x", "it takes key"),
        (prompt("wurker"), "x", "did you mean 'worker'?"),
        (prompt("worker"), "agent", "did you mean 'agent_id'?"),
    ] {
        let error = complete(&node, about, argument, "").await["error"].clone();
        assert_eq!(error["code"], -32602, "{error}");
        assert!(error["message"].as_str().is_some_and(|said| said.contains(why)), "{error}");
    }
}

#[tokio::test]
async fn resources_are_as_guarded_as_tools() {
    let token = access::Secret::new("secret-token-of-this-test-1234567");
    let node = Node::guarded(access::Options { token: Some(token), ..Default::default() }).await;
    for (method, params) in [
        ("resources/list", json!({})),
        ("resources/read", json!({"uri": "state://history"})),
        ("subscriptions/listen", json!({"notifications": {"resourcesListChanged": true}})),
    ] {
        assert_eq!(node.latest(method, params).await.status, 401, "{method}");
    }
}
