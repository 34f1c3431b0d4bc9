//! Nodes that the cluster has expelled: they learn why, and serve nobody.

use std::time::Duration;

use mcp_state_sidecar::store::raft::membership::view::Expelled;
use mcp_state_sidecar::store::raft::{RaftStore, StartError};
use mcp_state_sidecar::store::{Store, StoreError};
use tokio::time::{Instant, sleep, timeout};

use crate::change::{patient, remove, voters};
use support::cluster::{Cluster, Running};
use support::raft_calls::{set, soon};

/// A node checks once a second, and may need several checks.
const LEARNED_WITHIN: Duration = Duration::from_secs(30);

/// Waits until the node learns that it was expelled, and returns the reason.
async fn expulsion(store: &RaftStore) -> Expelled {
    let mut expelled = store.expelled();
    let learned = timeout(LEARNED_WITHIN, expelled.wait_for(Option::is_some)).await;
    (*learned.expect("it learns why in time").unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_serves_nobody_and_does_not_start_again() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let at = (leader + 1) % 3;
    let removed = cluster.store(at);
    remove(&cluster, at as u64 + 1).await;
    assert_eq!(expulsion(&removed).await, Expelled::Removed);
    let refused = removed.submit(set("k", "1"), soon()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.contains("removed")));
    assert!(removed.health().await.fault.unwrap().contains("removed"));
    let options = cluster.options(at);
    cluster.stop(at).await;
    // Dropping the last handle of the store releases the lock on its folder.
    drop(removed);
    let listener = cluster.listener(at).await;
    let again = Running::start(options, cluster.clock.clone(), listener).await;
    let refused = again.err().unwrap();
    assert!(matches!(refused, StartError::DataDir(_)), "{refused}");
    assert!(refused.to_string().contains("was removed from cluster"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_folder_is_expelled_and_never_counts() {
    let mut cluster = Cluster::start().await;
    await_registered(&cluster, &[1, 2, 3]).await;
    let at = (cluster.leader().await + 1) % 3;
    cluster.stop(at).await;
    cluster.wipe(at);
    cluster.start_node(at).await;
    assert_eq!(expulsion(&cluster.store(at)).await, Expelled::Wiped);
    // Without it and one other node there is no majority, whatever it answers.
    let other = (0..3).find(|other| *other != at).unwrap();
    cluster.stop(other).await;
    let last = cluster.store(3 - at - other);
    let until = Instant::now() + Duration::from_secs(2);
    last.submit(set("k", "1"), until).await.expect_err("a majority of one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_returns_with_its_folder_is_accepted() {
    let mut cluster = Cluster::start().await;
    await_registered(&cluster, &[1, 2, 3]).await;
    for at in 0..3 {
        cluster.stop(at).await;
        cluster.restart(at).await;
    }
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    cluster.assert_replicas_equal().await;
    assert_eq!(voters(&cluster).await, [1, 2, 3]);
    for store in cluster.stores() {
        assert_eq!(*store.expelled().borrow(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_first_start_does_not_count_as_a_loss() {
    let mut cluster = Cluster::start_two().await;
    await_registered(&cluster, &[1, 2]).await;
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    cluster.restart(2).await;
    await_registered(&cluster, &[1, 2, 3]).await;
    cluster.assert_replicas_equal().await;
}

/// Waits until the membership records the folders of these nodes.
async fn await_registered(cluster: &Cluster, ids: &[u64]) {
    let deadline = patient();
    for id in ids {
        while !cluster.stores().all(|store| store.incarnation_of(*id).is_some()) {
            assert!(Instant::now() < deadline, "node {id} is not registered");
            sleep(Duration::from_millis(20)).await;
        }
    }
}
