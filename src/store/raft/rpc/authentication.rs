//! How a node presents itself to its peers: its identity, and the credentials that
//! every request carries. The interceptor of the receiver decides which requests
//! are accepted.

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;
use tonic::metadata::{Ascii, BinaryMetadataValue, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::machine::Rules;
use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::membership::view::MembershipView;

/// The versions of the peer protocol that this program speaks. They also cover the
/// logs and snapshots that peers send each other. Each change that an older peer
/// would misunderstand raises the newest version, and a node uses the change only
/// once all members speak that version. The oldest version is raised one release
/// later, so that a cluster can be upgraded node by node.
pub const SPEAKS: RangeInclusive<u32> = 1..=3;

/// The first version whose nodes know these rules.
pub fn protocol_of(rules: Rules) -> u32 {
    match rules {
        Rules::Whole => 1,
        Rules::Stepwise => 2,
        Rules::Attempts => 3,
    }
}

/// The newest version that the sender speaks.
pub(super) const KEY_PROTOCOL: &str = "sidecar-protocol";
/// The oldest version that the sender speaks. A sender that does not name it speaks
/// every version up to the newest.
pub(super) const KEY_PROTOCOL_LEAST: &str = "sidecar-protocol-least";
/// The cluster's name; binary, because it may be any text.
pub(super) const KEY_CLUSTER: &str = "sidecar-cluster-bin";
/// The chain head of the state from which the sender's folder was seeded, or
/// [`FOUNDED_EMPTY`]. Only founders send it.
pub(super) const KEY_SEED: &str = "sidecar-seed";
/// The incarnation of the sender's folder.
pub(super) const KEY_INCARNATION: &str = "sidecar-incarnation";
/// The incarnation of the receiver's folder, as the sender knows it.
pub(super) const KEY_TO_INCARNATION: &str = "sidecar-to-incarnation";
/// Sent in place of a chain head by a node that founded its cluster with an empty
/// state.
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

/// The secret holds characters that no header can carry.
#[derive(Debug, Error)]
#[error("the cluster secret must be visible ASCII")]
pub struct SecretError;

impl PeerIdentity {
    /// Node `node` of `cluster`, which presents `secret` if there is one.
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

    /// Sets the view by which the node knows the members: it accepts messages only
    /// from their folders, and addresses messages only to these.
    pub fn with_membership(mut self, membership: MembershipView) -> Self {
        self.membership = membership;
        self
    }

    /// Sets the chain head of the state with which the node founded its cluster; none
    /// for an empty state. Founders that began with different states would each take
    /// its own for the state that they agreed on, and diverge for good, so they must
    /// refuse one another. A node that was added later is no founder.
    pub fn with_seed(mut self, chain: Option<&str>) -> Self {
        // Any header can carry hexadecimal digits.
        self.seed = chain.unwrap_or(FOUNDED_EMPTY).parse().ok();
        self
    }

    /// Sets the incarnation of the node's folder, and the URL for its clients.
    pub fn with_incarnation(mut self, incarnation: u64, url: impl Into<String>) -> Self {
        (self.incarnation, self.url) = (incarnation, url.into());
        self
    }

    /// Sets the versions of the protocol that the node speaks.
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

    /// Where clients reach this node's MCP endpoint; may be empty.
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

/// Adds this node's credentials to every request for one peer.
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
    /// The credentials for requests to `to`; none if the peer's id is not known.
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
            // Look it up for each request: the connection may be older than what the
            // node knows about the receiver by now.
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
