//! Importing a whole state into a file, in one write transaction, whatever other
//! processes do meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;

use super::connect::retry_while_busy;
use super::error::{SqliteOpenError, describe, is_busy};
use super::open::open;
use super::view::TransactionView;
use super::{batch, reclaim, schema, write};
use crate::machine::Meta;
use crate::machine::group_counts::GroupCounts;
use crate::machine::meta::Counts;
use crate::store::error::StoreError;
use crate::store::export::{NotEmpty, Part, StoreImport};

/// How long an import waits for the lock that other processes hold for their
/// commits. These take milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an import that replaces a state waits until no other process has the
/// file open. Processes that serve the file keep it open for good.
const EXCLUSIVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two attempts to get a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Why an import into a file was refused. The file stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum SqliteImportError {
    #[error(transparent)]
    Open(#[from] SqliteOpenError),
    #[error("{}: {refused}", path.display())]
    NotEmpty { path: PathBuf, refused: NotEmpty },
    /// A process that serves the old state could see revisions go back.
    #[error("{}: used by another process; stop what serves it before its state is replaced", .0.display())]
    InUse(PathBuf),
    #[error("{}: {error}", path.display())]
    Store { path: PathBuf, error: StoreError },
}

impl SqliteImportError {
    /// Whether the import would succeed if it could replace the target's state.
    pub fn is_not_empty(&self) -> bool {
        matches!(self, SqliteImportError::NotEmpty { .. })
    }
}

/// A file that is being filled, in an open transaction.
pub struct SqliteImport {
    /// `None` while a thread works with it, and for good after that has failed.
    /// Closing the connection rolls the import back.
    conn: Option<Connection>,
    meta: Meta,
    groups: GroupCounts,
}

impl SqliteImport {
    /// Begins to import the state at `meta` into the file at `path`, which is
    /// created if there is none. Everything happens in one transaction: other
    /// processes that serve the file see nothing of it before it is complete, and
    /// they cannot write meanwhile.
    ///
    /// With `replace`, the same transaction removes a state that is there already.
    /// Then no other process may have the file open, because revisions may go back,
    /// and no process must see that.
    ///
    /// It blocks for some milliseconds, or longer while other processes hold the
    /// file.
    ///
    /// # Errors
    /// See [`SqliteImportError`]. The state stays as it was. If the file had to be
    /// created, it stays and is empty.
    pub fn begin(
        path: &Path,
        mut meta: Meta,
        replace: bool,
    ) -> Result<SqliteImport, SqliteImportError> {
        let (path, conn) = open(path, None)?;
        let fail = |error| {
            let error = StoreError::Storage(describe(&error));
            SqliteImportError::Store { path: path.clone(), error }
        };
        match begin_transaction(&conn, replace) {
            Err(error) if is_busy(&error) && replace => {
                return Err(SqliteImportError::InUse(path));
            }
            Err(error) if is_busy(&error) => {
                let waited_s = LOCK_TIMEOUT.as_secs();
                return Err(SqliteOpenError::Locked { path, waited_s }.into());
            }
            Err(error) => return Err(fail(error)),
            Ok(()) => {}
        }
        let present = TransactionView::load(&conn).map_err(fail)?.meta;
        let Counts { keys, runs, steps, leases, sessions, requests, cancellations, schedules } =
            present.counts;
        let rows = keys + runs + steps + leases + sessions + requests + cancellations + schedules;
        if !replace && (rows > 0 || present.revision.0 > 0) {
            let refused = NotEmpty { found: present.revision, rows, incoming: meta.revision };
            return Err(SqliteImportError::NotEmpty { path, refused });
        }
        delete_state(&conn).map_err(fail)?;
        // Adding the rows counts them again.
        meta.uncount_all();
        Ok(SqliteImport { conn: Some(conn), meta, groups: GroupCounts::default() })
    }
}

fn begin_transaction(conn: &Connection, replace: bool) -> rusqlite::Result<()> {
    let begin =
        |timeout, sql| retry_while_busy(timeout, LOCK_PAUSE, is_busy, || conn.execute_batch(sql));
    if !replace {
        return begin(LOCK_TIMEOUT, "BEGIN IMMEDIATE");
    }
    // This is the lock of the whole file: no other process may have it open.
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    begin(EXCLUSIVE_TIMEOUT, "BEGIN EXCLUSIVE")
}

fn delete_state(conn: &Connection) -> rusqlite::Result<()> {
    reclaim::delete_all(conn)?;
    schema::table_names().try_for_each(|table| conn.execute_batch(&format!("DELETE FROM {table}")))
}

#[async_trait]
impl StoreImport for SqliteImport {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let (meta, mut groups) = (self.meta.clone(), std::mem::take(&mut self.groups));
        (self.meta, self.groups) = self
            .work(move |conn| {
                let mut tables = TransactionView { conn, meta };
                for part in parts {
                    let added = match &part {
                        Part::Row(row) => {
                            groups.count(row);
                            tables.add(row)
                        }
                        Part::Event(event) => write::event(conn, event),
                    };
                    added.map_err(|error| storage(&error))?;
                }
                Ok((tables.meta, groups))
            })
            .await?;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let (meta, groups) = (self.meta.clone(), std::mem::take(&mut self.groups));
        self.work(move |conn| {
            let mut rows = groups.into_rows();
            rows.try_for_each(|row| write::row(conn, &row, |table| &table.insert))
                .map_err(|error| storage(&error))?;
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
    /// Runs `work` with the connection on a thread for blocking work.
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

fn storage(error: &rusqlite::Error) -> StoreError {
    StoreError::Storage(describe(error))
}
