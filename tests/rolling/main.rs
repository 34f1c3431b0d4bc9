//! A rolling restart: each of three nodes in turn is told to stop, transfers its
//! leadership, exits with code 0 and is started again, while agents over MCP and
//! programs over gRPC go on. No call fails.
//!
//! `ROUNDS` sets how often each node is restarted.

mod callers;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use callers::Load;
use support::client::Client;
use support::sidecar::{Sidecar, free_ports};

const NODES: usize = 3;
const ROUNDS: usize = 2;

/// How many calls are served between two restarts.
const CALLS_BETWEEN: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_call() {
    let rounds = std::env::var("ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (mcp, grpc) = (free_ports(NODES), free_ports(NODES));
    let mut nodes: Vec<_> = (0..NODES).map(|at| node(at, &mcp, &grpc, dir.path())).collect();
    for node in &mut nodes {
        node.start();
    }
    for node in &mut nodes {
        node.ready().await;
    }
    let load = Load::start(&mcp, &grpc);
    let (mut leader_restarts, mut slowest) = (0, Duration::ZERO);
    for _ in 0..rounds {
        for node in &mut nodes {
            load.serves(CALLS_BETWEEN).await;
            let health = Client::new(node.port).answer("sidecar_health", json!({})).await;
            leader_restarts += usize::from(health["role"] == json!("leader"));
            let began = Instant::now();
            let ended = node.stop();
            slowest = slowest.max(began.elapsed());
            assert!(ended.success(), "a node that was told to stop ended with {ended}");
            node.start();
            node.ready().await;
        }
    }
    load.serves(CALLS_BETWEEN).await;
    let (calls, longest) = load.end().await;
    println!(
        "{} restarts, {leader_restarts} of the leader, the slowest stop {slowest:?}; \
         {calls} calls, 0 failed, the longest {longest:?}",
        rounds * NODES
    );
    assert!(leader_restarts > 0, "no leader was restarted");
}

fn node(at: usize, mcp: &[u16], grpc: &[u16], dir: &Path) -> Sidecar {
    let id = (at + 1).to_string();
    let addr = format!("127.0.0.1:{}", grpc[at]);
    let numbered = (1..).zip(grpc);
    let members: Vec<_> = numbered.map(|(id, port)| format!("{id}=127.0.0.1:{port}")).collect();
    let (members, folder) = (members.join(","), dir.join(&id));
    let settings = [
        ("STATE_BACKEND", "raft"),
        ("SIDECAR_NODE_ID", &id),
        ("SIDECAR_RAFT_ADDR", &addr),
        ("SIDECAR_MEMBERS", &members),
        ("SIDECAR_DATA_DIR", folder.to_str().unwrap()),
    ];
    Sidecar::new(&format!("node{id}"), dir, mcp[at], &settings)
}
