//! Recovery: the state that one surviving node holds, when a majority of its
//! cluster is lost for good. Nothing in the node's folder is changed.
//!
//! ```text
//! snapshot ──► every entry of the log behind it ──► the state
//! archive (a copy: sled writes where it reads) ──► events up to the snapshot
//! entries once more ──► events behind it
//! ```
//!
//! Entries beyond what the node knew to be committed are applied too. A leader
//! may have acknowledged them before word of it came here, and a caller of one
//! that was not was told nothing or `outcome_unknown`, which allows either. What
//! the lost nodes acknowledged and never sent here cannot be known.
//!
//! What is damaged in snapshot or log refuses recovery, as it refuses the
//! node's start. The archive may lack old events, as on any node that had not
//! fetched them yet: the state is recovered, and the history begins later.

mod past;
mod replay;

use std::path::{Path, PathBuf};

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::export::send_rows;
use crate::machine::{Meta, Revision};
use crate::store::StoreError;
use crate::store::export::{Export, Part, PartSender, channel};
use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::data_dir::{DataDir, DataDirError};
use crate::store::raft::history::archive::ArchiveError;
use crate::store::raft::history::chain_check::ChainCheck;
use crate::store::raft::log::LogError;
use past::RecoveredHistory;
use replay::RecoverReplay;

/// What was found in a node's folder, and how far it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub cluster_name: String,
    pub node_id: NodeId,
    /// The index that the snapshot reaches, if there is one.
    pub snapshot_index: Option<u64>,
    /// The last entry applied.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// How far the node knew the log to be committed.
    pub committed_index: u64,
    /// The log ended in a record that was cut, which nobody was answered for.
    pub torn: bool,
    /// The state's position. Its anchor lies higher than the cluster's where
    /// older events are not here.
    pub meta: Meta,
    /// Events that the cluster kept and that are not here, all oldest ones.
    pub events_missing: u64,
}

/// The state of a node, ready to be read out once. The node's folder stays
/// locked for as long as this lives.
pub struct Recovered {
    report: Report,
    replay: RecoverReplay,
    past: RecoveredHistory,
    _dir: DataDir,
}

/// Why nothing was recovered. The folder is as it was.
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

impl Recovered {
    /// Reads the folder `data_dir` of a node that does not run. A copy of its
    /// archive comes to lie in `scratch`, an empty folder.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub async fn read(data_dir: &Path, scratch: &Path) -> Result<Recovered, RecoverError> {
        let dir = DataDir::open_at_rest(data_dir)?;
        let (snapshots, log) = (dir.snapshots(), dir.log());
        let reading = spawn_blocking(move || RecoverReplay::read(snapshots, &log)).await;
        let replay = reading.map_err(|panic| RecoverError::BrokenOff(panic.to_string()))??;
        let mut meta = replay.end.tables.meta().clone();
        let base = replay.base.tables.meta();
        let past = RecoveredHistory::open(&dir.archive(), scratch, base, &meta.anchor).await?;
        let events_missing = past.floor.revision.0 - meta.anchor.revision.0;
        meta.anchor = past.floor.clone();
        let last = replay.end.log_id.ok_or(RecoverError::Nothing)?;
        let report = Report {
            cluster_name: dir.cluster_name().to_owned(),
            node_id: dir.node_id(),
            snapshot_index: replay.base.log_id.map(|id| id.index),
            index: last.index,
            term: last.leader_id.term,
            committed_index: replay.committed.map_or(0, |id| id.index),
            torn: replay.log.is_torn(),
            meta,
            events_missing,
        };
        Ok(Recovered { report, replay, past, _dir: dir })
    }

    /// How far it reaches.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The state and its history, every link of it checked as it comes out.
    /// `scratch` is in use until the task has ended.
    pub fn export(self) -> (Export, JoinHandle<()>) {
        let meta = self.report.meta.clone();
        let (mut sender, parts) = channel(CancellationToken::new());
        let runtime = Handle::current();
        let reading = spawn_blocking(move || {
            let read = self.read_out(&mut sender, &runtime);
            sender.end(read);
        });
        (Export { meta, parts }, reading)
    }

    fn read_out(&self, sender: &mut PartSender, runtime: &Handle) -> Result<(), StoreError> {
        let meta = &self.report.meta;
        send_rows(&self.replay.end.tables, sender)?;
        let mut links = ChainCheck::after(&meta.anchor);
        let covered: Revision = self.replay.base.tables.meta().revision;
        while links.next() <= covered {
            for event in runtime.block_on(self.past.read(links.next(), covered))?.events {
                links.take(&event)?;
                sender.push(Part::Event(event))?;
            }
        }
        self.replay.again(|event| match event.revision < links.next() {
            true => Ok(()),
            false => links.take(&event).and_then(|()| sender.push(Part::Event(event))),
        })?;
        links.reach(meta)
    }
}
