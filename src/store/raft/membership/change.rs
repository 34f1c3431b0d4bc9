//! MembershipChanges of the membership: what is asked for is checked against what the
//! leader knows of its peers, and refused with the reason where the cluster
//! could not go on after it.
//!
//! A new node is a learner until it has the log, and becomes a voter by joint
//! consensus (section 4.3 of Ongaro's thesis), so that at no moment two
//! majorities exist that know nothing of one another.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use openraft::ChangeMembers;
use openraft::Instant as _;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::metrics::RaftMetrics;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::view::MembershipView;
use crate::store::cluster::{Cluster, ClusterError, NewMember};
use crate::store::raft::RaftStore;
use crate::store::raft::consensus::health;
use crate::store::raft::consensus::leadership::{Leader, Leadership};
use crate::store::raft::consensus::types::{NodeId, Peer, TypeConfig};
use crate::store::raft::rpc::{CallError, Network};

/// Who has not answered the leader for longer does not count as there.
const SILENCE: Duration = Duration::from_secs(1);

/// A new node answers within this, or is not there.
const HELLO: Duration = Duration::from_secs(3);

/// So many entries behind the leader, a node has caught up: under load it is
/// never at the very end.
const CAUGHT_UP_ENTRIES: u64 = 1_000;

/// How often a condition is looked at that nothing announces.
const LOOK: Duration = Duration::from_millis(20);

/// What changes need beside the core.
pub struct MembershipChanges {
    pub(crate) network: Network,
    pub(crate) membership: MembershipView,
    /// Held while one is under way.
    pub(crate) under_way: Mutex<()>,
}

/// What the leader knows of the members at one moment.
struct MembersSnapshot {
    voters: BTreeSet<NodeId>,
    nodes: BTreeMap<NodeId, Peer>,
    /// Who has answered lately, this node included.
    there: BTreeSet<NodeId>,
    /// Entries behind this node's log, where it replicates to them.
    lags: BTreeMap<NodeId, u64>,
    joint: bool,
}

impl MembersSnapshot {
    fn of(metrics: &RaftMetrics<TypeConfig>) -> MembersSnapshot {
        let membership = metrics.membership_config.membership();
        let acked = |id: &NodeId| {
            let at = metrics.heartbeat.as_ref().and_then(|seen| seen.get(id).cloned().flatten());
            at.is_some_and(|at| at.elapsed() < SILENCE)
        };
        let last = metrics.last_log_index.unwrap_or(0);
        let lags = metrics.replication.iter().flatten().map(|(id, matched)| {
            (*id, last.saturating_sub(matched.as_ref().map_or(0, |log_id| log_id.index)))
        });
        let nodes: BTreeMap<_, _> = membership.nodes().map(|(id, p)| (*id, p.clone())).collect();
        MembersSnapshot {
            voters: membership.voter_ids().collect(),
            there: nodes.keys().filter(|id| **id == metrics.id || acked(id)).copied().collect(),
            lags: lags.collect(),
            joint: membership.get_joint_config().len() > 1,
            nodes,
        }
    }

    /// Whether the voters `after` a change could go on at once. `answers` is
    /// one that has just done so.
    ///
    /// # Errors
    /// They could not: too many of them do not answer.
    fn can_go_on(
        &self,
        after: &BTreeSet<NodeId>,
        answers: Option<NodeId>,
    ) -> Result<(), ClusterError> {
        let needed = after.len() / 2 + 1;
        let is_there = |id: &&NodeId| self.there.contains(id) || answers == Some(**id);
        let there = after.iter().filter(is_there).count();
        if there >= needed {
            return Ok(());
        }
        let silent = after.iter().filter(|id| !is_there(id)).map(NodeId::to_string);
        let silent: Vec<String> = silent.collect();
        Err(ClusterError::Refused(format!(
            "the cluster would lose its quorum: of the {} voters then, {needed} are needed, and \
             {there} answer (not: node {})",
            after.len(),
            silent.join(", node ")
        )))
    }
}

#[async_trait]
impl Cluster for RaftStore {
    async fn add(&self, added: NewMember, deadline: Instant) -> Result<(), ClusterError> {
        let _turn = self.turn()?;
        let view = self.view()?;
        self.check_added(&added, &view)?;
        if self.is_done(&added, &view) {
            return Ok(());
        }
        let mut after = view.voters.clone();
        after.extend([added.id]);
        if let Some(old) = added.replaces {
            after.remove(&old);
        }
        if !view.nodes.contains_key(&added.id) {
            let peer = self.introduce(&added).await?;
            self.could_go_on(&after, Some(added.id)).await?;
            self.change(ChangeMembers::AddNodes(BTreeMap::from([(added.id, peer)])), deadline)
                .await?;
        }
        self.catches_up(added.id, deadline).await?;
        self.could_go_on(&after, None).await?;
        self.transfer_leadership_to(added.replaces, deadline).await?;
        self.change(ChangeMembers::ReplaceAllVoters(after), deadline).await
    }

    async fn remove(&self, id: u64, deadline: Instant) -> Result<(), ClusterError> {
        let _turn = self.turn()?;
        let view = self.view()?;
        if !view.nodes.contains_key(&id) {
            return match self.changes.membership.is_retired(id) {
                true => Ok(()),
                false => Err(ClusterError::NotFound(format!("there is no node {id}"))),
            };
        }
        if !view.voters.contains(&id) {
            return self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id])), deadline).await;
        }
        let after: BTreeSet<NodeId> = view.voters.iter().copied().filter(|v| *v != id).collect();
        if after.is_empty() {
            let why = format!("node {id} is the last voter: without it there is no cluster");
            return Err(ClusterError::Refused(why));
        }
        self.could_go_on(&after, None).await?;
        self.transfer_leadership_to(Some(id), deadline).await?;
        self.change(ChangeMembers::ReplaceAllVoters(after), deadline).await
    }

    async fn transfer(&self, to: Option<u64>, deadline: Instant) -> Result<u64, ClusterError> {
        let view = self.view()?;
        let me = self.id();
        let to = match to {
            Some(to) => to,
            None => health::heir(&self.core).ok_or_else(|| {
                ClusterError::Refused("there is no other voter to hand over to".to_owned())
            })?,
        };
        if to == me {
            return Ok(me);
        }
        if !view.nodes.contains_key(&to) {
            return Err(ClusterError::NotFound(format!("there is no node {to}")));
        }
        let refused = |why: &str| Err(ClusterError::Refused(format!("node {to} {why}")));
        if !view.voters.contains(&to) {
            return refused("is a learner, which cannot lead");
        }
        if !view.there.contains(&to) {
            return refused("does not answer");
        }
        if view.lags.get(&to).is_none_or(|lag| *lag > CAUGHT_UP_ENTRIES) {
            return refused("has not caught up");
        }
        self.hand_over_to(to, deadline).await
    }

    async fn snapshot(&self, deadline: Instant) -> Result<u64, ClusterError> {
        let wanted = self.state.load().log_id.map_or(0, |id| id.index);
        let stopped = |error: &dyn ToString| ClusterError::Unavailable(error.to_string());
        self.core.trigger().snapshot().await.map_err(|fatal| stopped(&fatal))?;
        let mut metrics = self.core.metrics();
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
}

impl RaftStore {
    fn id(&self) -> NodeId {
        let metrics = self.core.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.id
    }

    fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, ClusterError> {
        let busy = "another change of the members is under way";
        self.changes.under_way.try_lock().map_err(|_| ClusterError::Unavailable(busy.to_owned()))
    }

    /// The members as their leader sees them.
    ///
    /// # Errors
    /// This node does not lead.
    fn view(&self) -> Result<MembersSnapshot, ClusterError> {
        match Leadership::of(&self.core).now() {
            Leader::Me { .. } => {
                let metrics = self.core.metrics();
                let metrics = metrics.borrow_watched();
                Ok(MembersSnapshot::of(&metrics))
            }
            Leader::Peer { peer, .. } => Err(ClusterError::NotLeader { leader: Some(peer.addr) }),
            Leader::Nobody => Err(ClusterError::NotLeader { leader: None }),
        }
    }

    fn is_done(&self, added: &NewMember, view: &MembersSnapshot) -> bool {
        let gone = |old: NodeId| !view.nodes.contains_key(&old);
        view.voters.contains(&added.id) && !view.joint && added.replaces.is_none_or(gone)
    }

    /// What can be said against a new node by what is known here.
    fn check_added(&self, added: &NewMember, view: &MembersSnapshot) -> Result<(), ClusterError> {
        let NewMember { id, addr, replaces } = added;
        let refused = |why: String| Err(ClusterError::Refused(why));
        if self.changes.membership.is_retired(*id) {
            return refused(format!(
                "{id} is the number of a node that was removed; numbers are never given out again"
            ));
        }
        if let Some(there) = view.nodes.get(id)
            && there.addr != *addr
        {
            return refused(format!("node {id} is a member already, at {}", there.addr));
        }
        let taken = view.nodes.iter().find(|(other, peer)| *other != id && peer.addr == *addr);
        if let Some((other, _)) = taken {
            return refused(format!("{addr} is the address of node {other}"));
        }
        match replaces {
            Some(old) if old == id => refused(format!("node {id} cannot replace itself")),
            Some(old)
                if !view.nodes.contains_key(old) && !self.changes.membership.is_retired(*old) =>
            {
                Err(ClusterError::NotFound(format!("there is no node {old}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Asks the new node who it is.
    async fn introduce(&self, added: &NewMember) -> Result<Peer, ClusterError> {
        let NewMember { id, addr, .. } = added;
        let refused = |why: String| Err(ClusterError::Refused(why));
        let hello = match self.changes.network.hello(addr, Instant::now() + HELLO).await {
            Ok(hello) => hello,
            Err(CallError::Call { source, .. }) => {
                return refused(format!("{addr} cannot be asked: {}", source.message()));
            }
            Err(other) => return refused(format!("{addr} cannot be asked: {other}")),
        };
        if hello.node != *id {
            return refused(format!("at {addr} is node {}, not node {id}", hello.node));
        }
        if !hello.members.is_empty() {
            return refused(format!(
                "node {id} at {addr} belongs to a cluster already: start it with an empty folder, \
                 and with a SIDECAR_MEMBERS that names the members there are and not itself"
            ));
        }
        let (url, incarnation) = (hello.url, hello.incarnation);
        Ok(Peer { addr: addr.clone(), url, incarnation })
    }

    /// Whether the voters `after` a change could go on. A leader that has just
    /// come into office has heard from nobody yet, so silence is given its time.
    async fn could_go_on(
        &self,
        after: &BTreeSet<NodeId>,
        answers: Option<NodeId>,
    ) -> Result<(), ClusterError> {
        let until = Instant::now() + SILENCE;
        loop {
            match self.view()?.can_go_on(after, answers) {
                Err(_) if Instant::now() < until => tokio::time::sleep(LOOK).await,
                judged => return judged,
            }
        }
    }

    async fn catches_up(&self, id: NodeId, deadline: Instant) -> Result<(), ClusterError> {
        loop {
            let view = self.view()?;
            match view.lags.get(&id) {
                Some(lag) if *lag <= CAUGHT_UP_ENTRIES && view.there.contains(&id) => return Ok(()),
                lag if Instant::now() >= deadline => {
                    let lag = lag.map_or("unknown".to_owned(), u64::to_string);
                    return Err(ClusterError::Unfinished(format!(
                        "node {id} is a learner and has not caught up yet (entries behind: {lag}); \
                         give the command again to go on, or remove it"
                    )));
                }
                Some(_) | None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Leadership goes elsewhere before its holder leaves: who asked is told to
    /// ask there.
    async fn transfer_leadership_to(
        &self,
        leaving: Option<NodeId>,
        deadline: Instant,
    ) -> Result<(), ClusterError> {
        if leaving != Some(self.id()) {
            return Ok(());
        }
        let to = self.transfer(None, deadline).await?;
        let view_there = self.view().err();
        let nobody = ClusterError::Unfinished(format!("leadership did not go to node {to}"));
        Err(view_there.unwrap_or(nobody))
    }

    async fn hand_over_to(&self, to: NodeId, deadline: Instant) -> Result<u64, ClusterError> {
        let mut leadership = Leadership::of(&self.core);
        let stopped = |error: &dyn ToString| ClusterError::Unavailable(error.to_string());
        self.core.trigger().transfer_leader(to).await.map_err(|fatal| stopped(&fatal))?;
        loop {
            match leadership.now() {
                Leader::Peer { id, .. } => return Ok(id),
                Leader::Me { .. } | Leader::Nobody => {}
            }
            if !leadership.settle(deadline).await {
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
        let changing = self.core.change_membership(change, false);
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
