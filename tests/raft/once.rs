//! A command that is sent again is applied once, whichever node receives it and
//! whichever node leads meanwhile.

use bytes::Bytes;
use mcp_state_sidecar::codec;
use mcp_state_sidecar::machine::command::Origin;
use mcp_state_sidecar::machine::{RefusalCode, Reply};
use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::raft::rpc::{
    self, ForwardError, Forwarder, PeerIdentity, PeerNetwork,
};
use tokio::time::Instant;

use support::cluster::{Cluster, SECRET};
use support::raft_calls::{named, set, soon, whole_history};

/// A session that no node uses.
const SESSION: u64 = 77;

/// A command as a node with this session forwards it.
fn forwarded(sequence: u64, lowest: u64, value: &str) -> Bytes {
    let request = set("k", value);
    codec::encode_forwarded(&codec::ForwardedRequest {
        attempt: false,
        origin: Some(Origin { session: SESSION, sequence, lowest }),
        idempotency: None,
        actor: None,
        random: request.random,
        command: request.command,
    })
}

/// Forwards to the current leader, over a connection of its own.
async fn forward(cluster: &Cluster, item: &Bytes) -> Reply {
    let deadline = soon();
    loop {
        let id = cluster.options(cluster.leader().await).node_id;
        // Use the identity of one of the leader's peers.
        let identity = PeerIdentity::new("test", id % 3 + 1, Some(SECRET)).unwrap();
        let forwarder = Forwarder::new(PeerNetwork::new(identity, rpc::Options::default()));
        let asked = forwarder.submit(id, &cluster.members[&id], item.clone(), deadline).await;
        match asked {
            Ok(reply) => return codec::decode_reply(&reply).unwrap(),
            // The leader has changed or is about to, so try again.
            Err(ForwardError::NotLeader { .. } | ForwardError::Unsent) => {}
            Err(ForwardError::Unknown(_)) => {}
            Err(error @ ForwardError::Refused { .. }) => panic!("{error}"),
        }
        assert!(Instant::now() < deadline, "no leader accepts it");
    }
}

async fn events_of(cluster: &Cluster, key: &str) -> usize {
    // A node that has not applied the newest entries yet does not have their events.
    cluster.assert_replicas_equal().await;
    let events = whole_history(&*cluster.any()).await;
    events.iter().filter(|event| *event.subject == *key).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_forwarded_again_is_applied_once() {
    let mut cluster = Cluster::start().await;
    let item = forwarded(0, 0, "1");
    let first = forward(&cluster, &item).await;
    assert!(matches!(&first, Reply::Set(written) if written.ok), "{first:?}");
    let both = tokio::join!(forward(&cluster, &item), forward(&cluster, &item));
    assert_eq!(both, (first.clone(), first.clone()));
    // Send the same command twice at once, before it was answered.
    let next = forwarded(1, 0, "2");
    let (one, other) = tokio::join!(forward(&cluster, &next), forward(&cluster, &next));
    assert_eq!(one, other);
    let lost = cluster.stop_leader().await;
    assert_eq!(forward(&cluster, &item).await, first, "after a change of leader");
    assert_eq!(forward(&cluster, &next).await, one, "after a change of leader");
    cluster.restart(lost).await;
    cluster.stop_leader().await;
    assert_eq!(forward(&cluster, &next).await, one, "after another change of leader");
    assert_eq!(events_of(&cluster, "k").await, 2);
    // An answer that the node has acknowledged is forgotten, and its command is never
    // applied again.
    let third = forward(&cluster, &forwarded(2, 2, "3")).await;
    assert!(matches!(third, Reply::Set(written) if written.ok));
    let late = forward(&cluster, &item).await;
    assert!(matches!(late, Reply::Refused(_)), "{late:?}");
    assert_eq!(events_of(&cluster, "k").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_is_answered_alike_on_every_node() {
    let mut cluster = Cluster::start().await;
    let request = || named("order-1", 1, set("k", "1"));
    let first = cluster.store(0).submit(request(), soon()).await.unwrap();
    let lost = cluster.stop_leader().await;
    for store in cluster.stores() {
        assert_eq!(store.submit(request(), soon()).await.unwrap(), first);
    }
    cluster.restart(lost).await;
    for store in cluster.stores() {
        assert_eq!(store.submit(request(), soon()).await.unwrap(), first);
        let other = named("order-1", 2, set("k", "2"));
        match store.submit(other, soon()).await.unwrap() {
            Reply::Refused(refusal) => {
                assert_eq!(refusal.code, RefusalCode::InvalidArgument);
                assert!(refusal.message.starts_with("idempotency_key: "), "{refusal:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    // Send it to all nodes at once: it is applied once.
    let stores: Vec<_> = cluster.stores().collect();
    let race = || named("order-2", 1, set("raced", "1"));
    let replies = tokio::join!(
        stores[0].submit(race(), soon()),
        stores[1].submit(race(), soon()),
        stores[2].submit(race(), soon()),
    );
    let reply = replies.0.unwrap();
    assert_eq!((replies.1.unwrap(), replies.2.unwrap()), (reply.clone(), reply));
    assert_eq!(events_of(&cluster, "k").await, 1);
    assert_eq!(events_of(&cluster, "raced").await, 1);
    cluster.assert_replicas_equal().await;
}
