//! A whole state into a file, in one write transaction, beside whatever other
//! processes do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::Connection;

use super::batch;
use super::error::{OpenError, describe, is_busy};
use super::open;
use super::rows::Position;
use super::schema;
use super::view::Tables;
use crate::codec::StateRecord;
use crate::machine::{Change, Meta};
use crate::store::StoreError;
use crate::store::row_record;
use crate::store::transfer::{Intake, NotEmpty, Part};

/// How long an import waits for the lock that other processes take for their
/// commits, which last milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// How long replacing waits for other processes to let go of the file. Those
/// that serve it never do.
const ALONE_WAIT: Duration = Duration::from_secs(2);

/// Between two attempts.
const RETRY: Duration = Duration::from_millis(5);

/// The tables that an import fills; the history comes last.
const TABLES: [&str; 7] = ["kv", "lease", "run", "step", "session", "request", "event"];

/// Why a file takes no import. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
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

impl IntakeError {
    /// Whether the target only has to be given up to take the import.
    pub fn is_not_empty(&self) -> bool {
        matches!(self, IntakeError::NotEmpty { .. })
    }
}

/// A file that is being filled, in a transaction that is open.
pub struct SqliteIntake {
    /// Away while a thread works with it; gone for good once that failed.
    /// Closing it rolls back.
    conn: Option<Connection>,
    meta: Meta,
    taken: Taken,
}

/// Parts by the table that holds them, in the order of [`TABLES`].
#[derive(Clone, Copy, Default)]
struct Taken([u64; TABLES.len()]);

/// Begins an import into the file at `path`. See [`super::SqliteStore::intake`].
pub(super) fn intake(path: &Path, meta: Meta, replace: bool) -> Result<SqliteIntake, IntakeError> {
    let (path, conn) = open::open(path, None)?;
    let fail = |error| {
        let error = StoreError::Storage(describe(&error));
        IntakeError::Store { path: path.clone(), error }
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
        Err(error) if is_busy(&error) && replace => return Err(IntakeError::InUse(path)),
        Err(error) if is_busy(&error) => {
            return Err(OpenError::Locked { path, waited_s: LOCK_WAIT.as_secs() }.into());
        }
        Err(error) => return Err(fail(error)),
        Ok(()) => {}
    }
    let found = Tables::load(&conn).map_err(fail)?.position.meta.revision;
    let rows = count_rows(&conn).map_err(fail)?;
    if !replace && (rows > 0 || found.0 > 0) {
        let refused = NotEmpty { found, rows, incoming: meta.revision };
        return Err(IntakeError::NotEmpty { path, refused });
    }
    for table in TABLES.into_iter().chain(["run_tag"]) {
        conn.execute(&format!("DELETE FROM {table}"), []).map_err(fail)?;
    }
    // Counted as the rows come.
    let meta = Meta { state_bytes: 0, ..meta };
    Ok(SqliteIntake { conn: Some(conn), meta, taken: Taken::default() })
}

#[async_trait]
impl Intake for SqliteIntake {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let (meta, mut taken) = (self.meta.clone(), self.taken);
        (self.taken, self.meta.state_bytes) = self
            .work(move |conn| {
                let mut tables = Tables { conn, position: Position { meta, requests: 0 } };
                for part in parts {
                    taken.count(&part);
                    if let Part::Row(row) = &part {
                        tables.position.meta.state_bytes += row_record::bytes(row);
                    }
                    put(&mut tables, part).map_err(|error| storage(&error))?;
                }
                Ok((taken, tables.position.meta.state_bytes))
            })
            .await?;
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let (meta, taken) = (self.meta.clone(), self.taken);
        self.work(move |conn| {
            taken.check(conn)?;
            let position = Position { meta, requests: taken.of("request") };
            let tables = Tables { conn, position };
            tables.save_position().map_err(|error| storage(&error))?;
            if let Some(why) = schema::inspect(conn, false).map_err(|error| storage(&error))? {
                return Err(StoreError::Storage(why));
            }
            conn.execute_batch("COMMIT").map_err(batch::commit_error)
        })
        .await
    }
}

impl SqliteIntake {
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

/// Writes one part. The tables' position is not touched for good.
pub(super) fn put(tables: &mut Tables<'_>, part: Part) -> rusqlite::Result<()> {
    match part {
        Part::Event(event) => tables.append(&event),
        Part::Row(row) => match row_record::row(row) {
            // No run is there yet, so none is to be updated.
            Some(Change::PutRun(run)) => tables.insert_run(&run),
            Some(change) => tables.change(&change),
            None => Ok(()),
        },
    }
}

impl Taken {
    fn count(&mut self, part: &Part) {
        let table = match part {
            Part::Row(StateRecord::Key(..)) => "kv",
            Part::Row(StateRecord::Lease(..)) => "lease",
            Part::Row(StateRecord::Run(..)) => "run",
            Part::Row(StateRecord::Step(..)) => "step",
            Part::Row(StateRecord::Session(..)) => "session",
            Part::Row(StateRecord::Request(..)) => "request",
            Part::Event(_) => "event",
            // Refused when it is written.
            Part::Row(StateRecord::Meta(_) | StateRecord::Origin(..) | StateRecord::Answer(..)) => {
                return;
            }
        };
        for (name, count) in TABLES.into_iter().zip(&mut self.0) {
            *count += u64::from(name == table);
        }
    }

    fn of(&self, table: &str) -> u64 {
        TABLES.into_iter().zip(self.0).find(|(name, _)| *name == table).map_or(0, |(_, n)| n)
    }

    /// A name that came twice would have left one row of two.
    fn check(&self, conn: &Connection) -> Result<(), StoreError> {
        for (table, taken) in TABLES.into_iter().zip(self.0) {
            let there = count(conn, table).map_err(|error| storage(&error))?;
            if there != taken {
                let why = format!("{taken} rows came for '{table}', but a name came twice");
                return Err(StoreError::Storage(why));
            }
        }
        Ok(())
    }
}

/// Every row that an import would lose, the history aside.
fn count_rows(conn: &Connection) -> rusqlite::Result<u64> {
    let rows = TABLES.into_iter().filter(|table| *table != "event");
    rows.map(|table| count(conn, table)).sum()
}

fn count(conn: &Connection, table: &str) -> rusqlite::Result<u64> {
    conn.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))
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
