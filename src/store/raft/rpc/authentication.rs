//! Who speaks: a node as it presents itself to its peers, and what every request
//! says of its sender. Who is let in is the gate's to decide.

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;
use tonic::metadata::{Ascii, BinaryMetadataValue, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::membership::view::MembershipView;

/// The versions of the protocol that this program speaks, and of what rests in
/// logs and snapshots that peers hand on. The newest is raised with each change
/// that a neighbour who does not know it would misunderstand, and a node uses
/// such a change only once all members speak it; the oldest follows one release
/// later, so that a cluster can be upgraded node by node.
pub const SPEAKS: RangeInclusive<u32> = 1..=2;

/// From this version on nodes know the rules by which commands are decided in
/// bounded steps ([`crate::machine::Rules::Stepwise`]).
pub const SPEAKS_STEPWISE: u32 = 2;

/// The newest version that the sender speaks.
pub(super) const KEY_PROTOCOL: &str = "sidecar-protocol";
/// The oldest; a sender that does not say speaks all up to the newest.
pub(super) const KEY_PROTOCOL_LEAST: &str = "sidecar-protocol-least";
/// Binary, because a cluster's name may be any text.
pub(super) const KEY_CLUSTER: &str = "sidecar-cluster-bin";
/// From which state the sender's folder was seeded, if it was.
pub(super) const KEY_SEED: &str = "sidecar-seed";
/// Of the sender's folder.
pub(super) const KEY_INCARNATION: &str = "sidecar-incarnation";
/// Of the receiver's folder, as the sender's cluster knows it.
pub(super) const KEY_TO_INCARNATION: &str = "sidecar-to-incarnation";
/// In place of a seed: the sender founded its cluster with an empty state.
const FOUNDED_EMPTY: &str = "none";
pub(super) const KEY_FROM: &str = "sidecar-from";
pub(super) const KEY_TO: &str = "sidecar-to";
pub(super) const KEY_SECRET: &str = "authorization";

/// This node, as it presents itself to its peers.
#[derive(Clone)]
pub struct PeerIdentity {
    pub(super) cluster: String,
    pub(super) node: NodeId,
    pub(super) secret: Option<MetadataValue<Ascii>>,
    pub(super) seed: Option<MetadataValue<Ascii>>,
    pub(super) incarnation: u64,
    url: String,
    pub(super) membership: MembershipView,
    pub(super) speaks: RangeInclusive<u32>,
}

/// A secret that no header can carry.
#[derive(Debug, Error)]
#[error("the cluster secret must be visible ASCII")]
pub struct SecretError;

impl PeerIdentity {
    /// Node `node` of `cluster`, which proves itself with `secret` if there is one.
    ///
    /// # Errors
    /// When the secret holds anything but visible ASCII.
    pub fn new(
        cluster: impl Into<String>,
        node: NodeId,
        secret: Option<&str>,
    ) -> Result<Self, SecretError> {
        let secret = match secret {
            None => None,
            Some(secret) => {
                let mut value: MetadataValue<Ascii> =
                    format!("Bearer {secret}").parse().map_err(|_| SecretError)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let (cluster, url, membership) = (cluster.into(), String::new(), MembershipView::default());
        let (seed, incarnation, speaks) = (None, 0, SPEAKS);
        Ok(Self { cluster, node, secret, seed, incarnation, url, membership, speaks })
    }

    /// The same node, which knows the members by `roster`: it takes messages
    /// from their folders alone, and sends them to those alone.
    pub fn with_membership(mut self, membership: MembershipView) -> Self {
        self.membership = membership;
        self
    }

    /// The same node, which founds its cluster: from the state with this chain
    /// head, or from none. Nodes that began with different states would take
    /// each its own for what they agreed on, and part for good. A node that was
    /// added later has nothing to say here.
    pub fn with_seed(mut self, chain: Option<&str>) -> Self {
        // Hexadecimal digits, which any header carries.
        self.seed = chain.unwrap_or(FOUNDED_EMPTY).parse().ok();
        self
    }

    /// The same node, whose folder has this incarnation, and whose clients
    /// reach it at `url`.
    pub fn with_incarnation(mut self, incarnation: u64, url: impl Into<String>) -> Self {
        (self.incarnation, self.url) = (incarnation, url.into());
        self
    }

    /// The same node, of a program that speaks these versions of the protocol.
    pub fn with_protocols(mut self, speaks: RangeInclusive<u32>) -> Self {
        self.speaks = speaks;
        self
    }

    /// The newest version of the protocol that this node speaks.
    pub fn protocol(&self) -> u32 {
        *self.speaks.end()
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The incarnation of this node's folder.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Where clients reach this node's MCP; may be empty.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl fmt::Debug for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = self.secret.as_ref().map(|_| "hidden");
        f.debug_struct("PeerIdentity")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("secret", &secret)
            .finish()
    }
}

/// Marks what this node sends to one peer.
#[derive(Clone, Debug)]
pub struct PeerCredentials {
    protocol: MetadataValue<Ascii>,
    protocol_least: MetadataValue<Ascii>,
    cluster: BinaryMetadataValue,
    seed: Option<MetadataValue<Ascii>>,
    incarnation: MetadataValue<Ascii>,
    from: MetadataValue<Ascii>,
    to: Option<NodeId>,
    secret: Option<MetadataValue<Ascii>>,
    membership: MembershipView,
}

impl PeerCredentials {
    /// For requests to `to`, or to whoever answers when that is unknown.
    pub fn new(identity: &PeerIdentity, to: Option<NodeId>) -> Self {
        Self {
            protocol: identity.protocol().into(),
            protocol_least: (*identity.speaks.start()).into(),
            cluster: BinaryMetadataValue::from_bytes(identity.cluster.as_bytes()),
            seed: identity.seed.clone(),
            incarnation: identity.incarnation.into(),
            from: identity.node.into(),
            to,
            secret: identity.secret.clone(),
            membership: identity.membership.clone(),
        }
    }
}

impl Interceptor for PeerCredentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(KEY_PROTOCOL, self.protocol.clone());
        metadata.insert(KEY_PROTOCOL_LEAST, self.protocol_least.clone());
        metadata.insert_bin(KEY_CLUSTER, self.cluster.clone());
        metadata.insert(KEY_FROM, self.from.clone());
        metadata.insert(KEY_INCARNATION, self.incarnation.clone());
        if let Some(seed) = &self.seed {
            metadata.insert(KEY_SEED, seed.clone());
        }
        if let Some(to) = self.to {
            metadata.insert(KEY_TO, to.into());
            // As it is known now: the connection may be older.
            if let Some(incarnation) = self.membership.incarnation_of(to) {
                metadata.insert(KEY_TO_INCARNATION, incarnation.into());
            }
        }
        if let Some(secret) = &self.secret {
            metadata.insert(KEY_SECRET, secret.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let shown = format!("{:?}", PeerIdentity::new("a", 1, Some("s3cret")).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
