//! How the archive opens, recovers from faults, and does work that nobody asked
//! for.

use tokio::time::Instant;

use super::ArchiveError;
use super::database::ArchiveDatabase;
use super::format::{META_KEY, decode_meta};
use super::ranges::RevisionRanges;
use super::tail::ArchiveTail;
use super::verify_progress::VerifyProgress;
use super::worker::{ArchiveState, ArchiveWorker, JobFailure};
use crate::store::raft::host::DatabaseFault;

impl ArchiveWorker {
    /// Opens the database and learns what it holds.
    pub(super) fn begin(&mut self) -> Result<(), DatabaseFault> {
        let database = self.databases.open(&self.dir, self.options.cache_bytes)?;
        let database = ArchiveDatabase::new(database, self.options.reads.clone());
        let found = database.get(META_KEY);
        let empty = database.first(&[], &[u8::MAX]);
        self.state = ArchiveState::Open(database);
        self.held = match found? {
            Some(value) => decode_meta(&value).ok_or_else(|| {
                DatabaseFault::Damaged("the record of what is held is broken".into())
            })?,
            None if empty?.is_none() => RevisionRanges::default(),
            None => {
                return Err(DatabaseFault::Damaged("the record of what is held is gone".into()));
            }
        };
        self.proven = RevisionRanges::default();
        self.load_tail()?;
        self.proof = VerifyProgress::from_start();
        self.publish();
        // The feeding task has to ask again what is wanted, even if nothing changed.
        self.signals.durable.send_modify(|_| {});
        Ok(())
    }

    /// Turns the result of a job into the answer, and recovers from a fault.
    pub(super) fn settle<T>(&mut self, result: Result<T, JobFailure>) -> Result<T, ArchiveError> {
        match (result, &self.state) {
            (Ok(value), _) => Ok(value),
            (Err(JobFailure::Refused(error)), _) => Err(error),
            (Err(JobFailure::Fault(_)), ArchiveState::Closed) => Err(ArchiveError::Closed),
            (Err(JobFailure::Fault(DatabaseFault::Io(reason))), ArchiveState::Stopped(..)) => {
                Err(ArchiveError::Stopped(reason))
            }
            (Err(JobFailure::Fault(DatabaseFault::Io(reason))), ArchiveState::Open(_)) => {
                self.stop(reason.clone());
                Err(ArchiveError::Stopped(reason))
            }
            (Err(JobFailure::Fault(DatabaseFault::Damaged(reason))), _) => {
                self.start_over(&reason);
                Err(ArchiveError::Stopped(reason))
            }
        }
    }

    /// Stops because the disk refused. The feeding task sends again the events that
    /// waited.
    fn stop(&mut self, reason: String) {
        tracing::error!(reason, "the archive stopped and will be opened again");
        let retry_at = Instant::now() + self.options.retry;
        self.state = ArchiveState::Stopped(reason, retry_at);
        self.tail = None;
        self.proof = VerifyProgress::default();
        self.signals.hole.send_replace(None);
    }

    /// Moves a database aside that cannot be trusted, and begins anew.
    pub(super) fn start_over(&mut self, reason: &str) {
        tracing::error!(reason, dir = %self.dir.display(), "the archive was damaged and begins anew");
        self.forget();
        let aside = self.databases.set_aside(&self.dir).map_err(DatabaseFault::from);
        let begun = aside.and_then(|()| self.begin());
        if let Err(DatabaseFault::Io(reason) | DatabaseFault::Damaged(reason)) = begun {
            self.stop(reason);
        }
    }

    /// Empties the archive, because nothing in it is part of the history any more.
    pub(super) fn empty(&mut self) -> Result<(), DatabaseFault> {
        self.forget();
        self.databases.discard(&self.dir)?;
        self.begin()
    }

    fn forget(&mut self) {
        self.state = ArchiveState::Stopped("it begins anew".into(), Instant::now());
        self.held = RevisionRanges::default();
        self.tail = None;
        self.publish();
    }

    /// When there is something to do that nobody asked for.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.state {
            ArchiveState::Closed => None,
            ArchiveState::Stopped(_, retry_at) => Some(*retry_at),
            ArchiveState::Open(_) if !self.proof.is_done() => Some(Instant::now()),
            ArchiveState::Open(_) => self
                .tail
                .as_ref()
                .and_then(ArchiveTail::since)
                .map(|since| since + self.options.linger),
        }
    }

    /// Does a bounded piece of the work that is due.
    pub(super) fn turn(&mut self) -> Result<(), JobFailure> {
        if matches!(self.state, ArchiveState::Stopped(..)) {
            return match self.begin() {
                // Another log line for each try would say nothing new.
                Err(DatabaseFault::Io(reason)) => {
                    self.state = ArchiveState::Stopped(reason, Instant::now() + self.options.retry);
                    Ok(())
                }
                Err(fault) => Err(fault.into()),
                Ok(()) => self.adopt(self.tip.clone()),
            };
        }
        let since = self.tail.as_ref().and_then(ArchiveTail::since);
        if since.is_some_and(|since| since.elapsed() >= self.options.linger) {
            self.flush()?;
        }
        self.prove_some()
    }
}
