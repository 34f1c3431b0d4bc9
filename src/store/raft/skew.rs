//! How far the members' wall clocks are from this node's. Deadlines hold across
//! a change of leader as long as clocks agree within the allowance; beyond it an
//! operator should know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::leadership::Leadership;
use super::network::Network;
use super::office::{Office, SKEW_ALLOWED_MS};
use super::types::{NodeId, Peer};

/// How often peers are asked for the time. Clocks drift slowly, and whoever set
/// one wrong looks at health within a minute.
const LOOK: Duration = Duration::from_secs(5);

/// A reply that takes longer says little about the time.
const HELLO: Duration = Duration::from_secs(1);

/// What this node knows of its peers' clocks: how many milliseconds each is
/// ahead of its own, wrong by half a round trip at most.
#[derive(Clone, Default)]
pub struct Skews(Arc<Mutex<BTreeMap<NodeId, i64>>>);

impl Skews {
    /// How many milliseconds the clock of `node` is ahead, where it is known.
    pub fn of(&self, node: NodeId) -> Option<i64> {
        self.known().get(&node).copied()
    }

    /// What an operator should hear, if clocks are too far apart.
    pub fn warning(&self) -> Option<String> {
        let known = self.known();
        let apart: Vec<String> =
            known.iter().filter(|(_, ms)| is_apart(**ms)).map(|(id, ms)| told(*id, *ms)).collect();
        (!apart.is_empty()).then(|| {
            let allowed_s = SKEW_ALLOWED_MS / 1000;
            format!("clocks are more than {allowed_s} s apart: {}", apart.join(", "))
        })
    }

    /// Asks peers for the time for as long as the node lives.
    pub async fn watch(self, leadership: Leadership, network: Network, office: Office) {
        let mut timer = tokio::time::interval(LOOK);
        loop {
            timer.tick().await;
            let peers = leadership.peers();
            let asked = peers.iter().map(|(id, peer)| ask(*id, peer, &network, &office));
            let found = join_all(asked).await;
            let members: Vec<NodeId> = peers.iter().map(|(id, _)| *id).collect();
            self.note(&members, found.into_iter().flatten());
        }
    }

    fn note(&self, members: &[NodeId], found: impl Iterator<Item = (NodeId, i64)>) {
        let mut known = self.known();
        known.retain(|id, _| members.contains(id));
        for (id, ms) in found {
            let before = known.insert(id, ms);
            match (before.is_some_and(is_apart), is_apart(ms)) {
                (false, true) => tracing::warn!(
                    "the clock of {}; leases may last longer after a change of leader",
                    told(id, ms)
                ),
                (true, false) => tracing::info!(node = id, "clocks agree again"),
                (false, false) | (true, true) => {}
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<NodeId, i64>> {
        // A panic while inserting leaves a map that is still a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(id: NodeId, peer: &Peer, network: &Network, office: &Office) -> Option<(NodeId, i64)> {
    let before = office.wall().0;
    let hello = network.hello(&peer.addr, Instant::now() + HELLO).await.ok()?;
    let mine = before.midpoint(office.wall().0);
    // An address may have been handed to another machine; one that does not
    // tell the time says 0.
    (hello.node == id && hello.wall_ms > 0)
        .then_some((id, hello.wall_ms.cast_signed().saturating_sub(mine.cast_signed())))
}

fn is_apart(ms: i64) -> bool {
    ms.unsigned_abs() > SKEW_ALLOWED_MS
}

/// Which clock, and how far.
fn told(id: NodeId, ms: i64) -> String {
    let seconds = ms.unsigned_abs() as f64 / 1000.0;
    let way = if ms < 0 { "behind" } else { "ahead of" };
    format!("node {id} is {seconds:.1} s {way} this node's")
}
