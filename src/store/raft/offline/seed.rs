//! Seeding: makes the folder with which a node of a new cluster starts from an
//! imported state.
//!
//! The folder looks as if the node had stopped right after it took a snapshot: the
//! snapshot holds the state and the members, the log is empty, the node has voted
//! for nobody, and the archive has the whole history. Each member is seeded with the
//! same export, so that their snapshots are the same and the entries of the first
//! leader follow on each of them.
//!
//! The snapshot covers the log up to the index that equals the state's revision, in
//! the term before the first. So a member that was seeded from an older export of
//! the same state is merely behind, and the others bring it up to date.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use openraft::alias::StoredMembershipOf;
use tokio::task::spawn_blocking;

use crate::machine::group_counts::GroupCounts;
use crate::machine::{Chain, Event, Meta};
use crate::store::StoreError;
use crate::store::export::{Part, StoreImport};
use crate::store::raft::consensus::applied::AppliedState;
use crate::store::raft::consensus::entry::{Membership, log_id};
use crate::store::raft::consensus::types::{NodeId, Peer, TypeConfig};
use crate::store::raft::data_dir::{self, DataDir, DataDirError};
use crate::store::raft::history::archive::{self, Archive, ArchiveError, EventRun, StatePosition};
use crate::store::raft::history::chain_check::ChainCheck;
use crate::store::raft::host::{Environment, SystemDisk};
use crate::store::raft::log::{self, LogError, LogStore};
use crate::store::raft::snapshot::folder::SnapshotDir;
use crate::store::tables::Tables;

/// The term of the snapshot. No leader has it: the first one is elected in the next
/// term.
const TERM: u64 = 0;

/// The suffix of a folder that is being filled, after the node's own name.
const PART_SUFFIX: &str = ".part";

/// The node whose folder is made.
#[derive(Clone, Debug)]
pub struct Options {
    pub cluster_name: String,
    pub node_id: NodeId,
    /// Every voter of the new cluster, this node included. They must be the same for
    /// each member.
    pub members: BTreeMap<NodeId, Peer>,
    pub data_dir: PathBuf,
}

/// Why a folder was not made. Whatever was there is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error(
        "data directory {path}: not empty; a cluster is seeded into empty ones, which every \
         member has to itself"
    )]
    NotEmpty { path: PathBuf },
    #[error(
        "data directory {path}: a mount point, in whose place no folder can be put; name a \
         folder in it"
    )]
    MountPoint { path: PathBuf },
    #[error("node {node} is none of the members")]
    NoMember { node: NodeId },
    #[error("the members make no cluster: {0}")]
    Members(String),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("the history archive cannot be made: {0}")]
    Archive(#[from] ArchiveError),
    #[error("the history archive holds {archived} of {events} events: the disk refused the others")]
    Archived { archived: u64, events: u64 },
    #[error("the write-ahead log cannot be made: {0}")]
    Log(#[from] LogError),
    #[error("data directory {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("broken off: {0}")]
    BrokenOff(String),
}

/// A node's folder that is being filled, next to its final place.
pub struct Seed {
    options: Options,
    membership: Membership,
    /// Declared before `part`, so that it is closed before its folder is removed.
    archive: OpenArchive,
    dir: DataDir,
    part: UnfinishedFolder,
    tables: Tables,
    rows_taken: u64,
    check: ChainCheck,
    before: Chain,
}

/// An archive that is closed when it is dropped.
struct OpenArchive(Archive);

impl Drop for OpenArchive {
    fn drop(&mut self) {
        self.0.close_now();
    }
}

/// The unfinished folder, which is removed unless it was renamed.
struct UnfinishedFolder(PathBuf);

impl Seed {
    /// Begins a folder for the state at `meta`.
    ///
    /// # Errors
    /// See [`SeedError`].
    pub async fn begin(options: Options, meta: Meta) -> Result<Seed, SeedError> {
        if !options.members.contains_key(&options.node_id) {
            return Err(SeedError::NoMember { node: options.node_id });
        }
        let voters = options.members.keys().copied().collect();
        let membership = Membership::new(vec![voters], options.members.clone())
            .map_err(|error| SeedError::Members(error.to_string()))?;
        let io = |source| SeedError::Io { path: options.data_dir.clone(), source };
        // Only an absolute path is sure to have a parent and a name.
        let root = std::path::absolute(&options.data_dir).map_err(io)?;
        if !is_empty(&root).map_err(io)? {
            return Err(SeedError::NotEmpty { path: root });
        }
        if is_mount_point(&root).map_err(io)? {
            return Err(SeedError::MountPoint { path: root });
        }
        let options = Options { data_dir: root, ..options };
        let part = UnfinishedFolder::make(&options.data_dir)?;
        let environment = Environment::system();
        let (disk, cluster) = (&environment.disk, &options.cluster_name);
        let mut dir = DataDir::open(disk, &part.0, cluster, options.node_id)?;
        dir.seeded_from(meta.chain);
        let folder = dir.archive();
        let opening = spawn_blocking(move || {
            Archive::open(&environment, folder, archive::Options::default())
        });
        let opened = opening.await.map_err(|panic| SeedError::BrokenOff(panic.to_string()))?;
        let (archive, _) = opened?;
        let archive = OpenArchive(archive);
        let (check, before) = (ChainCheck::after(&meta.anchor), meta.anchor.chain);
        let tip = StatePosition {
            revision: meta.revision,
            chain: meta.chain,
            anchor: meta.anchor.clone(),
        };
        archive.0.adopt(tip).await?;
        let tables = Tables::restore(meta, []);
        let rows_taken = 0;
        Ok(Seed { options, membership, archive, dir, part, tables, rows_taken, check, before })
    }

    async fn append(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        let Some(last) = events.last().map(|event| event.chain) else { return Ok(()) };
        events.iter().try_for_each(|event| self.check.check(event))?;
        let run = EventRun { before: self.before, events };
        self.archive.0.append(run).await.map_err(storage)?;
        self.before = last;
        Ok(())
    }

    /// Writes everything except the final name. It is on disk when this returns.
    async fn complete(&mut self) -> Result<(), SeedError> {
        self.archive.0.sync().await?;
        // If the disk failed for a while, the archive has dropped what waited.
        let archived = self.archive.0.figures().await?.events;
        let meta = self.tables.meta();
        let events = meta.revision.0 - meta.anchor.revision.0;
        if archived != events {
            return Err(SeedError::Archived { archived, events });
        }
        self.archive.0.close().await;
        let index = self.tables.meta().revision.0;
        let at = Some(log_id(TERM, index));
        let tables = std::mem::take(&mut self.tables);
        let state = AppliedState { tables, log_id: at, ..AppliedState::default() };
        let membership = StoredMembershipOf::<TypeConfig>::new(at, self.membership.clone());
        let (snapshots, log) = (self.dir.snapshots(), self.dir.log());
        let path = self.options.data_dir.clone();
        let writing = spawn_blocking(move || {
            let io = |source| SeedError::Io { path, source };
            let environment = Environment::system();
            let snapshots = SnapshotDir::new(&environment, snapshots);
            snapshots.write(&state, &membership).map_err(io)?;
            Ok::<_, SeedError>(LogStore::open(&environment, &log, log::Options::default())?)
        });
        let written = writing.await.map_err(|panic| SeedError::BrokenOff(panic.to_string()))?;
        written?.close().await?;
        self.dir.inscribe(data_dir::draw_incarnation(rand::random), true)?;
        Ok(())
    }
}

#[async_trait]
impl StoreImport for Seed {
    async fn take(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let mut events = Vec::new();
        for part in parts {
            match part {
                Part::Row(row) => {
                    self.tables.put(row);
                    self.rows_taken += 1;
                }
                Part::Event(event) => events.push(event),
            }
        }
        self.append(events).await
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        self.check.finish(self.tables.meta())?;
        if self.tables.rows().count() as u64 != self.rows_taken {
            return Err(StoreError::Storage("a row came twice".to_owned()));
        }
        let mut groups = GroupCounts::default();
        self.tables.rows().for_each(|row| groups.count(row));
        groups.into_rows().for_each(|row| self.tables.put(row));
        self.complete().await.map_err(storage)?;
        self.part.rename(&self.options.data_dir)
    }
}

impl UnfinishedFolder {
    /// Makes the folder, and removes one that a killed process may have left.
    fn make(target: &Path) -> Result<UnfinishedFolder, SeedError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(PART_SUFFIX);
        let path = target.with_file_name(name);
        let io = |source| SeedError::Io { path: path.clone(), source };
        if path.exists() {
            // Take its lock first: another process may be filling it.
            drop(data_dir::lock(&SystemDisk, &path)?);
            fs::remove_dir_all(&path).map_err(io)?;
        }
        fs::create_dir_all(&path).map_err(io)?;
        Ok(UnfinishedFolder(path))
    }

    /// Renames the folder to its final place, where there is an empty folder or none.
    fn rename(self, target: &Path) -> Result<(), StoreError> {
        fs::rename(&self.0, target).map_err(storage)?;
        let Some(folder) = target.parent() else { return Ok(()) };
        let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| {
            StoreError::Unknown(format!("{} may go with the power: {error}", target.display()))
        })
    }
}

impl Drop for UnfinishedFolder {
    fn drop(&mut self) {
        // After renaming, the folder is not there. If removing it fails, the next
        // attempt does it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut files) => Ok(files.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether the folder is on another disk than its parent.
fn is_mount_point(folder: &Path) -> io::Result<bool> {
    let device = |path: &Path| Ok::<_, io::Error>(fs::metadata(path)?.dev());
    match folder.parent() {
        Some(parent) if folder.exists() => Ok(device(folder)? != device(parent)?),
        Some(_) | None => Ok(false),
    }
}

fn storage(error: impl ToString) -> StoreError {
    StoreError::Storage(error.to_string())
}
