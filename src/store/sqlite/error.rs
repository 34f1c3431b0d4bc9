//! What goes wrong with a file, in one line for whoever reads the log.

use std::path::{Path, PathBuf};

use rusqlite::{ErrorCode, ffi};

use crate::store::{StoreError, migration};

/// Why a file was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A name that is no file's.
    #[error("'{0}' is not the name of a file; for a state without one use the memory backend")]
    NotAFile(PathBuf),
    /// There is none to be read.
    #[error("{0}: there is no such file")]
    NoFile(PathBuf),
    /// The folder that is to hold the file does not exist.
    #[error("{0}: the folder does not exist")]
    NoFolder(PathBuf),
    /// Other bytes than a database's.
    #[error("{0}: not an SQLite database")]
    NotADatabase(PathBuf),
    /// Another program's database.
    #[error("{0}: a database of another program; left as it is")]
    Foreign(PathBuf),
    /// The Python reference's, where nothing is to be converted.
    #[error("{0}: a file of the Python reference; serve it once, and it is converted")]
    Unconverted(PathBuf),
    /// The Python reference's, and somebody has it open.
    #[error(
        "{0}: a file of the Python reference, which or another program has it open still; stop \
         that, and start this again to convert it"
    )]
    ReferenceRuns(PathBuf),
    /// The Python reference's tables, with something in them that it did not
    /// write.
    #[error("{path}: a file of the Python reference, not converted: {fault}")]
    Strange {
        path: PathBuf,
        #[source]
        fault: migration::ForeignData,
    },
    /// The Python reference's, and it cannot be copied before it is converted.
    #[error("{path}: not converted: the copy {copy} cannot be made: {reason}")]
    NoCopy { path: PathBuf, copy: PathBuf, reason: String },
    /// Written by a newer version of this program.
    #[error("{path}: format {found} is newer than {known}, the newest known here")]
    Newer { path: PathBuf, found: i32, known: i32 },
    /// Written by an older version, where nothing is to be changed.
    #[error("{path}: it has the older format {found}; serve it once with this program")]
    Older { path: PathBuf, found: i32 },
    /// Written by an older version, and somebody has it open.
    #[error(
        "{0}: written by an older version of this program, which or another program has it open \
         still; stop that, and start this again to bring the file up"
    )]
    OlderRuns(PathBuf),
    /// Ours once, but it does not hang together.
    #[error("{path}: damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    /// The file, or the folder that its log has to be in, cannot be written.
    #[error("{path}: cannot be written: {reason}")]
    ReadOnly { path: PathBuf, reason: String },
    /// Another process kept it locked.
    #[error("{path}: locked by another process for more than {waited_s} s")]
    Locked { path: PathBuf, waited_s: u64 },
    /// Anything else that the operating system or SQLite reports.
    #[error("{path}: cannot be opened: {reason}")]
    Failed {
        path: PathBuf,
        reason: String,
        #[source]
        source: Option<rusqlite::Error>,
    },
}

impl OpenError {
    pub(crate) fn of(path: &Path, error: rusqlite::Error) -> OpenError {
        let path = path.to_owned();
        let reason = describe(&error);
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => OpenError::NotADatabase(path),
            Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, reason },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                OpenError::ReadOnly { path, reason }
            }
            // Foreign enum, of which only these mean something special here.
            _ => OpenError::Failed { path, reason, source: Some(error) },
        }
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> OpenError {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::ReadOnly { path, reason }
            }
            _ => OpenError::Failed { path, reason, source: None },
        }
    }
}

/// Whether trying again is all there is to do: another process is in the
/// middle of a commit, of repairing the log, or of closing the file.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::FileLockingProtocolFailed)
    )
}

/// One line on what SQLite reports.
pub(crate) fn describe(error: &rusqlite::Error) -> String {
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

/// What callers are told of a fault before anything was committed: where there
/// is no room they may try again, here or once there is.
pub(super) fn fault(error: &rusqlite::Error) -> StoreError {
    let why = describe(error);
    let code = error.sqlite_error().map(|error| error.extended_code);
    match code {
        Some(ffi::SQLITE_FULL | ffi::SQLITE_IOERR_WRITE) => {
            StoreError::Unavailable(format!("{why}; nothing was written"))
        }
        Some(_) | None => StoreError::Storage(why),
    }
}
