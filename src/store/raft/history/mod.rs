//! The history of a node: the newest events in memory and all older ones in the
//! archive, queried as if they were one.
//!
//! The state machine hands each event over and does not wait for a disk. One task
//! archives the events, another fetches from peers what the archive lacks, and an
//! event leaves memory only when the archive has it on disk.
//!
//! If the archive lags, memory may grow to four times its usual bound. Then
//! applying waits for as long as the archive makes progress: a node whose disk is
//! slow is slow. If nothing was archived for the `stall` time of [`Options`], the
//! oldest events are dropped from memory unarchived, but only if there are peers:
//! each peer keeps the whole history, and the hole is fetched as soon as the
//! archive works again. A node without peers goes on waiting. A crash loses
//! nothing either, because the log keeps every entry until [`History::archived`]
//! says that its events are archived.
//!
//! Read in this order:
//!
//! | file | holds |
//! |---|---|
//! | `handle` | [`History`], which the rest of the node uses |
//! | `options` | how much stays in memory, and how long to wait |
//! | `recent` | the events in memory |
//! | [`archive`] | all events, on disk |
//! | `source` | the interface to the peers' history |
//! | `peer_source` | its implementation over the peer network |
//! | `shared` | what the handle and the tasks share |
//! | `tasks` | archiving events, and fetching what is missing |
//! | `answer` | answers that span memory and archive, and checking a peer's answer |
//! | `chain_check` | proof that a history is complete |

pub(crate) mod answer;
pub mod archive;
pub(crate) mod chain_check;
mod handle;
mod options;
pub(crate) mod peer_source;
mod recent;
mod shared;
mod source;
mod tasks;

pub use handle::History;
pub use options::Options;
pub use source::{HistorySource, HistorySourceError, PeerQuestion};
