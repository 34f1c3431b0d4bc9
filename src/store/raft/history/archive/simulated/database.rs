//! The archive's database in a simulation: a map for each folder, which outlives
//! the node. That of the first node is lost now and then, as sled may lose it;
//! what was lost is fetched from peers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::raft::history::archive::Options;
use crate::store::raft::history::archive::format::RecordPut;

/// Why the database cannot be used on.
#[derive(Clone, Debug)]
pub(super) enum DatabaseFault {
    Io(String),
    Damaged(String),
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

thread_local! {
    static FOLDERS: RefCell<BTreeMap<PathBuf, Arc<Mutex<Map>>>> = RefCell::default();
}

/// The folder whose map is lost, every so many times that it is opened. Never
/// everybody's: the history must be somewhere.
const LOST: &str = "/node1/archive";
const LOST_EVERY: u32 = 3;

pub(super) struct Database {
    map: Arc<Mutex<Map>>,
    reads: Cell<u64>,
}

impl Database {
    pub(super) fn open(dir: &Path, _: &Options) -> Result<Database, DatabaseFault> {
        if dir == Path::new(LOST) && rand::random_ratio(1, LOST_EVERY) {
            FOLDERS.with_borrow_mut(|folders| folders.remove(dir));
        }
        let map = FOLDERS.with_borrow_mut(|folders| folders.entry(dir.into()).or_default().clone());
        Ok(Database { map, reads: Cell::new(0) })
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseFault> {
        Ok(self.map().get(key).cloned())
    }

    pub(super) fn first(
        &self,
        low: &[u8],
        high: &[u8],
    ) -> Result<Option<RecordPut>, DatabaseFault> {
        Ok(self.scan(low, high, 1)?.pop())
    }

    pub(super) fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<RecordPut>, DatabaseFault> {
        let map = self.map();
        let last = map.range::<[u8], _>(between(low, high)).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    pub(super) fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
    ) -> Result<Vec<RecordPut>, DatabaseFault> {
        let map = self.map();
        let found = map.range::<[u8], _>(between(low, high)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    pub(super) fn keys(&self, low: &[u8], high: &[u8]) -> Result<Vec<Vec<u8>>, DatabaseFault> {
        Ok(self.map().range::<[u8], _>(between(low, high)).map(|(key, _)| key.clone()).collect())
    }

    pub(super) fn commit(
        &self,
        puts: Vec<RecordPut>,
        removals: Vec<Vec<u8>>,
    ) -> Result<(), DatabaseFault> {
        let mut map = self.map();
        map.extend(puts);
        removals.iter().for_each(|key| _ = map.remove(key));
        Ok(())
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads.get()
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        0
    }

    pub(super) fn close(self) {}

    pub(super) fn abandon(self) {}
}

fn between<'a>(low: &'a [u8], high: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(low), Bound::Included(high))
}

impl From<io::Error> for DatabaseFault {
    fn from(error: io::Error) -> DatabaseFault {
        DatabaseFault::Io(error.to_string())
    }
}
