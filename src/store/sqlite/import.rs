//! A whole state into a file, in one write transaction, beside whatever other
//! processes do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::Connection;

use super::batch;
use super::error::{OpenError, describe, is_busy};
use super::view::TransactionView;
use super::{open, reclaim, schema, write};
use crate::machine::Meta;
use crate::machine::row::Counts;
use crate::store::StoreError;
use crate::store::export::{NotEmpty, Part, StoreImport};

/// How long an import waits for the lock that other processes take for their
/// commits, which last milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How long replacing waits for other processes to let go of the file. Those
/// that serve it never do.
const ALONE_WAIT: Duration = Duration::from_secs(2);

/// Between two attempts.
const RETRY: Duration = Duration::from_millis(5);

/// Why a file takes no import. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SqliteImportError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{}: {refused}", path.display())]
    NotEmpty { path: PathBuf, refused: NotEmpty },
    /// Under a process that serves the old state, revisions could fall.
    #[error("{}: used by another process; stop what serves it before its state is replaced", .0.display())]
    InUse(PathBuf),
    #[error("{}: {error}", path.display())]
    Store { path: PathBuf, error: StoreError },
}

impl SqliteImportError {
    /// Whether the target only has to be given up to take the import.
    pub fn is_not_empty(&self) -> bool {
        matches!(self, SqliteImportError::NotEmpty { .. })
    }
}

/// A file that is being filled, in a transaction that is open.
pub struct SqliteImport {
    /// Away while a thread works with it; gone for good once that failed.
    /// Closing it rolls back.
    conn: Option<Connection>,
    meta: Meta,
}

/// Begins an import into the file at `path`. See [`super::SqliteStore::intake`].
pub(super) fn intake(
    path: &Path,
    meta: Meta,
    replace: bool,
) -> Result<SqliteImport, SqliteImportError> {
    let (path, conn) = open::open(path, None)?;
    let fail = |error| {
        let error = StoreError::Storage(describe(&error));
        SqliteImportError::Store { path: path.clone(), error }
    };
    let begun = match replace {
        false => retry(LOCK_WAIT, || conn.execute_batch("BEGIN IMMEDIATE")),
        true => {
            // The lock of the whole file, which nobody else may have open.
            conn.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(fail)?;
            retry(ALONE_WAIT, || conn.execute_batch("BEGIN EXCLUSIVE"))
        }
    };
    match begun {
        Err(error) if is_busy(&error) && replace => return Err(SqliteImportError::InUse(path)),
        Err(error) if is_busy(&error) => {
            return Err(OpenError::Locked { path, waited_s: LOCK_WAIT.as_secs() }.into());
        }
        Err(error) => return Err(fail(error)),
        Ok(()) => {}
    }
    let there = TransactionView::load(&conn).map_err(fail)?.meta;
    let Counts { keys, runs, steps, leases, sessions, requests, cancellations } = there.counts;
    let rows = keys + runs + steps + leases + sessions + requests + cancellations;
    if !replace && (rows > 0 || there.revision.0 > 0) {
        let refused = NotEmpty { found: there.revision, rows, incoming: meta.revision };
        return Err(SqliteImportError::NotEmpty { path, refused });
    }
    empty(&conn).map_err(fail)?;
    // Counted as the rows come.
    let mut meta = meta;
    meta.uncount_all();
    Ok(SqliteImport { conn: Some(conn), meta })
}

fn empty(conn: &Connection) -> rusqlite::Result<()> {
    reclaim::delete_all(conn)?;
    schema::table_names().try_for_each(|table| conn.execute_batch(&format!("DELETE FROM {table}")))
}

#[async_trait]
impl StoreImport for SqliteImport {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let meta = self.meta.clone();
        self.meta = self
            .work(move |conn| {
                let mut tables = TransactionView { conn, meta };
                for part in parts {
                    let put = match &part {
                        Part::Row(row) => tables.add(row),
                        Part::Event(event) => write::event(conn, event),
                    };
                    put.map_err(|error| storage(&error))?;
                }
                Ok(tables.meta)
            })
            .await?;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let meta = self.meta.clone();
        self.work(move |conn| {
            write::meta(conn, &meta).map_err(|error| storage(&error))?;
            if let Some(why) = schema::inspect(conn, false).map_err(|error| storage(&error))? {
                return Err(StoreError::Storage(why));
            }
            conn.execute_batch("COMMIT").map_err(batch::commit_error)
        })
        .await
    }
}

impl SqliteImport {
    /// Works with the connection in a thread for blocking work.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let conn = self.conn.take();
        let conn = conn.ok_or_else(|| StoreError::Storage("the import has failed".into()))?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&conn)?;
            Ok((conn, done))
        });
        let (conn, done) = match working.await {
            Ok(worked) => worked?,
            Err(panic) => return Err(StoreError::Storage(format!("the import failed: {panic}"))),
        };
        self.conn = Some(conn);
        Ok(done)
    }
}

/// Again while the file is busy.
fn retry<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let started = Instant::now();
    loop {
        match attempt() {
            Err(error) if is_busy(&error) && started.elapsed() < patience => {
                std::thread::sleep(RETRY);
            }
            outcome => return outcome,
        }
    }
}

fn storage(error: &rusqlite::Error) -> StoreError {
    StoreError::Storage(describe(error))
}
