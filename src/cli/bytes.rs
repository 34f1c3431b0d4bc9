//! Where a stream of bytes ends or begins: a file or a standard stream,
//! compressed or not, in a thread of its own, since either may block.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// What stands for standard input or output.
const STANDARD: &str = "-";

/// Pieces that wait between the thread and us.
const PIECES_MAX: usize = 4;

/// Bytes of a piece that is read.
const PIECE_BYTES: usize = 256 * 1024;

/// The first bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// zstd's own default: much smaller, hardly slower than a disk.
const ZSTD_LEVEL: i32 = zstd::DEFAULT_COMPRESSION_LEVEL;

/// A file is written beside its name, and given it once it is whole: nobody
/// finds half of one there.
const UNFINISHED: &str = "unfinished";

/// Bytes go in here.
pub struct Sink {
    name: String,
    pieces: Option<mpsc::Sender<Bytes>>,
    writing: JoinHandle<io::Result<Written>>,
}

/// Whole, but perhaps not yet under its name.
struct Written {
    rename: Option<(Unfinished, PathBuf)>,
}

/// A file that is removed unless it is kept.
struct Unfinished(Option<PathBuf>);

impl Sink {
    /// Opens `path`, or standard output where it is `-`. A regular file has its
    /// name only after [`Sink::finish`].
    ///
    /// # Errors
    /// A line for the user.
    pub fn open(path: &Path, compressed: bool) -> Result<Sink, String> {
        let name = name(path, "standard output");
        let (out, rename) =
            output(path).map_err(|error| format!("{name}: cannot be written: {error}"))?;
        let (pieces, incoming) = mpsc::channel(PIECES_MAX);
        let writing = spawn_blocking(move || write(out, rename, compressed, incoming));
        Ok(Sink { name, pieces: Some(pieces), writing })
    }

    /// PoolWorker bytes to the thread.
    ///
    /// # Errors
    /// A line for the user: they cannot be written.
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

    /// Waits until all is on the disk, and gives a file its name.
    ///
    /// # Errors
    /// A line for the user: it is not.
    pub async fn finish(mut self) -> Result<(), String> {
        // The thread ends when nothing more can come.
        self.pieces = None;
        let Written { rename } = self.written().await?;
        let Some((unfinished, path)) = rename else { return Ok(()) };
        unfinished.keep_as(&path).map_err(|error| format!("{}: {error}", self.name))
    }

    /// Takes away what was written, unless it has gone out already.
    pub async fn give_up(mut self) {
        self.pieces = None;
        // What it gives removes itself.
        drop(self.written().await);
    }

    async fn written(&mut self) -> Result<Written, String> {
        let name = &self.name;
        let written = (&mut self.writing).await.map_err(|panic| format!("{name}: {panic}"))?;
        written.map_err(|error| format!("{name}: cannot be written: {error}"))
    }
}

type Output = Box<dyn Write + Send>;
type Rename = Option<(Unfinished, PathBuf)>;

fn output(path: &Path) -> io::Result<(Output, Rename)> {
    if path.as_os_str() == STANDARD {
        return Ok((Box::new(io::stdout()), None));
    }
    // A pipe or a device is written as it is.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Ok((Box::new(OpenOptions::new().write(true).open(path)?), None));
    }
    // Its own name for each process: two may write one file at a time, and the
    // later of them is kept.
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.{UNFINISHED}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    // It holds whatever the state holds: for its owner alone.
    let file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    let rename = Some((Unfinished(Some(unfinished)), path.to_owned()));
    Ok((Box::new(file), rename))
}

fn write(
    out: Output,
    rename: Rename,
    compressed: bool,
    mut incoming: mpsc::Receiver<Bytes>,
) -> io::Result<Written> {
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
    Ok(Written { rename })
}

impl Unfinished {
    fn keep_as(mut self, path: &Path) -> io::Result<()> {
        let Some(unfinished) = self.0.take() else { return Ok(()) };
        let kept = File::open(&unfinished)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&unfinished, path));
        if kept.is_err() {
            self.0 = Some(unfinished);
        }
        kept?;
        // The name is in the folder.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What cannot be removed is left under a name that says what it is.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Bytes come out here.
pub struct Source {
    /// What people are told that it is.
    pub name: String,
    pieces: mpsc::Receiver<Result<Vec<u8>, String>>,
    /// How large the file is, where that is known.
    pub size: Option<u64>,
    read: Arc<AtomicU64>,
}

impl Source {
    /// Opens `path`, or standard input where it is `-`. What zstd has
    /// compressed is recognised.
    ///
    /// # Errors
    /// A line for the user.
    pub fn open(path: &Path) -> Result<Source, String> {
        let name = name(path, "standard input");
        let cannot = |error: io::Error| format!("{name}: cannot be read: {error}");
        let (input, size): (Box<dyn Read + Send>, _) = if path.as_os_str() == STANDARD {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(cannot)?;
            let found = file.metadata().map_err(cannot)?;
            if found.is_dir() {
                return Err(format!("{name}: a folder"));
            }
            (Box::new(file), found.is_file().then_some(found.len()))
        };
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted { input, read: read.clone() };
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let told = name.clone();
        spawn_blocking(move || {
            if let Err(error) = pump(counted, &sender) {
                // Fails where nobody wants to know.
                let _ = sender.blocking_send(Err(format!("{told}: cannot be read: {error}")));
            }
        });
        Ok(Source { name, pieces, size, read })
    }

    /// The next bytes; nothing at the end.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, String>> {
        self.pieces.recv().await
    }

    /// Bytes of the file that have been read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

fn pump(input: Counted, pieces: &mpsc::Sender<Result<Vec<u8>, String>>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(PIECE_BYTES, input);
    // A pipe may give them one by one.
    let mut first = Vec::new();
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
    let compressed = first == ZSTD_MAGIC;
    let input = io::Cursor::new(first).chain(input);
    let mut input: Box<dyn Read> = match compressed {
        true => Box::new(zstd::Decoder::with_buffer(input)?),
        false => Box::new(input),
    };
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        input.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        if piece.is_empty() || pieces.blocking_send(Ok(piece)).is_err() {
            return Ok(());
        }
    }
}

struct Counted {
    input: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// What people are told that it is.
fn name(path: &Path, standard: &str) -> String {
    match path.as_os_str() == STANDARD {
        true => standard.to_owned(),
        false => path.display().to_string(),
    }
}
