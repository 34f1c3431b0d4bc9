//! A log that no process writes, read without changing a byte of it.
//!
//! It accepts and refuses what [`super::LogStore::open`] would. A record that
//! power loss cut is skipped, but stays where it is. A log in which anything
//! acknowledged is missing or changed is refused.

use std::path::Path;
use std::sync::Arc;

use super::error::LogError;
use super::numbers::SegmentNumber;
use super::options::Options;
use super::reader::load;
use super::recovery::{first_of_last_run, must_be_blank};
use super::replay::LogReplay;
use super::segment_dir::SegmentDir;
use super::tail::SegmentTail;
use crate::store::raft::consensus::entry::{Entry, LogId};
use crate::store::raft::host::{Disk, OpenMode};

/// What the log in a folder holds.
pub struct ReadOnlyLog {
    replay: LogReplay,
}

impl ReadOnlyLog {
    /// Reads the log in `dir`. Blocks.
    ///
    /// # Errors
    /// When anything acknowledged is missing or changed, or the disk fails.
    pub fn read(disk: &Arc<dyn Disk>, dir: &Path) -> Result<ReadOnlyLog, LogError> {
        let dir = SegmentDir::new(disk, dir);
        let numbers = dir.list()?;
        if numbers.is_empty() {
            let path = dir.path(SegmentNumber::FIRST);
            let reason = "the folder has no segment, but this node had a log".into();
            return Err(LogError::Missing { path, reason });
        }
        let first = first_of_last_run(&numbers);
        let cache_bytes = Options::default().cache_bytes;
        let mut replay = LogReplay::new(&dir, first, cache_bytes, OpenMode::Read);
        for number in numbers.into_iter().filter(|number| *number >= first) {
            match replay.expects(number) {
                true => replay.segment(number)?,
                false => must_be_blank(&dir, number)?,
            }
        }
        replay.check(first)?;
        Ok(ReadOnlyLog { replay })
    }

    /// The last entry that was purged.
    pub fn purged(&self) -> Option<LogId> {
        self.replay.state.purged
    }

    /// The last entry, or the last purged one if no other is left.
    pub fn last(&self) -> Option<LogId> {
        self.replay.state.last
    }

    /// How far the log says that it was committed: at most up to its last entry.
    pub fn committed(&self) -> Option<LogId> {
        let (committed, last) = (self.replay.state.committed?, self.last()?);
        Some(if committed.index <= last.index { committed } else { last })
    }

    /// Whether the record at its end was cut, which was never acknowledged.
    pub fn is_torn(&self) -> bool {
        self.replay.active.as_ref().is_some_and(|active| active.tail == SegmentTail::Torn)
    }

    /// Entries from `index` on, as many as `bytes_max` allows but at least one, if
    /// there are any.
    ///
    /// # Errors
    /// When an entry can no longer be read as it was.
    pub fn entries(&self, index: u64, bytes_max: u64) -> Result<Vec<Entry>, LogError> {
        self.replay.index.sources(index..u64::MAX, bytes_max).into_iter().map(load).collect()
    }
}
