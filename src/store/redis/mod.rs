//! The Redis store: one state in one Redis, shared by any number of sidecars that
//! know nothing of one another.
//!
//! ```text
//!   waiting commands ──► writer                  questions
//!                          │ fetch.lua: rows, ranges and searches  │
//!                          │ that the batch needs, if it is this   │ fetch.lua
//!                          ▼ sidecar's turn                        ▼
//!                     decide, one after another                  answer
//!                          │
//!                          ▼ commit.lua: compare the version, write, pass the turn on
//!                        Redis ──── "revision, next turn" ───► every sidecar
//! ```
//!
//! Revisions and the chain stay exact although many sidecars write. Every command
//! reads the state's position (revision, chain, clocks), and every commit checks
//! that no other commit has happened since that position was read. So if two
//! batches were decided on the same state, one commits and the other is decided
//! again, and commits follow one another as in a single thread. To avoid wasted
//! work, busy sidecars take turns, and each commits everything that waits in it.
//!
//! The store is linearizable as long as one primary lives. It is as durable as its
//! Redis: with `appendonly yes` and `appendfsync always`, acknowledged writes
//! survive a crash; `everysec` may lose about a second of them. A failover of
//! Redis is asynchronous, so the new primary may lack the newest acknowledged
//! writes and then hands out revisions and tokens a second time; and a primary
//! that is cut off continues beside it. If a sidecar finds that commits which it
//! has seen are gone, it logs that.
//!
//! Deadlines are judged by Redis's own clock, which all sidecars share.
//!
//! | file | holds |
//! |---|---|
//! | `store` | [`RedisStore`], and how it opens and answers calls |
//! | `options`, `address`, `access` | where the state is; finding the primary; what opening finds there |
//! | `layout`, `event_entry` | the keys, and how rows and events are stored in them |
//! | `connection`, `server_check` | a connection that is made again when it breaks, and which servers are accepted |
//! | `fetch`, `read_set`, `working_set` | reading: one round trip, everything that a batch needs, a state that changes while a batch is decided |
//! | `writer`, `commit`, `batch`, `writes` | writing: the task, one attempt to commit, the commands of a batch, the Redis commands that they become |
//! | `reader`, `retry` | answering questions; repeating reads while Redis is away |
//! | `listener` | hearing of commits and turns |
//! | `export`, `export_pages`, `import`, `upgrade` | a whole state out of a Redis and into one; upgrading the first format |
//! | `shared`, `error` | what the tasks share; what can go wrong |

pub(in crate::store) mod access;
mod address;
mod batch;
mod commit;
mod connection;
pub(in crate::store) mod error;
mod event_entry;
mod export;
mod export_pages;
pub(in crate::store) mod fetch;
pub(in crate::store) mod import;
mod layout;
mod listener;
pub(in crate::store) mod options;
mod read_set;
mod reader;
mod retry;
mod server_check;
mod shared;
mod store;
mod upgrade;
mod working_set;
mod writer;
mod writes;

pub use address::is_url;
pub use error::RedisOpenError;
pub use import::{RedisImport, RedisImportError};
pub use options::{MoveIn, Options, is_prefix};
pub use shared::RedisClock;
pub use store::RedisStore;
