//! The replicated store: one state on several nodes, decided by one log.
//!
//! ```text
//!            submit                                  ask
//!              │                                      │
//!   propose to the local Raft instance,    one ReadIndex round confirms the
//!   or forward to the leader               leader for all waiting readers
//!              │                                      │
//!              ▼                                      ▼
//!   openraft ── log (write-ahead, fdatasync)       this node answers from
//!              │  └─ rpc (peers, over gRPC)        the tables it has applied
//!              │ committed entries                    ▲
//!              ▼                                      │
//!   state machine: decide ──► tables, replaced whole ─┘
//!              └──► history: newest events in memory, older ones in the archive
//! ```
//!
//! What it promises: before a command is answered, it is in the logs of a
//! majority, on disk; commands and linearizable questions are linearizable on
//! every node; a change of leader delays calls and never makes an answer wrong.
//! What it needs: a majority of the nodes, and disks that keep what `fdatasync`
//! said they keep.
//!
//! Read in this order. A module may import the ones that a file of it needs, as
//! long as no two files import each other.
//!
//! | module | holds |
//! |---|---|
//! | `store` | [`RaftStore`]: the calls of [`crate::store::Store`] |
//! | `start` | how a node comes up: folder, log, consensus, tasks |
//! | `background` | tasks that run as long as the node does |
//! | [`consensus`] | commands into the log, entries into state, linearizable reads |
//! | [`clock`] | cluster time, and how far the members' clocks differ |
//! | [`membership`] | who is a member, and how that changes |
//! | [`rpc`] | what nodes send each other over gRPC |
//! | `cancellation` | telling the members that a client has cancelled a call |
//! | [`log`] | the write-ahead log |
//! | [`snapshot`] | snapshot files |
//! | [`history`] | events: recent ones in memory, all of them in the archive |
//! | [`offline`] | export, seed and recovery of a whole state |
//! | `data_dir` | the folder of one node, and its lock |
//! | [`host`] | what a node takes from its host: disk, threads, connections, time |

mod background;
mod cancellation;
pub mod clock;
pub mod consensus;
mod data_dir;
pub mod history;
pub mod host;
pub mod log;
pub mod membership;
pub mod offline;
pub mod rpc;
pub mod snapshot;
mod start;
mod store;

pub use start::{Options, Peers, StartError, Started};
pub use store::RaftStore;
