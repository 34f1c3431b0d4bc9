//! Clients as they are: headers, paths, pages and arguments that real clients send
//! although the text of the protocol asks for something else.

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::mcp::endpoint;
use serde_json::{Value, json};

use crate::node::{Node, OLDER};
use crate::pipe::Client;

fn get(key: &str) -> Vec<u8> {
    let params = json!({"name": "state_get", "arguments": {"key": key}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn every_client_that_can_read_json_is_answered() {
    let node = Node::start().await;
    let json = ("Content-Type", "application/json");
    for accept in [Some("application/json"), Some("*/*"), Some("application/*;q=0.8"), None] {
        let mut headers = vec![json];
        headers.extend(accept.map(|accept| ("Accept", accept)));
        // A waiting call is answered by rmcp, the other one by the fast path.
        let wait = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {
            "name": "state_wait", "arguments": {"key": "k", "timeout_seconds": 0}}});
        for body in [get("k"), wait.to_string().into_bytes()] {
            let reply = node.send("POST", "/mcp", &headers, &body).await;
            assert_eq!(reply.status, 200, "{accept:?}: {}", reply.body);
            assert_eq!(reply.json()["result"]["isError"], false, "{accept:?}: {}", reply.body);
        }
    }
    let reply = node.send("POST", "/mcp", &[json, ("Accept", "text/html")], &get("k")).await;
    assert_eq!(reply.status, 406);
    assert!(reply.error().contains("application/json"), "{}", reply.body);
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told_the_right_ones() {
    let node = Node::start().await;
    let json = [("Content-Type", "application/json"), ("Accept", "application/json")];
    assert_eq!(node.send("POST", "/mcp/", &json, &get("k")).await.status, 200);
    for path in ["/", "/sse", "/mcp/v1", "/message"] {
        let reply = node.send("POST", path, &json, &get("k")).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.error().contains("MCP is at /mcp"), "{path}: {}", reply.body);
    }
    for method in ["GET", "DELETE", "PUT"] {
        let reply = node.send(method, "/mcp", &[("Accept", "text/event-stream")], b"").await;
        assert_eq!(reply.status, 405, "{method}");
        assert!(reply.head.contains("allow: post"), "{}", reply.head);
        assert!(reply.error().contains("POST"), "{method}: {}", reply.body);
    }
}

const PAGE: &str = "https://app.example";

/// A node with a token, whose operator lets the page at [`PAGE`] call.
async fn with_a_page() -> Node {
    let token = Some(access::Secret::new("s3cret-token"));
    Node::guarded(access::Options { token, origins: vec![PAGE.into()], ..Default::default() }).await
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_can_call_and_others_cannot() {
    let node = with_a_page().await;
    let preflight = |origin: &'static str| {
        [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version"),
        ]
    };
    for path in ["/mcp", "/mcp/"] {
        let reply = node.send("OPTIONS", path, &preflight(PAGE), b"").await;
        assert_eq!(reply.status, 200, "no token is sent with a preflight: {}", reply.body);
        let allows = format!("access-control-allow-origin: {PAGE}");
        assert!(reply.head.contains(&allows), "{}", reply.head);
        assert!(reply.head.contains("access-control-allow-headers: authorization"));
        assert!(reply.head.contains("access-control-allow-methods: get,post"), "{}", reply.head);
    }
    let call = [("Origin", PAGE), ("Authorization", "Bearer s3cret-token")];
    let reply = node.post(&call, &get("k")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    for wanted in ["access-control-allow-origin", "access-control-expose-headers", "vary"] {
        assert!(reply.head.contains(wanted), "{wanted}: {}", reply.head);
    }
    let refused = node.post(&[("Origin", PAGE)], &get("k")).await;
    assert_eq!(refused.status, 401);
    let readable = refused.head.contains("access-control-allow-origin");
    assert!(readable, "the page can read why: {}", refused.head);
    let stranger = "https://evil.example";
    for reply in [
        node.send("OPTIONS", "/mcp", &preflight(stranger), b"").await,
        node.post(&[("Origin", stranger), call[1]], &get("k")).await,
    ] {
        assert!(!reply.head.contains("access-control-allow-origin"), "{}", reply.head);
    }
}

/// What `tools/list` names for a client that sends these headers.
async fn names(node: &Node, headers: &[(&str, &str)]) -> Vec<String> {
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let reply = node.post(headers, list.as_bytes()).await.json();
    let tools = reply["result"]["tools"].as_array().expect("tools");
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_client_sees_and_calls_the_tools_of_its_toolset_alone() {
    let node = Node::with(access::Options::default(), endpoint::Options::default()).await;
    let usual = names(&node, &[]).await;
    assert_eq!(usual.len(), 36);
    assert!(!usual.iter().any(|name| name == "sidecar_reset"));
    let two = [("X-MCP-Toolsets", "state_get, sidecar_reset")];
    assert_eq!(names(&node, &two).await, ["state_get", "sidecar_reset"]);
    let reset = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "sidecar_reset", "arguments": {}}})
    .to_string();
    let hidden = node.post(&[], reset.as_bytes()).await;
    assert!(hidden.error().contains("X-MCP-Toolsets"), "{}", hidden.body);
    let unconfirmed = node.post(&two, reset.as_bytes()).await.json();
    let error = &unconfirmed["result"]["structuredContent"]["error"];
    assert_eq!(error["code"], "invalid_argument", "{unconfirmed}");
    let wrong = node.post(&[("X-MCP-Toolsets", "wroker")], &get("k")).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.error().contains("did you mean 'worker'"), "{}", wrong.body);
    // What the operator offers is the most that a client can choose.
    let toolset = Some("worker".parse().expect("a toolset"));
    let options = endpoint::Options { toolset, ..Default::default() };
    let node = Node::with(access::Options::default(), options).await;
    assert!(names(&node, &two).await.iter().eq(["state_get"]));
    let refused = node.post(&two, reset.as_bytes()).await;
    assert!(refused.error().contains("not among the tools"), "{}", refused.body);
}

#[tokio::test]
async fn errors_tell_their_code_in_their_text_and_fit_the_output_schema() {
    let node = Node::start().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let list = node.older(OLDER[2], list).await.json();
    for tool in list["result"]["tools"].as_array().expect("tools") {
        let name = tool["name"].as_str().expect("a name");
        let failed = node.call(name, json!({"no_such_argument": 1})).await;
        assert_eq!(failed["isError"], true, "{name}: {failed}");
        let text = failed["content"][0]["text"].as_str().unwrap_or_default();
        let said = text.ends_with("(code: invalid_argument, retryable: false)");
        assert!(said && !text.contains('\n'), "{name}: {text}");
        let schema = &tool["outputSchema"];
        assert_eq!(schema["type"], "object", "{name}");
        // With these, no object but that of a success would fit.
        for keyword in ["required", "additionalProperties"] {
            assert_eq!(schema.get(keyword), None, "{name}: {schema}");
        }
        let error = &schema["properties"]["error"]["type"];
        assert!(error.is_null() || error[1] == "object", "{name}: {schema}");
    }
}

#[tokio::test]
async fn json_that_comes_as_text_counts_as_what_the_schema_asks_for() {
    let node = Node::start().await;
    let context = r#"{"a": [1, 2.5]}"#;
    let saved = node.call("session_save", json!({"session_id": "s", "context": context})).await;
    assert_eq!(saved["structuredContent"]["ok"], true, "{saved}");
    let restored = node.call("session_restore", json!({"session_id": "s"})).await;
    assert_eq!(restored["structuredContent"]["context"], json!({"a": [1, 2.5]}));
    let created = node.call("workflow_create", json!({"name": "n", "tags": "{\"a\":\"b\"}"})).await;
    assert_eq!(created["isError"], false, "{created}");
    let found = json!({"tags": {"a": "b"}, "claimable": "true", "limit": "5"});
    let found = node.call("workflow_discover", found).await;
    assert_eq!(found["structuredContent"]["runs"].as_array().map(Vec::len), Some(1), "{found}");
    let leased = json!({"resource_id": "r", "holder_id": "h", "ttl_seconds": "60"});
    let leased = node.call("lease_acquire", leased).await;
    let token = &leased["structuredContent"]["fencing_token"];
    let fence = json!({"resource_id": "r", "token": token}).to_string();
    let set = node.call("state_set", json!({"key": "k", "value": 1, "fence": fence})).await;
    assert_eq!(set["structuredContent"]["ok"], true, "{set}");
    for (then, what) in [
        (json!(r#"[{"op": "set", "key": "k", "value": "{\"b\":1}"}]"#), "a list as text"),
        (json!([r#"{"op": "set", "key": "k", "value": "{\"b\":1}"}"#]), "its items as text"),
    ] {
        let done = node.call("state_transact", json!({"compare": "[]", "then": then})).await;
        assert_eq!(done["structuredContent"]["succeeded"], true, "{what}: {done}");
    }
    // A value may be any JSON, so text stays text.
    let got = node.call("state_get", json!({"key": "k"})).await;
    assert_eq!(got["structuredContent"]["value"], json!("{\"b\":1}"));
    for wrong in [json!("[1]"), json!("{"), json!("no JSON"), json!("5")] {
        let refused = node.call("session_save", json!({"session_id": "s", "context": wrong})).await;
        let error = &refused["structuredContent"]["error"];
        assert_eq!(error["code"], "invalid_argument", "{wrong}: {refused}");
    }
}

#[tokio::test]
async fn all_arguments_may_come_as_one_text() {
    let node = Node::start().await;
    let mut pipe = Client::start();
    pipe.initialize().await;
    let arguments = |key: &str| json!({"key": key, "value": {"a": [1, 2.50]}}).to_string();
    for (key, version) in [("a", OLDER[0]), ("b", OLDER[2])] {
        let set = node.call("state_set", json!(arguments(key))).await;
        assert_eq!(set["structuredContent"]["ok"], true, "{set}");
        assert_eq!(set["resultType"], Value::Null, "{version}: {set}");
    }
    let params = json!({"name": "state_set", "arguments": arguments("c")});
    let set = node.latest("tools/call", params).await.json()["result"].clone();
    assert_eq!((&set["resultType"], &set["isError"]), (&json!("complete"), &json!(false)), "{set}");
    let set = pipe.call("state_set", json!(arguments("k"))).await;
    assert_eq!(set["ok"], true, "{set}");
    let listed = node.call("state_list", json!("{}")).await;
    assert_eq!(listed["structuredContent"]["keys"], json!(["a", "b", "c"]), "{listed}");
    let got = node.call("state_get", json!(r#"{"key": "c", "valeu": "none"}"#)).await;
    assert_eq!(got["structuredContent"]["error"]["code"], "invalid_argument", "{got}");
    // What is no object is refused as before.
    for wrong in ["[]", "{", "null", "key"] {
        let params = json!({"name": "state_get", "arguments": wrong});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        pipe.send(&message.to_string()).await;
        let over_pipe = pipe.receive().await;
        let over_http = node.older(OLDER[2], message).await.json();
        for refused in [over_pipe, over_http] {
            assert_eq!(refused["error"]["code"], -32602, "{wrong}: {refused}");
        }
    }
    // Such a call can wait, and be told that it still does.
    node.call("workflow_create", json!({"name": "n"})).await;
    let claimed = node.call("workflow_claim_next", json!(r#"{"agent_id":"a","wait_seconds":5}"#));
    assert_eq!(claimed.await["structuredContent"]["claimed"], true);
}

#[tokio::test]
async fn null_and_text_count_as_what_was_meant() {
    let node = Node::start().await;
    let leased = json!({"resource_id": "r", "holder_id": "h", "ttl_seconds": "60.0",
        "wait_seconds": "null"});
    let leased = node.call("lease_acquire", leased).await;
    assert_eq!(leased["structuredContent"]["acquired"], true, "{leased}");
    for (tool, arguments) in [
        ("state_set", json!({"key": "q", "value": 1, "fence": "null", "if_revision": "null"})),
        ("state_list", json!({"values": "HEAD", "include_values": "True"})),
        ("workflow_discover", json!({"status": "Done", "claimable": "False", "limit": "5.0"})),
        ("state_get", json!({"key": "q", "consistency": "Local"})),
        (
            "state_transact",
            json!({
                "compare": [
                    {"key": "q", "revision": 2, "value": null, "exists": null},
                    {"key": "q", "revision": null, "value": null, "exists": true},
                ],
                "then": [
                    {"op": "get", "key": "q", "value": null, "ttl_seconds": null},
                    {"op": "delete", "key": "q", "value": null, "ttl_seconds": "null"},
                    {"op": "set", "key": "n", "value": null, "ttl_seconds": null},
                ],
            }),
        ),
    ] {
        let done = node.call(tool, arguments).await;
        assert_eq!(done["isError"], false, "{tool}: {done}");
        let succeeded = &done["structuredContent"]["succeeded"];
        assert!(tool != "state_transact" || succeeded == true, "{done}");
    }
    // Alone, null is a value to compare with.
    let null = json!({"compare": [{"key": "n", "value": null}], "then": []});
    let null = node.call("state_transact", null).await;
    assert_eq!(null["structuredContent"]["succeeded"], true, "{null}");
}

#[tokio::test]
async fn what_a_toolset_lacks_is_not_offered_in_another_form() {
    let toolset = Some("lease_list".parse().expect("a toolset"));
    let options = endpoint::Options { toolset, ..Default::default() };
    let node = Node::with(access::Options::default(), options).await;
    let read = node.latest("resources/read", json!({"uri": "state://kv/plan"})).await.json();
    let why = read["error"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("state_get") && why.contains("not among the tools"), "{read}");
    let listed = node.latest("resources/list", json!({})).await.json();
    assert_eq!(listed["result"]["resources"], json!([]));
    let templates = node.latest("resources/templates/list", json!({})).await.json();
    let templates = templates["result"]["resourceTemplates"].as_array().expect("a list").clone();
    assert_eq!(templates.len(), 1);
    assert_eq!(templates[0]["uriTemplate"], "state://lease/{id}");
    let keys = json!({"ref": {"type": "ref/resource", "uri": "state://kv/{key}"},
        "argument": {"name": "key", "value": ""}});
    let keys = node.latest("completion/complete", keys).await.json();
    assert_eq!(keys["error"]["code"], -32602, "{keys}");
    let prompts = node.latest("prompts/list", json!({})).await.json();
    assert_eq!(prompts["result"]["prompts"], json!([]));
    let discovered = node.latest("server/discover", json!({})).await.json();
    let said = discovered["result"]["instructions"].as_str().unwrap_or_default();
    assert!(!said.is_empty() && !said.contains("state_get"), "{said}");
    let none = node.post(&[("X-MCP-Toolsets", "history_log")], &get("k")).await;
    assert_eq!(none.status, 400);
    assert!(none.error().contains("there are lease_list"), "{}", none.body);
    assert_eq!(names(&node, &[("X-MCP-Toolsets", " , ")]).await, ["lease_list"]);
}

#[tokio::test]
async fn a_list_that_a_header_chose_is_kept_for_its_client_alone() {
    let node = Node::with(access::Options::default(), endpoint::Options::default()).await;
    for (header, scope) in [(None, "public"), (Some(("X-MCP-Toolsets", "worker")), "private")] {
        let (headers, body) = crate::node::latest("tools/list", json!({}));
        let mut headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.extend(header);
        let reply = node.post(&headers, body.as_bytes()).await;
        assert_eq!(reply.json()["result"]["cacheScope"], scope, "{}", reply.body);
        assert!(reply.head.contains("vary: x-mcp-toolsets"), "{}", reply.head);
    }
}

#[tokio::test]
async fn every_input_has_an_explicit_type() {
    fn typed(path: &str, schema: &Value) {
        let kinds = match &schema["type"] {
            Value::String(kind) => vec![kind.as_str()],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => panic!("{path} has no type: {schema}"),
        };
        assert!(!kinds.contains(&"array") || schema["items"].is_object(), "{path}: items");
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            typed(&format!("{path}.{name}"), member);
        }
        if let Some(items) = schema["items"].as_object() {
            typed(&format!("{path}[]"), &Value::Object(items.clone()));
        }
    }
    let node = Node::start().await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let list = node.older(OLDER[2], list).await.json();
    for tool in list["result"]["tools"].as_array().expect("tools") {
        typed(tool["name"].as_str().expect("a name"), &tool["inputSchema"]);
    }
}

#[tokio::test]
async fn a_wrong_choice_is_told_the_choices() {
    let node = Node::start().await;
    let cases = [
        ("state_transact", json!({"then": [{"op": "put", "key": "k", "value": 1}]}), "then[0].op"),
        ("workflow_discover", json!({"status": "claimd"}), "claimed"),
        ("state_get", json!({"key": "k", "consistency": "locale"}), "local"),
        ("state_list", json!({"values": "heads"}), "did you mean 'head'"),
    ];
    for (tool, arguments, said) in cases {
        let refused = node.call(tool, arguments).await;
        let message = refused["structuredContent"]["error"]["message"].to_string();
        assert!(message.contains("must be one of") && message.contains(said), "{message}");
    }
}
