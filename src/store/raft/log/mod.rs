//! The write-ahead log of a node: the Raft log and the vote, on disk.
//!
//! Promise: what was acknowledged is there after a crash or a power loss,
//! unchanged and in order; otherwise the log refuses to open and says what is
//! damaged. It never loses entries silently. What entries mean is up to the
//! state machine; the folder's lock and format belong to `data_dir`.
//!
//! # How a commit runs
//! Callers put requests into one queue, and the index says at once what the log
//! will hold after them. The writer, which has a thread of its own, takes all
//! requests that wait, writes them as one record at the end of the active
//! segment, syncs the file once, and answers them all. A full segment is sealed.
//! The next one begins with a head, the state so far, so that older segments can
//! be deleted. The segment pool makes the next segment ahead of need and deletes
//! old ones, on another thread.
//!
//! # Files, in reading order
//! | file | holds |
//! |---|---|
//! | `storage` | [`LogStore`]: the log as openraft sees it |
//! | `queue` | requests, and the groups that share a record |
//! | `writer` | the thread that writes and syncs one group after another |
//! | `segment`, `segment_dir`, `segment_pool` | a segment, the folder of them, and the thread that makes and deletes them |
//! | `record`, `payload` | the form of a record, and the operations in it |
//! | `location` | where an entry lies on disk |
//! | `index` | which entries the log holds, and where |
//! | `state` | the vote, the bounds of the log, and which segments are needed |
//! | `reader` | reading entries |
//! | `recovery`, `replay`, `tail` | opening: the folder, its records, and the end of the last segment |
//! | `read_only` | [`ReadOnlyLog`]: a log that nobody writes |
//! | `options`, `error`, `stats`, `numbers` | settings, errors, figures, record and segment numbers |
//!
//! # Invariants
//! - At most one record is written and not yet synced. So `tail` can tell a
//!   record that power loss cut from one that was acknowledged and then damaged.
//! - Sequence numbers and checksums chain all records, across segments.
//! - A seal is written once the next segment is durable, and a head once the
//!   seal is. So all segments in use except the last are sealed.
//! - A segment is deleted once a synced record says that it is not needed.
//!
//! # What it assumes of a disk
//! A sector of 512 bytes is written whole or not at all, and `fdatasync` keeps
//! its promise. If whole sectors of the last acknowledged record turn to zero,
//! it cannot be told from a torn one; a single flipped bit can.

mod error;
mod index;
mod location;
mod numbers;
mod options;
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

pub use error::LogError;
pub use options::Options;
pub use read_only::ReadOnlyLog;
pub use reader::LogReader;
pub use stats::LogStats;
pub use storage::LogStore;
