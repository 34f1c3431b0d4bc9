//! The stores on which stories are played. Each is empty, and has a manual clock.

use std::sync::{Arc, Mutex, Weak};

use futures::future::BoxFuture;
use mcp_state_sidecar::machine::command::StateLimits;
use mcp_state_sidecar::store::raft;
use mcp_state_sidecar::store::redis::{self, RedisClock, RedisStore};
use mcp_state_sidecar::store::sqlite::{self, SqliteStore};
use mcp_state_sidecar::store::{Role, Store};

use mcp_state_sidecar::store::clock::ManualClock;
use mcp_state_sidecar::store::memory::MemoryStore;
use support::cluster::Cluster;
use support::redis_server::RedisServer;

/// A store, and how to clean up after the story.
pub struct Opened {
    pub store: Arc<dyn Store>,
    /// Every node, of which one may lead.
    pub nodes: Vec<Arc<dyn Store>>,
    pub close: BoxFuture<'static, ()>,
}

/// Makes an empty store that reads the time from the given clock.
pub type Factory = fn(Arc<ManualClock>) -> BoxFuture<'static, Opened>;

/// How large the state of a story may become.
const LIMITS: StateLimits =
    StateLimits { bytes_max: Some(2_000_000), run_retention_ms: Some(1_800_000) };

pub const MEMORY: Factory = |clock| {
    Box::pin(async move {
        let store = Arc::new(MemoryStore::new(clock).limited_to(LIMITS));
        Opened { store: store.clone(), nodes: vec![store], close: Box::pin(async {}) }
    })
};

pub const SQLITE: Factory = |clock| {
    Box::pin(async move {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let options = sqlite::Options { limits: LIMITS, ..Default::default() };
        let store = SqliteStore::open(&path, options, clock).expect("a new file");
        let store = Arc::new(store);
        let closing = store.clone();
        let close = Box::pin(async move {
            closing.close().await;
            drop(dir);
        });
        Opened { store: store.clone(), nodes: vec![store], close }
    })
};

/// All stories share one server, which stops after the last of them. Each has its own
/// prefix there.
pub const REDIS: Factory = |clock| {
    Box::pin(async move {
        let server = redis_server();
        let options = redis::Options {
            url: server.url(),
            prefix: server.prefix(),
            limits: LIMITS,
            ..redis::Options::default()
        };
        let opened = RedisStore::open(options, RedisClock::Given(clock)).await;
        let store = Arc::new(opened.expect("a new prefix"));
        let closing = store.clone();
        let close = Box::pin(async move {
            closing.close().await;
            drop(server);
        });
        Opened { store: store.clone(), nodes: vec![store], close }
    })
};

fn redis_server() -> Arc<RedisServer> {
    static SERVER: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());
    let mut server = SERVER.lock().expect("nothing panics under it");
    server.upgrade().unwrap_or_else(|| {
        let started = Arc::new(RedisServer::start());
        *server = Arc::downgrade(&started);
        started
    })
}

/// Three nodes. The story is played on one that is not the leader.
pub const RAFT: Factory = |clock| {
    Box::pin(async move {
        let limited = |options: &mut raft::Options| options.limits = LIMITS;
        let cluster = Cluster::build(clock, limited).await;
        cluster.work_as_one_version().await;
        let mut follower = None;
        for store in cluster.stores() {
            let role = store.health().await.cluster.map(|cluster| cluster.role);
            if role == Some(Role::Follower) {
                follower = Some(store);
            }
        }
        let store = follower.expect("a node that does not lead");
        let nodes = cluster.stores().map(|store| store as Arc<dyn Store>).collect();
        Opened { store, nodes, close: Box::pin(cluster.end()) }
    })
};
