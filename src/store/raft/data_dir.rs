//! The folder in which a node keeps everything: one process at a time, one
//! node of one cluster, one format.
//!
//! ```text
//! node.toml    whose folder this is, and its format
//! lock         held while a process uses the folder
//! log/         write-ahead log: entries, vote
//! snapshots/   checksummed snapshot files
//! archive/     history, which can be fetched again from a peer
//! ```

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::consensus::types::NodeId;
use super::host::{Disk, DiskFile, OpenMode};
use crate::machine::Chain;

/// The format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// A node's folder, locked for as long as this lives.
pub struct DataDir {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    identity: NodeFile,
    is_new: bool,
    _lock: Option<Arc<dyn DiskFile>>,
}

/// What is written in `node.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct NodeFile {
    format: u32,
    cluster_name: String,
    node_id: NodeId,
    /// The chain head of the state from which the folder was made, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    /// Drawn at the folder's first start; see [`super::membership::view`].
    #[serde(default)]
    incarnation: u64,
    /// The node that lives here is one of those that founded the cluster.
    #[serde(default)]
    founder: bool,
    /// The node was removed from the cluster and must not start again.
    #[serde(default)]
    removed: bool,
}

/// Why a folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("data directory {path}: in use by another process")]
    InUse { path: PathBuf },
    #[error(
        "data directory {path}: format {found}, this version knows {FORMAT} at most; start the \
         newer version that wrote it"
    )]
    TooNew { path: PathBuf, found: u32 },
    #[error(
        "data directory {path}: belongs to node {found_node} of cluster '{found_cluster}', \
         not to node {node} of cluster '{cluster}'"
    )]
    Foreign {
        path: PathBuf,
        found_node: NodeId,
        found_cluster: String,
        node: NodeId,
        cluster: String,
    },
    #[error(
        "data directory {path}: node {node} was removed from cluster '{cluster}', and its number \
         is never given out again; to add this machine, start a node with a new number and an \
         empty folder, and `cluster add` it"
    )]
    Removed { path: PathBuf, node: NodeId, cluster: String },
    #[error("data directory {path}: no node has run here: it has no node.toml")]
    NoNode { path: PathBuf },
    #[error("data directory {path}: node.toml is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("data directory {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl DataDir {
    /// Opens the folder for `node_id` of `cluster_name`, making it where there
    /// is none.
    pub fn open(
        disk: &Arc<dyn Disk>,
        root: &Path,
        cluster_name: &str,
        node_id: NodeId,
    ) -> Result<DataDir, DataDirError> {
        let io = |source| DataDirError::Io { path: root.to_owned(), source };
        disk.create_dir_all(root).map_err(io)?;
        let lock = lock(&**disk, root)?;
        let cluster_name = cluster_name.to_owned();
        let asked = NodeFile { cluster_name, node_id, ..NodeFile::blank() };
        let (identity, is_new) = match read_node_file(&**disk, root) {
            Ok(text) => (asked.check(root, &text)?, false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (asked, true),
            Err(error) => return Err(io(error)),
        };
        for folder in ["log", "snapshots", "archive"] {
            disk.create_dir_all(&root.join(folder)).map_err(io)?;
        }
        let (disk, root) = (disk.clone(), root.to_owned());
        Ok(DataDir { disk, root, identity, is_new, _lock: Some(lock) })
    }

    /// Opens the folder of a node that does not run, whosever it is. Nothing in
    /// it is changed, so it may lie on a disk that takes no writes.
    pub fn open_at_rest(disk: &Arc<dyn Disk>, root: &Path) -> Result<DataDir, DataDirError> {
        let io = |source| DataDirError::Io { path: root.to_owned(), source };
        let text = match read_node_file(&**disk, root) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DataDirError::NoNode { path: root.to_owned() });
            }
            Err(error) => return Err(io(error)),
        };
        let lock = match disk.open(&root.join("lock"), OpenMode::Read) {
            Ok(file) => Some(locked(root, file)?),
            // A copy without it, which no node has opened.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io(error)),
        };
        let identity = NodeFile::parse(root, &text)?;
        let (disk, root) = (disk.clone(), root.to_owned());
        Ok(DataDir { disk, root, identity, is_new: false, _lock: lock })
    }

    /// The cluster whose node this folder belongs to.
    pub fn cluster_name(&self) -> &str {
        &self.identity.cluster_name
    }

    /// The node that this folder belongs to.
    pub fn node_id(&self) -> NodeId {
        self.identity.node_id
    }

    /// The chain head of the state from which the folder was made, if it was.
    pub fn seed(&self) -> Option<&str> {
        self.identity.seed.as_deref()
    }

    /// Of this folder; 0 until it was inscribed.
    pub fn incarnation(&self) -> u64 {
        self.identity.incarnation
    }

    /// Whether the node is one of those that founded the cluster.
    pub fn is_founder(&self) -> bool {
        self.identity.founder
    }

    /// Writes down that the node that lives here was removed from its cluster,
    /// durable on return: the folder is not opened for it again.
    pub fn retire(&self) -> Result<(), DataDirError> {
        let removed = NodeFile { removed: true, ..self.identity.clone() };
        let io = |source| DataDirError::Io { path: self.root.clone(), source };
        removed.write(&*self.disk, &self.root).map_err(io)
    }

    /// Says from which state the folder is made, before [`DataDir::inscribe`].
    pub fn seeded_from(&mut self, chain: Chain) {
        self.identity.seed = Some(chain.to_string());
    }

    /// Whether no node has finished its first start here. If one has, a folder
    /// without a log is a loss and not a beginning.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Writes down whose folder this is, durable on return. For the first
    /// start, once the log exists; and for the first of a version that knows of
    /// incarnations. `incarnation` is drawn by the caller, and not 0.
    pub fn inscribe(&mut self, incarnation: u64, founder: bool) -> Result<(), DataDirError> {
        let io = |source| DataDirError::Io { path: self.root.clone(), source };
        if self.is_new {
            self.identity.founder = founder;
        }
        if self.identity.incarnation == 0 {
            self.identity.incarnation = incarnation;
            self.identity.write(&*self.disk, &self.root).map_err(io)?;
        }
        if self.is_new {
            // The folder itself may be new, and with its name all in it would go.
            let root = std::path::absolute(&self.root).map_err(io)?;
            root.parent().map_or(Ok(()), |parent| self.disk.sync_dir(parent)).map_err(io)?;
            self.is_new = false;
        }
        Ok(())
    }

    /// Where the write-ahead log lives.
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Where snapshots live.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// Where the history archive lives.
    pub fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }
}

/// Draws a number for a folder's incarnation: never 0, and one that TOML can
/// hold.
pub(super) fn draw_incarnation(random: fn() -> u64) -> u64 {
    (random() >> 1).max(1)
}

/// Takes the lock of a folder, for as long as the file is open.
pub(super) fn lock(disk: &dyn Disk, root: &Path) -> Result<Arc<dyn DiskFile>, DataDirError> {
    let io = |source| DataDirError::Io { path: root.to_owned(), source };
    locked(root, disk.open(&root.join("lock"), OpenMode::Create).map_err(io)?)
}

fn locked(root: &Path, file: Arc<dyn DiskFile>) -> Result<Arc<dyn DiskFile>, DataDirError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(DataDirError::Io { path: root.to_owned(), source }),
    }
}

fn read_node_file(disk: &dyn Disk, root: &Path) -> io::Result<String> {
    let bytes = disk.read(&root.join("node.toml"))?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl NodeFile {
    fn parse(root: &Path, text: &str) -> Result<NodeFile, DataDirError> {
        let found: NodeFile = toml::from_str(text).map_err(|error| DataDirError::Damaged {
            path: root.to_owned(),
            reason: error.message().to_owned(),
        })?;
        if found.format > FORMAT {
            return Err(DataDirError::TooNew { path: root.to_owned(), found: found.format });
        }
        Ok(found)
    }

    /// Of nobody yet, in the format of this version.
    fn blank() -> NodeFile {
        NodeFile {
            format: FORMAT,
            cluster_name: String::new(),
            node_id: 0,
            seed: None,
            incarnation: 0,
            founder: false,
            removed: false,
        }
    }

    /// What is written there, if it is this node's.
    fn check(&self, root: &Path, text: &str) -> Result<NodeFile, DataDirError> {
        let found = NodeFile::parse(root, text)?;
        if found.cluster_name != self.cluster_name || found.node_id != self.node_id {
            return Err(DataDirError::Foreign {
                path: root.to_owned(),
                found_node: found.node_id,
                found_cluster: found.cluster_name,
                node: self.node_id,
                cluster: self.cluster_name.clone(),
            });
        }
        if found.removed {
            let (path, node, cluster) = (root.to_owned(), found.node_id, found.cluster_name);
            return Err(DataDirError::Removed { path, node, cluster });
        }
        Ok(found)
    }

    /// Written aside, synced and renamed, so that it is there whole or not at all.
    fn write(&self, disk: &dyn Disk, root: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        let aside = root.join("node.toml.new");
        let file = disk.open(&aside, OpenMode::Replace)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()?;
        disk.rename(&aside, &root.join("node.toml"))?;
        disk.sync_dir(root)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::raft::host::SystemDisk;

    #[test]
    fn one_process_one_node_one_format() {
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let dir = tempfile::tempdir().unwrap();
        let mut held = DataDir::open(&disk, dir.path(), "c", 1).unwrap();
        assert!(held.is_new());
        held.inscribe(7, true).unwrap();
        assert!(matches!(
            DataDir::open(&disk, dir.path(), "c", 1),
            Err(DataDirError::InUse { .. })
        ));
        drop(held);
        let mut again = DataDir::open(&disk, dir.path(), "c", 1).unwrap();
        again.inscribe(8, false).unwrap();
        assert_eq!((again.is_new(), again.incarnation(), again.is_founder()), (false, 7, true));
        drop(again);
        for (cluster, node) in [("c", 2), ("d", 1)] {
            let refused = DataDir::open(&disk, dir.path(), cluster, node).err().unwrap();
            assert!(matches!(refused, DataDirError::Foreign { .. }), "{refused}");
        }
        let newer = "format = 2\ncluster_name = \"c\"\nnode_id = 1\n";
        fs::write(dir.path().join("node.toml"), newer).unwrap();
        let refused = DataDir::open(&disk, dir.path(), "c", 1).err().unwrap();
        assert!(matches!(refused, DataDirError::TooNew { found: 2, .. }), "{refused}");
        let older = "format = 1\ncluster_name = \"c\"\nnode_id = 1\n";
        fs::write(dir.path().join("node.toml"), older).unwrap();
        let mut opened = DataDir::open(&disk, dir.path(), "c", 1).unwrap();
        opened.inscribe(9, true).unwrap();
        assert_eq!((opened.incarnation(), opened.is_founder()), (9, false));
        opened.retire().unwrap();
        drop(opened);
        let refused = DataDir::open(&disk, dir.path(), "c", 1).err().unwrap();
        assert!(matches!(refused, DataDirError::Removed { node: 1, .. }), "{refused}");
        fs::write(dir.path().join("node.toml"), "format = ").unwrap();
        let refused = DataDir::open(&disk, dir.path(), "c", 1).err().unwrap();
        assert!(matches!(refused, DataDirError::Damaged { .. }), "{refused}");
    }
}
