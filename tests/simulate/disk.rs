//! The disk of a simulated host, by turmoil: at a crash it forgets what was not
//! synced, names included, and tears writes into sectors.

use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mcp_state_sidecar::store::raft::host::{Disk, DiskFile, OpenMode};
use turmoil::fs::shim::std::fs::{self, File, OpenOptions};

/// How segments of the log are called.
const SEGMENT_EXTENSION: &str = ".wal";

/// A simulated disk.
#[derive(Debug, Default)]
pub struct SimulatedDisk {
    /// It says that the log is synced and does nothing.
    pub forgets_log: bool,
    /// Files that may be open; see [`SimulatedDisk::rename`].
    open: Mutex<Vec<Weak<SimulatedFile>>>,
}

/// An open file of it.
#[derive(Debug)]
struct SimulatedFile {
    file: Mutex<(PathBuf, File)>,
    mode: OpenMode,
    ignores_sync: bool,
}

impl SimulatedDisk {
    pub fn new(forgets_log: bool) -> SimulatedDisk {
        SimulatedDisk { forgets_log, open: Mutex::default() }
    }
}

impl Disk for SimulatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let of_log = path.to_string_lossy().contains(SEGMENT_EXTENSION);
        let file = Arc::new(SimulatedFile {
            file: Mutex::new((path.to_owned(), open(path, mode)?)),
            mode,
            ignores_sync: self.forgets_log && of_log,
        });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.strong_count() > 0);
        open.push(Arc::downgrade(&file));
        Ok(file)
    }

    /// Turmoil's open files go by the names under which they were opened, so
    /// each is opened again under its new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        let open_files = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for file in open_files.iter().filter_map(Weak::upgrade) {
            let mut inner = file.lock();
            if inner.0 == from {
                let mode = match file.mode {
                    OpenMode::Read => OpenMode::Read,
                    OpenMode::Write | OpenMode::Create | OpenMode::Replace => OpenMode::Write,
                };
                *inner = (to.to_owned(), open(to, mode)?);
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn read_dir(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        fs::sync_dir(folder)
    }
}

fn open(path: &Path, mode: OpenMode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    match mode {
        OpenMode::Read => &mut options,
        OpenMode::Write => options.write(true),
        OpenMode::Create => options.write(true).create(true),
        OpenMode::Replace => options.write(true).create(true).truncate(true),
    };
    options.open(path)
}

impl SimulatedFile {
    fn lock(&self) -> MutexGuard<'_, (PathBuf, File)> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for SimulatedFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.lock().1.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.lock().1.read_at(buffer, at)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.lock().1.write_all_at(bytes, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.ignores_sync {
            true => Ok(()),
            false => self.lock().1.sync_data(),
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        self.lock().1.sync_all()
    }

    /// A simulated disk has one host, and so nobody who could hold the lock.
    fn try_lock(&self) -> Result<(), TryLockError> {
        Ok(())
    }
}
