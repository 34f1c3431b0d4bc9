//! The store's handle: it opens the state, starts the writer and the listener, and
//! passes calls to the writer's queue and the reader.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::access::RedisAccess;
use super::error::RedisOpenError;
use super::export::export;
use super::fetch::{Fetched, PRESENT};
use super::layout::OLD_FORMAT;
use super::listener::CommitListener;
use super::options::Options;
use super::read_set::ReadSet;
use super::reader::RedisReader;
use super::shared::{RedisClock, RedisShared};
use super::upgrade::{refuse_old, upgrade};
use super::working_set::WorkingSet;
use super::writer::RedisWriter;
use crate::machine::command::StateLimits;
use crate::machine::lookup::{self, Due};
use crate::machine::{ClusterMs, Command, Question, Reply, Revision, WallMs};
use crate::store::error::StoreError;
use crate::store::export::Export;
use crate::store::health::Health;
use crate::store::interface::Store;
use crate::store::migration::redis::migrate::{migrate, refuse_unmigrated};
use crate::store::request::{Answered, Consistency, Request};

/// How long [`Store::due`] may take. It is called once a second.
const DUE_TIMEOUT: Duration = Duration::from_secs(1);

/// A state in a Redis.
pub struct RedisStore {
    reader: RedisReader,
    /// Closed when the writer has ended.
    ended: watch::Receiver<()>,
    _listener: AbortOnDropHandle<()>,
}

impl RedisStore {
    /// Opens the state under the prefix, or begins one. Data of the Python
    /// reference is taken over as [`super::MoveIn`] says, and a state in the format
    /// of an older version is upgraded.
    ///
    /// # Errors
    /// See [`RedisOpenError`]. Nothing was changed.
    pub async fn open(options: Options, clock: RedisClock) -> Result<RedisStore, RedisOpenError> {
        let access = RedisAccess::new(options)?;
        let (mut found, format) = access.find_state().await?;
        let tested = access.connection.test_permissions().await;
        tested.map_err(|fault| access.open_error(fault))?;
        if format == OLD_FORMAT {
            upgrade(&access, found).await?;
            found = access.find_state().await?.0;
        } else if migrate(&access, &found).await? {
            found = access.find_state().await?.0;
        }
        Ok(RedisStore::start(access, found, clock))
    }

    /// Opens the state under the prefix for reading. Nothing is written.
    ///
    /// # Errors
    /// See [`RedisOpenError`]. It is an error if the Python reference or an older
    /// version left a state that was not taken over yet.
    pub async fn open_to_read(
        options: Options,
        clock: RedisClock,
    ) -> Result<RedisStore, RedisOpenError> {
        let access = RedisAccess::new(options)?;
        let (found, format) = access.find_state().await?;
        if format == OLD_FORMAT {
            return Err(refuse_old(&access));
        }
        refuse_unmigrated(&access, &found).await?;
        Ok(RedisStore::start(access, found, clock))
    }

    fn start(access: RedisAccess, found: Fetched, clock: RedisClock) -> RedisStore {
        let shared = RedisShared::new(clock, &found.meta, access.limits);
        let (end, ended) = watch::channel(());
        // The writer has a connection of its own, so that a commit does not wait
        // behind a long list.
        let writer = RedisWriter::new(access.new_connection(), shared.clone(), end);
        tokio::spawn(writer.run());
        let RedisAccess { address, keys, connection, .. } = access;
        let listener = CommitListener {
            address,
            keys,
            connection: connection.clone(),
            shared: shared.clone(),
            heard: found.meta.revision,
            polled: found.meta.revision,
        };
        let listener = AbortOnDropHandle::new(tokio::spawn(listener.run()));
        let reader = RedisReader { shared, connection };
        RedisStore { reader, ended, _listener: listener }
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        let shared = &self.reader.shared;
        shared.queue.submit(request, deadline, || shared.why_late()).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        let (answer, revision) = self.reader.answer(&question, consistency, deadline).await?;
        Ok(Answered { answer, revision, age: Some(Duration::ZERO) })
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.reader.shared.progress.watch()
    }

    async fn due(&self) -> Due {
        let request = Request::own(Command::Sweep { limit: 0 });
        let needs = ReadSet::of_batch(&[request.stamped(PRESENT, StateLimits::default())]);
        let due = |state: &WorkingSet<'_>, now: ClusterMs, _| {
            let Ok(due) = lookup::due(state, now, WallMs(now.0));
            due
        };
        let deadline = Instant::now() + DUE_TIMEOUT;
        let due = self.reader.evaluate(needs, Consistency::Local, deadline, due).await;
        // If the store cannot be read, nothing could be changed now either.
        due.unwrap_or_default()
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        export(&self.reader.connection, &self.reader.shared, deadline).await
    }

    async fn health(&self) -> Health {
        self.reader.shared.health()
    }

    async fn close(&self) {
        self.reader.shared.queue.close();
        let mut ended = self.ended.clone();
        // Nothing is ever sent: an error means that the writer has ended.
        while ended.changed().await.is_ok() {}
    }
}

impl Drop for RedisStore {
    /// Without [`Store::close`], the writer still finishes the commands that wait,
    /// but nobody waits for it.
    fn drop(&mut self) {
        self.reader.shared.queue.close();
    }
}
