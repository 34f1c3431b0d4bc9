//! The disk on which a node keeps its log, its snapshots and who it is: only
//! the calls that the node makes, so that a simulation can put a disk in its
//! place that forgets what was not synced when the node crashes.
//!
//! All calls block.

use std::fmt;
use std::fs::TryLockError;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// To be read; it must exist.
    Read,
    /// To be read and written; it must exist.
    Write,
    /// As [`OpenMode::Write`]; created where it does not exist.
    Create,
    /// As [`OpenMode::Create`], but what it held is gone.
    Replace,
}

/// A disk.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound` where it must exist and does not; or the disk refuses.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, in place of a file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Creates a folder and those that it is in, where they do not exist.
    fn create_dir_all(&self, folder: &Path) -> io::Result<()>;

    /// The paths of everything in a folder, in no particular order.
    fn read_dir(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes names that came and went in `folder` durable.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.bytes()?).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// An open file. It is closed when the last reference to it is dropped.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Its length.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads bytes from `at` on; none at the file's end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `at`.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Makes what was written durable (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;

    /// As [`DiskFile::sync_data`], and what is known of the file besides, such
    /// as its time of change (`fsync`).
    fn sync_all(&self) -> io::Result<()>;

    /// Locks the file against other processes for as long as it is open.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`] where another process holds the lock.
    fn try_lock(&self) -> Result<(), TryLockError>;

    /// Reads as many bytes from `at` on as `buffer` has.
    ///
    /// # Errors
    /// `UnexpectedEof` where the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_at(&mut buffer[done..], at + done as u64) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
