//! Background tasks around the membership. On the leader, one records what members
//! say about themselves (the incarnation of their folder and the URL for clients),
//! and finishes a change of the voters that an earlier leader began. On every node,
//! another finds out whether the cluster has expelled the node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use openraft::ChangeMembers;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use super::admin::ClusterAdmin;
use super::view::Expelled;
use crate::store::raft::consensus::leadership::{Leader, Leadership, RaftHandle};
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::{CallError, PeerIdentity, PeerNetwork, expulsion_in};

/// How often both tasks run. A run usually sends no message, and at most one to
/// each peer.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A peer that takes longer to answer is asked again in the next run.
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);

/// Every so many runs, members that are registered already are asked as well,
/// because their URL for clients may have changed.
const RUNS_PER_FULL_ROUND: u32 = 30;

/// What the tasks share.
#[derive(Clone)]
pub struct MembershipTasks {
    pub(crate) raft: RaftHandle,
    pub(crate) leadership: Leadership,
    pub(crate) network: PeerNetwork,
    pub(crate) identity: PeerIdentity,
    pub(crate) admin: Arc<ClusterAdmin>,
    /// The members that the settings name.
    pub(crate) founders: BTreeMap<NodeId, Peer>,
}

impl MembershipTasks {
    /// Registers members for as long as the node lives.
    pub async fn register(self) {
        let mut timer = tokio::time::interval(CHECK_INTERVAL);
        for run in (0..RUNS_PER_FULL_ROUND).cycle() {
            timer.tick().await;
            let Leader::Me { .. } = self.leadership.current() else { continue };
            let changed = self.changed_members(run == 0).await;
            let Ok(_lock) = self.admin.change_lock.try_lock() else { continue };
            self.finish_change().await;
            if changed.is_empty() {
                continue;
            }
            let nodes: Vec<NodeId> = changed.keys().copied().collect();
            // This changes no address and no voter, so it moves neither connections
            // nor majorities.
            match self.raft.change_membership(ChangeMembers::SetNodes(changed), true).await {
                Ok(_) => tracing::debug!(?nodes, "members registered"),
                // Another change is in progress, or this node no longer leads.
                Err(error) => tracing::debug!(?nodes, %error, "members not registered yet"),
            }
        }
    }

    /// Finishes a change of the voters by joint consensus. When its leader is lost
    /// after the first step, nobody else would take the second.
    async fn finish_change(&self) {
        let voters = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            let configs = metrics.membership_config.membership().get_joint_config();
            configs.last().filter(|_| configs.len() > 1).cloned()
        };
        let Some(voters) = voters else { return };
        let change = ChangeMembers::ReplaceAllVoters(voters.clone());
        match self.raft.change_membership(change, false).await {
            Ok(_) => tracing::info!(?voters, "an unfinished change of the members is finished"),
            Err(error) => tracing::debug!(?voters, %error, "the change is not finished yet"),
        }
    }

    /// The members about which the membership is out of date, with what they say
    /// now. Asks those for which something is missing, or `all` of them.
    async fn changed_members(&self, all: bool) -> BTreeMap<NodeId, Peer> {
        let members: Vec<(NodeId, Peer)> = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            let nodes = metrics.membership_config.membership().nodes();
            nodes.map(|(id, peer)| (*id, peer.clone())).collect()
        };
        let asked = members.into_iter().map(|(id, known)| async move {
            let (incarnation, url) = if id == self.identity.node() {
                (self.identity.incarnation(), self.identity.url().to_owned())
            } else if !all && known.incarnation != 0 && !known.url.is_empty() {
                return None;
            } else {
                let hello =
                    self.network.hello(&known.addr, Instant::now() + HELLO_TIMEOUT).await.ok()?;
                // The address may belong to another node by now.
                if hello.node != id {
                    return None;
                }
                (hello.incarnation, hello.url)
            };
            let current = match known.incarnation {
                0 => Peer { incarnation, url, ..known.clone() },
                // A known incarnation never changes: a node with another one is
                // refused by the interceptor.
                _ => Peer { url, ..known.clone() },
            };
            (current != known).then_some((id, current))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Waits until a peer refuses this node because it is no longer a member, and
    /// publishes the reason. Peers are asked only while the node is not caught up,
    /// since a node that follows a leader has not been expelled.
    pub async fn watch_expulsion(
        self,
        caught_up: Arc<AtomicBool>,
        expelled: watch::Sender<Option<Expelled>>,
    ) {
        let mut timer = tokio::time::interval(CHECK_INTERVAL);
        loop {
            timer.tick().await;
            if caught_up.load(Ordering::Acquire) {
                continue;
            }
            if let Some(why) = self.ask_peers().await {
                tracing::error!(node = self.identity.node(), %why, "expelled");
                expelled.send_replace(Some(why));
                return;
            }
        }
    }

    async fn ask_peers(&self) -> Option<Expelled> {
        let mut peers: BTreeMap<NodeId, Peer> = self.founders.clone();
        peers.extend(self.leadership.peers());
        peers.remove(&self.identity.node());
        let asked = peers.values().map(|peer| async {
            match self.network.hello(&peer.addr, Instant::now() + HELLO_TIMEOUT).await {
                Err(CallError::Call { source, .. }) => expulsion_in(&source),
                Ok(_) | Err(_) => None,
            }
        });
        join_all(asked).await.into_iter().flatten().next()
    }
}
