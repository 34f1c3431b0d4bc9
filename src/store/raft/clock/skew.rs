//! What a node knows of its peers by asking them again and again: how far their
//! wall clocks are from its own, and which version of the protocol they speak.
//! Deadlines hold across a change of leader as long as clocks agree within the
//! allowance; beyond it an operator should know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::cluster_clock::{ClusterClock, SKEW_ALLOWED_MS};
use crate::store::raft::consensus::leadership::Leadership;
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::rpc::PeerNetwork;

/// How often peers are asked for the time. Clocks drift slowly, and whoever set
/// one wrong looks at health within a minute.
const LOOK: Duration = Duration::from_secs(5);

/// A reply that takes longer says little about the time.
const HELLO: Duration = Duration::from_secs(1);

/// While no member is known, or some have not told their version yet: what they
/// could do together waits for that.
const LOOK_SOON: Duration = Duration::from_millis(200);

/// What this node knows of its peers.
#[derive(Clone, Default)]
pub struct ClockSkews(Arc<Mutex<BTreeMap<NodeId, Told>>>);

/// What a peer says of itself.
#[derive(Clone, Copy)]
struct Told {
    /// How many milliseconds its clock is ahead of this node's, wrong by half a
    /// round trip at most; none where it does not tell the time.
    ahead_ms: Option<i64>,
    /// The newest version of the protocol that it speaks.
    protocol: u32,
}

impl ClockSkews {
    /// How many milliseconds the clock of `node` is ahead, where it is known.
    pub fn of(&self, node: NodeId) -> Option<i64> {
        self.known().get(&node)?.ahead_ms
    }

    /// What an operator should hear, if clocks are too far apart.
    pub fn warning(&self) -> Option<String> {
        let known = self.known();
        let ahead = known.iter().filter_map(|(id, told)| Some((*id, told.ahead_ms?)));
        let apart: Vec<String> =
            ahead.filter(|(_, ms)| is_apart(*ms)).map(|(id, ms)| clock(id, ms)).collect();
        (!apart.is_empty()).then(|| {
            let allowed_s = SKEW_ALLOWED_MS / 1000;
            format!("clocks are more than {allowed_s} s apart: {}", apart.join(", "))
        })
    }

    /// Whether each of these peers is known to speak this version or a newer one.
    pub fn all_speak(&self, peers: impl IntoIterator<Item = NodeId>, protocol: u32) -> bool {
        let known = self.known();
        peers.into_iter().all(|id| known.get(&id).is_some_and(|told| told.protocol >= protocol))
    }

    /// Asks peers for as long as the node lives.
    pub async fn watch(
        self,
        leadership: Leadership,
        network: PeerNetwork,
        cluster_clock: ClusterClock,
    ) {
        loop {
            let mut ids = leadership.peers().into_iter().map(|(id, _)| id).peekable();
            // A node that has just started knows of no members yet.
            let all_told = ids.peek().is_some() && self.all_speak(ids, 0);
            tokio::time::sleep(if all_told { LOOK } else { LOOK_SOON }).await;
            let peers = leadership.peers();
            let asked = peers.iter().map(|(id, peer)| ask(*id, peer, &network, &cluster_clock));
            let found = join_all(asked).await;
            let members: Vec<NodeId> = peers.iter().map(|(id, _)| *id).collect();
            self.note(&members, found.into_iter().flatten());
        }
    }

    fn note(&self, members: &[NodeId], found: impl Iterator<Item = (NodeId, Told)>) {
        let mut known = self.known();
        known.retain(|id, _| members.contains(id));
        for (id, told) in found {
            let before = known.insert(id, told).and_then(|told| told.ahead_ms);
            let Some(ms) = told.ahead_ms else { continue };
            match (before.is_some_and(is_apart), is_apart(ms)) {
                (false, true) => tracing::warn!(
                    "the clock of {}; leases may last longer after a change of leader",
                    clock(id, ms)
                ),
                (true, false) => tracing::info!(node = id, "clocks agree again"),
                (false, false) | (true, true) => {}
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<NodeId, Told>> {
        // A panic while inserting leaves a map that is still a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(
    id: NodeId,
    peer: &Peer,
    network: &PeerNetwork,
    cluster_clock: &ClusterClock,
) -> Option<(NodeId, Told)> {
    let before = cluster_clock.wall().0;
    let hello = network.hello(&peer.addr, Instant::now() + HELLO).await.ok()?;
    let mine = before.midpoint(cluster_clock.wall().0);
    // An address may have been handed to another machine; one that does not
    // tell the time says 0.
    let ahead_ms =
        (hello.wall_ms > 0).then(|| hello.wall_ms.cast_signed().saturating_sub(mine.cast_signed()));
    (hello.node == id).then_some((id, Told { ahead_ms, protocol: hello.protocol }))
}

fn is_apart(ms: i64) -> bool {
    ms.unsigned_abs() > SKEW_ALLOWED_MS
}

/// Which clock, and how far.
fn clock(id: NodeId, ms: i64) -> String {
    let seconds = ms.unsigned_abs() as f64 / 1000.0;
    let way = if ms < 0 { "behind" } else { "ahead of" };
    format!("node {id} is {seconds:.1} s {way} this node's")
}
