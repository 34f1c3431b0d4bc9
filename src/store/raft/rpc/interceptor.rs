//! The interceptor in front of the peer service. It rejects a request from another
//! cluster, without the secret, in a protocol version that this node does not
//! speak, from a node that is no longer a member, or for another node. The last
//! check guards against an address that now belongs to another machine: an answer
//! in another node's name would count twice in a quorum.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use subtle::ConstantTimeEq;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::authentication::{
    KEY_CLUSTER, KEY_FROM, KEY_INCARNATION, KEY_PROTOCOL, KEY_PROTOCOL_LEAST, KEY_SECRET, KEY_SEED,
    KEY_TO, KEY_TO_INCARNATION, PeerIdentity,
};
use crate::store::raft::consensus::types::NodeId;
use crate::store::raft::membership::view::Expelled;

/// In a rejection: why the sender is no longer a member.
const KEY_EXPELLED: &str = "sidecar-expelled";

/// How many rejections are remembered so that each is logged once. Further ones are
/// not logged, because the memory must be bounded.
const LOGGED_MAX: usize = 1_024;

/// The sender of a request that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticatedPeer {
    pub node: NodeId,
    /// The request names this node as its receiver. Only `Hello` may leave it out.
    pub names_receiver: bool,
}

/// Accepts the requests that this node's peers meant for it.
#[derive(Clone, Debug)]
pub struct PeerAuthenticator {
    identity: Arc<PeerIdentity>,
    logged: Arc<Mutex<BTreeSet<LoggedRejection>>>,
}

/// The reason and the sender of a rejection that was logged.
type LoggedRejection = (&'static str, Option<NodeId>);

/// Why a request is rejected.
struct Rejection {
    /// A stable name for the log.
    why: &'static str,
    status: Status,
}

impl PeerAuthenticator {
    /// The authenticator of node `identity`.
    pub fn new(identity: PeerIdentity) -> Self {
        Self { identity: Arc::new(identity), logged: Arc::default() }
    }

    fn check(&self, metadata: &MetadataMap) -> Result<AuthenticatedPeer, Rejection> {
        // The secret comes first, so that a stranger learns nothing about the cluster.
        self.check_secret(metadata)?;
        self.check_cluster(metadata)?;
        self.check_protocol(metadata)?;
        let node = self.check_sender(metadata)?;
        let names_receiver = metadata.contains_key(KEY_TO);
        self.check_receiver(metadata, node)?;
        Ok(AuthenticatedPeer { node, names_receiver })
    }

    fn check_secret(&self, metadata: &MetadataMap) -> Result<(), Rejection> {
        let given = metadata.get(KEY_SECRET).map(MetadataValue::as_bytes);
        match (&self.identity.secret, given) {
            // Otherwise a node that was started without the secret would follow a
            // leader and count in its majority, but could not call anyone itself.
            (None, Some(_)) => {
                denied("secret", "this node has no cluster secret, the sender shows one")
            }
            (Some(secret), given)
                if !bool::from(given.unwrap_or_default().ct_eq(secret.as_bytes())) =>
            {
                denied("secret", "the cluster secret is missing or wrong")
            }
            (Some(_), _) | (None, None) => Ok(()),
        }
    }

    fn check_cluster(&self, metadata: &MetadataMap) -> Result<(), Rejection> {
        let me = &self.identity;
        let cluster = metadata.get_bin(KEY_CLUSTER).and_then(|v| v.to_bytes().ok());
        if cluster.as_deref() != Some(me.cluster.as_bytes()) {
            let theirs = String::from_utf8_lossy(cluster.as_deref().unwrap_or_default());
            let text = format!("this node is of cluster {:?}, not {theirs:?}", me.cluster);
            return denied("cluster", &text);
        }
        if let (Some(mine), Some(theirs)) = (&me.seed, metadata.get(KEY_SEED))
            && mine != theirs
        {
            let text = "this node and the sender founded the cluster from different states; \
                        import the same file on each member, or on none, into empty folders";
            return denied("seed", text);
        }
        Ok(())
    }

    fn check_protocol(&self, metadata: &MetadataMap) -> Result<(), Rejection> {
        let mine = &self.identity.speaks;
        let newest = number::<u32>(metadata, KEY_PROTOCOL).unwrap_or(0);
        let oldest = number::<u32>(metadata, KEY_PROTOCOL_LEAST).unwrap_or(1);
        if newest < *mine.start() || *mine.end() < oldest {
            let text = format!(
                "the sender speaks versions {oldest} to {newest} of the peers' protocol, this \
                 node {} to {}; upgrade one release at a time",
                mine.start(),
                mine.end()
            );
            return failed("protocol", &text);
        }
        Ok(())
    }

    fn check_sender(&self, metadata: &MetadataMap) -> Result<NodeId, Rejection> {
        let Some(node) = number::<NodeId>(metadata, KEY_FROM) else {
            return failed("from", "the request does not say which node sent it");
        };
        let incarnation = number::<u64>(metadata, KEY_INCARNATION).unwrap_or(0);
        match self.identity.membership.admit(node, incarnation) {
            Ok(()) => Ok(node),
            Err(expelled) => {
                let mut status = Status::failed_precondition(expelled.to_string());
                let why = MetadataValue::from_static(expelled.as_str());
                status.metadata_mut().insert(KEY_EXPELLED, why);
                Err(Rejection { why: "member", status })
            }
        }
    }

    fn check_receiver(&self, metadata: &MetadataMap, sender: NodeId) -> Result<(), Rejection> {
        let me = &self.identity;
        let names_receiver = metadata.contains_key(KEY_TO);
        if names_receiver && number::<NodeId>(metadata, KEY_TO) != Some(me.node) {
            let text = format!("this is node {}, not the node that was meant", me.node);
            return failed("to", &text);
        }
        let meant = number::<u64>(metadata, KEY_TO_INCARNATION);
        if meant.is_some_and(|meant| me.incarnation != 0 && meant != me.incarnation) {
            // The request is for a folder that is lost. This node does not know what
            // was promised from there, so it must not vote or acknowledge for it.
            let text = "the folder of this node is not the one that the cluster knows";
            return failed("wiped", text);
        }
        if sender == me.node && names_receiver {
            let text = format!("another process calls itself node {sender}");
            return failed("double", &text);
        }
        Ok(())
    }

    /// Whether this rejection has not been logged before.
    pub(super) fn is_first(&self, why: &'static str, from: Option<NodeId>) -> bool {
        // A panic cannot leave a set half changed.
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < LOGGED_MAX && logged.insert((why, from))
    }
}

impl Interceptor for PeerAuthenticator {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        match self.check(request.metadata()) {
            Ok(peer) => {
                request.extensions_mut().insert(peer);
                Ok(request)
            }
            Err(Rejection { why, status }) => {
                let from = number::<NodeId>(request.metadata(), KEY_FROM);
                if self.is_first(why, from) {
                    let addr = request.remote_addr();
                    let reason = status.message();
                    tracing::warn!(why, from, ?addr, reason, "refused a peer; not logged again");
                }
                Err(status)
            }
        }
    }
}

/// The sender of a request that must name this node as its receiver.
///
/// # Errors
/// When the request does not name this node, or no interceptor has checked it.
pub fn authenticated_peer<T>(request: &Request<T>) -> Result<NodeId, Status> {
    match request.extensions().get::<AuthenticatedPeer>() {
        Some(peer) if peer.names_receiver => Ok(peer.node),
        Some(_) => {
            Err(Status::failed_precondition("the request does not say which node it is for"))
        }
        None => Err(Status::internal("no interceptor has checked the sender of this request")),
    }
}

fn number<N: std::str::FromStr>(metadata: &MetadataMap, key: &str) -> Option<N> {
    metadata.get(key)?.to_str().ok()?.parse().ok()
}

fn denied<T>(why: &'static str, text: &str) -> Result<T, Rejection> {
    Err(Rejection { why, status: Status::permission_denied(text) })
}

fn failed<T>(why: &'static str, text: &str) -> Result<T, Rejection> {
    Err(Rejection { why, status: Status::failed_precondition(text) })
}

/// The reason, if a peer rejected this node because it is no longer a member.
pub fn expulsion_in(status: &Status) -> Option<Expelled> {
    Expelled::parse(status.metadata().get(KEY_EXPELLED)?.to_str().ok()?)
}
