//! The archive's database, with a count of the records that were read.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::raft::host::{Database, DatabaseFault, DatabaseRecord};

/// An open database of one archive.
pub(super) struct ArchiveDatabase {
    database: Box<dyn Database>,
    reads: Cell<u64>,
    /// Counted on for whoever opened the archive.
    reads_total: Arc<AtomicU64>,
}

impl ArchiveDatabase {
    pub(super) fn new(database: Box<dyn Database>, reads_total: Arc<AtomicU64>) -> Self {
        ArchiveDatabase { database, reads: Cell::new(0), reads_total }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseFault> {
        let value = self.database.get(key)?;
        self.count(value.is_some().into());
        Ok(value)
    }

    /// The first record from `low` to `high`, both included.
    pub(super) fn first(
        &self,
        low: &[u8],
        high: &[u8],
    ) -> Result<Option<DatabaseRecord>, DatabaseFault> {
        Ok(self.scan(low, high, 1)?.pop())
    }

    /// The last record from `low` to `high`, both included.
    pub(super) fn last(
        &self,
        low: &[u8],
        high: &[u8],
    ) -> Result<Option<DatabaseRecord>, DatabaseFault> {
        let found = self.database.last(low, high)?;
        self.count(found.is_some().into());
        Ok(found)
    }

    /// Up to `limit` records from `low` to `high`, both included.
    pub(super) fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
    ) -> Result<Vec<DatabaseRecord>, DatabaseFault> {
        let found = self.database.scan(low, high, limit)?;
        self.count(found.len() as u64);
        Ok(found)
    }

    /// Writes and removes, all or nothing, and returns when it is on the disk.
    pub(super) fn commit(
        &self,
        puts: Vec<DatabaseRecord>,
        removals: Vec<Vec<u8>>,
    ) -> Result<(), DatabaseFault> {
        self.database.commit(puts, removals)
    }

    /// How many records were read so far.
    pub(super) fn reads(&self) -> u64 {
        self.reads.get()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.database.disk_bytes()
    }

    pub(super) fn close(self) {
        self.database.close();
    }

    fn count(&self, records: u64) {
        self.reads.set(self.reads.get() + records);
        self.reads_total.fetch_add(records, Ordering::Relaxed);
    }
}
