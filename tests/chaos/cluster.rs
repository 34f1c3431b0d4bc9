//! Real processes, to be killed and started again: each in a namespace, on a
//! disk and by a clock of its own, where this machine allows it.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::net::{self, Network};
use support::client::{Client, TOKEN};
use support::sidecar::{Sidecar, free_ports};

/// A cluster that knows no leader by then does not work.
const LEADER_WITHIN: Duration = Duration::from_secs(60);

/// What nodes show one another.
const SECRET: &str = "secret-of-tests";

/// One node: its process, where it is reached, and what can be done to it.
pub struct Node {
    pub id: u64,
    pub sidecar: Sidecar,
    pub grpc: String,
    pub disk: Option<Disk>,
    pub clock: Option<Clock>,
}

/// The nodes, numbered from 1.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub network: Option<Network>,
}

impl Cluster {
    /// Starts `founders` nodes under `dir` that form a cluster, and `others` that
    /// wait to be added, and waits until all founders are ready.
    pub async fn start(
        founders: usize,
        others: usize,
        dir: &Path,
        network: Option<Network>,
    ) -> Cluster {
        let count = founders + others;
        let (mcp_ports, raft_ports) = match network {
            Some(_) => (vec![8000; count], vec![9000; count]),
            None => (free_ports(count), free_ports(count)),
        };
        let host = |at| network.as_ref().map_or("127.0.0.1".to_owned(), |_| net::address(at));
        let grpc: Vec<String> =
            (0..count).map(|at| format!("{}:{}", host(at), raft_ports[at])).collect();
        let members: Vec<String> =
            (1..).zip(&grpc[..founders]).map(|(id, addr)| format!("{id}={addr}")).collect();
        let members = members.join(",");
        let mut nodes = Vec::new();
        for at in 0..count {
            let id = at as u64 + 1;
            let name = format!("node{id}");
            let folder = dir.join(&name);
            let disk = Disk::mount(&folder);
            let clock = Clock::new(dir, &name);
            let mut settings = vec![
                ("STATE_BACKEND".to_owned(), "raft".to_owned()),
                ("SIDECAR_NODE_ID".to_owned(), id.to_string()),
                ("SIDECAR_RAFT_ADDR".to_owned(), grpc[at].clone()),
                ("SIDECAR_MEMBERS".to_owned(), members.clone()),
                ("SIDECAR_DATA_DIR".to_owned(), folder.join("data").to_string_lossy().into_owned()),
                ("SIDECAR_TOKEN".to_owned(), TOKEN.to_owned()),
                ("SIDECAR_CLUSTER_SECRET".to_owned(), SECRET.to_owned()),
            ];
            settings.extend(clock.iter().flat_map(Clock::environment));
            let settings: Vec<(&str, &str)> =
                settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut sidecar = Sidecar::new(&name, dir, mcp_ports[at], &settings);
            sidecar.host = host(at);
            sidecar.through = network.as_ref().map(|net| net.through(at)).unwrap_or_default();
            sidecar.start();
            nodes.push(Node { id, sidecar, grpc: grpc[at].clone(), disk, clock });
        }
        let mut cluster = Cluster { nodes, network };
        for node in &mut cluster.nodes[..founders] {
            node.sidecar.ready().await;
        }
        cluster
    }

    /// A client of one node.
    pub fn client(&self, at: usize) -> Client {
        let sidecar = &self.nodes[at].sidecar;
        Client::at(&sidecar.host, sidecar.port)
    }

    /// Waits until these nodes know a leader and have caught up.
    pub async fn ready(&mut self, nodes: &[usize]) {
        for at in nodes {
            self.nodes[*at].sidecar.ready().await;
        }
    }

    /// The node that leads, as most recently heard from any node that answers.
    pub async fn leader(&self) -> usize {
        let deadline = Instant::now() + LEADER_WITHIN;
        loop {
            for at in 0..self.nodes.len() {
                let health = self.client(at).health().await;
                let leader = health.ok().and_then(|health| health["leader"].as_u64());
                if let Some(at) = leader.and_then(|id| self.nodes.iter().position(|n| n.id == id)) {
                    return at;
                }
            }
            assert!(Instant::now() < deadline, "no node knows a leader");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Runs `cluster …` of the command line, asking `at`, for a while.
    pub async fn change(&self, at: usize, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-state-sidecar"));
        command.env("SIDECAR_TOKEN", TOKEN);
        command.arg("cluster").args(words).args(["--node", &self.nodes[at].grpc, "--wait", "8"]);
        let running = tokio::task::spawn_blocking(move || command.output());
        running.await.expect("it does not panic").expect("the program starts")
    }
}
