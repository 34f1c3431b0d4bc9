//! The write-ahead log of a node: the Raft log and the vote, on disk.
//!
//! Promise: what was acknowledged is there after a crash or a power loss,
//! unchanged and in order; or the log refuses to open and says what is damaged.
//! It is never shorter in silence. What entries mean is the state machine's,
//! and the folder's lock and version are its owner's.
//!
//! # How a commit runs
//! Callers put requests into one queue (`storage`); the index (`index`) says at
//! once what they lead to. One thread (`writer`) takes all that waits, writes
//! it as one record (`record`, `payload`) at the end of the active segment
//! (`segment`), syncs the file once, and answers them all. When a segment is
//! full it is sealed and the next one begins with a head: the state so far
//! (`state`), so that older segments can go. Another thread (`janitor`) makes
//! the next segment ahead of need and deletes old ones.
//!
//! # Invariants
//! - One record at most is written and not synced; so `tail` can tell a record
//!   that power loss cut from one that was acknowledged and then damaged.
//! - Sequence numbers and checksums chain all records, across segments.
//! - A seal is written once the next segment is durable, and a head once the
//!   seal is: used segments are sealed but for the last.
//! - A segment is deleted once a synced record says that it is not needed.
//!
//! # What it assumes of a disk
//! A sector of 512 bytes is written whole or not at all, and `fdatasync` means
//! it. An acknowledged last record whose whole sectors turn to zero cannot be
//! told from a torn one; a single flipped bit can.

mod error;
mod index;
mod payload;
mod queue;
mod read_only;
mod reader;
mod record;
mod recovery;
mod replay;
mod segment;
mod segment_dir;
mod segment_pool;
mod state;
mod stats;
mod storage;
mod tail;
mod writer;

use std::fmt;

pub use error::LogError;
pub use read_only::ReadOnlyLog;
pub use reader::LogReader;
pub use stats::LogStats;
pub use storage::LogStore;

/// How large the log's parts may grow.
#[derive(Clone, Debug)]
pub struct Options {
    /// The size of a segment. Small enough that a purge frees room soon, large
    /// enough that sealing is rare.
    pub segment_bytes: u64,
    /// Entries kept in memory: those a replica or the state machine reads next.
    pub cache_bytes: u64,
    /// Entries that may wait for the disk; an append waits beyond that.
    pub queue_bytes: u64,
    /// Entries given out by one read: a message to a replica.
    pub read_bytes: u64,
    /// Refuse an empty folder: the node has run before, so its log was lost.
    pub must_exist: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            cache_bytes: 32 << 20,
            queue_bytes: 64 << 20,
            read_bytes: 4 << 20,
            must_exist: false,
        }
    }
}

/// The number of a record: 1 for the first ever, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seq(u64);

/// The number of a segment: 1 for the first ever, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct SegmentNumber(u64);

impl SegmentNumber {
    const FIRST: Self = Self(1);

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
