//! Prompts: what agents are told to do.

use serde_json::{Value, json};

use crate::node::{Node, OLDER};

async fn get(node: &Node, name: &str, arguments: Value) -> Value {
    node.latest("prompts/get", json!({"name": name, "arguments": arguments})).await.json()
}

#[tokio::test]
async fn the_prompts_are_listed_with_their_arguments() {
    let node = Node::start().await;
    let list = node.latest("prompts/list", json!({})).await.json();
    let prompts = list["result"]["prompts"].as_array().expect("prompts").clone();
    let names: Vec<&str> = prompts.iter().filter_map(|prompt| prompt["name"].as_str()).collect();
    assert_eq!(names, ["worker", "orchestrator", "resume", "handover"]);
    assert_eq!(list["result"]["cacheScope"], "public");
    for prompt in &prompts {
        assert!(prompt["title"].is_string() && prompt["description"].is_string(), "{prompt}");
        assert_eq!(prompt["arguments"][0]["name"], "agent_id");
        assert_eq!(prompt["arguments"][0]["required"], true);
    }
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/list"});
    let older = node.older(OLDER[0], message).await.json();
    assert_eq!(older["result"]["prompts"].as_array().map(Vec::len), Some(4), "{older}");
}

#[tokio::test]
async fn a_prompt_is_filled_in() {
    let node = Node::start().await;
    let given = json!({"agent_id": "w\"1", "workflow": "etl"});
    let result = get(&node, "worker", given).await["result"].clone();
    let message = &result["messages"][0];
    assert_eq!((&message["role"], &message["content"]["type"]), (&json!("user"), &json!("text")));
    let text = message["content"]["text"].as_str().expect("a text");
    let call = r#"workflow_claim_next(agent_id: "w\"1", name: "etl", wait_seconds: 50)"#;
    assert!(text.contains(call), "{text}");
    let result = get(&node, "worker", json!({"agent_id": "w"})).await["result"].clone();
    let text = result["messages"][0]["content"]["text"].as_str().expect("a text");
    assert!(text.contains(r#"workflow_claim_next(agent_id: "w", wait_seconds: 50)"#), "{text}");
}

#[tokio::test]
async fn a_wrong_request_for_a_prompt_is_told_what_is_wrong() {
    let node = Node::start().await;
    for (name, arguments, why) in [
        ("wurker", json!({}), "Unknown prompt: 'wurker'; did you mean 'worker'?"),
        ("xyz", json!({}), "there are worker, orchestrator, resume, handover"),
        ("worker", json!({}), "prompt 'worker': agent_id is required"),
        ("worker", json!({"agent_id": ""}), "agent_id is required"),
        ("worker", json!({"agent_id": 5}), "agent_id must be a string"),
        ("worker", json!({"agent_id": "a", "agent": "b"}), "did you mean 'agent_id'?"),
        ("worker", json!({"agent_id": "a".repeat(5000)}), "takes up to 4096 bytes"),
    ] {
        let error = get(&node, name, arguments).await["error"].clone();
        assert_eq!(error["code"], -32602, "{error}");
        assert!(error["message"].as_str().is_some_and(|said| said.contains(why)), "{error}");
    }
}
