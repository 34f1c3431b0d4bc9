//! The backup: the copy of a file that is kept when the file is converted.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::store::migration::model::VERSION;
use crate::store::sqlite::error::{SqliteOpenError, describe};

/// How many different backups one file may have. Only somebody who goes back to
/// the reference again and again has so many, and may delete some.
const BACKUPS_MAX: u32 = 100;

/// A complete copy that is safe on the disk.
pub(super) struct Backup {
    path: PathBuf,
    /// This attempt made it, not an earlier one.
    new: bool,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
enum BackupError {
    #[error("{}", describe(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{BACKUPS_MAX} others are there already")]
    TooMany,
}

impl Backup {
    /// Copies the database that `conn` has open at `path`, including its log.
    /// The connection must hold the exclusive lock, so that nobody else writes or
    /// makes a copy.
    ///
    /// If an equal copy exists already, that one is used. Copies that differ are
    /// left alone, and the new one gets a number.
    pub(super) fn keep(conn: &Connection, path: &Path) -> Result<Backup, SqliteOpenError> {
        let partial = beside(path, &format!(".reference-{VERSION}.partial"));
        let kept = write(conn, path, &partial).and_then(|()| settle(path, &partial));
        kept.map_err(|error| {
            // An incomplete copy is useless, as the next attempt starts over.
            let _ = fs::remove_file(&partial);
            let (path, copy) = (path.to_owned(), partial);
            SqliteOpenError::NoCopy { path, copy, reason: error.to_string() }
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the copy again, because the conversion failed.
    pub(super) fn discard(self) {
        if self.new
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(copy = %self.path.display(), %error, "a copy was left behind");
        }
    }
}

/// Makes the copy at `partial` and syncs it to the disk.
fn write(conn: &Connection, path: &Path, partial: &Path) -> Result<(), BackupError> {
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    // The permissions are set while the file is still empty, so that nobody can
    // read it who may not read the original.
    let file = File::create_new(partial)?;
    file.set_permissions(fs::metadata(path)?.permissions())?;
    drop(file);
    // This includes committed changes in the log and excludes an unfinished
    // transaction.
    conn.execute("VACUUM INTO ?1", [partial.to_str().ok_or_else(not_unicode)?])?;
    File::open(partial)?.sync_all()?;
    Ok(())
}

/// Gives the copy its name, or removes it if an equal one exists.
fn settle(path: &Path, partial: &Path) -> Result<Backup, BackupError> {
    for number in 1..=BACKUPS_MAX {
        let number = if number == 1 { String::new() } else { format!(".{number}") };
        let name = beside(path, &format!(".reference-{VERSION}{number}"));
        if fs::symlink_metadata(&name).is_err() {
            fs::rename(partial, &name)?;
            sync_folder(&name)?;
            return Ok(Backup { path: name, new: true });
        }
        if equal(partial, &name)? {
            fs::remove_file(partial)?;
            sync_folder(&name)?;
            return Ok(Backup { path: name, new: false });
        }
    }
    Err(BackupError::TooMany)
}

/// Makes the file's name durable; before that, a power cut could undo it.
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
    io::Error::new(io::ErrorKind::InvalidFilename, "SQLite accepts only names in UTF-8")
}

/// The path with `suffix` added to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
