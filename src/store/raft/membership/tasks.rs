//! Two watchmen of the membership. The leader's writes into it what founding
//! members say of themselves, the incarnation of their folder and where clients
//! reach them, and finishes a change that an earlier leader died in. The node's
//! own finds out that the cluster goes on without it.

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
use crate::store::raft::rpc::{CallError, PeerIdentity, PeerNetwork, expelled};

/// How often either looks. Short against a person's patience, and what it costs
/// is a message to each peer, most of the time to none.
const LOOK: Duration = Duration::from_secs(1);

/// A peer that does not answer by then is asked the next time.
const HELLO: Duration = Duration::from_secs(1);

/// Looks after which members that are known are asked too: where clients reach
/// them may have changed.
const LOOKS_BETWEEN_ROUNDS: u32 = 30;

/// What both need.
#[derive(Clone)]
pub struct MembershipTasks {
    pub(crate) raft: RaftHandle,
    pub(crate) leadership: Leadership,
    pub(crate) network: PeerNetwork,
    pub(crate) identity: PeerIdentity,
    pub(crate) admin: Arc<ClusterAdmin>,
    /// Whom the settings name as members.
    pub(crate) founders: BTreeMap<NodeId, Peer>,
}

impl MembershipTasks {
    /// Registers members for as long as the node lives.
    pub async fn register(self) {
        let mut timer = tokio::time::interval(LOOK);
        for look in (0..LOOKS_BETWEEN_ROUNDS).cycle() {
            timer.tick().await;
            let Leader::Me { .. } = self.leadership.now() else { continue };
            let news = self.news(look == 0).await;
            let Ok(_turn) = self.admin.change_lock.try_lock() else { continue };
            self.finish_change().await;
            if news.is_empty() {
                continue;
            }
            let nodes: Vec<NodeId> = news.keys().copied().collect();
            // Only descriptions change, and no address: nobody is reached
            // elsewhere, and no majority moves.
            match self.raft.change_membership(ChangeMembers::SetNodes(news), true).await {
                Ok(_) => tracing::debug!(?nodes, "members registered"),
                // Another change is under way, or the office was lost.
                Err(error) => tracing::debug!(?nodes, %error, "members not registered yet"),
            }
        }
    }

    /// A change stops between its two steps when its leader is lost; nobody
    /// else would take the second.
    async fn finish_change(&self) {
        let goal = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            let configs = metrics.membership_config.membership().get_joint_config();
            configs.last().filter(|_| configs.len() > 1).cloned()
        };
        let Some(goal) = goal else { return };
        let voters: Vec<NodeId> = goal.iter().copied().collect();
        match self.raft.change_membership(ChangeMembers::ReplaceAllVoters(goal), false).await {
            Ok(_) => tracing::info!(?voters, "an unfinished change of the members is finished"),
            Err(error) => tracing::debug!(?voters, %error, "the change is not finished yet"),
        }
    }

    /// Members of which the membership does not say all that they say: of those
    /// about which something is missing, or of all.
    async fn news(&self, all: bool) -> BTreeMap<NodeId, Peer> {
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
                let hello = self.network.hello(&known.addr, Instant::now() + HELLO).await.ok()?;
                // An address may have been handed to another machine.
                if hello.node != id {
                    return None;
                }
                (hello.incarnation, hello.url)
            };
            let told = match known.incarnation {
                0 => Peer { incarnation, url, ..known.clone() },
                // Never another: whoever says so is refused at the gate.
                _ => Peer { url, ..known.clone() },
            };
            (told != known).then_some((id, told))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Waits until a peer refuses this node because it is no member any more,
    /// and tells why. Peers are asked while no leader is heard: `current` is
    /// false then.
    pub async fn watch_expulsion(
        self,
        current: Arc<AtomicBool>,
        told: watch::Sender<Option<Expelled>>,
    ) {
        let mut timer = tokio::time::interval(LOOK);
        loop {
            timer.tick().await;
            if current.load(Ordering::Acquire) {
                continue;
            }
            if let Some(why) = self.ask_peers().await {
                tracing::error!(node = self.identity.node(), %why, "expelled");
                told.send_replace(Some(why));
                return;
            }
        }
    }

    async fn ask_peers(&self) -> Option<Expelled> {
        let mut peers: BTreeMap<NodeId, Peer> = self.founders.clone();
        peers.extend(self.leadership.peers());
        peers.remove(&self.identity.node());
        let asked = peers.values().map(|peer| async {
            match self.network.hello(&peer.addr, Instant::now() + HELLO).await {
                Err(CallError::Call { source, .. }) => expelled(&source),
                Ok(_) | Err(_) => None,
            }
        });
        join_all(asked).await.into_iter().flatten().next()
    }
}
