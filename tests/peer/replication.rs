//! Elections and replication over the peer network.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use mcp_state_sidecar::store::raft::consensus::entry::{Vote, log_id};
use mcp_state_sidecar::store::raft::consensus::types::TypeConfig;
use mcp_state_sidecar::store::raft::rpc::{CallError, Options, PeerIdentity, PeerNetwork};
use openraft::async_runtime::WatchReceiver;
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use crate::cluster::{CLUSTER, Place, SECRET, cluster, leader, soon, within, write};

#[tokio::test(flavor = "multi_thread")]
async fn entries_reach_every_node_and_a_killed_leader_is_replaced_and_returns() {
    const ITEMS: usize = 1_000;
    let mut places = cluster::<3>().await;
    let first = leader(&places).await;
    let items: Vec<_> = (0..ITEMS).map(|n| Bytes::from(format!("item {n}"))).collect();
    join_all(items.iter().map(|item| write(&places[first], item.clone()))).await;
    for place in &places {
        within(async || (place.machine.count() == ITEMS).then_some(())).await;
        assert_eq!(place.machine.items(), places[first].machine.items());
    }

    let killed = Instant::now();
    places[first].kill();
    let second = within(async || {
        let survivors = (0..3).filter(|n| *n != first);
        let leads = |n: &usize| places[*n].raft().is_leader();
        survivors.into_iter().find(leads)
    })
    .await;
    eprintln!("a new leader {:?} after the kill", killed.elapsed());
    assert_ne!(first, second);
    write(&places[second], "without the first").await;

    places[first].start().await;
    within(async || (places[first].machine.count() == ITEMS + 1).then_some(())).await;
    assert_eq!(places[first].machine.items(), places[second].machine.items());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_acknowledges_is_tried_again() {
    const ITEMS: usize = 20;
    let mut places = cluster::<3>().await;
    let first = leader(&places).await;
    let silent = (first + 1) % 3;
    places[silent].ignores_appends.store(true, Ordering::SeqCst);
    places[silent].kill();
    places[silent].start().await;
    for _ in 0..ITEMS {
        write(&places[first], "more").await;
    }
    // Only a new stream can reach it, since the first one gets no answer.
    within(async || places[silent].append_ignored().then_some(())).await;
    let behind = places[silent].machine.count();
    assert!(behind < ITEMS, "{behind}");
    places[silent].ignores_appends.store(false, Ordering::SeqCst);
    within(async || (places[silent].machine.count() == ITEMS).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_append_stream_drops_its_input() {
    let mut place = Place::new(1);
    place.ignores_appends.store(true, Ordering::SeqCst);
    place.start().await;
    let identity = PeerIdentity::new(CLUSTER, 2, Some(SECRET)).unwrap();
    let mut network = PeerNetwork::new(identity, Options::default());
    let mut remote = network.new_client(1, &place.peer()).await;
    let (tx, rx) = mpsc::channel(1);
    let request = AppendEntriesRequest::<TypeConfig> {
        vote: Vote::new_committed(1, 2),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    tx.send(request).await.unwrap();
    let (input, option) = (ReceiverStream::new(rx), RPCOption::new(Duration::from_secs(1)));
    let replies = RaftNetworkV2::stream_append(&mut remote, input, option).await.unwrap();
    within(async || place.append_ignored().then_some(())).await;
    assert!(!tx.is_closed());
    drop(replies);
    // The input is dropped at once, and not when the transport drops its stream:
    // openraft's next stream to this peer waits for a lock that this input may hold.
    assert!(tx.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_down_is_not_hammered() {
    let mut places = cluster::<3>().await;
    let first = leader(&places).await;
    places[(first + 1) % 3].kill();
    write(&places[first], "x").await;
    let before = places[first].dialed.load(Ordering::SeqCst);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        write(&places[first], "more").await;
    }
    let dialed = places[first].dialed.load(Ordering::SeqCst) - before;
    // A heartbeat every 60 ms and an append after each backoff, with a margin.
    assert!(dialed < 60, "{dialed} connections a second to a dead peer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_with_a_living_leader_grants_no_pre_vote() {
    let places = cluster::<3>().await;
    let first = leader(&places).await;
    let [asker, asked] = [(first + 1) % 3, (first + 2) % 3].map(|n| &places[n]);
    let mut remote = asker.network().new_client(asked.id, &asked.peer()).await;
    let metrics = asker.raft().metrics().borrow_watched().clone();
    let last = Some(log_id(metrics.current_term, 1_000));
    let ask = VoteRequest::new(Vote::new(metrics.current_term + 1, asker.id), last);
    let option = RPCOption::new(Duration::from_secs(5));
    let reply = RaftNetworkV2::pre_vote(&mut remote, ask, option).await.unwrap();
    assert!(!reply.vote_granted, "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_over_at_once() {
    let places = cluster::<3>().await;
    let first = leader(&places).await;
    write(&places[first], "x").await;
    let to = (first + 1) % 3;
    let behind = async || (places[to].machine.count() == 1).then_some(());
    within(behind).await;
    let began = Instant::now();
    places[first].raft().trigger().transfer_leader(places[to].id).await.unwrap();
    within(async || places[to].raft().is_leader().then_some(())).await;
    // Without the message, the peer would first wait for its lease to end.
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_learns_the_read_index_from_the_leader() {
    let places = cluster::<3>().await;
    let first = leader(&places).await;
    write(&places[first], "x").await;
    let asker = &places[(first + 1) % 3];
    let (id, peer) = (places[first].id, places[first].peer());
    let index = asker.network().read_index(id, &peer, soon()).await.unwrap();
    let applied = places[first].raft().data_metrics().borrow_watched().last_applied;
    assert_eq!((index.node, Some(index.read), index.cluster_ms), (id, applied, 7));
    let follower = (asker.id, asker.peer());
    let refused = places[first].network().read_index(follower.0, &follower.1, soon()).await;
    assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
}
