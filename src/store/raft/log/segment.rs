//! A segment: one preallocated file of the log, `0000000000000001.wal`.
//!
//! Promise: a segment appears under its name only once it is whole, zero-filled
//! and durable, name included; it never grows, and no byte is used twice. So a
//! commit needs no more than `fdatasync`. What records mean is `recovery`'s.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::numbers::SegmentNumber;
use super::record::SECTOR_BYTES;
use super::segment_dir::SegmentDir;
use crate::store::raft::host::{DiskFile, OpenMode};

/// Where records begin: behind the file header, which has a sector of its own.
pub(super) const BODY: u64 = SECTOR_BYTES as u64;

/// The version of the format of segments and records.
const FORMAT: u32 = 1;
const MAGIC: &[u8; 8] = b"SIDECWAL";
const BLOCK_BYTES: u64 = 4096;
const ZEROS_BYTES: usize = 1 << 20;

/// One file of the log.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub number: SegmentNumber,
    pub file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    /// The file's size, header included.
    pub bytes: u64,
}

impl Segment {
    /// Makes a durable, zero-filled segment, in place of any with this number.
    ///
    /// # Errors
    /// The disk refuses. The folder is then as before, except for an unfinished
    /// file that the next open removes.
    pub fn create(dir: &SegmentDir, number: SegmentNumber, bytes: u64) -> Result<Self, LogError> {
        let (path, unfinished) = (dir.path(number), dir.unfinished_path(number));
        let failed = |source| LogError::io("create", &path, source);
        let file = dir.disk.open(&unfinished, OpenMode::Replace).map_err(failed)?;
        fill(&*file, &header(number, bytes), bytes).map_err(failed)?;
        // Sync first: under its name a segment is whole.
        file.sync_all().map_err(failed)?;
        dir.disk.rename(&unfinished, &path).map_err(failed)?;
        dir.sync()?;
        Ok(Self { number, file, path, bytes })
    }

    /// Opens a segment and reads it whole; `mode` says whether it may be
    /// written.
    ///
    /// # Errors
    /// The file cannot be read, or its header or size is not as it was created.
    pub fn open(
        dir: &SegmentDir,
        number: SegmentNumber,
        mode: OpenMode,
    ) -> Result<(Self, Vec<u8>), LogError> {
        let path = dir.path(number);
        let file =
            dir.disk.open(&path, mode).map_err(|source| LogError::io("open", &path, source))?;
        let content = dir.read(number)?;
        let bytes = content.len() as u64;
        check_header(&path, number, &content)?;
        Ok((Self { number, file, path, bytes }, content))
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

fn fill(file: &dyn DiskFile, header: &[u8], bytes: u64) -> io::Result<()> {
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
