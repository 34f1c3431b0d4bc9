//! Which peers are rejected.

use std::time::Duration;

use futures::TryStreamExt;
use mcp_state_sidecar::store::cluster::CallId;
use mcp_state_sidecar::store::raft::consensus::types::{NodeId, Peer};
use mcp_state_sidecar::store::raft::rpc::{
    CallError, Options, PeerIdentity, PeerNetwork, server_builder,
};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::service::Routes;

use crate::cluster::{CLUSTER, Place, SECRET, soon};

fn peer_of(cluster: &str, secret: Option<&str>) -> PeerNetwork {
    PeerNetwork::new(PeerIdentity::new(cluster, 2, secret).unwrap(), Options::default())
}

/// The code with which `place` rejects a call for `target`, if it does.
async fn rejection(place: &Place, who: &PeerNetwork, target: NodeId) -> Option<Code> {
    match who.read_index(target, &place.peer(), soon()).await {
        Err(CallError::Call { source, .. }) => Some(source.code()),
        Ok(_) | Err(_) => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_peers_of_the_cluster_are_accepted() {
    let mut place = Place::new(1);
    place.start().await;
    let member = peer_of(CLUSTER, Some(SECRET));
    assert_eq!(rejection(&place, &member, 1).await, None);
    assert_eq!(rejection(&place, &member, 3).await, Some(Code::FailedPrecondition));
    let denied = Some(Code::PermissionDenied);
    assert_eq!(rejection(&place, &peer_of("other", Some(SECRET)), 1).await, denied);
    assert_eq!(rejection(&place, &peer_of(CLUSTER, Some("wrong")), 1).await, denied);
    assert_eq!(rejection(&place, &peer_of(CLUSTER, None), 1).await, denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_known_by_address_alone_says_who_it_is() {
    let mut place = Place::new(1);
    place.start().await;
    let addr = place.addr.to_string();
    let hello = peer_of(CLUSTER, Some(SECRET)).hello(&addr, soon()).await.unwrap();
    assert_eq!((hello.node, hello.cluster.as_str()), (1, CLUSTER));
    assert!(peer_of("other", Some(SECRET)).hello(&addr, soon()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn history_comes_in_order() {
    let mut place = Place::new(1);
    place.start().await;
    let member = peer_of(CLUSTER, Some(SECRET));
    let events = member.history(1, &place.peer(), (3, 5_000), soon()).await.unwrap();
    let events: Vec<_> = events.try_collect().await.unwrap();
    let wanted: Vec<_> = (3..=5_000).map(|n| format!("event {n}")).collect();
    assert_eq!(events, wanted);
}

/// A peer of a release before there were cancellations.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_knows_no_cancellations_says_so_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = Peer::at(listener.local_addr().unwrap().to_string());
    let server = server_builder(Duration::from_secs(2)).add_routes(Routes::default());
    let served = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let member = peer_of(CLUSTER, Some(SECRET));
    let call = CallId::new("session", "1").unwrap();
    match member.cancel(1, &peer, &call, soon()).await {
        Err(CallError::Call { source, .. }) => assert_eq!(source.code(), Code::Unimplemented),
        other => panic!("{other:?}"),
    }
    served.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_down_fails_a_call_soon() {
    let place = Place::new(1);
    let member = peer_of(CLUSTER, Some(SECRET));
    let began = Instant::now();
    assert_eq!(rejection(&place, &member, 1).await, Some(Code::Unavailable));
    assert!(began.elapsed() < Duration::from_secs(2));
}
