//! The copy that is kept of a file before it is converted.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::move_in::beside;
use crate::store::migration::VERSION;
use crate::store::sqlite::error::{OpenError, describe};

/// Copies of different files by one name: whoever has that many goes back and
/// forth, and may tidy up.
const COPIES_MAX: u32 = 100;

/// A copy, whole and on the disk.
pub(super) struct Copy {
    path: PathBuf,
    /// An earlier attempt did not make it.
    new: bool,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
enum NoCopy {
    #[error("{}", describe(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{COPIES_MAX} others are there already")]
    TooMany,
}

impl Copy {
    /// Copies what `conn` has open at `path`, with what is in its log. It must
    /// hold the only lock, so that nobody else makes copies or writes.
    ///
    /// A copy that is there already and equal is taken for it; one that differs
    /// is left alone, and the new one gets a number.
    pub(super) fn keep(conn: &Connection, path: &Path) -> Result<Copy, OpenError> {
        let partial = beside(path, &format!(".reference-{VERSION}.partial"));
        let kept = write(conn, path, &partial).and_then(|()| settle(path, &partial));
        kept.map_err(|error| {
            // Half a copy is of no use; the next attempt begins anew anyway.
            let _ = fs::remove_file(&partial);
            let (path, copy) = (path.to_owned(), partial);
            OpenError::NoCopy { path, copy, reason: error.to_string() }
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away again, where nothing has come of the conversion.
    pub(super) fn discard(self) {
        if self.new
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(copy = %self.path.display(), %error, "a copy was left behind");
        }
    }
}

/// Makes the copy at `partial` and sees it to the disk.
fn write(conn: &Connection, path: &Path, partial: &Path) -> Result<(), NoCopy> {
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    // Empty, and nobody else's to read while it fills.
    let file = File::create_new(partial)?;
    file.set_permissions(fs::metadata(path)?.permissions())?;
    drop(file);
    // What SQLite sees: the log is in it, half a transaction is not.
    conn.execute("VACUUM INTO ?1", [partial.to_str().ok_or_else(not_unicode)?])?;
    File::open(partial)?.sync_all()?;
    Ok(())
}

/// Gives the copy its name, or drops it where it is there already.
fn settle(path: &Path, partial: &Path) -> Result<Copy, NoCopy> {
    for number in 1..=COPIES_MAX {
        let number = if number == 1 { String::new() } else { format!(".{number}") };
        let name = beside(path, &format!(".reference-{VERSION}{number}"));
        if fs::symlink_metadata(&name).is_err() {
            fs::rename(partial, &name)?;
            sync_folder(&name)?;
            return Ok(Copy { path: name, new: true });
        }
        if equal(partial, &name)? {
            fs::remove_file(partial)?;
            sync_folder(&name)?;
            return Ok(Copy { path: name, new: false });
        }
    }
    Err(NoCopy::TooMany)
}

/// Until then a power cut could take the name away again.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn equal(a: &Path, b: &Path) -> io::Result<bool> {
    let (a, b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (BufReader::new(a).bytes(), BufReader::new(b).bytes());
    loop {
        match (a.next().transpose()?, b.next().transpose()?) {
            (None, None) => return Ok(true),
            (a, b) if a == b => {}
            (_, _) => return Ok(false),
        }
    }
}

fn not_unicode() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidFilename, "SQLite takes names in UTF-8 alone")
}
