//! The roster: who is a member of the cluster and who was one, as the log says;
//! and by that, from whom this node takes messages.
//!
//! A node's number belongs to its folder. Whoever lost the folder has forgotten
//! for whom it voted and what it acknowledged, and could help a second leader
//! into the office of the first. So each folder has an incarnation, a number
//! drawn at its first start; the membership names it from the moment at which
//! the leader has heard of it, and a node of that number with another
//! incarnation is refused from then on. So is one that was removed: its number
//! is spent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::store::raft::consensus::types::{NodeId, Peer};

/// The members and former members that this node has applied. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MembershipView {
    known: Arc<ArcSwap<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    members: BTreeMap<NodeId, Peer>,
    retired: BTreeSet<NodeId>,
}

/// Why a node is no part of the cluster any more, and never will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Expelled {
    /// It was taken out of the membership.
    #[error(
        "this node was removed from the cluster, and its number is never given out again; to \
         add this machine, start a node with a new number and an empty folder, and \
         `cluster add` it"
    )]
    Removed,
    /// It comes with another folder than the one that the cluster knows.
    #[error(
        "the cluster knows this node by another folder, which is lost here; a node that lost \
         its folder is never taken back: start one with a new number and an empty folder, and \
         put it in this one's place with `cluster replace`"
    )]
    Wiped,
}

impl MembershipView {
    /// The log says so.
    pub fn set(&self, members: BTreeMap<NodeId, Peer>, retired: BTreeSet<NodeId>) {
        self.known.store(Arc::new(Known { members, retired }));
    }

    /// Whether `node`, which comes with this incarnation (0: none that it
    /// knows), belongs here as far as this node knows.
    ///
    /// # Errors
    /// It does not.
    pub fn admit(&self, node: NodeId, incarnation: u64) -> Result<(), Expelled> {
        let known = self.known.load();
        if known.retired.contains(&node) {
            return Err(Expelled::Removed);
        }
        match known.members.get(&node) {
            Some(peer) if peer.incarnation != 0 && peer.incarnation != incarnation => {
                Err(Expelled::Wiped)
            }
            // Who is no member may yet become one.
            Some(_) | None => Ok(()),
        }
    }

    /// The incarnation of a member's folder, once the cluster has heard of it.
    pub fn incarnation_of(&self, node: NodeId) -> Option<u64> {
        let known = self.known.load();
        known.members.get(&node).map(|peer| peer.incarnation).filter(|number| *number != 0)
    }

    /// Whether the number was given out to a node that is gone.
    pub fn is_retired(&self, node: NodeId) -> bool {
        self.known.load().retired.contains(&node)
    }
}

impl Expelled {
    /// As a refused node reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Expelled::Removed => "removed",
            Expelled::Wiped => "wiped",
        }
    }

    /// What [`Expelled::as_str`] gave.
    pub fn parse(text: &str) -> Option<Expelled> {
        [Expelled::Removed, Expelled::Wiped].into_iter().find(|why| why.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_belongs_to_its_folder_and_is_given_out_once() {
        let membership = MembershipView::default();
        assert_eq!(membership.admit(1, 7), Ok(()), "nothing is known yet");
        let known = Peer { incarnation: 7, ..Peer::at("a:1") };
        let members = BTreeMap::from([(1, known), (2, Peer::at("b:1"))]);
        membership.set(members, BTreeSet::from([4]));
        assert_eq!(membership.admit(1, 7), Ok(()));
        assert_eq!(membership.admit(1, 8), Err(Expelled::Wiped));
        assert_eq!(membership.admit(1, 0), Err(Expelled::Wiped));
        assert_eq!(membership.admit(2, 9), Ok(()), "nobody has heard of it yet");
        assert_eq!(membership.admit(3, 9), Ok(()), "it may be about to join");
        assert_eq!(membership.admit(4, 9), Err(Expelled::Removed));
    }

    #[test]
    fn reasons_come_back_as_they_went() {
        for why in [Expelled::Removed, Expelled::Wiped] {
            assert_eq!(Expelled::parse(why.as_str()), Some(why));
        }
    }
}
