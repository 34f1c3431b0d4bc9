//! The writer: one thread with one connection, and one transaction for all
//! commands that wait. What happens within a transaction is in `batch`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use super::batch::{self, Batch};
use super::connect::data_version;
use super::error::{describe, is_busy, store_error};
use super::reclaim;
use super::shared::SqliteShared;
use super::view::TransactionView;
use crate::machine::Meta;
use crate::store::error::StoreError;
use crate::store::queue::WriterWake;

/// How often the writer checks the file for commits of other processes while
/// somebody in this process watches the revision. A watcher may learn so much
/// later of a commit by another process than of one by this process. A check is
/// one small statement.
const CHECK_INTERVAL_WATCHED: Duration = Duration::from_millis(10);

/// The same while nobody watches, for the revision in the health report.
const CHECK_INTERVAL_UNWATCHED: Duration = Duration::from_secs(1);

/// The pause between two attempts to get the lock that another process holds for
/// one commit. A sync takes about this long on a good disk.
const LOCK_PAUSE: Duration = Duration::from_micros(300);

/// If other processes commit too, the writer leaves the file free for this long
/// after a commit. It is longer than their [`LOCK_PAUSE`]; otherwise one busy
/// process would leave the others gaps that are too short to be noticed.
const YIELD_PAUSE: Duration = Duration::from_micros(500);

/// After deleting a piece of what a reset left, the writer pauses for so many
/// times the time that it took. So others lose at most a fifth of their
/// throughput.
const LEFTOVERS_PAUSE_FACTOR: u32 = 4;

pub(super) struct SqliteWriter {
    conn: Connection,
    shared: Arc<SqliteShared>,
    /// SQLite's count of other connections' commits when it was last read.
    data_version: i64,
    /// When to continue deleting what a reset left, while there is anything left.
    leftovers: Option<Instant>,
    /// Dropped when the thread ends, for whatever reason.
    _ended: watch::Sender<()>,
}

impl SqliteWriter {
    pub(super) fn new(
        conn: Connection,
        shared: Arc<SqliteShared>,
        ended: watch::Sender<()>,
    ) -> rusqlite::Result<SqliteWriter> {
        let data_version = data_version(&conn)?;
        // A process that died may not have deleted everything.
        let leftovers = Some(Instant::now());
        Ok(SqliteWriter { conn, shared, data_version, leftovers, _ended: ended })
    }

    /// Works until the queue is closed and empty. Then it copies the log into the
    /// file and closes it.
    pub(super) fn run(mut self) {
        let guard = SqliteWriterGuard(self.shared.clone());
        loop {
            let watched = self.shared.progress.is_watched();
            let interval = if watched { CHECK_INTERVAL_WATCHED } else { CHECK_INTERVAL_UNWATCHED };
            let leftovers = self.leftovers.map(|at| at.saturating_duration_since(Instant::now()));
            match self.shared.queue.wait(leftovers.map_or(interval, |rest| rest.min(interval))) {
                WriterWake::Work => self.work(),
                WriterWake::Look => self.check_commits(),
                WriterWake::Close => break,
            }
            if self.leftovers.is_some_and(|at| at <= Instant::now()) {
                self.delete_leftovers();
            }
        }
        // If other processes read the file, this does nothing, and the last
        // process that closes the file does it.
        let copied = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = copied {
            tracing::warn!(error = describe(&error), "the log was not copied into the file");
        }
        drop(guard);
    }

    /// Runs one transaction, if a caller still waits when the lock is free.
    fn work(&mut self) {
        match self.begin() {
            Ok(true) => self.transaction(),
            Ok(false) => {}
            Err(error) => {
                let error = store_error(&error);
                self.report_failure(&error);
                while let Some(job) = self.shared.queue.take() {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Takes the write lock, however long another process keeps it, as long as a
    /// caller waits. Returns false if all of them have given up.
    fn begin(&self) -> rusqlite::Result<bool> {
        loop {
            match self.execute("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(true),
                Err(error) if !is_busy(&error) => return Err(error),
                Err(_) if !self.shared.queue.is_wanted() => return Ok(false),
                Err(_) => std::thread::sleep(LOCK_PAUSE),
            }
        }
    }

    /// Runs a transaction that has begun, and answers its callers. The health
    /// report and the watched revision are updated before the callers are answered.
    fn transaction(&mut self) {
        let mut batch = Batch::default();
        let prepared = self.prepare(&mut batch);
        let committed = prepared.and_then(|prepared| {
            self.execute("COMMIT").map_err(batch::commit_error)?;
            Ok(prepared)
        });
        match committed {
            Ok((data_version, meta, was_reset)) => {
                if was_reset {
                    self.leftovers = Some(Instant::now());
                }
                self.shared.publish(&meta);
                self.shared.progress.set_fault(None);
                batch.answer();
                if data_version != self.data_version {
                    self.data_version = data_version;
                    std::thread::sleep(YIELD_PAUSE);
                }
            }
            Err(error) => {
                self.roll_back();
                self.report_failure(&error);
                batch.fail(&error);
            }
        }
    }

    fn report_failure(&self, error: &StoreError) {
        tracing::error!(%error, "commit failed");
        self.shared.progress.set_fault(Some(error.to_string()));
    }

    /// Decides the commands and writes their changes. Returns the data version, the
    /// new position, and whether there was a reset.
    fn prepare(&self, batch: &mut Batch) -> Result<(i64, Meta, bool), StoreError> {
        let failed = |error| store_error(&error);
        let data_version = data_version(&self.conn).map_err(failed)?;
        let mut tables = TransactionView::load(&self.conn).map_err(failed)?;
        let anchor = tables.meta.anchor.revision;
        batch.decide(&mut tables, &self.shared).map_err(failed)?;
        let was_reset = tables.meta.anchor.revision > anchor;
        Ok((data_version, tables.meta, was_reset))
    }

    /// Deletes a piece of what a reset left, in a transaction without commands, so
    /// that no command fails if this does.
    fn delete_leftovers(&mut self) {
        let began = Instant::now();
        let deleted = self.execute("BEGIN IMMEDIATE").and_then(|()| {
            let more = reclaim::delete_piece(&self.conn)?;
            self.execute("COMMIT")?;
            // The pages are copied into the file a few at a time. Otherwise, the
            // commit of some command would have to copy thousands at once.
            self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            Ok(more)
        });
        let next = Instant::now() + began.elapsed() * LEFTOVERS_PAUSE_FACTOR;
        match deleted {
            Ok(more) => self.leftovers = more.then_some(next),
            Err(error) if is_busy(&error) => self.leftovers = Some(next + YIELD_PAUSE),
            Err(error) => {
                // It is tried again after the next reset or start.
                self.leftovers = None;
                tracing::warn!(error = describe(&error), "what a reset left was not deleted");
            }
        }
        self.roll_back();
    }

    fn roll_back(&self) {
        // After some errors, SQLite has already rolled back.
        if !self.conn.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(error = describe(&error), "rollback failed");
        }
    }

    /// Publishes the commits of other processes.
    fn check_commits(&mut self) {
        let checked = data_version(&self.conn).and_then(|data_version| {
            if data_version != self.data_version {
                self.shared.publish(&TransactionView::load(&self.conn)?.meta);
                self.data_version = data_version;
            }
            Ok(())
        });
        // If the error lasts, the next check or commit will report it.
        if let Err(error) = checked {
            tracing::debug!(error = describe(&error), "the file could not be read");
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// Refuses the callers that are left when the writer ends, even by a panic.
struct SqliteWriterGuard(Arc<SqliteShared>);

impl Drop for SqliteWriterGuard {
    fn drop(&mut self) {
        self.0.queue.abandon();
        if std::thread::panicking() {
            self.0.progress.set_fault(Some("the writer has stopped by a fault of its own".into()));
        }
    }
}
