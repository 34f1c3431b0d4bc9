//! The log behind a snapshot, applied by the rules that the node itself applies
//! it by. Twice: once for the state, and once for the events that led to it,
//! which may be too many to keep meanwhile.

use std::io;
use std::path::{Path, PathBuf};

use openraft::EntryPayload;

use super::RecoverError;
use crate::machine::Event;
use crate::store::StoreError;
use crate::store::raft::consensus::applied::AppliedState;
use crate::store::raft::consensus::entry::{Entry, LogId};
use crate::store::raft::consensus::state_machine::carry_out;
use crate::store::raft::log::ReadOnlyLog;
use crate::store::raft::snapshot::folder::{self, SnapshotDir};

/// Entries read at once, in bytes.
const READ_BYTES: u64 = 4 << 20;

/// Where a node's log leads to.
pub(super) struct RecoverReplay {
    pub log: ReadOnlyLog,
    /// The snapshot; an empty state where there is none.
    pub base: AppliedState,
    /// After the last entry.
    pub end: AppliedState,
    pub committed: Option<LogId>,
}

impl RecoverReplay {
    /// Reads and applies everything.
    pub fn read(snapshots: PathBuf, log: &Path) -> Result<RecoverReplay, RecoverError> {
        let base = newest(snapshots).map_err(RecoverError::Snapshot)?;
        let log = ReadOnlyLog::read(log)?;
        let covered = base.log_id;
        if let Some(purged) = log.purged()
            && covered.is_none_or(|covered| covered.index < purged.index)
        {
            let covered = covered.map_or(0, |id| id.index);
            return Err(RecoverError::Gap { purged: purged.index, covered });
        }
        // What a snapshot covers was committed, whether or not the log says so.
        let committed = log.committed().max(covered);
        let mut replay = RecoverReplay { log, end: base.clone(), base, committed };
        let mut end = replay.base.clone();
        let applied = replay.apply(&mut end, |_| Ok(()));
        applied.map_err(|error| match error {
            ReplayError::Log(error) => RecoverError::from(error),
            ReplayError::Entry(error) => RecoverError::Entry(error),
            ReplayError::Taker(error) => RecoverError::BrokenOff(error.to_string()),
        })?;
        replay.end = end;
        Ok(replay)
    }

    /// Shows the events behind the snapshot, oldest first.
    ///
    /// # Errors
    /// Those of `show`, or the log no longer reads as it did.
    pub fn again(
        &self,
        show: impl FnMut(Event) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut state = self.base.clone();
        self.apply(&mut state, show).map_err(|error| match error {
            ReplayError::Log(error) => StoreError::Storage(error.to_string()),
            ReplayError::Entry(error) => StoreError::Storage(error.to_string()),
            ReplayError::Taker(error) => error,
        })
    }

    fn apply(
        &self,
        state: &mut AppliedState,
        mut show: impl FnMut(Event) -> Result<(), StoreError>,
    ) -> Result<(), ReplayError> {
        let mut next = match self.base.log_id {
            Some(covered) if !self.continues(covered)? => return Ok(()),
            Some(covered) => covered.index + 1,
            None => 0,
        };
        loop {
            let entries = self.log.entries(next, READ_BYTES)?;
            let Some(last) = entries.last() else { return Ok(()) };
            next = last.log_id.index + 1;
            for entry in entries {
                for event in apply_entry(state, entry).map_err(ReplayError::Entry)? {
                    show(event).map_err(ReplayError::Taker)?;
                }
            }
        }
    }

    /// Whether the log's entries behind the snapshot follow from it. A node
    /// that was sent a snapshot in place of entries that never were committed,
    /// and died before it removed those, has them still.
    fn continues(&self, covered: LogId) -> Result<bool, ReplayError> {
        let at = self.log.entries(covered.index, 1)?;
        let here = at.first().filter(|entry| entry.log_id.index == covered.index);
        Ok(here.is_none_or(|entry| entry.log_id == covered))
    }
}

/// Why applying ended.
enum ReplayError {
    Log(crate::store::raft::log::LogError),
    Entry(io::Error),
    Taker(StoreError),
}

impl From<crate::store::raft::log::LogError> for ReplayError {
    fn from(error: crate::store::raft::log::LogError) -> ReplayError {
        ReplayError::Log(error)
    }
}

fn newest(dir: PathBuf) -> io::Result<AppliedState> {
    let Some(found) = SnapshotDir::new(dir).newest()? else { return Ok(AppliedState::default()) };
    folder::read(&found.snapshot)
}

fn apply_entry(state: &mut AppliedState, entry: Entry) -> io::Result<Vec<Event>> {
    let events = match entry.payload {
        EntryPayload::Blank | EntryPayload::Membership(_) => Vec::new(),
        EntryPayload::Normal(proposal) => {
            carry_out(&mut state.tables, &entry.log_id, &proposal)?.events
        }
    };
    state.log_id = Some(entry.log_id);
    Ok(events)
}
