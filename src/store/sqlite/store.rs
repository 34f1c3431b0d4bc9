//! The store's handle: it opens the file, starts the writer, and passes calls to
//! the writer's queue, the readers and the exports.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::SqliteOpenError;
use super::export::Exports;
use super::open;
use super::reader::{AsOf, ReadOutcome, Readers};
use super::shared::SqliteShared;
use super::view::TransactionView;
use super::writer::SqliteWriter;
use crate::machine::command::StateLimits;
use crate::machine::lookup::Due;
use crate::machine::{ClusterMs, Command, Question, Reply, Revision};
use crate::store::clock::Clock;
use crate::store::error::StoreError;
use crate::store::export::Export;
use crate::store::health::Health;
use crate::store::interface::Store;
use crate::store::request::{Answered, Consistency, Request};

/// How long [`Store::due`] may wait for a reader.
const DUE_TIMEOUT: Duration = Duration::from_secs(5);

/// How the store works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many questions are answered at a time. Each needs a connection of its
    /// own. At least one.
    pub readers: u32,
    /// The limit to the size of the state for commands that this process orders,
    /// in bytes as [`crate::machine::size`] counts them.
    pub limits: StateLimits,
}

impl Default for Options {
    /// Four readers: twice the number of processors of a small machine, because
    /// some of them wait for the disk.
    fn default() -> Self {
        Options { readers: 4, limits: StateLimits::default() }
    }
}

/// A state in an SQLite file.
pub struct SqliteStore {
    shared: Arc<SqliteShared>,
    readers: Arc<Readers>,
    exports: Exports,
    path: PathBuf,
    /// Closed when the writer has ended.
    ended: watch::Receiver<()>,
}

impl SqliteStore {
    /// Opens the file at `path`, or creates it in a folder that must exist. A
    /// file of the Python reference is migrated, and a copy of it is kept beside
    /// it. A file of an older version of this program is upgraded.
    ///
    /// It blocks for some milliseconds, or longer while other processes hold the
    /// file or a large one is converted.
    ///
    /// # Errors
    /// See [`SqliteOpenError`]. The file stays as it was.
    pub fn open(
        path: &Path,
        options: Options,
        clock: Clock,
    ) -> Result<SqliteStore, SqliteOpenError> {
        let now = ClusterMs(clock.wall_ms());
        let (path, conn) = open::open(path, Some(now))?;
        let fail = |error| SqliteOpenError::of(&path, error);
        let meta = TransactionView::load(&conn).map_err(fail)?.meta;
        let shared = Arc::new(SqliteShared::new(clock, &meta, options.limits));
        let (end, ended) = watch::channel(());
        let writer = SqliteWriter::new(conn, shared.clone(), end).map_err(fail)?;
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| SqliteOpenError::io(&path, &error))?;
        let readers = Arc::new(Readers::new(path.clone(), options.readers.max(1)));
        Ok(SqliteStore { shared, readers, exports: Exports::default(), path, ended })
    }

    /// Moves the state's clock forward to the present, so that a row that was
    /// seen to be expired stays expired.
    async fn pass_deadlines(&self, deadline: Instant) -> Result<(), StoreError> {
        let request = Request::own(Command::Sweep { limit: 0 });
        self.shared.queue.submit(request, deadline, why_late).await.map(drop)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        self.shared.queue.submit(request, deadline, why_late).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        // The time is taken only once, so that one sweep is enough however long
        // it takes.
        let present = self.shared.now();
        let as_of = match consistency {
            Consistency::Linearizable => AsOf::StateClock(present),
            Consistency::Local => AsOf::WallClock(present),
        };
        loop {
            match self.readers.ask(&question, as_of, deadline).await? {
                ReadOutcome::Answer(answered) => {
                    let (answer, meta) = *answered;
                    self.shared.publish(&meta);
                    let (revision, age) = (meta.revision, Some(Duration::ZERO));
                    return Ok(Answered { answer, revision, age });
                }
                ReadOutcome::ClockBehind => self.pass_deadlines(deadline).await?,
            }
        }
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.shared.watch()
    }

    async fn due(&self) -> Due {
        let deadline = Instant::now() + DUE_TIMEOUT;
        // If the store cannot be read, nothing could be changed now either.
        self.readers.due(self.shared.now(), deadline).await.unwrap_or_default()
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.exports.begin(self.path.clone(), deadline).await
    }

    async fn health(&self) -> Health {
        self.shared.health()
    }

    async fn close(&self) {
        // The readers are closed first, because the log can be copied into the
        // file only when nobody reads from it.
        self.exports.close().await;
        self.readers.close().await;
        self.shared.queue.close();
        let mut ended = self.ended.clone();
        // Nothing is ever sent: an error means that the writer has ended.
        while ended.changed().await.is_ok() {}
    }
}

/// Why the writer did not begin with a command before its deadline.
fn why_late() -> String {
    "other commands, or another process, kept the file until the deadline".into()
}

impl Drop for SqliteStore {
    /// Without [`Store::close`], the writer still finishes the commands that wait,
    /// but nobody waits for it.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}
