//! Three real processes on loopback, to be killed and started again.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::sidecar::{Sidecar, free_ports};

/// A cluster that knows no leader by then does not work.
const LEADER_WITHIN: Duration = Duration::from_secs(60);

/// One node: its process, and where it is reached.
pub struct Node {
    pub id: u64,
    pub sidecar: Sidecar,
}

/// The nodes, numbered from 1.
pub struct Cluster {
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `count` nodes under `dir` and waits until all are ready.
    pub async fn start(count: usize, dir: &Path) -> Cluster {
        let mcp_ports = free_ports(count);
        let raft_ports = free_ports(count);
        let members: Vec<String> =
            (1..).zip(&raft_ports).map(|(id, port)| format!("{id}=127.0.0.1:{port}")).collect();
        let members = members.join(",");
        let mut nodes = Vec::new();
        for (id, (mcp_port, raft_port)) in (1..).zip(mcp_ports.into_iter().zip(raft_ports)) {
            let name = format!("node{id}");
            let data = dir.join(&name);
            let settings = [
                ("STATE_BACKEND", "raft"),
                ("SIDECAR_NODE_ID", &id.to_string()),
                ("SIDECAR_RAFT_ADDR", &format!("127.0.0.1:{raft_port}")),
                ("SIDECAR_MEMBERS", &members),
                ("SIDECAR_DATA_DIR", &data.to_string_lossy()),
            ];
            let mut sidecar = Sidecar::new(&name, dir, mcp_port, &settings);
            sidecar.start();
            nodes.push(Node { id, sidecar });
        }
        let mut cluster = Cluster { nodes };
        cluster.all_ready().await;
        cluster
    }

    /// Waits until every node knows a leader and has caught up.
    pub async fn all_ready(&mut self) {
        for node in &mut self.nodes {
            node.sidecar.ready().await;
        }
    }

    /// The node that leads, as most recently heard from any node that answers.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + LEADER_WITHIN;
        loop {
            for node in &self.nodes {
                let health = Client::new(node.sidecar.port).health().await;
                let leader = health.ok().and_then(|health| health["leader"].as_u64());
                if let Some(at) = leader.and_then(|id| self.nodes.iter().position(|n| n.id == id)) {
                    return at;
                }
            }
            assert!(Instant::now() < deadline, "no node knows a leader");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
