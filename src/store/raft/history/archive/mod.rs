//! The archive: a node's whole history on its own disk, searchable by subject,
//! actor and action. It never gives a wrong answer: what it cannot prove it
//! reports as missing, and its owner fetches that again from a peer.
//!
//! Its database may lose or damage what it holds (see
//! [`crate::store::raft::host`]), so everything in it can be checked and replaced:
//! - Each record has a checksum, and each event is part of the hash chain. Reading
//!   a block proves the links between its events, reading a run also those between
//!   its blocks.
//! - The list of the ranges of revisions that are held is written in the same
//!   batch as the events. A revision that is not in the list, or fails a check,
//!   belongs to a hole.
//! - After an open everything is read once in the background, newest first, and
//!   the postings are compared with what they should be. No search over a frame is
//!   answered before the frame is proven.
//! - A hole is filled downwards from a chain value that is known to be right. The
//!   value of an event covers the one before it, so a run that ends in the known
//!   value is what happened, whoever sent it.
//!
//! Events come in after they were applied, and wait up to [`Options::linger`] to
//! share a batch. Until [`Archive::durable`] reaches them they must be available
//! elsewhere: in memory, or else in the log.
//!
//! What it costs: an event of 200 bytes takes about 1 KB of disk, most of it for
//! postings and sled's overhead. A process with a million events takes about 90 MB
//! more memory, and with 200,000 about 50 MB, however small the cache is. Proving a
//! frame takes about 10 ms.
//!
//! One worker owns the database; callers wait on channels. A damaged database is
//! moved aside to `*.damaged`, and the archive begins anew. If the disk refuses, the
//! database is closed and opened again every few seconds.
//!
//! | file | holds |
//! |---|---|
//! | `handle` | [`Archive`]: what callers ask of the worker |
//! | `types` | what goes in and comes out |
//! | `thread` | the worker's thread, and the bounded queue to it |
//! | `worker` | what the worker knows, and how it writes |
//! | `maintenance`, `adopt`, `fill` | the worker's way through opening and faults, through changes of the state, and through filling holes |
//! | `verify`, `verify_progress` | proving in the background what was found at open |
//! | `lookup`, `cursor`, `reader` | searches, their way along a list of postings, and reading events |
//! | `tail` | events that are not written yet |
//! | `format`, `posting`, `ranges` | blocks, postings, and the set of revisions that are held |
//! | `database` | the database, with a count of records read |

mod adopt;
mod cursor;
mod database;
mod fill;
mod format;
mod handle;
mod lookup;
mod maintenance;
mod posting;
mod ranges;
mod reader;
mod tail;
mod thread;
mod types;
mod verify;
mod verify_progress;
mod worker;

pub use handle::Archive;
pub(in crate::store::raft) use types::size_of;
pub use types::{
    ArchiveError, ArchiveFigures, ArchiveOpened, EventRun, EventsFound, Options, RevisionSpan,
    StatePosition,
};
