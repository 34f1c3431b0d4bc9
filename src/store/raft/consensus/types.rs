//! The types that openraft is instantiated with.
//!
//! Openraft carries proposals as opaque bytes, so the log and the network
//! never depend on what a command is; `codec` alone knows their form.

use std::fmt;

use bytes::Bytes;

use crate::machine::Reply;

/// A node's number in the cluster. A number whose folder was lost or whose node
/// was removed is never used again.
pub type NodeId = u64;

openraft::declare_raft_types!(
    /// What openraft is generic over.
    pub TypeConfig:
        D = Proposal,
        R = ApplyResponse,
        NodeId = NodeId,
        Node = Peer,
        Term = u64,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, NodeId>,
);

/// One command as it is stored in the log: an encoded [`crate::machine::Envelope`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proposal(pub Bytes);

/// Where a member of the cluster is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// `host:port` of the peer's gRPC listener.
    pub addr: String,
    /// The URL under which clients reach the peer's MCP endpoint; may be empty.
    pub url: String,
    /// The incarnation of the peer's folder; 0 until the cluster has learned it.
    /// See [`crate::store::raft::membership::view`].
    pub incarnation: u64,
}

impl Peer {
    /// A peer of which only the address is known.
    pub fn at(addr: impl Into<String>) -> Peer {
        Peer { addr: addr.into(), ..Peer::default() }
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proposal({} bytes)", self.0.len())
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.addr)
    }
}

/// The result of applying an entry, for the node that proposed it: the reply if
/// the entry was a command, and nothing for openraft's own entries.
#[derive(Clone, Debug, Default)]
pub struct ApplyResponse(pub Option<Reply>);
