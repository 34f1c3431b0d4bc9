//! The writer: one thread, one connection, one transaction for all commands
//! that wait. What happens within it is `batch`'s.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::watch;

use super::batch::{self, Batch};
use super::error::{describe, fault, is_busy};
use super::reclaim;
use super::shared::SqliteShared;
use super::view::TransactionView;
use crate::machine::Meta;
use crate::store::StoreError;
use crate::store::queue::WriterWake;

/// How often the file is looked at for commits of other processes while
/// somebody here waits for one: what a waiter may lose against one that shares
/// our process. A look is one small statement.
const LOOK_WATCHED: Duration = Duration::from_millis(10);

/// The same while nobody waits, for the revision that health tells.
const LOOK_UNWATCHED: Duration = Duration::from_secs(1);

/// Between two attempts to get the lock that another process holds for one
/// commit: a sync takes about this long on a good disk.
const LOCK_RETRY: Duration = Duration::from_micros(300);

/// The file stays free for this long after a commit if other processes commit
/// too: longer than their [`LOCK_RETRY`], or one busy process would leave the
/// others gaps too short to find.
const COURTESY: Duration = Duration::from_micros(500);

/// Between two pieces of what a reset has left, so many times what the last one
/// took: others lose a fifth of their throughput at most.
const LEFTOVERS_REST: u32 = 4;

pub(super) struct SqliteWriter {
    conn: Connection,
    shared: Arc<SqliteShared>,
    /// SQLite's count of the commits of others, as it was last looked at.
    others: i64,
    /// When to go on deleting what a reset has left, as long as there is any.
    leftovers: Option<Instant>,
    /// Dropped when the thread has ended, however it did.
    _ended: watch::Sender<()>,
}

/// How the attempt to begin a transaction ended.
enum Begun {
    Yes,
    /// All callers have given up.
    Unwanted,
}

impl SqliteWriter {
    pub(super) fn new(
        conn: Connection,
        shared: Arc<SqliteShared>,
        ended: watch::Sender<()>,
    ) -> rusqlite::Result<SqliteWriter> {
        let others = others(&conn)?;
        // A process that died may not have come to the end of it.
        Ok(SqliteWriter { conn, shared, others, leftovers: Some(Instant::now()), _ended: ended })
    }

    /// Works until the queue is closed and empty; then folds the log into the
    /// file and closes it.
    pub(super) fn run(mut self) {
        let abandon = Abandon(self.shared.clone());
        loop {
            let watched = self.shared.progress.is_watched();
            let look = if watched { LOOK_WATCHED } else { LOOK_UNWATCHED };
            let leftovers = self.leftovers.map(|at| at.saturating_duration_since(Instant::now()));
            match self.shared.queue.wait(leftovers.map_or(look, |rest| rest.min(look))) {
                WriterWake::Work => self.work(),
                WriterWake::Look => self.look(),
                WriterWake::Close => break,
            }
            if self.leftovers.is_some_and(|at| at <= Instant::now()) {
                self.delete_leftovers();
            }
        }
        // Others may be reading: then the last of all processes does it.
        let folded = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::warn!(error = describe(&error), "the log was not folded into the file");
        }
        drop(abandon);
    }

    /// One transaction.
    fn work(&mut self) {
        match self.begin() {
            Ok(Begun::Unwanted) => {}
            Ok(Begun::Yes) => self.transaction(),
            Err(error) => {
                let error = fault(&error);
                self.failed(&error);
                while let Some(job) = self.shared.queue.take() {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Takes the lock for writing, however long another process keeps it, as
    /// long as a caller waits.
    fn begin(&self) -> rusqlite::Result<Begun> {
        loop {
            match self.execute("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(Begun::Yes),
                Err(error) if !is_busy(&error) => return Err(error),
                Err(_) if !self.shared.queue.is_wanted() => return Ok(Begun::Unwanted),
                Err(_) => std::thread::sleep(LOCK_RETRY),
            }
        }
    }

    /// From `BEGIN` to the last answer. What the callers learn, health and the
    /// watch know before.
    fn transaction(&mut self) {
        let mut batch = Batch::default();
        let prepared = self.prepare(&mut batch);
        let committed = prepared.and_then(|prepared| {
            self.execute("COMMIT").map_err(batch::commit_error)?;
            Ok(prepared)
        });
        match committed {
            Ok((others, meta, was_reset)) => {
                if was_reset {
                    self.leftovers = Some(Instant::now());
                }
                self.shared.progress.publish(&meta);
                self.shared.progress.set_fault(None);
                batch.answer();
                if others != self.others {
                    self.others = others;
                    std::thread::sleep(COURTESY);
                }
            }
            Err(error) => {
                self.roll_back();
                self.failed(&error);
                batch.fail(&error);
            }
        }
    }

    fn failed(&self, error: &StoreError) {
        tracing::error!(%error, "commit failed");
        self.shared.progress.set_fault(Some(error.to_string()));
    }

    /// All that is to be done before `COMMIT`: what others have committed, the
    /// position then, and whether there was a reset.
    fn prepare(&self, batch: &mut Batch) -> Result<(i64, Meta, bool), StoreError> {
        let storage = |error| fault(&error);
        let others = others(&self.conn).map_err(storage)?;
        let mut tables = TransactionView::load(&self.conn).map_err(storage)?;
        let anchor = tables.meta.anchor.revision;
        batch.decide(&mut tables, &self.shared).map_err(storage)?;
        let was_reset = tables.meta.anchor.revision > anchor;
        Ok((others, tables.meta, was_reset))
    }

    /// Deletes a piece of what a reset has left, after the answers, so that no
    /// command depends on it.
    fn delete_leftovers(&mut self) {
        let began = Instant::now();
        let deleted = self.execute("BEGIN IMMEDIATE").and_then(|()| {
            let more = reclaim::delete_piece(&self.conn)?;
            self.execute("COMMIT")?;
            // Folded in bit by bit, or the commit of some command would have to
            // copy thousands of pages at once.
            self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            Ok(more)
        });
        let next = Instant::now() + began.elapsed() * LEFTOVERS_REST;
        match deleted {
            Ok(more) => self.leftovers = more.then_some(next),
            Err(error) if is_busy(&error) => self.leftovers = Some(next + COURTESY),
            Err(error) => {
                // Tried again at the next reset or start.
                self.leftovers = None;
                tracing::warn!(error = describe(&error), "what a reset left was not deleted");
            }
        }
        self.roll_back();
    }

    fn roll_back(&self) {
        // After some faults SQLite has rolled back by itself.
        if !self.conn.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            tracing::error!(error = describe(&error), "rollback failed");
        }
    }

    /// Looks whether another process has committed.
    fn look(&mut self) {
        let looked = others(&self.conn).and_then(|others| {
            if others != self.others {
                self.shared.progress.publish(&TransactionView::load(&self.conn)?.meta);
                self.others = others;
            }
            Ok(())
        });
        // The next look or commit meets it again, if it lasts.
        if let Err(error) = looked {
            tracing::debug!(error = describe(&error), "the file could not be looked at");
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// Changes when another connection has committed: the cheapest way to know.
pub(super) fn others(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// Refuses the callers that are left, also when the thread panics.
struct Abandon(Arc<SqliteShared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.queue.abandon();
        if std::thread::panicking() {
            self.0.progress.set_fault(Some("the writer has stopped by a fault of its own".into()));
        }
    }
}
