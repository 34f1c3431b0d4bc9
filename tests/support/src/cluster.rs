//! A cluster of replicated stores in one process, each with its own folder and
//! listener.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::raft::consensus::options;
use mcp_state_sidecar::store::raft::consensus::types::NodeId;
use mcp_state_sidecar::store::raft::consensus::types::Peer;
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::{Options, RaftStore, StartError, Started, log, rpc};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;

/// A cluster that takes longer to agree on a leader does not work.
const SETTLE: Duration = Duration::from_secs(30);

/// The time at which the clock starts.
const START_MS: u64 = 1_700_000_000_000;

/// The cluster secret.
pub const SECRET: &str = "secret";

pub struct Cluster {
    pub clock: Arc<ManualClock>,
    pub members: BTreeMap<NodeId, Peer>,
    /// The addresses of nodes that joined later.
    joined: BTreeMap<NodeId, String>,
    nodes: Vec<Node>,
    tweak: fn(&mut Options),
}

struct Node {
    id: NodeId,
    dir: TempDir,
    running: Option<Running>,
}

/// A running node. Its tasks have a runtime of their own, so that all of them, and
/// their connections, end with it as they would with a process.
pub struct Running {
    pub store: Arc<RaftStore>,
    runtime: Option<Runtime>,
}

impl Running {
    /// Starts a node that peers reach through `listener`.
    ///
    /// # Errors
    /// See [`RaftStore::start`].
    pub async fn start(
        options: Options,
        clock: Arc<ManualClock>,
        listener: TcpListener,
    ) -> Result<Running, StartError> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let starting = runtime.spawn(async move {
            let environment = Environment { clock, ..Environment::system() };
            let Started { store, peers } = RaftStore::start(options, environment).await?;
            let server = rpc::server_builder(Duration::from_secs(2)).add_service(peers);
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
            Ok(store)
        });
        match starting.await.expect("a failing start returns an error and does not panic") {
            Ok(store) => Ok(Running { store, runtime: Some(runtime) }),
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Closes the store, and then every connection to it.
    pub async fn end(self) {
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
        Cluster::build(ManualClock::at(START_MS), |_| {}).await
    }

    /// Like [`Cluster::start`], with this clock.
    pub async fn start_at(clock: Arc<ManualClock>) -> Cluster {
        Cluster::build(clock, |_| {}).await
    }

    /// Like [`Cluster::start`], with other settings on every node.
    pub async fn start_with(tweak: fn(&mut Options)) -> Cluster {
        Cluster::build(ManualClock::at(START_MS), tweak).await
    }

    /// Like [`Cluster::start_at`], with other settings on every node.
    pub async fn build(clock: Arc<ManualClock>, tweak: fn(&mut Options)) -> Cluster {
        Cluster::begin(clock, tweak, 3).await
    }

    /// Like [`Cluster::start`], but only the first two of the three nodes run.
    pub async fn start_two() -> Cluster {
        Cluster::begin(ManualClock::at(START_MS), |_| {}, 2).await
    }

    async fn begin(clock: Arc<ManualClock>, tweak: fn(&mut Options), running: u64) -> Cluster {
        let mut members = BTreeMap::new();
        let mut listeners = Vec::new();
        for id in 1..=3 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap().to_string();
            members.insert(id, Peer::at(addr));
            listeners.push((id, listener));
        }
        let joined = BTreeMap::new();
        let mut cluster = Cluster { clock, members, joined, nodes: Vec::new(), tweak };
        for (id, listener) in listeners {
            let dir = tempfile::tempdir().unwrap();
            if id > running {
                cluster.nodes.push(Node { id, dir, running: None });
                continue;
            }
            let options = cluster.options_in(id, dir.path());
            let started = Running::start(options, cluster.clock.clone(), listener).await;
            let running = Some(started.unwrap_or_else(|error| panic!("{error}")));
            cluster.nodes.push(Node { id, dir, running });
        }
        cluster.settled().await;
        cluster
    }

    /// Sets the settings of nodes that start from now on.
    pub fn set_tweak(&mut self, tweak: fn(&mut Options)) {
        self.tweak = tweak;
    }

    /// Starts a node that waits to be added, and returns its address.
    pub async fn join(&mut self, id: NodeId) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let dir = tempfile::tempdir().unwrap();
        let options = self.options_in(id, dir.path());
        let started = Running::start(options, self.clock.clone(), listener).await;
        let running = Some(started.unwrap_or_else(|error| panic!("{error}")));
        self.joined.insert(id, addr.clone());
        self.nodes.push(Node { id, dir, running });
        addr
    }

    /// The position of the node with this number.
    pub fn position(&self, id: NodeId) -> usize {
        self.nodes.iter().position(|node| node.id == id).unwrap()
    }

    /// Gives a stopped node an empty folder, as after the loss of its disk.
    pub fn wipe(&mut self, at: usize) {
        assert!(self.nodes[at].running.is_none(), "the node runs");
        self.nodes[at].dir = tempfile::tempdir().unwrap();
    }

    /// Stops a node and removes it from this cluster.
    pub async fn dismiss(&mut self, at: usize) {
        let node = self.nodes.remove(at);
        if let Some(running) = node.running {
            running.end().await;
        }
    }

    fn options_in(&self, node_id: NodeId, folder: &Path) -> Options {
        let mut options = Options {
            cluster_name: "test".to_owned(),
            node_id,
            members: self.members.clone(),
            url: String::new(),
            data_dir: folder.to_owned(),
            secret: Some(SECRET.to_owned()),
            limits: Default::default(),
            speaks: rpc::SPEAKS,
            consensus: options::Options::default(),
            log: log::Options::default(),
        };
        (self.tweak)(&mut options);
        options
    }

    /// The options with which the node at `at` starts.
    pub fn options(&self, at: usize) -> Options {
        self.options_in(self.nodes[at].id, self.nodes[at].dir.path())
    }

    /// A listener on the address at which peers expect the node at `at`.
    pub async fn listener(&self, at: usize) -> TcpListener {
        let id = self.nodes[at].id;
        let addr = self.joined.get(&id).unwrap_or_else(|| &self.members[&id].addr);
        let deadline = Instant::now() + SETTLE;
        loop {
            match TcpListener::bind(addr).await {
                Ok(listener) => return listener,
                // The former listener is closed when its runtime ends.
                Err(error) => assert!(Instant::now() < deadline, "{addr}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The store at `at`, which must run.
    pub fn store(&self, at: usize) -> Arc<RaftStore> {
        self.nodes[at].running.as_ref().expect("a node that runs").store.clone()
    }

    /// Stops every node.
    pub async fn end(mut self) {
        self.stop_all().await;
    }

    /// The running stores.
    pub fn stores(&self) -> impl Iterator<Item = Arc<RaftStore>> + '_ {
        self.nodes.iter().filter_map(|node| node.running.as_ref()).map(|node| node.store.clone())
    }

    /// The last of the running stores.
    pub fn any(&self) -> Arc<RaftStore> {
        self.stores().last().expect("a node that runs")
    }

    /// The position of the leader.
    pub async fn leader(&self) -> usize {
        let leader = self.settled().await;
        self.nodes.iter().position(|node| node.id == leader).unwrap()
    }

    /// Stops the leader and returns its position.
    pub async fn stop_leader(&mut self) -> usize {
        let at = self.leader().await;
        self.stop(at).await;
        at
    }

    /// Stops the node at `at`.
    pub async fn stop(&mut self, at: usize) {
        self.nodes[at].running.take().unwrap().end().await;
    }

    /// Stops all nodes at once.
    pub async fn stop_all(&mut self) {
        let running = self.nodes.iter_mut().filter_map(|node| node.running.take());
        join_all(running.map(Running::end)).await;
    }

    /// Starts a stopped node again with its folder.
    pub async fn restart(&mut self, at: usize) {
        self.start_node(at).await;
        self.settled().await;
    }

    /// Starts all stopped nodes again.
    pub async fn restart_all(&mut self) {
        for at in 0..self.nodes.len() {
            self.start_node(at).await;
        }
        self.settled().await;
    }

    /// Starts a stopped node without waiting until it knows the leader.
    pub async fn start_node(&mut self, at: usize) {
        let listener = self.listener(at).await;
        let started = Running::start(self.options(at), self.clock.clone(), listener).await;
        self.nodes[at].running = Some(started.unwrap_or_else(|error| panic!("{error}")));
    }

    /// Waits until every running node names the same running leader.
    pub async fn settled(&self) -> NodeId {
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut leaders = Vec::new();
            for store in self.stores() {
                let known = store.health().await.cluster.unwrap();
                // A node that waits to be added knows no member.
                if !known.members.is_empty() {
                    leaders.push(known.leader);
                }
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

    /// Waits until every running node knows that all members speak the newest version.
    pub async fn work_as_one_version(&self) {
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut versions = Vec::new();
            for store in self.stores() {
                versions.push(store.health().await.cluster.unwrap().protocol);
            }
            if versions.iter().all(|version| version == rpc::SPEAKS.end()) {
                return;
            }
            assert!(Instant::now() < deadline, "the versions stay at {versions:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until all replicas are at one revision, and compares their chain heads.
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
            assert!(Instant::now() < deadline, "replicas do not reach one revision: {heads:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
