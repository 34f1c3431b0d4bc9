//! A file read or written from its start to its end.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::disk::DiskFile;

/// A file with a place in it, which moves on with what is read and written.
#[derive(Debug)]
pub struct SequentialFile {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl SequentialFile {
    /// The file, from its first byte on.
    pub fn new(file: Arc<dyn DiskFile>) -> SequentialFile {
        SequentialFile { file, at: 0 }
    }

    /// The file itself.
    pub fn file(&self) -> &dyn DiskFile {
        &*self.file
    }
}

impl Read for SequentialFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for SequentialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
