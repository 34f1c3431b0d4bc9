//! The calls that are compared: the scenarios whose answers were recorded, and some
//! more.

use std::time::Duration;

use serde_json::{Value, json};

const RECORDED: &str = include_str!("../recorded/sqlite.json");

/// One thing to do.
#[derive(Clone)]
pub enum Call {
    Tool {
        tool: String,
        /// `$1` stands for the id of a run.
        arguments: Value,
        /// What the id in the answer is called from here on.
        bind: Option<String>,
    },
    Wait(Duration),
}

impl Call {
    /// Lets time pass, where that is what it is.
    pub fn wait(&self) {
        if let Call::Wait(duration) = self {
            std::thread::sleep(*duration);
        }
    }
}

/// The recorded scenarios, by name.
pub fn recorded_scenarios() -> Vec<(String, Vec<Call>)> {
    let recorded: Value = serde_json::from_str(RECORDED).expect("the recorded answers are JSON");
    let scenarios = recorded.as_object().expect("scenarios by name");
    let calls = scenarios.iter().map(|(scenario, steps)| {
        let steps = steps.as_array().expect("steps").iter().map(|step| {
            if let Some(seconds) = step["sleep"].as_f64() {
                return Call::Wait(Duration::from_secs_f64(seconds));
            }
            let created = step["tool"] == "workflow_create";
            let bind = step["result"]["run_id"].as_str().filter(|_| created);
            Call::Tool {
                tool: step["tool"].as_str().expect("a tool").to_owned(),
                arguments: step["args"].clone(),
                bind: bind.map(str::to_owned),
            }
        });
        (scenario.clone(), steps.collect())
    });
    calls.collect()
}

/// What the recorded ones leave out.
pub fn more() -> Vec<(String, Vec<Call>)> {
    let scenario = |name: &str, calls: Vec<Call>| (name.to_owned(), calls);
    vec![
        scenario("arguments as agents give them", arguments()),
        scenario("work that goes on", work()),
        scenario("leases that change hands", leases()),
    ]
}

fn arguments() -> Vec<Call> {
    vec![
        tool("state_set", json!({"key": "k", "value": "ü✓\u{1f600}\u{0}", "ttl_seconds": "60"})),
        tool("state_get", json!({"key": "k"})),
        tool("state_set", json!({"key": "", "value": null, "ttl_seconds": null, "agent_id": null})),
        tool("state_get", json!({"key": ""})),
        tool("state_set", json!({"key": "n", "value": {"z": 1, "a": [0.1, -0.0, 1e300]}})),
        tool("state_get", json!({"key": "n"})),
        tool("state_list", json!({"prefix": null})),
        tool("state_list", json!({"prefix": ""})),
        tool("history_log", json!({"key": "k"})),
        tool("history_log", json!({"n": "2"})),
        tool("session_save", json!({"session_id": "s", "context": {}})),
        tool("session_save", json!({"session_id": "s", "context": {"deep": {"er": [[[]]]}}})),
        tool("session_restore", json!({"session_id": "s"})),
        tool("state_delete", json!({"key": ""})),
        tool("sidecar_health", json!({})),
    ]
}

fn work() -> Vec<Call> {
    vec![
        create("$1", json!({"name": "etl", "tags": {"team": "data", "prio": "high"}})),
        create("$2", json!({"name": "etl", "tags": null})),
        // Without a claim, and a step twice.
        tool("workflow_checkpoint", json!({"run_id": "$2", "step": "4", "output": [1]})),
        tool("workflow_checkpoint", json!({"run_id": "$2", "step": 1, "output": null})),
        tool("workflow_checkpoint", json!({"run_id": "$2", "step": 4, "output": {"again": true}})),
        tool("workflow_resume", json!({"run_id": "$2"})),
        tool("workflow_claim", json!({"run_id": "$2", "agent_id": "late"})),
        tool("workflow_claim", json!({"run_id": "$1", "agent_id": "a"})),
        tool("workflow_claim", json!({"run_id": "$1", "agent_id": "b"})),
        tool("workflow_checkpoint", json!({"run_id": "$1", "step": 0, "output": "zero"})),
        tool("workflow_claim", json!({"run_id": "$1", "agent_id": "b"})),
        tool("workflow_status", json!({"run_id": "$1"})),
        tool("workflow_resume", json!({"run_id": "$1"})),
        tool("workflow_discover", json!({"status": "running", "tags": {"team": "data"}})),
        tool("workflow_discover", json!({"tags": {"team": "data", "prio": "low"}})),
        tool("workflow_discover", json!({})),
        tool("workflow_list", json!({})),
        tool("workflow_checkpoint", json!({"run_id": "wf-000000000000", "step": 1, "output": 1})),
        tool("sidecar_health", json!({})),
    ]
}

fn leases() -> Vec<Call> {
    vec![
        tool("lease_acquire", json!({"resource_id": "r", "holder_id": "a", "ttl_seconds": 60})),
        tool("lease_acquire", json!({"resource_id": "r", "holder_id": "b", "ttl_seconds": 60})),
        tool("lease_acquire", json!({"resource_id": "r", "holder_id": "a", "ttl_seconds": 60})),
        tool("lease_renew", json!({"resource_id": "r", "holder_id": "b", "ttl_seconds": 60})),
        tool("lease_release", json!({"resource_id": "r", "holder_id": "b"})),
        tool("lease_renew", json!({"resource_id": "r", "holder_id": "a", "ttl_seconds": "90"})),
        tool("lease_release", json!({"resource_id": "r", "holder_id": "a"})),
        tool("lease_release", json!({"resource_id": "r", "holder_id": "a"})),
        tool("lease_acquire", json!({"resource_id": "r", "holder_id": "b", "ttl_seconds": 60})),
    ]
}

pub fn tool(tool: &str, arguments: Value) -> Call {
    Call::Tool { tool: tool.to_owned(), arguments, bind: None }
}

pub fn create(name: &str, arguments: Value) -> Call {
    let bind = Some(name.to_owned());
    Call::Tool { tool: "workflow_create".into(), arguments, bind }
}
