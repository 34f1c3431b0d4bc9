//! What a node learns by polling its peers: how far their wall clocks differ from
//! its own, and which protocol version they speak. Deadlines hold across a change
//! of leader as long as clocks agree within the allowance; an operator is warned
//! when they do not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::cluster_clock::{ClusterClock, SKEW_ALLOWED_MS};
use crate::store::raft::consensus::leadership::Leadership;
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::PeerNetwork;

/// How often peers are polled. Clocks drift slowly, so an operator who has set one
/// wrong is warned soon enough.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// A reply that takes longer says little about the peer's clock.
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);

/// How often peers are polled while no member is known, or while the version of a
/// member is not: newer rules cannot come into force before all are known.
const POLL_INTERVAL_UNKNOWN: Duration = Duration::from_millis(200);

/// What each peer last answered. Clones share it.
#[derive(Clone, Default)]
pub struct PeerStatuses(Arc<Mutex<BTreeMap<NodeId, PeerStatus>>>);

/// What a peer answered.
#[derive(Clone, Copy)]
struct PeerStatus {
    /// How many milliseconds its clock is ahead of this node's, with an error of at
    /// most half a round trip; none if it does not tell its time.
    skew_ms: Option<i64>,
    /// The newest version of the protocol that it speaks.
    protocol: u32,
}

impl PeerStatuses {
    /// How many milliseconds the clock of `node` is ahead, if it is known.
    pub fn clock_skew_ms(&self, node: NodeId) -> Option<i64> {
        self.known().get(&node)?.skew_ms
    }

    /// A warning for the operator, if clocks are too far apart.
    pub fn warning(&self) -> Option<String> {
        let known = self.known();
        let skews = known.iter().filter_map(|(id, status)| Some((*id, status.skew_ms?)));
        let apart: Vec<String> =
            skews.filter(|(_, ms)| is_apart(*ms)).map(|(id, ms)| describe(id, ms)).collect();
        (!apart.is_empty()).then(|| {
            let allowed_s = SKEW_ALLOWED_MS / 1000;
            format!("clocks are more than {allowed_s} s apart: {}", apart.join(", "))
        })
    }

    /// Whether each of these peers is known to speak this version or a newer one.
    pub fn all_speak(&self, peers: impl IntoIterator<Item = NodeId>, protocol: u32) -> bool {
        let known = self.known();
        peers.into_iter().all(|id| known.get(&id).is_some_and(|status| status.protocol >= protocol))
    }

    /// Polls the peers for as long as the node lives.
    pub async fn poll(
        self,
        leadership: Leadership,
        network: PeerNetwork,
        cluster_clock: ClusterClock,
    ) {
        loop {
            let mut ids = leadership.peers().into_iter().map(|(id, _)| id).peekable();
            // A node that has just started knows of no members yet.
            let all_known = ids.peek().is_some() && self.all_speak(ids, 0);
            tokio::time::sleep(if all_known { POLL_INTERVAL } else { POLL_INTERVAL_UNKNOWN }).await;
            let peers = leadership.peers();
            let polled =
                peers.iter().map(|(id, peer)| poll_peer(*id, peer, &network, &cluster_clock));
            let statuses = join_all(polled).await;
            let members: Vec<NodeId> = peers.iter().map(|(id, _)| *id).collect();
            self.update(&members, statuses.into_iter().flatten());
        }
    }

    fn update(&self, members: &[NodeId], statuses: impl Iterator<Item = (NodeId, PeerStatus)>) {
        let mut known = self.known();
        known.retain(|id, _| members.contains(id));
        for (id, status) in statuses {
            let before = known.insert(id, status).and_then(|status| status.skew_ms);
            let Some(ms) = status.skew_ms else { continue };
            match (before.is_some_and(is_apart), is_apart(ms)) {
                (false, true) => tracing::warn!(
                    "the clock of {}; leases may last longer after a change of leader",
                    describe(id, ms)
                ),
                (true, false) => tracing::info!(node = id, "clocks agree again"),
                (false, false) | (true, true) => {}
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<NodeId, PeerStatus>> {
        // A panic cannot leave a map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn poll_peer(
    id: NodeId,
    peer: &Peer,
    network: &PeerNetwork,
    cluster_clock: &ClusterClock,
) -> Option<(NodeId, PeerStatus)> {
    let before = cluster_clock.wall().0;
    let hello = network.hello(&peer.addr, Instant::now() + HELLO_TIMEOUT).await.ok()?;
    let mine = before.midpoint(cluster_clock.wall().0);
    // A node that does not tell its time sends 0.
    let skew_ms =
        (hello.wall_ms > 0).then(|| hello.wall_ms.cast_signed().saturating_sub(mine.cast_signed()));
    // The address may belong to another node by now.
    (hello.node == id).then_some((id, PeerStatus { skew_ms, protocol: hello.protocol }))
}

fn is_apart(ms: i64) -> bool {
    ms.unsigned_abs() > SKEW_ALLOWED_MS
}

fn describe(id: NodeId, ms: i64) -> String {
    let seconds = ms.unsigned_abs() as f64 / 1000.0;
    let direction = if ms < 0 { "behind" } else { "ahead of" };
    format!("node {id} is {seconds:.1} s {direction} this node's")
}
