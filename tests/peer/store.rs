//! A minimal log and state machine in memory. They outlive the node that uses them,
//! as a disk would.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use mcp_state_sidecar::store::raft::consensus::entry::{Entry, LogId, Vote};
use mcp_state_sidecar::store::raft::consensus::types::{ApplyResponse, TypeConfig};
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::snapshot::file::{SnapshotFile, SnapshotWriter};
use openraft::alias::{SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::storage::{
    EntryResponder, IOFlushed, RaftLogReader, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine,
};
use openraft::{EntryPayload, LogState, OptionalSend};

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<LogContent>>);

#[derive(Default)]
struct LogContent {
    entries: BTreeMap<u64, Entry>,
    purged: Option<LogId>,
    vote: Option<Vote>,
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        let log = self.0.lock().unwrap();
        Ok(log.entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.lock().unwrap().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        const APPEND_BYTES: usize = 4 * 1024 * 1024;
        let mut bytes = 0;
        let mut entries = self.try_get_log_entries(start..end).await?;
        let fit = entries.iter().take_while(|entry| {
            let before = bytes;
            if let EntryPayload::Normal(proposal) = &entry.payload {
                bytes += proposal.0.len();
            }
            before < APPEND_BYTES
        });
        let fit = fit.count();
        entries.truncate(fit);
        Ok(entries)
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let log = self.0.lock().unwrap();
        let last = log.entries.last_key_value().map(|(_, entry)| entry.log_id);
        Ok(LogState { last_purged_log_id: log.purged, last_log_id: last.or(log.purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.0.lock().unwrap().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut log = self.0.lock().unwrap();
        log.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        drop(log);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.0.lock().unwrap().entries.split_off(&from);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut log = self.0.lock().unwrap();
        log.entries = log.entries.split_off(&(upto.index + 1));
        log.purged = Some(upto);
        Ok(())
    }
}

/// Keeps every proposal, in order.
#[derive(Clone)]
pub struct Machine {
    pub folder: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    applied: Option<LogId>,
    membership: StoredMembershipOf<TypeConfig>,
    items: Vec<Bytes>,
    snapshot: Option<(SnapshotMetaOf<TypeConfig>, SnapshotFile)>,
}

impl Machine {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, state: Arc::default() }
    }

    pub fn items(&self) -> Vec<Bytes> {
        self.state.lock().unwrap().items.clone()
    }

    pub fn count(&self) -> usize {
        self.state.lock().unwrap().items.len()
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogId>, StoredMembershipOf<TypeConfig>)> {
        let state = self.state.lock().unwrap();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut state = self.state.lock().unwrap();
            state.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(proposal) => state.items.push(proposal.0),
                EntryPayload::Membership(membership) => {
                    state.membership =
                        StoredMembershipOf::<TypeConfig>::new(Some(entry.log_id), membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(ApplyResponse::default());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<TypeConfig>,
        snapshot: SnapshotFile,
    ) -> io::Result<()> {
        let snapshot = snapshot.rename(self.folder.join("current.snapshot"))?;
        let mut content = Vec::new();
        snapshot.reader()?.read_to_end(&mut content)?;
        let mut items = Vec::new();
        let mut rest = Bytes::from(content);
        while !rest.is_empty() {
            let length = rest.split_to(4);
            let length = u32::from_be_bytes(length[..].try_into().unwrap());
            items.push(rest.split_to(length as usize));
        }
        let mut state = self.state.lock().unwrap();
        state.applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.items = items;
        state.snapshot = Some((meta.clone(), snapshot));
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<TypeConfig, SnapshotFile>>> {
        let log = self.state.lock().unwrap().snapshot.clone();
        Ok(log.map(|(meta, snapshot)| SnapshotOf::<TypeConfig, _> { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<TypeConfig, SnapshotFile>> {
        let state = self.state.lock().unwrap().clone();
        let mut writer =
            SnapshotWriter::create(&Environment::system(), self.folder.join("current.snapshot"))?;
        for item in &state.items {
            writer.write_all(&(item.len() as u32).to_be_bytes())?;
            writer.write_all(item)?;
        }
        let snapshot = writer.finish()?;
        let meta = SnapshotMetaOf::<TypeConfig> {
            last_log_id: state.applied,
            last_membership: state.membership,
        };
        self.state.lock().unwrap().snapshot = Some((meta.clone(), snapshot.clone()));
        Ok(SnapshotOf::<TypeConfig, _> { meta, snapshot })
    }
}
