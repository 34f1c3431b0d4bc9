//! The SQLite store: one file on one machine, shared by any number of processes.
//! Every answered command is on the disk.
//!
//! The life of a command: it waits in the queue. The writer thread takes the
//! file's write lock (`BEGIN IMMEDIATE`) and then every command that waits. It
//! stamps each of them, decides it on a view within the transaction, and writes
//! its changes at once. One `COMMIT` with one sync ends the transaction for all of
//! them, and then they are answered.
//!
//! Several processes may share the file. The lock serialises their transactions,
//! and each transaction begins by reading the state's position (revision, chain,
//! clocks) again, so it makes no difference which process decides a command. All
//! of them must run on one machine, because SQLite's locks and the index of its
//! log are in shared memory.
//!
//! Questions are answered beside the writer, each from one snapshot.
//!
//! | file | holds |
//! |---|---|
//! | `store` | [`SqliteStore`], its options, and how it answers calls |
//! | `writer`, `batch` | the thread that commits, and the commands of one transaction |
//! | `reader` | the connections that answer questions |
//! | `view`, `history`, `commit` | the state within one transaction: looking rows up, looking events up, writing changes |
//! | `reclaim` | what a reset leaves behind, deleted in pieces |
//! | `table`, `rows`, `write` | the tables and their statements; rows from columns and back |
//! | `open`, `upgrade` | opening a file, and upgrading one of an older version |
//! | `schema`, `connect` | the file's format; connections and how they are configured |
//! | `export`, `import` | a whole state out of a file and into one |
//! | `shared`, `error` | what the store and its writer share; what can go wrong |

mod batch;
mod commit;
pub(in crate::store) mod connect;
pub(in crate::store) mod error;
mod export;
mod history;
mod import;
mod open;
mod reader;
mod reclaim;
mod rows;
pub(in crate::store) mod schema;
mod shared;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod upgrade;
pub(in crate::store) mod view;
pub(in crate::store) mod write;
mod writer;

pub use error::SqliteOpenError;
pub use export::{SqliteExportError, export_file};
pub use import::{SqliteImport, SqliteImportError};
pub use open::create_folder;
pub use store::{Options, SqliteStore};
