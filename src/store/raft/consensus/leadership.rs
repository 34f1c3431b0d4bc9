//! Which node leads, as far as this node knows, and how to wait for a change.

use std::fmt;
use std::time::Duration;

use openraft::Raft;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::state_machine::StateMachine;
use super::types::{NodeId, Peer, TypeConfig};

/// The handle to a node's Raft instance.
pub type RaftHandle = Raft<TypeConfig, StateMachine>;

/// How long a call that no leader could serve waits before it tries again, unless
/// the leadership changes sooner. This is short compared with an election, and
/// long enough not to spin.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The node that orders commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    /// This node, in this term.
    Me {
        term: u64,
    },
    Peer {
        id: NodeId,
        peer: Peer,
    },
    Unknown,
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leader::Me { term } => write!(f, "this node, in term {term}"),
            Leader::Peer { id, peer } => write!(f, "node {id} at {peer}"),
            Leader::Unknown => f.write_str("nobody"),
        }
    }
}

/// A node's view of the leadership. Clones are cheap, and each waits for changes
/// on its own.
#[derive(Clone)]
pub struct Leadership {
    metrics: WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
}

impl Leadership {
    /// Follows the leadership as `raft` reports it.
    pub fn of(raft: &RaftHandle) -> Leadership {
        Leadership { metrics: raft.server_metrics() }
    }

    /// The leader now.
    pub fn current(&self) -> Leader {
        let metrics = self.metrics.borrow_watched();
        let Some(id) = metrics.current_leader else { return Leader::Unknown };
        if id == metrics.id {
            return Leader::Me { term: metrics.vote.leader_id.term };
        }
        match metrics.membership_config.membership().get_node(&id) {
            Some(peer) => Leader::Peer { id, peer: peer.clone() },
            None => Leader::Unknown,
        }
    }

    /// Whether this node knows of no member yet, which means that it waits to be
    /// added to a cluster.
    pub fn has_no_members(&self) -> bool {
        let metrics = self.metrics.borrow_watched();
        metrics.membership_config.membership().nodes().next().is_none()
    }

    /// The other members. The leader comes first, because it has everything that
    /// was committed.
    pub fn peers(&self) -> Vec<(NodeId, Peer)> {
        let metrics = self.metrics.borrow_watched();
        let others = metrics.membership_config.membership().nodes();
        let mut peers: Vec<_> = others
            .filter(|(id, _)| **id != metrics.id)
            .map(|(id, peer)| (*id, peer.clone()))
            .collect();
        peers.sort_by_key(|(id, _)| Some(*id) != metrics.current_leader);
        peers
    }

    /// Waits until a retry makes sense. Returns false once `deadline` has passed.
    pub async fn wait_to_retry(&mut self, deadline: Instant) -> bool {
        self.wait_for_update(deadline.min(Instant::now() + RETRY_INTERVAL)).await;
        Instant::now() < deadline
    }

    /// Waits until this node knows that `leader` no longer leads.
    pub async fn wait_until_left(&mut self, leader: &Leader) {
        while self.current() == *leader {
            if self.metrics.changed().await.is_err() {
                // The node has stopped, so this will never change.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for a change of leader, for at most `limit`.
    pub async fn wait_for_change(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            let before = self.current();
            self.wait_for_update(until).await;
            if self.current() != before {
                return;
            }
        }
    }

    async fn wait_for_update(&mut self, until: Instant) {
        if let Ok(Err(_stopped)) = timeout_at(until, self.metrics.changed()).await {
            // The channel is closed and would report that at once, every time, so
            // sleep instead of spinning.
            sleep_until(until).await;
        }
    }
}
