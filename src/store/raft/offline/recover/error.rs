//! Why a node's state cannot be recovered.

use std::path::PathBuf;

use crate::store::raft::data_dir::DataDirError;
use crate::store::raft::history::archive::ArchiveError;
use crate::store::raft::log::LogError;

/// Why nothing was recovered. The folder is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("the write-ahead log cannot be read: {0}")]
    Log(#[from] LogError),
    #[error("the snapshot cannot be read: {0}")]
    Snapshot(#[source] std::io::Error),
    #[error(
        "the log does not continue the snapshot: it begins after entry {purged}, and the snapshot \
         ends at {covered}"
    )]
    Gap { purged: u64, covered: u64 },
    #[error("nothing was ever written here")]
    Nothing,
    #[error("the log cannot be applied: {0}")]
    Entry(#[source] std::io::Error),
    #[error("the archive cannot be copied to {path:?}: {source}")]
    Copy { path: PathBuf, source: std::io::Error },
    #[error("the copy of the archive cannot be read: {0}")]
    Archive(#[from] ArchiveError),
    #[error("broken off: {0}")]
    BrokenOff(String),
}
