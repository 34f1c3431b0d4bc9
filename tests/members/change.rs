//! Changes of the membership under load: no call fails and nothing is lost.

use std::time::Duration;

use mcp_state_sidecar::store::Store;
use mcp_state_sidecar::store::cluster::{ClusterError, NewMember};
use tokio::time::{Instant, sleep};

use crate::load::Load;
use support::cluster::Cluster;
use support::raft_calls::{set, soon};

pub fn patient() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub fn added(id: u64, addr: &str) -> NewMember {
    NewMember { id, addr: addr.to_owned(), replaces: None }
}

/// Makes a change as the command line does: asks the current leader, and asks again
/// if another change was in progress.
pub async fn make_change<F>(cluster: &Cluster, change: impl Fn(usize) -> F)
where
    F: Future<Output = Result<(), ClusterError>>,
{
    let deadline = patient();
    loop {
        match change(cluster.leader().await).await {
            Ok(()) => return,
            Err(
                error @ (ClusterError::NotLeader { .. }
                | ClusterError::Unavailable(_)
                | ClusterError::Unfinished(_)),
            ) => assert!(Instant::now() < deadline, "{error}"),
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

pub async fn add(cluster: &Cluster, wanted: &NewMember) {
    make_change(cluster, |leader| {
        let (node, wanted) = (cluster.store(leader), wanted.clone());
        async move { node.cluster().unwrap().add(wanted, patient()).await }
    })
    .await;
}

pub async fn remove(cluster: &Cluster, id: u64) {
    make_change(cluster, |leader| {
        let node = cluster.store(leader);
        async move { node.cluster().unwrap().remove(id, patient()).await }
    })
    .await;
}

/// The voters as the leader reports them.
pub async fn voters(cluster: &Cluster) -> Vec<u64> {
    let leader = cluster.leader().await;
    let members = cluster.store(leader).health().await.cluster.unwrap().members;
    members.iter().filter(|member| member.voter).map(|member| member.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_grow_to_five_and_shrink_to_three_others_under_load() {
    let mut cluster = Cluster::start().await;
    let load = Load::start(cluster.stores().collect());
    load.wait_for_progress().await;
    for id in [4, 5] {
        let addr = cluster.join(id).await;
        add(&cluster, &added(id, &addr)).await;
        load.use_nodes(cluster.stores().collect());
        load.wait_for_progress().await;
    }
    assert_eq!(voters(&cluster).await, [1, 2, 3, 4, 5]);
    for id in [1, 2] {
        remove(&cluster, id).await;
        load.wait_for_progress().await;
        cluster.dismiss(cluster.position(id)).await;
        load.use_nodes(cluster.stores().collect());
    }
    assert_eq!(voters(&cluster).await, [3, 4, 5]);
    load.wait_for_progress().await;
    let served = load.end(&cluster.any()).await;
    println!("{served} calls served, none failed");
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_node_is_replaced_in_one_step_that_may_be_repeated() {
    let mut cluster = Cluster::start().await;
    cluster.any().submit(set("k", "1"), soon()).await.unwrap();
    let dead = (cluster.leader().await + 1) % 3;
    let old = dead as u64 + 1;
    cluster.stop(dead).await;
    let addr = cluster.join(4).await;
    let wanted = NewMember { replaces: Some(old), ..added(4, &addr) };
    for _twice in 0..2 {
        add(&cluster, &wanted).await;
        let expected: Vec<u64> = (1..=4).filter(|id| *id != old).collect();
        assert_eq!(voters(&cluster).await, expected);
    }
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeating_a_change_finishes_it_after_its_leader_is_lost() {
    let mut cluster = Cluster::start().await;
    let addr = cluster.join(4).await;
    let leader = cluster.leader().await;
    let node = cluster.store(leader);
    let wanted = added(4, &addr);
    let adding = tokio::spawn({
        let wanted = wanted.clone();
        async move { node.cluster().unwrap().add(wanted, patient()).await }
    });
    cluster.stop(leader).await;
    // The first attempt may have succeeded; after the second, the change is certain.
    let _ = adding.await.unwrap();
    add(&cluster, &wanted).await;
    assert_eq!(voters(&cluster).await, [1, 2, 3, 4]);
    cluster.restart(leader).await;
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_transferred_under_load() {
    let cluster = Cluster::start().await;
    let load = Load::start(cluster.stores().collect());
    for round in 0..4 {
        load.wait_for_progress().await;
        let leader = cluster.leader().await;
        let to = ((leader + 1 + round % 2) % 3) as u64 + 1;
        let now =
            cluster.store(leader).cluster().unwrap().transfer(Some(to), patient()).await.unwrap();
        assert_eq!(now, to);
        assert_eq!(cluster.settled().await, to);
    }
    load.end(&cluster.any()).await;
    cluster.assert_replicas_equal().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_covers_what_was_applied_at_the_request() {
    let cluster = Cluster::start().await;
    for n in 0..50 {
        cluster.any().submit(set(&format!("k{n}"), "1"), soon()).await.unwrap();
    }
    // The node may not have led, and then it applies the last writes a little later.
    cluster.assert_replicas_equal().await;
    let node = cluster.any();
    let applied = node.health().await.cluster.unwrap().applied_index;
    let covered = node.cluster().unwrap().snapshot(patient()).await.unwrap();
    assert!(covered >= applied, "{covered} of {applied}");
    assert_eq!(node.health().await.cluster.unwrap().snapshot_index, covered);
    assert_eq!(
        node.cluster().unwrap().snapshot(patient()).await.unwrap(),
        covered,
        "nothing has happened since"
    );
}
