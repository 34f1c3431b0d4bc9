//! [`ByteSource`]: bytes come out of a file or standard input.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::stream::{PIECE_BYTES, PIECES_MAX, is_standard, name};

/// The first bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// A stream that bytes come out of.
pub struct ByteSource {
    /// The name for people.
    pub name: String,
    pieces: mpsc::Receiver<Result<Vec<u8>, String>>,
    /// The size of the file, where it is one.
    pub size: Option<u64>,
    read: Arc<AtomicU64>,
}

impl ByteSource {
    /// Opens `path`, or standard input where it is `-`. What zstd has compressed is
    /// recognised and decompressed.
    ///
    /// # Errors
    /// The file cannot be opened; the error is a line for the user.
    pub fn open(path: &Path) -> Result<ByteSource, String> {
        let name = name(path, "standard input");
        let cannot = |error: io::Error| format!("{name}: cannot be read: {error}");
        let (input, size): (Box<dyn Read + Send>, _) = if is_standard(path) {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(cannot)?;
            let found = file.metadata().map_err(cannot)?;
            if found.is_dir() {
                return Err(format!("{name}: is a directory"));
            }
            (Box::new(file), found.is_file().then_some(found.len()))
        };
        let read = Arc::new(AtomicU64::new(0));
        let counted = CountingReader { input, read: read.clone() };
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let thread_name = name.clone();
        spawn_blocking(move || {
            if let Err(error) = pump(counted, &sender) {
                // Sending fails only if the command has ended already.
                let _ =
                    sender.blocking_send(Err(format!("{thread_name}: cannot be read: {error}")));
            }
        });
        Ok(ByteSource { name, pieces, size, read })
    }

    /// The next bytes, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, String>> {
        self.pieces.recv().await
    }

    /// How many bytes of the file have been read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

fn pump(input: CountingReader, pieces: &mpsc::Sender<Result<Vec<u8>, String>>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(PIECE_BYTES, input);
    // A pipe may give the first bytes one by one.
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

struct CountingReader {
    input: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for CountingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
