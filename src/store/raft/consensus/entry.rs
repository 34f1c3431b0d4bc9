//! Entries, log ids and votes between openraft's types and `proto/record.proto`.
//! The log and the network share this form; what a proposal says is `codec`'s.

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
/// Whom a node voted for.
pub type Vote = VoteOf<TypeConfig>;
/// Who votes and who is reached where.
pub type Membership = openraft::Membership<NodeId, Peer>;

/// Why a message is not an entry.
#[derive(Debug, Error)]
pub enum EntryError {
    /// The payload is missing, or of a kind this version does not know.
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
        /// What openraft says of it.
        reason: String,
    },
}

/// What an entry costs in memory and on disk, about, in bytes.
pub fn entry_bytes(entry: &Entry) -> u64 {
    /// Keys, lengths, term and index of an encoded entry.
    const FRAME_BYTES: usize = 32;
    let payload = match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(proposal) => proposal.0.len(),
        EntryPayload::Membership(membership) => record::Membership::from(membership).encoded_len(),
    };
    (FRAME_BYTES + payload) as u64
}

/// A log id of its parts.
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

/// The entry that a message carries; not `TryFrom`, which openraft's projected
/// types keep out.
///
/// # Errors
/// When the payload is missing, unknown, or a membership that contradicts itself.
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

/// A member as a message carries it.
pub fn member_out(id: NodeId, peer: &Peer) -> record::Member {
    let Peer { addr, url, incarnation } = peer.clone();
    record::Member { id, addr, url, incarnation }
}

/// The member that a message carries.
pub fn member_in(member: record::Member) -> (NodeId, Peer) {
    let record::Member { id, addr, url, incarnation } = member;
    (id, Peer { addr, url, incarnation })
}

impl From<&Membership> for record::Membership {
    fn from(membership: &Membership) -> Self {
        let configs = membership
            .get_joint_config()
            .iter()
            .map(|set| record::NodeSet { nodes: set.iter().copied().collect() });
        let members = membership.nodes().map(|(id, peer)| member_out(*id, peer));
        Self { configs: configs.collect(), members: members.collect() }
    }
}

impl TryFrom<record::Membership> for Membership {
    /// What openraft says of a membership that contradicts itself.
    type Error = String;

    fn try_from(membership: record::Membership) -> Result<Self, String> {
        let configs: Vec<BTreeSet<NodeId>> =
            membership.configs.into_iter().map(|set| set.nodes.into_iter().collect()).collect();
        let peers: BTreeMap<NodeId, Peer> = membership.members.into_iter().map(member_in).collect();
        Membership::new(configs, peers).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_went() {
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
