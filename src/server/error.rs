//! Why a node did not start, or did not stop well.

use super::stores::StoreOpenError;
use crate::store::raft::membership::view::Expelled;

/// Why a node did not start, or did not stop well. The message is one line for people.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("{setting}: cannot listen on {address}: {cause}")]
    Listen { setting: &'static str, address: String, cause: std::io::Error },
    #[error(transparent)]
    Open(#[from] StoreOpenError),
    #[error("signals cannot be caught: {0}")]
    Signals(#[source] std::io::Error),
    #[error("the listener failed: {0}")]
    Listener(#[source] std::io::Error),
    #[error("standard input and output: {0}")]
    Stdio(#[source] std::io::Error),
    /// The cluster goes on without this node, although nobody removed it on purpose.
    #[error("SIDECAR_DATA_DIR: {0}")]
    Expelled(Expelled),
    #[error("stopped by a second signal before everything had finished")]
    StoppedTwice,
}
