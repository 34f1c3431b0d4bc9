//! The stores that stories are played on, each empty and driven by hand.

use std::sync::Arc;

use futures::future::BoxFuture;
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::clock::Manual;
use mcp_state_sidecar::store::memory::MemoryStore;

/// A store and what must live as long as it does.
pub struct Opened {
    pub store: Arc<dyn Store>,
    pub keep: Box<dyn std::any::Any + Send>,
}

/// Makes an empty store that reads the time from the clock given.
pub type Factory = fn(Arc<Manual>) -> BoxFuture<'static, Opened>;

pub const MEMORY: Factory = |clock| {
    Box::pin(async move { Opened { store: Arc::new(MemoryStore::new(clock)), keep: Box::new(()) } })
};
