//! [`ByteSink`]: bytes go into a file or to standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::stream::{PIECE_BYTES, PIECES_MAX, is_standard, name};

/// zstd's own default: the output is much smaller, and it is hardly slower than a disk.
const ZSTD_LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// A file has this suffix until it is whole, so nobody finds half of one under its name.
const UNFINISHED: &str = "unfinished";

/// A stream that bytes go into.
pub struct ByteSink {
    name: String,
    pieces: Option<mpsc::Sender<Bytes>>,
    writing: JoinHandle<io::Result<Rename>>,
}

/// A file that is whole but not under its name yet, and that name. `None` where the stream
/// is not a regular file.
type Rename = Option<(UnfinishedFile, PathBuf)>;

type Output = Box<dyn Write + Send>;

/// A file that is removed unless it is kept.
struct UnfinishedFile(Option<PathBuf>);

impl ByteSink {
    /// Opens `path`, or standard output where it is `-`. A regular file gets its name only
    /// in [`ByteSink::finish`].
    ///
    /// # Errors
    /// The file cannot be opened; the error is a line for the user.
    pub fn open(path: &Path, compressed: bool) -> Result<ByteSink, String> {
        let name = name(path, "standard output");
        let (out, rename) =
            output(path).map_err(|error| format!("{name}: cannot be written: {error}"))?;
        let (pieces, incoming) = mpsc::channel(PIECES_MAX);
        let writing = spawn_blocking(move || write(out, rename, compressed, incoming));
        Ok(ByteSink { name, pieces: Some(pieces), writing })
    }

    /// Hands bytes to the thread.
    ///
    /// # Errors
    /// The bytes cannot be written; the error is a line for the user.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), String> {
        let Some(pieces) = &self.pieces else { return Err(format!("{}: closed", self.name)) };
        if pieces.send(bytes).await.is_ok() {
            return Ok(());
        }
        self.pieces = None;
        match self.written().await {
            Ok(_) => Err(format!("{}: closed", self.name)),
            Err(line) => Err(line),
        }
    }

    /// Waits until everything is on the disk, and gives a file its name.
    ///
    /// # Errors
    /// The stream is not complete; the error is a line for the user.
    pub async fn finish(mut self) -> Result<(), String> {
        // The thread ends when nothing more can come.
        self.pieces = None;
        let Some((unfinished, path)) = self.written().await? else { return Ok(()) };
        unfinished.keep_as(&path).map_err(|error| format!("{}: {error}", self.name))
    }

    /// Removes the file. What went to standard output cannot be taken back.
    pub async fn discard(mut self) {
        self.pieces = None;
        // Dropping an unfinished file removes it.
        drop(self.written().await);
    }

    async fn written(&mut self) -> Result<Rename, String> {
        let name = &self.name;
        let written = (&mut self.writing).await.map_err(|panic| format!("{name}: {panic}"))?;
        written.map_err(|error| format!("{name}: cannot be written: {error}"))
    }
}

fn output(path: &Path) -> io::Result<(Output, Rename)> {
    if is_standard(path) {
        return Ok((Box::new(io::stdout()), None));
    }
    // A pipe or a device is written directly.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Ok((Box::new(OpenOptions::new().write(true).open(path)?), None));
    }
    // Two processes may write the same file at once. Each uses a name of its own, and the
    // file of the one that ends later is kept.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.{UNFINISHED}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    // The file contains everything that the state does, so only its owner may read it.
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let rename = Some((UnfinishedFile(Some(unfinished)), path.to_owned()));
    Ok((Box::new(file), rename))
}

fn write(
    out: Output,
    rename: Rename,
    compressed: bool,
    mut incoming: mpsc::Receiver<Bytes>,
) -> io::Result<Rename> {
    let mut out = BufWriter::with_capacity(PIECE_BYTES, out);
    if compressed {
        let mut encoder = zstd::Encoder::new(&mut out, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        while let Some(bytes) = incoming.blocking_recv() {
            encoder.write_all(&bytes)?;
        }
        encoder.finish()?;
    } else {
        while let Some(bytes) = incoming.blocking_recv() {
            out.write_all(&bytes)?;
        }
    }
    out.flush()?;
    Ok(rename)
}

impl UnfinishedFile {
    fn keep_as(mut self, path: &Path) -> io::Result<()> {
        let Some(unfinished) = self.0.take() else { return Ok(()) };
        let kept = File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, path));
        if kept.is_err() {
            self.0 = Some(unfinished);
        }
        kept?;
        // Without this, a crash could lose the new name.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // If this fails, the suffix still says that the file is unfinished.
            let _ = std::fs::remove_file(path);
        }
    }
}
