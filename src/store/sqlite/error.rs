//! What can go wrong with a file, each in one line for the log.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use crate::store::error::StoreError;
use crate::store::migration::ForeignData;

/// Why a file was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum SqliteOpenError {
    /// The name does not name a file.
    #[error("'{0}' is not the name of a file; for a state without one use the memory backend")]
    NotAFile(PathBuf),
    /// There is no file to read.
    #[error("{0}: there is no such file")]
    NoFile(PathBuf),
    /// The folder of the file does not exist, and cannot be created.
    #[error("folder {path}: {source}")]
    NoFolder { path: PathBuf, source: std::io::Error },
    /// The file is not a database.
    #[error("{0}: not an SQLite database")]
    NotADatabase(PathBuf),
    /// The file is another program's database.
    #[error("{0}: a database of another program; left as it is")]
    Foreign(PathBuf),
    /// The file is the Python reference's, and the caller does not want to
    /// convert it.
    #[error("{0}: a file of the Python reference; serve it once, and it is converted")]
    Unconverted(PathBuf),
    /// The file is the Python reference's, and another process has it open.
    #[error(
        "{0}: a file of the Python reference, which another process still has open; stop that \
         process, and start this program again to convert the file"
    )]
    ReferenceRuns(PathBuf),
    /// The file has the Python reference's tables, but the reference did not write
    /// everything in them.
    #[error("{path}: a file of the Python reference, not converted: {found}")]
    ForeignData {
        path: PathBuf,
        #[source]
        found: ForeignData,
    },
    /// The file is the Python reference's, and it cannot be copied before it is
    /// converted.
    #[error("{path}: not converted: the copy {copy} cannot be made: {reason}")]
    NoCopy { path: PathBuf, copy: PathBuf, reason: String },
    /// A newer version of this program wrote the file.
    #[error("{path}: format {found} is newer than {known}, the newest known here")]
    Newer { path: PathBuf, found: i32, known: i32 },
    /// An older version wrote the file, and the caller does not want to change it.
    #[error("{path}: it has the older format {found}; serve it once with this program")]
    Older { path: PathBuf, found: i32 },
    /// An older version wrote the file, and another process has it open.
    #[error(
        "{0}: written by an older version of this program, and another process still has it open; \
         stop that process, and start this program again to upgrade the file"
    )]
    OlderRuns(PathBuf),
    /// The file is ours, but it is not consistent.
    #[error("{path}: damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// The file, or its folder, in which its log must be, cannot be written.
    #[error("{path}: cannot be written: {reason}")]
    ReadOnly { path: PathBuf, reason: String },
    /// Another process kept the file locked.
    #[error("{path}: locked by another process for more than {waited_s} s")]
    Locked { path: PathBuf, waited_s: u64 },
    /// Any other error of the operating system or SQLite.
    #[error("{path}: cannot be opened: {reason}")]
    Failed {
        path: PathBuf,
        reason: String,
        #[source]
        source: Option<rusqlite::Error>,
    },
}

impl SqliteOpenError {
    /// What SQLite's `error` means for the file at `path`.
    pub(in crate::store) fn of(path: &Path, error: rusqlite::Error) -> SqliteOpenError {
        let path = path.to_owned();
        let reason = describe(&error);
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => SqliteOpenError::NotADatabase(path),
            Some(ErrorCode::DatabaseCorrupt) => SqliteOpenError::Damaged { path, reason },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                SqliteOpenError::ReadOnly { path, reason }
            }
            // The enum is SQLite's, and its other codes need no treatment here.
            _ => SqliteOpenError::Failed { path, reason, source: Some(error) },
        }
    }

    /// What the operating system's `error` means for the file at `path`.
    pub(super) fn io(path: &Path, error: &std::io::Error) -> SqliteOpenError {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                SqliteOpenError::ReadOnly { path, reason }
            }
            _ => SqliteOpenError::Failed { path, reason, source: None },
        }
    }

    /// Whether another process kept the file busy; see [`is_busy`].
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, SqliteOpenError::Failed { source: Some(error), .. } if is_busy(error))
    }
}

/// Whether another process is committing, repairing the log or closing the file,
/// so that trying again helps.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::FileLockingProtocolFailed)
    )
}

/// SQLite's error in one line.
pub(in crate::store) fn describe(error: &rusqlite::Error) -> String {
    let text = error.to_string().replace('\n', " ");
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged",
        Some(ErrorCode::ReadOnly) => "the file or its folder cannot be written",
        Some(ErrorCode::SystemIoFailure) => "the disk failed",
        Some(ErrorCode::CannotOpen) => "the file or its log beside it cannot be opened",
        _ => return text,
    };
    format!("{hint} ({text})")
}

/// What callers get for an error before anything was committed. If the disk is
/// full, they may try again, here or elsewhere.
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    let why = describe(error);
    let code = error.sqlite_error().map(|error| error.extended_code);
    match code {
        Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_WRITE) => {
            StoreError::Unavailable(format!("{why}; nothing was written"))
        }
        Some(_) | None => StoreError::Storage(why),
    }
}
