//! The state that a stopped node's folder holds, read and exported.

use std::path::Path;

use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::error::RecoverError;
use super::past::RecoveredHistory;
use super::replay::RecoverReplay;
use crate::machine::{Meta, Revision};
use crate::store::StoreError;
use crate::store::export::{Export, Part, PartSender, channel};
use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::data_dir::DataDir;
use crate::store::raft::history::chain_check::ChainCheck;
use crate::store::raft::host::Environment;
use crate::store::raft::offline::export::send_rows;

/// What was found in a node's folder, and how far it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryReport {
    pub cluster_name: String,
    pub node_id: NodeId,
    /// The last entry that the snapshot covers, if there is one.
    pub snapshot_index: Option<u64>,
    /// The index of the last entry that was applied.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// How far the node knew the log to be committed.
    pub committed_index: u64,
    /// The log ends in a torn record. No caller was answered for it.
    pub torn: bool,
    /// The position of the state. Its anchor is higher than the cluster's if older
    /// events are missing here.
    pub meta: Meta,
    /// How many of the oldest events the cluster kept that are missing here.
    pub events_missing: u64,
}

/// The state of a node, ready to be exported once. The node's folder stays locked
/// for as long as this lives.
pub struct Recovered {
    report: RecoveryReport,
    replay: RecoverReplay,
    past: RecoveredHistory,
    _dir: DataDir,
}

impl Recovered {
    /// Reads the folder `data_dir` of a node that does not run. A copy of its archive
    /// is made in `scratch`, an empty folder.
    ///
    /// # Errors
    /// See [`RecoverError`].
    pub async fn read(data_dir: &Path, scratch: &Path) -> Result<Recovered, RecoverError> {
        let dir = DataDir::open_at_rest(&Environment::system().disk, data_dir)?;
        let (snapshots, log) = (dir.snapshots(), dir.log());
        let reading = spawn_blocking(move || RecoverReplay::read(snapshots, &log)).await;
        let replay = reading.map_err(|panic| RecoverError::BrokenOff(panic.to_string()))??;
        let mut meta = replay.end.tables.meta().clone();
        let base = replay.base.tables.meta();
        let past = RecoveredHistory::open(&dir.archive(), scratch, base, &meta.anchor).await?;
        let events_missing = past.floor.revision.0 - meta.anchor.revision.0;
        meta.anchor = past.floor.clone();
        let last = replay.end.log_id.ok_or(RecoverError::Nothing)?;
        let report = RecoveryReport {
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

    /// What was found, and how far it reaches.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Exports the state and its history, and checks the chain on the way. `scratch`
    /// is in use until the task has ended.
    pub fn export(self) -> (Export, JoinHandle<()>) {
        let meta = self.report.meta.clone();
        let (mut sender, parts) = channel(CancellationToken::new());
        let runtime = Handle::current();
        let reading = spawn_blocking(move || {
            let read = self.send_all(&mut sender, &runtime);
            sender.end(read);
        });
        (Export { meta, parts }, reading)
    }

    fn send_all(&self, sender: &mut PartSender, runtime: &Handle) -> Result<(), StoreError> {
        let meta = &self.report.meta;
        send_rows(&self.replay.end.tables, sender)?;
        let mut check = ChainCheck::after(&meta.anchor);
        let covered: Revision = self.replay.base.tables.meta().revision;
        while check.next() <= covered {
            for event in runtime.block_on(self.past.read(check.next(), covered))?.events {
                check.check(&event)?;
                sender.push(Part::Event(event))?;
            }
        }
        self.replay.replay_events(|event| match event.revision < check.next() {
            true => Ok(()),
            false => check.check(&event).and_then(|()| sender.push(Part::Event(event))),
        })?;
        check.finish(meta)
    }
}
