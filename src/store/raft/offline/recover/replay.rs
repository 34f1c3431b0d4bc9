//! Applies the log behind a snapshot by the same rules as the node does, and does so
//! twice: once for the state, and once for the events that led to it, since these
//! may be too many to keep in memory.

use std::io;
use std::path::{Path, PathBuf};

use openraft::EntryPayload;

use super::error::RecoverError;
use crate::machine::Event;
use crate::store::StoreError;
use crate::store::raft::consensus::applied::AppliedState;
use crate::store::raft::consensus::entry::{Entry, LogId};
use crate::store::raft::consensus::state_machine::apply_proposal;
use crate::store::raft::host::Environment;
use crate::store::raft::log::{LogError, ReadOnlyLog};
use crate::store::raft::snapshot::folder::{self, SnapshotDir};

/// How many bytes of entries are read at once.
const READ_BYTES: u64 = 4 << 20;

/// A node's log, and the states before and after it.
pub(super) struct RecoverReplay {
    pub log: ReadOnlyLog,
    /// The state of the snapshot; an empty state if there is none.
    pub base: AppliedState,
    /// The state after the last entry.
    pub end: AppliedState,
    pub committed: Option<LogId>,
}

impl RecoverReplay {
    /// Reads and applies everything.
    pub fn read(snapshots: PathBuf, log: &Path) -> Result<RecoverReplay, RecoverError> {
        let environment = Environment::system();
        let base = newest(&environment, snapshots).map_err(RecoverError::Snapshot)?;
        let log = ReadOnlyLog::read(&environment.disk, log)?;
        let covered = base.log_id;
        if let Some(purged) = log.purged()
            && covered.is_none_or(|covered| covered.index < purged.index)
        {
            let covered = covered.map_or(0, |id| id.index);
            return Err(RecoverError::Gap { purged: purged.index, covered });
        }
        // Everything that a snapshot covers was committed, even if the log does not
        // say so.
        let committed = log.committed().max(covered);
        let mut replay = RecoverReplay { log, end: base.clone(), base, committed };
        let mut end = replay.base.clone();
        let applied = replay.apply(&mut end, |_| Ok(()));
        applied.map_err(|error| match error {
            ReplayError::Log(error) => RecoverError::from(error),
            ReplayError::Entry(error) => RecoverError::Entry(error),
            ReplayError::Sink(error) => RecoverError::BrokenOff(error.to_string()),
        })?;
        replay.end = end;
        Ok(replay)
    }

    /// Applies the log again and passes its events to `sink`, oldest first.
    ///
    /// # Errors
    /// Those of `sink`, or when the log can no longer be read.
    pub fn replay_events(
        &self,
        sink: impl FnMut(Event) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut state = self.base.clone();
        self.apply(&mut state, sink).map_err(|error| match error {
            ReplayError::Log(error) => StoreError::Storage(error.to_string()),
            ReplayError::Entry(error) => StoreError::Storage(error.to_string()),
            ReplayError::Sink(error) => error,
        })
    }

    fn apply(
        &self,
        state: &mut AppliedState,
        mut sink: impl FnMut(Event) -> Result<(), StoreError>,
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
                    sink(event).map_err(ReplayError::Sink)?;
                }
            }
        }
    }

    /// Whether the entries behind the snapshot belong to the same log. A node that was
    /// sent a snapshot in place of entries that were never committed, and died before
    /// it removed them, still has these entries.
    fn continues(&self, covered: LogId) -> Result<bool, ReplayError> {
        let at = self.log.entries(covered.index, 1)?;
        let here = at.first().filter(|entry| entry.log_id.index == covered.index);
        Ok(here.is_none_or(|entry| entry.log_id == covered))
    }
}

/// Why replaying failed.
enum ReplayError {
    Log(LogError),
    Entry(io::Error),
    Sink(StoreError),
}

impl From<LogError> for ReplayError {
    fn from(error: LogError) -> ReplayError {
        ReplayError::Log(error)
    }
}

fn newest(environment: &Environment, dir: PathBuf) -> io::Result<AppliedState> {
    let found = SnapshotDir::new(environment, dir).newest()?;
    let Some(found) = found else { return Ok(AppliedState::default()) };
    folder::read(&found.snapshot)
}

fn apply_entry(state: &mut AppliedState, entry: Entry) -> io::Result<Vec<Event>> {
    let events = match entry.payload {
        EntryPayload::Blank | EntryPayload::Membership(_) => Vec::new(),
        EntryPayload::Normal(proposal) => {
            apply_proposal(&mut state.tables, &entry.log_id, &proposal)?.events
        }
    };
    state.log_id = Some(entry.log_id);
    Ok(events)
}
