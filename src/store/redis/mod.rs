//! The Redis store: one state in one Redis, shared by any number of sidecars
//! that know nothing of one another.
//!
//! ```text
//!   commands wait ──► writer                     questions
//!                       │ fetch.lua: rows, ranges and searches of     │
//!                       │ the batch, and whether it is our turn       │ fetch.lua
//!                       ▼                                             ▼
//!                  decide, one after another                        answer
//!                       │
//!                       ▼ commit.lua: compare the version, write, hand the turn on
//!                     Redis ──── "revision, whose turn" ───► every sidecar
//! ```
//!
//! How revisions and the chain stay exact although many write: every command
//! reads the state's position (revision, chain, clocks), and every commit
//! compares the commit that was read with the position, and counts on. So of
//! two batches that were decided over the same state one commits and the other
//! is decided anew; commits follow one another as on one thread. To waste
//! nothing on that, busy sidecars take turns, each with all that waits in it.
//!
//! What it promises: linearizable as long as one primary lives, and as durable
//! as that Redis is (`appendonly yes` and `appendfsync always` keep every
//! acknowledged write through a crash; `everysec` may lose about a second).
//! What it cannot promise: a failover of Redis is asynchronous, so a replica
//! that takes over may lack the newest acknowledged writes, and then gives out
//! revisions and tokens anew that were given out before; and a primary that is
//! cut off goes on beside it. A sidecar that finds commits gone which it has
//! seen says so in its log.
//!
//! Deadlines are judged by Redis's own clock, which all sidecars share.

mod address;
mod batch;
mod connection;
mod entry;
pub(crate) mod error;
mod export;
mod export_pages;
pub(crate) mod fetch;
pub(crate) mod import;
mod layout;
mod listener;
pub(crate) mod open;
mod question;
mod read_set;
mod retry;
mod shared;
mod upgrade;
mod working_set;
mod writer;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use super::migration::redis::migrate::MoveIn;
use connection::RedisConnection;
pub use error::OpenError;
use fetch::PRESENT;
pub use import::{RedisImport, RedisImportError};
pub use open::{Options, is_prefix, is_url};
use read_set::ReadSet;
pub use shared::RedisClock;
use shared::RedisShared;
use working_set::WorkingSet;

use super::export::Export;
use super::{Answered, Consistency, Health, Request, Store, StoreError};
use crate::machine::{Command, Question, Reply, Revision, lookup};

/// How long looking for something to sweep may take; it is done once a second.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// A state in a Redis.
pub struct RedisStore {
    shared: Arc<RedisShared>,
    link: Arc<RedisConnection>,
    /// Closed when the writer has ended.
    ended: watch::Receiver<()>,
    _listener: AbortOnDropHandle<()>,
}

#[async_trait]
impl Store for RedisStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        self.shared.queue.submit(request, deadline, || self.shared.why_late()).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let (answer, revision) = self.answer(&question, consistency, deadline).await?;
        Ok(Answered { answer, revision, age: Some(Duration::ZERO) })
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.shared.progress.watch()
    }

    async fn sweep_due(&self) -> bool {
        let request = Request::own(Command::Sweep { limit: 0 });
        let needs = ReadSet::of_batch(&[request.stamped(PRESENT, None)]);
        let is_due = |state: &WorkingSet<'_>, now| {
            let Ok(is_due) = lookup::is_due(state, now);
            is_due
        };
        let deadline = Instant::now() + LOOK_WITHIN;
        let seen = self.see(needs, Consistency::Local, deadline, is_due).await;
        // A store that cannot be read has nothing that could be removed now.
        seen.unwrap_or(false)
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.read_out(deadline).await
    }

    async fn health(&self) -> Health {
        self.shared.progress.health("redis")
    }

    async fn close(&self) {
        self.shared.queue.close();
        let mut ended = self.ended.clone();
        // Nothing is ever sent: an error says that the writer is gone.
        while ended.changed().await.is_ok() {}
    }
}

impl Drop for RedisStore {
    /// Without [`Store::close`] the writer still finishes what it has, alone.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}
