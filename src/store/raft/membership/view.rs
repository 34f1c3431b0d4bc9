//! The membership view: which nodes are members of the cluster and which were, as
//! of the last membership entry that this node has applied. By it, the node decides
//! from whom it accepts messages.
//!
//! A node's number belongs to its folder. A node that lost its folder has forgotten
//! for whom it voted and what it acknowledged, and could help to elect a second
//! leader in the same term. So each folder has an incarnation, a random number that
//! is drawn at its first start. Once the leader has learned it, the membership
//! records it, and a node with the same number and another incarnation is refused.
//! A node that was removed is refused as well: its number is never used again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::store::raft::consensus::types::{NodeId, Peer};

/// The members and former members that this node has applied. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MembershipView {
    nodes: Arc<ArcSwap<KnownNodes>>,
}

#[derive(Debug, Default)]
struct KnownNodes {
    members: BTreeMap<NodeId, Peer>,
    retired: BTreeSet<NodeId>,
}

/// Why a node has left the cluster for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Expelled {
    /// It was removed from the membership.
    #[error(
        "this node was removed from the cluster, and its number is never given out again; to \
         add this machine, start a node with a new number and an empty folder, and \
         `cluster add` it"
    )]
    Removed,
    /// It has another folder than the one that the cluster knows.
    #[error(
        "the cluster knows this node by another folder, which is lost here; a node that lost \
         its folder is never taken back: start one with a new number and an empty folder, and \
         put it in this one's place with `cluster replace`"
    )]
    Wiped,
}

impl MembershipView {
    /// Adopts the membership of a log entry or a snapshot.
    pub fn set(&self, members: BTreeMap<NodeId, Peer>, retired: BTreeSet<NodeId>) {
        self.nodes.store(Arc::new(KnownNodes { members, retired }));
    }

    /// Checks whether `node` may send messages, given the incarnation of its folder
    /// (0 if it names none).
    ///
    /// # Errors
    /// When it was removed, or its folder is not the one that the cluster knows.
    pub fn admit(&self, node: NodeId, incarnation: u64) -> Result<(), Expelled> {
        let nodes = self.nodes.load();
        if nodes.retired.contains(&node) {
            return Err(Expelled::Removed);
        }
        match nodes.members.get(&node) {
            Some(peer) if peer.incarnation != 0 && peer.incarnation != incarnation => {
                Err(Expelled::Wiped)
            }
            // A node that is not a member yet may become one.
            Some(_) | None => Ok(()),
        }
    }

    /// The incarnation of a member's folder, once the cluster has learned it.
    pub fn incarnation_of(&self, node: NodeId) -> Option<u64> {
        let nodes = self.nodes.load();
        nodes.members.get(&node).map(|peer| peer.incarnation).filter(|number| *number != 0)
    }

    /// Whether the number belonged to a node that was removed.
    pub fn is_retired(&self, node: NodeId) -> bool {
        self.nodes.load().retired.contains(&node)
    }
}

impl Expelled {
    /// The reason as it is sent to the refused node.
    pub fn as_str(self) -> &'static str {
        match self {
            Expelled::Removed => "removed",
            Expelled::Wiped => "wiped",
        }
    }

    /// Parses the result of [`Expelled::as_str`].
    pub fn parse(text: &str) -> Option<Expelled> {
        [Expelled::Removed, Expelled::Wiped].into_iter().find(|why| why.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_belongs_to_one_folder_and_is_never_reused() {
        let membership = MembershipView::default();
        assert_eq!(membership.admit(1, 7), Ok(()), "no member is known yet");
        let known = Peer { incarnation: 7, ..Peer::at("a:1") };
        let members = BTreeMap::from([(1, known), (2, Peer::at("b:1"))]);
        membership.set(members, BTreeSet::from([4]));
        assert_eq!(membership.admit(1, 7), Ok(()));
        assert_eq!(membership.admit(1, 8), Err(Expelled::Wiped));
        assert_eq!(membership.admit(1, 0), Err(Expelled::Wiped));
        assert_eq!(membership.admit(2, 9), Ok(()), "its incarnation is not known yet");
        assert_eq!(membership.admit(3, 9), Ok(()), "it may be about to join");
        assert_eq!(membership.admit(4, 9), Err(Expelled::Removed));
    }

    #[test]
    fn reasons_survive_a_round_trip() {
        for why in [Expelled::Removed, Expelled::Wiped] {
            assert_eq!(Expelled::parse(why.as_str()), Some(why));
        }
    }
}
