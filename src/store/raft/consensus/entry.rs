//! Converts entries, log ids and votes between openraft's types and the messages
//! of `proto/record.proto`. The log and the peer network share this form. What a
//! proposal contains is known to `codec` alone.

use std::collections::{BTreeMap, BTreeSet};

use openraft::EntryPayload;
use openraft::alias::{CommittedLeaderIdOf, EntryOf, LogIdOf, VoteOf};
use prost::Message;
use thiserror::Error;

use super::types::{NodeId, Peer, Proposal, TypeConfig};
use crate::proto::record;

/// An entry of the replicated log.
pub type Entry = EntryOf<TypeConfig>;
/// The place of an entry in the replicated log: term and index.
pub type LogId = LogIdOf<TypeConfig>;
/// The node that a node voted for, and in which term.
pub type Vote = VoteOf<TypeConfig>;
/// The voters and learners of the cluster, with their addresses.
pub type Membership = openraft::Membership<NodeId, Peer>;

/// Why a message cannot be decoded as an entry.
#[derive(Debug, Error)]
pub enum EntryError {
    /// The payload is missing, or of a kind that this version does not know.
    #[error("entry {index} carries no payload that this version knows")]
    Payload {
        /// The entry's index.
        index: u64,
    },
    /// The membership contradicts itself.
    #[error("entry {index} carries an invalid membership: {reason}")]
    Membership {
        /// The entry's index.
        index: u64,
        /// The contradiction, as openraft describes it.
        reason: String,
    },
}

/// Roughly how many bytes an entry occupies, in memory and on disk.
pub fn entry_bytes(entry: &Entry) -> u64 {
    /// The field keys, lengths, term and index of an encoded entry.
    const FRAME_BYTES: usize = 32;
    let payload = match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(proposal) => proposal.0.len(),
        EntryPayload::Membership(membership) => record::Membership::from(membership).encoded_len(),
    };
    (FRAME_BYTES + payload) as u64
}

/// Makes a log id from its parts.
pub fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderIdOf::<TypeConfig>::new(term), index)
}

impl From<&LogId> for record::LogId {
    fn from(id: &LogId) -> Self {
        Self { term: id.leader_id.term, index: id.index }
    }
}

impl From<&record::LogId> for LogId {
    fn from(id: &record::LogId) -> Self {
        log_id(id.term, id.index)
    }
}

impl From<&Vote> for record::Vote {
    fn from(vote: &Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            node: vote.leader_id.voted_for,
            committed: vote.committed,
        }
    }
}

impl From<&record::Vote> for Vote {
    fn from(vote: &record::Vote) -> Self {
        match vote.committed {
            true => Vote::new_committed(vote.term, vote.node),
            false => Vote::new(vote.term, vote.node),
        }
    }
}

impl From<&Entry> for record::LogEntry {
    fn from(entry: &Entry) -> Self {
        use record::log_entry::Payload;
        let payload = match &entry.payload {
            EntryPayload::Blank => Payload::Blank(record::Blank {}),
            EntryPayload::Normal(proposal) => Payload::Proposal(proposal.0.clone()),
            EntryPayload::Membership(membership) => Payload::Membership(membership.into()),
        };
        Self {
            term: entry.log_id.leader_id.term,
            index: entry.log_id.index,
            payload: Some(payload),
        }
    }
}

/// Decodes an entry. This is not a `TryFrom` because [`Entry`] is a projected type
/// of openraft, for which the compiler allows no such implementation here.
///
/// # Errors
/// When the payload is missing or unknown, or is a membership that contradicts
/// itself.
pub fn decode_entry(entry: record::LogEntry) -> Result<Entry, EntryError> {
    use record::log_entry::Payload;
    let index = entry.index;
    let payload = match entry.payload {
        None => return Err(EntryError::Payload { index }),
        Some(Payload::Blank(record::Blank {})) => EntryPayload::Blank,
        Some(Payload::Proposal(bytes)) => EntryPayload::Normal(Proposal(bytes)),
        Some(Payload::Membership(membership)) => {
            let membership = Membership::try_from(membership)
                .map_err(|reason| EntryError::Membership { index, reason })?;
            EntryPayload::Membership(membership)
        }
    };
    Ok(Entry { log_id: log_id(entry.term, index), payload })
}

/// Encodes a member of the cluster.
pub fn encode_member(id: NodeId, peer: &Peer) -> record::Member {
    let Peer { addr, url, incarnation } = peer.clone();
    record::Member { id, addr, url, incarnation }
}

/// Decodes a member of the cluster.
pub fn decode_member(member: record::Member) -> (NodeId, Peer) {
    let record::Member { id, addr, url, incarnation } = member;
    (id, Peer { addr, url, incarnation })
}

impl From<&Membership> for record::Membership {
    fn from(membership: &Membership) -> Self {
        let configs = membership
            .get_joint_config()
            .iter()
            .map(|set| record::NodeSet { nodes: set.iter().copied().collect() });
        let members = membership.nodes().map(|(id, peer)| encode_member(*id, peer));
        Self { configs: configs.collect(), members: members.collect() }
    }
}

impl TryFrom<record::Membership> for Membership {
    /// The contradiction, as openraft describes it.
    type Error = String;

    fn try_from(membership: record::Membership) -> Result<Self, String> {
        let configs: Vec<BTreeSet<NodeId>> =
            membership.configs.into_iter().map(|set| set.nodes.into_iter().collect()).collect();
        let peers: BTreeMap<NodeId, Peer> =
            membership.members.into_iter().map(decode_member).collect();
        Membership::new(configs, peers).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn entries_survive_a_round_trip() {
        let peer = |n: u64| Peer {
            addr: format!("10.0.0.{n}:7000"),
            url: format!("http://{n}"),
            incarnation: n,
        };
        let membership = Membership::new(
            vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])],
            BTreeMap::from([(1, peer(1)), (2, peer(2)), (3, peer(3)), (4, peer(4))]),
        )
        .unwrap();
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::new())),
            EntryPayload::Normal(Proposal(Bytes::from_static(b"set"))),
            EntryPayload::Membership(membership),
        ];
        for payload in payloads {
            let entry = Entry { log_id: log_id(7, 9), payload };
            let message = record::LogEntry::from(&entry).encode_to_vec();
            let back = record::LogEntry::decode(message.as_slice()).unwrap();
            assert_eq!(decode_entry(back).unwrap(), entry);
        }
    }

    #[test]
    fn an_entry_without_a_payload_is_refused() {
        let entry = record::LogEntry { term: 1, index: 5, payload: None };
        assert!(matches!(decode_entry(entry), Err(EntryError::Payload { index: 5 })));
    }
}
