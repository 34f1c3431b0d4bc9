//! What the archive knows, and how it writes. The worker runs on its own thread.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::database::ArchiveDatabase;
use super::format::{block_bounds, encode_meta, frame_of};
use super::lookup::{ArchiveLookup, SearchOutcome, SearchPage};
use super::posting::FrameIndex;
use super::ranges::RevisionRanges;
use super::reader::BlockReader;
use super::tail::ArchiveTail;
use super::verify_progress::VerifyProgress;
use super::{ArchiveError, ArchiveFigures, EventRun, Options, RevisionSpan, StatePosition};
use crate::machine::Revision;
use crate::store::raft::host::{DatabaseFault, DatabaseRecord, Databases};

/// Events are written at once when this many bytes of them wait.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// How many ranges the record of what is held may list, because it must stay
/// small. Beyond that the lowest range is dropped and fetched again.
const RANGES_MAX: usize = 128;
/// How many records are removed in one batch.
pub(super) const REMOVALS_MAX: usize = 512;

/// Where the archive announces what others wait for.
pub(super) struct ArchiveSignals {
    pub durable: watch::Sender<Revision>,
    pub hole: watch::Sender<Option<RevisionSpan>>,
}

/// Why a job failed.
pub(super) enum JobFailure {
    /// The database or the disk failed. The worker recovers from it before anybody
    /// is answered.
    Fault(DatabaseFault),
    Refused(ArchiveError),
}

impl From<DatabaseFault> for JobFailure {
    fn from(fault: DatabaseFault) -> Self {
        JobFailure::Fault(fault)
    }
}

impl From<ArchiveError> for JobFailure {
    fn from(error: ArchiveError) -> Self {
        JobFailure::Refused(error)
    }
}

/// Whether the database is open, and why not.
pub(super) enum ArchiveState {
    Open(ArchiveDatabase),
    /// The disk refused. The worker tries again at this time.
    Stopped(String, Instant),
    Closed,
}

/// The archive as its thread sees it.
///
/// Invariants: the events in `held` were written and synced together with the
/// record that lists them; every frame in `proven` has all postings of its events
/// that are held; `tail`, if there is one, follows the last revision that is held
/// or waits.
pub(super) struct ArchiveWorker {
    pub(super) databases: Arc<dyn Databases>,
    pub(super) dir: PathBuf,
    pub(super) options: Options,
    pub(super) signals: ArchiveSignals,
    pub(super) state: ArchiveState,
    pub(super) held: RevisionRanges,
    /// Frames, not revisions.
    pub(super) proven: RevisionRanges,
    pub(super) tail: Option<ArchiveTail>,
    pub(super) proof: VerifyProgress,
    pub(super) tip: StatePosition,
}

impl ArchiveWorker {
    /// Opens the archive in `dir`, or an empty one if that is damaged; then the
    /// reason is returned too.
    pub(super) fn open(
        databases: Arc<dyn Databases>,
        dir: PathBuf,
        options: Options,
        signals: ArchiveSignals,
    ) -> Result<(ArchiveWorker, Option<String>), ArchiveError> {
        let mut worker = ArchiveWorker {
            databases,
            dir,
            options,
            signals,
            state: ArchiveState::Closed,
            held: RevisionRanges::default(),
            proven: RevisionRanges::default(),
            tail: None,
            proof: VerifyProgress::default(),
            tip: StatePosition::default(),
        };
        match worker.begin() {
            Ok(()) => Ok((worker, None)),
            Err(DatabaseFault::Io(reason)) => Err(ArchiveError::Stopped(reason)),
            Err(DatabaseFault::Damaged(reason)) => {
                worker.start_over(&reason);
                match &worker.state {
                    ArchiveState::Stopped(reason, _) => Err(ArchiveError::Stopped(reason.clone())),
                    ArchiveState::Open(_) | ArchiveState::Closed => Ok((worker, Some(reason))),
                }
            }
        }
    }

    pub(super) fn database(&self) -> Result<&ArchiveDatabase, DatabaseFault> {
        match &self.state {
            ArchiveState::Open(database) => Ok(database),
            ArchiveState::Stopped(reason, _) => Err(DatabaseFault::Io(reason.clone())),
            ArchiveState::Closed => Err(DatabaseFault::Io("closed".into())),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, ArchiveState::Closed)
    }

    pub(super) fn close(&mut self) -> Result<(), JobFailure> {
        let flushed = self.flush();
        if let ArchiveState::Open(database) =
            std::mem::replace(&mut self.state, ArchiveState::Closed)
        {
            database.close();
        }
        flushed.map(drop)
    }

    /// Takes events that were applied; see [`super::Archive::append`].
    pub(super) fn append(&mut self, run: EventRun) -> Result<Revision, JobFailure> {
        self.database()?;
        let Some(span) = run.span() else {
            return Err(ArchiveError::Refused("events are not consecutive".into()).into());
        };
        let (last, chain) = self.tail.as_ref().map_or((0, run.before), ArchiveTail::last);
        let skip = (last + 1).saturating_sub(span.first.0).min(run.events.len() as u64) as usize;
        let before = if skip == 0 { run.before } else { run.events[skip - 1].chain };
        if skip < run.events.len() && last + 1 == run.events[skip].revision.0 && before != chain {
            return Err(
                DatabaseFault::Damaged(format!("the chain parts at revision {last}")).into()
            );
        }
        for (at, event) in run.events.iter().enumerate().skip(skip) {
            let revision = event.revision.0;
            let (last, _) = self.tail.as_ref().map_or((0, before), ArchiveTail::last);
            let jumps = last + 1 != revision;
            let waiting = self.tail.as_ref().map_or(0, ArchiveTail::waiting_bytes);
            if jumps || frame_of(last) != frame_of(revision) || waiting >= BATCH_BYTES_MAX {
                self.flush()?;
            }
            let before = if at == 0 { run.before } else { run.events[at - 1].chain };
            let frame = frame_of(revision);
            let tail = self.tail.get_or_insert_with(|| {
                ArchiveTail::behind(revision - 1, before, frame, FrameIndex::default())
            });
            if jumps {
                tail.jump(revision - 1, before);
            }
            tail.push(event);
        }
        Ok(self.wanted())
    }

    pub(super) fn wanted(&self) -> Revision {
        let last = self.tail.as_ref().map(|tail| tail.last().0);
        last.map_or(Revision::ZERO, |last| Revision(last).next())
    }

    /// Writes the events that wait.
    pub(super) fn flush(&mut self) -> Result<Revision, JobFailure> {
        if let Some(tail) = &mut self.tail
            && let Some((first, last)) = tail.waiting()
        {
            let puts = tail.take();
            let mut held = self.held.clone();
            held.insert(first, last);
            self.commit(puts, Vec::new(), held)?;
            self.proven.insert(frame_of(first), frame_of(last));
            self.publish();
        }
        Ok(*self.signals.durable.borrow())
    }

    /// Writes and removes records, together with the list of what is held after it.
    pub(super) fn commit(
        &mut self,
        mut puts: Vec<DatabaseRecord>,
        removals: Vec<Vec<u8>>,
        mut held: RevisionRanges,
    ) -> Result<(), DatabaseFault> {
        held.keep_highest(RANGES_MAX);
        puts.push(encode_meta(&held));
        self.database()?.commit(puts, removals)?;
        self.held = held;
        Ok(())
    }

    /// Prepares the tail behind what is held. Events at the end that cannot be read
    /// are dropped.
    pub(super) fn load_tail(&mut self) -> Result<(), DatabaseFault> {
        self.tail = None;
        while let Some(last) = self.held.last() {
            let frame = frame_of(last);
            // Write the postings anew: nobody knows whether all of them survived.
            let index = self.write_frame(frame, None)?;
            if self.held.last() == Some(last) {
                let chain =
                    BlockReader::new(self.database()?).event(last)?.map(|event| event.chain);
                let chain =
                    chain.ok_or_else(|| DatabaseFault::Damaged(format!("{last} is gone again")))?;
                self.tail = Some(ArchiveTail::behind(last, chain, frame, index));
                break;
            }
        }
        self.remove_blocks(self.held.last().map_or(0, |last| last + 1), u64::MAX)
    }

    /// Removes the blocks that begin in a range. Nothing in it is held.
    fn remove_blocks(&mut self, first: u64, last: u64) -> Result<(), DatabaseFault> {
        let (low, high) = block_bounds(first, last);
        loop {
            let found = self.database()?.scan(&low, &high, REMOVALS_MAX)?;
            if found.is_empty() {
                return Ok(());
            }
            let removals = found.into_iter().map(|(key, _)| key).collect();
            self.commit(Vec::new(), removals, self.held.clone())?;
        }
    }

    /// One turn of a search. Events that turn out to be damaged are dropped.
    pub(super) fn search(
        &mut self,
        turn: impl FnOnce(&ArchiveLookup<'_>) -> Result<SearchPage, DatabaseFault>,
    ) -> Result<SearchPage, JobFailure> {
        let database = self.database()?;
        let page = turn(&ArchiveLookup { database, held: &self.held, proven: &self.proven })?;
        if let SearchOutcome::Damaged(revision) = page.rest {
            self.let_go(revision)?;
        }
        Ok(page)
    }

    /// Reads a run. Events that turn out to be damaged are dropped.
    pub(super) fn range(
        &mut self,
        read: impl FnOnce(&ArchiveLookup<'_>) -> Result<Result<EventRun, u64>, DatabaseFault>,
    ) -> Result<EventRun, JobFailure> {
        let database = self.database()?;
        let lookup = ArchiveLookup { database, held: &self.held, proven: &self.proven };
        match read(&lookup)? {
            Ok(run) => Ok(run),
            Err(revision) => {
                if self.held.contains(revision) {
                    self.let_go(revision)?;
                }
                Err(ArchiveError::Damaged(self.hole_at(revision)).into())
            }
        }
    }

    pub(super) fn hole_at(&self, revision: u64) -> RevisionSpan {
        let (first, last) = self.bounds();
        let (first, last) = (first.min(revision), last.max(revision));
        let (first, last) = self.held.hole_at(revision, first, last);
        RevisionSpan::new(first, last)
    }

    /// The first and last revision that should be held.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let last = self.held.last().unwrap_or(0).max(self.tip.revision.0);
        (self.tip.anchor.revision.0 + 1, last)
    }

    pub(super) fn publish(&self) {
        let durable = Revision(self.held.last().unwrap_or(0));
        let hole = self.next_hole();
        let notify = |now: &mut Revision| std::mem::replace(now, durable) != durable;
        self.signals.durable.send_if_modified(notify);
        self.signals.hole.send_if_modified(|now| std::mem::replace(now, hole) != hole);
    }

    pub(super) fn figures(&mut self) -> Result<ArchiveFigures, JobFailure> {
        let disk_bytes = self.database()?.disk_bytes();
        let events = self.held.ranges().iter().map(|(a, b)| b - a + 1).sum();
        Ok(ArchiveFigures { disk_bytes, events, proven: self.proof.is_done() })
    }
}
