//! The folder of the segments: their names, and which of them are there.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::numbers::SegmentNumber;
use crate::store::raft::host::Disk;

const SUFFIX: &str = ".wal";
const UNFINISHED_SUFFIX: &str = ".wal.tmp";

/// A folder of segments on a disk.
#[derive(Clone, Debug)]
pub(super) struct SegmentDir {
    pub disk: Arc<dyn Disk>,
    pub folder: PathBuf,
}

impl SegmentDir {
    pub fn new(disk: &Arc<dyn Disk>, folder: &Path) -> SegmentDir {
        SegmentDir { disk: disk.clone(), folder: folder.to_owned() }
    }

    /// The file of a segment.
    pub fn path(&self, number: SegmentNumber) -> PathBuf {
        self.folder.join(format!("{:016x}{SUFFIX}", number.0))
    }

    /// The file of a segment that is not whole yet.
    pub fn unfinished_path(&self, number: SegmentNumber) -> PathBuf {
        self.folder.join(format!("{:016x}{UNFINISHED_SUFFIX}", number.0))
    }

    /// The numbers of all segments, in order. Nothing is changed.
    pub fn list(&self) -> Result<Vec<SegmentNumber>, LogError> {
        self.files().map(|(numbers, _unfinished)| numbers)
    }

    /// Removes what processes that were killed left unfinished.
    pub fn remove_unfinished(&self) -> Result<(), LogError> {
        let (_numbers, unfinished) = self.files()?;
        for path in unfinished {
            self.disk.remove_file(&path).map_err(|source| LogError::io("remove", &path, source))?;
        }
        Ok(())
    }

    /// All bytes of a segment's file.
    pub fn read(&self, number: SegmentNumber) -> Result<Vec<u8>, LogError> {
        let path = self.path(number);
        self.disk.read(&path).map_err(|source| LogError::io("read", &path, source))
    }

    /// Removes a segment. After a power loss it may be back, unless
    /// [`SegmentDir::sync`] was called.
    pub fn remove(&self, number: SegmentNumber) -> Result<(), LogError> {
        let path = self.path(number);
        match self.disk.remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(LogError::io("remove", &path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Makes created, renamed and removed names durable.
    pub fn sync(&self) -> Result<(), LogError> {
        let failed = |source| LogError::io("sync", &self.folder, source);
        self.disk.sync_dir(&self.folder).map_err(failed)
    }

    fn files(&self) -> Result<(Vec<SegmentNumber>, Vec<PathBuf>), LogError> {
        let failed = |source| LogError::io("list", &self.folder, source);
        let (mut numbers, mut unfinished) = (Vec::new(), Vec::new());
        for path in self.disk.read_dir(&self.folder).map_err(failed)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(UNFINISHED_SUFFIX) {
                unfinished.push(path);
            } else if let Some(number) = number(&name) {
                numbers.push(number);
            } else {
                tracing::warn!(file = %path.display(), "not a file of the log: left alone");
            }
        }
        numbers.sort();
        Ok((numbers, unfinished))
    }
}

/// The number of the segment that has this name.
fn number(name: &str) -> Option<SegmentNumber> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits).then_some(SegmentNumber(number))
}
