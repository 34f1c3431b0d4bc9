//! What a node takes from the host that it runs on: disk, threads, the
//! archive's database, connections, time and random numbers. A node is given
//! all of it at its start as one [`Environment`], so that a simulation can
//! replace every part without a switch inside the code.
//!
//! | file | holds |
//! |---|---|
//! | `environment` | [`Environment`]: all parts together, and those of the machine |
//! | `disk` | [`Disk`] and [`DiskFile`]: files, as far as a node uses them |
//! | `system_disk` | the machine's own disk, by `std::fs` |
//! | `sequential` | a [`DiskFile`] read or written from its start to its end |
//! | `threads` | [`Threads`]: work that keeps a thread waiting |
//! | `database` | [`Database`]: the ordered key-value store of the archive |
//! | `sled_database` | the same by sled; the only file that touches it |
//! | `dial` | [`Dial`]: connections to peers |
//!
//! Nothing here knows of Raft; everything of a node may import it.

mod database;
mod dial;
mod disk;
mod environment;
mod sequential;
mod sled_database;
mod system_disk;
mod threads;

pub use database::{Database, DatabaseFault, DatabaseRecord, Databases};
pub use dial::{Dial, Duplex, Tcp};
pub use disk::{Disk, DiskFile, OpenMode};
pub use environment::Environment;
pub use sequential::SequentialFile;
pub use system_disk::SystemDisk;
pub use threads::{SystemThreads, Threads};
