//! Readers beside the writer: a few connections on blocking threads. A
//! question is answered in one read transaction, so from one state; begun
//! after a commit it sees it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Result, Transaction, TransactionBehavior};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::error::{describe, is_busy};
use super::open::open_reader;
use super::view::TransactionView;
use super::writer::others;
use crate::machine::{self, Answer, ClusterMs, Meta, Question, lookup};
use crate::store::StoreError;

/// Between two attempts while another process repairs the log or closes the
/// file; both take milliseconds.
const READ_RETRY: Duration = Duration::from_millis(1);

/// As of when a question is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AsOf {
    /// The state's own clock, provided that it has passed every deadline that
    /// lies before this moment.
    Log(ClusterMs),
    /// This moment, by the reader's own estimate.
    Here(ClusterMs),
}

/// What a reader found.
pub(super) enum Found {
    Answer(Box<(Answer, Meta)>),
    /// The state's clock has to pass a deadline first.
    Late,
}

/// The connections that read.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
    free: Arc<Semaphore>,
    count: u32,
}

/// One of them, with what it knows of the file.
struct Reader {
    conn: Connection,
    /// What questions have in common, looked up once until somebody commits.
    seen: Option<Seen>,
}

#[derive(Clone)]
struct Seen {
    /// See [`others`].
    others: i64,
    meta: Meta,
    next_deadline: Option<ClusterMs>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, count: u32) -> Readers {
        let free = Arc::new(Semaphore::new(count as usize));
        Readers { path, idle: Mutex::default(), free, count }
    }

    /// Answers `question`, or finds that it cannot yet, until `deadline`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        question: &Question,
        as_of: AsOf,
        deadline: Instant,
    ) -> std::result::Result<Found, StoreError> {
        let question = question.clone();
        self.run(move |reader| answer(reader, &question, as_of), deadline).await
    }

    /// Whether rows are due for removal at `now`.
    pub(super) async fn due(
        self: &Arc<Self>,
        now: ClusterMs,
        deadline: Instant,
    ) -> std::result::Result<bool, StoreError> {
        self.run(move |reader| is_due(&reader.conn, now), deadline).await
    }

    /// Reads in a thread for blocking work, until `deadline`.
    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Fn(&mut Reader) -> Result<T> + Send + 'static,
        deadline: Instant,
    ) -> std::result::Result<T, StoreError> {
        let permit = match timeout_at(deadline, self.free.clone().acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => return Err(StoreError::Unavailable("the store is closing".into())),
            Err(_) => return Err(late("all readers were busy")),
        };
        let readers = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            // Kept until the read has ended, even if nobody waits any longer.
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
        work: &impl Fn(&mut Reader) -> Result<T>,
        deadline: std::time::Instant,
    ) -> std::result::Result<T, StoreError> {
        loop {
            match self.attempt(work) {
                Ok(found) => return Ok(found),
                Err(error) if !is_busy(&error) => {
                    return Err(StoreError::Storage(describe(&error)));
                }
                Err(_) if std::time::Instant::now() >= deadline => {
                    return Err(late("another process kept the file"));
                }
                Err(_) => std::thread::sleep(READ_RETRY),
            }
        }
    }

    /// A connection that met a fault is not used again.
    fn attempt<T>(&self, work: &impl Fn(&mut Reader) -> Result<T>) -> Result<T> {
        let idle = self.idle().pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => Reader { conn: open_reader(&self.path)?, seen: None },
        };
        let found = work(&mut reader)?;
        self.idle().push(reader);
        Ok(found)
    }

    /// Waits for those who read and closes all connections; later questions
    /// are refused.
    pub(super) async fn close(&self) {
        if let Ok(_all) = self.free.acquire_many(self.count).await {
            self.free.close();
        }
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        // Nothing under the lock can leave it half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One read transaction.
fn answer(reader: &mut Reader, question: &Question, as_of: AsOf) -> Result<Found> {
    let Reader { conn, seen } = reader;
    let state = Transaction::new_unchecked(conn, TransactionBehavior::Deferred)?;
    let Seen { meta, next_deadline, .. } = look(&state, seen)?;
    let tables = TransactionView { conn: &state, meta: meta.clone() };
    if question.is_about_history() {
        let answer = machine::answer_history(question, &tables, &meta)?;
        return Ok(Found::Answer(Box::new((answer, meta))));
    }
    let now = match as_of {
        // A deadline lies between the state's clock and the present.
        AsOf::Log(present) if next_deadline.is_some_and(|at| at <= present) => {
            return Ok(Found::Late);
        }
        AsOf::Log(_) => meta.clock,
        AsOf::Here(present) => present.max(meta.clock),
    };
    let answer = machine::answer(question, &tables, now)?;
    Ok(Found::Answer(Box::new((answer, meta))))
}

/// One read transaction too.
fn is_due(conn: &Connection, now: ClusterMs) -> Result<bool> {
    let state = Transaction::new_unchecked(conn, TransactionBehavior::Deferred)?;
    let tables = TransactionView::load(&state)?;
    lookup::is_due(&tables, now.max(tables.meta.clock))
}

/// What the transaction that is open on `conn` finds.
fn look(conn: &Connection, seen: &mut Option<Seen>) -> Result<Seen> {
    let others = others(conn)?;
    if let Some(seen) = seen.as_ref().filter(|seen| seen.others == others) {
        return Ok(seen.clone());
    }
    let tables = TransactionView::load(conn)?;
    let next_deadline = lookup::next_deadline(&tables, tables.meta.clock)?;
    Ok(seen.insert(Seen { others, meta: tables.meta, next_deadline }).clone())
}

fn late(why: &str) -> StoreError {
    StoreError::Unavailable(format!("{why} until the deadline"))
}
