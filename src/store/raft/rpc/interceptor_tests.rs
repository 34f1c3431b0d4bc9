//! Which requests the peer interceptor accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

use super::authentication::{KEY_PROTOCOL, KEY_PROTOCOL_LEAST, PeerCredentials, PeerIdentity};
use super::interceptor::{AuthenticatedPeer, PeerAuthenticator, expulsion_in};
use crate::store::raft::consensus::types::{NodeId, Peer};
use crate::store::raft::membership::view::{Expelled, MembershipView};

fn identity(cluster: &str, node: NodeId, secret: Option<&str>) -> PeerIdentity {
    PeerIdentity::new(cluster, node, secret).unwrap()
}

/// Has node 1, which presents itself as `from`, call node 2 of cluster `a`.
fn authenticated(
    from: &PeerIdentity,
    to: NodeId,
    secret: Option<&str>,
) -> Result<AuthenticatedPeer, Code> {
    let request = PeerCredentials::new(from, Some(to)).call(Request::new(())).unwrap();
    let passed = PeerAuthenticator::new(identity("a", 2, secret)).call(request);
    passed
        .map(|request| *request.extensions().get::<AuthenticatedPeer>().unwrap())
        .map_err(|status| status.code())
}

#[test]
fn a_peer_of_the_same_cluster_is_accepted() {
    let peer = AuthenticatedPeer { node: 1, names_receiver: true };
    assert_eq!(authenticated(&identity("a", 1, None), 2, None), Ok(peer));
    let with = identity("a", 1, Some("s3cret"));
    assert_eq!(authenticated(&with, 2, Some("s3cret")), Ok(peer));
}

#[test]
fn strangers_are_rejected() {
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
fn a_peer_that_was_seeded_with_another_state_is_rejected() {
    let authenticated = |mine: PeerIdentity, from: PeerIdentity| {
        let request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
        PeerAuthenticator::new(mine).call(request).is_ok()
    };
    let mine = |state| identity("a", 2, None).with_seed(state);
    let theirs = |state| identity("a", 1, None).with_seed(state);
    assert!(authenticated(mine(Some("ab")), theirs(Some("ab"))));
    assert!(authenticated(mine(None), theirs(None)));
    assert!(!authenticated(mine(Some("ab")), theirs(Some("cd"))));
    assert!(!authenticated(mine(Some("ab")), theirs(None)), "an empty cluster beside a seeded one");
    assert!(!authenticated(mine(None), theirs(Some("ab"))));
    // A node that was added later has its state from the others.
    assert!(authenticated(mine(Some("ab")), identity("a", 1, None)));
    assert!(authenticated(identity("a", 2, None), theirs(Some("ab"))));
}

#[test]
fn a_former_member_learns_that_it_was_expelled() {
    let membership = MembershipView::default();
    let known = Peer { incarnation: 7, ..Peer::at("a:1") };
    membership.set(BTreeMap::from([(1, known)]), BTreeSet::from([3]));
    let call = |node, incarnation| {
        let from = identity("a", node, None).with_incarnation(incarnation, "");
        let request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
        PeerAuthenticator::new(identity("a", 2, None).with_membership(membership.clone()))
            .call(request)
    };
    assert!(call(1, 7).is_ok());
    assert_eq!(expulsion_in(&call(1, 8).unwrap_err()), Some(Expelled::Wiped));
    assert_eq!(expulsion_in(&call(3, 7).unwrap_err()), Some(Expelled::Removed));
    assert_eq!(expulsion_in(&Status::unavailable("busy")), None);
}

#[test]
fn a_node_that_lost_its_folder_accepts_no_messages_for_it() {
    let membership = MembershipView::default();
    let from = identity("a", 1, None).with_membership(membership.clone());
    let mut credentials = PeerCredentials::new(&from, Some(2));
    let mut accepts = |incarnation| {
        let me = identity("a", 2, None).with_incarnation(incarnation, "");
        PeerAuthenticator::new(me).call(credentials.call(Request::new(())).unwrap()).is_ok()
    };
    assert!(accepts(7) && accepts(8), "its incarnation is not known yet");
    let known = Peer { incarnation: 7, ..Peer::at("b:1") };
    membership.set(BTreeMap::from([(2, known)]), BTreeSet::new());
    assert!(accepts(7), "the connection is older than the knowledge");
    assert!(!accepts(8));
}

/// Has a node that speaks `theirs` call one that speaks `mine`.
fn speaks(theirs: RangeInclusive<u32>, mine: RangeInclusive<u32>) -> Result<(), String> {
    let from = identity("a", 1, None).with_protocols(theirs);
    let request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
    let accepted =
        PeerAuthenticator::new(identity("a", 2, None).with_protocols(mine)).call(request);
    accepted.map(drop).map_err(|status| status.message().to_owned())
}

#[test]
fn adjacent_versions_work_together() {
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

#[test]
fn a_sender_that_names_no_oldest_version_speaks_all_up_to_the_newest() {
    for (newest, passes) in [(Some("2"), true), (Some("1"), false), (None, false)] {
        let from = identity("a", 1, None);
        let mut request = PeerCredentials::new(&from, Some(2)).call(Request::new(())).unwrap();
        request.metadata_mut().remove(KEY_PROTOCOL_LEAST);
        request.metadata_mut().remove(KEY_PROTOCOL);
        if let Some(newest) = newest {
            request.metadata_mut().insert(KEY_PROTOCOL, newest.parse().unwrap());
        }
        let accepted =
            PeerAuthenticator::new(identity("a", 2, None).with_protocols(2..=3)).call(request);
        assert_eq!(accepted.is_ok(), passes, "{newest:?}");
    }
}

#[test]
fn a_refusal_is_logged_once() {
    let authenticator = PeerAuthenticator::new(identity("a", 2, None));
    assert!(authenticator.is_first("cluster", Some(1)));
    assert!(!authenticator.clone().is_first("cluster", Some(1)));
    assert!(authenticator.is_first("cluster", Some(3)));
}
