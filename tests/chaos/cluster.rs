//! Three real processes on loopback, to be killed and started again.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Client;

/// A cluster that does not answer by then does not work.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// One node: its process, and where it is reached.
pub struct Node {
    pub id: u64,
    pub mcp_port: u16,
    process: Option<Child>,
    log: PathBuf,
    raft_port: u16,
    members: String,
    dir: PathBuf,
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
        let mut nodes = Vec::new();
        for (id, (mcp_port, raft_port)) in (1..).zip(mcp_ports.into_iter().zip(raft_ports)) {
            let mut node = Node {
                id,
                mcp_port,
                process: None,
                log: dir.join(format!("node{id}.log")),
                raft_port,
                members: members.join(","),
                dir: dir.join(format!("node{id}")),
            };
            node.start();
            nodes.push(node);
        }
        let cluster = Cluster { nodes };
        cluster.all_ready().await;
        cluster
    }

    /// Waits until every node knows a leader and has caught up.
    pub async fn all_ready(&self) {
        for node in &self.nodes {
            node.ready().await;
        }
    }

    /// The node that leads, as most recently heard from any node that answers.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            for node in &self.nodes {
                let health = Client::new(node.mcp_port).health().await;
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

impl Node {
    /// Starts the process; it takes up what its folder holds.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "node {} runs already", self.id);
        let log = std::fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"))
            .arg("serve")
            .env("STATE_BACKEND", "raft")
            .env("SIDECAR_PORT", self.mcp_port.to_string())
            .env("SIDECAR_NODE_ID", self.id.to_string())
            .env("SIDECAR_RAFT_ADDR", format!("127.0.0.1:{}", self.raft_port))
            .env("SIDECAR_MEMBERS", &self.members)
            .env("SIDECAR_DATA_DIR", &self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a node that runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Waits until the node is ready.
    pub async fn ready(&self) {
        let deadline = Instant::now() + READY_WITHIN;
        let client = Client::new(self.mcp_port);
        while !client.is_ready().await {
            assert!(
                Instant::now() < deadline,
                "node {} is not ready; its log ends:\n{}",
                self.id,
                self.last_lines()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Ports that were free a moment ago.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
