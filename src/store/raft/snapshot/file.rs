//! Snapshot files: content that proves itself whole.
//!
//! A snapshot file is its content followed by a trailer: a mark, the content's
//! length and its SHA-256. A [`SnapshotWriter`] makes one so that it exists
//! under its name only when it is whole and on the disk; a [`SnapshotFile`]
//! names one; a [`SnapshotReader`] gives the content back and fails at its end
//! when a byte differs. What the content says is the state machine's; how it
//! travels is `rpc::snapshot`'s. All calls here block.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::store::raft::host::{Disk, Environment, OpenMode, SequentialFile};

/// What a snapshot file ends with, before length and digest; names the version.
const MARK: &[u8; 8] = b"sidecar1";
/// How the mark of every version begins.
const MARKED: &[u8] = b"sidecar";
const LENGTH_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;
const TRAILER_BYTES: usize = MARK.len() + LENGTH_BYTES + DIGEST_BYTES;

/// How a file that is still being written is called, after its own name.
pub const PART_SUFFIX: &str = "part";

/// How files from peers that openraft has not adopted yet are called.
pub const RECEIVED_PREFIX: &str = "received-";

/// One whole snapshot file: what openraft passes around as its snapshot data.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// Where it is read.
    pub environment: Environment,
    /// Where the file is now.
    pub path: PathBuf,
    /// Length of the content, without the trailer.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; DIGEST_BYTES],
}

impl SnapshotFile {
    /// Names an existing file by its trailer. The content is not read.
    ///
    /// # Errors
    /// `InvalidData` when there is no trailer, or one for another length.
    pub fn open(environment: &Environment, path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = environment.disk.open(&path, OpenMode::Read)?;
        let total = file.bytes()?;
        let Some(bytes) = total.checked_sub(TRAILER_BYTES as u64) else {
            return Err(damaged(&path, "is shorter than its trailer"));
        };
        let mut trailer = [0; TRAILER_BYTES];
        file.read_exact_at(&mut trailer, bytes)?;
        let (mark, rest) = trailer.split_at(MARK.len());
        let (length, digest) = rest.split_at(LENGTH_BYTES);
        if let Some(version @ b'2'..=b'9') = mark.last()
            && mark.starts_with(MARKED)
        {
            let (path, version) = (path.display(), char::from(*version));
            let text = format!(
                "{path} is a snapshot of version {version}, this version knows 1 at most; start \
                 the newer version that wrote it"
            );
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        if mark != MARK {
            return Err(damaged(&path, "has no trailer that this version knows"));
        }
        if length != bytes.to_be_bytes() {
            return Err(damaged(&path, "has a trailer for another length"));
        }
        let mut sha256 = [0; DIGEST_BYTES];
        sha256.copy_from_slice(digest);
        Ok(Self { environment: environment.clone(), path, bytes, sha256 })
    }

    /// The content, checked as it is read.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn reader(&self) -> io::Result<SnapshotReader> {
        Ok(SnapshotReader {
            file: SequentialFile::new(self.environment.disk.open(&self.path, OpenMode::Read)?),
            path: self.path.clone(),
            left: self.bytes,
            hash: Sha256::new(),
            sha256: self.sha256,
            checked: false,
        })
    }

    /// Reads the whole content once and compares.
    ///
    /// # Errors
    /// `InvalidData` when a byte differs.
    pub fn verify(&self) -> io::Result<()> {
        io::copy(&mut self.reader()?, &mut io::sink()).map(drop)
    }

    /// Moves the file within its folder or to another of the same disk, and
    /// syncs the folder: how the state machine adopts a received snapshot.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn rename(self, to: impl Into<PathBuf>) -> io::Result<Self> {
        let to = to.into();
        let disk = &*self.environment.disk;
        disk.rename(&self.path, &to)?;
        sync_folder(disk, &to)?;
        Ok(Self { path: to, ..self })
    }
}

/// Writes one snapshot file. Dropped before [`SnapshotWriter::finish`], it
/// leaves nothing behind.
#[derive(Debug)]
pub struct SnapshotWriter {
    environment: Environment,
    file: BufWriter<SequentialFile>,
    part: PathBuf,
    path: PathBuf,
    bytes: u64,
    hash: Sha256,
    finished: bool,
}

impl SnapshotWriter {
    /// Begins the file that will be called `path`, replacing what is there only
    /// at [`SnapshotWriter::finish`].
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(environment: &Environment, path: impl Into<PathBuf>) -> io::Result<Self> {
        /// Fewer system calls for content that comes in small rows.
        const BUFFER_BYTES: usize = 256 * 1024;
        let path = path.into();
        let mut part = path.clone().into_os_string();
        part.push(".");
        part.push(PART_SUFFIX);
        let part = PathBuf::from(part);
        let file = SequentialFile::new(environment.disk.open(&part, OpenMode::Replace)?);
        Ok(Self {
            environment: environment.clone(),
            file: BufWriter::with_capacity(BUFFER_BYTES, file),
            part,
            path,
            bytes: 0,
            hash: Sha256::new(),
            finished: false,
        })
    }

    /// Length of the content so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Seals the file: trailer, sync, name, sync of the folder.
    ///
    /// # Errors
    /// When the disk refuses; then no file of that name has appeared.
    pub fn finish(mut self) -> io::Result<SnapshotFile> {
        let sha256: [u8; DIGEST_BYTES] = self.hash.clone().finalize().into();
        self.file.write_all(MARK)?;
        self.file.write_all(&self.bytes.to_be_bytes())?;
        self.file.write_all(&sha256)?;
        self.file.flush()?;
        // Sync first: openraft purges the log that this file replaces.
        self.file.get_ref().file().sync_all()?;
        let disk = &*self.environment.disk;
        disk.rename(&self.part, &self.path)?;
        self.finished = true;
        sync_folder(disk, &self.path)?;
        let environment = self.environment.clone();
        Ok(SnapshotFile { environment, path: self.path.clone(), bytes: self.bytes, sha256 })
    }
}

impl Write for SnapshotWriter {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write_all(data)?;
        self.hash.update(data);
        self.bytes += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Nothing to do about a failure: `remove_leftovers` comes again.
            let _ = self.environment.disk.remove_file(&self.part);
        }
    }
}

/// Reads a snapshot's content; the end of a damaged one is an error.
#[derive(Debug)]
pub struct SnapshotReader {
    file: SequentialFile,
    path: PathBuf,
    left: u64,
    hash: Sha256,
    sha256: [u8; DIGEST_BYTES],
    checked: bool,
}

impl Read for SnapshotReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(self.left.try_into().unwrap_or(usize::MAX));
        if want > 0 {
            let got = self.file.read(&mut buffer[..want])?;
            if got == 0 {
                return Err(damaged(&self.path, "ends early"));
            }
            self.hash.update(&buffer[..got]);
            self.left -= got as u64;
            return Ok(got);
        }
        if self.left == 0 && !self.checked {
            let found: [u8; DIGEST_BYTES] = self.hash.clone().finalize().into();
            if found != self.sha256 {
                return Err(damaged(&self.path, "differs from its digest"));
            }
            self.checked = true;
        }
        Ok(0)
    }
}

/// Removes what unfinished writes and transfers left in `folder`. For the
/// start, before anything writes there.
///
/// # Errors
/// When the folder cannot be read or a file not removed.
pub fn remove_leftovers(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for path in disk.read_dir(folder)? {
        let part = path.extension().is_some_and(|end| end == PART_SUFFIX);
        let received = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(RECEIVED_PREFIX.as_bytes()));
        if part || received {
            disk.remove_file(&path)?;
        }
    }
    Ok(())
}

fn sync_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => disk.sync_dir(folder),
        Some(_) | None => disk.sync_dir(Path::new(".")),
    }
}

fn damaged(path: &Path, how: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("snapshot {} {how}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(folder: &Path, content: &[u8]) -> SnapshotFile {
        let mut writer =
            SnapshotWriter::create(&Environment::system(), folder.join("a.snapshot")).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        for content in [&b""[..], b"x", &[7; 100_000]] {
            let file = written(folder.path(), content);
            let opened = SnapshotFile::open(&file.environment, &file.path).unwrap();
            assert_eq!((opened.bytes, opened.sha256), (file.bytes, file.sha256));
            let mut back = Vec::new();
            file.reader().unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, content);
            file.verify().unwrap();
        }
    }

    #[test]
    fn every_changed_byte_and_every_lost_tail_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), b"content of a snapshot");
        let whole = fs::read(&file.path).unwrap();
        let open = || SnapshotFile::open(&file.environment, &file.path);
        let reads = || open().and_then(|file| file.verify());
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&file.path, &changed).unwrap();
            assert!(reads().is_err(), "byte {at} changed unnoticed");
            fs::write(&file.path, &whole[..at]).unwrap();
            assert!(reads().is_err(), "cut at {at} unnoticed");
        }
    }

    #[test]
    fn an_unfinished_file_never_appears() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.snapshot");
        let mut writer = SnapshotWriter::create(&Environment::system(), &path).unwrap();
        writer.write_all(b"half").unwrap();
        writer.flush().unwrap();
        assert!(!path.exists());
        drop(writer);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn leftovers_go_and_snapshots_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path(), b"kept");
        for name in ["b.snapshot.part", "received-1-2.snapshot"] {
            fs::write(folder.path().join(name), b"rest").unwrap();
        }
        remove_leftovers(&*file.environment.disk, folder.path()).unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [file.path]);
    }
}
