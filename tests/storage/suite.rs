//! Openraft's own suite, with a state machine in memory beside the log.

use std::io;
use std::sync::{Arc, Mutex};

use futures::{Stream, TryStreamExt};
use mcp_state_sidecar::store::raft::consensus::entry::LogId;
use mcp_state_sidecar::store::raft::consensus::types::{ApplyResponse, TypeConfig};
use mcp_state_sidecar::store::raft::host::Environment;
use mcp_state_sidecar::store::raft::log::{LogStore, Options};
use openraft::alias::{SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::entry::RaftPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, StorageError, StoredMembership};
use tempfile::TempDir;

#[derive(Clone, Default)]
struct Machine(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    applied: Option<LogId>,
    membership: StoredMembershipOf<TypeConfig>,
    snapshot: Option<SnapshotMetaOf<TypeConfig>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<TypeConfig, ()>, io::Error> {
        let mut contents = self.0.lock().unwrap();
        let last_membership = contents.membership.clone();
        let meta = SnapshotMetaOf::<TypeConfig> { last_log_id: contents.applied, last_membership };
        contents.snapshot = Some(meta.clone());
        Ok(SnapshotOf::<TypeConfig, ()> { meta, snapshot: () })
    }
}

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId>, StoredMembershipOf<TypeConfig>), io::Error> {
        let contents = self.0.lock().unwrap();
        Ok((contents.applied, contents.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let mut contents = self.0.lock().unwrap();
            contents.applied = Some(entry.log_id);
            if let Some(membership) = entry.payload.get_membership() {
                contents.membership = StoredMembership::new(Some(entry.log_id), membership);
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
        _: (),
    ) -> Result<(), io::Error> {
        let mut contents = self.0.lock().unwrap();
        contents.applied = meta.last_log_id;
        contents.membership = meta.last_membership.clone();
        contents.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<TypeConfig, ()>>, io::Error> {
        let meta = self.0.lock().unwrap().snapshot.clone();
        Ok(meta.map(|meta| SnapshotOf::<TypeConfig, ()> { meta, snapshot: () }))
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 1 << 20, ..Options::default() };
        let store = LogStore::open(&Environment::system(), dir.path(), options).unwrap();
        Ok((dir, store, Machine::default()))
    }
}

#[tokio::test]
async fn openraft_accepts_the_log() {
    Suite::test_all(Builder).await.unwrap();
}
