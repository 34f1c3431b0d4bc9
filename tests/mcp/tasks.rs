//! Tasks: a call that waits for runs is one for clients that know tasks, any node answers
//! for it, and nobody else is given one.

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::mcp::endpoint;
use mcp_state_sidecar::api::mcp::tools::Toolset;
use mcp_state_sidecar::service::Options;
use serde_json::{Value, json};

use crate::node::{Node, Reply, latest};

const TASKS: &str = "io.modelcontextprotocol/tasks";

/// A request of a client that knows tasks.
async fn request(node: &Node, method: &str, params: Value) -> Reply {
    request_as(node, json!({"extensions": {TASKS: {}}}), method, params).await
}

/// A request of a client that knows tasks and can ask its user.
async fn request_with_user(node: &Node, method: &str, params: Value) -> Reply {
    let capabilities = json!({"extensions": {TASKS: {}}, "elicitation": {}});
    request_as(node, capabilities, method, params).await
}

async fn request_as(node: &Node, capabilities: Value, method: &str, params: Value) -> Reply {
    let (headers, body) = latest(method, params);
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    node.post(&headers, body.to_string().as_bytes()).await
}

async fn wait(node: &Node, arguments: Value) -> Value {
    let params = json!({"name": "workflow_wait", "arguments": arguments});
    request(node, "tools/call", params).await.json()["result"].clone()
}

async fn get(node: &Node, task: &Value) -> Value {
    let result = request(node, "tasks/get", json!({"taskId": task["taskId"]})).await.json();
    assert_eq!(result["result"]["resultType"], "complete", "{result}");
    assert_eq!(result["result"]["taskId"], task["taskId"], "{result}");
    result["result"].clone()
}

async fn create(node: &Node, arguments: Value) -> String {
    let created = node.call("workflow_create", arguments).await;
    created["structuredContent"]["run_id"].as_str().expect("a run").to_owned()
}

/// Another node of the same state.
async fn beside(node: &Node) -> Node {
    let toolset = Some(Toolset::all());
    let mcp = endpoint::Options { toolset, ..Default::default() };
    Node::over(node.store.clone(), Options::default(), access::Options::default(), mcp).await
}

#[tokio::test]
async fn any_node_says_how_a_task_is() {
    let node = Node::start().await;
    let other = beside(&node).await;
    let run_id = create(&node, json!({"name": "n", "keep_seconds": 60})).await;
    let task = wait(&node, json!({"run_id": run_id})).await;
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    assert!(task["ttlMs"].is_null() && task["pollIntervalMs"].is_u64(), "{task}");
    assert!(task["createdAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{task}");
    let stepped = wait(&node, json!({"run_id": run_id, "step": "2"})).await;
    assert_eq!(get(&other, &stepped).await["status"], "working");
    let step = json!({"run_id": run_id, "step": 2, "output": 1});
    node.call("workflow_checkpoint", step).await;
    assert_eq!(get(&other, &stepped).await["result"]["structuredContent"]["last_step"], 2);
    let working = get(&other, &task).await;
    assert_eq!((&working["status"], &working["result"]), (&json!("working"), &Value::Null));
    assert_eq!(working["statusMessage"], "running, last step 2");
    node.call("workflow_complete", json!({"run_id": run_id, "result": [7]})).await;
    let completed = get(&other, &task).await;
    assert_eq!(completed["status"], "completed", "{completed}");
    assert!(completed["ttlMs"].is_u64(), "it is removed some time: {completed}");
    let called = node.call("workflow_wait", json!({"run_id": run_id})).await;
    let mut result = completed["result"].clone();
    result.as_object_mut().expect("an object").remove("resultType");
    assert_eq!(result, called, "what the call itself would have had");
    assert_eq!(called["structuredContent"]["result"], json!([7]));
    node.call("workflow_delete", json!({"run_id": run_id})).await;
    let gone = request(&other, "tasks/get", json!({"taskId": task["taskId"]})).await;
    assert_eq!(gone.json()["error"]["code"], -32602, "{}", gone.body);
}

#[tokio::test]
async fn the_children_of_a_run_are_a_task_too() {
    let node = Node::start().await;
    let parent = create(&node, json!({"name": "whole"})).await;
    let child = create(&node, json!({"name": "part", "parent_run_id": parent})).await;
    let task = wait(&node, json!({"parent_run_id": parent})).await;
    assert_eq!(get(&node, &task).await["status"], "working");
    node.call("workflow_cancel", json!({"run_id": child})).await;
    let completed = get(&node, &task).await;
    assert_eq!(completed["status"], "completed", "{completed}");
    assert_eq!(completed["result"]["structuredContent"]["children"], json!({"cancelled": 1}));
}

#[tokio::test]
async fn cancelling_a_task_leaves_its_run_alone() {
    let node = Node::start().await;
    let run_id = create(&node, json!({"name": "n"})).await;
    let task = wait(&node, json!({"run_id": run_id})).await;
    let id = json!({"taskId": task["taskId"], "inputResponses": {}});
    for method in ["tasks/cancel", "tasks/update"] {
        let reply = request(&node, method, id.clone()).await;
        assert_eq!(reply.json()["result"]["resultType"], "complete", "{method}: {}", reply.body);
    }
    let status = node.call("workflow_status", json!({"run_id": run_id})).await;
    assert_eq!(status["structuredContent"]["status"], "created", "{status}");
    for (method, unknown) in
        [("tasks/get", "end/none"), ("tasks/cancel", "none"), ("tasks/update", "step/x/none")]
    {
        let id = json!({"taskId": unknown, "inputResponses": {}});
        let reply = request(&node, method, id).await;
        assert_eq!(reply.error(), format!("there is no task '{unknown}'"), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_run_that_asks_a_person_asks_through_its_task() {
    let node = Node::start().await;
    let run_id = create(&node, json!({"name": "n"})).await;
    node.call("workflow_claim", json!({"run_id": run_id, "agent_id": "w"})).await;
    let task = wait(&node, json!({"run_id": run_id})).await;
    let id = task["taskId"].clone();
    let asks = json!({"question": "Deploy?", "options": ["yes", "no"]});
    let step =
        json!({"run_id": run_id, "step": 0, "output": 1, "agent_id": "w", "await_approval": asks});
    node.call("workflow_checkpoint", step).await;
    // Whoever cannot ask a person is asked nothing.
    assert_eq!(get(&node, &task).await["status"], "working");
    let reply = request_with_user(&node, "tasks/get", json!({"taskId": id})).await.json();
    assert_eq!(reply["result"]["status"], "input_required", "{reply}");
    let requests = reply["result"]["inputRequests"].as_object().expect("requests").clone();
    let (digest, asked) = requests.iter().next().expect("one request");
    assert_eq!((requests.len(), &asked["method"]), (1, &json!("elicitation/create")));
    assert_eq!(asked["params"]["message"], "Deploy?");
    let schema = &asked["params"]["requestedSchema"]["properties"]["answer"];
    assert_eq!(schema["enum"], json!(["yes", "no"]), "{asked}");
    let status = async || {
        let status = node.call("workflow_status", json!({"run_id": run_id})).await;
        status["structuredContent"].clone()
    };
    let respond = async |digest: &str, response: Value| {
        let params = json!({"taskId": id, "inputResponses": {digest: response}});
        request_with_user(&node, "tasks/update", params).await
    };
    let accept = |answer: &str| json!({"action": "accept", "content": {"answer": answer}});
    assert!(respond(digest, json!({"action": "decline"})).await.json()["result"].is_object());
    assert_eq!(status().await["status"], "awaiting_approval");
    let refused = respond("0", accept("yes")).await.error();
    assert_eq!(refused, "digest: the question is another one; read it again");
    let refused = respond(digest, accept("perhaps")).await.error();
    assert_eq!(refused, "answer must be one of 'yes', 'no', not 'perhaps'");
    let answered = respond(digest, accept("yes")).await;
    assert!(answered.json()["result"].is_object(), "{}", answered.body);
    assert_eq!(status().await["status"], "running");
    assert_eq!(status().await["approval"]["answer"], "yes");
    let reply = request_with_user(&node, "tasks/get", json!({"taskId": id})).await.json();
    assert_eq!(reply["result"]["status"], "working", "{reply}");
}

#[tokio::test]
async fn what_needs_no_waiting_is_answered_at_once() {
    let node = Node::start().await;
    let run_id = create(&node, json!({"name": "n"})).await;
    for (arguments, is_error) in [
        (json!({"run_id": run_id, "wait_seconds": 0}), false),
        (json!({"run_id": "none"}), true),
        (json!({"run_id": run_id, "parent_run_id": run_id}), true),
    ] {
        let result = wait(&node, arguments).await;
        assert_eq!(
            (&result["resultType"], &result["isError"]),
            (&json!("complete"), &json!(is_error))
        );
    }
    node.call("workflow_fail", json!({"run_id": run_id, "error": "e"})).await;
    let result = wait(&node, json!({"run_id": run_id})).await;
    assert_eq!(result["structuredContent"]["status"], "failed", "{result}");
    let list =
        request(&node, "tools/call", json!({"name": "workflow_list", "arguments": {}})).await;
    assert_eq!(list.json()["result"]["resultType"], "complete", "only waiting is a task");
}

#[tokio::test]
async fn clients_that_do_not_know_tasks_are_given_none() {
    let node = Node::start().await;
    let run_id = create(&node, json!({"name": "n"})).await;
    let arguments = json!({"run_id": run_id, "wait_seconds": 1});
    let called = node.call("workflow_wait", arguments.clone()).await;
    assert_eq!(called["structuredContent"]["changed"], false, "{called}");
    let params = json!({"name": "workflow_wait", "arguments": arguments});
    let called = node.latest("tools/call", params).await.json();
    assert_eq!(called["result"]["resultType"], "complete", "{called}");
    let id = json!({"taskId": format!("end/{run_id}")});
    let refused = node.latest("tasks/get", id.clone()).await.json();
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    let discovered = node.latest("server/discover", json!({})).await.json();
    let extensions = &discovered["result"]["capabilities"]["extensions"];
    assert_eq!(extensions, &json!({TASKS: {}}), "{discovered}");
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": id});
    let older = node.older("2025-11-25", message).await;
    assert!(older.json()["error"]["code"].is_i64(), "{}", older.body);
}
