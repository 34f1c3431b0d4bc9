//! The replicated state machine: turns committed entries into tables, events and
//! replies, in the order of the log, by the rules in `machine`.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use openraft::EntryPayload;
use openraft::alias::StoredMembershipOf;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};

use super::applied::{AppliedState, LatestState};
use super::entry::{Entry, LogId};
use super::types::{ApplyResponse, NodeId, Proposal, TypeConfig};
use crate::codec;
use crate::machine::{self, Decision, Reply};
use crate::store::raft::history::History;
use crate::store::raft::host::Environment;
use crate::store::raft::membership::view::MembershipView;
use crate::store::raft::snapshot::file::SnapshotFile;
use crate::store::raft::snapshot::folder::{
    self, Snapshot, SnapshotBuilder, SnapshotDir, SnapshotMeta,
};
use crate::store::tables::Tables;

/// The most entries applied before readers see them and callers are answered. A
/// larger batch copies the shared nodes of the tables less often; a smaller one
/// makes no call wait long for others.
const PUBLISH_ENTRIES_MAX: usize = 128;

/// The state machine to which openraft applies entries.
pub struct StateMachine {
    environment: Environment,
    state: Arc<LatestState>,
    applied: AppliedState,
    membership: StoredMembershipOf<TypeConfig>,
    history: History,
    snapshots: SnapshotDir,
    view: MembershipView,
}

/// A response to send once readers can see the entry's effect.
type PendingResponse = (ApplyResponder<TypeConfig>, ApplyResponse);

impl StateMachine {
    /// An empty state machine. Openraft first installs the newest snapshot in it and
    /// applies the log that follows.
    pub fn new(
        environment: Environment,
        state: Arc<LatestState>,
        history: History,
        snapshots: SnapshotDir,
        view: MembershipView,
    ) -> StateMachine {
        StateMachine {
            environment,
            state,
            applied: AppliedState::default(),
            membership: StoredMembershipOf::<TypeConfig>::default(),
            history,
            snapshots,
            view,
        }
    }

    async fn apply_entry(&mut self, entry: Entry) -> io::Result<ApplyResponse> {
        let reply = match entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(membership) => {
                self.change_members(StoredMembershipOf::<TypeConfig>::new(
                    Some(entry.log_id),
                    membership,
                ));
                None
            }
            EntryPayload::Normal(proposal) => Some(self.decide(&entry.log_id, &proposal).await?),
        };
        self.applied.log_id = Some(entry.log_id);
        Ok(ApplyResponse(reply))
    }

    /// Adopts the membership of a log entry, and records which nodes it removed.
    fn change_members(&mut self, membership: StoredMembershipOf<TypeConfig>) {
        let stays = |id: &NodeId| membership.membership().get_node(id).is_some();
        let members = self.membership.membership().nodes().map(|(id, _)| *id);
        let mut retired = BTreeSet::clone(&self.applied.retired);
        retired.extend(members.filter(|id| !stays(id)));
        self.applied.retired = retired.into();
        self.membership = membership;
        self.publish_membership();
    }

    fn publish_membership(&self) {
        let members = self.membership.membership().nodes();
        let members = members.map(|(id, peer)| (*id, peer.clone())).collect();
        self.view.set(members, BTreeSet::clone(&self.applied.retired));
    }

    async fn decide(&mut self, log_id: &LogId, proposal: &Proposal) -> io::Result<Reply> {
        let decision = apply_proposal(&mut self.applied.tables, log_id, proposal)?;
        self.history.push(decision.events, &decision.meta).await;
        Ok(decision.reply)
    }

    /// Shows the state to readers, then sends the responses. In this order, a
    /// caller that was answered finds its own write when it reads.
    fn publish(&mut self, responses: &mut Vec<PendingResponse>) {
        self.state.publish(self.applied.clone());
        for (responder, response) in responses.drain(..) {
            responder.send(response);
        }
    }
}

/// Decides the command of a log entry over `tables` and applies the decision.
///
/// # Errors
/// When this version does not understand the command. The error is fatal on
/// purpose: a replica that skips what others understand would diverge from them.
pub(crate) fn apply_proposal(
    tables: &mut Tables,
    log_id: &LogId,
    proposal: &Proposal,
) -> io::Result<Decision> {
    let envelope = codec::decode_envelope(&proposal.0)
        .map_err(|error| io::Error::other(format!("log entry {log_id}: {error}")))?;
    let Ok(decision) = machine::decide(&envelope, tables);
    tables.apply(&decision);
    Ok(decision)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId>, StoredMembershipOf<TypeConfig>), io::Error> {
        Ok((self.applied.log_id, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let mut responses: Vec<PendingResponse> = Vec::new();
        let mut unpublished = 0;
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let response = self.apply_entry(entry).await?;
            responses.extend(responder.map(|responder| (responder, response)));
            unpublished += 1;
            if unpublished == PUBLISH_ENTRIES_MAX {
                self.publish(&mut responses);
                unpublished = 0;
            }
        }
        self.publish(&mut responses);
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            dir: self.snapshots.clone(),
            state: self.applied.clone(),
            membership: self.membership.clone(),
            history: self.history.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotFile,
    ) -> Result<(), io::Error> {
        let (dir, meta) = (self.snapshots.clone(), meta.clone());
        let membership = meta.last_membership.clone();
        let read = self.environment.blocking(move || {
            // Read it first, so that a damaged file does not replace the old one.
            let applied = folder::read(&snapshot)?;
            dir.adopt(&meta, snapshot).map(|_| applied)
        });
        self.applied = read.await?;
        self.history.continue_after(self.applied.tables.meta());
        self.membership = membership;
        self.publish_membership();
        self.publish(&mut Vec::new());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let dir = self.snapshots.clone();
        self.environment.blocking(move || dir.newest()).await
    }
}
