//! Changes of the membership while the cluster runs. Each one is checked against
//! what the leader knows of its peers, and is refused with the reason if the
//! cluster could not go on after it.
//!
//! A new node is a learner until it has the log, and becomes a voter by joint
//! consensus (section 4.3 of Ongaro's thesis), so that at no moment two
//! majorities exist that do not overlap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, timeout_at};

use super::join::{ask_new_node, check_added, is_done};
use super::progress::{MemberProgress, SILENCE};
use super::view::MembershipView;
use crate::store::cluster::{CallId, CancellationListener, Cluster, ClusterError, NewMember};
use crate::store::raft::cancellation::CancellationForwarder;
use crate::store::raft::consensus::applied::LatestState;
use crate::store::raft::consensus::health;
use crate::store::raft::consensus::leadership::{Leader, Leadership, RaftHandle};
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::PeerNetwork;

/// How often a condition is checked that nothing announces.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Changes the members of the cluster, and transfers its leadership.
pub struct ClusterAdmin {
    pub(crate) raft: RaftHandle,
    pub(crate) state: Arc<LatestState>,
    pub(crate) network: PeerNetwork,
    pub(crate) membership: MembershipView,
    /// Held while a change is in progress: there is one at a time.
    pub(crate) change_lock: Mutex<()>,
    pub(crate) cancellations: Arc<CancellationForwarder>,
}

#[async_trait]
impl Cluster for ClusterAdmin {
    async fn add(&self, added: NewMember, deadline: Instant) -> Result<(), ClusterError> {
        let _lock = self.lock_changes()?;
        let members = self.progress()?;
        check_added(&added, &members, &self.membership)?;
        if is_done(&added, &members) {
            return Ok(());
        }
        let mut voters = members.voters.clone();
        voters.extend([added.id]);
        if let Some(old) = added.replaces {
            voters.remove(&old);
        }
        if !members.nodes.contains_key(&added.id) {
            let peer = ask_new_node(&added, &self.network).await?;
            self.await_quorum(&voters, Some(added.id)).await?;
            self.change(ChangeMembers::AddNodes(BTreeMap::from([(added.id, peer)])), deadline)
                .await?;
        }
        self.await_catch_up(added.id, deadline).await?;
        self.await_quorum(&voters, None).await?;
        self.leave_leadership(added.replaces, deadline).await?;
        self.change(ChangeMembers::ReplaceAllVoters(voters), deadline).await
    }

    async fn remove(&self, id: u64, deadline: Instant) -> Result<(), ClusterError> {
        let _lock = self.lock_changes()?;
        let members = self.progress()?;
        if !members.nodes.contains_key(&id) {
            return match self.membership.is_retired(id) {
                true => Ok(()),
                false => Err(ClusterError::NotFound(format!("there is no node {id}"))),
            };
        }
        if !members.voters.contains(&id) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id])), deadline).await;
        }
        let voters: BTreeSet<NodeId> =
            members.voters.iter().copied().filter(|voter| *voter != id).collect();
        if voters.is_empty() {
            let why = format!("node {id} is the last voter: without it there is no cluster");
            return Err(ClusterError::Refused(why));
        }
        self.await_quorum(&voters, None).await?;
        self.leave_leadership(Some(id), deadline).await?;
        self.change(ChangeMembers::ReplaceAllVoters(voters), deadline).await
    }

    async fn transfer(&self, to: Option<u64>, deadline: Instant) -> Result<u64, ClusterError> {
        let members = self.progress()?;
        let me = self.id();
        let to = match to {
            Some(to) => to,
            None => health::most_up_to_date_voter(&self.raft).ok_or_else(|| {
                ClusterError::Refused("there is no other voter to hand over to".to_owned())
            })?,
        };
        if to == me {
            return Ok(me);
        }
        if !members.nodes.contains_key(&to) {
            return Err(ClusterError::NotFound(format!("there is no node {to}")));
        }
        let refused = |why: &str| Err(ClusterError::Refused(format!("node {to} {why}")));
        if !members.voters.contains(&to) {
            return refused("is a learner, which cannot lead");
        }
        if !members.reachable.contains(&to) {
            return refused("does not answer");
        }
        if !members.has_caught_up(to) {
            return refused("has not caught up");
        }
        self.transfer_to(to, deadline).await
    }

    async fn snapshot(&self, deadline: Instant) -> Result<u64, ClusterError> {
        let wanted = self.state.load().log_id.map_or(0, |id| id.index);
        let stopped = |error: &dyn ToString| ClusterError::Unavailable(error.to_string());
        self.raft.trigger().snapshot().await.map_err(|fatal| stopped(&fatal))?;
        let mut metrics = self.raft.metrics();
        let covers = async {
            loop {
                let covered = {
                    let now = metrics.borrow_watched();
                    now.snapshot.as_ref().map_or(0, |id| id.index)
                };
                if covered >= wanted {
                    return Ok(covered);
                }
                metrics.changed().await.map_err(|error| stopped(&error))?;
            }
        };
        let late = "the snapshot is not finished; the log says whether it was refused";
        timeout_at(deadline, covers)
            .await
            .unwrap_or_else(|_| Err(ClusterError::Unfinished(late.to_owned())))
    }

    fn announce_cancelled(&self, call: CallId) {
        self.cancellations.announce(call);
    }

    fn set_cancellation_listener(&self, listener: Weak<dyn CancellationListener>) {
        self.cancellations.listen(listener);
    }
}

impl ClusterAdmin {
    /// Lets the most up-to-date of the other voters lead, if this node does: it is
    /// about to stop.
    pub async fn step_down(&self, limit: Duration) {
        let Leader::Me { .. } = Leadership::of(&self.raft).current() else { return };
        let Some(successor) = health::most_up_to_date_voter(&self.raft) else { return };
        if let Err(error) = self.transfer_to(successor, Instant::now() + limit).await {
            tracing::warn!(successor, %error, "leadership was not transferred");
        }
    }

    /// # Errors
    /// When another change is in progress.
    fn lock_changes(&self) -> Result<MutexGuard<'_, ()>, ClusterError> {
        let busy = "another change of the members is under way";
        self.change_lock.try_lock().map_err(|_| ClusterError::Unavailable(busy.to_owned()))
    }

    fn id(&self) -> NodeId {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.id
    }

    /// The members as their leader sees them.
    ///
    /// # Errors
    /// When this node does not lead.
    fn progress(&self) -> Result<MemberProgress, ClusterError> {
        match Leadership::of(&self.raft).current() {
            Leader::Me { .. } => {
                let metrics = self.raft.metrics();
                let metrics = metrics.borrow_watched();
                Ok(MemberProgress::of(&metrics))
            }
            Leader::Peer { peer, .. } => Err(ClusterError::NotLeader { leader: Some(peer.addr) }),
            Leader::Unknown => Err(ClusterError::NotLeader { leader: None }),
        }
    }

    /// Checks that the `voters` after a change would have a quorum. A new leader
    /// has heard from nobody yet, so members get some time to answer.
    async fn await_quorum(
        &self,
        voters: &BTreeSet<NodeId>,
        joining: Option<NodeId>,
    ) -> Result<(), ClusterError> {
        let until = Instant::now() + SILENCE;
        loop {
            match self.progress()?.check_quorum(voters, joining) {
                Err(_) if Instant::now() < until => tokio::time::sleep(CHECK_INTERVAL).await,
                checked => return checked,
            }
        }
    }

    async fn await_catch_up(&self, id: NodeId, deadline: Instant) -> Result<(), ClusterError> {
        loop {
            let members = self.progress()?;
            if members.has_caught_up(id) && members.reachable.contains(&id) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let lag = members.lags.get(&id).map_or("unknown".to_owned(), u64::to_string);
                return Err(ClusterError::Unfinished(format!(
                    "node {id} is a learner and has not caught up yet (entries behind: {lag}); \
                     give the command again to go on, or remove it"
                )));
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    /// A leader that is to be removed transfers its leadership first, and sends
    /// the caller to the new leader.
    async fn leave_leadership(
        &self,
        removed: Option<NodeId>,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        if removed != Some(self.id()) {
            return Ok(());
        }
        let to = self.transfer(None, deadline).await?;
        let still_leads = ClusterError::Unfinished(format!("leadership did not go to node {to}"));
        Err(self.progress().err().unwrap_or(still_leads))
    }

    /// Transfers the leadership to `to`, and returns the node that leads then.
    async fn transfer_to(&self, to: NodeId, deadline: Instant) -> Result<NodeId, ClusterError> {
        let mut leadership = Leadership::of(&self.raft);
        let stopped = |error: &dyn ToString| ClusterError::Unavailable(error.to_string());
        self.raft.trigger().transfer_leader(to).await.map_err(|fatal| stopped(&fatal))?;
        loop {
            if let Leader::Peer { id, .. } = leadership.current() {
                return Ok(id);
            }
            if !leadership.wait_to_retry(deadline).await {
                let why = format!("leadership has not gone to node {to} in time");
                return Err(ClusterError::Unfinished(why));
            }
        }
    }

    /// Proposes a change, and waits until it is committed.
    async fn change(
        &self,
        change: ChangeMembers<NodeId, Peer>,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        let changing = self.raft.change_membership(change, false);
        let unfinished = |why: String| ClusterError::Unfinished(why);
        match timeout_at(deadline, changing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(error))) => Err(match error {
                ClientWriteError::ForwardToLeader(to) => {
                    ClusterError::NotLeader { leader: to.leader_node.map(|peer| peer.addr) }
                }
                ClientWriteError::ChangeMembershipError(error) => {
                    ClusterError::Unavailable(error.to_string())
                }
                ClientWriteError::LogEntryDiscarded(_)
                | ClientWriteError::PreconditionFailed(_) => {
                    unfinished(format!("the leader changed meanwhile: {error}"))
                }
            }),
            Ok(Err(RaftError::Fatal(fatal))) => Err(unfinished(fatal.to_string())),
            Err(_late) => {
                Err(unfinished("no majority took the change in time; it may yet happen".to_owned()))
            }
        }
    }
}
