//! A batch: the commands of one transaction, each decided over what those
//! before it have written. One that faults leaves no trace, and the others go
//! on.

use std::time::{Duration, Instant};

use rusqlite::Result;

use super::error::fault;
use super::shared::SqliteShared;
use super::view::TransactionView;
use super::write;
use crate::machine::{self, ClusterMs, Envelope, Reply, lookup};
use crate::store::StoreError;
use crate::store::queue::Job;

/// Most commands of a batch. At some tens of microseconds each they take
/// several times what the sync takes, so more would gain little and cost those
/// who wait.
const BATCH_COMMANDS_MAX: usize = 512;

/// A batch takes no more commands once it has written this much: what is not
/// committed is kept in memory and, above the page cache, written twice.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A batch takes no more commands once it has taken this long: the lock is
/// kept meanwhile, and other processes and the first of its callers wait.
const BATCH_TIME_MAX: Duration = Duration::from_millis(50);

/// The commands that were taken, in order, with what each is to be told.
#[derive(Default)]
pub(super) struct Batch {
    taken: Vec<Taken>,
}

struct Taken {
    job: Job,
    envelope: Envelope,
    outcome: std::result::Result<Reply, StoreError>,
}

impl Batch {
    /// Takes commands from the queue and carries them out.
    ///
    /// # Errors
    /// Where the transaction as a whole cannot go on.
    pub(super) fn decide(
        &mut self,
        tables: &mut TransactionView<'_>,
        shared: &SqliteShared,
    ) -> Result<()> {
        let before = tables.meta.clone();
        let started = Instant::now();
        let mut written_bytes = 0;
        let mut changed = false;
        // One savepoint for all, not two statements more for each command:
        // without faults it is never used.
        savepoint(tables, "SAVEPOINT whole")?;
        while self.taken.len() < BATCH_COMMANDS_MAX
            && written_bytes < BATCH_BYTES_MAX
            && started.elapsed() < BATCH_TIME_MAX
            && let Some(job) = shared.queue.take()
        {
            let max = shared.progress.state_bytes_max();
            let envelope = job.request.clone().stamped(shared.now(), max);
            let done = carry_out(tables, &envelope);
            let faulted = done.is_err();
            let outcome = done.map(|done| {
                changed |= done.changed;
                written_bytes += done.bytes;
                done.reply
            });
            let outcome = outcome.map_err(|error| fault(&error));
            self.taken.push(Taken { job, envelope, outcome });
            if faulted {
                savepoint(tables, "ROLLBACK TO whole")?;
                tables.meta = before.clone();
                changed = self.decide_one_by_one(tables)?;
                break;
            }
        }
        savepoint(tables, "RELEASE whole")?;
        if changed || clock_matters(tables, before.clock)? {
            write::meta(tables.conn, &tables.meta)?;
        }
        Ok(())
    }

    /// The same commands again from the beginning, each behind a savepoint of
    /// its own. Says whether anything changed.
    fn decide_one_by_one(&mut self, tables: &mut TransactionView<'_>) -> Result<bool> {
        let mut changed = false;
        for taken in &mut self.taken {
            let before = tables.meta.clone();
            savepoint(tables, "SAVEPOINT one")?;
            taken.outcome = match carry_out(tables, &taken.envelope) {
                Ok(done) => {
                    changed |= done.changed;
                    Ok(done.reply)
                }
                Err(error) => {
                    // Fails where the fault has ended the transaction.
                    savepoint(tables, "ROLLBACK TO one")?;
                    tables.meta = before;
                    let fault = fault(&error);
                    tracing::warn!(error = %fault, "a command was rolled back");
                    Err(fault)
                }
            };
            savepoint(tables, "RELEASE one")?;
        }
        Ok(changed)
    }

    /// Tells every caller, after the commit.
    pub(super) fn answer(self) {
        for taken in self.taken {
            taken.job.answer(taken.outcome);
        }
    }

    /// Tells every caller that there was none.
    pub(super) fn fail(self, error: &StoreError) {
        for taken in self.taken {
            taken.job.answer(Err(error.clone()));
        }
    }
}

/// What a failed `COMMIT` means to the callers.
pub(super) fn commit_error(error: rusqlite::Error) -> StoreError {
    match fault(&error) {
        // A page found no room: the last one makes a commit of the others.
        full @ StoreError::Unavailable(_) => full,
        // The log is whole but perhaps not on the disk: a restart might find
        // it there.
        StoreError::Storage(why) | StoreError::Unknown(why) => StoreError::Unknown(why),
    }
}

struct Done {
    reply: Reply,
    changed: bool,
    bytes: usize,
}

fn carry_out(tables: &mut TransactionView<'_>, envelope: &Envelope) -> Result<Done> {
    let decision = machine::decide(envelope, tables)?;
    let bytes = tables.apply(&decision)?;
    let changed = !decision.changes.is_empty() || !decision.events.is_empty();
    Ok(Done { reply: decision.reply, changed, bytes })
}

/// Whether the clock has to be kept although nothing else changed: a deadline
/// has passed, so somebody may have been told that a key was gone, and it must
/// not come back if the machine's clock is set back.
fn clock_matters(tables: &TransactionView<'_>, before: ClusterMs) -> Result<bool> {
    Ok(lookup::next_deadline(tables, before)?.is_some_and(|at| at <= tables.meta.clock))
}

fn savepoint(tables: &TransactionView<'_>, sql: &str) -> Result<()> {
    tables.conn.prepare_cached(sql)?.execute([]).map(drop)
}
