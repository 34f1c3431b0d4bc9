//! The SQLite store: one file on one machine, shared by any number of
//! processes; what is answered is on the disk.
//!
//! A command's way: the queue → the writer thread, which takes the file's lock
//! for writing (`BEGIN IMMEDIATE`) and then all commands that wait → each is
//! stamped and decided over a view that reads within the transaction, its
//! changes written at once → one `COMMIT`, one sync for all → the answers.
//!
//! Several processes, one file: the lock makes their transactions follow one
//! another, and each begins by reading the state's position (revision, chain,
//! clocks) anew, so it makes no difference which process decides a command.
//! All of them run on one machine: locks and the log's index are shared memory.
//!
//! Questions are answered beside the writer, each from one snapshot.

mod batch;
mod commit;
pub(crate) mod error;
mod export;
mod history;
pub(crate) mod open;
mod reader;
mod rows;
pub(crate) mod schema;
mod shared;
mod table;
pub(crate) mod view;
pub(crate) mod write;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

pub use error::OpenError;
pub use export::{ExportError, export_file};
pub use import::{SqliteImport, SqliteImportError};

use self::export::Exports;
use self::reader::{AsOf, Found, Readers};
use self::shared::SqliteShared;
use self::view::TransactionView;
use self::writer::SqliteWriter;
use super::clock::Clock;
use super::export::Export;
use super::{Answered, Consistency, Health, Request, Store, StoreError};
use crate::machine::{ClusterMs, Command, Meta, Question, Reply, Revision};

/// How long looking for rows that are due may wait for a reader.
const SWEEP_LOOK: Duration = Duration::from_secs(5);

/// How the store is to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Questions answered at a time; each has a connection of its own. At
    /// least one.
    pub readers: u32,
    /// How large the state may become by what this process orders, in bytes as
    /// [`crate::machine::size`] counts them.
    pub state_bytes_max: Option<u64>,
}

impl Default for Options {
    /// Four readers: twice what a small machine has processors, as some wait
    /// for the disk.
    fn default() -> Self {
        Options { readers: 4, state_bytes_max: None }
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
    /// Opens the file at `path`, or makes it; its folder must exist. A file of
    /// the Python reference becomes ours, and a copy of it is kept beside. One of
    /// an older version of ours is brought up.
    ///
    /// Blocks for some milliseconds, longer while other processes hold the
    /// file or a large one is converted.
    ///
    /// # Errors
    /// See [`OpenError`]; the file is left as it was.
    pub fn open(path: &Path, options: Options, clock: Clock) -> Result<SqliteStore, OpenError> {
        let now = ClusterMs(clock.wall_ms());
        let (path, conn) = open::open(path, Some(now))?;
        let fail = |error| OpenError::of(&path, error);
        let meta = TransactionView::load(&conn).map_err(fail)?.meta;
        let shared = Arc::new(SqliteShared::new(clock, &meta, options.state_bytes_max));
        let (end, ended) = watch::channel(());
        let writer = SqliteWriter::new(conn, shared.clone(), end).map_err(fail)?;
        std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| OpenError::io(&path, &error))?;
        let readers = Arc::new(Readers::new(path.clone(), options.readers.max(1)));
        Ok(SqliteStore { shared, readers, exports: Exports::default(), path, ended })
    }

    /// Begins an import into the file at `path`, which is made where there is
    /// none. All of it happens in one transaction: other processes that serve
    /// the file see nothing of it until it is whole, and write nothing
    /// meanwhile.
    ///
    /// With `replace` a state that is there already goes in the same
    /// transaction, and nobody else may have the file open: its revisions may
    /// fall, which no process must see happen.
    ///
    /// Blocks for some milliseconds, longer while other processes hold the
    /// file.
    ///
    /// # Errors
    /// See [`SqliteImportError`]; the state is as it was. A file that had to be made
    /// stays, empty.
    pub fn intake(
        path: &Path,
        meta: Meta,
        replace: bool,
    ) -> Result<SqliteImport, SqliteImportError> {
        import::intake(path, meta, replace)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn submit(&self, request: Request, deadline: Instant) -> Result<Reply, StoreError> {
        self.shared.queue.submit(request, deadline, file_kept).await
    }

    async fn ask(
        &self,
        question: Question,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Answered, StoreError> {
        // Taken once: then one sweep is enough, however long it takes.
        let present = self.shared.now();
        let as_of = match consistency {
            Consistency::Linearizable => AsOf::Log(present),
            Consistency::Local => AsOf::Here(present),
        };
        loop {
            match self.readers.ask(&question, as_of, deadline).await? {
                Found::Answer(found) => {
                    let (answer, meta) = *found;
                    self.shared.progress.publish(&meta);
                    return Ok(Answered {
                        answer,
                        revision: meta.revision,
                        age: Some(Duration::ZERO),
                    });
                }
                Found::Late => self.pass_deadlines(deadline).await?,
            }
        }
    }

    fn revision(&self) -> watch::Receiver<Revision> {
        self.shared.watch()
    }

    async fn sweep_due(&self) -> bool {
        let deadline = Instant::now() + SWEEP_LOOK;
        // A store that cannot be read has nothing that could be removed now.
        self.readers.due(self.shared.now(), deadline).await.unwrap_or(false)
    }

    async fn export(&self, deadline: Instant) -> Result<Export, StoreError> {
        self.exports.begin(self.path.clone(), deadline).await
    }

    async fn health(&self) -> Health {
        self.shared.progress.health("sqlite")
    }

    async fn close(&self) {
        // Readers first: the log can be folded into the file only when nobody
        // reads from it.
        self.exports.close().await;
        self.readers.close().await;
        self.shared.queue.close();
        let mut ended = self.ended.clone();
        // Nothing is ever sent: an error says that the writer is gone.
        while ended.changed().await.is_ok() {}
    }
}

impl SqliteStore {
    /// Moves the state's clock to the present, so that what was seen to be over
    /// stays over.
    async fn pass_deadlines(&self, deadline: Instant) -> Result<(), StoreError> {
        let request = Request::own(Command::Sweep { limit: 0 });
        self.shared.queue.submit(request, deadline, file_kept).await.map(drop)
    }
}

/// Why the writer did not get to a command in time.
fn file_kept() -> String {
    "other commands, or another process, kept the file until the deadline".into()
}

impl Drop for SqliteStore {
    /// Without [`Store::close`] the writer still finishes what it has, alone.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

mod import;
mod reclaim;
#[cfg(test)]
mod tests;
mod upgrade;
