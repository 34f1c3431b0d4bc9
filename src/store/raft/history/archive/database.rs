//! The only file that touches sled. Sled 0.34.7 may lose what it was told to
//! flush, refuse to open, panic, or give up on a file that a bit flipped in;
//! here is how we use it all the same, and all that comes out is a [`DatabaseFault`].
//!
//! - Its `flush` is no sync (spacejam/sled issue 1452): we sync its file.
//! - Whatever must be there together goes in one batch before one sync.
//! - A `snap.*.generating` left by a crash stops it from opening (issue 1527).
//! - It panics on what it finds damaged, at open and later: every call is
//!   caught. After a fault the instance is not used again, and dropped on a
//!   thread of its own, since sled's drop may wait for a thread that died.
//! - What it loses silently it loses while it opens, when it takes a damaged
//!   message for the end of a segment; a page read later is checked. So what
//!   was found at open must be proven once (see `proof`), not at every read.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Options;
use super::format::RecordPut;

/// How long closing may wait for sled to stop its thread.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How often sled wakes to write and to rewrite old segments; without it space
/// is never reclaimed.
const FLUSH_EVERY_MS: u64 = 500;

/// Why sled cannot be used on.
#[derive(Clone, Debug)]
pub(super) enum DatabaseFault {
    /// The disk refused; the files may be good.
    Io(String),
    /// The files, or sled itself, are not to be trusted.
    Damaged(String),
}

/// What sled says of a folder that is held.
const LOCKED: &str = "could not acquire lock";

/// How long a dropped sled may go on holding its folder, and how often it is
/// looked at.
const LOCKED_FOR: Duration = Duration::from_secs(10);
const LOCKED_LOOK: Duration = Duration::from_millis(10);

/// An open sled.
pub(super) struct Database {
    sled: sled::Db,
    /// Sled's file, opened once more to sync it.
    file: File,
    reads: Cell<u64>,
    /// Counts on for whoever opened it.
    reads_seen: Arc<AtomicU64>,
}

impl Database {
    /// Opens or creates the database in `dir`.
    pub(super) fn open(dir: &Path, options: &Options) -> Result<Database, DatabaseFault> {
        fs::create_dir_all(dir)?;
        remove_half_written_snapshots(dir)?;
        let config = sled::Config::new()
            .path(dir)
            .cache_capacity(options.cache_bytes)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let sled = open_unlocked(&config)?;
        // Sled syncs neither of these.
        for name in ["conf", "db", "."] {
            File::open(dir.join(name))?.sync_all()?;
        }
        if let Some(parent) = dir.parent().filter(|parent| parent.is_dir()) {
            File::open(parent)?.sync_all()?;
        }
        let file = File::open(dir.join("db"))?;
        Ok(Database { sled, file, reads: Cell::new(0), reads_seen: options.reads.clone() })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseFault> {
        let value = caught(|| self.sled.get(key))?;
        self.count(value.is_some().into());
        Ok(value.map(|value| value.to_vec()))
    }

    /// The first record from `low` to `high`, both included.
    pub(super) fn first(
        &self,
        low: &[u8],
        high: &[u8],
    ) -> Result<Option<RecordPut>, DatabaseFault> {
        Ok(self.scan(low, high, 1)?.pop())
    }

    /// The last record from `low` to `high`, both included.
    pub(super) fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<RecordPut>, DatabaseFault> {
        let found = caught(|| self.sled.range(low..=high).next_back().transpose())?;
        self.count(found.is_some().into());
        Ok(found.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    /// Up to `limit` records from `low` to `high`, both included.
    pub(super) fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
    ) -> Result<Vec<RecordPut>, DatabaseFault> {
        let found: Vec<RecordPut> = caught(|| {
            let records = self.sled.range(low..=high).take(limit);
            records.map(|r| r.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        })?;
        self.count(found.len() as u64);
        Ok(found)
    }

    /// The keys from `low` to `high`, both included.
    pub(super) fn keys(&self, low: &[u8], high: &[u8]) -> Result<Vec<Vec<u8>>, DatabaseFault> {
        caught(|| self.sled.range(low..=high).keys().map(|k| k.map(|key| key.to_vec())).collect())
    }

    /// Writes and removes, all or nothing, and returns when it is on the disk.
    pub(super) fn commit(
        &self,
        puts: Vec<RecordPut>,
        removals: Vec<Vec<u8>>,
    ) -> Result<(), DatabaseFault> {
        let mut batch = sled::Batch::default();
        puts.into_iter().for_each(|(key, value)| batch.insert(key, value));
        removals.into_iter().for_each(|key| batch.remove(key));
        caught(|| {
            self.sled.apply_batch(batch)?;
            self.sled.flush().map(drop)
        })?;
        self.file.sync_data()?;
        Ok(())
    }

    /// How many records were read so far.
    pub(super) fn reads(&self) -> u64 {
        self.reads.get()
    }

    fn count(&self, records: u64) {
        self.reads.set(self.reads.get() + records);
        self.reads_seen.fetch_add(records, Ordering::Relaxed);
    }

    /// Bytes of its file.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Closes in order; gives up waiting where sled does not come to an end.
    pub(super) fn close(self) {
        let (done, closed) = std::sync::mpsc::channel();
        let spawned = std::thread::Builder::new().name("archive-close".into()).spawn(move || {
            drop(self);
            let _ = done.send(());
        });
        if spawned.is_ok() && closed.recv_timeout(CLOSE_WAIT).is_err() {
            tracing::warn!("the archive's database did not close in time");
        }
    }

    /// Lets go of an instance that had a fault, without waiting for it.
    pub(super) fn abandon(self) {
        // Where no thread can be had the drop happens here.
        let _ = std::thread::Builder::new().name("archive-drop".into()).spawn(move || drop(self));
    }
}

/// Opens sled. One that was dropped a moment ago is held by its own threads for
/// a little longer, and its lock with it; other processes the node's folder
/// keeps out.
fn open_unlocked(config: &sled::Config) -> Result<sled::Db, DatabaseFault> {
    let deadline = Instant::now() + LOCKED_FOR;
    loop {
        match caught(|| config.open()) {
            Err(DatabaseFault::Io(why)) if why.contains(LOCKED) && Instant::now() < deadline => {
                std::thread::sleep(LOCKED_LOOK);
            }
            opened => return opened,
        }
    }
}

fn remove_half_written_snapshots(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Runs a call into sled. Nothing of ours is left half changed by a panic in
/// it, and after one the instance is thrown away: hence unwind safe.
fn caught<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, DatabaseFault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(DatabaseFault::from),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(DatabaseFault::Damaged(format!("sled panicked: {text}")))
        }
    }
}

impl From<sled::Error> for DatabaseFault {
    fn from(error: sled::Error) -> DatabaseFault {
        match error {
            sled::Error::Io(error) => DatabaseFault::from(error),
            sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)
            | sled::Error::Corruption { .. } => DatabaseFault::Damaged(error.to_string()),
        }
    }
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
