//! Forwarded proposals: each gets its own reply, and an error says correctly whether
//! the proposal may have been applied.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use mcp_state_sidecar::store::raft::consensus::types::{NodeId, Peer};
use mcp_state_sidecar::store::raft::rpc::{ForwardError, Forwarder, PeerNetwork};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::cluster::{Place, cluster, leader, soon, within, write};

fn item(n: usize) -> Bytes {
    Bytes::from(format!("item {n}"))
}

/// Submits `item` again as long as the node does not lead: on a busy machine, a
/// leader that has not heard from its followers for a moment accepts nothing.
async fn submit(
    forwarder: Forwarder,
    id: NodeId,
    peer: Peer,
    item: Bytes,
) -> Result<Bytes, ForwardError> {
    let deadline = soon();
    loop {
        match forwarder.submit(id, &peer, item.clone(), deadline).await {
            Err(ForwardError::NotLeader { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            outcome => return outcome,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_items_over_one_stream_get_their_own_replies() {
    const ITEMS: usize = 10_000;
    const AT_ONCE: usize = 256;
    let places = cluster::<3>().await;
    let first = &places[leader(&places).await];
    let from = places.iter().find(|place| place.id != first.id).unwrap();
    let forwarder = Forwarder::new(from.network());
    let began = Instant::now();
    stream::iter(0..ITEMS)
        .map(|n| {
            let (forwarder, peer) = (forwarder.clone(), first.peer());
            async move { (n, submit(forwarder, first.id, peer, item(n)).await) }
        })
        .buffer_unordered(AT_ONCE)
        .for_each(async |(n, reply)| assert_eq!(reply, Ok(item(n))))
        .await;
    let rate = ITEMS as f64 / began.elapsed().as_secs_f64();
    eprintln!("{rate:.0} forwarded items/s through openraft, {AT_ONCE} at once");
    assert_eq!(first.machine.count(), ITEMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_says_who_leads() {
    let places = cluster::<3>().await;
    let first = leader(&places).await;
    let [from, to] = [(first + 1) % 3, (first + 2) % 3].map(|n| &places[n]);
    let forwarder = Forwarder::new(from.network());
    let refused = forwarder.submit(to.id, &to.peer(), item(1), soon()).await;
    let leader = Some((places[first].id, places[first].peer()));
    assert_eq!(refused, Err(ForwardError::NotLeader { leader }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_for_a_node_that_never_ran_is_unsent() {
    let (from, to) = (Place::new(1), Place::new(2));
    let forwarder = Forwarder::new(PeerNetwork::new(from.identity(), from.options.clone()));
    for n in 0..10 {
        let lost = forwarder.submit(to.id, &to.peer(), item(n), soon()).await;
        assert_eq!(lost, Err(ForwardError::Unsent));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_for_a_node_that_is_down_is_unsent() {
    let mut places = cluster::<3>().await;
    let first = leader(&places).await;
    let to = (first + 1) % 3;
    places[to].kill();
    let forwarder = Forwarder::new(places[first].network());
    let (id, peer) = (places[to].id, places[to].peer());
    // Until the forwarder notices that the connection is broken, an item may be sent.
    within(async || match forwarder.submit(id, &peer, item(1), soon()).await {
        Err(ForwardError::Unsent) => Some(()),
        Err(ForwardError::Unknown(_)) => None,
        outcome => panic!("{outcome:?}"),
    })
    .await;
    // A broken stream is replaced once the node is back.
    places[to].start().await;
    within(async || {
        let again = forwarder.submit(id, &peer, item(2), soon()).await;
        matches!(again, Err(ForwardError::NotLeader { .. }) | Ok(_)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_causes_no_wrong_answer() {
    const ENOUGH: usize = 500;
    const AT_ONCE: usize = 128;
    let mut places = cluster::<3>().await;
    let first = leader(&places).await;
    let (id, peer) = (places[first].id, places[first].peer());
    let from = (first + 1) % 3;
    let forwarder = Forwarder::new(places[from].network());
    let (stop, stopped) = oneshot::channel::<()>();
    let work = tokio::spawn({
        let (forwarder, peer) = (forwarder.clone(), peer.clone());
        stream::iter(0..)
            .take_until(stopped)
            .map(move |n| {
                let (forwarder, peer) = (forwarder.clone(), peer.clone());
                async move { (n, submit(forwarder, id, peer, item(n)).await) }
            })
            .buffer_unordered(AT_ONCE)
            .collect::<HashMap<_, _>>()
    });
    within(async || (places[from].machine.count() > ENOUGH).then_some(())).await;
    // From here on it withholds its replies, so that some items are unanswered when
    // it is killed.
    places[first].withholds_replies.store(true, Ordering::SeqCst);
    within(async || places[first].reply_withheld().then_some(())).await;
    places[first].kill();
    // The work goes on until items are no longer sent.
    within(async || {
        let outcome = forwarder.submit(id, &peer, item(usize::MAX), soon()).await;
        matches!(outcome, Err(ForwardError::Unsent)).then_some(())
    })
    .await;
    stop.send(()).unwrap();
    let outcomes = work.await.unwrap();

    let second = leader(&places).await;
    write(&places[second], "last").await;
    let survivor = Arc::new(places[second].machine.items());
    assert_eq!(survivor.last(), Some(&Bytes::from_static(b"last")));
    let applied: BTreeSet<_> = survivor.iter().cloned().collect();
    assert_eq!(applied.len(), survivor.len(), "an item was applied twice");
    let mut counts = [0; 3];
    for (n, outcome) in &outcomes {
        let is_applied = applied.contains(&item(*n));
        match outcome {
            Ok(reply) => {
                assert_eq!(*reply, item(*n));
                assert!(is_applied, "item {n} was acknowledged and is lost");
                counts[0] += 1;
            }
            Err(ForwardError::Unknown(_)) => counts[1] += 1,
            Err(error) => {
                assert!(!is_applied, "item {n} is applied in spite of: {error}");
                counts[2] += 1;
            }
        }
    }
    eprintln!("acknowledged, unknown, never sent: {counts:?}");
    assert!(counts[0] > 0 && counts[1] > 0 && counts[2] > 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_without_an_answer_is_unknown_at_its_deadline() {
    let mut places = cluster::<3>().await;
    let first = leader(&places).await;
    // Without a quorum the leader accepts an item and cannot commit it.
    let (one, two) = ((first + 1) % 3, (first + 2) % 3);
    let forwarder = Forwarder::new(places[one].network());
    let (id, peer) = (places[first].id, places[first].peer());
    submit(forwarder, id, peer.clone(), item(0)).await.unwrap();
    places[two].kill();
    let observer = places[one].network();
    places[one].kill();
    let forwarder = Forwarder::new(observer);
    let deadline = Instant::now() + Duration::from_millis(500);
    let outcome = forwarder.submit(id, &peer, item(1), deadline).await;
    assert!(matches!(outcome, Err(ForwardError::Unknown(_))), "{outcome:?}");
    assert!(deadline.elapsed() < Duration::from_secs(1));
}
