//! A batch: the commands of one transaction. Each is decided on the state that the
//! commands before it have written. One that fails leaves no trace, and the others
//! continue.

use std::time::{Duration, Instant};

use rusqlite::Result;

use super::error::store_error;
use super::shared::SqliteShared;
use super::view::TransactionView;
use super::write;
use crate::machine::{self, ClusterMs, Envelope, Reply, lookup};
use crate::store::error::StoreError;
use crate::store::queue::Job;

/// The maximum number of commands in a batch. At some tens of microseconds each,
/// so many take several times as long as the sync. More would gain little and make
/// the first callers wait longer.
const BATCH_COMMANDS_MAX: usize = 512;

/// A batch takes no more commands when it has written this much. Uncommitted pages
/// are kept in memory, and beyond the page cache they are written twice.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A batch takes no more commands when it has lasted this long. It holds the lock,
/// so other processes wait meanwhile, and so do its first callers.
const BATCH_TIME_MAX: Duration = Duration::from_millis(50);

/// The commands that were taken from the queue, in order, each with its outcome.
#[derive(Default)]
pub(super) struct Batch {
    taken: Vec<TakenCommand>,
}

struct TakenCommand {
    job: Job,
    envelope: Envelope,
    outcome: std::result::Result<Reply, StoreError>,
}

impl Batch {
    /// Takes commands from the queue, decides them, and writes their changes.
    ///
    /// # Errors
    /// The transaction as a whole cannot continue.
    pub(super) fn decide(
        &mut self,
        tables: &mut TransactionView<'_>,
        shared: &SqliteShared,
    ) -> Result<()> {
        let before = tables.meta.clone();
        let started = Instant::now();
        let mut written_bytes = 0;
        let mut changed = false;
        // There is one savepoint for all commands, because one for each would cost
        // two more statements each, although they are needed only if one fails.
        savepoint(tables, "SAVEPOINT whole")?;
        while self.taken.len() < BATCH_COMMANDS_MAX
            && written_bytes < BATCH_BYTES_MAX
            && started.elapsed() < BATCH_TIME_MAX
            && let Some(job) = shared.queue.take()
        {
            let envelope = job.request.clone().stamped(shared.now(), shared.progress.limits());
            let executed = execute(tables, &envelope);
            let failed = executed.is_err();
            let outcome = executed.map(|executed| {
                changed |= executed.changed;
                written_bytes += executed.bytes;
                executed.reply
            });
            let outcome = outcome.map_err(|error| store_error(&error));
            self.taken.push(TakenCommand { job, envelope, outcome });
            if failed {
                savepoint(tables, "ROLLBACK TO whole")?;
                tables.meta = before.clone();
                changed = self.decide_one_by_one(tables)?;
                break;
            }
        }
        savepoint(tables, "RELEASE whole")?;
        if changed || must_store_clock(tables, before.clock)? {
            write::meta(tables.conn, &tables.meta)?;
        }
        Ok(())
    }

    /// Executes the same commands again from the beginning, each with a savepoint
    /// of its own. Returns whether anything changed.
    fn decide_one_by_one(&mut self, tables: &mut TransactionView<'_>) -> Result<bool> {
        let mut changed = false;
        for taken in &mut self.taken {
            let before = tables.meta.clone();
            savepoint(tables, "SAVEPOINT one")?;
            taken.outcome = match execute(tables, &taken.envelope) {
                Ok(executed) => {
                    changed |= executed.changed;
                    Ok(executed.reply)
                }
                Err(error) => {
                    // This fails if the error has ended the transaction.
                    savepoint(tables, "ROLLBACK TO one")?;
                    tables.meta = before;
                    let error = store_error(&error);
                    tracing::warn!(%error, "a command was rolled back");
                    Err(error)
                }
            };
            savepoint(tables, "RELEASE one")?;
        }
        Ok(changed)
    }

    /// Answers every caller after the commit.
    pub(super) fn answer(self) {
        for taken in self.taken {
            taken.job.answer(taken.outcome);
        }
    }

    /// Tells every caller that there was no commit.
    pub(super) fn fail(self, error: &StoreError) {
        for taken in self.taken {
            taken.job.answer(Err(error.clone()));
        }
    }
}

/// What a failed `COMMIT` means to the callers.
pub(super) fn commit_error(error: rusqlite::Error) -> StoreError {
    match store_error(&error) {
        // The disk is full, so the last page of the commit is missing in the log,
        // and without it the other pages do not count.
        full @ StoreError::Unavailable(_) => full,
        // The log is complete but perhaps not on the disk, so a restart might find
        // the commit or not.
        StoreError::Storage(why) | StoreError::Unknown(why) => StoreError::Unknown(why),
    }
}

struct ExecutedCommand {
    reply: Reply,
    changed: bool,
    bytes: usize,
}

fn execute(tables: &mut TransactionView<'_>, envelope: &Envelope) -> Result<ExecutedCommand> {
    let decision = machine::decide(envelope, tables)?;
    let bytes = tables.apply(&decision)?;
    let changed = !decision.changes.is_empty() || !decision.events.is_empty();
    Ok(ExecutedCommand { reply: decision.reply, changed, bytes })
}

/// Whether the clock must be stored although nothing else has changed. If a
/// deadline has passed, somebody may have seen that a key has expired, and it must
/// not come back if the machine's clock is set back.
fn must_store_clock(tables: &TransactionView<'_>, before: ClusterMs) -> Result<bool> {
    Ok(lookup::next_deadline(tables, before)?.is_some_and(|at| at <= tables.meta.clock))
}

fn savepoint(tables: &TransactionView<'_>, sql: &str) -> Result<()> {
    tables.conn.prepare_cached(sql)?.execute([]).map(drop)
}
