//! The replicated state machine: turns committed entries into tables, events
//! and replies, in the log's order, by the one rulebook.

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
use crate::store::raft::blocking::blocking;
use crate::store::raft::history::History;
use crate::store::raft::membership::view::MembershipView;
use crate::store::raft::snapshot::file::SnapshotFile;
use crate::store::raft::snapshot::folder::{self, Builder, Meta, Snapshot, SnapshotDir};
use crate::store::tables::Tables;

/// Entries applied before readers see them and callers are answered: enough
/// that the tables' shared nodes are copied seldom, few enough that nobody
/// waits long for a neighbour.
const PUBLISH_ENTRIES_MAX: usize = 128;

/// What openraft applies entries to.
pub struct StateMachine {
    state: Arc<LatestState>,
    applied: AppliedState,
    membership: StoredMembershipOf<TypeConfig>,
    history: History,
    snapshots: SnapshotDir,
    view: MembershipView,
}

/// Someone to be answered once readers can see what was done.
type Answer = (ApplyResponder<TypeConfig>, ApplyResponse);

impl StateMachine {
    /// An empty machine. Openraft installs the newest snapshot and applies the
    /// log behind it before anything else.
    pub fn new(
        state: Arc<LatestState>,
        history: History,
        snapshots: SnapshotDir,
        view: MembershipView,
    ) -> StateMachine {
        StateMachine {
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

    /// Takes the membership of a log entry, and writes down who left.
    fn change_members(&mut self, membership: StoredMembershipOf<TypeConfig>) {
        let stays = |id: &NodeId| membership.membership().get_node(id).is_some();
        let left = self.membership.membership().nodes().map(|(id, _)| *id).filter(|id| !stays(id));
        let mut retired = BTreeSet::clone(&self.applied.retired);
        retired.extend(left);
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
        let decision = carry_out(&mut self.applied.tables, log_id, proposal)?;
        self.history.push(decision.events, &decision.meta).await;
        Ok(decision.reply)
    }

    /// Shows the state to readers, then answers those who wait for it.
    fn publish(&mut self, answers: &mut Vec<Answer>) {
        self.state.publish(self.applied.clone());
        for (responder, applied) in answers.drain(..) {
            responder.send(applied);
        }
    }
}

/// Decides the command of a log entry over `tables` and commits it there.
///
/// # Errors
/// This version does not understand the command. Fatal on purpose: to skip what
/// others may understand would be to differ.
pub(crate) fn carry_out(
    tables: &mut Tables,
    log_id: &LogId,
    proposal: &Proposal,
) -> io::Result<Decision> {
    let envelope = codec::decode_envelope(&proposal.0)
        .map_err(|error| io::Error::other(format!("log entry {log_id}: {error}")))?;
    #[cfg(feature = "simulation")]
    let mut envelope = envelope;
    #[cfg(feature = "simulation")]
    crate::store::raft::planted::before(&mut envelope);
    let Ok(decision) = machine::decide(&envelope, tables);
    #[cfg(feature = "simulation")]
    let mut decision = decision;
    #[cfg(feature = "simulation")]
    crate::store::raft::planted::after(&mut decision);
    tables.apply(&decision);
    Ok(decision)
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId>, StoredMembershipOf<TypeConfig>), io::Error> {
        Ok((self.applied.log_id, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + Send,
    {
        let mut answers: Vec<Answer> = Vec::new();
        let mut unseen = 0;
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let applied = self.apply_entry(entry).await?;
            answers.extend(responder.map(|responder| (responder, applied)));
            unseen += 1;
            if unseen == PUBLISH_ENTRIES_MAX {
                self.publish(&mut answers);
                unseen = 0;
            }
        }
        self.publish(&mut answers);
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            dir: self.snapshots.clone(),
            state: self.applied.clone(),
            membership: self.membership.clone(),
            history: self.history.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &Meta,
        snapshot: SnapshotFile,
    ) -> Result<(), io::Error> {
        let (dir, meta) = (self.snapshots.clone(), meta.clone());
        let membership = meta.last_membership.clone();
        let read = blocking(move || {
            // Read before it takes the old one's place: a damaged file replaces nothing.
            let applied = folder::read(&snapshot)?;
            dir.adopt(&meta, snapshot).map(|_| applied)
        });
        self.applied = read.await?;
        self.history.expect(self.applied.tables.meta());
        self.membership = membership;
        self.publish_membership();
        self.publish(&mut Vec::new());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        let dir = self.snapshots.clone();
        blocking(move || dir.newest()).await
    }
}
