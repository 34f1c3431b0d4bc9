//! The Redis store: one state in one Redis, shared by any number of sidecars
//! that know nothing of one another.
//!
//! ```text
//!   commands wait ──► writer                     questions
//!                       │ fetch.lua: the rows that the batch names,   │
//!                       │ and whether it is this sidecar's turn       │ fetch.lua
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

mod ask;
mod batch;
mod count;
mod entry;
mod error;
mod export;
mod fetch;
mod index;
mod intake;
mod layout;
mod link;
mod listener;
mod move_in;
mod open;
mod pages;
mod retry;
mod shared;
mod target;
mod touched;
mod working;
mod writer;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

pub use error::OpenError;
use fetch::{Fetch, Fetched};
pub use intake::{IntakeError, RedisIntake};
use link::Link;
pub use move_in::MoveIn;
pub use open::{Options, is_prefix, is_url};
use retry::read_by;
pub use shared::RedisClock;
use shared::Shared;

use super::transfer::Export;
use super::{Answered, Consistency, Health, Request, Store, StoreError};
use crate::machine::{ClusterMs, Command, Question, Reply, Revision};

/// A state in a Redis.
pub struct RedisStore {
    shared: Arc<Shared>,
    link: Arc<Link>,
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
        let fetch = ask::fetch(&question);
        let mut fetched = self.read(&fetch, self.shared.given_now(), deadline).await?;
        // Taken once: then one sweep is enough, however long it takes.
        let present = fetched.now;
        let now = match consistency {
            Consistency::Local => present,
            Consistency::Linearizable => {
                if fetched.late {
                    self.pass_deadlines(deadline).await?;
                    fetched = self.read(&fetch, Some(present), deadline).await?;
                }
                fetched.meta.clock
            }
        };
        let revision = fetched.meta.revision;
        let answer = ask::answered(&question, fetched, now).map_err(|fault| fault.unsent())?;
        Ok(Answered { answer, revision, age: Some(Duration::ZERO) })
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.shared.standing.watch()
    }

    async fn sweep_due(&self) -> bool {
        let mut fetch = Fetch::default();
        fetch.due(1);
        let found = self.link.read(&fetch, self.shared.given_now()).await;
        // A store that cannot be read has nothing that could be removed now.
        let Ok(Fetched { mut found, .. }) = found else { return false };
        found.pop().is_some_and(|found| found.rows().is_ok_and(|rows| !rows.is_empty()))
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.read_out(deadline).await
    }

    async fn health(&self) -> Health {
        self.shared.standing.health("redis")
    }

    async fn close(&self) {
        self.shared.queue.close();
        let mut ended = self.ended.clone();
        // Nothing is ever sent: an error says that the writer is gone.
        while ended.changed().await.is_ok() {}
    }
}

impl RedisStore {
    /// Reads, by `deadline`, however often it takes.
    async fn read(
        &self,
        fetch: &Fetch,
        now: Option<ClusterMs>,
        deadline: Instant,
    ) -> Result<Fetched, StoreError> {
        let read = || self.link.read(fetch, now);
        let fetched = read_by(&self.shared, deadline, read).await?;
        self.shared.saw(&fetched);
        Ok(fetched)
    }

    /// Moves the state's clock to the present, so that what was seen to be
    /// over stays over.
    async fn pass_deadlines(&self, deadline: Instant) -> Result<(), StoreError> {
        let command = Command::Sweep { limit: 0 };
        let request = Request { command, idempotency: None, actor: None, chance: 0 };
        self.submit(request, deadline).await.map(drop)
    }
}

impl Drop for RedisStore {
    /// Without [`Store::close`] the writer still finishes what it has, alone.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}
