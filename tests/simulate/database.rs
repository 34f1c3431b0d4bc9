//! The archive's database of a simulated node: a map that outlives the node, as
//! a disk does. It may be lost while the node is down, as sled may lose it; the
//! node then fetches from peers what it held.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_state_sidecar::store::raft::host::{Database, DatabaseFault, DatabaseRecord, Databases};

/// A database that may be lost is lost once in so many times that it is opened.
const LOST_EVERY: u32 = 3;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// The one database of a node. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDatabases {
    map: Arc<Mutex<Map>>,
    may_be_lost: bool,
}

struct OpenMap(Arc<Mutex<Map>>);

impl SimulatedDatabases {
    pub fn new(may_be_lost: bool) -> SimulatedDatabases {
        SimulatedDatabases { may_be_lost, ..SimulatedDatabases::default() }
    }
}

impl Databases for SimulatedDatabases {
    fn open(&self, folder: &Path, _: u64) -> Result<Box<dyn Database>, DatabaseFault> {
        if self.may_be_lost && rand::random_ratio(1, LOST_EVERY) {
            self.discard(folder)?;
        }
        Ok(Box::new(OpenMap(self.map.clone())))
    }

    fn set_aside(&self, folder: &Path) -> io::Result<()> {
        self.discard(folder)
    }

    fn discard(&self, _: &Path) -> io::Result<()> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

impl OpenMap {
    fn map(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database for OpenMap {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseFault> {
        Ok(self.map().get(key).cloned())
    }

    fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<DatabaseRecord>, DatabaseFault> {
        let map = self.map();
        let last = map.range::<[u8], _>(between(low, high)).next_back();
        Ok(last.map(|(key, value)| (key.clone(), value.clone())))
    }

    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
    ) -> Result<Vec<DatabaseRecord>, DatabaseFault> {
        let map = self.map();
        let found = map.range::<[u8], _>(between(low, high)).take(limit);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn commit(
        &self,
        puts: Vec<DatabaseRecord>,
        removals: Vec<Vec<u8>>,
    ) -> Result<(), DatabaseFault> {
        let mut map = self.map();
        map.extend(puts);
        removals.iter().for_each(|key| _ = map.remove(key));
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        0
    }

    fn close(self: Box<Self>) {}
}

fn between<'a>(low: &'a [u8], high: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(low), Bound::Included(high))
}
