//! The stores that stories are played on, each empty and driven by hand.

use std::sync::Arc;

use futures::future::BoxFuture;
use mcp_state_sidecar::store::sqlite::{self, SqliteStore};
use mcp_state_sidecar::store::{Role, Store};

use crate::cluster::Cluster;
use mcp_state_sidecar::store::clock::Manual;
use mcp_state_sidecar::store::memory::MemoryStore;

/// A store, and what is to be done when the story is over.
pub struct Opened {
    pub store: Arc<dyn Store>,
    pub close: BoxFuture<'static, ()>,
}

/// Makes an empty store that reads the time from the clock given.
pub type Factory = fn(Arc<Manual>) -> BoxFuture<'static, Opened>;

pub const MEMORY: Factory = |clock| {
    Box::pin(async move {
        Opened { store: Arc::new(MemoryStore::new(clock)), close: Box::pin(async {}) }
    })
};

pub const SQLITE: Factory = |clock| {
    Box::pin(async move {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.db");
        let options = sqlite::Options::default();
        let store = SqliteStore::open(&path, options, clock).expect("a new file");
        let store = Arc::new(store);
        let closing = store.clone();
        let close = Box::pin(async move {
            closing.close().await;
            drop(dir);
        });
        Opened { store, close }
    })
};

/// Three nodes; the story is told on one that does not lead.
pub const RAFT: Factory = |clock| {
    Box::pin(async move {
        let cluster = Cluster::start_at(clock).await;
        let mut follower = None;
        for store in cluster.stores() {
            let role = store.health().await.cluster.map(|cluster| cluster.role);
            if role == Some(Role::Follower) {
                follower = Some(store);
            }
        }
        let store = follower.expect("a node that does not lead");
        Opened { store, close: Box::pin(cluster.end()) }
    })
};
