//! The interface of every store: what it can do, and what it guarantees
//! whatever lies behind it.

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::cluster::Cluster;
use super::error::StoreError;
use super::export::Export;
use super::health::Health;
use super::request::{Answered, Consistency, Request};
use crate::machine::lookup::Due;
use crate::machine::{Question, Reply, Revision};

/// One state, shared by everybody who uses the store.
///
/// Every store guarantees:
/// - A command is decided once, by whoever orders the commands, and commits as
///   a whole or not at all. `submit` returns when the commit is as durable as
///   the store promises.
/// - Each command and each linearizable question behaves as if it happened at
///   one instant between its call and its return.
/// - An error other than [`StoreError::Unknown`] means that nothing was written
///   and nothing will be.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Decides and commits `request` before `deadline`.
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError>;

    /// Answers `question` before `deadline`.
    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError>;

    /// The newest revision that this store has seen committed. A change wakes
    /// the receivers. It may lag behind a linearizable answer but is never
    /// ahead of one.
    fn revision(&self) -> watch::Receiver<Revision>;

    /// What the passing of time calls for, if this store should propose it. In a
    /// cluster only the leader does, as far as it knows.
    async fn due(&self) -> Due;

    /// The whole state at one instant between the call and its return, while
    /// writes go on.
    ///
    /// # Errors
    /// The state cannot be read before `deadline`. Reading all its parts may
    /// take longer than that.
    async fn export(&self, deadline: Instant) -> Result<Export, StoreError>;

    /// What the store knows about itself. It does not touch the disk or the
    /// network, so it answers even when those fail.
    async fn health(&self) -> Health;

    /// The cluster that this store is a node of, if it is one.
    fn cluster(&self) -> Option<&dyn Cluster> {
        None
    }

    /// Refuses new work, finishes what has begun, and stops.
    async fn close(&self);
}
