//! The archive's database by sled, in the only file that touches it. Sled 0.34.7
//! may lose what it was told to flush, refuse to open, panic, or give up on a
//! file that a bit flipped in. It is used all the same, as follows, and all that
//! comes out is a [`DatabaseFault`].
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

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::database::{Database, DatabaseFault, DatabaseRecord, Databases};

/// How long closing may wait for sled to stop its thread.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
/// How often sled wakes to write and to rewrite old segments; without it space
/// is never reclaimed.
const FLUSH_EVERY_MS: u64 = 500;

/// What sled says of a folder that is held.
const LOCKED: &str = "could not acquire lock";

/// How long a dropped sled may go on holding its folder, and how often it is
/// looked at.
const LOCKED_FOR: Duration = Duration::from_secs(10);
const LOCKED_LOOK: Duration = Duration::from_millis(10);

/// Databases by sled, in folders of the machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct SledDatabases;

impl Databases for SledDatabases {
    fn open(&self, folder: &Path, cache_bytes: u64) -> Result<Box<dyn Database>, DatabaseFault> {
        Ok(Box::new(SledDatabase::open(folder, cache_bytes)?))
    }

    fn set_aside(&self, folder: &Path) -> io::Result<()> {
        let aside = beside(folder, "damaged");
        remove(&aside)?;
        rename(folder, &aside)
    }

    fn discard(&self, folder: &Path) -> io::Result<()> {
        let aside = beside(folder, "dropped");
        remove(&aside)?;
        rename(folder, &aside)?;
        // What a crash leaves behind is removed by the next discard.
        let removing = move || remove(&aside);
        let _ = std::thread::Builder::new().name("archive-remove".into()).spawn(removing);
        Ok(())
    }
}

/// An open sled that is dropped on a thread of its own: its drop writes once more,
/// panics where the disk refuses that, and may wait for a thread that died.
struct Sled(Option<sled::Db>);

impl Sled {
    fn db(&self) -> &sled::Db {
        self.0.as_ref().expect("only a drop takes it")
    }
}

impl Drop for Sled {
    fn drop(&mut self) {
        let Some(sled) = self.0.take() else { return };
        // Where no thread can be had the drop happens here.
        let _ = std::thread::Builder::new().name("archive-drop".into()).spawn(move || drop(sled));
    }
}

/// An open database.
struct SledDatabase {
    sled: Sled,
    /// Sled's file, opened once more to sync it.
    file: File,
}

impl SledDatabase {
    fn open(folder: &Path, cache_bytes: u64) -> Result<SledDatabase, DatabaseFault> {
        fs::create_dir_all(folder)?;
        remove_half_written_snapshots(folder)?;
        let config = sled::Config::new()
            .path(folder)
            .cache_capacity(cache_bytes)
            .flush_every_ms(Some(FLUSH_EVERY_MS));
        let sled = Sled(Some(open_unlocked(&config)?));
        // Sled syncs neither of these.
        for name in ["conf", "db", "."] {
            File::open(folder.join(name))?.sync_all()?;
        }
        if let Some(parent) = folder.parent().filter(|parent| parent.is_dir()) {
            File::open(parent)?.sync_all()?;
        }
        let file = File::open(folder.join("db"))?;
        Ok(SledDatabase { sled, file })
    }
}

impl Database for SledDatabase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseFault> {
        Ok(caught(|| self.sled.db().get(key))?.map(|value| value.to_vec()))
    }

    fn last(&self, low: &[u8], high: &[u8]) -> Result<Option<DatabaseRecord>, DatabaseFault> {
        let found = caught(|| self.sled.db().range(low..=high).next_back().transpose())?;
        Ok(found.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn scan(
        &self,
        low: &[u8],
        high: &[u8],
        limit: usize,
    ) -> Result<Vec<DatabaseRecord>, DatabaseFault> {
        caught(|| {
            let records = self.sled.db().range(low..=high).take(limit);
            records.map(|r| r.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        })
    }

    fn commit(
        &self,
        puts: Vec<DatabaseRecord>,
        removals: Vec<Vec<u8>>,
    ) -> Result<(), DatabaseFault> {
        let mut batch = sled::Batch::default();
        puts.into_iter().for_each(|(key, value)| batch.insert(key, value));
        removals.into_iter().for_each(|key| batch.remove(key));
        caught(|| {
            self.sled.db().apply_batch(batch)?;
            self.sled.db().flush().map(drop)
        })?;
        self.file.sync_data()?;
        Ok(())
    }

    fn disk_bytes(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Gives up waiting where sled does not come to an end.
    fn close(mut self: Box<Self>) {
        let sled = self.sled.0.take();
        let (done, closed) = std::sync::mpsc::channel();
        let spawned = std::thread::Builder::new().name("archive-close".into()).spawn(move || {
            drop(sled);
            let _ = done.send(());
        });
        if spawned.is_ok() && closed.recv_timeout(CLOSE_WAIT).is_err() {
            tracing::warn!("the archive's database did not close in time");
        }
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

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    folder.with_file_name(name)
}

fn remove(folder: &Path) -> io::Result<()> {
    unless_missing(fs::remove_dir_all(folder))
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    unless_missing(fs::rename(from, to))
}

fn unless_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
