//! Readers beside the writer: a few connections on blocking threads. Each question
//! is answered in one read transaction and therefore from one state. A transaction
//! that begins after a commit sees it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Result, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connect::{data_version, open_reader, retry_while_busy};
use super::error::{describe, is_busy};
use super::view::TransactionView;
use crate::machine::lookup::{self, Due};
use crate::machine::{self, Answer, ClusterMs, Meta, Question, WallMs};
use crate::store::error::StoreError;

/// The pause between two attempts while another process repairs the log or closes
/// the file. Both take milliseconds.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// As of which time a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AsOf {
    /// The state's own clock, provided that no deadline lies between it and this
    /// moment.
    StateClock(ClusterMs),
    /// This moment, by the reader's own clock.
    WallClock(ClusterMs),
}

/// What came of reading.
pub(super) enum ReadOutcome {
    Answer(Box<(Answer, Meta)>),
    /// The state's clock has to pass a deadline first.
    ClockBehind,
}

/// The connections that read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<SqliteReader>>,
    free: Arc<Semaphore>,
    count: u32,
}

/// A connection that reads.
struct SqliteReader {
    conn: Connection,
    /// What every question needs. It is read again only after a commit.
    position: Option<CachedPosition>,
}

#[derive(Clone)]
struct CachedPosition {
    /// See [`data_version`].
    data_version: i64,
    meta: Meta,
    next_deadline: Option<ClusterMs>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, count: u32) -> Readers {
        let free = Arc::new(Semaphore::new(count as usize));
        Readers { path, idle: Mutex::default(), free, count }
    }

    /// Answers `question` before `deadline`, unless the state's clock is behind.
    pub(super) async fn ask(
        self: &Arc<Self>,
        question: &Question,
        as_of: AsOf,
        deadline: Instant,
    ) -> std::result::Result<ReadOutcome, StoreError> {
        let question = question.clone();
        self.run(move |reader| answer(reader, &question, as_of), deadline).await
    }

    /// Whether rows are due for removal at `now`.
    pub(super) async fn due(
        self: &Arc<Self>,
        now: ClusterMs,
        deadline: Instant,
    ) -> std::result::Result<Due, StoreError> {
        self.run(move |reader| due(&reader.conn, now), deadline).await
    }

    /// Runs `work` on a thread for blocking work, until `deadline`.
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(&mut SqliteReader) -> Result<T> + Send + 'static,
        deadline: Instant,
    ) -> std::result::Result<T, StoreError> {
        let permit = match timeout_at(deadline, self.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(StoreError::Unavailable("the store is closing".into())),
            Err(_) => return Err(late("all readers were busy")),
        };
        let readers = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // Held until the read has ended, even if nobody waits any longer.
            let _permit = permit;
            readers.read(&work, deadline.into_std())
        });
        match timeout_at(deadline, reading).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => Err(StoreError::Storage(format!("the reader failed: {error}"))),
            Err(_) => Err(late("reading took too long")),
        }
    }

    fn read<T>(
        &self,
        work: &impl Fn(&mut SqliteReader) -> Result<T>,
        deadline: std::time::Instant,
    ) -> std::result::Result<T, StoreError> {
        let timeout = deadline.saturating_duration_since(std::time::Instant::now());
        let read = retry_while_busy(timeout, READ_PAUSE, is_busy, || self.attempt(work));
        read.map_err(|error| match is_busy(&error) {
            true => late("another process kept the file"),
            false => StoreError::Storage(describe(&error)),
        })
    }

    /// Runs `work` on an idle connection. A connection that has failed is not used
    /// again.
    fn attempt<T>(&self, work: &impl Fn(&mut SqliteReader) -> Result<T>) -> Result<T> {
        let idle = self.idle().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => SqliteReader { conn: open_reader(&self.path)?, position: None },
        };
        let found = work(&mut reader)?;
        self.idle().push(reader);
        Ok(found)
    }

    /// Waits for the running reads and closes all connections. Later questions are
    /// refused.
    pub(super) async fn close(&self) {
        if let Ok(_all) = self.free.acquire_many(self.count).await {
            self.free.close();
        }
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteReader>> {
        // No code under the lock can panic half-way through a change.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a question in one read transaction.
fn answer(reader: &mut SqliteReader, question: &Question, as_of: AsOf) -> Result<ReadOutcome> {
    let SqliteReader { conn, position } = reader;
    let state = Transaction::new_unchecked(conn, TransactionBehavior::Deferred)?;
    let CachedPosition { meta, next_deadline, .. } = current_position(&state, position)?;
    let tables = TransactionView { conn: &state, meta: meta.clone() };
    if question.is_about_history() {
        let answer = machine::answer_history(question, &tables, &meta)?;
        return Ok(ReadOutcome::Answer(Box::new((answer, meta))));
    }
    let now = match as_of {
        AsOf::StateClock(present) if next_deadline.is_some_and(|at| at <= present) => {
            return Ok(ReadOutcome::ClockBehind);
        }
        AsOf::StateClock(present) => question.answered_at(meta.clock, present),
        AsOf::WallClock(present) => present.max(meta.clock),
    };
    let answer = machine::answer(question, &tables, now)?;
    Ok(ReadOutcome::Answer(Box::new((answer, meta))))
}

/// What the passing of time calls for, read in one transaction.
fn due(conn: &Connection, now: ClusterMs) -> Result<Due> {
    let state = Transaction::new_unchecked(conn, TransactionBehavior::Deferred)?;
    let tables = TransactionView::load(&state)?;
    let now = now.max(tables.meta.clock);
    lookup::due(&tables, now, WallMs(now.0))
}

/// The position that the open transaction of `conn` sees.
fn current_position(
    conn: &Connection,
    cached: &mut Option<CachedPosition>,
) -> Result<CachedPosition> {
    let data_version = data_version(conn)?;
    if let Some(cached) = cached.as_ref().filter(|cached| cached.data_version == data_version) {
        return Ok(cached.clone());
    }
    let tables = TransactionView::load(conn)?;
    let next_deadline = lookup::next_deadline(&tables, tables.meta.clock)?;
    Ok(cached.insert(CachedPosition { data_version, meta: tables.meta, next_deadline }).clone())
}

fn late(why: &str) -> StoreError {
    StoreError::Unavailable(format!("{why} until the deadline"))
}
