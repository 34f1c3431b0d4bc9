//! Three replicated stores in this process, each with a folder and a listener.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mcp_state_sidecar::store::clock::Manual;
use mcp_state_sidecar::store::raft::{
    Options, RaftStore, Started, log, network, options, types::Peer,
};
use mcp_state_sidecar::store::{Store, raft::types::NodeId};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;

/// A cluster that has not settled by then does not work.
const SETTLE: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub clock: Arc<Manual>,
    nodes: Vec<Node>,
    members: BTreeMap<NodeId, Peer>,
}

struct Node {
    id: NodeId,
    dir: TempDir,
    running: Option<Running>,
}

/// A node's tasks run on a runtime of their own, so that all of them, and the
/// connections that they hold, end with it as with a process.
struct Running {
    store: Arc<RaftStore>,
    runtime: Option<Runtime>,
}

impl Running {
    /// Closes the store, and then every connection that peers hold to it.
    async fn end(self) {
        self.store.close().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Cluster {
    /// Three nodes that know their leader.
    pub async fn start() -> Cluster {
        Cluster::start_at(Manual::at(1_700_000_000_000)).await
    }

    /// As [`Cluster::start`], by this clock.
    pub async fn start_at(clock: Arc<Manual>) -> Cluster {
        let mut members = BTreeMap::new();
        let mut listeners = Vec::new();
        for id in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap().to_string();
            members.insert(id, Peer { addr, url: String::new() });
            listeners.push((id, listener));
        }
        let mut cluster = Cluster { clock, nodes: Vec::new(), members };
        for (id, listener) in listeners {
            let dir = tempfile::tempdir().unwrap();
            let mut node = Node { id, dir, running: None };
            cluster.run(&mut node, listener).await;
            cluster.nodes.push(node);
        }
        cluster.settled().await;
        cluster
    }

    async fn run(&self, node: &mut Node, listener: TcpListener) {
        let options = Options {
            cluster_name: "test".to_owned(),
            node_id: node.id,
            members: self.members.clone(),
            url: String::new(),
            data_dir: node.dir.path().to_owned(),
            secret: Some("secret".to_owned()),
            consensus: options::Options::default(),
            log: log::Options::default(),
        };
        let clock = self.clock.clone();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let starting = runtime.spawn(async move {
            let started = RaftStore::start(options, clock).await;
            let Started { store, peers } = started.unwrap_or_else(|error| panic!("{error}"));
            let server = network::listener(Duration::from_secs(2)).add_service(peers);
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
            store
        });
        let store = starting.await.unwrap();
        node.running = Some(Running { store, runtime: Some(runtime) });
    }

    /// Stops every node.
    pub async fn stop(self) {
        let running = self.nodes.into_iter().filter_map(|node| node.running);
        futures::future::join_all(running.map(Running::end)).await;
    }

    /// The stores that run.
    pub fn stores(&self) -> impl Iterator<Item = Arc<RaftStore>> + '_ {
        self.nodes.iter().filter_map(|node| node.running.as_ref()).map(|node| node.store.clone())
    }

    /// The last store that runs.
    pub fn any(&self) -> Arc<RaftStore> {
        self.stores().last().expect("a node that runs")
    }

    /// Stops the leader.
    pub async fn stop_leader(&mut self) -> usize {
        let leader = self.settled().await;
        let at = self.nodes.iter().position(|node| node.id == leader).unwrap();
        self.nodes[at].running.take().unwrap().end().await;
        at
    }

    /// Starts a stopped node again on what its folder holds.
    pub async fn restart(&mut self, at: usize) {
        let addr = self.members[&self.nodes[at].id].addr.clone();
        let listener = TcpListener::bind(&addr).await.unwrap();
        let mut node = std::mem::replace(
            &mut self.nodes[at],
            Node { id: 0, dir: tempfile::tempdir().unwrap(), running: None },
        );
        self.run(&mut node, listener).await;
        self.nodes[at] = node;
        self.settled().await;
    }

    /// Waits until every running node names the same running leader.
    async fn settled(&self) -> NodeId {
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut leaders = Vec::new();
            for store in self.stores() {
                leaders.push(store.health().await.cluster.unwrap().leader);
            }
            let first = leaders[0];
            let runs = |id| self.nodes.iter().any(|n| n.id == id && n.running.is_some());
            if let Some(leader) = first.filter(|id| runs(*id))
                && leaders.iter().all(|other| *other == first)
            {
                return leader;
            }
            assert!(Instant::now() < deadline, "no agreement on a leader: {leaders:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all replicas are at one revision, and compares chain heads.
    pub async fn assert_replicas_equal(&self) {
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut heads = Vec::new();
            for store in self.stores() {
                let health = store.health().await;
                heads.push((health.revision, health.chain));
            }
            if heads.iter().all(|head| head.0 == heads[0].0) {
                assert!(heads.iter().all(|head| head.1 == heads[0].1), "{heads:?}");
                return;
            }
            assert!(Instant::now() < deadline, "replicas stay apart: {heads:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
