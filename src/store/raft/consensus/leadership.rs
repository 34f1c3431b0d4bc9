//! Who leads, as this node knows it, and waiting for that to change.

use std::fmt;
use std::time::Duration;

use openraft::Raft;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::state_machine::StateMachine;
use super::types::{NodeId, Peer, TypeConfig};

/// The consensus core of a node.
pub type RaftHandle = Raft<TypeConfig, StateMachine>;

/// A call that found nobody to serve it asks again after this, or as soon as
/// the node hears of a change. Short against an election, long against a spin.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Who orders commands now.
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
    Nobody,
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Leader::Me { term } => write!(f, "this node, in term {term}"),
            Leader::Peer { id, peer } => write!(f, "node {id} at {peer}"),
            Leader::Nobody => f.write_str("nobody"),
        }
    }
}

/// A node's view of the leadership. Clones are cheap and independent.
#[derive(Clone)]
pub struct Leadership {
    metrics: WatchReceiverOf<TypeConfig, RaftServerMetrics<TypeConfig>>,
}

impl Leadership {
    /// Follows the leadership that `raft` knows of.
    pub fn of(raft: &RaftHandle) -> Leadership {
        Leadership { metrics: raft.server_metrics() }
    }

    /// Who leads now.
    pub fn now(&self) -> Leader {
        let metrics = self.metrics.borrow_watched();
        let Some(id) = metrics.current_leader else { return Leader::Nobody };
        if id == metrics.id {
            return Leader::Me { term: metrics.vote.leader_id.term };
        }
        match metrics.membership_config.membership().get_node(&id) {
            Some(peer) => Leader::Peer { id, peer: peer.clone() },
            None => Leader::Nobody,
        }
    }

    /// Whether this node has heard of no cluster yet: it waits to be added.
    pub fn has_no_members(&self) -> bool {
        let metrics = self.metrics.borrow_watched();
        metrics.membership_config.membership().nodes().next().is_none()
    }

    /// The other members, the leader first: it has everything.
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

    /// Waits until it makes sense to ask again; false once `deadline` is over.
    pub async fn settle(&mut self, deadline: Instant) -> bool {
        self.settle_until(deadline.min(Instant::now() + ASK_AGAIN)).await;
        Instant::now() < deadline
    }

    /// Waits until `leader` leads no more, as far as this node knows.
    pub async fn left_by(&mut self, leader: &Leader) {
        while self.now() == *leader {
            if self.metrics.changed().await.is_err() {
                // The node has stopped, and what it knew stays as it is.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for a change, or for `limit`.
    pub async fn change_within(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            let before = self.now();
            self.settle_until(until).await;
            if self.now() != before {
                return;
            }
        }
    }

    async fn settle_until(&mut self, until: Instant) {
        // Either way there is something new to try: a change, or the time itself.
        if let Ok(Err(_stopped)) = timeout_at(until, self.metrics.changed()).await {
            // No change will come any more, at once and each time.
            sleep_until(until).await;
        }
    }
}
