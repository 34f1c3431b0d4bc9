//! A segment: one preallocated file of the log, `0000000000000001.wal`.
//!
//! Promise: a segment appears under its name only once it is whole, zero-filled
//! and durable, name included; it never grows, and no byte is used twice. So a
//! commit needs no more than `fdatasync`. What records mean is `recovery`'s.

use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SegmentNumber;
use super::error::LogError;
use super::record::SECTOR_BYTES;
use crate::store::raft::disk::{self, File, OpenOptions};

/// Where records begin: behind the file header, which has a sector of its own.
pub(super) const BODY: u64 = SECTOR_BYTES as u64;

/// The form of segments and records.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"SIDECWAL";
const SUFFIX: &str = ".wal";
const UNFINISHED_SUFFIX: &str = ".wal.tmp";
const BLOCK_BYTES: u64 = 4096;
const ZEROS_BYTES: usize = 1 << 20;

/// One file of the log.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub number: SegmentNumber,
    pub file: Arc<File>,
    pub path: PathBuf,
    /// The file's size, header included.
    pub bytes: u64,
}

impl Segment {
    /// Makes a durable, zero-filled segment, in place of any of this number.
    ///
    /// # Errors
    /// What the operating system says; the folder is then as before, but for an
    /// unfinished file that the next open removes.
    pub fn create(dir: &Path, number: SegmentNumber, bytes: u64) -> Result<Self, LogError> {
        let path = path(dir, number);
        let unfinished = dir.join(format!("{:016x}{UNFINISHED_SUFFIX}", number.0));
        let failed = |source| LogError::io("create", &path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)
            .map_err(failed)?;
        fill(&file, &header(number, bytes), bytes).map_err(failed)?;
        // Sync first: under its name a segment is whole.
        file.sync_all().map_err(failed)?;
        disk::rename(&unfinished, &path).map_err(failed)?;
        sync_dir(dir)?;
        // A simulated disk's files go by the names under which they were opened.
        #[cfg(feature = "simulation")]
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        Ok(Self { number, file: Arc::new(file), path, bytes })
    }

    /// Opens a segment and reads it whole.
    ///
    /// # Errors
    /// When the file cannot be read, or its header or size is not as created.
    pub fn open(dir: &Path, number: SegmentNumber) -> Result<(Self, Vec<u8>), LogError> {
        Self::open_as(dir, number, OpenOptions::new().read(true).write(true))
    }

    /// As [`Segment::open`], of a log that is not to be written.
    pub fn open_to_read(dir: &Path, number: SegmentNumber) -> Result<(Self, Vec<u8>), LogError> {
        Self::open_as(dir, number, OpenOptions::new().read(true))
    }

    fn open_as(
        dir: &Path,
        number: SegmentNumber,
        options: &OpenOptions,
    ) -> Result<(Self, Vec<u8>), LogError> {
        let path = path(dir, number);
        let failed = |source| LogError::io("open", &path, source);
        let file = options.open(&path).map_err(failed)?;
        let content = disk::read(&path).map_err(|source| LogError::io("read", &path, source))?;
        let bytes = content.len() as u64;
        check_header(&path, number, &content)?;
        Ok((Self { number, file: Arc::new(file), path, bytes }, content))
    }

    /// Writes at byte `at`; durable after [`Segment::sync`].
    pub fn write(&self, bytes: &[u8], at: u64) -> Result<(), LogError> {
        let end = at + bytes.len() as u64;
        assert!(end <= self.bytes, "a write up to {end} would grow a segment of {}", self.bytes);
        self.file
            .write_all_at(bytes, at)
            .map_err(|source| LogError::io("write", &self.path, source))
    }

    /// Makes what was written durable.
    pub fn sync(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|source| LogError::io("sync", &self.path, source))
    }
}

/// The size of a segment with room for `bytes`: whole blocks of the file system.
pub(super) fn size(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// The file of a segment.
pub(super) fn path(dir: &Path, number: SegmentNumber) -> PathBuf {
    dir.join(format!("{:016x}{SUFFIX}", number.0))
}

/// The numbers of all segments, in order; unfinished ones are removed.
pub(super) fn list(dir: &Path) -> Result<Vec<SegmentNumber>, LogError> {
    let (numbers, unfinished) = files(dir)?;
    let failed = |source| LogError::io("list", dir, source);
    unfinished.into_iter().try_for_each(disk::remove_file).map_err(failed)?;
    Ok(numbers)
}

/// The numbers of all segments, in order; nothing is changed.
pub(super) fn present(dir: &Path) -> Result<Vec<SegmentNumber>, LogError> {
    files(dir).map(|(numbers, _unfinished)| numbers)
}

fn files(dir: &Path) -> Result<(Vec<SegmentNumber>, Vec<PathBuf>), LogError> {
    let failed = |source| LogError::io("list", dir, source);
    let (mut numbers, mut unfinished) = (Vec::new(), Vec::new());
    for file in disk::read_dir(dir).map_err(failed)? {
        let file = file.map_err(failed)?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(UNFINISHED_SUFFIX) {
            unfinished.push(file.path());
        } else if let Some(number) = number(&name) {
            numbers.push(number);
        } else {
            tracing::warn!(file = %file.path().display(), "not a file of the log: left alone");
        }
    }
    numbers.sort();
    Ok((numbers, unfinished))
}

/// Removes a segment; its name is surely gone after [`sync_dir`].
pub(super) fn remove(dir: &Path, number: SegmentNumber) -> Result<(), LogError> {
    let path = path(dir, number);
    match disk::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(LogError::io("remove", &path, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes names that came and went durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    disk::sync_dir(dir).map_err(|source| LogError::io("sync", dir, source))
}

/// The number in a segment's name, were it written here.
fn number(name: &str) -> Option<SegmentNumber> {
    let digits = name.strip_suffix(SUFFIX)?;
    let number = u64::from_str_radix(digits, 16).ok()?;
    (format!("{number:016x}") == digits).then_some(SegmentNumber(number))
}

/// `magic | format u32 | checksum of the sector without it u32 | number u64 | bytes u64 | zeros`
fn header(number: SegmentNumber, bytes: u64) -> [u8; SECTOR_BYTES] {
    let mut sector = [0; SECTOR_BYTES];
    sector[..8].copy_from_slice(MAGIC);
    sector[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    sector[16..24].copy_from_slice(&number.0.to_le_bytes());
    sector[24..32].copy_from_slice(&bytes.to_le_bytes());
    let checksum = crc32c::crc32c(&sector);
    sector[12..16].copy_from_slice(&checksum.to_le_bytes());
    sector
}

fn check_header(path: &Path, number: SegmentNumber, content: &[u8]) -> Result<(), LogError> {
    let Some(found) = content.first_chunk::<SECTOR_BYTES>() else {
        return Err(LogError::damaged(path, 0, "the file is shorter than its header"));
    };
    let mut unsigned = *found;
    unsigned[12..16].fill(0);
    if found[12..16] != crc32c::crc32c(&unsigned).to_le_bytes() || &found[..8] != MAGIC {
        return Err(LogError::damaged(path, 0, "the file's header does not match its checksum"));
    }
    let format = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
    if format != FORMAT {
        let path = path.to_path_buf();
        return Err(LogError::Format { path, found: format, known: FORMAT });
    }
    if *found != header(number, content.len() as u64) {
        let reason = "the file's header is of another number or size than the file";
        return Err(LogError::damaged(path, 0, reason));
    }
    Ok(())
}

fn fill(file: &File, header: &[u8], bytes: u64) -> io::Result<()> {
    // Real zeros: an extent that is only reserved would need a journal commit
    // on first use, in the middle of somebody's commit.
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = header.len() as u64;
    file.write_all_at(header, 0)?;
    while at < bytes {
        let part = (bytes - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..part as usize], at)?;
        at += part;
    }
    Ok(())
}
