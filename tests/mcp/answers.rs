//! How much an answer holds: its text and its structured content together never take
//! more than an agent's context has room for, unless whole values are asked for.

use serde_json::{Value, json};

use crate::node::{Node, OLDER};

/// The budget, and what the protocol writes around a result.
const ANSWER_BYTES: usize = 64 * 1024 + 512;

/// The answer to a call, and what it takes as it is sent.
async fn sent(node: &Node, tool: &str, arguments: Value) -> (Value, usize) {
    let params = json!({"name": tool, "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let reply = node.older(OLDER[2], message).await;
    let result = reply.json()["result"].clone();
    assert_eq!(result["isError"], false, "{tool}: {result}");
    let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, result["structuredContent"], "{tool}: each half has everything");
    (text, reply.body.len())
}

async fn small(node: &Node, tool: &str, arguments: Value) -> Value {
    let (answer, bytes) = sent(node, tool, arguments.clone()).await;
    assert!(bytes <= ANSWER_BYTES, "{tool} {arguments}: {bytes} bytes");
    answer
}

fn large() -> Value {
    json!({"rows": "\"quoted\" ü".repeat(80_000)})
}

/// A node with one of everything, as large as it may be, and the id of its run.
async fn furnished() -> (Node, String) {
    let node = Node::start().await;
    node.call("state_set", json!({"key": "k", "value": large()})).await;
    node.call("state_set", json!({"key": "k", "value": large()})).await;
    node.call("session_save", json!({"session_id": "s", "context": large()})).await;
    let tags: serde_json::Map<String, Value> =
        (0..250).map(|n| (format!("{n}{}", "t".repeat(900)), "v".repeat(900).into())).collect();
    let created = json!({"name": "n", "tags": tags, "input": large(), "max_attempts": 1});
    let created = node.call("workflow_create", created).await;
    let run_id = created["structuredContent"]["run_id"].as_str().expect("a run").to_owned();
    for step in 1..=3 {
        let step = json!({"run_id": run_id, "step": step, "output": large()});
        node.call("workflow_checkpoint", step).await;
    }
    node.call("workflow_fail", json!({"run_id": run_id, "error": "e".repeat(60_000)})).await;
    (node, run_id)
}

#[tokio::test]
async fn no_answer_is_large_unless_whole_values_are_asked_for() {
    let (node, run_id) = furnished().await;
    let gets: Vec<Value> = (0..60).map(|_| json!({"op": "get", "key": "k"})).collect();
    for (tool, arguments, place) in [
        ("state_get", json!({"key": "k"}), "/value"),
        ("session_restore", json!({"session_id": "s"}), "/context"),
        ("workflow_status", json!({"run_id": run_id}), "/input"),
        ("workflow_resume", json!({"run_id": run_id}), "/meta/input"),
        ("workflow_list", json!({}), "/runs/0/tags"),
        ("workflow_discover", json!({"status": "failed"}), "/runs/0/tags"),
        ("history_log", json!({"key": "k"}), "/entries/0/previous_value"),
        ("history_log", json!({"n": 100}), "/entries/0/new_value"),
        ("state_wait", json!({"key": "k", "after_revision": 1}), "/events/0/previous_value"),
        ("state_transact", json!({"then": gets}), "/results/0/value"),
    ] {
        let answer = small(&node, tool, arguments.clone()).await;
        let shown = answer.pointer(place).unwrap_or_else(|| panic!("{tool}: {answer}"));
        assert!(shown["bytes"].is_u64() && shown["head"].is_string(), "{tool} {place}: {shown}");
        for values in ["none", "head"] {
            let mut arguments = arguments.clone();
            arguments["values"] = values.into();
            small(&node, tool, arguments).await;
        }
        if tool == "state_transact" {
            continue;
        }
        let mut arguments = arguments;
        arguments["values"] = "full".into();
        let (answer, _) = sent(&node, tool, arguments).await;
        let whole = answer.pointer(place).expect("the same place");
        assert!(whole.get("bytes").is_none() && !whole.is_null(), "{tool} {place}");
    }
    let status = small(&node, "workflow_status", json!({"run_id": run_id})).await;
    let error = status["error"].as_str().expect("text stays text");
    assert!(error.starts_with("eee") && error.ends_with("(60000 bytes in all)"), "{error}");
    for uri in ["state://kv/k", "state://session/s", "state://history"] {
        let reply = node.latest("resources/read", json!({"uri": uri})).await;
        assert!(reply.body.len() <= ANSWER_BYTES, "{uri}: {} bytes", reply.body.len());
    }
}

#[tokio::test]
async fn what_a_transaction_gets_in_full_has_a_bound() {
    let (node, _) = furnished().await;
    let gets: Vec<Value> = (0..60).map(|_| json!({"op": "get", "key": "k"})).collect();
    let (answer, bytes) =
        sent(&node, "state_transact", json!({"then": gets, "values": "full"})).await;
    assert!(bytes < 5 << 20, "{bytes} bytes");
    assert_eq!(answer["results"][0]["value"], large());
    assert_eq!(answer["results"][59]["value"]["bytes"], large().to_string().len());
}

#[tokio::test]
async fn a_limit_bounds_rows_and_the_budget_bounds_bytes() {
    let node = Node::start().await;
    let run = node.call("workflow_create", json!({"name": "n"})).await;
    let run_id = run["structuredContent"]["run_id"].clone();
    for n in 1..=150 {
        let value = "v".repeat(2_000);
        node.call("state_set", json!({"key": format!("k{n:03}"), "value": value})).await;
        let step = json!({"run_id": run_id, "step": 2 * n, "output": value});
        node.call("workflow_checkpoint", step).await;
    }
    let resume = |values| json!({"run_id": run_id, "values": values, "limit": 120});
    for (tool, arguments, rows, most) in [
        ("state_list", json!({"values": "full", "limit": 10_000}), "keys", 16),
        ("state_list", json!({"values": "head", "limit": 10_000}), "keys", 110),
        ("state_list", json!({"limit": 10_000}), "keys", 150),
        ("history_log", json!({"n": 10_000}), "entries", 16),
        ("history_log", json!({"n": 10_000, "values": "none"}), "entries", 150),
        ("state_wait", json!({"prefix": "k", "after_revision": 0, "limit": 500}), "events", 16),
        ("workflow_resume", resume("full"), "step_outputs", 16),
        ("workflow_resume", resume("head"), "step_outputs", 120),
        ("workflow_resume", resume("none"), "step_outputs", 120),
    ] {
        let answer = small(&node, tool, arguments.clone()).await;
        let count = match &answer[rows] {
            Value::Array(rows) => rows.len(),
            rows => rows.as_object().expect("rows").len(),
        };
        assert!(count <= most && count + 25 > most.min(40), "{tool} {arguments}: {count} rows");
    }
    // Head and none show more rows than full.
    let answer = small(&node, "workflow_resume", resume("none")).await;
    assert_eq!(answer["step_outputs"].as_object().map(|steps| steps.len()), Some(120));
    assert_eq!((&answer["next_from_step"], &answer["remaining"]), (&json!(242), &json!(30)));
}

#[tokio::test]
async fn each_page_says_how_much_is_left() {
    let node = Node::start().await;
    for n in 0..150 {
        node.call("state_set", json!({"key": format!("k{n:03}"), "value": n})).await;
    }
    for (tool, arguments, name, left) in [
        ("state_list", json!({"limit": 1}), "remaining_at_least", 100),
        ("state_list", json!({"limit": 1, "values": "full"}), "remaining_at_least", 100),
        ("state_list", json!({"limit": 60}), "remaining", 90),
        ("history_log", json!({"n": 1}), "remaining_at_least", 100),
        ("history_log", json!({"n": 60}), "remaining", 90),
        (
            "state_wait",
            json!({"prefix": "", "after_revision": 0, "limit": 1}),
            "remaining_at_least",
            100,
        ),
    ] {
        let answer = small(&node, tool, arguments.clone()).await;
        assert_eq!(answer[name], left, "{tool} {arguments}: {answer}");
    }
    let last = small(&node, "state_list", json!({"cursor": "k148"})).await;
    assert_eq!((&last["keys"], last.get("remaining")), (&json!(["k149"]), None));
}

#[tokio::test]
async fn a_page_of_resources_is_bounded_by_what_is_sent() {
    let node = Node::start().await;
    for n in 0..150 {
        let key = format!("{n:03}{}", "ü".repeat(500));
        node.call("state_set", json!({"key": key, "value": 1})).await;
    }
    for _ in 0..9 {
        node.call("workflow_create", json!({"name": "n", "input": large()})).await;
    }
    let (mut cursor, mut pages) = (json!(null), Vec::new());
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        let reply = node.latest("resources/list", params).await;
        assert!(reply.body.len() <= ANSWER_BYTES, "{} bytes", reply.body.len());
        let result = reply.json()["result"].clone();
        pages.push(result["resources"].as_array().expect("resources").len());
        cursor = result["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(pages.iter().sum::<usize>(), 160, "{pages:?}");
    assert!(!pages.contains(&0), "{pages:?}");
}
