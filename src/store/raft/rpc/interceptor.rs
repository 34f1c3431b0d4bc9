//! The gate: turns away a peer of another cluster, a stranger without the
//! secret, one that speaks none of our versions of the protocol, a node that is
//! no member any more, or a request meant for another node. The last guards
//! against addresses that were handed to another machine: an answer in another
//! node's name would count twice in a quorum.

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

/// In a refusal: why the sender is no member any more.
const KEY_EXPELLED: &str = "sidecar-expelled";

/// Whose refusals are remembered so that each is logged once; further ones go
/// unlogged rather than unbounded.
const LOGGED_MAX: usize = 1_024;

/// The sender of a request that the gate let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its node id.
    pub node: NodeId,
    /// It named this node; only `Hello` goes without.
    pub addressed: bool,
}

/// Lets in what this node's own peers meant for it.
#[derive(Clone, Debug)]
pub struct PeerAuthenticator {
    identity: Arc<PeerIdentity>,
    logged: Arc<Mutex<BTreeSet<Logged>>>,
}

/// Why, and whom.
type Logged = (&'static str, Option<NodeId>);

/// Why a request was turned away.
struct Refused {
    /// Stable, for the log.
    why: &'static str,
    status: Status,
}

impl PeerAuthenticator {
    /// The gate of node `identity`.
    pub fn new(identity: PeerIdentity) -> Self {
        Self { identity: Arc::new(identity), logged: Arc::default() }
    }

    fn check(&self, metadata: &MetadataMap) -> Result<Sender, Refused> {
        let me = &self.identity;
        // Secret first: a stranger learns nothing about the cluster.
        let given = metadata.get(KEY_SECRET).map(MetadataValue::as_bytes);
        if me.secret.is_none() && given.is_some() {
            // Else a node that was started without it would follow as if it
            // belonged, and count in a majority, unable to ask for anything.
            return denied("secret", "this node has no cluster secret, the sender shows one");
        }
        if let Some(secret) = &me.secret
            && !bool::from(given.unwrap_or_default().ct_eq(secret.as_bytes()))
        {
            return denied("secret", "the cluster secret is missing or wrong");
        }
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
        let theirs = number::<u32>(metadata, KEY_PROTOCOL).unwrap_or(0);
        let theirs = number::<u32>(metadata, KEY_PROTOCOL_LEAST).unwrap_or(1)..=theirs;
        if theirs.end() < me.speaks.start() || me.speaks.end() < theirs.start() {
            let text = format!(
                "the sender speaks versions {} to {} of the peers' protocol, this node {} to {}; \
                 upgrade one release at a time",
                theirs.start(),
                theirs.end(),
                me.speaks.start(),
                me.speaks.end()
            );
            return failed("protocol", &text);
        }
        let Some(node) = number::<NodeId>(metadata, KEY_FROM) else {
            return failed("from", "the request does not say which node sent it");
        };
        let incarnation = number::<u64>(metadata, KEY_INCARNATION).unwrap_or(0);
        if let Err(expelled) = me.membership.admit(node, incarnation) {
            let mut refused = refused("member", &expelled.to_string());
            let why = MetadataValue::from_static(expelled.as_str());
            refused.status.metadata_mut().insert(KEY_EXPELLED, why);
            return Err(refused);
        }
        let to = number::<NodeId>(metadata, KEY_TO);
        let addressed = metadata.contains_key(KEY_TO);
        if addressed && to != Some(me.node) {
            let text = format!("this is node {}, not the node that was meant", me.node);
            return failed("to", &text);
        }
        let meant = number::<u64>(metadata, KEY_TO_INCARNATION);
        if meant.is_some_and(|meant| me.incarnation != 0 && meant != me.incarnation) {
            // This node must not vote and acknowledge in the name of the one
            // that has forgotten what it promised.
            let text = "the folder of this node is not the one that the cluster knows";
            return failed("wiped", text);
        }
        if node == me.node && addressed {
            let text = format!("another process calls itself node {node}");
            return failed("double", &text);
        }
        Ok(Sender { node, addressed })
    }

    fn first_time(&self, why: &'static str, from: Option<NodeId>) -> bool {
        // A panic while inserting leaves a set that is still a set.
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < LOGGED_MAX && logged.insert((why, from))
    }
}

impl Interceptor for PeerAuthenticator {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        match self.check(request.metadata()) {
            Ok(sender) => {
                request.extensions_mut().insert(sender);
                Ok(request)
            }
            Err(Refused { why, status }) => {
                let from = number::<NodeId>(request.metadata(), KEY_FROM);
                if self.first_time(why, from) {
                    let addr = request.remote_addr();
                    let reason = status.message();
                    tracing::warn!(why, from, ?addr, reason, "refused a peer; not logged again");
                }
                Err(status)
            }
        }
    }
}

/// The sender of a request that only a peer who knows this node may send.
///
/// # Errors
/// When the request did not name this node, or no gate stood before it.
pub fn sender<T>(request: &Request<T>) -> Result<NodeId, Status> {
    match request.extensions().get::<Sender>() {
        Some(sender) if sender.addressed => Ok(sender.node),
        Some(_) => {
            Err(Status::failed_precondition("the request does not say which node it is for"))
        }
        None => Err(Status::internal("no gate stands before this service")),
    }
}

fn number<N: std::str::FromStr>(metadata: &MetadataMap, key: &str) -> Option<N> {
    metadata.get(key)?.to_str().ok()?.parse().ok()
}

fn denied<T>(why: &'static str, text: &str) -> Result<T, Refused> {
    let status = Status::permission_denied(text);
    Err(Refused { why, status })
}

fn failed<T>(why: &'static str, text: &str) -> Result<T, Refused> {
    Err(refused(why, text))
}

fn refused(why: &'static str, text: &str) -> Refused {
    Refused { why, status: Status::failed_precondition(text) }
}

/// Whether a peer refused this node because it is no member any more.
pub fn expelled(status: &Status) -> Option<Expelled> {
    Expelled::parse(status.metadata().get(KEY_EXPELLED)?.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::RangeInclusive;

    use tonic::Code;

    use super::*;
    use crate::store::raft::consensus::types::Peer;
    use crate::store::raft::membership::view::MembershipView;
    use crate::store::raft::rpc::PeerCredentials;

    fn identity(cluster: &str, node: NodeId, secret: Option<&str>) -> PeerIdentity {
        PeerIdentity::new(cluster, node, secret).unwrap()
    }

    /// What node 1, presenting itself as `from`, gets from node 2 of cluster `a`.
    fn authenticated(
        from: &PeerIdentity,
        to: NodeId,
        secret: Option<&str>,
    ) -> Result<Sender, Code> {
        let request = PeerCredentials::new(from, Some(to)).call(Request::new(())).unwrap();
        let passed = PeerAuthenticator::new(identity("a", 2, secret)).call(request);
        passed
            .map(|request| *request.extensions().get::<Sender>().unwrap())
            .map_err(|status| status.code())
    }

    #[test]
    fn a_peer_of_the_same_cluster_is_let_in() {
        let peer = Sender { node: 1, addressed: true };
        assert_eq!(authenticated(&identity("a", 1, None), 2, None), Ok(peer));
        let with = identity("a", 1, Some("s3cret"));
        assert_eq!(authenticated(&with, 2, Some("s3cret")), Ok(peer));
    }

    #[test]
    fn strangers_are_turned_away() {
        let denied = Err(Code::PermissionDenied);
        let failed = Err(Code::FailedPrecondition);
        assert_eq!(authenticated(&identity("b", 1, None), 2, None), denied);
        assert_eq!(authenticated(&identity("a", 1, None), 2, Some("s")), denied);
        assert_eq!(authenticated(&identity("a", 1, Some("t")), 2, Some("s")), denied);
        assert_eq!(authenticated(&identity("a", 1, Some("t")), 2, None), denied);
        assert_eq!(authenticated(&identity("a", 1, None), 3, None), failed);
        assert_eq!(authenticated(&identity("a", 2, None), 2, None), failed);
    }

    #[test]
    fn a_peer_that_was_seeded_otherwise_is_turned_away() {
        let authenticated = |mine: PeerIdentity, from: PeerIdentity| {
            let request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
            PeerAuthenticator::new(mine).call(request).is_ok()
        };
        let mine = |state| identity("a", 2, None).with_seed(state);
        let theirs = |state| identity("a", 1, None).with_seed(state);
        assert!(authenticated(mine(Some("ab")), theirs(Some("ab"))));
        assert!(authenticated(mine(None), theirs(None)));
        assert!(!authenticated(mine(Some("ab")), theirs(Some("cd"))));
        assert!(
            !authenticated(mine(Some("ab")), theirs(None)),
            "an empty cluster beside a seeded one"
        );
        assert!(!authenticated(mine(None), theirs(Some("ab"))));
        // One that was added later has its state from the others.
        assert!(authenticated(mine(Some("ab")), identity("a", 1, None)));
        assert!(authenticated(identity("a", 2, None), theirs(Some("ab"))));
    }

    #[test]
    fn who_is_no_member_any_more_is_told_so() {
        let membership = MembershipView::default();
        let known = Peer { incarnation: 7, ..Peer::at("a:1") };
        membership.set(BTreeMap::from([(1, known)]), BTreeSet::from([3]));
        let knock = |node, incarnation| {
            let from = identity("a", node, None).with_incarnation(incarnation, "");
            let request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
            PeerAuthenticator::new(identity("a", 2, None).with_membership(membership.clone()))
                .call(request)
        };
        assert!(knock(1, 7).is_ok());
        assert_eq!(expelled(&knock(1, 8).unwrap_err()), Some(Expelled::Wiped));
        assert_eq!(expelled(&knock(3, 7).unwrap_err()), Some(Expelled::Removed));
        assert_eq!(expelled(&Status::unavailable("busy")), None);
    }

    #[test]
    fn a_node_that_lost_its_folder_neither_votes_nor_acknowledges() {
        let membership = MembershipView::default();
        let from = identity("a", 1, None).with_membership(membership.clone());
        let mut stamp = PeerCredentials::new(&from, Some(2));
        let mut knock = |incarnation| {
            let me = identity("a", 2, None).with_incarnation(incarnation, "");
            PeerAuthenticator::new(me).call(stamp.call(Request::new(())).unwrap()).is_ok()
        };
        assert!(knock(7) && knock(8), "nobody has heard of it yet");
        let known = Peer { incarnation: 7, ..Peer::at("b:1") };
        membership.set(BTreeMap::from([(2, known)]), BTreeSet::new());
        assert!(knock(7), "the connection is older than the knowledge");
        assert!(!knock(8));
    }

    /// What a node that speaks `mine` says to one that speaks `theirs`.
    fn speaks(theirs: RangeInclusive<u32>, mine: RangeInclusive<u32>) -> Result<(), String> {
        let from = identity("a", 1, None).with_protocols(theirs);
        let request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
        let gate =
            PeerAuthenticator::new(identity("a", 2, None).with_protocols(mine)).call(request);
        gate.map(drop).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn neighbouring_versions_work_together() {
        for (theirs, mine) in [(1..=1, 1..=1), (1..=2, 1..=1), (2..=3, 1..=2), (1..=4, 2..=3)] {
            assert_eq!(speaks(theirs.clone(), mine.clone()), Ok(()));
            assert_eq!(speaks(mine, theirs), Ok(()));
        }
        for (theirs, mine) in [(2..=3, 1..=1), (1..=1, 2..=3)] {
            let refused = speaks(theirs.clone(), mine.clone()).unwrap_err();
            let both = format!(
                "the sender speaks versions {} to {} of the peers' protocol, this node {} to {};",
                theirs.start(),
                theirs.end(),
                mine.start(),
                mine.end()
            );
            assert!(refused.starts_with(&both), "{refused}");
        }
    }

    /// One that names a single version, and one that names none.
    #[test]
    fn who_does_not_say_the_oldest_speaks_all_up_to_the_newest() {
        for (newest, passes) in [(Some("2"), true), (Some("1"), false), (None, false)] {
            let from = identity("a", 1, None);
            let mut request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
            request.metadata_mut().remove(KEY_PROTOCOL_LEAST);
            request.metadata_mut().remove(KEY_PROTOCOL);
            if let Some(newest) = newest {
                request.metadata_mut().insert(KEY_PROTOCOL, newest.parse().unwrap());
            }
            let gate =
                PeerAuthenticator::new(identity("a", 2, None).with_protocols(2..=3)).call(request);
            assert_eq!(gate.is_ok(), passes, "{newest:?}");
        }
    }

    #[test]
    fn a_refusal_is_logged_once() {
        let gate = PeerAuthenticator::new(identity("a", 2, None));
        assert!(gate.first_time("cluster", Some(1)));
        assert!(!gate.clone().first_time("cluster", Some(1)));
        assert!(gate.first_time("cluster", Some(3)));
    }
}
