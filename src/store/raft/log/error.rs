//! Why the log cannot be opened or has stopped. A damaged log is never
//! shortened in silence: the error names the file, the place and the way out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

/// Why the log cannot be opened, or has stopped.
#[derive(Clone, Debug, Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried: `read`, `sync`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// What was acknowledged is no longer what the disk says.
    #[error(
        "the log is damaged: {path:?} at byte {offset}: {reason}; this node must not go on with \
         it; start a new node with an empty folder and put it in this one's place: \
         `cluster replace`"
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where in the segment, in bytes.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A segment that others need is gone.
    #[error(
        "the log is damaged: segment {path:?} is missing: {reason}; this node must not go on \
         without it; start a new node with an empty folder and put it in this one's place: \
         `cluster replace`"
    )]
    Missing {
        /// The segment.
        path: PathBuf,
        /// Who needs it.
        reason: String,
    },
    /// The log was written by a version with another format.
    #[error(
        "{path:?} has log format {found}, this version knows {known} at most; start the newer \
         version that wrote it"
    )]
    Format {
        /// The segment.
        path: PathBuf,
        /// The format it says.
        found: u32,
        /// The format read here.
        known: u32,
    },
    /// A request breaks the order of the log; nothing was changed.
    #[error("entry {found} cannot follow entry {last}")]
    Order {
        /// The entry that came.
        found: String,
        /// The last entry of the log.
        last: String,
    },
    /// A request is larger than a record may be; nothing was changed.
    #[error("an append of {bytes} bytes is over the limit of {bytes_max}")]
    Size {
        /// What came, in bytes.
        bytes: u64,
        /// What may come, in bytes.
        bytes_max: u64,
    },
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
    /// An earlier error stopped the log; nothing later was written.
    #[error("the log stopped at an earlier error")]
    Stopped(#[source] Arc<LogError>),
}

impl LogError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        Self::Io { action, path, source: Arc::new(source) }
    }

    pub(super) fn damaged(path: &Path, offset: u64, reason: impl Into<String>) -> Self {
        let path = path.to_path_buf();
        Self::Damaged { path, offset, reason: reason.into() }
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Io { source, .. } => source.kind(),
            Self::Damaged { .. } | Self::Missing { .. } | Self::Format { .. } => {
                io::ErrorKind::InvalidData
            }
            Self::Order { .. } | Self::Size { .. } => io::ErrorKind::InvalidInput,
            Self::Closed => io::ErrorKind::BrokenPipe,
            Self::Stopped(cause) => cause.kind(),
        }
    }
}

impl From<LogError> for io::Error {
    fn from(error: LogError) -> Self {
        io::Error::new(error.kind(), error)
    }
}
