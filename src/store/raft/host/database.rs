//! The ordered key-value store in which the archive keeps the history. It may
//! lose what it holds and say so, or even say nothing: the archive proves what
//! it reads, and fetches from peers what is missing.
//!
//! All calls block.

use std::fmt;
use std::io;
use std::path::Path;

/// A key and its value.
pub type DatabaseRecord = (Vec<u8>, Vec<u8>);

/// Why a database cannot be used on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseFault {
    /// The disk refused; the files may be good.
    Io(String),
    /// The files, or the database itself, are not to be trusted.
    Damaged(String),
}

/// Opens databases, each in a folder of its own.
pub trait Databases: fmt::Debug + Send + Sync + 'static {
    /// Opens or creates the database in `folder`, which may keep `cache_bytes`
    /// of its pages in memory.
    fn open(&self, folder: &Path, cache_bytes: u64) -> Result<Box<dyn Database>, DatabaseFault>;

    /// Moves a damaged database aside, for a person to look at, in place of one
    /// that was moved there earlier.
    fn set_aside(&self, folder: &Path) -> io::Result<()>;

    /// Removes a database, whose files may go in the background.
    fn discard(&self, folder: &Path) -> io::Result<()>;
}

/// An open database. Bounds of ranges are included. To drop it is to let go of it
/// after a fault: that neither waits nor panics.
pub trait Database: Send + 'static {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseFault>;

    /// The last record from `low` to `high`.
    fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<DatabaseRecord>, DatabaseFault>;

    /// The first records from `low` to `high`, up to `limit` of them.
    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
    ) -> Result<Vec<DatabaseRecord>, DatabaseFault>;

    /// Writes and removes, all or nothing, and returns once it is on the disk.
    fn commit(
        &self,
        puts: Vec<DatabaseRecord>,
        removals: Vec<Vec<u8>>,
    ) -> Result<(), DatabaseFault>;

    /// What it takes on the disk.
    fn disk_bytes(&self) -> u64;

    /// Closes it in order.
    fn close(self: Box<Self>);
}

impl From<io::Error> for DatabaseFault {
    fn from(error: io::Error) -> DatabaseFault {
        match error.kind() {
            // What sled reports for files that are cut short or make no sense.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                DatabaseFault::Damaged(error.to_string())
            }
            _ => DatabaseFault::Io(error.to_string()),
        }
    }
}
