//! What `/metrics` tells about runs by name: for how long they wait, and of how many names.

use std::sync::Arc;

use mcp_state_sidecar::access;
use mcp_state_sidecar::api::mcp::endpoint;
use mcp_state_sidecar::api::mcp::tools::Toolset;
use mcp_state_sidecar::service::Options;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::memory::MemoryStore;
use serde_json::json;

use crate::node::Node;

#[tokio::test]
async fn metrics_tell_how_long_runs_wait_by_the_clock_of_the_service() {
    let clock = ManualClock::at(1_700_000_000_000);
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let options = Options { clock: clock.clone(), ..Options::default() };
    let mcp = endpoint::Options { toolset: Some(Toolset::all()), ..Default::default() };
    let node = Node::over(store, options, access::Options::default(), mcp).await;
    node.call("workflow_create", json!({"name": "slow"})).await;
    node.call("workflow_create", json!({"name": "later", "delay_seconds": 60})).await;
    node.call("workflow_pause", json!({"name": "slow"})).await;
    clock.advance_ms(90_500);
    let page = node.send("GET", "/metrics", &[], b"").await;
    for line in [
        "sidecar_runs_oldest_waiting_seconds{name=\"slow\"} 90.5\n",
        "sidecar_runs_oldest_waiting_seconds{name=\"later\"} 30.5\n",
        "sidecar_runs_paused{name=\"slow\"} 1\n",
        "sidecar_runs_paused{name=\"later\"} 0\n",
    ] {
        assert!(page.body.contains(line), "{line} is not in\n{}", page.body);
    }
}

#[tokio::test]
async fn metrics_show_a_bounded_number_of_names_and_say_that_there_are_more() {
    let node = Node::start().await;
    for number in 0..101 {
        node.call("workflow_create", json!({"name": format!("n{number:03}")})).await;
    }
    let page = node.send("GET", "/metrics", &[], b"").await.body;
    let shown = |name: &str| page.contains(&format!("sidecar_runs{{name=\"{name}\",status="));
    assert!(shown("n000") && shown("n099") && !shown("n100"), "{page}");
    assert!(page.contains("sidecar_runs_more_names 1\n"), "{page}");
}
